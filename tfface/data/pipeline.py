"""From a prepared data set to batches, in an order that a stopped run finds again.

`training_stream` and `evaluation_batches` turn some splits of a data set, which `open_source` finds
(`source.py`), into batches. A system whose batch has parts of different origin (labeled faces
beside unlabeled ones) joins several `training_records` and gives them to `transformed`.

**Order.** The faces of epoch e come in an order that is a function of (seed, e) alone, and what a
transform draws at step s is a function of (seed, s) alone. So the stream that starts at step s is
the rest of the stream that starts at step 0, batch for batch: a run that was killed goes on with
the very batches that it would have seen. An epoch is `steps_per_epoch` whole batches; the few faces
that are left over sit this epoch out, so that every batch has the same static shape (XLA compiles
a step once).

**Size.** Faces are resized when they are read, anti-aliased, and kept in 8 bits, as a crop of that
size would have come. Up to `MEMORY_LIMIT` bytes of them stay in memory, decoded; more are read from
their files each epoch, shuffled through a buffer of `shuffle_buffer` encoded records.

**Distribution.** A batch is the global batch: `tf.distribute` divides it among the replicas. With
several worker processes the streams carry the auto-shard policy DATA: every worker computes the
same global batches and takes its own share of each, worker i of k the i-th of k pieces. So together
they see exactly what one process would see (OFF would give every worker the same piece; FILE, with
the faces in memory, has no files to deal out).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfface.data.source import FaceSource, open_source

__all__ = [
    "FaceSource",
    "chosen_records",
    "evaluation_batches",
    "open_source",
    "steps_per_epoch",
    "training_records",
    "training_stream",
    "transformed",
]

MEMORY_LIMIT = 2**30
"""Bytes of resized 8-bit faces that are kept in memory: 21,845 faces of 128x128."""

SHUFFLE_BUFFER = 4096
"""Encoded records that a shuffle holds when a set is read from its files (about 40 kB each)."""

PREFETCHED = 4
"""Batches that are ready before a step asks for them."""


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Returns the number of whole batches in one pass over `count` faces.

    Raises:
        ValueError: If `batch_size` is below 1 or exceeds the number of faces.
    """
    if not 1 <= batch_size <= count:
        raise ValueError(
            f"`batch_size` must be from 1 to the number of faces, {count}. Received: {batch_size}."
        )
    return count // batch_size


def training_stream(
    source: FaceSource,
    splits: Sequence[str],
    *,
    batch_size: int,
    size: int,
    transform: Callable,
    seed: int,
    start_step: int = 0,
    cache: bool = True,
    shuffle_buffer: int = SHUFFLE_BUFFER,
) -> tf.data.Dataset:
    """Makes the endless stream of training batches, from any of its steps on.

    Args:
        source: As in `training_records`, and so the others.
        splits: Its splits to train on.
        batch_size: Faces in a (global) batch.
        size: Side of the faces in pixels.
        transform: As in `transformed`.
        seed: What all order and all draws depend on, 0 to 2^31 - 1.
        start_step: The step to begin with, counted from the beginning of training.
        cache: Whether faces may be kept in memory.
        shuffle_buffer: Records in the shuffle where faces are read from their files.

    Returns:
        An infinite dataset of what `transform` returns.

    Raises:
        ValueError: If an argument is out of its range or the splits are not the source's.
    """
    batches = training_records(
        source,
        splits,
        batch_size=batch_size,
        size=size,
        seed=seed,
        start_step=start_step,
        cache=cache,
        shuffle_buffer=shuffle_buffer,
    )
    return transformed(batches, transform, seed, start_step)


