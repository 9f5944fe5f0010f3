import csv
import gc

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfface.data.datasets.synthetic_faces import synthetic_faces_dataset_builder as synthetic_faces
from tfface.data.folds import make_fold
from tfface.data.schema import features
from tfface.data.source import FaceSource, open_source
from tfface.facs.action_units import BP4D_AUS
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS
from tfface.facs.landmarks import mean_face


def test_a_source_says_what_it_holds(frames_source, sequences_source):
    assert frames_source.action_units == BP4D_AUS
    assert frames_source.expressions == ()
    assert len(frames_source.splits) == len(frames_source.subjects) == 4
    assert len({name for names in frames_source.subjects.values() for name in names}) == 4
    assert frames_source.count(frames_source.splits) == 24
    assert frames_source.count(frames_source.splits[1:2]) == 6
    assert sequences_source.expressions == CK_PLUS_EXPRESSIONS
    assert sequences_source.count(sequences_source.splits) == 2 * 7 * 12


def keys(records):
    return [(r["subject"], r["sequence"], int(r["frame"])) for r in records.as_numpy_iterator()]


def test_records_come_split_after_split_in_fixed_order(sequences_source):
    first, second = sequences_source.splits
    ordered = keys(sequences_source.records((first,))) + keys(sequences_source.records((second,)))
    assert len(set(ordered)) == 168
    assert keys(sequences_source.records((first, second))) == ordered
    assert keys(sequences_source.records((second, first))) == ordered[84:] + ordered[:84]


def test_a_split_holds_its_subjects_alone(frames_source):
    for split, subjects in frames_source.subjects.items():
        found = {subject.decode() for subject, _, _ in keys(frames_source.records((split,)))}
        assert found == set(subjects)


def test_labels_alone_are_those_of_the_records(frames_source):
    splits = frames_source.splits[:2]
    labels = [record["au"] for record in frames_source.records(splits).as_numpy_iterator()]
    read = frames_source.action_unit_labels(splits)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, labels)


def test_values_are_those_of_the_records_in_their_order(frames_source):
    splits = frames_source.splits[2:0:-1]
    records = list(frames_source.records(splits).as_numpy_iterator())
    keys = ("frame", "subject", "sequence", "landmarks")
    values = frames_source.values(splits, keys)
    assert tuple(values) == keys
    assert len(records) == 12
    for key in keys:
        np.testing.assert_array_equal(values[key], [record[key] for record in records])


def test_values_decode_no_image(frames_source, monkeypatch):
    def decoded(*args, **kwargs):
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(tfds.features.Image, "decode_example", decoded)
    splits = frames_source.splits[:1]
    assert len(frames_source.values(splits, ["subject"])["subject"]) == 6
    with pytest.raises(AssertionError, match="an image was decoded"):
        list(frames_source.records(splits))


def test_encoded_records_are_the_same_ones(frames_source):
    def by_key(records):
        return {(r["sequence"], int(r["frame"]), r["subject"]): r["image"] for r in records}

    encoded = frames_source.encoded(frames_source.splits).map(frames_source.decoded)
    plain = by_key(frames_source.records(frames_source.splits).as_numpy_iterator())
    decoded = by_key(encoded.as_numpy_iterator())
    assert plain.keys() == decoded.keys()
    assert len(plain) == 24
    for key, image in plain.items():
        np.testing.assert_array_equal(decoded[key], image)


def test_encoded_records_come_in_the_order_of_records_if_asked(sharded):
    """Over several files of each of two splits."""
    splits = tuple(Sharded.COUNTS)
    plain = [(r["subject"], r["frame"]) for r in sharded.records(splits).as_numpy_iterator()]
    in_order = sharded.encoded(splits, in_turns=False).as_numpy_iterator()
    assert [(r["subject"], r["frame"]) for r in in_order] == plain
    in_turns = sharded.encoded(splits).as_numpy_iterator()
    assert [(r["subject"], r["frame"]) for r in in_turns] != plain


def test_neighbors_in_the_encoded_records_are_of_other_subjects(frames_source):
    subjects = [r["subject"] for r in frames_source.encoded(frames_source.splits).take(4)]
    assert len({subject.numpy() for subject in subjects}) == 4


