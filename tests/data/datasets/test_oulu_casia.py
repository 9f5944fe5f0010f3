import shutil
import tempfile
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from tests.layouts import oulu_casia
from tests.layouts.faces import MiddleDetector
from tfface.data.datasets import base
from tfface.data.datasets.oulu_casia.delivery import read_delivery
from tfface.data.datasets.oulu_casia.oulu_casia_dataset_builder import Builder
from tfface.data.datasets.prepare import prepare
from tfface.data.datasets.request import RequestError
from tfface.facs.expressions import OULU_CASIA_EXPRESSIONS


@pytest.fixture(autouse=True)
def stub_detector(monkeypatch):
    monkeypatch.setattr(base, "create_detector", lambda name, model: MiddleDetector())


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test of two recordings."""

    DATASET_CLASS = Builder
    SPLITS = {"subject_P001": 12, "subject_P002": 12}  # noqa: RUF012
    BUILDER_CONFIG_NAMES_TO_TEST = ["vl_strong", "ni_dark"]  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        oulu_casia.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    oulu_casia.make(folder, subjects=("P001",))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "OriginalImg")
    return tmp_path / "OriginalImg"


def test_folders_say_subject_expression_and_phase(folder):
    strong = folder / "VL/Strong/P001"
    shutil.copy(strong / "Fear/001.jpeg", strong / "Fear/010.jpeg")
    delivered = read_delivery(folder, "VL", "Strong")
    assert delivered.expressions == OULU_CASIA_EXPRESSIONS
    assert delivered.action_units == ()
    assert delivered.missing == ["subjects missing: P002-P080"]
    fear = [frame for frame in delivered.frames if frame.sequence == "P001_Fear"]
    assert [(frame.key, frame.frame, frame.phase) for frame in fear] == [
        ("P001/Fear/000", 0, 0.0),
        ("P001/Fear/001", 1, 0.5),
        ("P001/Fear/010", 10, 1.0),
    ]
    assert {frame.expression for frame in fear} == {2}
    assert len(delivered.frames) == 13


def test_each_recording_is_a_variant(folder, tmp_path):
    strong = prepare("oulu_casia", folder, tmp_path / "out")
    dark = prepare("oulu_casia", folder, tmp_path / "out", "ni_dark")
    assert strong["directory"] == str(tmp_path / "out/oulu_casia/vl_strong/1.0.0")
    assert (strong["kept"], dark["kept"]) == (12, 12)
    assert strong["expressions"] == {**dict.fromkeys(OULU_CASIA_EXPRESSIONS, 2), "not labeled": 0}
    means = []
    for report in (strong, dark):
        builder = tfds.builder_from_directory(report["directory"])
        (record, *_) = tfds.as_numpy(builder.as_dataset(split="subject_P001"))
        means.append(record["image"].mean())
    assert means[1] < 0.6 * means[0]  # the layout's dark pictures are half as bright
    with pytest.raises(RequestError, match="`config_name` must be one of vl_strong, .*'uv'"):
        prepare("oulu_casia", folder, tmp_path / "out", "uv")


def test_missing_and_unknown_classes(folder):
    strong = folder / "VL/Strong/P001"
    shutil.rmtree(strong / "Sadness")
    assert read_delivery(folder, "VL", "Strong").missing[0] == "P001: no pictures of sadness"
    (strong / "Fear").rename(strong / "Boredom")
    with pytest.raises(ValueError, match=r"P001/Boredom: must be one of Anger, .*'Boredom'"):
        read_delivery(folder, "VL", "Strong")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("P001", "P081", "P081: must be a subject, P001 to P080"),
        ("P001/Anger/000.jpeg", "P001/Anger/first.jpeg", "must be named by its number"),
    ],
)
def test_wrong_names(folder, old, new, expected):
    root = folder / "VL/Strong"
    (root / old).rename(root / new)
    with pytest.raises(ValueError, match=expected):
        read_delivery(folder, "VL", "Strong")


def test_a_wrong_folder(folder):
    with pytest.raises(ValueError, match="must hold VL/Weak.*Received: NI, VL"):
        read_delivery(folder, "VL", "Weak")
    with pytest.raises(ValueError, match=f"they are in {folder}"):
        read_delivery(folder.parent, "VL", "Strong")
    shutil.rmtree(folder / "VL/Strong/P001")
    with pytest.raises(ValueError, match=r"must hold pictures such as P001/Anger/000.jpg"):
        read_delivery(folder, "VL", "Strong")
