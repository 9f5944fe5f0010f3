"""Magnification's batches: pairs cropped and mirrored alike, parts mixed, resumed, refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfface.data.pairing import sequence_pairs
from tfface.data.pairs import FacePairs
from tfface.magnification.data import evaluation_batches, pretraining_batches, training_batches

SIDE, CROP = 12, 9


class Pictures:
    """A data set of pictures in memory."""

    def __init__(self, images):
        self.images = images.astype(np.uint8)

    def count(self, splits):
        return len(self.images)

    def encoded(self, splits, in_turns=True):
        rows = np.arange(len(self.images))
        nowhere = np.zeros((len(rows), 68, 2), np.float32)
        records = {"image": self.images, "landmarks": nowhere, "row": rows}
        return tf.data.Dataset.from_tensor_slices(records)

    def decoded(self, record):
        return record


def paired(weak, peak):
    """Pairs of two stacks of pictures, whose labels are 0 and 1 in turns."""
    rows = np.arange(len(weak))
    source = Pictures(np.concatenate([weak, peak]))
    return FacePairs(source, ("all",), ("a", "b"), rows, rows + len(rows), rows % 2)


def places(count, part=0):
    """Pairs that say where each pixel was: red its column, green its row, blue which picture."""
    y, x = np.mgrid[:SIDE, :SIDE]
    weak = np.stack([np.stack([x, y, np.full_like(x, i)], axis=-1) for i in range(count)])
    peak = weak + np.array([100, 100, 100 + part * 50])
    return paired(weak, peak)


def taken(parts, count, **changes):
    arguments = dict(batch_size=4, seed=3, size=SIDE, crop=CROP)
    batches = training_batches(parts, **(arguments | changes))
    return list(batches.take(count).as_numpy_iterator())


def whole(values):
    return np.rint(values * 255).astype(int)


def test_both_faces_of_a_pair_are_cropped_and_mirrored_alike_and_pairs_each_by_itself():
    batches = taken([places(8)], 60)
    corners, mirrored = [], []
    for batch in batches:
        weak, peak = whole(batch["weak"]), whole(batch["peak"])
        assert weak.shape == peak.shape == (4, CROP, CROP, 3)
        np.testing.assert_array_equal(peak - weak, np.full_like(weak, 100))
        np.testing.assert_array_equal(batch["label"], weak[:, 0, 0, 2] % 2)
        step = weak[:, 0, 1, 0] - weak[:, 0, 0, 0]
        assert set(step) <= {1, -1}
        x, y = weak[..., 0].min((1, 2)), weak[..., 1].min((1, 2))
        ramp = np.arange(CROP)
        columns = np.where(step[:, None] > 0, x[:, None] + ramp, x[:, None] + ramp[::-1])
        np.testing.assert_array_equal(weak[:, 0, :, 0], columns)
        np.testing.assert_array_equal(weak[:, :, 0, 1], y[:, None] + ramp)
        corners += zip(x, y, strict=True)
        mirrored += list(step < 0)
    assert set(corners) == {(x, y) for x in range(4) for y in range(4)}
    assert 90 < sum(mirrored) < 150  # of 240


def test_crop_and_flip_can_be_left_out():
    pairs = places(8)
    for batch in taken([pairs], 2, crop=SIDE, flip=False):
        rows = whole(batch["weak"])[:, 0, 0, 2]
        images = pairs.source.images
        np.testing.assert_array_equal(whole(batch["weak"]), images[rows])
        np.testing.assert_array_equal(whole(batch["peak"]), images[rows + 8])


def test_parts_share_a_batch_by_their_size():
    batches = taken([places(18), places(6, part=1)], 6)
    for batch in batches:
        part = (whole(batch["peak"]) - whole(batch["weak"]))[:, 0, 0, 2]
        assert part.tolist() == [100, 100, 100, 150]


def test_a_class_of_one_part_suffices():
    pairs = places(8)
    only = dataclasses.replace(pairs, label=np.zeros(8, int))
    others = dataclasses.replace(pairs, label=np.ones(8, int))
    (batch,) = taken([only, others], 1)
    assert batch["label"].tolist() == [0, 0, 1, 1]


def test_a_stream_from_a_step_on_is_the_rest_of_the_whole_stream(sequences_source):
    start = 2
    parts = [sequence_pairs(sequences_source, [split]) for split in sequences_source.splits]
    all_of_it = taken(parts, start + 2)
    later = taken(parts, 2, start_step=start)
    for a, b in zip(all_of_it[start:], later, strict=True):
        for key in ("weak", "peak", "label"):
            np.testing.assert_array_equal(a[key], b[key])
    other = taken(parts, start + 2, seed=4)
    assert any(np.any(a["weak"] != b["weak"]) for a, b in zip(all_of_it, other, strict=True))


@pytest.mark.parametrize(("faces", "offsets"), [("peak", {100}), ("all", {0, 100})])
def test_pretraining_sees_single_faces(faces, offsets):
    batches = pretraining_batches(
        [places(8)], faces, batch_size=4, seed=0, size=SIDE, crop=CROP
    ).take(8)
    seen = set()
    for batch in batches.as_numpy_iterator():
        picture = whole(batch["face"])
        assert picture.shape == (4, CROP, CROP, 3) and set(batch) == {"face", "label"}
        number = picture[:, 0, 0, 2]
        seen |= set(number // 100 * 100)
        np.testing.assert_array_equal(batch["label"], number % 100 % 2)
    assert seen == offsets


def test_evaluation_sees_every_pair_once_in_order_cropped_at_the_center():
    pairs = places(5)
    batches = evaluation_batches(pairs, batch_size=2, size=SIDE, crop=8)
    assert int(batches.cardinality()) == 3
    batches = list(batches.as_numpy_iterator())
    assert [set(batch) for batch in batches] == [{"weak", "peak", "label"}] * 3
    weak, peak = (np.concatenate([b[key] for b in batches]) for key in ("weak", "peak"))
    inside = pairs.source.images[:, 2:10, 2:10]
    np.testing.assert_array_equal(whole(weak), inside[:5])
    np.testing.assert_array_equal(whole(peak), inside[5:])
    np.testing.assert_array_equal(np.concatenate([b["label"] for b in batches]), pairs.label)


def test_evaluation_has_the_neutral_face_of_a_sequence(sequences_source):
    pairs = sequence_pairs(sequences_source, sequences_source.splits[:1])
    records = sequences_source.records(sequences_source.splits[:1]).as_numpy_iterator()
    stored = np.stack([record["image"] for record in records])
    batches = evaluation_batches(pairs, batch_size=21, size=200, crop=180)
    (batch,) = batches
    assert int(batches.cardinality()) == 1
    for key, rows in (("weak", pairs.weak), ("peak", pairs.peak), ("neutral", pairs.neutral)):
        expected = stored[rows][:, 10:190, 10:190]
        np.testing.assert_array_equal(whole(batch[key].numpy()), expected)
    assert batch["neutral"].dtype == tf.float32 and float(tf.reduce_max(batch["peak"])) <= 1


def test_a_gray_picture_stays_gray():
    gray = np.full((4, SIDE, SIDE, 3), 77)
    (batch,) = taken([paired(gray, gray)], 1)
    np.testing.assert_array_equal(whole(batch["weak"]), np.full((4, CROP, CROP, 3), 77))


def test_two_replicas_share_a_batch(two_devices):
    batches = training_batches([places(8)], batch_size=4, seed=3, size=SIDE, crop=CROP)
    shared = iter(two_devices.experimental_distribute_dataset(batches))
    for batch in taken([places(8)], 2):
        share = next(shared)
        for key, value in batch.items():
            pieces = two_devices.experimental_local_results(share[key])
            np.testing.assert_array_equal(np.concatenate(pieces), value)


def test_shapes_are_static(sequences_source):
    for parts in ([places(8)], [sequence_pairs(sequences_source, sequences_source.splits)]):
        batches = training_batches(parts, batch_size=4, seed=0, size=SIDE, crop=CROP)
        shapes = {key: (spec.shape, spec.dtype) for key, spec in batches.element_spec.items()}
        assert shapes == {
            "weak": ((4, CROP, CROP, 3), tf.float32),
            "peak": ((4, CROP, CROP, 3), tf.float32),
            "label": ((4,), tf.int64),
        }


@pytest.mark.parametrize(
    ("parts", "changes", "message"),
    [
        ([], {}, "`parts` must have the same classes, at least one part"),
        ([places(4), dataclasses.replace(places(4), classes=("b", "a"))], {}, "the same classes"),
        (
            [dataclasses.replace(places(4), label=np.zeros(4, int))],
            {},
            "`parts` must have a peak of each class. Received: none of b",
        ),
        ([places(4)], {"batch_size": 5}, "`batch_size` must be from 1 to .*, 4. Received: 5"),
        ([places(4)], {"batch_size": 0}, "`batch_size` must leave a place .* Received: 0"),
        ([places(40), places(2)], {}, r"a place for each part, of \[40, 2\] faces. Received: 4"),
        ([places(4)], {"crop": 13}, "`crop` must be from 1 to `size`, 12. Received: 13"),
        ([places(4)], {"crop": 0}, "`crop` must be from 1 to `size`, 12. Received: 0"),
        ([places(4)], {"start_step": -1}, "`start_step` must be at least 0. Received: -1"),
    ],
)
def test_bad_arguments_are_named(parts, changes, message):
    with pytest.raises(ValueError, match=message):
        taken(parts, 1, **changes)


def test_bad_arguments_of_the_other_streams_are_named():
    with pytest.raises(ValueError, match="`faces` must be one of .* Received: 'weak'"):
        pretraining_batches([places(4)], "weak", batch_size=2, seed=0)
    with pytest.raises(ValueError, match="`crop` must be from 1 to `size`, 12. Received: 128"):
        evaluation_batches(places(4), batch_size=2, size=12)
