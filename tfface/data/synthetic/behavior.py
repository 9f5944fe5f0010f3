"""What synthetic subjects express: combinations of action units as they occur in life.

Frames of spontaneous behavior are moments: an episode (a smile, talk, disgust ...) brings some of
its action units with their usual odds and strengths, and speech or a second, weaker episode may
mix in. Odds are chosen so that, over many subjects, the AUs of BP4D occur about as often as in
BP4D (from 17 % for AU 2 to almost 60 % for AUs 10 and 12), and the others about as in DISFA
(5 and 9 in about 5 %). Posed expressions follow the prototypes of `facs.expressions`.
AUs that exclude each other (`facs.relations`) never show in one frame.
"""

import dataclasses

import numpy as np

from tfface.data.synthetic.identity import SYNTHETIC_AUS
from tfface.facs.expressions import PROTOTYPES
from tfface.facs.relations import prior_relations

PRESENT = 1.0
"""Least intensity that counts as present (the manual's level A)."""

_EXCLUSIVE = prior_relations(SYNTHETIC_AUS).exclusive
_INDEX = {number: k for k, number in enumerate(SYNTHETIC_AUS)}


@dataclasses.dataclass(frozen=True)
class Episode:
    """A kind of moment: how often it comes, and what it shows.

    Args:
        weight: How often it comes, relative to the others.
        actions: AU: (probability, usual intensity).
    """

    weight: float
    actions: dict


EPISODES = {
    "smile": Episode(0.27, {
        6: (0.85, 2.8), 7: (0.70, 2.2), 10: (0.75, 2.2), 12: (1.0, 3.0), 14: (0.40, 1.6),
        25: (0.62, 2.4), 26: (0.20, 1.8), 1: (0.10, 1.5), 2: (0.10, 1.5)}),
    "polite smile": Episode(0.15, {
        6: (0.45, 1.8), 7: (0.45, 1.6), 10: (0.50, 1.7), 12: (0.95, 2.0), 14: (0.80, 2.2),
        17: (0.45, 1.8), 23: (0.30, 1.8), 24: (0.40, 2.0), 1: (0.12, 1.5), 2: (0.12, 1.5)}),
    "talk": Episode(0.20, {
        25: (0.88, 2.4), 26: (0.50, 2.2), 10: (0.70, 2.0), 7: (0.50, 1.8), 14: (0.50, 1.8),
        12: (0.35, 1.6), 17: (0.30, 1.8), 23: (0.22, 1.8), 1: (0.25, 2.0), 2: (0.22, 2.0),
        4: (0.15, 1.8), 6: (0.30, 1.6)}),
    "rest": Episode(0.08, {
        7: (0.35, 1.5), 14: (0.40, 1.6), 17: (0.25, 1.5), 23: (0.15, 1.5), 24: (0.22, 1.6),
        4: (0.15, 1.5)}),
    "disgust": Episode(0.07, {
        4: (0.60, 2.2), 6: (0.60, 2.2), 7: (0.90, 2.8), 9: (0.55, 3.0), 10: (0.90, 3.0),
        12: (0.25, 1.8), 14: (0.30, 1.8), 17: (0.50, 2.4), 23: (0.20, 2.0), 25: (0.40, 2.0)}),
    "pain": Episode(0.06, {
        4: (0.85, 2.8), 6: (0.90, 2.8), 7: (0.95, 3.0), 9: (0.20, 2.4), 10: (0.80, 2.6),
        12: (0.30, 2.0), 17: (0.30, 2.0), 20: (0.25, 2.4), 25: (0.60, 2.4), 26: (0.20, 2.0)}),
    "surprise": Episode(0.04, {
        1: (0.95, 3.0), 2: (0.92, 3.0), 5: (0.50, 2.8), 12: (0.35, 1.8), 25: (0.80, 2.6),
        26: (0.70, 2.8)}),
    "fear": Episode(0.025, {
        1: (0.95, 3.0), 2: (0.75, 2.4), 4: (0.80, 2.6), 5: (0.60, 2.8), 7: (0.40, 2.0),
        20: (0.65, 2.8), 25: (0.85, 2.4), 26: (0.40, 2.0)}),
    "sadness": Episode(0.06, {
        1: (0.85, 2.8), 4: (0.75, 2.4), 6: (0.25, 1.6), 7: (0.35, 1.6), 15: (0.90, 2.8),
        17: (0.75, 2.6), 24: (0.25, 2.0)}),
    "anger": Episode(0.04, {
        4: (0.95, 3.2), 5: (0.20, 2.2), 7: (0.90, 2.8), 10: (0.30, 2.2), 17: (0.55, 2.4),
        23: (0.75, 2.8), 24: (0.50, 2.8)}),
    "doubt": Episode(0.09, {
        1: (0.55, 2.0), 2: (0.65, 2.2), 4: (0.25, 1.8), 14: (0.45, 2.0), 15: (0.75, 2.2),
        17: (0.90, 2.6), 24: (0.20, 1.8), 7: (0.30, 1.6)}),
    "embarrassment": Episode(0.05, {
        12: (0.75, 2.2), 6: (0.45, 1.8), 10: (0.35, 1.8), 14: (0.70, 2.4), 15: (0.20, 1.8),
        17: (0.45, 2.2), 23: (0.45, 2.2), 24: (0.50, 2.4), 1: (0.20, 1.8), 2: (0.20, 1.8)}),
}  # fmt: skip

