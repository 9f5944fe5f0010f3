"""Which face is given which peaks, who is left out or refused, and the streams of them."""

import dataclasses

import numpy as np
import pytest

from tfface.data.targets import ExpressionTargets, expression_targets, peak_faces

NAN = float("nan")
SIZE = 200  # as stored, so that pictures are compared exactly


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


def sequence(name, expression, phases, subject="s"):
    return [(subject, name, frame, expression, phase) for frame, phase in enumerate(phases)]


def targets_of(records, **kwargs):
    return expression_targets(Listed(records), ("all",), **kwargs)


RISING = [0.0, 0.5, 1.0]
WHOLE = [*sequence("a", 0, RISING), *sequence("b", 1, RISING), *sequence("c", 2, RISING)]


def test_every_face_of_a_person_has_the_peaks_of_all_classes():
    """Rows 0 to 8 are s, rows 9 to 17 t; each sequence's third frame is its peak."""
    records = WHOLE + [("t", *record[1:]) for record in WHOLE]
    found = targets_of(records, frames=2)
    np.testing.assert_array_equal(found.face, np.arange(18))
    np.testing.assert_array_equal(found.target, [[2, 5, 8]] * 9 + [[11, 14, 17]] * 9)
    np.testing.assert_array_equal(found.label, [-1, 0, 0, -1, 1, 1, -1, 2, 2] * 2)
    assert found.skipped == {} and found.classes == Listed.expressions


@pytest.mark.parametrize(
    ("phases", "peak", "shown"),
    [
        ([NAN] * 4, 3, [1, 2, 3]),
        ([0, 0.5, 1, 1, 0.5, 0], 3, [2, 3, 4]),
        ([1, 0.5, 0], 0, [0, 1, 2]),
        ([0, NAN, 0.3, NAN], 2, [1, 2, 3]),
        ([0.4], 0, [0]),
    ],
)
def test_a_peak_is_the_last_frame_of_the_highest_phase_or_the_last_of_all(phases, peak, shown):
    start = len(phases)
    records = [*sequence("a", 1, phases), *sequence("b", 0, RISING), *sequence("c", 2, RISING)]
    found = targets_of(records)
    assert found.target[0].tolist() == [start + 2, peak, start + 5]
    assert found.face[found.label == 1].tolist() == shown


def test_of_several_sequences_the_highest_counts_and_else_the_first():
    higher = [*sequence("a", 0, [0, 0.5]), *sequence("b", 0, [0, 0.7]), *sequence("c", 0, [0, NAN])]
    rest = [*sequence("d", 1, [0, 1]), *sequence("e", 1, [0, 1]), *sequence("f", 2, [NAN, NAN])]
    assert set(map(tuple, targets_of(higher + rest).target)) == {(3, 7, 11)}


def test_frames_lie_in_the_set_in_any_order():
    backward = [("s", "a", 10 - row, 0, NAN) for row in range(3)]
    found = targets_of([*backward, *WHOLE[3:]], frames=1)
    assert found.target[0].tolist() == [0, 5, 8] and found.label.tolist()[:3] == [0, -1, -1]


def test_faces_of_no_sequence_stand_for_themselves():
    records = [("s", "", 0, number % 3, NAN) for number in range(7)]
    found = targets_of(records, frames=1)
    assert set(map(tuple, found.target)) == {(0, 1, 2)}
    np.testing.assert_array_equal(found.label, np.arange(7) % 3)


def test_an_unlabeled_frame_of_a_person_is_a_face_but_shows_nothing():
    found = targets_of([*WHOLE, *sequence("d", -1, [NAN, NAN])], frames=1)
    assert len(found) == 11 and found.label.tolist()[-2:] == [-1, -1]


def test_classes_choose_and_order_the_targets():
    found = targets_of(WHOLE, classes=("happiness", "anger"))
    assert set(map(tuple, found.target)) == {(8, 2)}
    assert sorted(set(found.label)) == [-1, 0, 1] and found.label[found.face == 8] == 0


