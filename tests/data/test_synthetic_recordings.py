"""Labels of synthetic recordings: they follow life, and the pictures show them."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tfface.data import schema
from tfface.data.synthetic import (
    SYNTHETIC_AUS,
    frames,
    recordings,
    sample_identity,
    sequences,
)
from tfface.data.synthetic.behavior import TASKS, labels, posed_peak, sample_moment
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS, PROTOTYPES
from tfface.facs.relations import prior_relations

# Share of frames that show an AU: BP4D's base rates as commonly reported, rounded.
BP4D_RATES = {
    1: 0.21, 2: 0.17, 4: 0.20, 6: 0.46, 7: 0.55, 10: 0.59, 12: 0.56, 14: 0.47, 15: 0.17,
    17: 0.34, 23: 0.17, 24: 0.15,
}  # fmt: skip


@pytest.fixture(scope="module")
def moments():
    drawn = []
    for subject in range(60):
        identity, rng = sample_identity(9, subject), np.random.default_rng(subject)
        drawn += [sample_moment(identity, task, rng) for task in TASKS for _ in range(12)]
    return np.array(drawn)


def test_action_units_are_as_unbalanced_as_in_life(moments):
    rates = dict(zip(SYNTHETIC_AUS, labels(moments).mean(axis=0), strict=True))
    for number, published in BP4D_RATES.items():
        assert abs(rates[number] - published) < 0.10, number
    assert max(rates.values()) > 0.5
    assert 0.01 < min(rates.values()) < 0.07


def test_exclusive_action_units_never_meet(moments):
    exclusive = prior_relations(SYNTHETIC_AUS).exclusive
    present = (moments > 0).astype(int)
    assert exclusive.any()
    assert ((present.T @ present)[exclusive] == 0).all()


def test_action_units_of_one_expression_come_together(moments):
    present = labels(moments)
    for first, second in ((6, 12), (1, 2), (25, 26), (4, 9)):
        a, b = (present[:, SYNTHETIC_AUS.index(number)] for number in (first, second))
        assert b[a == 1].mean() > 1.4 * b[a == 0].mean()


def test_intensities_keep_their_range(moments):
    assert moments.min() >= 0 and moments.max() <= 5
    weak = moments[(moments > 0) & (moments < 1)]
    assert weak.size and not labels(weak).any()


@pytest.mark.parametrize("expression", CK_PLUS_EXPRESSIONS)
def test_a_posed_peak_is_the_prototype(expression):
    rng = np.random.default_rng(0)
    usual = np.mean([posed_peak(expression, sample_identity(0, k), rng) for k in range(40)], axis=0)
    prototype = [SYNTHETIC_AUS.index(number) for number in PROTOTYPES[expression]]
    others = np.setdiff1d(np.arange(len(usual)), prototype)
    assert (usual[prototype] > 1.2).all()
    assert usual[prototype].mean() > 2 * usual[others].mean()


def test_frames_are_records():
    records = list(frames(0, "S01", 10, schema.FACE_SIZE))
    assert len(records) == 10
    for record in records:
        schema.check(record, len(SYNTHETIC_AUS))
        assert record["subject"] == "S01" and record["expression"] == -1
        assert np.isnan(record["phase"])
        np.testing.assert_array_equal(record["au"], record["au_intensity"] >= 1)
    keys = [(record["sequence"], int(record["frame"])) for record in records]
    assert len(set(keys)) == 10
    assert {sequence for sequence, _ in keys} == set(TASKS)
    assert keys[:2] == [("T1", 0), ("T1", 1)] and ("T8", 0) in keys


def test_frames_label_the_action_units_asked_for():
    whole, part = (list(frames(0, 1, 4, 48, action_units=units)) for units in
                   (SYNTHETIC_AUS, (12, 1)))  # fmt: skip
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
        columns = [SYNTHETIC_AUS.index(12), SYNTHETIC_AUS.index(1)]
        np.testing.assert_array_equal(a["au"][columns], b["au"])
    with pytest.raises(ValueError, match=r"`action_units`.*Received: \[43\]"):
        next(frames(0, 1, 4, 48, action_units=(12, 43)))


def test_sequences_run_from_neutral_to_peak():
    records = list(sequences(0, 2, 48))
    assert len(records) == 12 * len(CK_PLUS_EXPRESSIONS)
    for label, expression in enumerate(CK_PLUS_EXPRESSIONS):
        sequence = records[12 * label : 12 * label + 12]
        assert {record["sequence"] for record in sequence} == {expression}
        assert {int(record["expression"]) for record in sequence} == {label}
        np.testing.assert_allclose(
            [record["phase"] for record in sequence], np.linspace(0, 1, 12), atol=1e-6
        )
        intensities = np.stack([record["au_intensity"] for record in sequence])
        assert not intensities[0].any()
        assert (np.diff(intensities, axis=0) >= 0).all()
        assert sequence[-1]["au"].sum() >= 1
        # Landmarks leave their place as the expression grows, by more than the head's sway.
        places = np.stack([record["landmarks"] for record in sequence])
        assert np.abs(places[-1] - places[0]).max() > 1.0


@pytest.mark.parametrize("one_sitting", [False, True])
def test_in_one_sitting_there_is_one_light(one_sitting, monkeypatch):
    seen = []

    def looked(identity, intensities, nuisance, size):
        seen.append(nuisance)
        return render(identity, intensities, nuisance, size)

    render = recordings.render
    monkeypatch.setattr(recordings, "render", looked)
    faces = list(sequences(0, 2, 16, shown=(0, 11), one_sitting=one_sitting))
    assert len(faces) == len(seen) == 2 * len(CK_PLUS_EXPRESSIONS)
    lights = {(n.light, n.exposure, n.background_seed, n.background) for n in seen}
    assert len(lights) == (1 if one_sitting else len(CK_PLUS_EXPRESSIONS))
    assert len({n.roll for n in seen}) == len(seen)  # the head moves all the same
    # The first sequence is as it is without.
    other = next(sequences(0, 2, 16, shown=(0, 11)))
    np.testing.assert_array_equal(faces[0]["image"], other["image"])


@pytest.mark.slow
def test_a_classifier_learns_something_but_not_all():
    pictures, present, subjects = [], [], []
    for subject in range(40):
        for record in frames(5, subject, 25, 40):
            face = record["image"][7:38, 5:35].mean(axis=-1).ravel()
            pictures.append((face - face.mean()) / face.std())
            present.append(record["au"])
            subjects.append(subject)
    pictures, present = np.array(pictures), np.array(present)
    train = np.array(subjects) < 28
    scores = {}
    for number in (6, 12, 25):
        column = present[:, SYNTHETIC_AUS.index(number)]
        model = make_pipeline(
            PCA(60, random_state=0), StandardScaler(), LogisticRegression(C=0.1, max_iter=500)
        )
        model.fit(pictures[train], column[train])
        guess = model.decision_function(pictures[~train])
        scores[number] = roc_auc_score(column[~train], guess)
    assert min(scores.values()) > 0.6
    assert max(scores.values()) < 0.97