class Sharded(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Two subjects of 7 and 4 faces in several files each; `frame` numbers a subject's faces."""

    VERSION = tfds.core.Version("1.0.0")
    COUNTS = {"subject_a": 7, "subject_a__b": 4}  # noqa: RUF012

    def _info(self):
        names = {split: [split] for split in self.COUNTS}
        metadata = {"action_units": [1], "expressions": [], "subjects": names}
        return tfds.core.DatasetInfo(
            builder=self,
            features=features(1, 8),
            metadata=tfds.core.MetadataDict(metadata),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.COUNTS}

    def _generate_examples(self, split):
        for number in range(self.COUNTS[split]):
            yield (
                number,
                {
                    "image": np.full((8, 8, 3), number, np.uint8),
                    "landmarks": np.full((68, 2), np.nan, np.float32),
                    "subject": split,
                    "sequence": "",
                    "frame": number,
                    "au": np.zeros(1, np.float32),
                    "au_intensity": np.full(1, np.nan, np.float32),
                    "expression": -1,
                    "phase": np.nan,
                },
            )


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    builder = Sharded(data_dir=tmp_path_factory.mktemp("sharded"))
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    assert all(len(split.shard_lengths) == 3 for split in builder.info.splits.values())
    return FaceSource.open(builder.data_dir)


@pytest.mark.parametrize("order", [1, -1], ids=["sorted", "reversed"])
def test_a_record_keeps_its_row_in_whatever_order_it_is_read(sharded, order):
    """Over the files of several splits, one of whose names has TFDS's own separator in it."""
    splits = tuple(Sharded.COUNTS)[::order]
    starts = dict(zip(splits, (0, Sharded.COUNTS[splits[0]]), strict=True))
    rows = {}
    for name in ("records", "encoded"):
        records = list(getattr(sharded, name)(splits).as_numpy_iterator())
        rows[name] = [record["row"] for record in records]
        expected = [starts[r["subject"].decode()] + r["frame"] for r in records]
        np.testing.assert_array_equal(rows[name], expected)
    assert rows["records"] == list(range(11))
    assert rows["encoded"] != rows["records"] and sorted(rows["encoded"]) == rows["records"]


def test_rows_outlive_what_they_were_made_of(sharded):
    records = sharded.encoded(("subject_a",)).batch(7)
    gc.collect()
    assert set(next(iter(records))["row"].numpy()) == set(range(7))


def test_labels_stand_in_the_order_of_rows(frames_source):
    labels = frames_source.action_unit_labels(frames_source.splits)
    for record in frames_source.encoded(frames_source.splits).as_numpy_iterator():
        np.testing.assert_array_equal(labels[record["row"]], record["au"])


def test_a_fold_of_a_source(frames_source):
    fold = make_fold(frames_source, "kfold:2", 0)
    assert frames_source.count(fold.train) == frames_source.count(fold.test) == 12


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ((), "at least one split. Received: none"),
        (("subject_S001", "subject_X"), "among the 4 of .* Received: subject_X"),
        (("subject_S001", "subject_S001"), "must not repeat a split"),
        ("subject_S001", "must be a sequence of names. Received: 'subject_S001'"),
    ],
)
def test_splits_that_are_not_there(frames_source, splits, message):
    for read in (frames_source.count, frames_source.records, frames_source.encoded):
        with pytest.raises(ValueError, match=message):
            read(splits)


def test_a_folder_without_a_prepared_set(tmp_path):
    for folder in (tmp_path, tmp_path / "not there"):
        with pytest.raises(FileNotFoundError, match=f"{folder}: must be the folder of a prepared"):
            FaceSource.open(folder)


def test_a_set_of_something_else(tmp_path):
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name="numbers",
        version="1.0.0",
        features=tfds.features.FeaturesDict({"number": np.int64}),
        split_datasets={"train": [(0, {"number": 1})]},
        data_dir=tmp_path,
    )
    with pytest.raises(ValueError, match="without action_units, expressions, subjects"):
        FaceSource.open(builder.data_dir)


@pytest.fixture
def tiny(monkeypatch):
    config = synthetic_faces.SyntheticConfig(name="tiny", subjects=2, frames_per_subject=2)
    monkeypatch.setattr(synthetic_faces.Builder, "BUILDER_CONFIGS", [config])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", ["synthetic_faces/tiny", "synthetic_faces"])
def test_the_embedded_set_is_made_on_the_spot(tmp_path, name):
    source = open_source(name, data_dir=tmp_path / "new")
    assert source.count(source.splits) == 4
    made = source.directory.stat().st_mtime_ns
    assert open_source(name, data_dir=tmp_path / "new") == source
    assert source.directory.stat().st_mtime_ns == made


@pytest.mark.parametrize("name", ["", "no_such_set/small", "/frames_small"])
def test_an_unknown_set(tmp_path, name):
    with pytest.raises(ValueError, match=f"`name` must be one of .*synthetic_faces.*'{name}'"):
        open_source(name, data_dir=tmp_path)


def test_an_unknown_config(tmp_path):
    with pytest.raises(ValueError, match="with one of frames_small, .* Received: .*/huge'"):
        open_source("synthetic_faces/huge", data_dir=tmp_path)


def test_a_folder_that_was_not_prepared(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"image_folder/portraits is not prepared in .* --name portraits"
    ):
        open_source("image_folder/portraits", data_dir=tmp_path)


def test_a_folder_is_prepared_where_it_is_given(tmp_path):
    folder = tmp_path / "delivered"
    folder.mkdir()
    points = {}
    for index, (x, y) in enumerate(mean_face(80)):
        points |= {f"x_{index}": x, f"y_{index}": y}
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "subject", *points])
        writer.writeheader()
        for name in ("a", "b"):
            cv2.imwrite(str(folder / f"{name}.png"), np.full((80, 80, 3), 99, np.uint8))
            writer.writerow({"path": f"{name}.png", "subject": name, **points})
    prepared = open_source("image_folder/mine", data_dir=tmp_path / "data", manual_dir=folder)
    assert prepared.action_units == ()
    assert prepared.action_unit_labels(prepared.splits).shape == (2, 0)
    assert open_source("image_folder/mine", data_dir=tmp_path / "data") == prepared
    with pytest.raises(ValueError, match="prepared already, from"):
        open_source("image_folder/mine", data_dir=tmp_path / "data", manual_dir=tmp_path)


def test_variants_of_a_data_set_share_people_but_folders_of_pictures_do_not(tmp_path):
    def source(*parts):
        subjects = {"a": ("S1", "S2"), "b": ("S3",)}
        return FaceSource(tmp_path.joinpath(*parts), (1,), (), subjects, ("a", "b"))

    small = source("synthetic_faces", "frames_small", "1.0.0")
    many = source("synthetic_faces", "frames_many", "1.0.0")
    assert small.people_of(["b"]) == many.people_of(["b"])
    assert len(small.people_of(["a", "b"])) == 3
    mine, yours = (source("image_folder", name, "1.0.0") for name in ("mine", "yours"))
    assert not mine.people_of(["a"]) & yours.people_of(["a"])
    assert not mine.people_of(["a"]) & small.people_of(["a"])