LACKING = [
    *WHOLE,
    *[("t", *record[1:]) for record in WHOLE[:3]],
    *sequence("a", 2, [NAN], "u"),
    *sequence("a", -1, [NAN, NAN], "v"),
    *sequence("a", 1, [NAN, NAN, NAN], ""),
]


def test_a_person_without_the_target_expression_is_an_error():
    message = (
        "`splits` must hold a peak of each class by each person, or `missing` be 'skip'. Received: "
        "t without fear, t without happiness, u without anger, u without fear"
    )
    with pytest.raises(ValueError) as raised:
        targets_of(LACKING)
    assert str(raised.value) == message
    many = WHOLE + [(f"s{i}", "a", 0, 0, NAN) for i in range(4)]
    with pytest.raises(ValueError, match=r"s0 without fear, .*, s2 without fear and 3 more$"):
        targets_of(many)


def test_or_teaches_the_other_classes_alone_and_is_counted():
    found = targets_of(LACKING, missing="skip")
    np.testing.assert_array_equal(found.face, np.arange(13))
    np.testing.assert_array_equal(found.target[9:12], [[11, -1, -1]] * 3)
    np.testing.assert_array_equal(found.target[12], [-1, -1, 12])
    assert found.skipped == {
        "persons without anger": 1,
        "persons without fear": 2,
        "persons without happiness": 1,
        "faces of persons without a peak": 2,
        "faces of nobody known": 3,
    }


def test_among_a_few_people_a_class_may_have_no_peak_at_all():
    found = targets_of(WHOLE[:6], missing="any")
    np.testing.assert_array_equal(found.target, [[2, 5, -1]] * 6)
    with pytest.raises(ValueError, match="Received: anger, fear, happiness without one"):
        targets_of([("", *record[1:]) for record in WHOLE], missing="any")


