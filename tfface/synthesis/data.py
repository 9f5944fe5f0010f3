"""Batches of action unit synthesis: faces with their labels and landmarks, and labels to draw."""

import numpy as np
import tensorflow as tf

from tfface.data.augmentation import random_flip
from tfface.data.pipeline import training_records, training_stream, transformed


def training_batches(
    source, splits, *, batch_size, size, seed, latent_size=60, flip=True, start_step=0, cache=True
):
    """The endless stream of batches that `LACGAN` trains on, from any step on.

    A face's targets are the label vector of another face that trains, drawn with equal probability:
    the paper's `l ~ P_data(l)` (Eq. 7). Targets drawn AU by AU would ask for faces that nobody
    makes, which D_img knows by that alone, and for rare AUs so often that D_AU could tell a fake
    from its label.

    Args:
        source: FaceSource whose faces have AU labels; some may be missing.
        splits: Its splits.
        batch_size: Faces in a (global) batch.
        size: Side of the faces in pixels; landmarks move along.
        seed: What all order and all draws depend on.
        latent_size: Length of z.
        flip: Whether half of the faces are mirrored; AUs name no side.
        start_step: The step to begin with.
        cache: Whether faces may be kept in memory.

    Returns:
        Infinite dataset of dicts: `face` (B, size, size, 3) float32 in [0, 1], `landmarks` (B, 68,
        2), NaN where unknown, `au` and `target` (B, n), NaN where not coded, and `prior` (B, n,
        latent_size), even draws from (-1, 1).

    Raises:
        ValueError: If no face has an AU label, or as `training_stream`.
    """
    labels = source.action_unit_labels(splits)
    known = ~np.isnan(labels)
    if not known.any():
        raise ValueError("`source` must have faces with action unit labels. Received: none")
    labels = tf.constant(labels[known.any(axis=1)])

    def finished(batch, step_seed):
        seeds = tf.random.split(step_seed, 3)
        face, landmarks, own = batch["image"], batch["landmarks"], batch["au"]
        if flip:
            face, landmarks = random_flip(face, landmarks, seeds[0])
        count, n = own.shape
        rows = tf.random.stateless_uniform((count,), seeds[1], 0, len(labels), tf.int32)
        return {
            "face": face,
            "landmarks": landmarks,
            "au": own,
            "target": tf.gather(labels, rows),
            "prior": tf.random.stateless_uniform((count, n, latent_size), seeds[2], -1.0, 1.0),
        }

    return training_stream(
        source,
        splits,
        batch_size=batch_size,
        size=size,
        transform=finished,
        seed=seed,
        start_step=start_step,
        cache=cache,
    )


def subject_batches(source, splits, *, batch_size, size, seed, flip=True, start_step=0, cache=True):
    """The endless stream that a `SubjectClassifier` trains on.

    Args:
        source: As in `training_batches`, and so the others.
        splits: Its splits.
        batch_size: As in `training_batches`.
        size: As in `training_batches`.
        seed: As in `training_batches`.
        flip: As in `training_batches`.
        start_step: As in `training_batches`.
        cache: As in `training_batches`.

    Returns:
        Infinite dataset of dicts: `face` (B, size, size, 3) float32 in [0, 1], `label` (B,) int64,
        the person's place among all names of the splits, sorted; `source.people_of` counts them.

    Raises:
        ValueError: As `training_records`.
    """
    _, labels = np.unique(source.values(splits, ["subject"])["subject"], return_inverse=True)
    labels = tf.constant(labels, tf.int64)
    records = training_records(
        source,
        splits,
        batch_size=batch_size,
        size=size,
        seed=seed,
        start_step=start_step,
        cache=cache,
    )

    def finished(batch, step_seed):
        face = batch["image"]
        if flip:
            face, _ = random_flip(face, batch["landmarks"], step_seed)
        return {"face": face, "label": tf.gather(labels, batch["row"])}

    return transformed(records, finished, seed, start_step)


def evaluation_transform(batch, seed):
    """What `tfface.data.pipeline.evaluation_batches` is given: faces as they are, by subject."""
    return {
        "face": batch["image"],
        "landmarks": batch["landmarks"],
        "au": batch["au"],
        "subject": batch["subject"],
    }
