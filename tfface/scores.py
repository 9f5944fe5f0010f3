"""How well action units were recognized, in numbers: per AU, and as the distribution of labels.

**Scores** are pooled: true and false positives are counted over a whole test fold. They are then
averaged over AUs and over folds. `tfface.metrics` says what counts where nothing is known or
present.

**Distributions** (recognition, Sec. 4.2.2) compare an expert's labels with the decisions on the
same faces. The marginal P(i) is the share of faces with AU i among those whose label i is known.
The conditional P(i | j) is the share with AU i among those with AU j, over faces where both labels
are known. It has no value where AU j is never present, be it by the labels or by the decisions, and
says nothing for i = j: such a difference is NaN. A mean is over the differences that there are, so
a method that never finds a rare AU has fewer to answer for; `Scores.defined` counts them.

**The best constant answer** puts an F1 in proportion. "Present" for every face reaches
2 p / (1 + p) where a share p of the labels is present; "absent" for every face reaches 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tfface.metrics import action_unit_scores, mean_of_defined


@dataclass(frozen=True)
class Predictions:
    """What a recognizer says of test faces, beside what experts said.

    Args:
        action_units: Numbers of the n AUs.
        labels: (faces, n) float32; 1 present, 0 absent, NaN unknown.
        probabilities: (faces, n) float32 in [0, 1].
        subjects: (faces,) str: whose face it is.
    """

    action_units: tuple
    labels: np.ndarray
    probabilities: np.ndarray
    subjects: np.ndarray


@dataclass(frozen=True)
class Scores:
    """What one method reached, on one fold or on the average of several.

    All figures are float64 and NaN where they have no value.

    Args:
        action_units: Numbers of the n AUs.
        faces: How many faces were scored, of all folds together.
        f1: (n,).
        auc: (n,).
        accuracy: (n,).
        best_constant_f1: (n,) F1 of the best answer that is the same for all faces.
        marginal_truth: (n,) P(i) by the labels.
        marginal: (n,) P(i) by the decisions.
        marginal_difference: (n,) Absolute difference of the two (Fig. 5b).
        conditional_difference: (n, n) Absolute difference of P(i | j) by the labels and by the
            decisions, i the row and j the column (Fig. 6); NaN on the diagonal.
    """

    action_units: tuple
    faces: int
    f1: np.ndarray
    auc: np.ndarray
    accuracy: np.ndarray
    best_constant_f1: np.ndarray
    marginal_truth: np.ndarray
    marginal: np.ndarray
    marginal_difference: np.ndarray
    conditional_difference: np.ndarray

    def mean(self, figure):
        """The average of the figure of that name over what it is defined for, NaN if nothing."""
        return float(mean_of_defined(getattr(self, figure)))

    def defined(self, figure):
        """How many values the figure of that name has, and how many it could have."""
        n = len(self.action_units)
        count = int(np.sum(~np.isnan(getattr(self, figure))))
        return count, n * (n - 1) if figure == "conditional_difference" else n

    def to_dict(self):
        """As JSON holds it, None in the place of NaN."""
        figures = {name: without_nan(getattr(self, name)) for name in _FIGURES}
        return {"action_units": list(self.action_units), "faces": self.faces, **figures}

    @classmethod
    def from_dict(cls, content):
        """What `to_dict` was called on.

        Raises:
            KeyError: If a figure is missing.
        """
        figures = {name: np.array(content[name], np.float64) for name in _FIGURES}
        return cls(tuple(content["action_units"]), content["faces"], **figures)


_FIGURES = tuple(field.name for field in fields(Scores) if field.type is np.ndarray)


def score(predictions, threshold=0.5):
    """Scores predictions, over all faces at once.

    Args:
        predictions: Predictions.
        threshold: An AU is decided to be present from this probability on.

    Returns:
        Scores.
    """
    known = ~np.isnan(predictions.labels)
    present = known & (predictions.labels > 0.5)
    decided = known & (predictions.probabilities >= threshold)
    truth = _ratio(present.sum(axis=0), known.sum(axis=0))
    marginal = _ratio(decided.sum(axis=0), known.sum(axis=0))
    return Scores(
        tuple(predictions.action_units),
        len(known),
        **action_unit_scores(predictions.labels, predictions.probabilities, threshold),
        best_constant_f1=2 * truth / (1 + truth),
        marginal_truth=truth,
        marginal=marginal,
        marginal_difference=np.abs(truth - marginal),
        conditional_difference=np.abs(conditional(present, known) - conditional(decided, known)),
    )


def average(scores: Sequence[Scores]):
    """The average over folds: of each figure, over the folds in which it is defined.

    Args:
        scores: Scores of the same AUs, one a fold.

    Returns:
        Scores; its `faces` are those of all folds.

    Raises:
        ValueError: If there are none, or their AUs differ.
    """
    return Scores(
        shared_action_units(scores),
        sum(fold.faces for fold in scores),
        *(mean_of_defined([getattr(fold, name) for fold in scores], axis=0) for name in _FIGURES),
    )


def conditional(present, known):
    """P(i | j): the share of faces with AU i among those with AU j, where both labels are known.

    Args:
        present: (faces, n) bool, False where the label is unknown.
        known: (faces, n) bool.

    Returns:
        (n, n) float64, i the row and j the column; NaN where i = j or AU j is never present.
    """
    present, known = present.astype(np.float64), known.astype(np.float64)
    shares = _ratio(present.T @ present, known.T @ present)
    np.fill_diagonal(shares, np.nan)
    return shares


def shared_action_units(scores):
    """The AUs that all of some Scores are of.

    Raises:
        ValueError: If there are none, or their AUs differ.
    """
    kinds = list(dict.fromkeys(part.action_units for part in scores))
    if len(kinds) != 1:
        raise ValueError(
            f"`scores`, at least one, must all be of the same action units. Received: {kinds}"
        )
    return kinds[0]


def without_nan(values):
    """Numbers as JSON may hold them: a float or nested lists of them, None in the place of NaN."""
    values = np.asarray(values, np.float64)
    return np.where(np.isnan(values), None, values).tolist()


def _ratio(counts, totals):
    return np.divide(counts, totals, out=np.full(np.shape(totals), np.nan), where=totals > 0)
