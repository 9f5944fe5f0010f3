"""Which class was taken for which, and what is read from that: accuracy, precision, recall, F1.

Counts are pooled over a whole test fold. What has no value is NaN: the recall of a class that is
never present, the precision of one that is never answered, the F1 of one that is neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfface.metrics import mean_of_defined


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was taken for each.

    Args:
        classes: Names of the n classes.
        matrix: (n, n) counts; `matrix[i, j]` faces of class i were taken for class j. Kept as a
            copy, int64, that cannot be written to.

    Raises:
        ValueError: If there is no class, or the matrix is not one of counts for these classes.
    """

    classes: tuple
    matrix: np.ndarray

    def __post_init__(self):
        classes, given = tuple(self.classes), np.asarray(self.matrix)
        n = len(classes)
        if not n or given.shape != (n, n):
            raise ValueError(
                f"`matrix` must have shape ({n}, {n}) for {n} classes, at least one. "
                f"Received: shape {given.shape}"
            )
        matrix = given.astype(np.int64)
        if np.any(matrix != given) or np.any(matrix < 0):
            raise ValueError(f"`matrix` must hold counts. Received: {given.tolist()}")
        matrix.flags.writeable = False
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def of(cls, classes, labels, answers):
        """Counts what was answered.

        Args:
            classes: Names of the n classes.
            labels: (faces,) class IDs; a face whose label is -1, not known, is left out.
            answers: (faces,) class IDs, or (faces, n) probabilities or logits, of which the largest
                is the answer.

        Raises:
            ValueError: If there are not as many answers as labels, or one is of no class.
        """
        labels, answers = np.asarray(labels), np.asarray(answers)
        n = len(classes)
        if answers.ndim == 2 and answers.shape[1] == n:
            answers = answers.argmax(axis=1)
        if labels.ndim != 1 or answers.shape != labels.shape:
            raise ValueError(
                f"`answers` must be one class ID, or {n} numbers, for each label. "
                f"Received: shape {answers.shape} for labels of shape {labels.shape}"
            )
        known = labels != -1
        labels, answers = labels[known], answers[known]
        for name, ids in (("labels", labels), ("answers", answers)):
            if np.any((ids < 0) | (ids >= n)):
                raise ValueError(
                    f"`{name}` must be class IDs below {n}. Received: {np.unique(ids).tolist()}"
                )
        matrix = np.zeros((n, n), np.int64)
        np.add.at(matrix, (labels.astype(np.int64), answers.astype(np.int64)), 1)
        return cls(tuple(classes), matrix)

    @property
    def faces(self):
        """How many faces were counted."""
        return int(self.matrix.sum())

    @property
    def accuracy(self):
        """Share of faces whose class was answered."""
        return float(_ratio(np.trace(self.matrix), self.matrix.sum()))

    @property
    def balanced_accuracy(self):
        """The mean recall of the classes that are present, however many faces each has."""
        return float(mean_of_defined(self.recall))

    @property
    def precision(self):
        """(n,) Of the faces taken for a class, the share that is of it."""
        return _ratio(np.diag(self.matrix), self.matrix.sum(axis=0))

    @property
    def recall(self):
        """(n,) Of the faces of a class, the share that is taken for it."""
        return _ratio(np.diag(self.matrix), self.matrix.sum(axis=1))

    @property
    def f1(self):
        """(n,) `2 TP / (2 TP + FP + FN)`."""
        present, answered = self.matrix.sum(axis=1), self.matrix.sum(axis=0)
        return _ratio(2 * np.diag(self.matrix), present + answered)

    @property
    def percentages(self):
        """(n, n) Of the faces of the row's class, the percentage taken for the column's."""
        return 100 * _ratio(self.matrix, self.matrix.sum(axis=1, keepdims=True))

    def to_dict(self):
        """As JSON holds it."""
        return {"classes": list(self.classes), "matrix": self.matrix.tolist()}

    @classmethod
    def from_dict(cls, content):
        """What `to_dict` was called on.

        Raises:
            KeyError: If a part is missing.
        """
        return cls(tuple(content["classes"]), content["matrix"])


def total(confusions: Sequence[Confusion]):
    """All faces of several Confusions together, as of the folds of a protocol.

    Raises:
        ValueError: If there are none, or their classes differ.
    """
    kinds = list(dict.fromkeys(confusion.classes for confusion in confusions))
    if len(kinds) != 1:
        raise ValueError(
            f"`confusions`, at least one, must all be of the same classes. Received: {kinds}"
        )
    return Confusion(kinds[0], sum(confusion.matrix for confusion in confusions))


def accuracy_over(folds: Sequence[Confusion]):
    """The mean of the folds' accuracies and their spread, one sample standard deviation.

    Each fold counts the same, whatever its number of faces. The spread of fewer than two is NaN.

    Returns:
        Two floats.
    """
    values = np.array([fold.accuracy for fold in folds])
    values = values[~np.isnan(values)]
    spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return float(mean_of_defined(values)), spread


def _ratio(counts, totals):
    """Counts over totals, NaN over 0."""
    counts, totals = np.broadcast_arrays(np.asarray(counts, np.float64), totals)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
