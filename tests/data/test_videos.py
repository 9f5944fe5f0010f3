import os
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tfface.data.videos import VideoError, is_video_name, open_video

FORMATS = [("clip.mp4", "mp4v"), ("clip.avi", "MJPG"), ("clip.webm", "VP80"), ("clip.mkv", "MJPG")]
HEIGHT, WIDTH = 64, 96

# The (a, b, c, d) of an MP4's display matrix, (x, y) -> (a x + c y, b x + d y).
MATRICES = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def drawn(index):
    """A frame that shows its index: bit k white or black on the left or right half of row k."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for bit in range(8):
        half = slice(0, WIDTH // 2) if index >> bit & 1 else slice(WIDTH // 2, WIDTH)
        image[8 * bit : 8 * bit + 8, half] = 255
    return image


def shown(image):
    """The index that a frame shows, however the codec has softened it."""
    rows = image.mean(axis=-1).reshape(8, 8, 2, WIDTH // 2).mean(axis=(1, 3))
    assert (np.abs(rows[:, 0] - rows[:, 1]) > 200).all()
    return sum(int(left > right) << bit for bit, (left, right) in enumerate(rows))


def write(path, frames, fourcc="mp4v", fps=25.0):
    """Writes frames, RGB, as a video, and returns its path."""
    size = (WIDTH, HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), fps, size)
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def counting(path, count=60, fourcc="mp4v", fps=25.0):
    return write(path, map(drawn, range(count)), fourcc, fps)


def timed(content, times):
    """An MP4 whose frames last other times: (count, ticks) pairs of 1 / 12800 s."""
    start = content.index(b"stts") - 4
    end = start + int.from_bytes(content[start : start + 4], "big")
    pairs = b"".join(struct.pack(">II", *pair) for pair in times)
    table = struct.pack(">I4sII", 16 + len(pairs), b"stts", 0, len(times)) + pairs
    changed = bytearray(content[:start] + table + content[end:])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):  # those that hold the table
        at = changed.index(box) - 4
        size = int.from_bytes(changed[at : at + 4], "big") + len(table) - (end - start)
        changed[at : at + 4] = size.to_bytes(4, "big")
    at = changed.index(b"edts")  # an edit list, which would cut at the old length
    changed[at : at + 4] = b"free"
    return bytes(changed)


def rotated(content, degrees):
    """An MP4 that asks to be shown turned clockwise, as phones write it."""
    at = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in MATRICES[degrees])
    return content[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[at + 36 :]


def damaged(content, start, count):
    """An MP4 with zeros in place of some of its `count` frames' data, from a share of it on."""
    at = content.index(b"mdat")
    size = int.from_bytes(content[at - 4 : at], "big") - 8
    first = at + 4 + int(start * size)
    return content[:first] + bytes(count) + content[first + count :]


@pytest.mark.parametrize(("name", "fourcc"), FORMATS)
def test_every_frame_comes_in_order_at_its_time(tmp_path, name, fourcc):
    with open_video(counting(tmp_path / name, 60, fourcc)) as video:
        assert (video.fps, video.frame_count, video.size) == (25.0, 60, (HEIGHT, WIDTH))
        for index, frame in enumerate(video):
            assert frame.index == index == shown(frame.image)
            assert frame.timestamp == pytest.approx(index / 25, abs=1e-3)
            assert frame.image.dtype == np.uint8 and frame.image.shape == (HEIGHT, WIDTH, 3)
        assert (index, video.frames_read, video.missing) == (59, 60, 0)


def test_colors_are_red_green_blue(tmp_path):
    frames = np.empty((3, HEIGHT, WIDTH, 3), np.uint8)
    frames[:] = (200, 60, 20)
    with open_video(write(tmp_path / "red.avi", frames, "MJPG")) as video:
        for frame in video:
            np.testing.assert_allclose(frame.image[32, 48], (200, 60, 20), atol=6)


