"""Streams of pairs: the very faces they name, in an order that a stopped run finds again."""

import numpy as np
import pytest

from tfface.data.pairing import sequence_pairs
from tfface.data.pairs import FacePairs, ImagePairs

SIZE = 200  # as stored, so that pictures are compared exactly
RNG = np.random.default_rng(0)
LABEL = np.arange(10) % 2
IMAGES = ImagePairs(
    ("a", "b"),
    RNG.integers(0, 256, (10, 8, 8, 3)).astype(np.uint8),
    RNG.integers(0, 256, (10, 8, 8, 3)).astype(np.uint8),
    LABEL,
)


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


@pytest.mark.parametrize("kind", ["memory", "files", "pictures"])
def test_a_stream_from_a_step_on_is_the_rest_of_the_whole_stream(one_subject, kind):
    start = 6  # within the second epoch of pairs, of five steps from faces and two of pictures
    part, size = (IMAGES, 8) if kind == "pictures" else (one_subject, 12)
    for stream in (part.pairs, lambda *a, **k: part.faces("all", *a, **k)):
        arguments = dict(cache=kind == "memory")
        whole = taken(stream(4, size, 7, **arguments), start + 2)
        later = taken(stream(4, size, 7, start_step=start, **arguments), 2)
        other = taken(stream(4, size, 8, **arguments), start + 2)
        for a, b in zip(whole[start:], later, strict=True):
            np.testing.assert_array_equal(a["image"], b["image"])
            np.testing.assert_array_equal(a["label"], b["label"])
        assert any(np.any(a["image"] != b["image"]) for a, b in zip(whole, other, strict=True))


def test_pictures_come_once_an_epoch_and_another_sits_out_each():
    seen = []
    for batch in taken(IMAGES.pairs(4, 8, 0), 40):
        rows = rows_in(batch["image"][..., :3].copy(), IMAGES.weak)
        np.testing.assert_array_equal(batch["image"][..., 3:], IMAGES.peak[rows])
        np.testing.assert_array_equal(batch["label"], LABEL[rows])
        seen.append(rows)
    epochs = np.reshape(seen, (20, 8))  # two batches of four are an epoch of ten
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 20 and set(epochs.ravel()) == set(range(10))


def test_single_pictures_and_pictures_in_order():
    (batch,) = taken(IMAGES.faces("peak", 10, 8, 0), 1)
    rows = rows_in(batch["image"], IMAGES.peak)
    assert sorted(rows) == list(range(10))
    np.testing.assert_array_equal(batch["label"], LABEL[rows])
    (batch,) = taken(IMAGES.faces("all", 20, 8, 0), 1)
    rows = np.array(rows_in(batch["image"], np.concatenate([IMAGES.peak, IMAGES.weak])))
    assert sorted(rows) == list(range(20)) and IMAGES.face_count("all") == 20
    np.testing.assert_array_equal(batch["label"], LABEL[rows % 10])
    batches = taken(IMAGES.ordered(6, 8), 3)
    images = np.concatenate([batch["image"] for batch in batches])
    np.testing.assert_array_equal(images, np.concatenate([IMAGES.weak, IMAGES.peak], axis=-1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: FacePairs(s, ["x"], "ab", *map(np.array, ([1, 2], [3], [0, 0]))), r"\[2, 1, 2"),
        (
            lambda s: FacePairs(s, ["x"], "ab", *map(np.array, ([2, 1], [3, 3], [0, 0]))),
            "`weak` must be ascending rows",
        ),
        (lambda s: ImagePairs("ab", IMAGES.weak, IMAGES.peak[:3], LABEL), "of one shape. Received"),
        (lambda s: ImagePairs("ab", IMAGES.weak / 255, IMAGES.peak, LABEL), "must be uint8"),
        (
            lambda s: ImagePairs("ab", IMAGES.weak, IMAGES.peak, LABEL[:4]),
            r"class ID for each of 10 pictures. Received: shape \(4,\)",
        ),
        (lambda s: IMAGES.pairs(4, 9, 0), r"`size` must be the pictures' own, \(8, 8\). .* 9"),
        (lambda s: IMAGES.pairs(4, 8, 0, start_step=-1), "`start_step` must be .* Received: -1"),
        (lambda s: IMAGES.pairs(11, 8, 0), "`batch_size` must be from 1 to .* 10. Received: 11"),
    ],
)
def test_bad_arguments_are_named(sequences_source, call, message):
    with pytest.raises(ValueError, match=message):
        call(sequences_source)
