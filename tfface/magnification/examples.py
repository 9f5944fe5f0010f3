"""Test faces drawn to be looked at, and how alike a class's faces are to a classifier (Fig. 4).

A feature is *lit* between two faces of one class where they differ in it by more than 0.1 of the
largest feature of all faces drawn: the fewer are lit, the more alike the expression looks. The
paper gives neither the threshold nor what "normalized to a range of 0~1" is relative to; these are
choices, and a network does not win by small features.
"""

import itertools

import numpy as np

PER_CLASS = 16
"""Most faces of a class that are drawn."""

LIT_THRESHOLD = 0.1


class ExampleDraw:
    """Draws up to 16 faces of each class from a stream, each of all with the same chance.

    The draw depends on the seed and on the order of the labels alone, so that several models can be
    compared on the same faces.

    Args:
        classes: Number of classes.
        seed: Of the draw.
    """

    def __init__(self, classes, seed=0):
        self._rng = np.random.default_rng(seed)
        self._kept = [[] for _ in range(classes)]
        self._seen = [0] * classes

    def add(self, labels, faces):
        """Shows it a batch.

        Args:
            labels: (b,) class IDs.
            faces: By name (b, H, W, 3) images, float32 in [0, 1], of which 8 bits are kept, or
                (b, n) features.
        """
        for i, label in enumerate(labels):
            # The face number `seen` belongs to a draw of so many from those so far with the chance
            # PER_CLASS / (seen + 1), and then takes the place of any.
            seen, kept = self._seen[label], self._kept[label]
            self._seen[label] += 1
            place = seen if seen < PER_CLASS else self._rng.integers(seen + 1)
            if place < PER_CLASS:
                kept[place : place + 1] = [{n: _stored(np.asarray(v[i])) for n, v in faces.items()}]

    def drawn(self):
        """For each class the list of its drawn faces, in random order; to be called once."""
        return [
            [{n: _shown(v) for n, v in kept[i].items()} for i in self._rng.permutation(len(kept))]
            for kept in self._kept
        ]


def face_pairs(faces):
    """Every two faces of a class, but frames of one sequence, whose peak is the same.

    Args:
        faces: List of faces (dicts), as drawn.

    Returns:
        List of pairs of faces.
    """
    return [
        (one, other)
        for one, other in itertools.combinations(faces, 2)
        if not np.array_equal(one["peak"], other["peak"])
    ]


def lit_features(examples, feature):
    """Which features are lit between every two faces of a class (Fig. 4).

    Args:
        examples: For each class a list of faces (dicts), as drawn.
        feature: Name of the features to compare.

    Returns:
        For each class (pairs, n) bool, in the order of `face_pairs`.
    """
    every = np.array([face[feature] for faces in examples for face in faces])
    scale = every.max(initial=0.0)
    lit = []
    for faces in examples:
        differences = [np.abs(a[feature] - b[feature]) for a, b in face_pairs(faces)]
        lit.append(np.reshape(differences, (-1, every.shape[-1])) > LIT_THRESHOLD * scale)
    return lit


def lit_share(examples, feature):
    """The share of features that are lit, over all pairs of all classes; NaN without a pair."""
    lit = np.concatenate(lit_features(examples, feature))
    return float(lit.mean()) if len(lit) else np.nan


def _stored(values):
    return np.rint(255 * values).astype(np.uint8) if values.ndim == 3 else values


def _shown(values):
    return values.astype(np.float32) / 255 if values.dtype == np.uint8 else values
