"""Batches of action unit synthesis: faces with their labels and landmarks, and labels to draw.

And what synthesis gives back to others: `augment` makes any stream of labeled faces richer in rare
action units.
"""

import numpy as np
import tensorflow as tf

from tfface.data.augmentation import random_flip
from tfface.data.pipeline import training_records, training_stream, transformed


def training_batches(
    source,
    splits,
    *,
    batch_size,
    size,
    seed,
    latent_size=60,
    flip=True,
    jitter=0.0,
    start_step=0,
    cache=True,
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
        jitter: Standard deviation of a normal noise on each landmark, as a share of the face's
            side. Detectors are off as well; and an R_AU whose regions were always in place takes
            one that has slid for another AU, which G finds.
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
        seeds = tf.random.split(step_seed, 4)
        face, landmarks, own = batch["image"], batch["landmarks"], batch["au"]
        noise = tf.random.stateless_normal(tf.shape(landmarks), seeds[3])
        landmarks += jitter * size * noise
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


def augment(dataset, model, action_units, share, seed=0, start_step=0):
    """Makes a stream of labeled faces richer in rare action units (AUs).

    Each face is drawn with probability `share`; one that is drawn gets one AU switched on, drawn
    evenly from those of `action_units` that its labels say it lacks, and the label that was asked
    for. A face that lacks none of them stays. All else of a face, its other labels too, stays as it
    is. The model runs within the data pipeline.

    Args:
        dataset: `tf.data.Dataset` of dicts with `face` (B, size, size, 3) float32 in [0, 1], `au`
            (B, n), NaN where unknown, for the n AUs of the model and in its order, perhaps
            `landmarks` (B, 68, 2), without which the mean face's are taken, and whatever else.
        model: LACGenerator.
        action_units: Those to switch on.
        share: Probability that a face is drawn, 0 to 1.
        seed: What the draws depend on, with the number of the batch.
        start_step: The number of the first batch.

    Returns:
        Dataset of the same dicts.

    Raises:
        ValueError: If an AU is not the model's, `share` is not from 0 to 1, or the dataset's faces
            or labels are not as the model's.
    """
    units = tuple(action_units)
    if not units or set(units) - set(model.action_units):
        raise ValueError(
            f"`action_units` must be some of the model's, {list(model.action_units)}. "
            f"Received: {list(units)}"
        )
    if not 0 <= share <= 1:
        raise ValueError(f"`share` must be from 0 to 1. Received: {share}")
    spec, n = dataset.element_spec, len(model.action_units)
    for key, shape in (("face", (model.size, model.size, 3)), ("au", (n,))):
        if key not in spec or tuple(spec[key].shape[1:]) != shape:
            received = tuple(spec[key].shape) if key in spec else "no such key"
            raise ValueError(
                f"`dataset` must have `{key}` of shape (B, *{shape}). Received: {received}"
            )
    offered = np.isin(model.action_units, units).astype(np.float32)

    def enriched(step, batch):
        labels, count = batch["au"], tf.shape(batch["au"])[0]
        pair = tf.stack([tf.constant(seed, tf.int64), step])
        seeds = tf.random.split(tf.cast(pair, tf.int32), 2)
        drawn = tf.random.stateless_uniform((count,), seeds[0]) < share
        lacked = offered * tf.cast(labels == 0, tf.float32)
        # The largest of even draws, of which those that do not count are below 0.
        lots = tf.where(lacked > 0, tf.random.stateless_uniform(tf.shape(labels), seeds[1]), -1.0)
        switched = tf.one_hot(tf.argmax(lots, axis=1), n)
        edited = drawn & (tf.reduce_max(lots, axis=1) >= 0)
        rows = tf.where(edited)[:, 0]
        nothing = tf.constant(np.nan, tf.float32)
        values = tf.where(tf.gather(switched, rows) > 0, 1.0, nothing)
        points = batch.get("landmarks", tf.fill((count, 68, 2), nothing))
        faces = model([tf.gather(batch["face"], rows), values, tf.gather(points, rows)])
        return {
            **batch,
            "face": tf.tensor_scatter_nd_update(batch["face"], rows[:, None], faces),
            "au": tf.where(edited[:, None] & (switched > 0), 1.0, labels),
        }

    return dataset.enumerate(start_step).map(enriched, num_parallel_calls=tf.data.AUTOTUNE)
