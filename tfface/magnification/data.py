"""Batches of expression magnification: weak faces beside their peaks, cropped and mirrored alike.

The pairs are those of `tfface.data.pairs`, which `tfface.data.pairing` finds.
"""

import numpy as np
import tensorflow as tf

from tfface.data.augmentation import random_crop, random_flip
from tfface.data.pipeline import chosen_records, transformed

PRETRAINING_FACES = ("peak", "all")


def training_batches(
    parts, *, batch_size, seed, size=144, crop=128, flip=True, start_step=0, cache=True
):
    """The endless stream of mini-batches of Algorithm 1, from any step on.

    Both faces of a pair are cropped at the same random place and mirrored alike (Sec. 4.2). Several
    parts, such as CK+ and Oulu-CASIA, share each batch by their numbers of pairs.

    Args:
        parts: FacePairs of the same classes.
        batch_size: Pairs in a (global) batch.
        seed: What all order and all draws depend on.
        size: Side in pixels that faces are resized to.
        crop: Side of the square that is cut out of them; equal to `size` for none.
        flip: Whether half of the pairs are mirrored.
        start_step: The step to begin with.
        cache: Whether weak faces may be kept in memory.

    Returns:
        Infinite dataset of dicts: `weak` and `peak` (B, crop, crop, 3) float32 in [0, 1], `label`
        (B,) int64.

    Raises:
        ValueError: If the parts have different classes, a class has no peak, the batch does not fit
            the parts, or the crop the faces.
    """
    check_parts(parts, size, crop)
    arguments = size, crop, flip, seed, start_step
    streams = [
        part.pairs(count, size, order_seed, start_step, cache)
        for part, count, order_seed in dealt(parts, [len(p) for p in parts], batch_size, seed)
    ]
    return _cut(streams, *arguments, lambda faces: {"weak": faces[0], "peak": faces[1]})


def pretraining_batches(
    parts, faces, *, batch_size, seed, size=144, crop=128, flip=True, start_step=0, cache=True
):
    """The endless stream of single faces that C, E and G learn from first (Algorithm 1).

    Args:
        parts: As in `training_batches`, and so the others.
        faces: "peak", for the classifier, or "all", weak ones as well, for the generator.
        batch_size: Faces in a (global) batch.
        seed: As in `training_batches`.
        size: As in `training_batches`.
        crop: As in `training_batches`.
        flip: As in `training_batches`.
        start_step: As in `training_batches`.
        cache: As in `training_batches`.

    Returns:
        Infinite dataset of dicts: `face` (B, crop, crop, 3) float32 in [0, 1], `label` (B,) int64.

    Raises:
        ValueError: As in `training_batches`, or if `faces` is unknown.
    """
    if faces not in PRETRAINING_FACES:
        raise ValueError(f"`faces` must be one of {list(PRETRAINING_FACES)}. Received: {faces!r}")
    check_parts(parts, size, crop)
    counts = [part.face_count(faces) for part in parts]
    streams = [
        part.faces(faces, count, size, order_seed, start_step, cache)
        for part, count, order_seed in dealt(parts, counts, batch_size, seed)
    ]
    return _cut(streams, size, crop, flip, seed, start_step, lambda found: {"face": found[0]})


def evaluation_batches(pairs, *, batch_size, size=144, crop=128):
    """All pairs once, in order, each cropped at its center.

    Args:
        pairs: FacePairs; a class without a pair is fine here.
        batch_size: Pairs in a batch; the last one may be smaller.
        size: As in `training_batches`.
        crop: As in `training_batches`.

    Returns:
        Finite dataset of dicts: `weak`, `peak` and, where there are any, `neutral` (b, crop, crop,
        3) float32 in [0, 1], `label` (b,) int64.

    Raises:
        ValueError: If the crop does not fit.
    """
    _check_crop(size, crop)

    def finished(batch, seed):
        inside = _center(batch["image"], crop)
        names = ("weak", "peak", "neutral")[: inside.shape[-1] // 3]
        faces = tf.split(inside, len(names), axis=-1)
        return {**dict(zip(names, faces, strict=True)), "label": batch["label"]}

    batches = transformed(pairs.ordered(batch_size, size), finished, seed=0)
    # Keras warns of data that ends before it was told to.
    return batches.apply(tf.data.experimental.assert_cardinality(-(-len(pairs) // batch_size)))


def evaluation_faces(source, splits, *, batch_size, size=144, crop=128):
    """All faces of some splits once, in order, each cropped at its center.

    Args:
        source: The data set.
        splits: Its splits.
        batch_size: Faces in a batch; the last one may be smaller.
        size: As in `training_batches`.
        crop: As in `training_batches`.

    Returns:
        Finite dataset of (b, crop, crop, 3) float32 in [0, 1].

    Raises:
        ValueError: If the crop does not fit.
    """
    _check_crop(size, crop)
    records = chosen_records(source, splits, np.arange(source.count(splits)), size)
    return transformed(
        records.batch(batch_size), lambda batch, seed: _center(batch["image"], crop), seed=0
    )


def _center(images, crop):
    edge = (images.shape[1] - crop) // 2
    return images[:, edge : edge + crop, edge : edge + crop]


def _cut(streams, size, crop, flip, seed, start_step, named):
    """Joins batches of parts, crops and mirrors their faces, and names them."""

    def joined(*parts):
        return tf.nest.map_structure(lambda *values: tf.concat(values, axis=0), *parts)

    def finished(batch, step_seed):
        seeds = tf.random.split(step_seed, 2)
        images = batch["image"]
        nowhere = tf.zeros((images.shape[0], 68, 2))  # no landmarks to move along
        if crop < size:
            images, _ = random_crop(images, nowhere, seeds[0], crop)
        if flip:
            images, _ = random_flip(images, nowhere, seeds[1])
        faces = tf.split(images, images.shape[-1] // 3, axis=-1)
        return {**named(faces), "label": batch["label"]}

    return transformed(tf.data.Dataset.zip(*streams).map(joined), finished, seed, start_step)


def check_parts(parts, size, crop):
    """Raises a ValueError where no batches can be made of these parts, as `training_batches` does.

    Args:
        parts: FacePairs.
        size: As in `training_batches`.
        crop: As in `training_batches`.
    """
    _check_crop(size, crop)
    kinds = {tuple(part.classes) for part in parts}
    if len(kinds) != 1:
        raise ValueError(
            f"`parts` must have the same classes, at least one part. Received: {kinds}"
        )
    (classes,) = kinds
    seen = np.unique(np.concatenate([part.label for part in parts]))
    missing = [name for number, name in enumerate(classes) if number not in seen]
    if missing:
        raise ValueError(
            f"`parts` must have a peak of each class. Received: none of {', '.join(missing)}"
        )


def _check_crop(size, crop):
    if not 1 <= crop <= size:
        raise ValueError(f"`crop` must be from 1 to `size`, {size}. Received: {crop}")


def dealt(parts, counts, batch_size, seed):
    """For each part: the part, its places in a batch, and the seed of its order."""
    bounds = np.rint(np.cumsum(counts) / np.sum(counts) * batch_size).astype(int)
    places = np.diff(bounds, prepend=0)
    if batch_size < 1 or not places.all():
        raise ValueError(
            f"`batch_size` must leave a place for each part, of {counts} faces. "
            f"Received: {batch_size}"
        )
    # With one order for all, parts of as many faces would meet the same ones in every pass.
    seeds = [seed] + [
        int(np.random.default_rng((seed, i)).integers(2**31)) for i in range(1, len(parts))
    ]
    return list(zip(parts, places.tolist(), seeds, strict=True))
