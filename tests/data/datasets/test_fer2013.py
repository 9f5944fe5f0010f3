import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.layouts import fer2013
from tfface.data.datasets.fer2013.delivery import read_delivery
from tfface.data.datasets.fer2013.fer2013_dataset_builder import Builder
from tfface.data.datasets.prepare import prepare
from tfface.data.folds import make_fold
from tfface.data.source import FaceSource
from tfface.facs.expressions import FER2013_EXPRESSIONS


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test: of four faces two are for training."""

    DATASET_CLASS = Builder
    SPLITS = {"train": 6, "validation": 3, "test": 3}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        fer2013.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture
def folder(tmp_path):
    fer2013.make(tmp_path / "fer", faces=8)
    return tmp_path / "fer"


def edit(folder, line, column, text):
    """Replaces a cell of a line, counted from 1."""
    lines = (folder / "fer2013.csv").read_text().splitlines()
    cells = lines[line - 1].split(",")
    cells[column] = text
    lines[line - 1] = ",".join(cells)
    (folder / "fer2013.csv").write_text("\n".join(lines))


def test_faces_splits_and_classes_are_those_of_the_table(folder, tmp_path):
    report = prepare("fer2013", folder, tmp_path / "out")
    assert (report["frames"], report["kept"], report["subjects"]) == (8, 8, 0)
    assert report["missing"] == ["fer2013.csv: 35887 faces were published, 8 are here"]
    source = FaceSource.open(report["directory"])
    assert source.expressions == FER2013_EXPRESSIONS
    fold = make_fold(source, "own", 0)
    assert (fold.train, fold.validation, fold.test) == (("train",), ("validation",), ("test",))
    (record,) = (r for r in source.records(["validation"]).as_numpy_iterator() if r["frame"] == 2)
    # The third line of faces: 0 anger, then contempt (here neutral), then 1 disgust.
    assert (record["expression"], record["subject"]) == (1, b"")
    text = (folder / "fer2013.csv").read_text().splitlines()[3].split(",")[1]
    gray = np.array(text.split(), np.uint8).reshape(48, 48)
    shrunk = cv2.resize(record["image"], (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk[..., 0].astype(int) - gray).mean() < 4
    assert np.isnan(record["landmarks"]).all()


def test_broken_pixels_are_named_and_the_others_go_on(folder, tmp_path):
    edit(folder, 3, 1, "1 2 3")
    edit(folder, 4, 1, " ".join(["256"] * 2304))
    edit(folder, 5, 1, " ".join(["x"] * 2304))
    report = prepare("fer2013", folder, tmp_path / "out")
    assert report["kept"] == 5
    reasons = {each["frame"]: each["reason"] for each in report["unreadable"]}
    assert list(reasons) == ["line 3", "line 4", "line 5"]
    assert reasons["line 3"].endswith("48 x 48 values from 0 to 255. Received: 3 values.")
    assert reasons["line 5"].endswith("line 5: pixels must be whole numbers.")


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        (0, "7", r"fer2013\.csv: line 2: emotion must be 0 to 6. Received: '7'"),
        (0, "joy", r"fer2013\.csv: line 2: emotion must be 0 to 6. Received: 'joy'"),
        (2, "Test", r"line 2: Usage must be one of Training, PublicTest, PrivateTest"),
    ],
)
def test_unknown_classes_and_usages(folder, column, text, expected):
    edit(folder, 2, column, text)
    with pytest.raises(ValueError, match=expected):
        read_delivery(folder)


def test_a_wrong_folder_and_another_table(folder):
    with pytest.raises(ValueError, match=r"must hold fer2013\.csv. Received: fer"):
        read_delivery(folder.parent)
    edit(folder, 1, 0, "label")
    with pytest.raises(ValueError, match="line 1: must name the columns emotion, pixels, Usage"):
        read_delivery(folder)
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n")
    with pytest.raises(ValueError, match="must hold a line a face"):
        read_delivery(folder)
