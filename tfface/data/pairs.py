"""Weak faces beside their peaks, and the streams of 8-bit batches that systems make batches of.

`FacePairs` are of a data set (`pairing.py` finds them) and have three streams: shuffled pairs,
shuffled single faces, pairs in order. The shuffled ones keep the order of `pipeline.py`: from any
step on they are the rest of the stream from step 0. What is said of faces holds for any picture:
destroyed sketches stand beside whole ones in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tensorflow as tf

from tfface.data.pipeline import chosen_records, training_records
from tfface.data.source import FaceSource


@dataclass(frozen=True)
class FacePairs:
    """Weak faces of one data set, each with a peak of its class.

    Weak faces are read as `training_records` reads them; peaks (and neutral faces, for evaluation)
    stay in memory, decoded.

    Args:
        source: The data set.
        splits: Its splits, to whose order rows refer.
        classes: Names of the classes.
        weak: (n,) rows of weak faces, ascending, none twice.
        peak: (n,) row of each one's peak.
        label: (n,) class IDs, positions in `classes`.
        neutral: (n,) row of each one's neutral face, or None if there is none.
        skipped: What was left out: how many sequences or faces, by reason.

    Raises:
        ValueError: If the rows are not of one number or weak ones not ascending.
    """

    source: FaceSource
    splits: Sequence[str]
    classes: Sequence[str]
    weak: np.ndarray
    peak: np.ndarray
    label: np.ndarray
    neutral: np.ndarray | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        given = [self.weak, self.peak, self.label]
        given += [] if self.neutral is None else [self.neutral]
        lengths = [len(rows) for rows in given]
        if len(set(lengths)) > 1:
            raise ValueError(f"Pairs must have as many of each row. Received: {lengths}")
        if np.any(np.diff(self.weak) <= 0):
            raise ValueError("`weak` must be ascending rows, none twice. Received: others")

    def __len__(self):
        return len(self.weak)

    def take(self, positions):
        """The pairs at some ascending positions."""
        neutral = None if self.neutral is None else self.neutral[positions]
        return replace(
            self,
            weak=self.weak[positions],
            peak=self.peak[positions],
            label=self.label[positions],
            neutral=neutral,
        )

    def pairs(self, batch_size, size, seed, start_step=0, cache=True):
        """Endless shuffled batches of `image`, weak beside peak in channels, and `label`."""
        records = training_records(
            self.source,
            self.splits,
            batch_size=batch_size,
            size=size,
            seed=seed,
            start_step=start_step,
            rows=self.weak,
            cache=cache,
        )
        return records.map(self._joined(size, [self.peak]))

    def faces(self, which, batch_size, size, seed, start_step=0, cache=True):
        """Endless shuffled batches of single faces, `image` and `label`; see pretraining."""
        rows, labels = self._single(which)
        records = training_records(
            self.source,
            self.splits,
            batch_size=batch_size,
            size=size,
            seed=seed,
            start_step=start_step,
            rows=rows,
            cache=cache,
        )
        of_row = _table(rows, labels, self.source.count(self.splits))
        return records.map(
            lambda record: {
                "image": record["image"],
                "label": tf.gather(of_row, record["row"]),
            }
        )

    def face_count(self, which):
        """Number of faces that `faces` goes through."""
        return len(self._single(which)[0])

    def ordered(self, batch_size, size):
        """All pairs once, in order: `image` of weak, peak and neutral in channels, and `label`."""
        beside = [self.peak] + ([] if self.neutral is None else [self.neutral])
        records = chosen_records(self.source, self.splits, self.weak, size)
        return records.batch(batch_size).map(self._joined(size, beside))

    def _single(self, which):
        """Rows and labels of the peaks, or of all weak and peak faces, none twice."""
        rows, first = np.unique(
            self.peak if which == "peak" else np.concatenate([self.peak, self.weak]),
            return_index=True,
        )
        return rows, np.tile(self.label, 2)[first]

    def _joined(self, size, beside):
        """A function that sets faces beside those of a batch of weak records."""
        count = self.source.count(self.splits)
        labels = _table(self.weak, self.label, count)
        images, places = [], []
        for rows in beside:
            distinct, position = np.unique(rows, return_inverse=True)
            faces = chosen_records(self.source, self.splits, distinct, size)
            faces = faces.map(lambda record: record["image"]).batch(len(distinct))
            with tf.device("CPU:0"):
                images.append(faces.get_single_element())
            places.append(_table(self.weak, position, count))

        def joined(record):
            weak = record["image"]
            others = [
                tf.ensure_shape(tf.gather(faces, tf.gather(place, record["row"])), weak.shape)
                for faces, place in zip(images, places, strict=True)
            ]
            return {
                "image": tf.concat([weak, *others], axis=-1),
                "label": tf.gather(labels, record["row"]),
            }

        return joined


def _table(rows, values, count):
    """`values` by row, 0 for other rows."""
    table = np.zeros(count, np.int64)
    table[rows] = values
    return tf.constant(table)
