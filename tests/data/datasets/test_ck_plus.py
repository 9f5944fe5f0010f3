import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.layouts import ck_plus
from tfface.data.datasets.ck_plus.ck_plus_dataset_builder import Builder
from tfface.data.datasets.ck_plus.delivery import CODED_AUS, read_delivery
from tfface.data.datasets.prepare import prepare
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test: two labeled sequences' worth of frames a subject, and a lone peak."""

    DATASET_CLASS = Builder
    # Of each subject 3 frames of sequence 001, and the peak of 002, which has no emotion.
    SPLITS = {"subject_S005": 4, "subject_S010": 4, "subject_S506": 4}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        ck_plus.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    ck_plus.make(folder, subjects=("S005", "S010"), expressions=2, frames=3)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "CK+")
    return tmp_path / "CK+"


def test_labels_are_those_of_the_files(folder):
    facs = folder / "FACS/S005/001/S005_001_00000003_facs.txt"
    facs.write_text("   4.0000000e+00   3.0000000e+00\n   2.4000000e+01   0.0000000e+00\n")
    delivered = read_delivery(folder)
    assert delivered.action_units == CODED_AUS
    assert delivered.expressions == CK_PLUS_EXPRESSIONS
    frames = {frame.key: frame for frame in delivered.frames}
    assert list(frames) == [
        f"{subject}_{name}"
        for subject in ("S005", "S010")
        for name in ("001_00000001", "001_00000002", "001_00000003", "002_00000003")
    ]
    assert delivered.without_labels == {"S005_002": 2, "S010_002": 2}
    first, middle, peak = (frames[f"S005_001_0000000{number}"] for number in (1, 2, 3))
    assert [frame.phase for frame in (first, middle, peak)] == [0, 0.5, 1]
    assert [frame.expression for frame in (first, middle, peak)] == [0, 0, 0]  # label 1: anger
    assert (peak.subject, peak.sequence, peak.frame) == ("S005", "S005_001", 3)
    assert np.isnan(first.au).all() and np.isnan(middle.au_intensity).all()
    presence = {unit: float(unit in (4, 24)) for unit in CODED_AUS}
    assert dict(zip(CODED_AUS, peak.au, strict=True)) == presence
    intensity = dict(zip(CODED_AUS, peak.au_intensity, strict=True))
    assert intensity.pop(4) == 3
    assert np.isnan(intensity.pop(24))  # present, but how strongly was not given
    assert set(intensity.values()) == {0}
    lone = frames["S005_002_00000003"]
    assert (lone.expression, lone.phase) == (-1, 1)
    assert np.isfinite(lone.au).all()


def test_records_have_the_landmarks_of_the_file(folder, tmp_path):
    report = prepare("ck_plus", folder, tmp_path / "out")
    assert (report["frames"], report["kept"], report["unreadable"]) == (8, 8, [])
    assert report["without_labels"] == {"S005_002": 2, "S010_002": 2}
    assert report["missing"] == ["subjects: 123 were published, 2 are here"]
    assert report["expressions"]["anger"] == 6
    assert report["expressions"]["not labeled"] == 2
    builder = tfds.builder_from_directory(report["directory"])
    records = list(tfds.as_numpy(builder.as_dataset(split="subject_S010")))
    (record,) = (r for r in records if r["frame"] == 2)
    points = np.loadtxt(folder / "Landmarks/S010/001/S010_001_00000002_landmarks.txt")
    assert record["image"].shape == (200, 200, 3)
    assert (record["sequence"], record["expression"]) == (b"S010_001", 0)
    # A similarity keeps the ratio of distances: eyes apart (36 to 45) over mouth (48 to 54).
    before, after = points, record["landmarks"]
    ratios = [
        np.linalg.norm(p[36] - p[45]) / np.linalg.norm(p[48] - p[54]) for p in (before, after)
    ]
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-3)
    # The eye centers lie about where the canonical crop has them, at 0.335, 0.4 and 0.665, 0.4.
    np.testing.assert_allclose(after[36:42].mean(axis=0), [66.5, 79.5], atol=8)
    np.testing.assert_allclose(after[42:48].mean(axis=0), [132.5, 79.5], atol=8)


