import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds

from tests.layouts import disfa
from tests.layouts.faces import spontaneous
from tfface.data.datasets.checking import look_at
from tfface.data.datasets.disfa.delivery import CODED_AUS, read_delivery
from tfface.data.datasets.disfa.disfa_dataset_builder import Builder
from tfface.data.datasets.frames import VideoPicture
from tfface.data.datasets.prepare import prepare
from tfface.facs.action_units import DISFA_AUS


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test of two subjects."""

    DATASET_CLASS = Builder
    SPLITS = {"subject_SN001": 4, "subject_SN009": 4}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        disfa.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    disfa.make(folder, subjects=("SN001", "SN009"), frames=4)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "DISFA")
    return tmp_path / "DISFA"


def labels(folder, unit, subject="SN001"):
    return folder / f"ActionUnit_Labels/{subject}/{subject}_au{unit}.txt"


def test_labels_are_those_of_the_files(folder):
    labels(folder, 12).write_text("1,0\n2,1\n3,2\n4,5\n")
    labels(folder, 5).write_text("1,0\n2,1\n3,2\n4,5\n")
    delivered = read_delivery(folder)
    assert delivered.action_units == CODED_AUS == (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    frames = [frame for frame in delivered.frames if frame.subject == "SN001"]
    assert [(frame.key, frame.sequence, frame.frame) for frame in frames] == [
        (f"SN001/000{number}", "SN001", number) for number in (1, 2, 3, 4)
    ]
    video = folder / "Videos_LeftCamera/LeftVideoSN001_comp.avi"
    assert [frame.photo for frame in frames] == [VideoPicture(video, n) for n in range(4)]
    twelve, five = CODED_AUS.index(12), CODED_AUS.index(5)
    # Present from an intensity of 2 on, for the papers' eight AUs.
    assert [frame.au[twelve] for frame in frames] == [0, 0, 1, 1]
    assert [frame.au_intensity[twelve] for frame in frames] == [0, 1, 2, 5]
    assert np.isnan([frame.au[five] for frame in frames]).all()
    assert [frame.au_intensity[five] for frame in frames] == [0, 1, 2, 5]
    known = [unit for unit, au in zip(CODED_AUS, frames[0].au, strict=True) if not np.isnan(au)]
    assert tuple(known) == DISFA_AUS


def test_each_frame_has_its_own_picture_landmarks_and_labels(folder, tmp_path):
    report = prepare("disfa", folder, tmp_path / "out", workers=2)
    assert (report["frames"], report["kept"]) == (8, 8)
    assert report["missing"] == ["subjects missing: SN002-SN008, SN010-SN032"]
    builder = tfds.builder_from_directory(report["directory"])
    for subject in ("SN001", "SN009"):
        recorded = spontaneous(subject, 4)
        records = list(tfds.as_numpy(builder.as_dataset(split=f"subject_{subject}")))
        for record in records:
            shown = recorded[record["frame"] - 1]
            # The brightness of a face tells which frame of the video was cut: light changes.
            differences = [abs(record["image"].mean() - brightness(each)) for each in recorded]
            assert np.argmin(differences) == record["frame"] - 1
            levels = [round(float(shown["intensity"][unit])) for unit in CODED_AUS]
            np.testing.assert_array_equal(record["au_intensity"], levels)
            points = record["landmarks"]
            assert np.isnan(points[[60, 64]]).all()
            before = shown["landmarks"]
            ratios = [
                np.linalg.norm(p[0] - p[16]) / np.linalg.norm(p[27] - p[8])
                for p in (before, points)
            ]
            assert ratios[0] == pytest.approx(ratios[1], rel=1e-3)


def brightness(frame):
    """The mean over about what the aligned crop shows: the drawn face without the picture's rim."""
    return frame["image"][16:112, 40:136].mean()


