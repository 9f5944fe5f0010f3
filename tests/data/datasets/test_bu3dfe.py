import shutil
import tempfile
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from tests.layouts import bu3dfe
from tests.layouts.faces import MiddleDetector
from tfface.data.datasets import base
from tfface.data.datasets.bu3dfe.bu3dfe_dataset_builder import Builder
from tfface.data.datasets.bu3dfe.delivery import SUBJECTS, read_delivery
from tfface.data.datasets.prepare import prepare
from tfface.facs.expressions import BU3DFE_EXPRESSIONS


@pytest.fixture(autouse=True)
def stub_detector(monkeypatch):
    monkeypatch.setattr(base, "create_detector", lambda name, model: MiddleDetector())


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test: four levels of six expressions, and a neutral face."""

    DATASET_CLASS = Builder
    SPLITS = {"subject_F0001": 25, "subject_M0044": 25}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        bu3dfe.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    bu3dfe.make(folder, subjects=("F0001",))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "BU_3DFE")
    return tmp_path / "BU_3DFE"


def test_a_name_says_class_and_level(folder):
    assert len(SUBJECTS) == 100
    delivered = read_delivery(folder)
    assert delivered.expressions == BU3DFE_EXPRESSIONS
    assert delivered.missing == ["subjects missing: F0002-F0056, M0001-M0044"]
    frames = {frame.key: frame for frame in delivered.frames}
    assert len(frames) == 25
    fear, neutral = frames["F0001_FE03WH_F2D"], frames["F0001_NE00WH_F2D"]
    assert (fear.subject, fear.sequence, fear.frame) == ("F0001", "F0001_FE", 3)
    assert (fear.expression, fear.phase) == (2, 0.75)
    assert (neutral.expression, neutral.frame, neutral.phase) == (4, 0, 0)


def test_a_damaged_bmp_is_named(folder, tmp_path):
    picture = folder / "F0001/F0001_HA04WH_F2D.bmp"
    picture.write_bytes(picture.read_bytes()[:300])
    (folder / "F0001/F0001_HA03WH_F2D.bmp").unlink()
    report = prepare("bu3dfe", folder, tmp_path / "out")
    assert (report["frames"], report["kept"]) == (24, 23)
    assert [each["frame"] for each in report["unreadable"]] == ["F0001_HA04WH_F2D"]
    assert report["missing"][0] == "F0001: 1 of 25 pictures"
    assert report["expressions"]["happiness"] == 2


@pytest.mark.parametrize(
    "name",
    [
        "F0001_XX01WH_F2D.bmp",
        "F0002_AN01WH_F2D.bmp",
        "F0001_AN05WH_F2D.bmp",
        "F0001_NE01WH_F2D.bmp",
    ],
)
def test_unknown_classes_levels_and_people(folder, name):
    (folder / "F0001/F0001_AN01WH_F2D.bmp").rename(folder / "F0001" / name)
    with pytest.raises(ValueError, match=f"{name}: must be named F0001_<class><level>") as error:
        read_delivery(folder)
    assert "the class one of AN, DI, FE, HA, NE, SA, SU" in str(error.value)


def test_a_wrong_folder(folder):
    with pytest.raises(ValueError, match=r"must hold pictures such as F0001/.*Received: F0001_AN"):
        read_delivery(folder / "F0001")