TASKS = {
    "T1": ("smile", "polite smile", "talk"),
    "T2": ("sadness", "rest", "doubt", "talk"),
    "T3": ("surprise", "smile"),
    "T4": ("embarrassment", "smile", "talk"),
    "T5": ("fear", "surprise", "talk"),
    "T6": ("pain", "rest"),
    "T7": ("anger", "doubt", "talk"),
    "T8": ("disgust", "polite smile"),
}
"""The eight tasks of BP4D's recordings and the episodes that each favors."""

# What often comes with a prototype beyond its own AUs: (probability, share of the intensity).
_COMPANIONS = {
    "anger": {24: (0.6, 0.8), 17: (0.5, 0.7), 10: (0.15, 0.5)},
    "disgust": {10: (0.8, 0.9), 4: (0.6, 0.7), 7: (0.7, 0.7), 6: (0.3, 0.5)},
    "fear": {25: (0.95, 0.8)},
    "happiness": {25: (0.75, 0.8), 10: (0.4, 0.5), 7: (0.4, 0.5), 26: (0.2, 0.4)},
    "sadness": {17: (0.8, 0.8), 7: (0.2, 0.4)},
    "surprise": {25: (1.0, 0.8)},
    "contempt": {17: (0.3, 0.4), 24: (0.3, 0.4)},
    "neutral": {},
}
# Of disgust's variants the commonest shows no AU 15; contempt is more a dimple than a smile.
_SHARES = {("disgust", 15): 0.45, ("contempt", 12): 0.40, ("fear", 7): 0.6, ("anger", 5): 0.6}


def sample_moment(identity, task, rng):
    """Draws the action units of one frame of spontaneous behavior.

    Args:
        identity: An `Identity`: its mood makes AUs more or less likely.
        task: A key of `TASKS`.
        rng: A `numpy.random.Generator`.

    Returns:
        (17,) float32 intensities, 0 to 5.
    """
    names = list(EPISODES)
    weights = np.array([EPISODES[name].weight * (4.0 if name in TASKS[task] else 1.0)
                        for name in names])  # fmt: skip
    first, second = rng.choice(names, size=2, p=weights / weights.sum())
    intensities = _episode(EPISODES[str(first)], identity, rng)
    if rng.random() < 0.3:
        blend = rng.uniform(0.3, 0.8) * _episode(EPISODES[str(second)], identity, rng)
        intensities = np.maximum(intensities, blend)
    # Muscles are never quite at rest; what is below level A counts as absent.
    idle = rng.random(len(intensities)) < 0.08
    intensities = np.maximum(intensities, idle * rng.uniform(0.1, 0.8, len(intensities)))
    return without_exclusive(intensities, rng)


def _episode(episode, identity, rng):
    intensities = np.zeros(len(SYNTHETIC_AUS))
    vigor = 1.15 * np.exp(0.22 * rng.standard_normal())
    for number, (probability, usual) in episode.actions.items():
        k = _INDEX[number]
        odds = np.log(probability / max(1.0 - probability, 1e-3)) + identity.mood[k]
        if rng.random() < 1.0 / (1.0 + np.exp(-odds)):
            intensities[k] = usual * vigor * np.exp(0.24 * rng.standard_normal())
    return np.clip(intensities, 0.0, 5.0)


def without_exclusive(intensities, rng):
    """Returns the intensities with one AU of every exclusive pair silenced.

    The weaker one goes; where both are about equal, chance decides.
    """
    intensities = np.array(intensities, np.float32)
    force = intensities * rng.uniform(0.8, 1.25, len(intensities))
    for k in np.argsort(-force):
        if intensities[k] > 0:
            intensities[_EXCLUSIVE[k] & (force <= force[k])] = 0.0
    return intensities


def posed_peak(expression, identity, rng):
    """Draws the action units at the peak of a posed expression.

    Args:
        expression: A key of `facs.expressions.PROTOTYPES`.
        identity: An `Identity`.
        rng: A `numpy.random.Generator`.

    Returns:
        (17,) float32 intensities, 0 to 5.
    """
    intensities = np.zeros(len(SYNTHETIC_AUS))
    vigor = rng.uniform(2.6, 4.8)
    actions = {au: (1.0, _SHARES.get((expression, au), 1.0)) for au in PROTOTYPES[expression]}
    actions.update(_COMPANIONS[expression])
    for number, (probability, share) in actions.items():
        k = _INDEX[number]
        if rng.random() < probability:
            intensities[k] = vigor * share * np.exp(0.15 * rng.standard_normal())
            intensities[k] *= 1.0 + 0.1 * identity.mood[k]
    return without_exclusive(np.clip(intensities, 0.0, 5.0), rng)


def labels(intensities):
    """Returns 1 where an AU is present (`PRESENT` or more), else 0; float32."""
    return (np.asarray(intensities) >= PRESENT).astype(np.float32)
