import shutil
import tempfile
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from tests.layouts import bu4dfe
from tests.layouts.faces import MiddleDetector
from tfface.data.datasets import base
from tfface.data.datasets.bu4dfe.bu4dfe_dataset_builder import Builder
from tfface.data.datasets.bu4dfe.delivery import SUBJECTS, read_delivery, there_and_back
from tfface.facs.expressions import BU4DFE_EXPRESSIONS


@pytest.fixture(autouse=True)
def stub_detector(monkeypatch):
    monkeypatch.setattr(base, "create_detector", lambda name, model: MiddleDetector())


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test: six sequences of five pictures."""

    DATASET_CLASS = Builder
    SPLITS = {"subject_F001": 30, "subject_M043": 30}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        bu4dfe.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture
def folder(tmp_path):
    bu4dfe.make(tmp_path / "BU_4DFE", subjects=("F001",))
    return tmp_path / "BU_4DFE"


def test_a_sequence_rises_and_falls(folder):
    assert len(SUBJECTS) == 101
    delivered = read_delivery(folder)
    assert delivered.expressions == BU4DFE_EXPRESSIONS
    assert delivered.missing == ["subjects missing: F002-F058, M001-M043"]
    happy = [frame for frame in delivered.frames if frame.sequence == "F001_Happy"]
    assert [(frame.frame, frame.phase) for frame in happy] == [
        (0, 0),
        (1, 0.5),
        (2, 1),
        (3, 0.5),
        (4, 0),
    ]
    assert {frame.expression for frame in happy} == {3}
    assert happy[0].key == "F001/Happy/000"


def test_phases_are_highest_in_the_middle():
    assert there_and_back(1) == [1]
    assert there_and_back(4) == pytest.approx([0, 2 / 3, 2 / 3, 0])


def test_missing_and_unknown_classes_and_a_wrong_folder(folder):
    shutil.rmtree(folder / "F001/Sad")
    assert read_delivery(folder).missing[0] == "F001: no pictures of sadness"
    (folder / "F001/Fear").rename(folder / "F001/Scared")
    with pytest.raises(ValueError, match="F001/Scared: must be one of Angry, .*'Scared'"):
        read_delivery(folder)
    with pytest.raises(ValueError, match="must hold a folder a subject, F001 to .*Angry, Disgust"):
        read_delivery(folder / "F001")
