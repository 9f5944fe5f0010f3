"""Batches of action unit recognition: labeled faces beside unlabeled ones, and real label vectors.

A training set is `T = T1 + T2` (Sec. 3.1): the faces whose labels are known, and those whose labels
are not. Both may come from one data set, by a seeded draw (`miss_labels`), and unlabeled ones from
any other data set as well. A face that has some of its labels counts as labeled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfface.data.augmentation import random_color, random_flip, random_gray, random_similarity
from tfface.data.pipeline import training_records, transformed
from tfface.data.source import FaceSource


def miss_labels(labels, rate, missing="per_image", seed=0):
    """Labels of which a share is made unknown by a seeded draw.

    What is missing at one rate is missing at every higher rate, so that curves over the rate
    compare nested training sets.

    Args:
        labels: (n, n_au); 1 present, 0 absent, NaN not coded.
        rate: Share that goes missing, 0 to 1: of the faces with a label, or of the known labels;
            rounded to whole ones.
        missing: "per_image": a face's whole label vector; "per_label": single labels.
        seed: Which draw.

    Returns:
        (n, n_au) float32, NaN where missing.

    Raises:
        ValueError: If an argument is out of its range, or no label is left.
    """
    if missing not in ("per_image", "per_label"):
        raise ValueError(f"`missing` must be 'per_image' or 'per_label'. Received: {missing!r}")
    if not 0 <= rate <= 1:
        raise ValueError(f"`rate` of missing labels must be from 0 to 1. Received: {rate}")
    kept = np.array(labels, np.float32)
    known = ~np.isnan(kept)
    if missing == "per_image":
        candidates = np.flatnonzero(known.any(axis=1))
        drawn = np.random.default_rng(seed).permutation(candidates)
        kept[drawn[: round(rate * len(drawn))]] = np.nan
    else:
        candidates = np.flatnonzero(known)
        drawn = np.random.default_rng(seed).permutation(candidates)
        kept.flat[drawn[: round(rate * len(drawn))]] = np.nan
    if np.isnan(kept).all():
        raise ValueError(
            "`rate` of missing labels must leave at least one label known. "
            f"Received: {rate} of {len(candidates)}"
        )
    return kept


def columns_of(labels, have, want):
    """Label columns for other action units: those that are wanted, NaN where there are none.

    Args:
        labels: (n, len(have)).
        have: The AUs of the columns.
        want: The AUs that are asked for.

    Returns:
        (n, len(want)) float32.
    """
    result = np.full((len(labels), len(want)), np.nan, np.float32)
    for i, number in enumerate(want):
        if number in have:
            result[:, i] = labels[:, list(have).index(number)]
    return result


@dataclass(frozen=True)
class TrainingFaces:
    """Faces of one data set that train, with the labels that they are given.

    Args:
        source: The data set.
        splits: Its splits.
        labels: (n, n_au) for the n faces of the splits, in the order of `source.records`; NaN where
            missing.

    Raises:
        ValueError: If there is not one row of labels a face.
    """

    source: FaceSource
    splits: Sequence[str]
    labels: np.ndarray

    def __post_init__(self):
        count = self.source.count(self.splits)
        if np.ndim(self.labels) != 2 or len(self.labels) != count:
            raise ValueError(
                f"`labels` must have a row for each of {count} faces. "
                f"Received: shape {np.shape(self.labels)}"
            )

    @property
    def labeled(self):
        """Rows of the faces with at least one known label."""
        return np.flatnonzero(~np.isnan(self.labels).all(axis=1))

    @property
    def unlabeled(self):
        """Rows of the faces without a known label."""
        return np.flatnonzero(np.isnan(self.labels).all(axis=1))


def complete_labels(faces):
    """The label vectors Y^t that the discriminator takes for real: those without a gap.

    Args:
        faces: TrainingFaces of every data set that trains.

    Returns:
        (n, n_au) float32; n may be 0.
    """
    labels = np.concatenate([part.labels for part in faces])
    return labels[~np.isnan(labels).any(axis=1)].astype(np.float32)


@dataclass(frozen=True)
class Augmentation:
    """How training faces are changed, each by a draw of its own.

    Args:
        flip: Whether half of the faces are mirrored; AUs name no side.
        rotation: Largest turn in degrees.
        shift: Largest shift as a share of the side.
        zoom: Largest change of scale, as a share.
        color: Largest change of brightness, contrast and saturation.
        gray: Share of the faces that lose their color, for a model that shall know gray pictures.

    Raises:
        ValueError: If a share is not from 0 to 1, or the turn not from 0 to 180.
    """

    flip: bool = True
    rotation: float = 10.0
    shift: float = 0.05
    zoom: float = 0.05
    color: float = 0.2
    gray: float = 0.0

    def __post_init__(self):
        for name, most in (("rotation", 180), ("shift", 1), ("zoom", 1), ("color", 1), ("gray", 1)):
            if not 0 <= (value := getattr(self, name)) <= most:
                raise ValueError(f"`{name}` must be from 0 to {most}. Received: {value}")

    def __call__(self, images, landmarks, seed):
        """Changes images (B, H, W, 3) in [0, 1]; landmarks (B, 68, 2) go along; seed int32 (2,)."""
        seeds = tf.random.split(seed, 4)
        if self.flip:
            images, landmarks = random_flip(images, landmarks, seeds[0])
        if self.rotation or self.shift or self.zoom:
            images, landmarks = random_similarity(
                images, landmarks, seeds[1], self.rotation, self.shift, self.zoom
            )
        if self.color:
            images = random_color(images, seeds[2], self.color, self.color, self.color)
        if self.gray:
            images = random_gray(images, seeds[3], self.gray)
        return images, landmarks


def training_batches(
    faces,
    *,
    batch_size,
    size,
    seed,
    augmentation=None,
    labeled_in_batch=None,
    labeled_only=False,
    label_noise=0.0,
    start_step=0,
    cache=True,
):
    """The endless stream of mini-batches of Algorithm 1, from any step on.

    Each holds m1 labeled and m2 unlabeled faces, evenly mixed (so that replicas get some of both),
    and as many label vectors drawn at random from those that are complete.

    Args:
        faces: TrainingFaces, one a data set.
        batch_size: m = m1 + m2.
        size: Side of the faces in pixels.
        seed: What all order and all draws depend on.
        augmentation: An Augmentation, or None for faces as they are.
        labeled_in_batch: m1; None for the labeled faces' share of all, rounded, but with room for
            one of each data set's labeled and one of each one's unlabeled faces.
        labeled_only: Whether a batch lacks its m2 unlabeled faces, as the paper's baseline "O-wlc",
            to which they say nothing: it sees the same m1 faces a batch without them.
        label_noise: Real label vectors are moved toward 1/2 by even draws from 0 to this, so that D
            cannot win by telling 0 and 1 from what is nearly 0 and 1; below 0.5. The paper has 0.
        start_step: The step to begin with.
        cache: Whether faces may be kept in memory.

    Returns:
        Infinite dataset of dicts: `face` (m, size, size, 3) float32 in [0, 1], `au` (m, n_au), NaN
        where missing, and `real` (m, n_au), in [0, 1] (NaN if no face has all its labels).

    Raises:
        ValueError: If no face is labeled, `labeled_in_batch` does not fit, a batch is larger than
            the faces it draws from, or `label_noise` is out of its range.
    """
    if not 0 <= label_noise < 0.5:
        raise ValueError(f"`label_noise` must be in [0, 0.5). Received: {label_noise}")
    counts = batch_counts(faces, batch_size, labeled_in_batch)
    if labeled_only:
        counts = [part for part in counts if not np.isnan(part[0][0].labels[part[0][1]]).all()]
    parts = []
    for i, ((part, rows), count) in enumerate(counts):
        # With one order for all, parts of as many faces would meet the same ones in every pass.
        order_seed = seed if i == 0 else int(np.random.default_rng((seed, i)).integers(2**31))
        records = training_records(
            part.source,
            part.splits,
            batch_size=count,
            size=size,
            seed=order_seed,
            start_step=start_step,
            rows=rows,
            cache=cache,
        )
        parts.append(records.map(_with_labels(part.labels)))
    real = complete_labels(faces)
    # Faces of each part at even distances through the batch.
    places = np.concatenate([(np.arange(count) + 0.5) / count for _, count in counts])
    order = np.argsort(places, kind="stable")

    def joined(*parts):
        return tf.nest.map_structure(lambda *v: tf.gather(tf.concat(v, axis=0), order), *parts)

    def finished(batch, step_seed):
        seeds = tf.random.split(step_seed, 3)
        images, labels = batch["image"], batch["au"]
        if augmentation is not None:
            images, _ = augmentation(images, batch["landmarks"], seeds[0])
        drawn = _drawn(real, labels, seeds[1])
        if label_noise:
            drawn = tf.abs(
                drawn - tf.random.stateless_uniform(labels.shape, seeds[2], maxval=label_noise)
            )
        return {"face": images, "au": labels, "real": drawn}

    return transformed(tf.data.Dataset.zip(*parts).map(joined), finished, seed, start_step)


def batch_counts(faces, batch_size, labeled_in_batch=None):
    """How many faces of which rows each batch holds.

    Args:
        faces: As in `training_batches`, and so the others.
        batch_size: m.
        labeled_in_batch: m1, or None.

    Returns:
        List of ((TrainingFaces, rows), number in a batch); unlabeled faces of several data sets by
        their share.

    Raises:
        ValueError: As `training_batches` does.
    """
    labeled = [(part, part.labeled) for part in faces if len(part.labeled)]
    unlabeled = [(part, part.unlabeled) for part in faces if len(part.unlabeled)]
    if not labeled:
        raise ValueError("`faces` must have at least one labeled face. Received: none")
    n1, n2 = (sum(len(rows) for _, rows in kind) for kind in (labeled, unlabeled))
    if labeled_in_batch is None:
        m1 = round(batch_size * n1 / (n1 + n2))
        m1 = max(len(labeled), min(m1, batch_size - len(unlabeled))) if n2 else batch_size
    else:
        m1 = labeled_in_batch
    m2 = batch_size - m1
    if m1 < len(labeled) or m2 < len(unlabeled) or (m2 and not n2):
        raise ValueError(
            f"`labeled_in_batch` must leave room in a batch of {batch_size} for each data set: "
            f"{len(labeled)} with labeled faces, {len(unlabeled)} with unlabeled. Received: {m1}"
        )
    if m1 > n1 or m2 > n2:
        raise ValueError(
            f"`batch_size` must take at most {n1} labeled and {n2} unlabeled faces. "
            f"Received: {batch_size}, of which {m1} and {m2}"
        )
    return [*_dealt(labeled, m1), *_dealt(unlabeled, m2)]


def evaluation_transform(batch, seed):
    """What `tfface.data.pipeline.evaluation_batches` is given: faces as they are, by subject."""
    return {"face": batch["image"], "au": batch["au"], "subject": batch["subject"]}


def _dealt(parts, count):
    """Deals `count` places to parts by their numbers of rows, at least one to each."""
    if not parts:
        return []
    bounds = np.cumsum([len(rows) for _, rows in parts])
    places = np.diff(np.rint(bounds / bounds[-1] * count).astype(int), prepend=0)
    while not places.all():
        places[places.argmax()] -= 1
        places[places.argmin()] += 1
    return list(zip(parts, places.tolist(), strict=True))


def _with_labels(labels):
    labels = tf.constant(labels, tf.float32)

    def replaced(record):
        return {
            "image": record["image"],
            "landmarks": record["landmarks"],
            "au": tf.gather(labels, record["row"]),
        }

    return replaced


def _drawn(real, like, seed):
    """As many rows of `real` as `like` has, drawn with replacement."""
    if not len(real):
        return tf.fill(like.shape, np.float32(np.nan))
    rows = tf.random.stateless_uniform((like.shape[0],), seed, maxval=len(real), dtype=tf.int32)
    return tf.gather(tf.constant(real), rows)
