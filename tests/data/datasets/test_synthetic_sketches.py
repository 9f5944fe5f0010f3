"""`synthetic_sketches`: drawings whole and destroyed, and the pairs magnification makes of them."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfface.data.datasets.prepare import prepare
from tfface.data.datasets.synthetic_sketches.synthetic_sketches_dataset_builder import (
    Builder,
    SketchesConfig,
)
from tfface.data.folds import make_fold
from tfface.data.pairing import sequence_pairs
from tfface.data.pipeline import open_source
from tfface.data.schema import check
from tfface.data.sketches import SKETCH_CLASSES, draw_sketch, slash
from tfface.data.source import FaceSource
from tfface.magnification.data import evaluation_batches, pretraining_batches, training_batches


def build(folder, **options):
    builder = Builder(data_dir=folder, config=SketchesConfig(name="tiny", **options))
    builder.download_and_prepare()
    return FaceSource.open(builder.data_path)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Four sketches of each object, and three more."""
    return build(tmp_path_factory.mktemp("sketches"), count=35, seed=5)


class SyntheticSketchesTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = Builder
    SPLITS = {"train": 54, "test": 16}  # noqa: RUF012
    BUILDER_CONFIG_NAMES_TO_TEST = [SketchesConfig(name="tiny", count=35)]  # noqa: RUF012
    EXAMPLE_DIR = "."  # nothing is read from there


def test_records_are_the_drawn_sketches_and_their_destroyed_copies(source):
    assert source.expressions == SKETCH_CLASSES and source.action_units == ()
    seen = set()
    for record in source.records(source.splits).as_numpy_iterator():
        name, subject = record.pop("sequence").decode(), record.pop("subject").decode()
        label, _, position = name.rpartition("_")
        seed = (5, int(position))
        expected = draw_sketch(int(position) % 8, 200, seed)
        if record["frame"] == 1:
            expected = slash(expected, seed)
        np.testing.assert_array_equal(record["image"], expected)
        assert (record["frame"], record["phase"]) in {(1, 0), (2, 1)}
        assert SKETCH_CLASSES[record["expression"]] == label and subject == name
        del record["row"]
        check({**record, "subject": subject, "sequence": name}, 0)
        assert np.isnan(record["landmarks"]).all()
        seen.add((int(position), int(record["frame"])))
    assert seen == {(position, frame) for position in range(35) for frame in (1, 2)}


def test_every_fourth_sketch_of_an_object_is_tested_with_its_copy(source):
    fold = make_fold(source, "own", 0)  # which refuses a subject in both
    for splits, counts in ((fold.train, [4, 4, 4, 3, 3, 3, 3, 3]), (fold.test, [1] * 8)):
        pairs = sequence_pairs(source, splits, weak_frames=[1])
        np.testing.assert_array_equal(np.bincount(pairs.label), counts)
        assert pairs.skipped == {} and len(source.subjects[splits[0]]) == len(pairs)


def test_magnification_sees_a_destroyed_sketch_beside_the_same_whole(source):
    pairs = sequence_pairs(source, ["train"], weak_frames=[1])
    sizes = {"size": 200, "crop": 200}
    drawn = {}
    for position in range(35):
        whole = draw_sketch(position % 8, 200, (5, position))
        drawn[slash(whole, (5, position)).tobytes()] = whole, position % 8
    batches = training_batches([pairs], batch_size=9, seed=0, flip=False, **sizes)
    for batch in batches.take(3).as_numpy_iterator():
        weak, peak = (np.rint(batch[key] * 255).astype(np.uint8) for key in ("weak", "peak"))
        for i in range(9):
            whole, label = drawn.pop(weak[i].tobytes())  # in one epoch, each once
            np.testing.assert_array_equal(peak[i], whole)
            assert batch["label"][i] == label

    (faces,) = pretraining_batches([pairs], "peak", batch_size=27, seed=0, size=32, crop=24).take(1)
    assert faces["face"].shape == (27, 24, 24, 3)


def test_evaluation_sees_no_neutral_picture(source):
    pairs = sequence_pairs(source, ["test"], weak_frames=[1])
    (batch,) = evaluation_batches(pairs, batch_size=8, size=64, crop=56)
    assert "neutral" not in batch
    assert np.all(np.mean(batch["peak"] - batch["weak"], axis=(1, 2, 3)) > 0.01)
    np.testing.assert_array_equal(np.sort(batch["label"]), np.arange(8))


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    files = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        directory = build(tmp_path / folder, count=32, seed=seed).directory
        files.append([path.read_bytes() for path in sorted(directory.glob("*.tfrecord*"))])
    assert files[0] == files[1] and len(files[0]) == 2
    assert files[0] != files[2]


def test_a_source_is_made_when_it_is_opened(tmp_path, monkeypatch):
    tiny = SketchesConfig(name="tiny_declared", count=32)
    monkeypatch.setattr(Builder, "BUILDER_CONFIGS", [tiny])
    assert open_source("synthetic_sketches", tmp_path).count(["train", "test"]) == 64
    report = prepare("synthetic_sketches", data_dir=tmp_path)
    assert report["expressions"] == {**dict.fromkeys(SKETCH_CLASSES, 8), "not labeled": 0}


def test_config_rules():
    assert {config.name: config.count for config in Builder.BUILDER_CONFIGS} == {
        "small": 160,
        "full": 1000,
    }
    with pytest.raises(ValueError, match="`count` must be at least 32. Received: 31"):
        SketchesConfig(name="few", count=31)
    with pytest.raises(ValueError, match="`manual_dir` must be None for 'synthetic_sketches'"):
        prepare("synthetic_sketches", manual_dir="/tmp")
