"""Which weak face is paired with which peak, what is left out and counted, what is refused."""

import numpy as np
import pytest

from tfface.data.pairing import peak_pairs, pick_peaks, sequence_pairs
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS

NAN = float("nan")


class Listed:
    """A data set that is only its list of labels: (subject, sequence, frame, expression, phase)."""

    expressions = ("anger", "fear", "happiness")

    def __init__(self, records):
        self.records = records

    def values(self, splits, keys):
        columns = zip(*self.records, strict=True)
        named = dict(
            zip(("subject", "sequence", "frame", "expression", "phase"), columns, strict=True)
        )
        texts = {key: [v.encode() for v in named[key]] for key in ("subject", "sequence")}
        return {key: np.array({**named, **texts}[key]) for key in keys}


def sequence(name, length, expression, subject="s", phases=None):
    phases = [NAN] * length if phases is None else phases
    return [(subject, name, frame, expression, phases[frame]) for frame in range(length)]


def pairs_of(records, **kwargs):
    found = sequence_pairs(Listed(records), ("all",), **kwargs)
    columns = zip(found.weak, found.peak, found.neutral, found.label, strict=True)
    return [tuple(map(int, column)) for column in columns], found.skipped


def test_frames_6_to_8_are_paired_with_the_last_and_the_first_is_neutral():
    """Rows 0 to 9 are a sequence of ten frames, rows 10 to 18 one of nine."""
    pairs, skipped = pairs_of([*sequence("a", 10, 2), *sequence("b", 9, 0)])
    assert pairs == [
        (5, 9, 0, 2),
        (6, 9, 0, 2),
        (7, 9, 0, 2),
        (15, 18, 10, 0),
        (16, 18, 10, 0),
        (17, 18, 10, 0),
    ]
    assert skipped == {}


def test_the_eighth_of_eight_frames_is_the_peak_and_not_weak():
    assert pairs_of(sequence("a", 8, 1))[0] == [(5, 7, 0, 1), (6, 7, 0, 1)]


def test_a_first_frame_that_is_weak_is_not_neutral():
    found = sequence_pairs(Listed(sequence("a", 2, 1)), ("all",), weak_frames=(1,))
    assert (found.weak, found.peak, found.neutral) == ([0], [1], None)


def test_frames_count_by_their_order_whatever_their_numbers_and_places():
    """Nine frames numbered 10, 20, ... lie in the set backward."""
    records = [("s", "a", 10 * (9 - row), 1, NAN) for row in range(9)]
    # The sixth frame is number 60, in row 3; the last, 90, in row 0; the first in row 8.
    assert pairs_of(records)[0] == [(1, 0, 8, 1), (2, 0, 8, 1), (3, 0, 8, 1)]


def test_sequences_of_one_name_are_kept_apart_by_subject():
    records = [*sequence("happy", 9, 2, "s"), *sequence("happy", 9, 2, "t")]
    mixed = [record for both in zip(records[:9], records[9:], strict=True) for record in both]
    pairs, _ = pairs_of(mixed)
    assert [(weak % 2, peak % 2, neutral % 2) for weak, peak, neutral, _ in pairs] == [
        (0, 0, 0),
        (1, 1, 1),
    ] * 3


def test_one_subject_is_enough():
    assert len(pairs_of(sequence("a", 12, 0))[0]) == 3


def test_what_does_not_fit_is_left_out_and_counted():
    records = [
        *sequence("fine", 9, 0),
        *sequence("short", 7, 0),
        *sequence("short too", 1, 1),
        *sequence("unlabeled", 9, -1),
        *sequence("falls", 9, 1, phases=[0, 0.2, 0.5, 1, 1, 0.8, 0.5, 0.3, 0.1]),
        *sequence("rises", 9, 2, phases=[0, 0, 0.2, 0.5, NAN, 0.6, 0.6, 1, 1]),
        *sequence("", 9, 1),
    ]
    pairs, skipped = pairs_of(records)
    assert {label for *_, label in pairs} == {0, 2} and len(pairs) == 6
    assert skipped == {
        "shorter than 8 frames": 2,
        "not labeled": 1,
        "not highest at its end": 1,
        "not in a sequence": 1,
    }
    pairs, skipped = pairs_of(records, classes=("happiness", "fear"))
    assert {label for *_, label in pairs} == {0} and skipped["of another expression"] == 1


def test_classes_number_the_labels_of_sets_that_are_mixed():
    records = [*sequence("a", 9, 0), *sequence("b", 9, 1), *sequence("c", 9, 2)]
    pairs, _ = pairs_of(records, classes=("happiness", "anger"), weak_frames=(4,))
    assert pairs == [(3, 8, 0, 1), (21, 26, 18, 0)]


def test_synthetic_sequences_give_three_pairs_each(sequences_source):
    found = sequence_pairs(sequences_source, sequences_source.splits)
    assert len(found) == 2 * 7 * 3 and found.skipped == {}
    assert found.classes == CK_PLUS_EXPRESSIONS
    read = sequences_source.values(
        sequences_source.splits, ["subject", "sequence", "frame", "expression"]
    )
    subject, sequence, frame, expression = read.values()  # frames are numbered from 0
    np.testing.assert_array_equal(np.bincount(frame[found.weak], minlength=12)[5:8], [14] * 3)
    assert set(frame[found.peak]) == {11} and set(frame[found.neutral]) == {0}
    np.testing.assert_array_equal(expression[found.weak], found.label)
    for other in (found.peak, found.neutral):
        np.testing.assert_array_equal(subject[other], subject[found.weak])
        np.testing.assert_array_equal(sequence[other], sequence[found.weak])
    assert len(set(found.weak)) == 42