def test_some_classes_of_many_leave_out_whom_they_teach_nothing():
    found = targets_of(LACKING, missing="skip").of_classes(["happiness", "fear"])
    assert found.face.tolist() == [*range(9), 12]
    np.testing.assert_array_equal(found.target, [[8, 5]] * 9 + [[12, -1]])
    assert found.label[found.face == 5] == 1 and found.label[found.face == 2] == -1
    whole = targets_of(WHOLE)
    assert whole.of_classes(whole.classes).label.tolist() == whole.label.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: targets_of(WHOLE[:6], missing="skip"),
            "`classes` must each have a peak by a known person. Received: happiness without one",
        ),
        (
            lambda: targets_of([("", *record[1:]) for record in WHOLE]),
            "by a known person. Received: anger, fear, happiness without one",
        ),
        (lambda: targets_of(WHOLE, missing="leave"), r"`missing` must be one of .* 'leave'"),
        (lambda: targets_of(WHOLE, frames=0), "`frames` must be at least 1. Received: 0"),
        (lambda: targets_of(WHOLE, classes=("anger", "joy")), "`classes` must be at least two of"),
        (
            lambda: targets_of(WHOLE).of_classes(["joy"]),
            "`classes` must be some of anger, fear, happiness, none twice. Received: joy",
        ),
        (lambda: targets_of(WHOLE).of_classes([]), "`classes` must be some of .* Received: none"),
        (lambda: targets_of(WHOLE).of_classes(["fear"] * 2), "none twice. Received: fear, fear"),
        (
            lambda: peak_faces(Listed(sequence("a", -1, RISING)), ("all",)),
            "`splits` must hold labeled faces. Received: none of anger, fear, happiness",
        ),
        (
            lambda: ExpressionTargets(None, (), "ab", *map(np.array, ([0, 1], [[1, 1]], [0, 0]))),
            r"Each of 2 faces must have 2 targets and a label. Received: shapes \[\(2,\), \(1, 2\)",
        ),
        (
            lambda: ExpressionTargets(
                None, (), "ab", *map(np.array, ([1, 0], [[1, 1]] * 2, [0, 0]))
            ),
            "`face` must be ascending rows, none twice",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_classifier_learns_the_frames_nearest_to_each_peak():
    """FER-2013 knows nobody and no sequence; BU-4DFE's peaks are in the middle."""
    photos = [("", "", 0, number % 3, NAN) for number in range(4)]
    middle = sequence("a", 1, [0, 0.2, 0.5, 0.8, 1, 0.8, 0.5, 0.2, 0], "")
    found = peak_faces(Listed([*photos, *middle]), ("all",), frames=7)
    assert found.weak.tolist() == [0, 1, 2, 3, *range(5, 12)]
    assert found.peak.tolist() == found.weak.tolist()
    assert found.label.tolist() == [0, 1, 2, 0, *[1] * 7]


def test_synthetic_people_have_all_peaks(sequences_source):
    splits = sequences_source.splits
    found = expression_targets(sequences_source, splits)
    read = sequences_source.values(splits, ["subject", "frame", "expression"])
    assert len(found) == 168 and found.skipped == {}
    assert found.shown_count() == len(peak_faces(sequences_source, splits)) == 2 * 7 * 3
    assert set(read["frame"][found.target].ravel()) == {11}
    np.testing.assert_array_equal(read["expression"][found.target], [range(7)] * 168)
    for rows in found.target.T:
        np.testing.assert_array_equal(read["subject"][rows], read["subject"][found.face])


@pytest.fixture(scope="module")
def one_person(sequences_source):
    return expression_targets(sequences_source, sequences_source.splits[:1])


@pytest.fixture(scope="module")
def stored(sequences_source):
    records = sequences_source.records(sequences_source.splits[:1])
    return np.stack([record["image"] for record in records.as_numpy_iterator()])


def row_in(picture, stored):
    (row,) = np.flatnonzero((stored == picture).all((1, 2, 3)))
    return row


@pytest.mark.parametrize("cache", [True, False], ids=["memory", "files"])
def test_a_face_comes_beside_its_targets_and_says_which_are_known(one_person, stored, cache):
    target = one_person.target.copy()
    target[::2, 3] = -1
    lacking = dataclasses.replace(one_person, target=target)
    (batch,) = lacking.beside(6, SIZE, seed=3, cache=cache).take(1).as_numpy_iterator()
    assert batch["image"].shape == (6, SIZE, SIZE, 24) and batch["image"].dtype == np.uint8
    for image, known in zip(batch["image"], batch["known"], strict=True):
        face, *targets = np.split(image, 8, axis=-1)
        row = row_in(face, stored)
        # What is not known looks like a peak of its class all the same.
        assert [row_in(t, stored) for t in targets] == one_person.target[0].tolist()
        assert known.tolist() == [1, 1, 1, row % 2, 1, 1, 1]


def test_a_stream_from_a_step_on_is_the_rest_of_the_whole_stream(one_person):
    whole = list(one_person.beside(16, 8, seed=1).take(8).as_numpy_iterator())
    later = list(one_person.beside(16, 8, seed=1, start_step=6).take(2).as_numpy_iterator())
    for a, b in zip(whole[6:], later, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
    assert np.any(whole[0]["image"] != whole[5]["image"])  # the second epoch's order is another


def test_faces_that_show_a_class_come_once_in_order(one_person, stored, sequences_source):
    batches = list(one_person.shown(8, SIZE).as_numpy_iterator())
    assert [len(batch["image"]) for batch in batches] == [8, 8, 5]
    images, labels, subjects = (
        np.concatenate([batch[key] for batch in batches]) for key in ("image", "label", "subject")
    )
    rows = [row_in(image, stored) for image in images[..., :3]]
    assert rows == one_person.face[one_person.label >= 0].tolist()
    read = sequences_source.values(one_person.splits, ["frame", "expression"])
    assert sorted(read["frame"][rows]) == sorted([9, 10, 11] * 7)
    np.testing.assert_array_equal(labels, read["expression"][rows])
    assert set(subjects) == {b"S001"}
