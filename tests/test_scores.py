"""Scores against scikit-learn, distributions against a table small enough to count by hand."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from tfface.scores import Predictions, Scores, average, conditional, score

NAN = np.nan

# Six faces, AUs 1, 2, 4. What is decided at 0.5 stands beside each row of probabilities.
LABELS = [
    [1, 1, 0],
    [1, 0, 0],
    [1, NAN, 0],
    [0, 1, NAN],
    [0, 0, 0],
    [NAN, 1, 0],
]
PROBABILITIES = [
    [0.9, 0.8, 0.1],  # 1 1 0
    [0.5, 0.6, 0.2],  # 1 1 0
    [0.4, 0.9, 0.3],  # 0 1 0
    [0.7, 0.1, 0.9],  # 1 0 1
    [0.3, 0.2, 0.4],  # 0 0 0
    [0.8, 0.6, 0.1],  # 1 1 0
]


def predictions(labels, probabilities, action_units=(1, 2, 4)):
    labels = np.array(labels, np.float32)
    subjects = np.full(len(labels), "S001")
    return Predictions(action_units, labels, np.array(probabilities, np.float32), subjects)


@pytest.fixture
def by_hand():
    return score(predictions(LABELS, PROBABILITIES))


def test_marginals_are_of_the_faces_whose_label_is_known(by_hand):
    # AU1 is known of five faces: 3 present, 3 decided; AU2 of five: 3 and 3; AU4 of five: 0 and 0,
    # since the face in which it is decided has no label.
    np.testing.assert_allclose(by_hand.marginal_truth, [3 / 5, 3 / 5, 0])
    np.testing.assert_allclose(by_hand.marginal, [3 / 5, 3 / 5, 0])
    np.testing.assert_allclose(by_hand.marginal_difference, [0, 0, 0], atol=1e-12)
    moved = score(predictions(LABELS, PROBABILITIES), threshold=0.45)
    np.testing.assert_allclose(moved.marginal, by_hand.marginal)
    moved = score(predictions(LABELS, PROBABILITIES), threshold=0.35)
    np.testing.assert_allclose(moved.marginal, [4 / 5, 3 / 5, 1 / 5])
    np.testing.assert_allclose(moved.marginal_difference, [1 / 5, 0, 1 / 5])


def test_conditionals_are_of_the_faces_whose_labels_are_both_known():
    labels = np.array(LABELS)
    known = ~np.isnan(labels)
    # Labels 1 and 2 are both known of faces 0, 1, 3, 4. AU4 is never present: no column of it.
    expected = [
        [NAN, 1 / 2, NAN],  # P(1 | 2): AU2 in faces 0 and 3, AU1 with it in face 0
        [1 / 2, NAN, NAN],  # P(2 | 1): AU1 in faces 0 and 1, AU2 with it in face 0
        [0, 0, NAN],
    ]
    np.testing.assert_allclose(conditional(known & (labels == 1), known), expected)


def test_conditional_differences(by_hand):
    # Decided, over the same faces: AU1 in 0, 1, 3; AU2 in 0 and 1: P(1 | 2) = 1, P(2 | 1) = 2/3.
    expected = [[NAN, 1 / 2, NAN], [1 / 6, NAN, NAN], [0, 0, NAN]]
    np.testing.assert_allclose(by_hand.conditional_difference, expected, atol=1e-12)
    assert by_hand.mean("conditional_difference") == pytest.approx((1 / 2 + 1 / 6) / 4)
    assert by_hand.defined("conditional_difference") == (4, 6)


def test_the_best_constant_answer_is_present_for_every_face(by_hand):
    # AU1 in 3 of 5: all answered "present", 3 hits and 2 false alarms: 6 / (6 + 2).
    np.testing.assert_allclose(by_hand.best_constant_f1, [6 / 8, 6 / 8, 0])
    assert by_hand.mean("best_constant_f1") == pytest.approx(1 / 2)


def test_what_is_never_known_has_no_score():
    labels = np.array(LABELS)
    labels[:, 1] = NAN
    scores = score(predictions(labels, PROBABILITIES))
    for figure in ("f1", "auc", "accuracy", "best_constant_f1", "marginal_truth", "marginal"):
        assert np.isnan(getattr(scores, figure)).tolist() == [False, True, figure == "auc"]
    assert np.isnan(scores.conditional_difference[1]).all()
    assert np.isnan(scores.conditional_difference[:, 1]).all()
    assert scores.mean("accuracy") == pytest.approx((3 / 5 + 1) / 2)


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(400, 4)) < [0.5, 0.1, 0.3, 0.0]).astype(float)
    probabilities = np.clip(0.3 * labels + rng.uniform(0, 0.7, labels.shape).round(2), 0, 1)
    probabilities[:, 3] = np.minimum(probabilities[:, 3], 0.45)  # and is never decided
    labels[rng.uniform(size=labels.shape) < 0.3] = NAN
    scores = score(predictions(labels, probabilities, (1, 2, 4, 6)))
    assert scores.faces == 400
    for i in range(4):
        known = ~np.isnan(labels[:, i])
        truth, given = labels[known, i], probabilities[known, i].astype(np.float32)
        decided = given >= 0.5
        assert scores.f1[i] == pytest.approx(f1_score(truth, decided, zero_division=0))
        assert scores.accuracy[i] == pytest.approx(accuracy_score(truth, decided))
        constant = f1_score(truth, np.ones_like(truth), zero_division=0)
        assert scores.best_constant_f1[i] == pytest.approx(constant)
        if i < 3:
            assert scores.auc[i] == pytest.approx(roc_auc_score(truth, given))
    assert scores.f1[3] == 0 and np.isnan(scores.auc[3])
    assert scores.mean("auc") == pytest.approx(np.mean(scores.auc[:3]))
    assert scores.defined("auc") == (3, 4)


def test_scores_come_back_from_strict_json(by_hand):
    text = json.dumps(by_hand.to_dict(), allow_nan=False)
    again = Scores.from_dict(json.loads(text))
    assert again.action_units == (1, 2, 4) and again.faces == 6
    assert np.isnan(again.auc[2])
    for figure in set(by_hand.to_dict()) - {"action_units", "faces"}:
        np.testing.assert_array_equal(getattr(again, figure), getattr(by_hand, figure))


def test_folds_are_averaged_figure_by_figure_where_they_have_one():
    always = [[1.0, 1.0]] * 3
    first = score(predictions([[1, 1], [0, 0], [1, NAN]], always, (1, 2)))
    second = score(predictions([[1, NAN], [1, NAN], [1, NAN]], always, (1, 2)))
    mean = average([first, second])
    assert mean.faces == 6 and mean.action_units == (1, 2)
    np.testing.assert_allclose(mean.f1, [(4 / 5 + 1) / 2, 2 / 3])  # AU2 in the first fold alone
    np.testing.assert_allclose(mean.accuracy, [(2 / 3 + 1) / 2, 1 / 2])
    np.testing.assert_allclose(mean.marginal_difference, [(1 / 3 + 0) / 2, 1 / 2])
    np.testing.assert_allclose(mean.auc, [1 / 2, 1 / 2])  # all of a kind in the second fold
    # In the first fold labels 1 and 2 are both known of two faces, by which both P are 1.
    np.testing.assert_allclose(mean.conditional_difference, [[NAN, 0], [0, NAN]])


def test_folds_must_be_of_the_same_action_units(by_hand):
    other = score(predictions(LABELS, PROBABILITIES, (1, 2, 6)))
    with pytest.raises(ValueError, match=r"same action units. Received: \[\(1, 2, 4\), \(1, 2, 6"):
        average([by_hand, other])
    with pytest.raises(ValueError, match=r"at least one, .* Received: \[\]"):
        average([])