def test_frames_own_their_memory(tmp_path):
    with open_video(counting(tmp_path / "clip.mp4", 4)) as video:
        assert [shown(frame.image) for frame in list(video)] == [0, 1, 2, 3]


def test_times_of_a_variable_rate_are_the_containers(tmp_path):
    path = counting(tmp_path / "phone.mp4", 20)
    # Ten frames of 40 ms, then ten of 120 ms: 1.6 s in all, 12.5 frames a second.
    path.write_bytes(timed(path.read_bytes(), [(10, 512), (10, 1536)]))
    with open_video(path) as video:
        times = [frame.timestamp for frame in video]
        assert video.fps == pytest.approx(12.5) and video.missing == 0
    expected = [0.04 * k for k in range(10)] + [0.4 + 0.12 * k for k in range(10)]
    np.testing.assert_allclose(times, expected, atol=1e-6)


def test_frames_without_times_follow_each_other_at_the_rate(tmp_path, monkeypatch):
    path = counting(tmp_path / "clip.mp4", 5)
    video = open_video(path)
    # Times that cannot be: none, in the past, not a number, the same again; then a sane one.
    times = iter([0.0, -80.0, float("nan"), 500.0])

    class Clock:
        def __init__(self, capture):
            self.read, self.release = capture.read, capture.release

        def get(self, key):
            return next(times)

    video._capture = Clock(video._capture)
    with video:
        assert [f.timestamp for f in video] == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.5])