def test_a_video_that_ends_early_and_damaged_landmarks_are_named(folder, tmp_path):
    disfa.write_video(
        folder / "Videos_LeftCamera/LeftVideoSN001_comp.avi", spontaneous("SN001", 4)[:2]
    )
    points = folder / "Landmark_Points/SN009/tmp_frame_lm"
    (points / "l00002_lm.mat").write_bytes(b"nothing")
    scipy.io.savemat(points / "l00003_lm.mat", {"points": np.zeros((66, 2))})
    delivered = read_delivery(folder)
    assert delivered.missing[0] == ("LeftVideoSN001_comp.avi: 2 frames; 2 are there for 4 labels")
    report = prepare("disfa", folder, tmp_path / "out")
    assert report["kept"] == 4
    reasons = {each["frame"]: each["reason"] for each in report["unreadable"]}
    assert list(reasons) == ["SN001/0003", "SN001/0004", "SN009/0002", "SN009/0003"]
    for number in (3, 4):
        assert (
            f"must have a frame {number}. Received: a video that ends after 2 frames."
            in reasons[f"SN001/000{number}"]
        )
    assert "l00002_lm.mat: cannot be read as a .mat file" in reasons["SN009/0002"]
    assert "must hold a variable 'pts'" in reasons["SN009/0003"]


def test_what_is_missing_is_named(folder):
    (folder / "Videos_LeftCamera/LeftVideoSN009_comp.avi").unlink()
    points = folder / "Landmark_Points/SN001/tmp_frame_lm"
    for number in (1, 2):
        (points / f"SN001_000{number}_lm.mat").unlink()
    delivered = read_delivery(folder)
    assert delivered.missing == [
        "SN001: landmarks of frames 2-3",
        "SN009: no LeftVideoSN009_comp.avi in Videos_LeftCamera",
        "subjects missing: SN002-SN032",
    ]
    assert [frame.landmarks is None for frame in delivered.frames] == [False, True, True, False]
    shutil.rmtree(folder / "Landmark_Points")
    assert read_delivery(folder).missing[0].startswith("Landmark_Points: no such folder")


def test_a_look_opens_each_video(folder):
    (folder / "Videos_LeftCamera/LeftVideoSN009_comp.avi").write_bytes(b"not a video" * 99)
    found = look_at("disfa", folder)
    assert (found.subjects, found.frames, found.opened) == (2, 8, 2)
    (line,) = found.unreadable
    assert "LeftVideoSN009_comp.avi: must be a video" in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,0\n2,0\n3,0\n4,6\n", r"SN001_au12\.txt: line 4: must be a frame .*\[4\.0, 6\.0\]"),
        ("1,0\n2,0\n3,0\n4\n", r"SN001_au12\.txt: line 4: must be a frame"),
        ("1,0\n2,0\n3,high\n4,1\n", r"SN001_au12\.txt: line 3: must be numbers"),
        ("1,0\n2,0\n3,0\n", r"must label the same frames as SN001_au1\.txt, 4. Received: 3"),
        ("", r"must label the same frames as SN001_au1\.txt, 4. Received: 0"),
    ],
)
def test_wrong_labels_stop_the_build_with_their_file(folder, text, expected):
    labels(folder, 12).write_text(text)
    with pytest.raises(ValueError, match=expected):
        read_delivery(folder)


def test_labels_of_other_aus(folder):
    labels(folder, 12).rename(labels(folder, 10))
    with pytest.raises(ValueError, match=r"ActionUnit_Labels/SN001: must hold SN001_au<N>\.txt"):
        read_delivery(folder)


def test_a_wrong_folder(folder):
    with pytest.raises(ValueError, match="must hold Videos_LeftCamera, ActionUnit_Labels"):
        read_delivery(folder / "Videos_LeftCamera")
    (folder / "ActionUnit_Labels/SN001").rename(folder / "ActionUnit_Labels/SN014")
    with pytest.raises(ValueError, match="SN014: must be a subject of DISFA"):
        read_delivery(folder)
    shutil.rmtree(folder / "ActionUnit_Labels/SN014")
    shutil.rmtree(folder / "ActionUnit_Labels/SN009")
    with pytest.raises(ValueError, match="must hold a folder a subject, SN001 and so on"):
        read_delivery(folder)
