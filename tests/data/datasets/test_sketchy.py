"""`sketchy` from the delivered folders to pairs; drawn objects stand in for Sketchy's."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.layouts.sketchy import make
from tfface.cli import main
from tfface.data.datasets.prepare import prepare
from tfface.data.datasets.sketchy import delivery
from tfface.data.datasets.sketchy.sketchy_dataset_builder import Builder, SketchyConfig
from tfface.data.folds import make_fold
from tfface.data.pairing import sequence_pairs
from tfface.data.pipeline import open_source


@pytest.fixture
def delivered(tmp_path):
    """Two sketches of each of four photos in three classes."""
    make(tmp_path / "256x256")
    return tmp_path / "256x256"


@pytest.fixture
def ask_for(monkeypatch):
    """Makes a variant with fewer sketches than 1,000 the set's only one."""

    def ask(count, seed=0):
        config = SketchyConfig(name="tiny", count=count, seed=seed)
        monkeypatch.setattr(Builder, "BUILDER_CONFIGS", [config])

    return ask


def stored(source, splits=("test", "train")):
    records = list(source.records(splits).as_numpy_iterator())
    return sorted(records, key=lambda record: (record["sequence"], record["frame"]))


class SketchyTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [SketchyConfig(name="tiny", count=24)]  # noqa: RUF012
    SPLITS = {"train": 36, "test": 12}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.EXAMPLE_DIR = folder.name
        make(Path(folder.name))
        super().setUpClass()


def test_each_sketch_stands_beside_its_destroyed_copy(delivered, tmp_path, ask_for):
    ask_for(24)
    report = prepare("sketchy", delivered, tmp_path / "out")
    assert (report["frames"], report["kept"], report["unreadable"]) == (48, 48, [])
    assert report["expressions"] == {"boat": 16, "cup": 16, "fish": 16, "not labeled": 0}
    assert "detector" not in report
    assert report["missing"] == ["classes: 125 were published, 3 are here"]

    source = open_source("sketchy/tiny", tmp_path / "out")
    records = stored(source)
    # Shares of 256 old pixels in 200 new ones: 25 pieces of each old one make 32 of a new one.
    areas = np.eye(256).repeat(25, axis=0).reshape(200, 32, 256).mean(axis=1)
    for destroyed, whole in zip(records[::2], records[1::2], strict=True):
        label, _, name = whole["sequence"].decode().partition("/")
        original = Image.open(delivered / delivery.SKETCHES / label / f"{name}.png").convert("L")
        small = areas @ np.asarray(original, float) @ areas.T
        for channel in np.moveaxis(whole["image"].astype(float), -1, 0):
            np.testing.assert_allclose(channel, small, atol=1)
        assert np.all(destroyed["image"] <= whole["image"])
        assert np.mean(destroyed["image"] < whole["image"]) > 0.02
        for record in (destroyed, whole):
            assert source.expressions[record["expression"]] == label
            assert record["subject"].decode() == f"{label}/{name.partition('-')[0]}"
            assert record["sequence"] == whole["sequence"]
            assert record["au"].shape == (0,) and np.isnan(record["landmarks"]).all()
        assert [(r["frame"], r["phase"]) for r in (destroyed, whole)] == [(1, 0), (2, 1)]
    assert len({record["image"].tobytes() for record in records}) == 48


