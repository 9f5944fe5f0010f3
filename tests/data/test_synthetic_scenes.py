"""Photos of synthetic people, and the contact sheet."""

import itertools

import cv2
import numpy as np
import pytest

from tfface.data.detection import create_detector
from tfface.data.synthetic import contact_sheet, photo
from tfface.facs.landmarks import anchors


@pytest.mark.parametrize(("faces", "size"), [(0, (60, 80)), (1, (200, 160)), (3, (240, 320))])
def test_a_photo_holds_the_faces_asked_for(faces, size):
    picture, landmarks = photo(3, faces, size)
    assert picture.shape == (*size, 3) and picture.dtype == np.uint8
    assert len(landmarks) == faces
    middles = [points.mean(axis=0) for points in landmarks]
    for points in landmarks:
        assert points.shape == (68, 2)
        assert (points >= 0).all() and (points < (size[1], size[0])).all()
    assert all(a[0] < b[0] for a, b in itertools.pairwise(middles))


def test_the_same_seed_gives_the_same_photo():
    np.testing.assert_array_equal(photo(1, 1, (96, 128))[0], photo(1, 1, (96, 128))[0])
    assert (photo(1, 1, (96, 128))[0] != photo(2, 1, (96, 128))[0]).any()


@pytest.mark.slow
def test_a_detector_finds_the_faces_where_they_are():
    detector, found, total = create_detector("mtcnn"), 0, 0
    for seed in range(8):
        picture, people = photo(seed, 1 + seed % 3)
        faces = detector.detect(picture)
        for landmarks in people:
            right, left, _ = anchors(landmarks)
            between = np.linalg.norm(left - right)
            total += 1
            found += any(
                np.linalg.norm(face.points[:2] - (right, left), axis=-1).max() < 0.2 * between
                for face in faces
            )
    assert found >= 0.9 * total


def test_the_contact_sheet_is_a_picture(tmp_path):
    sheet = contact_sheet(tmp_path / "sheet.png", size=32)
    read = cv2.imread(str(tmp_path / "sheet.png"))
    np.testing.assert_array_equal(read[..., ::-1], sheet)
    assert sheet.std() > 30
