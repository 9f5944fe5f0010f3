"""Any face of a person beside that person's peaks of all expressions: what a regenerator learns.

Reference:
    Yang et al., Identity-Adaptive Facial Expression Recognition Through Expression Regeneration
    Using Conditional Generative Adversarial Networks, 2018, Sec. III-A and IV.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from tfface.data.pairing import _checked_classes, _labels, _sequences
from tfface.data.pairs import FacePairs
from tfface.data.pipeline import chosen_records, training_records
from tfface.data.source import FaceSource

MISSING = ("error", "skip", "any")


@dataclass(frozen=True)
class ExpressionTargets:
    """Faces of one data set, each with one peak of each class by the same person.

    Faces are read as `training_records` reads them; the peaks, one for each person and class, stay
    in memory, decoded.

    Args:
        source: The data set.
        splits: Its splits, to whose order rows refer.
        classes: Names of the classes.
        face: (n,) rows of the faces, ascending, none twice.
        target: (n, classes) row of each one's peak of each class; -1 where its person has none.
        label: (n,) class IDs, positions in `classes`, of the faces that show one; -1 for others.
        skipped: What was left out: how many persons or faces, by reason.

    Raises:
        ValueError: If the arrays do not fit each other or the faces are not ascending.
    """

    source: FaceSource
    splits: Sequence[str]
    classes: Sequence[str]
    face: np.ndarray
    target: np.ndarray
    label: np.ndarray
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        shapes = [np.shape(values) for values in (self.face, self.target, self.label)]
        (count, *_), *_ = shapes
        if shapes != [(count,), (count, len(self.classes)), (count,)]:
            raise ValueError(
                f"Each of {count} faces must have {len(self.classes)} targets and a label. "
                f"Received: shapes {shapes}"
            )
        if np.any(np.diff(self.face) <= 0):
            raise ValueError("`face` must be ascending rows, none twice. Received: others")

    def __len__(self):
        return len(self.face)

    def beside(self, batch_size, size, seed, start_step=0, cache=True):
        """Endless shuffled batches: `image`, the face and its targets in channels, and `known`."""
        records = training_records(
            self.source,
            self.splits,
            batch_size=batch_size,
            size=size,
            seed=seed,
            start_step=start_step,
            rows=self.face,
            cache=cache,
        )
        return records.map(self._joined(size))

    def shown(self, batch_size, size):
        """The faces that show a class, once and in order, as in `beside`; `label`, `subject`."""
        rows = self.face[self.label >= 0]
        records = chosen_records(self.source, self.splits, rows, size)
        return records.batch(batch_size).map(self._joined(size))

    def shown_count(self):
        """Number of faces that `shown` goes through."""
        return int(np.sum(self.label >= 0))

    def of_classes(self, classes):
        """The same faces with the targets of some classes, without those that have none of them.

        Raises:
            ValueError: If a class is not among these, or none of the faces has a peak of it.
        """
        classes = tuple(classes)
        if not classes or set(classes) - set(self.classes) or len(set(classes)) < len(classes):
            raise ValueError(
                f"`classes` must be some of {', '.join(self.classes)}, none twice. "
                f"Received: {', '.join(classes) or 'none'}"
            )
        target = self.target[:, [self.classes.index(name) for name in classes]]
        _check_each_class(classes, target)
        kept = target.max(axis=1) >= 0
        names = np.array([classes.index(n) if n in classes else -1 for n in self.classes] + [-1])
        return ExpressionTargets(
            self.source,
            self.splits,
            classes,
            self.face[kept],
            target[kept],
            names[self.label[kept]],
            self.skipped,
        )

    def _joined(self, size):
        """A function that sets the targets beside a batch of records."""
        count, classes = self.source.count(self.splits), len(self.classes)
        peaks = np.unique(self.target[self.target >= 0])
        faces = chosen_records(self.source, self.splits, peaks, size)
        faces = faces.map(lambda record: record["image"]).batch(len(peaks))
        with tf.device("CPU:0"):
            faces = faces.get_single_element()
        # An unknown target looks like another one of its class, lest a normalization be led astray.
        target = np.where(self.target >= 0, self.target, self.target.max(axis=0))
        place = np.zeros((count, classes), np.int64)
        place[self.face] = np.searchsorted(peaks, target)
        known = np.zeros((count, classes), np.float32)
        known[self.face] = self.target >= 0
        label = np.full(count, -1, np.int64)
        label[self.face] = self.label
        place, known, label = map(tf.constant, (place, known, label))

        def joined(record):
            face, row = record["image"], record["row"]
            targets = tf.unstack(tf.gather(faces, tf.gather(place, row)), classes, axis=1)
            return {
                "image": tf.concat([face, *targets], axis=-1),
                "known": tf.gather(known, row),
                "label": tf.gather(label, row),
                "subject": record["subject"],
            }

        return joined


def expression_targets(source, splits, classes=None, frames=3, missing="error"):
    """Pairs (any face of a person, the peak of each class by the same person), Sec. III-A.

    A person's peak of a class is one face. The paper does not say which, where there are several;
    choice: the one of the highest `phase`, and among equal or unknown ones that of the first
    sequence. Left out, and counted in `skipped`: faces of nobody known, and of persons without a
    single peak.

    Args:
        source: The data set.
        splits: Its splits.
        classes: Names of the expressions, in the order of the targets; None for the source's own.
        frames: As in `peak_faces`, which says what faces show their class.
        missing: What a person means who lacks a class: "error", or "skip": the faces teach the
            other classes alone, and the person is counted in `skipped`. "any" is as "skip", and a
            class may have no peak at all, as among the few people of a test.

    Returns:
        ExpressionTargets.

    Raises:
        ValueError: If a class is not one of the source's or has no peak, a person lacks one and
            `missing` is "error", no person has any, or an argument is out of its range.
    """
    if missing not in MISSING:
        raise ValueError(f"`missing` must be one of {list(MISSING)}. Received: {missing!r}")
    classes = _checked_classes(source, classes)
    values, labels = _read(source, splits, classes)
    people, person = np.unique(values["subject"], return_inverse=True)
    peaks = np.full((len(people), len(classes)), -1)
    height = np.full(peaks.shape, -np.inf)
    for rows, position in _with_peaks(values):
        row = rows[position]
        cell = person[row], labels[row]
        phase = np.nan_to_num(values["phase"][row], nan=-1.0)
        if people[cell[0]] and cell[1] >= 0 and phase > height[cell]:
            peaks[cell], height[cell] = row, phase
    paired = peaks.max(axis=1) >= 0
    lacking = [
        (name.decode(), classes[number])
        for name, known, rows in zip(people, paired, peaks, strict=True)
        for number in np.flatnonzero(known & (rows < 0))
    ]
    if missing != "any" or not paired.any():
        _check_each_class(classes, peaks)
    if lacking and missing == "error":
        named = ", ".join(f"{name} without {expression}" for name, expression in lacking[:5])
        raise ValueError(
            "`splits` must hold a peak of each class by each person, or `missing` be 'skip'. "
            f"Received: {named}{f' and {len(lacking) - 5} more' if len(lacking) > 5 else ''}"
        )
    skipped = Counter(f"persons without {expression}" for _, expression in lacking)
    skipped["faces of nobody known"] = int(np.sum(values["subject"] == b""))
    skipped["faces of persons without a peak"] = int(
        np.sum(~paired[person] & (values["subject"] != b""))
    )
    face = np.flatnonzero(paired[person])
    shown = np.full(len(labels), -1)
    rows = _shown(values, labels, frames)
    shown[rows] = labels[rows]
    return ExpressionTargets(
        source,
        tuple(splits),
        classes,
        face,
        peaks[person[face]],
        shown[face],
        {reason: count for reason, count in skipped.items() if count},
    )


def peak_faces(source, splits, classes=None, frames=3):
    """The faces that show their class, each with itself: what an expression classifier learns.

    They are a sequence's `frames` frames nearest to its peak: the last three of CK+ and Oulu-CASIA,
    the two of highest intensity of BU-3DFE, seven around the peak of BU-4DFE (Sec. IV-C to F). The
    peak is the last frame of the highest `phase`, or the last frame where phases are unknown. Faces
    that belong to no sequence, as FER-2013's, all count.

    Args:
        source: The data set.
        splits: Its splits.
        classes: Names of the expressions to take, in the order of the labels; None for the
            source's own.
        frames: Number of frames of a sequence.

    Returns:
        FacePairs.

    Raises:
        ValueError: If a class is not one of the source's, `frames` is below 1, or no face is
            labeled.
    """
    classes = _checked_classes(source, classes)
    values, labels = _read(source, splits, classes)
    rows = _shown(values, labels, frames)
    if not len(rows):
        raise ValueError(
            f"`splits` must hold labeled faces. Received: none of {', '.join(classes)}"
        )
    return FacePairs(source, tuple(splits), classes, rows, rows, labels[rows])


def _read(source, splits, classes):
    keys = ["subject", "sequence", "frame", "expression", "phase"]
    values = source.values(splits, keys)
    return values, _labels(source, values["expression"], classes)


def _with_peaks(values):
    """Rows of each sequence, by frame, with the peak's position; a lone face is its own peak."""
    for rows in _sequences(values):
        if not values["sequence"][rows[0]]:
            yield from ((row[None], 0) for row in rows)
            continue
        phase = np.nan_to_num(values["phase"][rows], nan=-1.0)
        yield rows, len(rows) - 1 - int(np.argmax(phase[::-1]))


def _shown(values, labels, frames):
    """Ascending rows of the labeled faces among the `frames` nearest to each sequence's peak."""
    if frames < 1:
        raise ValueError(f"`frames` must be at least 1. Received: {frames}")
    rows = [
        rows[np.argsort(np.abs(np.arange(len(rows)) - position), kind="stable")[:frames]]
        for rows, position in _with_peaks(values)
    ]
    rows = np.sort(np.concatenate(rows))
    return rows[labels[rows] >= 0]


def _check_each_class(classes, target):
    without = [n for n, rows in zip(classes, target.T, strict=True) if rows.max() < 0]
    if without:
        raise ValueError(
            f"`classes` must each have a peak by a known person. Received: {', '.join(without)} "
            "without one"
        )