def test_photos_are_in_one_split_each_and_a_quarter_of_a_class_is_tested(
    delivered, tmp_path, ask_for
):
    ask_for(24)
    source = open_source("sketchy", tmp_path / "out", delivered)
    fold = make_fold(source, "own", 0)  # which refuses a subject in both
    assert (fold.train, fold.test) == (("train",), ("test",))
    tested = [name.partition("/")[0] for name in source.subjects["test"]]
    assert sorted(tested) == ["boat", "cup", "fish"] and len(source.subjects["train"]) == 9
    for splits, count in ((fold.train, 18), (fold.test, 6)):
        pairs = sequence_pairs(source, splits, weak_frames=[1])
        assert len(pairs) == count and pairs.skipped == {}
        np.testing.assert_array_equal(np.bincount(pairs.label), [count // 3] * 3)
        assert pairs.neutral is None  # the weak picture itself comes first


def test_classes_take_turns_and_a_seed_draws(delivered):
    def names(count, seed):
        return {frame.sequence for frame in delivery.read_delivery(delivered, count, seed).frames}

    assert names(7, 0) == names(7, 0) and names(7, 0) != names(7, 1)
    assert names(7, 0) < names(8, 0)
    numbers = [len([n for n in names(7, 0) if n.startswith(c)]) for c in ("boat", "cup", "fish")]
    assert numbers == [3, 2, 2]
    assert delivery.read_delivery(delivered, 2, 0).expressions == ("boat", "cup")
    assert delivery.read_delivery(delivered, 25, 0).missing[1:] == [
        "sketches: 25 were asked for, 24 are here"
    ]


def test_slashes_depend_on_the_sketch_and_the_seed_alone(delivered):
    few, many, other = (
        {frame.key: frame.photo for frame in delivery.read_delivery(delivered, *draw).frames}
        for draw in ((3, 0), (24, 0), (24, 1))
    )
    for key in few:
        same = key.endswith("/whole")
        np.testing.assert_array_equal(few[key](), many[key]())
        assert np.array_equal(few[key](), other[key]()) == same


def test_an_unreadable_sketch_is_named_and_the_others_go_on(delivered, tmp_path, ask_for):
    ask_for(24)
    broken = delivered / delivery.SKETCHES / "cup/n00000002_2-1.png"
    broken.write_bytes(broken.read_bytes()[:300])
    report = prepare("sketchy", delivered, tmp_path / "out")
    assert (report["frames"], report["kept"]) == (48, 46)
    keys = [entry["frame"] for entry in report["unreadable"]]
    assert keys == ["cup/n00000002_2-1/destroyed", "cup/n00000002_2-1/whole"]
    assert all(str(broken) in entry["reason"] for entry in report["unreadable"])
    source = open_source("sketchy", tmp_path / "out")
    pairs = sequence_pairs(source, source.splits, weak_frames=[1])
    np.testing.assert_array_equal(np.bincount(pairs.label), [8, 7, 8])


def test_an_empty_class_is_named_and_is_none(delivered, tmp_path, ask_for):
    ask_for(24)
    (delivered / delivery.SKETCHES / "ant").mkdir()
    (delivered / delivery.SKETCHES / "ant/.DS_Store").touch()
    report = prepare("sketchy", delivered, tmp_path / "out")
    assert list(report["expressions"]) == ["boat", "cup", "fish", "not labeled"]
    assert report["missing"][0].startswith("ant: no sketches in ")


def test_what_is_no_sketchy_database_is_refused(delivered, tmp_path):
    with pytest.raises(ValueError, match=r"must hold sketch/tx_0+\. .* they are in .*256x256\.$"):
        prepare("sketchy", delivered.parent, tmp_path / "out")
    (delivered / "sketch").rename(delivered / "sketches")
    with pytest.raises(ValueError, match=r"Missing: sketch/tx_0+\. Received: sketches\.$"):
        prepare("sketchy", delivered, tmp_path / "out")
    root = delivered / delivery.SKETCHES
    root.mkdir(parents=True)
    (root / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"such as airplane/n02691156_10151-1.png. .* notes.txt"):
        prepare("sketchy", delivered, tmp_path / "out")
    (root / "ant").mkdir()
    for name in ("1.png", "drawing.png"):
        (root / "ant" / name).touch()
    with pytest.raises(
        ValueError, match=r"ant/1\.png: must be named <photo>-<number>\.png"
    ) as raised:
        prepare("sketchy", delivered, tmp_path / "out")
    assert len(str(raised.value).splitlines()) == 2


def test_other_names_are_not_the_prepared_set(delivered, tmp_path, ask_for):
    ask_for(24)
    prepare("sketchy", delivered, tmp_path / "out")
    (delivered / delivery.SKETCHES / "cup/n00000002_2-1.png").unlink()
    with pytest.raises(ValueError, match="have changed since"):
        prepare("sketchy", delivered, tmp_path / "out")


def test_a_look_before_the_build(delivered, capsys, ask_for):
    ask_for(24)
    assert main(["prepare", "sketchy", "--check", str(delivered)]) == 1
    said = capsys.readouterr().out
    assert "12 subjects, 24 sequences, 48 pictures" in said
    assert "48 pictures opened, 0 unreadable" in said
    assert "sketchy: classes: 125 were published, 3 are here" in said


def test_config_rules(delivered, tmp_path):
    with pytest.raises(ValueError, match="`count` must be at least 1. Received: 0"):
        SketchyConfig(name="none", count=0)
    with pytest.raises(ValueError, match="`detector` must be left as it is.* Received: yunet"):
        SketchyConfig(name="paper", detector="yunet")
    assert [config.count for config in Builder.BUILDER_CONFIGS] == [1000]
    with pytest.raises(ValueError, match="`config_name` must be one of paper. Received: 'all'"):
        prepare("sketchy", delivered, tmp_path / "out", "all")


def test_the_report_lies_beside_the_records(delivered, tmp_path, ask_for):
    ask_for(24)
    report = prepare("sketchy", delivered, tmp_path / "out")
    on_disk = json.loads((Path(report.pop("directory")) / "report.json").read_text())
    assert on_disk == report and on_disk["source"] == str(delivered)
