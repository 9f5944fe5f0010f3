import cv2
import numpy as np
import pytest

from tfface.data.datasets.frames import Frame, VideoPicture, VideoReader
from tfface.data.photos import PhotoError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Ten frames at 20 a second, frame n of gray 20 n + 20."""
    path = tmp_path_factory.mktemp("video") / "ten.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, (64, 48))
    for number in range(10):
        writer.write(np.full((48, 64, 3), 20 * number + 20, np.uint8))
    writer.release()
    return path


def test_pictures_by_number_in_and_out_of_order(video):
    with VideoReader() as videos:
        for number in (0, 1, 4, 9, 2, 2):
            picture = videos.read(VideoPicture(video, number))
            assert picture.shape == (48, 64, 3)
            assert picture.mean() == pytest.approx(20 * number + 20, abs=2)


def test_rising_numbers_take_one_pass(video, monkeypatch):
    opened = []
    from tfface.data.datasets import frames

    open_video = frames.open_video
    monkeypatch.setattr(frames, "open_video", lambda path: opened.append(path) or open_video(path))
    with VideoReader() as videos:
        for number in range(10):
            videos.read(VideoPicture(video, number))
        assert len(opened) == 1
        videos.read(VideoPicture(video, 0))
        assert len(opened) == 2


def test_a_damaged_frame_does_not_move_the_others(video, tmp_path):
    content = video.read_bytes()
    # The fifth picture of the file begins at the fifth JPEG header; its header is made unreadable.
    at = -1
    for _ in range(5):
        at = content.index(b"\xff\xd8\xff", at + 1)
    damaged = tmp_path / "damaged.avi"
    damaged.write_bytes(content[:at] + bytes(200) + content[at + 200 :])
    with VideoReader() as videos:
        for number in (3, 5, 9):
            picture = videos.read(VideoPicture(damaged, number))
            assert picture.mean() == pytest.approx(20 * number + 20, abs=2)
        with pytest.raises(PhotoError, match=r"damaged\.avi: frame 5 is damaged"):
            videos.read(VideoPicture(damaged, 4))


def test_the_end_and_what_is_no_video(video, tmp_path):
    (tmp_path / "none.avi").write_bytes(b"text")
    with VideoReader() as videos:
        for _ in range(2):
            with pytest.raises(PhotoError, match="must have a frame 11. .* ends after 10 frames"):
                videos.read(VideoPicture(video, 10))
        for number in (0, 1):
            with pytest.raises(PhotoError, match=r"none\.avi: must be a video"):
                videos.read(VideoPicture(tmp_path / "none.avi", number))
        assert videos.read(VideoPicture(video, 0)).mean() == pytest.approx(20, abs=2)


def test_only_pictures_of_videos_are_given(video, tmp_path):
    labels = np.zeros(0, np.float32)
    with VideoReader() as videos:
        assert videos.given(Frame("a", tmp_path / "a.png", "A", labels, labels)) is None
        given = videos.given(Frame("b", VideoPicture(video, 1), "A", labels, labels))
        assert given.mean() == pytest.approx(40, abs=2)
        error = videos.given(Frame("c", VideoPicture(video, 99), "A", labels, labels))
        assert isinstance(error, PhotoError)
