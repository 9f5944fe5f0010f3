import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfface.data.degradation import degrade
from tfface.serving.servable import decode_faces, encode_faces, in_float32, resize_faces


def test_files_of_any_size_become_faces(picture_files, bicubic):
    files, pictures = picture_files
    encoded = tf.constant([file.read_bytes() for file in files])
    for size in (16, 150):
        faces = decode_faces(encoded, size)
        assert faces.dtype == tf.float32 and faces.shape == (3, size, size, 3)
        for i, tolerance in enumerate([1e-4, 1e-4, 0.02]):  # JPEG decoders differ a little
            np.testing.assert_allclose(faces[i], bicubic(pictures[i], size), atol=tolerance)


@pytest.mark.parametrize(("mode", "fill"), [("L", 51), ("RGBA", (51, 51, 51, 0)), ("P", 0)])
def test_files_of_other_colors_become_rgb(tmp_path, mode, fill):
    image = Image.new(mode, (9, 7), fill)
    if mode == "P":
        image.putpalette([51, 51, 51])
    image.save(tmp_path / "a.png")
    faces = decode_faces(tf.constant([(tmp_path / "a.png").read_bytes()]), 4)
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


def test_a_model_that_is_no_network_is_exported_as_it_is(nearest_generator):
    assert in_float32(nearest_generator) is nearest_generator


def test_labels_are_facts_where_there_are_some(servable):
    assert "labels" not in servable.all_facts()
    labeled = dataclasses.replace(servable, labels=("smile", "frown"))
    assert labeled.all_facts()["labels"] == ["smile", "frown"]
    assert labeled.labels_text() == "smile\nfrown\n"
