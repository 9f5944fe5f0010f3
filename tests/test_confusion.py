"""Counts of classes taken for others, against sums by hand and scikit-learn."""

import json

import numpy as np
import pytest
from sklearn import metrics

from tfface.confusion import Confusion, accuracy_over, total

CLASSES = ("anger", "fear", "joy", "sadness")
LABELS = np.array([0, 0, 0, 1, 1, 2])
ANSWERS = np.array([0, 0, 2, 2, 0, 2])
# Sadness is neither present nor answered, fear is present and never answered.
MATRIX = [[2, 0, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
NAN = np.nan


@pytest.fixture
def confusion():
    return Confusion.of(CLASSES, LABELS, ANSWERS)


def test_rows_are_the_true_classes(confusion):
    np.testing.assert_array_equal(confusion.matrix, MATRIX)
    assert confusion.matrix.dtype == np.int64 and confusion.faces == 6


def test_figures_are_those_counted_by_hand(confusion):
    assert confusion.accuracy == pytest.approx(3 / 6)
    np.testing.assert_allclose(confusion.recall, [2 / 3, 0, 1, NAN])
    np.testing.assert_allclose(confusion.precision, [2 / 3, NAN, 1 / 3, NAN])
    np.testing.assert_allclose(confusion.f1, [4 / 6, 0, 2 / 4, NAN])
    assert confusion.balanced_accuracy == pytest.approx((2 / 3 + 0 + 1) / 3)
    rows = [[200 / 3, 0, 100 / 3, 0], [50, 0, 50, 0], [0, 0, 100, 0], [NAN] * 4]
    np.testing.assert_allclose(confusion.percentages, rows)


def test_figures_are_scikit_learns():
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 4, (2, 200))
    confusion = Confusion.of(CLASSES, labels, answers)
    np.testing.assert_array_equal(confusion.matrix, metrics.confusion_matrix(labels, answers))
    assert confusion.accuracy == pytest.approx(metrics.accuracy_score(labels, answers))
    assert confusion.balanced_accuracy == pytest.approx(
        metrics.balanced_accuracy_score(labels, answers)
    )
    for name in ("precision", "recall", "f1"):
        expected = getattr(metrics, f"{name}_score")(labels, answers, average=None)
        np.testing.assert_allclose(getattr(confusion, name), expected)


def test_the_largest_of_a_row_is_the_answer(confusion):
    logits = np.full((6, 4), -5.0)
    logits[np.arange(6), ANSWERS] = -1.0
    np.testing.assert_array_equal(Confusion.of(CLASSES, LABELS, logits).matrix, confusion.matrix)


def test_faces_without_a_label_are_left_out():
    labels = LABELS.copy()
    labels[2] = -1
    confusion = Confusion.of(CLASSES, labels, ANSWERS)
    assert confusion.faces == 5 and confusion.matrix[0].tolist() == [2, 0, 0, 0]


def test_nothing_counted_has_no_figures():
    nobody = Confusion.of(CLASSES, np.zeros(0, int), np.zeros(0, int))
    assert nobody.faces == 0 and np.isnan(nobody.accuracy) and np.isnan(nobody.balanced_accuracy)
    assert np.isnan(nobody.recall).all() and np.isnan(nobody.percentages).all()


def test_it_cannot_be_changed():
    given = np.array(MATRIX)
    confusion = Confusion(CLASSES, given)
    given[0, 0] = 9
    assert confusion.matrix[0, 0] == 2
    with pytest.raises(ValueError, match="read-only"):
        confusion.matrix[0, 0] = 9
    with pytest.raises(AttributeError):
        confusion.matrix = given


def test_it_comes_back_from_json(confusion):
    again = Confusion.from_dict(json.loads(json.dumps(confusion.to_dict(), allow_nan=False)))
    assert again.classes == CLASSES
    np.testing.assert_array_equal(again.matrix, confusion.matrix)
    with pytest.raises(KeyError, match="matrix"):
        Confusion.from_dict({"classes": []})


def test_folds_are_summed_and_their_accuracies_averaged(confusion):
    sure = Confusion(CLASSES, np.diag([7, 1, 1, 1]))
    both = total([confusion, sure])
    np.testing.assert_array_equal(both.matrix, np.array(MATRIX) + np.diag([7, 1, 1, 1]))
    assert both.accuracy == pytest.approx(13 / 16)
    mean, spread = accuracy_over([confusion, sure])
    assert mean == pytest.approx(0.75)  # of 0.5 and 1, though the folds differ in size
    assert spread == pytest.approx(0.5 / np.sqrt(2))
    empty = Confusion(CLASSES, np.zeros((4, 4)))
    assert accuracy_over([confusion, sure, empty]) == (mean, spread)
    mean, spread = accuracy_over([confusion])
    assert mean == 0.5 and np.isnan(spread)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Confusion((), np.zeros((0, 0))), r"at least one. Received: shape \(0, 0\)"),
        (lambda: Confusion(CLASSES, np.zeros((3, 4))), r"\(4, 4\) for 4 classes.*\(3, 4\)"),
        (lambda: Confusion(("a",), [[0.5]]), r"`matrix` must hold counts. Received: \[\[0.5\]\]"),
        (lambda: Confusion(("a",), [[-1]]), r"`matrix` must hold counts. Received: \[\[-1\]\]"),
        (lambda: Confusion.of("ab", [0, 2], [0, 0]), r"`labels` .* below 2. Received: \[0, 2\]"),
        (lambda: Confusion.of("ab", [0, 1], [0, -1]), r"`answers` .* Received: \[-1, 0\]"),
        (lambda: Confusion.of("ab", [0, 1], [0]), r"`answers` .* shape \(1,\) .* \(2,\)"),
        (lambda: Confusion.of("ab", [0, 1], np.zeros((2, 3))), r"`answers` .* or 2 .* \(2, 3\)"),
        (lambda: total([]), r"`confusions`, at least one, .* Received: \[\]"),
        (
            lambda: total([Confusion("ab", np.eye(2)), Confusion("ba", np.eye(2))]),
            r"same classes. Received: \[\('a', 'b'\), \('b', 'a'\)\]",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
