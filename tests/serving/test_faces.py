"""Faces cut out of photos and laid back, whatever the system."""

import numpy as np
import pytest

from tfface.data.detection import Face
from tfface.facs.landmarks import MEAN_FACE, anchors
from tfface.serving.faces import as_floats, as_in_training, cut_faces, lay_back


def face_at(left, top, side):
    """A face whose crop is the photo's square of that side at (left, top)."""
    right_eye, left_eye, mouth = anchors(MEAN_FACE) * side - 0.5 + (left, top)
    shift = np.array([side / 16, 0])
    points = [right_eye, left_eye, (right_eye + left_eye + mouth) / 3, mouth - shift, mouth + shift]
    return Face((left, top, side, side), np.array(points, np.float32), 0.9)


def test_faces_are_cut_and_what_is_none_is_left_out(picture):
    scene = picture(0, 200, 300)
    nowhere = Face((0, 0, 9, 9), np.full((5, 2), 50, np.float32), 0.9)
    kept, crops, matrices = cut_faces(
        scene, [nowhere, face_at(30, 20, 64), face_at(150, 90, 64)], 64
    )
    assert kept == [1, 2]
    for crop, matrix, (left, top) in zip(crops, matrices, [(30, 20), (150, 90)], strict=True):
        np.testing.assert_allclose(crop, scene[top : top + 64, left : left + 64], atol=1)
        np.testing.assert_allclose(matrix, [[1, 0, -left], [0, 1, -top]], atol=1e-3)
    assert cut_faces(scene, [], 64) == ([], [], [])


def test_a_face_is_brought_to_size_as_training_reads_it(picture, bicubic):
    crops = [picture(seed, 200, 200) for seed in range(2)]
    faces = as_in_training(crops, 20)
    assert faces.dtype == np.float32
    for face, crop in zip(faces, crops, strict=True):
        np.testing.assert_allclose(face, bicubic(crop, 20), atol=0.51 / 255)
    np.testing.assert_allclose(faces * 255, np.rint(faces * 255), atol=1e-4)  # in 8 bits
    assert as_in_training([], 20).shape == (0, 20, 20, 3)
    assert as_floats([], 7).shape == (0, 7, 7, 3)


@pytest.mark.parametrize("value", [0.5, 1.7, -1.0])
def test_faces_are_laid_back_the_first_on_top(value):
    photo = np.full((60, 90, 3), 10, np.uint8)
    matrices = [np.array([[1.0, 0, -x], [0, 1, -10]]) for x in (20, 40)]
    faces = np.stack([np.full((32, 32, 3), value), np.full((32, 32, 3), 0.25)]).astype(np.float32)
    result = lay_back(photo, faces, matrices)
    level = {0.5: 128, 1.7: 255, -1.0: 0}[value]
    assert (result[26, 30:46] == level).all()  # the overlap from 40 on too
    assert (result[26, 60:66] == 64).all()
    assert (photo == 10).all() and (result[:9] == 10).all() and (result[:, 73:] == 10).all()
    empty = lay_back(photo, faces[:0], [])
    np.testing.assert_array_equal(empty, photo)
    assert empty is not photo