def training_records(
    source: FaceSource,
    splits: Sequence[str],
    *,
    batch_size: int,
    size: int,
    seed: int,
    start_step: int = 0,
    rows: np.ndarray | None = None,
    cache: bool = True,
    shuffle_buffer: int = SHUFFLE_BUFFER,
) -> tf.data.Dataset:
    """Makes the endless stream of shuffled records in batches, from any of its steps on.

    Args:
        source: The data set.
        splits: Its splits to train on.
        batch_size: Faces in a (global) batch.
        size: Side of the faces in pixels; landmarks move along.
        seed: What the order depends on, 0 to 2^31 - 1.
        start_step: The step to begin with, counted from the beginning of training.
        rows: Positions of the records to use among those of the splits, in the order of
            `FaceSource.records`; None for all.
        cache: Whether faces may be kept in memory, if they fit (`MEMORY_LIMIT`). Then an epoch's
            order is a full permutation, and another one than from the files.
        shuffle_buffer: Records in the shuffle where faces are read from their files. Starting
            within an epoch reads over the records before (without decoding their images).

    Returns:
        An infinite dataset of dicts: the keys of a record with a leading batch axis, `image` in
        uint8, and `row`, int64, each face's position among those of the splits.

    Raises:
        ValueError: If an argument is out of its range or the splits are not the source's.
    """
    chosen = _choice(rows, source.count(splits))
    count = int(chosen.sum())
    steps = steps_per_epoch(count, batch_size)
    _check_sizes(size, seed)
    if start_step < 0:
        raise ValueError(f"`start_step` must be at least 0. Received: {start_step}.")
    if shuffle_buffer < 1:
        raise ValueError(f"`shuffle_buffer` must be at least 1. Received: {shuffle_buffer}.")
    in_memory = cache and count * size * size * 3 <= MEMORY_LIMIT
    items = tf.data.Dataset.range(count) if in_memory else _kept(source.encoded(splits), chosen)

    def shuffled(epoch):
        # An op's random order depends on its own seed and on its graph's. This function has a
        # graph of its own: with a seed set there, the order depends on nothing outside.
        tf.random.set_seed(1)
        order_seed = tf.random.stateless_uniform(
            (), tf.stack([seed, epoch]), minval=None, maxval=None, dtype=tf.int64
        )
        order = items.shuffle(
            count if in_memory else shuffle_buffer, seed=order_seed, reshuffle_each_iteration=False
        )
        return order.take(steps * batch_size)

    first_epoch, offset = divmod(start_step, steps)
    items_from_here = (
        tf.data.Dataset.range(first_epoch, tf.int64.max)
        .flat_map(shuffled)
        .skip(offset * batch_size)
    )
    if in_memory:
        faces = _loaded(source, splits, chosen, size)
        return items_from_here.batch(batch_size, drop_remainder=True).map(
            lambda positions: {key: tf.gather(values, positions) for key, values in faces.items()}
        )
    return items_from_here.map(
        lambda record: _resized(source.decoded(record), size),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).batch(batch_size, drop_remainder=True)


def evaluation_batches(
    source: FaceSource,
    splits: Sequence[str],
    *,
    batch_size: int,
    size: int,
    transform: Callable,
    seed: int,
) -> tf.data.Dataset:
    """Makes the batches of one ordered pass over some splits.

    Args:
        source: The data set.
        splits: Its splits to read, in this order.
        batch_size: Faces in a batch; the last one may be smaller.
        size: Side of the faces in pixels; landmarks move along.
        transform: As in `transformed`; its step is the batch's number.
        seed: What all draws depend on, 0 to 2^31 - 1.

    Returns:
        A finite dataset of what `transform` returns, the same every time.

    Raises:
        ValueError: If an argument is out of its range or the splits are not the source's.
    """
    _check_sizes(size, seed)
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}.")
    return transformed(_faces(source, splits, size).batch(batch_size), transform, seed)