def test_a_truncated_picture_and_broken_landmarks_are_named(folder, tmp_path):
    picture = folder / "cohn-kanade-images/S005/001/S005_001_00000002.png"
    picture.write_bytes(picture.read_bytes()[:500])
    points = folder / "Landmarks/S010/001/S010_001_00000003_landmarks.txt"
    points.write_text("1 2\n3 4\n")
    report = prepare("ck_plus", folder, tmp_path / "out")
    assert report["kept"] == 6
    reasons = {each["frame"]: each["reason"] for each in report["unreadable"]}
    assert list(reasons) == ["S005_001_00000002", "S010_001_00000003"]
    assert "cannot be read as a picture" in reasons["S005_001_00000002"]
    assert "must hold 68 lines of x and y. Received: 2 lines." in reasons["S010_001_00000003"]


def test_what_is_missing_is_named(folder):
    shutil.rmtree(folder / "FACS")
    (folder / "Landmarks/S005/001/S005_001_00000002_landmarks.txt").unlink()
    for file in (folder / "cohn-kanade-images/S010/002").iterdir():
        file.unlink()
    delivered = read_delivery(folder)
    assert delivered.missing == [
        "FACS: no such folder, so no AU is known",
        "S005_001: landmarks of 1 of 3 pictures",
        f"S010_002: no pictures in {folder / 'cohn-kanade-images/S010/002'}",
        "subjects: 123 were published, 2 are here",
    ]
    # Without FACS a sequence without an emotion has no label at all.
    assert delivered.without_labels == {"S005_002": 3}
    landmarks = {frame.key: frame.landmarks for frame in delivered.frames}
    assert landmarks["S005_001_00000002"] is None
    assert landmarks["S005_001_00000001"] is not None


def test_a_label_0_is_no_class(folder):
    file = folder / "Emotion/S005/001/S005_001_00000003_emotion.txt"
    file.write_text("   0.0000000e+00\n")
    assert "S005_001" in read_delivery(folder).without_labels


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("Emotion/S005/001/S005_001_00000003_emotion.txt", "8", "must be one number from 0 to 7"),
        ("Emotion/S005/001/S005_001_00000003_emotion.txt", "joy", "line 1: must be numbers"),
        ("Emotion/S005/001/S005_001_00000001_emotion.txt", "1", r"must hold one \*_emotion.txt"),
        ("FACS/S005/001/S005_001_00000003_facs.txt", "4 6", "an AU and its intensity, 0 to 5"),
        ("FACS/S005/001/S005_001_00000003_facs.txt", "4", "an AU and its intensity, 0 to 5"),
        ("cohn-kanade-images/S005/001/S010_001_00000001.png", "", "must be named S005_001_<8"),
    ],
)
def test_wrong_labels_stop_the_build_with_their_file(folder, path, content, expected):
    (folder / path).write_text(content)
    with pytest.raises(ValueError, match=expected) as error:
        read_delivery(folder)
    assert str(error.value).startswith(str(folder / Path(path).parent))


def test_codes_of_another_picture_than_the_last(folder):
    facs = folder / "FACS/S005/001"
    (facs / "S005_001_00000003_facs.txt").rename(facs / "S005_001_00000002_facs.txt")
    with pytest.raises(ValueError, match="must code the last picture, S005_001_00000003"):
        read_delivery(folder)


def test_a_wrong_folder(folder):
    with pytest.raises(ValueError, match=r"must hold cohn-kanade-images, Emotion\.") as error:
        read_delivery(folder / "Emotion")
    assert "Missing: cohn-kanade-images, Emotion. Received: S005, S010." in str(error.value)
    with pytest.raises(ValueError, match=rf"Received: CK\+; they are in {folder.parent}/CK\+"):
        read_delivery(folder.parent)
