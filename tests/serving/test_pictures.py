import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfface.data.degradation import degrade
from tfface.serving.pictures import (
    MAX_PIXELS,
    decode_faces,
    encode_faces,
    resize_faces,
    with_error,
)

RULE = f"`image_bytes` must be a whole JPEG or PNG file of at most {MAX_PIXELS} pixels. Received: "


def file_of(kind, image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def png_that_declares(width, height):
    """A file of some eighty bytes, right in all but its pixels, of which there are few."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg_that_declares(width, height):
    encoded = bytearray(file_of("JPEG", np.zeros((8, 8, 3), np.uint8)))
    start = encoded.index(b"\xff\xc0") + 5
    encoded[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(encoded)


@pytest.fixture(scope="module")
def decode():
    """`decode_faces` to 16 pixels, as an exported model runs it: within a graph."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def decoded(image_bytes):
        return decode_faces(image_bytes, 16)

    return lambda files: [v.numpy() for v in decoded(tf.constant(files, tf.string))]


def test_files_of_any_size_become_faces(picture_files, bicubic):
    files, pictures = picture_files
    encoded = tf.constant([file.read_bytes() for file in files])
    for size in (16, 150):
        faces, error = decode_faces(encoded, size)
        assert (error.numpy() == b"").all()
        assert faces.dtype == tf.float32 and faces.shape == (3, size, size, 3)
        for i, tolerance in enumerate([1e-4, 1e-4, 0.02]):  # JPEG decoders differ a little
            np.testing.assert_allclose(faces[i], bicubic(pictures[i], size), atol=tolerance)


@pytest.mark.parametrize(("mode", "fill"), [("L", 51), ("RGBA", (51, 51, 51, 0)), ("P", 0)])
def test_files_of_other_colors_become_rgb(tmp_path, mode, fill):
    image = Image.new(mode, (9, 7), fill)
    if mode == "P":
        image.putpalette([51, 51, 51])
    image.save(tmp_path / "a.png")
    faces, _ = decode_faces(tf.constant([(tmp_path / "a.png").read_bytes()]), 4)
    np.testing.assert_allclose(faces, np.full((1, 4, 4, 3), 51 / 255), atol=1e-6)


def test_faces_are_resized_as_in_training(picture):
    faces = np.stack([picture(seed, 130, 130)[:128, :128] / np.float32(255) for seed in range(3)])
    low, _ = degrade(faces, (0, 0), scale=8, hidden_area=0)
    np.testing.assert_allclose(resize_faces(faces, 16), low, atol=1e-6)


def test_faces_become_files_rounded_to_the_nearest_level():
    levels = np.array(
        [[[-0.2, 0.0, 0.4], [0.6, 100.4, 100.6]], [[254.4, 254.6, 255.0], [300, 1, 2]]]
    )
    expected = [[[0, 0, 0], [1, 100, 101]], [[254, 255, 255], [255, 1, 2]]]
    files = encode_faces(tf.constant(levels[None] / 255, tf.float32))
    assert files.shape == (1,)
    np.testing.assert_array_equal(tf.io.decode_png(files[0]), expected)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_pictures_that_are_bad_say_so_and_harm_no_other(decode, picture, count):
    """Wherever they are among the good ones; also where there is no other."""
    jpeg, png = file_of("JPEG", picture(0, 50, 40)), file_of("PNG", picture(1, 30, 70))
    cut = {
        part: f"{len(part)} bytes, damaged or cut short."
        for file in (jpeg, png)
        for part in (file[:-1], file[: len(file) // 2], file[:22], file[:9])
    }
    bad = {
        b"": "nothing.",
        b"no picture at all": "17 bytes of another kind.",
        b"\x89PN": "3 bytes of another kind.",
        **{file_of(kind, picture(0, 20, 20)): None for kind in ("GIF", "BMP", "WEBP")},
        png[:40] + bytes(4) + png[44:]: f"{len(png)} bytes, damaged or cut short.",
        **cut,
        png_that_declares(60000, 60000): "60000 x 60000 pixels.",
        png_that_declares(4097, 4096): "4097 x 4096 pixels.",
        png_that_declares(1 << 31, 1 << 31): None,
        png_that_declares(0, 3): None,
        jpeg_that_declares(65000, 4000): "65000 x 4000 pixels.",
    }
    good = [jpeg, png, jpeg][:count]
    files = [file for one in bad for file in (*good, one)]
    faces, error = decode(files)
    assert faces.shape == (len(files), 16, 16, 3) and error.shape == (len(files),)
    alone = decode(good)[0]
    every = count + 1
    for i, (file, received) in enumerate(bad.items()):
        rows = slice(i * every, i * every + count)
        np.testing.assert_array_equal(faces[rows], alone)
        assert (error[rows] == b"").all()
        said = error[i * every + count].decode()
        assert said.startswith(RULE) and "\n" not in said
        assert received is None or said == RULE + received, file
        assert not faces[i * every + count].any()


def test_no_pictures_at_all(decode):
    faces, error = decode([])
    assert faces.shape == (0, 16, 16, 3) and error.shape == (0,)


def test_the_largest_that_is_allowed(decode):
    image = np.zeros((4096, 4096, 3), np.uint8)
    image[:2048] = 255
    assert image[..., 0].size == MAX_PIXELS
    (face,), (error,) = decode([file_of("PNG", image, compress_level=1)])
    assert error == b""
    np.testing.assert_allclose(face[[0, -1]], [[[1] * 3] * 16, [[0] * 3] * 16], atol=1e-3)


def test_where_a_file_is_bad_nothing_is_answered():
    outputs = {
        "image": tf.ones((2, 3, 3)),
        "file": tf.constant([["a", "b"], ["c", "d"]]),
        "present": tf.constant([[True], [True]]),
        "class_id": tf.constant([4, 5], tf.int32),
    }
    found = with_error(outputs, tf.constant(["", "bad"]))
    assert found.pop("error").numpy().tolist() == [b"", b"bad"]
    assert {name: v.dtype for name, v in found.items()} == {n: v.dtype for n, v in outputs.items()}
    for name, values in found.items():
        np.testing.assert_array_equal(values[0], outputs[name][0])
    assert np.isnan(found["image"][1]).all()
    assert found["file"][1].numpy().tolist() == [b"", b""]
    assert not found["present"][1].numpy().any() and found["class_id"][1] == -1
