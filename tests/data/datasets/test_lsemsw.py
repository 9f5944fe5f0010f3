import shutil
import tempfile
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from tests.layouts import lsemsw
from tests.layouts.faces import MiddleDetector
from tfface.data.datasets import base
from tfface.data.datasets.lsemsw.delivery import read_delivery
from tfface.data.datasets.lsemsw.lsemsw_dataset_builder import Builder
from tfface.facs.expressions import LSEMSW_EXPRESSIONS


@pytest.fixture(autouse=True)
def stub_detector(monkeypatch):
    monkeypatch.setattr(base, "create_detector", lambda name, model: MiddleDetector())


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test."""

    DATASET_CLASS = Builder
    SPLITS = lsemsw.SPLITS

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        lsemsw.make(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a b.jpg", "c.jpg", "d.jpg"):
        (tmp_path / "images" / name).touch()
    (tmp_path / "train.txt").write_text("images/a b.jpg Happy\n\n")
    (tmp_path / "validation.txt").write_text("./images/c.jpg questioning\n")
    (tmp_path / "test.txt").write_text("images/d.jpg anxious\n")
    return tmp_path


def test_lists_say_split_and_class(folder):
    delivered = read_delivery(folder)
    assert delivered.expressions == LSEMSW_EXPRESSIONS
    assert delivered.missing == []
    assert [(f.key, f.split, f.expression, f.subject) for f in delivered.frames] == [
        ("images/a b.jpg", "train", 0, ""),
        ("images/c.jpg", "validation", 12, ""),
        ("images/d.jpg", "test", 1, ""),
    ]


def test_numbers_need_the_order_of_the_classes(folder):
    (folder / "train.txt").write_text("images/a b.jpg 2\n")
    with pytest.raises(ValueError, match=r"train\.txt: line 1: label must be one of .*'2'"):
        read_delivery(folder)
    (folder / "classes.txt").write_text("\n".join(reversed(LSEMSW_EXPRESSIONS)))
    # The third from the end of the 13 is helpless, class 10.
    assert LSEMSW_EXPRESSIONS[10] == "helpless"
    assert read_delivery(folder).frames[0].expression == 10
    (folder / "classes.txt").write_text("happy\nsad\n")
    with pytest.raises(ValueError, match=r"classes\.txt: must name each of happy, "):
        read_delivery(folder)


def test_what_is_missing_or_wrong_is_named(folder):
    (folder / "validation.txt").rename(folder / "val.txt")
    (folder / "images/c.jpg").unlink()
    assert read_delivery(folder).missing == ["val.txt: 1 pictures are not there: images/c.jpg"]
    (folder / "test.txt").write_text("images/a b.jpg happy\nimages/d.jpg bored\n")
    with pytest.raises(ValueError, match=r"a b\.jpg is in train as well") as error:
        read_delivery(folder)
    assert "test.txt: line 2: label must be" in str(error.value)
    (folder / "test.txt").unlink()
    with pytest.raises(ValueError, match=r"Missing: test\.txt. Received: images, train\.txt, val"):
        read_delivery(folder)