@pytest.mark.parametrize(
    ("records", "arguments", "message"),
    [
        (
            sequence("a", 7, 0),
            {},
            r"labeled sequence of at least 8 frames. Received: {'shorter than 8 frames': 1}",
        ),
        (sequence("a", 9, -1), {}, "Received: {'not labeled': 1}"),
        (
            sequence("a", 9, 0),
            {"classes": ("anger", "joy")},
            "`classes` must be at least two of anger, fear, happiness, none twice. .* anger, joy",
        ),
        (sequence("a", 9, 0), {"classes": ("anger",)}, "Received: anger"),
        (sequence("a", 9, 0), {"classes": ("fear", "fear")}, "Received: fear, fear"),
        (sequence("a", 9, 0), {"weak_frames": (0, 6)}, r"`weak_frames` must .* \[0, 6\]"),
        (sequence("a", 9, 0), {"weak_frames": ()}, r"`weak_frames` must be .* Received: \[\]"),
    ],
)
def test_bad_sequences_are_named(records, arguments, message):
    with pytest.raises(ValueError, match=message):
        pairs_of(records, **arguments)


def test_a_set_without_expressions_has_no_pairs(frames_source):
    with pytest.raises(ValueError, match="`classes` must be at least two of none"):
        sequence_pairs(frames_source, frames_source.splits)


# Class 0: rows 0 to 3, of which 2 is taken for another class; class 1: rows 4 to 6; row 7: none.
PROBABILITIES = np.array(
    [[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7], [1, 0]]
)
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, -1])


@pytest.mark.parametrize(
    ("arguments", "peaks"),
    [
        ({"share": 0.01}, [1, 4]),  # at least one of each class
        ({"share": 0.5}, [1, 3, 4, 6]),  # 2 of 4, and 1.5 of 3, rounded
        ({"share": 1.0}, [0, 1, 3, 4, 5, 6]),  # all that are recognized
        ({"threshold": 0.7}, [1, 3, 4, 6]),
        ({"threshold": 0.9}, [1, 4]),
    ],
)
def test_peaks_are_the_faces_that_are_recognized_most_surely(arguments, peaks):
    assert pick_peaks(PROBABILITIES, LABELS, **arguments).tolist() == peaks


@pytest.mark.parametrize(
    ("probabilities", "labels", "arguments", "message"),
    [
        (PROBABILITIES, LABELS, {"threshold": 0.91}, "with at least 0.91. .* 4 faces of class 0"),
        (
            PROBABILITIES[:, ::-1],
            np.where(LABELS == 0, -1, LABELS),
            {},
            "must give each class a peak.* Received: none of 3 faces of class 1",
        ),
        (PROBABILITIES, LABELS[:4], {}, r"row for each of 4 faces. Received: shape \(8, 2\)"),
        (PROBABILITIES, LABELS, {"share": 0}, "`share` of peaks must be .* Received: 0"),
        (PROBABILITIES, LABELS, {"share": 1.5}, "`share` of peaks must be .* Received: 1.5"),
        (PROBABILITIES * NAN, LABELS, {}, "must give each class a peak"),
    ],
)
def test_bad_probabilities_are_named(probabilities, labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        pick_peaks(probabilities, labels, **arguments)


def labeled(expressions):
    return Listed([("s", "", row, e, NAN) for row, e in enumerate(expressions)])


def test_every_other_face_gets_a_peak_of_its_class():
    source = labeled([0, 0, 0, 0, 1, 1, 1, -1, 2])
    probabilities = np.vstack([PROBABILITIES, [[0.5, 0.5]]])
    found = peak_pairs(source, ("all",), probabilities, 0.5, classes=("anger", "fear"))
    assert found.weak.tolist() == [0, 2, 5] and found.label.tolist() == [0, 0, 1]
    assert set(found.peak[:2]) <= {1, 3} and found.peak[2] in (4, 6)
    assert found.neutral is None
    assert found.skipped == {"not labeled": 1, "of another expression": 1}


def test_a_seed_draws_the_peaks():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    probabilities = np.full((300, 3), 0.1)
    probabilities[np.arange(300), labels] = rng.uniform(0.5, 0.8, 300)
    pairs = [peak_pairs(labeled(labels), ("all",), probabilities, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(pairs[0].peak, pairs[1].peak)
    assert np.any(pairs[0].peak != pairs[2].peak)
    np.testing.assert_array_equal(labels[pairs[0].peak], pairs[0].label)
    assert len(pairs[0]) + len(set(pick_peaks(probabilities, labels))) == 300
    # Each of about ten peaks of a class serves about a tenth of its faces.
    assert len(set(pairs[0].peak)) > 20


@pytest.mark.parametrize(
    ("expressions", "probabilities", "message"),
    [
        ([0, 1], np.eye(3)[:2], "must leave faces to pair. Received: 2 peaks, no other face"),
        ([0, 0, 1], np.eye(3), "must give each class a peak"),
        ([0, 1], np.eye(2), r"column for each of 3 classes. Received: shape \(2, 2\)"),
    ],
)
def test_faces_that_cannot_be_paired(expressions, probabilities, message):
    with pytest.raises(ValueError, match=message):
        peak_pairs(labeled(expressions), ("all",), probabilities)
