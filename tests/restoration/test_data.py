"""Restoration batches: what is in them, and that a seed says all."""

import numpy as np
import tensorflow as tf

from tfface.data.pipeline import evaluation_batches, training_stream
from tfface.restoration.data import RestorationTransform

SEED = tf.constant([3, 5])


def batch_of(source, **kwargs):
    transform = RestorationTransform(**kwargs)
    batches = evaluation_batches(
        source, source.splits, batch_size=6, size=128, transform=transform, seed=0
    )
    return next(iter(batches))


def records(count=4):
    faces = np.random.default_rng(0).uniform(size=(count, 128, 128, 3)).astype("float32")
    landmarks = np.full((count, 68, 2), np.nan, "float32")
    return {"image": faces, "landmarks": landmarks, "au": np.zeros((count, 2), "float32")}


def test_a_batch_holds_the_face_and_what_is_left_of_it(frames_source):
    batch = {key: value.numpy() for key, value in batch_of(frames_source).items()}
    assert batch["face"].shape == (6, 128, 128, 3)
    assert batch["low"].shape == (6, 16, 16, 3) and batch["mask"].shape == (6, 16, 16, 1)
    assert batch["au"].shape == (6, 12)
    np.testing.assert_array_equal(batch["mask"].sum((1, 2, 3)), 64)  # 8x8 of 16x16
    hidden = batch["mask"][..., 0] == 1
    assert not batch["low"][hidden].any()
    # Outside of the hidden square the small face is the large one, averaged.
    means = batch["face"].reshape(6, 16, 8, 16, 8, 3).mean((2, 4))
    assert np.abs(batch["low"] - means)[~hidden].mean() < 0.03


def test_the_same_seed_gives_the_same_batch_and_another_does_not():
    transform = RestorationTransform(flip=True)
    one, same = transform(records(), SEED), transform(records(), SEED)
    other = transform(records(), SEED + 1)
    for key in one:
        np.testing.assert_array_equal(one[key], same[key])
    assert np.any(one["mask"] != other["mask"])


def test_flipping_mirrors_about_half_of_the_faces():
    plain = records(64)
    faces = RestorationTransform(flip=True)(plain, SEED)["face"].numpy()
    mirrored = np.all(faces == plain["image"][:, :, ::-1], axis=(1, 2, 3))
    same = np.all(faces == plain["image"], axis=(1, 2, 3))
    assert np.all(mirrored ^ same) and 16 < mirrored.sum() < 48


def test_scale_and_share_are_free():
    batch = RestorationTransform(scale=4, hidden_area=0.0)(records(), SEED)
    assert batch["low"].shape == (4, 32, 32, 3) and not batch["mask"].numpy().any()


def test_training_shapes_are_static(frames_source):
    stream = training_stream(
        frames_source,
        frames_source.splits,
        batch_size=4,
        size=128,
        transform=RestorationTransform(flip=True),
        seed=0,
    )
    spec = stream.element_spec
    assert spec["low"].shape == (4, 16, 16, 3) and spec["face"].shape == (4, 128, 128, 3)
