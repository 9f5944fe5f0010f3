import io
import os

import numpy as np
import pytest
from PIL import Image

from tfface.data.photos import PhotoError, read_photo, write_animation, write_photo

RED, BLUE = (200, 30, 20), (10, 40, 220)


def two_halves():
    """Left half red, right half blue: 6 pixels wide, 4 high."""
    image = np.empty((4, 6, 3), np.uint8)
    image[:, :3], image[:, 3:] = RED, BLUE
    return image


def test_rgb_png_is_read_exactly(tmp_path):
    Image.fromarray(two_halves()).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, two_halves())


def test_gray_becomes_three_equal_channels(tmp_path):
    gray = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    Image.fromarray(gray).save(tmp_path / "gray.png")
    photo = read_photo(tmp_path / "gray.png")
    assert photo.shape == (4, 6, 3)
    for channel in range(3):
        np.testing.assert_array_equal(photo[..., channel], gray)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_gray_is_scaled_not_clipped(tmp_path, suffix):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep{suffix}")
    photo = read_photo(tmp_path / f"deep{suffix}")
    np.testing.assert_array_equal(photo[0, :, 0], [0, 1, 128, 255])


def test_float_tiff_is_refused_with_the_rule(tmp_path):
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(PhotoError, match=r"f\.tif: must have 8 or 16 bits"):
        read_photo(tmp_path / "f.tif")


def test_cmyk_jpeg_keeps_its_colors(tmp_path):
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "print.jpg", quality=100)
    photo = read_photo(tmp_path / "print.jpg").reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(photo, [0, 255, 255], atol=6)  # full cyan ink


def test_alpha_is_laid_over_white(tmp_path):
    pixels = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 51]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    # A fifth of red over white: 255 + 0.2 (200 - 255) = 244, 255 (1 - 0.2) = 204.
    expected = [[200, 0, 0], [255, 255, 255], [244, 204, 204]]
    np.testing.assert_allclose(read_photo(tmp_path / "alpha.png")[0], expected, atol=1)


def test_palette_with_a_transparent_color_is_laid_over_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="L").convert("P")
    image.putpalette([0, 0, 0, 9, 99, 199])
    image.save(tmp_path / "p.png", transparency=0)
    np.testing.assert_array_equal(read_photo(tmp_path / "p.png")[0], [[255] * 3, [9, 99, 199]])


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (2, lambda a: a[:, ::-1])],
)
def test_exif_rotation_is_applied(tmp_path, orientation, turn):
    image = Image.fromarray(two_halves())
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "phone.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "phone.png"), turn(two_halves()))


def test_wide_picture_is_read(tmp_path):
    wide = np.zeros((30, 20_000, 3), np.uint8)
    wide[:, -1] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    photo = read_photo(tmp_path / "wide.png")
    assert photo.shape == (30, 20_000, 3)
    assert photo[0, -1, 0] == 255


def test_too_many_pixels_are_refused_before_decoding(tmp_path):
    # The header claims 20,000 x 20,000; there is no pixel data that could be decoded.
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    content = (tmp_path / "huge.png").read_bytes()
    (tmp_path / "huge.png").write_bytes(content[:100])
    with pytest.raises(PhotoError, match=r"huge\.png: must have at most 100000000 pixels.*20000 x"):
        read_photo(tmp_path / "huge.png")
    with pytest.raises(PhotoError, match="at most 10 pixels"):
        Image.fromarray(two_halves()).save(tmp_path / "a.png")
        read_photo(tmp_path / "a.png", max_pixels=10)


def test_pillows_own_limit_is_left_as_it_was(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(two_halves()).save(tmp_path / "a.png")
    read_photo(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


def noise(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jpg", b""),
        ("text.jpg", b"this is no picture"),
        ("truncated.jpg", noise("JPEG")[:2000]),
        ("truncated.png", noise("PNG")[:2000]),
        ("header.png", noise("PNG")[:20]),
        ("garbled.png", noise("PNG")[:300] + b"\0" * 400 + noise("PNG")[700:]),
        ("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ],
)
def test_unreadable_files_give_one_line_that_names_the_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PhotoError) as error:
        read_photo(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "received"),
    [
        ("not_there.png", "no such file"),
        ("x" * 300, "no such file"),
        (".", "a folder"),
        ("clip.mp4", "a video; save its frames"),
        ("notes.txt", "none, or a damaged one"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(tmp_path, name, received):
    for file in ("clip.mp4", "notes.txt"):
        (tmp_path / file).write_bytes(b"neither of them is a picture")
    with pytest.raises(PhotoError, match=f"must be a picture.* Received: {received}"):
        read_photo(tmp_path / name)


def test_write_and_read_back(tmp_path):
    write_photo(tmp_path / "out.png", two_halves())
    np.testing.assert_array_equal(read_photo(tmp_path / "out.png"), two_halves())
    write_photo(tmp_path / "out.JPG", two_halves())
    assert sorted(os.listdir(tmp_path)) == ["out.JPG", "out.png"]


def test_write_refuses_what_is_no_picture(tmp_path):
    with pytest.raises(PhotoError, match=r"must end in a picture format.*'\.docx'"):
        write_photo(tmp_path / "out.docx", two_halves())
    with pytest.raises(PhotoError, match="float64"):
        write_photo(tmp_path / "out.png", two_halves() / 255)
    with pytest.raises(PhotoError, match=r"\(4, 6\)"):
        write_photo(tmp_path / "out.png", two_halves()[..., 0])
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_photo(tmp_path / "out.png", two_halves())
    before = (tmp_path / "out.png").read_bytes()

    def full_disk(image, path, **options):
        path.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(PhotoError, match=r"out\.png: cannot be written \(No space left"):
        write_photo(tmp_path / "out.png", two_halves()[::-1])
    assert (tmp_path / "out.png").read_bytes() == before
    assert os.listdir(tmp_path) == ["out.png"]


def test_write_into_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PhotoError, match=r"out\.png: cannot be written \(Not a directory"):
        write_photo(tmp_path / "file" / "out.png", two_halves())
    write_photo(tmp_path / "made" / "out.png", two_halves())
    assert os.listdir(tmp_path / "made") == ["out.png"]


def test_an_animation_repeats_and_what_stays_does_not_flicker(tmp_path):
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (20, 30, 3), np.uint8)
    frames = [still.copy() for _ in range(3)]
    for i, frame in enumerate(frames):
        frame[5:10, 5:10] = (80 * i, 0, 0)
    write_animation(tmp_path / "a.gif", frames, milliseconds=50)
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (3, (30, 20), 0)
        shown = []
        for i in range(3):
            image.seek(i)
            assert image.info["duration"] == 50
            shown.append(np.array(image.convert("RGB")).astype(int))
    for i in (1, 2):
        moved = np.abs(shown[i] - shown[0]).sum(-1) > 0
        assert moved[5:10, 5:10].all() and moved.sum() == 25
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_an_animation_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PhotoError, match="a.gif: cannot be written"):
        write_animation(tmp_path / "file" / "a.gif", [np.zeros((4, 4, 3), np.uint8)])
