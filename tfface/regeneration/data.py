"""Batches of regeneration: faces beside their person's peaks, 70x70 pixels of which 64x64 remain.

Which peaks belong to which face says `tfface.data.targets`.
"""

import tensorflow as tf

from tfface.data.augmentation import CUT_110, random_110, to_gray
from tfface.data.pipeline import chosen_records, transformed


def training_batches(
    targets, *, batch_size, seed, size=64, channels=1, augment=True, start_step=0, cache=True
):
    """The endless stream of batches that all cGANs share, from any step on.

    A face and its targets are rotated, cropped and mirrored alike, by one of 110 ways drawn for
    each face by itself (Sec. IV-A).

    Args:
        targets: ExpressionTargets, of the classes to train alone (`of_classes`).
        batch_size: Faces in a (global) batch.
        seed: What all order and all draws depend on.
        size: Side of the faces in pixels; they are read 6 larger.
        channels: 1 for gray faces, or 3.
        augment: Whether faces are changed; without, their middle is cut out.
        start_step: The step to begin with.
        cache: Whether faces may be kept in memory.

    Returns:
        Infinite dataset of dicts: `face` (B, size, size, channels) and `target` (B, classes, size,
        size, channels), float32 in [0, 1]; `known` (B, classes), 1 where the face's person has a
        peak of the class, else 0, and the target is another person's.

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check_channels(channels)
    batches = targets.beside(batch_size, size + CUT_110, seed, start_step, cache)

    def finished(batch, step_seed):
        return _taken_apart(_cut(batch["image"], channels, augment, step_seed), channels) | {
            "known": batch["known"]
        }

    return transformed(batches, finished, seed, start_step)


def classifier_batches(
    faces, *, batch_size, seed, size=64, channels=1, augment=True, start_step=0, cache=True
):
    """The endless stream of single faces that FER-Net learns from.

    Args:
        faces: FacePairs of faces with themselves, as `peak_faces` finds them.
        batch_size: As in `training_batches`, and so the others.
        seed: As in `training_batches`.
        size: As in `training_batches`.
        channels: As in `training_batches`.
        augment: As in `training_batches`.
        start_step: As in `training_batches`.
        cache: As in `training_batches`.

    Returns:
        Infinite dataset of dicts: `face` (B, size, size, channels) float32 in [0, 1], `label` (B,).

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check_channels(channels)
    batches = faces.faces("peak", batch_size, size + CUT_110, seed, start_step, cache)

    def finished(batch, step_seed):
        face = _cut(batch["image"], channels, augment, step_seed)
        return {"face": face, "label": batch["label"]}

    return transformed(batches, finished, seed, start_step)


def evaluation_batches(targets, *, batch_size, size=64, channels=1):
    """The faces that show a class, once and in order, the middle cut out (Sec. IV-A).

    Args:
        targets: ExpressionTargets of the faces to test.
        batch_size: Faces in a batch; the last one may be smaller.
        size: As in `training_batches`.
        channels: As in `training_batches`.

    Returns:
        Finite dataset of dicts: those of `training_batches`, `label` (b,) and `subject` (b,).

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check_channels(channels)

    def finished(batch, seed):
        parts = _taken_apart(_cut(batch["image"], channels, False, seed), channels)
        return parts | {key: batch[key] for key in ("known", "label", "subject")}

    batches = transformed(targets.shown(batch_size, size + CUT_110), finished, seed=0)
    return _of_faces(batches, targets.shown_count(), batch_size)


def evaluation_faces(faces, *, batch_size, size=64, channels=1):
    """Single faces with their class, once and in order, the middle cut out: FER-Net's own test.

    Args:
        faces: FacePairs of faces with themselves, as `peak_faces` finds them.
        batch_size: Faces in a batch; the last one may be smaller.
        size: As in `training_batches`.
        channels: As in `training_batches`.

    Returns:
        Finite dataset of dicts: `face` (b, size, size, channels) float32 in [0, 1], `label` (b,).

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check_channels(channels)
    records = chosen_records(faces.source, faces.splits, faces.weak, size + CUT_110)
    labels = tf.data.Dataset.from_tensor_slices(faces.label)
    labeled = tf.data.Dataset.zip(records, labels).batch(batch_size)

    def finished(batch, seed):
        return {"face": _cut(batch["image"], channels, False, seed), "label": batch["label"]}

    named = labeled.map(lambda record, label: {"image": record["image"], "label": label})
    return _of_faces(transformed(named, finished, seed=0), len(faces), batch_size)


def _of_faces(batches, count, batch_size):
    """The batches, whose number is known; Keras warns of data that ends before it was told to."""
    return batches.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))


def _cut(images, channels, augment, seed):
    """Faces (B, s, s, 3 n), gray or in color, as (B, s - 6, s - 6, channels n)."""
    if channels == 1:
        faces = tf.split(images, images.shape[-1] // 3, axis=-1)
        images = tf.concat([to_gray(face) for face in faces], axis=-1)
    if augment:
        return random_110(images, seed)
    edge = CUT_110 // 2
    return images[:, edge:-edge, edge:-edge]


def _taken_apart(images, channels):
    """A face and its targets, out of the channels of one image."""
    face, *targets = tf.split(images, images.shape[-1] // channels, axis=-1)
    return {"face": face, "target": tf.stack(targets, axis=1)}


def _check_channels(channels):
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: {channels}")
