"""Drawn faces: whose they are, how many, the same for all models; and lit features by hand."""

import numpy as np
import pytest

from tfface.magnification.examples import (
    LIT_THRESHOLD,
    PER_CLASS,
    ExampleDraw,
    face_pairs,
    lit_features,
    lit_share,
)


def drawn(labels, seed=0, batch_size=7):
    """Faces whose red says their number."""
    count = len(labels)
    faces = np.zeros((count, 2, 2, 3), "float32")
    faces[..., 0] = np.arange(count)[:, None, None] / 255
    numbers = np.arange(count, dtype="float32")[:, None]
    draw = ExampleDraw(3, seed)
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        draw.add(labels[part], {"face": faces[part], "number": numbers[part]})
    return draw.drawn()


def numbers_of(examples):
    return [[int(face["number"][0]) for face in faces] for faces in examples]


def test_faces_of_each_class_are_drawn_from_all():
    labels = np.tile([0, 2, 2], 80)
    examples = drawn(labels)
    numbers = numbers_of(examples)
    assert [len(faces) for faces in numbers] == [PER_CLASS, 0, PER_CLASS]
    for label, faces in enumerate(numbers):
        assert len(set(faces)) == len(faces) and all(labels[n] == label for n in faces)
    assert max(numbers[0]) > 160 and min(numbers[0]) < 80  # not the first ones alone
    for faces in examples:
        for face in faces:
            assert face["face"].dtype == np.float32
            np.testing.assert_allclose(face["face"][..., 0], face["number"][0] / 255, atol=1e-6)


def test_every_face_has_the_same_chance():
    counts = np.zeros(40)
    for seed in range(300):
        counts[numbers_of(drawn(np.zeros(40, int), seed))[0]] += 1
    assert counts.sum() == 300 * PER_CLASS
    # 300 draws of 16 of 40: 120 each, with a standard deviation of 8.5.
    assert counts.min() > 85 and counts.max() < 155


def test_the_draw_is_of_the_seed_and_the_labels_alone():
    labels = np.tile([0, 1], 40)
    first, other = drawn(labels, seed=1), drawn(labels, seed=2)
    assert numbers_of(first) == numbers_of(drawn(labels, seed=1, batch_size=11))
    assert numbers_of(first) != numbers_of(other)


def test_neighbors_are_parted():
    """The first two shown of a class are rarely two frames of one sequence, its neighbors."""
    pairs = [numbers_of(drawn(np.zeros(10, int), seed))[0][:2] for seed in range(60)]
    assert sum(abs(a - b) == 1 for a, b in pairs) < 30  # 18 of 90 pairs are neighbors


def faces_of(features, peaks=None):
    """Faces with these features, each of a sequence of its own unless their peaks are given."""
    peaks = range(len(features)) if peaks is None else peaks
    return [
        {"f": np.array(f), "peak": np.full((2, 2, 3), p)}
        for f, p in zip(features, peaks, strict=True)
    ]


FEATURES = [
    faces_of([[0.0, 4.0, 1.0, 2.0], [0.4, 3.7, 1.0, 2.5]]),
    [],
    faces_of([[0.0, 0.0, 0.0, 0.0]]),
    faces_of([[v, 0.0, 0.0, 0.0] for v in (0.0, 0.3, 1.0)]),
]


def test_features_that_differ_by_more_than_a_tenth_of_the_largest_are_lit():
    assert LIT_THRESHOLD == 0.1  # of 4.0 here
    lit = lit_features(FEATURES, "f")
    assert [part.shape for part in lit] == [(1, 4), (0, 4), (0, 4), (3, 4)]
    np.testing.assert_array_equal(lit[0], [[False, False, False, True]])
    np.testing.assert_array_equal(lit[3][:, 0], [False, True, True])  # 0.3, 1.0 and 0.7 apart
    assert lit_share(FEATURES, "f") == pytest.approx(3 / 16)


def test_features_count_in_units_of_their_own():
    scaled = [[{**face, "f": 50 * face["f"]} for face in faces] for faces in FEATURES]
    assert lit_share(scaled, "f") == lit_share(FEATURES, "f")


def test_without_a_pair_there_is_no_share():
    assert np.isnan(lit_share([FEATURES[2], [], FEATURES[2]], "f"))


def test_dead_features_are_alike():
    assert lit_share([faces_of([np.zeros(4), np.zeros(4)])], "f") == 0


def test_frames_of_one_sequence_are_no_pair():
    faces = faces_of([[0.0], [1.0], [2.0]], peaks=(0.5, 0.5, 0.7))
    assert [(a["f"][0], b["f"][0]) for a, b in face_pairs(faces)] == [(0, 2), (1, 2)]
    assert [part.shape for part in lit_features([faces, faces[:2]], "f")] == [(2, 1), (0, 1)]
