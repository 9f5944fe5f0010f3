"""Streams of pairs: the very faces they name, in an order that a stopped run finds again."""

import numpy as np
import pytest

from tfface.data.pairing import sequence_pairs
from tfface.data.pairs import FacePairs

SIZE = 200  # as stored, so that pictures are compared exactly


@pytest.fixture(scope="module")
def one_subject(sequences_source):
    """21 pairs of one subject's seven sequences."""
    return sequence_pairs(sequences_source, sequences_source.splits[:1])


@pytest.fixture(scope="module")
def stored(sequences_source):
    records = sequences_source.records(sequences_source.splits[:1])
    return np.stack([record["image"] for record in records.as_numpy_iterator()])


def rows_in(pictures, stored):
    """Which stored face each picture is."""
    known = {image.tobytes(): row for row, image in enumerate(stored)}
    return [known[picture.tobytes()] for picture in pictures]


def taken(batches, count):
    return list(batches.take(count).as_numpy_iterator())


both = pytest.mark.parametrize("cache", [True, False], ids=["memory", "files"])


@both
def test_each_weak_face_comes_once_an_epoch_beside_its_own_peak(one_subject, stored, cache):
    table = {
        int(weak): (int(peak), int(label))
        for weak, peak, label in zip(
            one_subject.weak, one_subject.peak, one_subject.label, strict=True
        )
    }
    seen = []
    for batch in taken(one_subject.pairs(7, SIZE, seed=3, cache=cache), 3):
        assert batch["image"].shape == (7, SIZE, SIZE, 6) and batch["image"].dtype == np.uint8
        weak = rows_in(batch["image"][..., :3].copy(), stored)
        peak = rows_in(batch["image"][..., 3:].copy(), stored)
        pairs = list(zip(peak, batch["label"].tolist(), strict=True))
        assert pairs == [table[row] for row in weak]
        seen += weak
    assert sorted(seen) == sorted(table) and seen != sorted(seen)


def test_pairs_in_order_hold_weak_peak_and_neutral(one_subject, stored):
    batches = taken(one_subject.ordered(8, SIZE), 9)
    assert [len(batch["image"]) for batch in batches] == [8, 8, 5]
    images = np.concatenate([batch["image"] for batch in batches])
    for i, rows in enumerate((one_subject.weak, one_subject.peak, one_subject.neutral)):
        np.testing.assert_array_equal(images[..., 3 * i : 3 * i + 3], stored[rows])
    labels = np.concatenate([batch["label"] for batch in batches])
    np.testing.assert_array_equal(labels, one_subject.label)


@both
@pytest.mark.parametrize(("which", "count"), [("peak", 7), ("all", 28)])
def test_single_faces_come_once_each_with_their_labels(
    one_subject, stored, cache, which, count, sequences_source
):
    assert one_subject.face_count(which) == count
    (batch,) = taken(one_subject.faces(which, count, SIZE, seed=0, cache=cache), 1)
    rows = np.array(rows_in(batch["image"], stored))
    frames = {"peak": [11], "all": [5, 6, 7, 11]}[which]
    read = sequences_source.values(sequences_source.splits[:1], ["frame", "expression"])
    assert sorted(rows) == np.flatnonzero(np.isin(read["frame"], frames)).tolist()
    np.testing.assert_array_equal(batch["label"], read["expression"][rows])


@both
def test_a_stream_from_a_step_on_is_the_rest_of_the_whole_stream(one_subject, cache):
    start = 6  # within the second epoch of pairs, of five steps
    for stream in (one_subject.pairs, lambda *a, **k: one_subject.faces("all", *a, **k)):
        whole = taken(stream(4, 12, 7, cache=cache), start + 2)
        later = taken(stream(4, 12, 7, start_step=start, cache=cache), 2)
        other = taken(stream(4, 12, 8, cache=cache), start + 2)
        for a, b in zip(whole[start:], later, strict=True):
            np.testing.assert_array_equal(a["image"], b["image"])
            np.testing.assert_array_equal(a["label"], b["label"])
        assert any(np.any(a["image"] != b["image"]) for a, b in zip(whole, other, strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: FacePairs(s, ["x"], "ab", *map(np.array, ([1, 2], [3], [0, 0]))), r"\[2, 1, 2"),
        (
            lambda s: FacePairs(s, ["x"], "ab", *map(np.array, ([2, 1], [3, 3], [0, 0]))),
            "`weak` must be ascending rows",
        ),
    ],
)
def test_bad_arguments_are_named(sequences_source, call, message):
    with pytest.raises(ValueError, match=message):
        call(sequences_source)
