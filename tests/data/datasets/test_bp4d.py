import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.layouts import bp4d
from tests.layouts.faces import spontaneous
from tfface.data.datasets.bp4d.bp4d_dataset_builder import Builder
from tfface.data.datasets.bp4d.delivery import read_delivery
from tfface.data.datasets.checking import look_at
from tfface.data.datasets.prepare import prepare
from tfface.facs.action_units import BP4D_AUS


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test: of two tasks of three coded pictures, one has the code 9 alone."""

    DATASET_CLASS = Builder
    SPLITS = {"subject_F001": 5, "subject_M002": 5}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        bp4d.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    bp4d.make(folder, subjects=("F001",))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "BP4D")
    return tmp_path / "BP4D"


def table(folder, task="T1"):
    return folder / f"AUCoding/AU_OCC/F001_{task}.csv"


def edit(file, line, cell, text):
    """Puts a text into one cell of a comma separated file, both counted from 0."""
    rows = [row.split(",") for row in file.read_text().splitlines()]
    rows[line][cell] = text
    file.write_text("\n".join(",".join(row) for row in rows) + "\n")


def test_labels_are_those_of_the_tables(folder):
    at = bp4d.HEADER.index(12) + 1
    edit(table(folder), 1, at, "1")
    edit(table(folder), 2, at, "9")
    edit(folder / "AUCoding/AU_INT/AU12/F001_T1_AU12.csv", 0, 1, "4")
    edit(folder / "AUCoding/AU_INT/AU12/F001_T1_AU12.csv", 1, 1, "9")
    delivered = read_delivery(folder)
    assert delivered.action_units == BP4D_AUS
    frames = {frame.key: frame for frame in delivered.frames}
    assert list(frames) == [f"F001/T1/{n}" for n in (2440, 2441)] + [
        f"F001/T2/{n}" for n in (2440, 2441, 2442)
    ]
    # T1: one picture uncoded, one with the code 9 alone; T2: one uncoded.
    assert delivered.without_labels == {"F001_T1": 2, "F001_T2": 1}
    first, second = frames["F001/T1/2440"], frames["F001/T1/2441"]
    assert (first.subject, first.sequence, first.frame) == ("F001", "F001_T1", 2440)
    place = BP4D_AUS.index(12)
    assert (first.au[place], first.au_intensity[place]) == (1, 4)
    assert np.isnan(second.au[place]) and np.isnan(second.au_intensity[place])
    shown = spontaneous("F001", 8)[4]["intensity"]  # the first picture of T2
    third = frames["F001/T2/2440"]
    for unit, au, intensity in zip(BP4D_AUS, third.au, third.au_intensity, strict=True):
        assert au == (shown[unit] >= 1)
        if unit in bp4d.INTENSITIES:
            assert intensity == round(float(shown[unit]))
        else:
            assert np.isnan(intensity)


@pytest.mark.parametrize("write", [bp4d.write_new_mat, bp4d.write_old_mat])
def test_landmarks_of_either_version_and_of_a_lost_face(folder, write):
    points = [np.full((49, 2), 10.0 * n) + np.arange(98).reshape(49, 2) for n in range(4)]
    write(folder / "2DFeatures/F001_T2.mat", [points[0], None, *points[2:]])
    frames = [f for f in read_delivery(folder).frames if f.sequence == "F001_T2"]
    assert frames[1].landmarks is None
    found = frames[2].landmarks
    assert found.shape == (68, 2)
    assert np.isnan(found[:17]).all() and np.isnan(found[[60, 64]]).all()
    np.testing.assert_array_equal(found[17], [20, 21])  # the first of the 49
    np.testing.assert_array_equal(found[67], [116, 117])  # the last: 20 + 96, 20 + 97
    np.testing.assert_array_equal(frames[0].landmarks[36], [38, 39])  # the 20th: 2 x 19


def test_records_and_report(folder, tmp_path):
    report = prepare("bp4d", folder, tmp_path / "out", workers=2)
    assert (report["frames"], report["kept"]) == (5, 5)
    assert report["without_labels"] == {"F001_T1": 2, "F001_T2": 1}
    counted = report["action_units"]["12"]
    assert sum(counted.values()) == 5
    builder = tfds.builder_from_directory(report["directory"])
    assert builder.info.metadata["action_units"] == list(BP4D_AUS)
    records = list(tfds.as_numpy(builder.as_dataset(split="subject_F001")))
    assert sum(record["au"][BP4D_AUS.index(12)] for record in records) == counted["present"]
    for record in records:
        eyes = [record["landmarks"][36:42].mean(axis=0), record["landmarks"][42:48].mean(axis=0)]
        np.testing.assert_allclose(eyes, [[66.5, 79.5], [132.5, 79.5]], atol=8)
        assert np.isnan(record["landmarks"][:17]).all()


def test_pictures_may_lie_in_2d_with_names_of_three_digits(folder):
    (folder / "Sequences(2D+3D)").rename(folder / "2D")
    for task in ("T1", "T2"):
        for file in sorted((folder / f"2D/F001/{task}").iterdir()):
            file.rename(file.with_name(f"{int(file.stem) - 2440:03d}.jpg"))
        for file in [table(folder, task), *folder.glob(f"AUCoding/AU_INT/*/*_{task}_*")]:
            file.write_text(file.read_text().replace("\n244", "\n"))
            file.write_text(file.read_text().removeprefix("244"))
    assert [frame.key for frame in read_delivery(folder).frames][-3:] == [
        "F001/T2/000",
        "F001/T2/001",
        "F001/T2/002",
    ]


def test_what_is_missing_is_named(folder):
    bp4d.make(folder, subjects=("M002",), tasks=("T1", "T2", "T3"))
    (folder / "Sequences(2D+3D)/F001/T2/2441.jpg").unlink()
    (folder / "Sequences(2D+3D)/F001/T2/2442.jpg").unlink()
    (folder / "AUCoding/AU_INT/AU06/M002_T1_AU06.csv").unlink()
    (folder / "2DFeatures/M002_T1.mat").unlink()
    points = [np.zeros((49, 2))] * 2
    bp4d.write_old_mat(folder / "2DFeatures/M002_T2.mat", points)
    shutil.rmtree(folder / "Sequences(2D+3D)/M002/T3")
    missing = read_delivery(folder).missing
    assert [line for line in missing if "T3" in line or "T2" in line or "T1" in line] == [
        "F001_T2: 2 pictures that landmarks are there for, so that none can be assigned and the "
        "detector finds the faces",
        "F001_T2: pictures of coded frames 2441-2442",
        "F001_T3: no pictures in Sequences(2D+3D)/F001/T3 and no table F001_T3.csv in AU_OCC",
        "M002_T1: no intensities of AU6 in AU_INT",
        "M002_T1: no landmarks M002_T1.mat in 2DFeatures",
        "M002_T2: landmarks of 2 of 4 pictures",
        "M002_T3: no pictures in Sequences(2D+3D)/M002/T3",
    ]
    assert missing[-1].startswith("subjects missing: F002-F023, M001, M003-M018")


def test_pictures_without_a_table_are_counted(folder):
    table(folder, "T2").unlink()
    delivered = read_delivery(folder)
    assert delivered.without_labels == {"F001_T1": 2, "F001_T2": 4}
    assert "F001_T2: no table F001_T2.csv in AU_OCC" in delivered.missing


def test_only_tables_and_pictures_are_needed(folder):
    shutil.rmtree(folder / "2DFeatures")
    shutil.rmtree(folder / "AUCoding/AU_INT")
    delivered = read_delivery(folder)
    assert list(delivered.missing[:2]) == [
        "AU_INT: no such folder, so no intensity is known",
        "2DFeatures: no such folder, so the detector finds the faces",
    ]
    assert all(frame.landmarks is None for frame in delivered.frames)
    assert np.isnan([frame.au_intensity for frame in delivered.frames]).all()


def test_a_table_with_other_aus(folder):
    file = table(folder)
    edit(file, 0, bp4d.HEADER.index(12) + 1, "99")
    edit(file, 0, bp4d.HEADER.index(4) + 1, "98")
    with pytest.raises(
        ValueError, match=r"F001_T1\.csv: line 1: must name the AUs 1, 2, 4, 6,"
    ) as e:
        read_delivery(folder)
    assert "Missing: 4, 12. Received: 1, 2, 98, 5" in str(e.value)


@pytest.mark.parametrize(
    ("line", "cell", "text", "expected"),
    [
        (2, 1, "2", r"F001_T1\.csv: line 3: must hold 0, 1 or 9\. Received: 2"),
        (2, 1, "x", r"F001_T1\.csv: line 3: must be numbers"),
        (2, 1, "0,0", r"F001_T1\.csv: line 3: must have 24 cells, as the first. Received: 25"),
        (2, 0, "2440.5", r"F001_T1\.csv: line 3: must begin with a frame's number"),
        (2, 0, "2440", r"F001_T1\.csv: must hold each frame once"),
    ],
)
def test_a_broken_table(folder, line, cell, text, expected):
    edit(table(folder), line, cell, text)
    with pytest.raises(ValueError, match=expected):
        read_delivery(folder)


def test_all_broken_tables_are_told_at_once(folder):
    edit(table(folder, "T1"), 1, 1, "7")
    intensities = folder / "AUCoding/AU_INT/AU06/F001_T2_AU06.csv"
    intensities.write_text("2440,6\n")
    (folder / "AUCoding/AU_OCC/summary.csv").write_text("1\n")
    with pytest.raises(ValueError, match="AU_OCC") as error:
        read_delivery(folder)
    places = [line.partition(":")[0] for line in str(error.value).splitlines()]
    assert [Path(place).name for place in places] == [
        "summary.csv",
        "F001_T1.csv",
        "F001_T2_AU06.csv",
    ]


def test_landmarks_that_are_none(folder):
    file = folder / "2DFeatures/F001_T1.mat"
    file.write_bytes(b"not a mat file" * 50)
    with pytest.raises(ValueError, match=r"F001_T1\.mat: cannot be read as a \.mat file"):
        read_delivery(folder)
    bp4d.write_old_mat(file, [np.zeros((66, 2))] * 4)
    with pytest.raises(ValueError, match=r"F001_T1\.mat: `points` must have shape \(\.\.\., 49, 2"):
        read_delivery(folder)


def test_a_truncated_picture_among_others_is_named_and_the_others_go_on(folder, tmp_path):
    picture = folder / "Sequences(2D+3D)/F001/T1/2441.jpg"
    picture.write_bytes(picture.read_bytes()[:700])
    found = look_at("bp4d", folder)
    assert (found.subjects, found.sequences, found.frames) == (1, 2, 5)
    assert (found.with_landmarks, found.without_labels, found.opened) == (5, 3, 5)
    assert len(found.unreadable) == 1
    assert not found.whole
    report = prepare("bp4d", folder, tmp_path / "out")
    assert report["kept"] == 4
    (named,) = report["unreadable"]
    assert named["frame"] == "F001/T1/2441"
    assert "cannot be read as a picture" in named["reason"]


def test_a_wrong_folder(folder):
    with pytest.raises(ValueError, match=r"must hold Sequences\(2D\+3D\) or 2D, AUCoding/AU_OCC"):
        read_delivery(folder / "AUCoding")
    for file in (folder / "AUCoding/AU_OCC").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"AU_OCC: must hold tables such as F001_T1\.csv"):
        read_delivery(folder)
