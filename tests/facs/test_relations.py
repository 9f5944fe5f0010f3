import itertools

import numpy as np
import pytest

from tfface.facs.action_units import ACTION_UNITS, BP4D_AUS
from tfface.facs.expressions import PROTOTYPES
from tfface.facs.relations import (
    ANTAGONISTS,
    SYNERGISTS,
    AURelations,
    prior_relations,
    relations_from_labels,
)


def pair_labels(both, first, second, neither):
    """Labels of two action units with the given 2x2 table."""
    rows = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    return np.array(rows, float)


def pair_relation(labels, **thresholds):
    """What is found of the two columns: "coexisting", "exclusive" or None."""
    found = relations_from_labels(labels, (1, 2), **thresholds)
    assert found.coexisting[0, 1] == found.coexisting[1, 0]
    assert found.exclusive[0, 1] == found.exclusive[1, 0]
    assert not (found.coexisting[0, 1] and found.exclusive[0, 1])
    if found.coexisting[0, 1]:
        return "coexisting"
    return "exclusive" if found.exclusive[0, 1] else None


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((30, 20, 20, 30), None),  # odds ratio (30.5 / 20.5)^2 = 2.21
        ((40, 20, 20, 40), "coexisting"),  # (40.5 / 20.5)^2 = 3.90
        ((20, 30, 30, 20), None),
        ((20, 40, 40, 20), "exclusive"),
        ((0, 40, 40, 20), "exclusive"),  # an empty cell: 0.5 * 20.5 / 40.5^2 = 0.006
        ((25, 25, 25, 25), None),  # independent
        ((90, 90, 10, 10), None),  # independent, though P(second) = 0.5 and P(first) = 0.9
    ],
)
def test_odds_ratio_decides(table, expected):
    assert pair_relation(pair_labels(*table)) == expected


def test_odds_ratio_at_its_threshold():
    labels = pair_labels(35, 20, 20, 35)  # (35.5 / 20.5)^2 = 2.9988
    assert pair_relation(labels, odds_ratio=3.0) is None
    assert pair_relation(labels, odds_ratio=2.9987) == "coexisting"


def test_too_little_seen_stays_unknown():
    # Both present in 10 of 20 frames: each cell is expected 10 * 10 / 20 = 5 times.
    assert pair_relation(pair_labels(9, 1, 1, 9)) == "coexisting"
    # 9 of 18 frames: 9 * 9 / 18 = 4.5.
    assert pair_relation(pair_labels(9, 0, 0, 9)) is None
    assert pair_relation(pair_labels(9, 0, 0, 9), min_expected=4) == "coexisting"
    # 1000 frames, but each AU in 50 only: both are expected 50 * 50 / 1000 = 2.5 times.
    assert pair_relation(pair_labels(0, 50, 50, 900)) is None
    # The same of their absence: each is absent in 50 frames only.
    assert pair_relation(pair_labels(900, 50, 50, 0)) is None


def test_action_units_that_never_vary_have_no_relations():
    labels = np.stack([np.zeros(100), np.ones(100), np.arange(100) % 2], axis=-1)
    found = relations_from_labels(labels, (1, 2, 4), min_expected=0.1)
    np.testing.assert_array_equal(found.coexisting, np.eye(3, dtype=bool))
    assert not found.exclusive.any()


def test_frames_in_which_one_of_the_pair_is_not_coded_do_not_count():
    labels = pair_labels(40, 20, 20, 40)
    nan = np.nan
    # As many frames that would turn the relation round, had the missing label been 0.
    noise = np.array([(1, nan)] * 500 + [(nan, 1)] * 500 + [(nan, nan)] * 10)
    assert pair_relation(labels) == "coexisting"
    assert pair_relation(np.concatenate([labels, noise])) == "coexisting"
    assert pair_relation(np.nan_to_num(np.concatenate([labels, noise]))) == "exclusive"


def test_pairs_are_counted_over_their_own_known_frames():
    # Columns 1 and 2 are coded together in the first half, 2 and 4 in the second; 1 and 4 never.
    first, second = pair_labels(40, 20, 20, 40), pair_labels(20, 40, 40, 20)
    labels = np.full((240, 3), np.nan)
    labels[:120, :2] = first
    labels[120:, 1:] = second
    found = relations_from_labels(labels, (1, 2, 4))
    assert np.argwhere(np.triu(found.coexisting, 1)).tolist() == [[0, 1]]
    assert np.argwhere(np.triu(found.exclusive, 1)).tolist() == [[1, 2]]