def chosen_records(
    source: FaceSource, splits: Sequence[str], rows: np.ndarray, size: int
) -> tf.data.Dataset:
    """Reads the records of some rows, without decoding the images of the others.

    Args:
        source: The data set.
        splits: Its splits.
        rows: Positions among those of the splits, in the order of `FaceSource.records`; each record
            comes once, in ascending order.
        size: Side of the faces in pixels; landmarks move along.

    Returns:
        A finite dataset of records, `image` in uint8.

    Raises:
        ValueError: If an argument is out of its range or the splits are not the source's.
    """
    _check_sizes(size, seed=0)
    return _chosen(source, splits, _choice(rows, source.count(splits)), size)


def transformed(
    batches: tf.data.Dataset, transform: Callable, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Applies a transform to batches of records, ready for `fit`.

    Args:
        batches: Batches of records, `image` in uint8.
        transform: Function of (batch, seed) that makes what the model takes. `batch` is a dict of
            a record's keys with a leading batch axis, `image` float32 in [0, 1]; `seed` is an
            int32 tensor (2,), the pair (seed, step).
        seed: The first half of the pair, 0 to 2^31 - 1.
        start_step: The first batch's step.

    Returns:
        A dataset of what `transform` returns.
    """

    def prepared(step, batch):
        image = tf.cast(batch["image"], tf.float32) / 255.0
        return transform({**batch, "image": image}, tf.stack([seed, tf.cast(step, tf.int32)]))

    options = tf.data.Options()
    options.deterministic = True
    # The thread that tunes sleeps for up to a minute, and at times nobody wakes it when an iterator
    # is deleted: a training ended a minute late (TensorFlow 2.21). As many calls as there are cores
    # run side by side without it.
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    steps = tf.data.Dataset.range(start_step, tf.int64.max)
    return (
        tf.data.Dataset.zip(steps, batches)
        .map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(PREFETCHED)
        .with_options(options)
    )


def _choice(rows, count):
    """A bool for each of `count` rows: whether it is among `rows`."""
    chosen = np.full(count, rows is None)
    if rows is not None:
        rows = np.asarray(rows, np.int64)
        if not rows.size or rows.min() < 0 or rows.max() >= count:
            received = f"{rows.size} rows, {rows.min()} to {rows.max()}" if rows.size else "none"
            raise ValueError(
                f"`rows` must be positions from 0 to {count - 1}. Received: {received}."
            )
        chosen[rows] = True
    return chosen


def _check_sizes(size, seed):
    if size < 1:
        raise ValueError(f"`size` must be at least 1. Received: {size}.")
    if not 0 <= seed < 2**31:
        raise ValueError(f"`seed` must be from 0 to 2^31 - 1. Received: {seed}.")


def _faces(source, splits, size):
    """Returns the resized records in fixed order."""
    return source.records(splits).map(
        lambda record: _resized(record, size), num_parallel_calls=tf.data.AUTOTUNE
    )


def _loaded(source, splits, chosen, size):
    """Returns the resized records of the chosen rows as one dict of tensors, in fixed order."""
    with tf.device("CPU:0"):
        faces = _chosen(source, splits, chosen, size)
        return faces.batch(int(chosen.sum())).get_single_element()


def _chosen(source, splits, chosen, size):
    """Returns the resized records of the chosen rows, in fixed order."""
    return _kept(source.encoded(splits, in_turns=False), chosen).map(
        lambda record: _resized(source.decoded(record), size),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _kept(records, chosen):
    """Keeps the records whose rows are chosen, which a bool a row says."""
    if chosen.all():
        return records
    return records.filter(lambda record: tf.gather(chosen, record["row"]))


def _resized(record, size):
    """Resizes a record's image (bicubic, anti-aliased, 8 bits) and moves its landmarks along."""
    image = record["image"]
    before = image.shape[0]
    if before == size:
        return record
    image = tf.image.resize(image, (size, size), method="bicubic", antialias=True)
    image = tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)
    # The centers of pixels, not their corners, have whole coordinates.
    landmarks = (record["landmarks"] + 0.5) * (size / before) - 0.5
    return {**record, "image": image, "landmarks": landmarks}