@pytest.mark.parametrize("degrees", MATRICES)
def test_the_display_rotation_is_applied(tmp_path, degrees):
    path = counting(tmp_path / "clip.mp4", 3)
    with open_video(path) as video:
        plain = [frame.image for frame in video]
    path.write_bytes(rotated(path.read_bytes(), degrees))
    with open_video(path) as video:
        assert video.size == ((HEIGHT, WIDTH) if degrees == 180 else (WIDTH, HEIGHT))
        for frame, upright in zip(video, plain, strict=True):
            np.testing.assert_array_equal(frame.image, np.rot90(upright, -degrees // 90))


@pytest.mark.parametrize(("name", "fourcc"), FORMATS[1:])
def test_of_a_file_cut_in_the_middle_the_whole_frames_come(tmp_path, name, fourcc):
    path = counting(tmp_path / name, 100, fourcc)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_video(path) as video:
        assert video.missing == 0
        indices = [shown(frame.image) for frame in video]
        assert 20 < len(indices) < 80 and indices == list(range(len(indices)))
        assert video.frame_count == 100 and video.frames_read == len(indices)
        assert video.missing == 100 - len(indices)


def test_frames_behind_damage_come_too(tmp_path):
    path = counting(tmp_path / "clip.mp4", 120)
    path.write_bytes(damaged(path.read_bytes(), 0.3, 1500))
    with open_video(path) as video:
        frames = list(video)
        assert 0 < video.missing < 60 and len(frames) + video.missing == 120
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert shown(frames[-1].image) == 119 and frames[-1].timestamp == pytest.approx(119 / 25)
    times = [frame.timestamp for frame in frames]
    assert (np.diff(times) > 0).all() and np.diff(times).max() > 0.1  # the gap is in the times


def test_a_stream_left_early_misses_nothing_and_a_closed_one_gives_nothing(tmp_path):
    with open_video(counting(tmp_path / "clip.mp4", 10)) as video:
        assert next(video).index == 0
        assert next(iter(video)).index == 1
    assert list(video) == [] and (video.frames_read, video.missing) == (2, 0)


def test_a_name_that_means_something_to_ffmpeg_is_a_name(tmp_path):
    content = counting(tmp_path / "clip.mp4", 3).read_bytes()
    for name in (b"http:%03d|clip.mp4", b"not utf-8 \xff.mp4", b"no suffix"):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(content)
        with open_video(path) as video:
            assert len(list(video)) == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", b"this is no video\n" * 50),
        ("text.txt", b"nor is this, which FFmpeg shows as a terminal\n" * 50),
        ("picture.mp4", cv2.imencode(".png", drawn(5))[1].tobytes()),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n"),
        ("script.mp4", b"ffconcat version 1.0\nfile clip.mp4\n"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, name, content):
    counting(tmp_path / "clip.mp4", 3)  # what the playlists name
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=rf"{name}: must be a video \(MP4.* Received: none"):
        open_video(tmp_path / name)


def test_a_video_without_a_frame_is_refused(tmp_path):
    with pytest.raises(VideoError, match=r"none\.avi: .* frames that can be read.*: no frames\.$"):
        open_video(write(tmp_path / "none.avi", [], "MJPG"))
    path = counting(tmp_path / "bad.mp4", 30)
    content = path.read_bytes()
    size = int.from_bytes(content[content.index(b"mdat") - 4 :][:4], "big") - 8
    path.write_bytes(damaged(content, 0, size))
    with pytest.raises(VideoError, match=r"bad\.mp4: .* Received: 30 announced, but damaged"):
        open_video(path)
    path.write_bytes(content[: len(content) // 2])  # an MP4 has its table at the end
    with pytest.raises(VideoError, match=r"bad\.mp4: must be a video .* or a damaged one\.$"):
        open_video(path)


@pytest.mark.parametrize(
    ("name", "received"),
    [
        ("not_there.mp4", "no such file"),
        ("x" * 300, "no such file"),
        (".", "a folder"),
        ("empty.mp4", r"an empty file \(0 bytes\)"),
    ],
)
def test_what_is_no_file_is_called_what_it_is(tmp_path, name, received):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match=f"must be a video.* Received: {received}") as error:
        open_video(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = counting(tmp_path / "clip.mp4", 3)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(VideoError, match=r"clip\.mp4: cannot be read \(Permission denied\)"):
        open_video(path)


def test_too_large_frames_are_refused(tmp_path):
    path = counting(tmp_path / "clip.mp4", 3)
    with pytest.raises(VideoError, match=r"at most 6143 pixels a frame.*: 96 x 64 = 6144\.$"):
        open_video(path, max_pixels=6143)
    with open_video(path, max_pixels=6144) as video:
        assert video.frame_count == 3


def test_memory_does_not_grow_with_the_length(tmp_path):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    path = counting(tmp_path / "long.avi", 1501, "MJPG")
    with open_video(path) as video:
        held = {frame.index: resident() for frame in video if frame.index in (200, 1500)}
    # 1300 frames of 18 kB would be 24 MB.
    assert held[1500] - held[200] < 4_000_000


def test_nothing_is_printed_and_the_environment_is_as_it_was(tmp_path):
    path = counting(tmp_path / "clip.mp4", 60)
    (tmp_path / "damaged.mp4").write_bytes(damaged(path.read_bytes(), 0.3, 1500))
    cut = counting(tmp_path / "cut.avi", 60, "MJPG")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (tmp_path / "text.mp4").write_bytes(b"no video")
    # FFmpeg's log level holds from a process's first video on: a process of its own.
    program = """
import os, sys
from tfface.data.videos import VideoError, open_video
before = dict(os.environ)
for path in sys.argv[1:]:
    try:
        with open_video(path) as video:
            print(path, sum(1 for frame in video))
    except VideoError as error:
        print(error)
assert os.environ == before
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENCV_")}
    names = ["damaged.mp4", "cut.avi", "text.mp4", "clip.mp4"]
    ran = subprocess.run(
        [sys.executable, "-c", program, *names],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    assert len(ran.stdout.splitlines()) == 4


def test_video_names():
    assert all(map(is_video_name, ["a.mp4", "b/c.MOV", "d.webm", "e.avi", "f.mkv"]))
    assert not any(map(is_video_name, ["a.png", "mp4", "b.mp4.txt", "c.gif", "folder"]))