def test_counts_match_a_loop_over_pairs():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(400, 2))
    labels = (hidden[:, [0, 0, 1, 1]] * (1, -1, 1, 1) + rng.normal(0, 1, (400, 4)) > 0).astype(
        float
    )
    labels[rng.random(labels.shape) < 0.1] = np.nan
    found = relations_from_labels(labels, (6, 4, 1, 2))
    for i, j in itertools.combinations(range(4), 2):
        known = labels[~np.isnan(labels[:, [i, j]]).any(axis=1)][:, [i, j]]
        counts = {(a, b): np.all(known == (a, b), axis=1).sum() for a in (0, 1) for b in (0, 1)}
        odds = (counts[1, 1] + 0.5) * (counts[0, 0] + 0.5)
        odds /= (counts[1, 0] + 0.5) * (counts[0, 1] + 0.5)
        assert found.coexisting[i, j] == (odds >= 3)
        assert found.exclusive[i, j] == (odds <= 1 / 3)
    assert found.exclusive[0, 1]
    assert found.coexisting[2, 3]


def test_an_action_unit_coexists_with_itself():
    found = relations_from_labels(pair_labels(5, 5, 5, 5), (1, 2))
    assert found.coexisting.diagonal().all()
    assert not found.exclusive.diagonal().any()


@pytest.mark.parametrize(
    ("labels", "thresholds", "message"),
    [
        (np.zeros((5, 3)), {}, r"`labels` must have shape \(frames, 2\).* Received: \(5, 3\)"),
        (np.zeros(2), {}, r"`labels` must have shape .* Received: \(2,\)"),
        (np.array([[0, 9.0]]), {}, r"`labels` must be 0, 1 or NaN. Received: \[9.0\]"),
        (np.zeros((5, 2)), {"odds_ratio": 1}, "`odds_ratio` must be above 1. Received: 1"),
        (np.zeros((5, 2)), {"min_expected": -1}, "`min_expected` must be at least 0"),
    ],
)
def test_relations_from_labels_rejects(labels, thresholds, message):
    with pytest.raises(ValueError, match=message):
        relations_from_labels(labels, (1, 2), **thresholds)


@pytest.mark.parametrize(
    ("pair", "coexist", "exclude"),
    [
        ((1, 2), True, False),  # surprise, and Fig. 1 of the recognition paper
        ((6, 12), True, False),  # happiness
        ((15, 17), True, False),
        ((25, 26), True, False),
        ((12, 15), False, True),  # Fig. 1 of the recognition paper
        ((24, 25), False, True),
        ((2, 24), False, False),
    ],
)
def test_prior_of_known_pairs(pair, coexist, exclude):
    prior = prior_relations(pair)
    assert prior.coexisting[0, 1] == prior.coexisting[1, 0] == coexist
    assert prior.exclusive[0, 1] == prior.exclusive[1, 0] == exclude


def test_prior_follows_the_order_of_its_action_units():
    forward, backward = prior_relations(BP4D_AUS), prior_relations(BP4D_AUS[::-1])
    assert backward.action_units == BP4D_AUS[::-1]
    np.testing.assert_array_equal(backward.coexisting, forward.coexisting[::-1, ::-1])
    np.testing.assert_array_equal(backward.exclusive, forward.exclusive[::-1, ::-1])


def test_no_prototype_holds_a_pair_that_excludes_itself():
    prior = prior_relations(ACTION_UNITS)
    assert not (prior.coexisting & prior.exclusive).any()
    place = {unit: index for index, unit in enumerate(prior.action_units)}
    for units in PROTOTYPES.values():
        for first, second in itertools.combinations(units, 2):
            assert prior.coexisting[place[first], place[second]]


def test_tables_of_pairs_are_sorted_and_without_repeats():
    for table in (SYNERGISTS, ANTAGONISTS):
        assert list(table) == sorted(set(table))
        assert all(first < second for first, second in table)
        assert {unit for pair in table for unit in pair} <= set(ACTION_UNITS)


def test_relations_are_kept_from_change():
    prior = prior_relations((1, 2))
    with pytest.raises(ValueError, match="read-only"):
        prior.coexisting[0, 1] = False
    given = np.zeros((2, 2), bool)
    kept = AURelations((1, 2), given, given)
    given[0, 1] = True
    assert not kept.coexisting.any()


@pytest.mark.parametrize(
    ("coexisting", "exclusive", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), r"`coexisting` must have shape \(2, 2\)"),
        (np.zeros((2, 2)), np.zeros((3, 3)), r"`exclusive` must have shape \(2, 2\)"),
        (np.array([[0, 1], [0, 0]]), np.zeros((2, 2)), "`coexisting` must be symmetric"),
        (np.zeros((2, 2)), np.eye(2), "`exclusive` must be False on its diagonal"),
    ],
)
def test_relations_reject(coexisting, exclusive, message):
    with pytest.raises(ValueError, match=message):
        AURelations((1, 2), coexisting, exclusive)
