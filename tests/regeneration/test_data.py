"""Regeneration's batches: a face and its targets changed alike, resumed, cut for evaluation."""

import numpy as np
import pytest
import tensorflow as tf

from tfface.data.augmentation import expand_110
from tfface.data.targets import expression_targets, peak_faces
from tfface.regeneration.data import (
    classifier_batches,
    evaluation_batches,
    evaluation_faces,
    training_batches,
)

SIZE = 26  # 32 before the cut


@pytest.fixture(scope="module")
def targets(sequences_source):
    return expression_targets(sequences_source, sequences_source.splits)


@pytest.fixture(scope="module")
def pictures(targets):
    """All faces as they are read, float in [0, 1], with labels."""
    record = next(iter(targets.source.records(targets.splits).batch(168)))
    image = tf.image.resize(record["image"], (32, 32), method="bicubic", antialias=True)
    return tf.round(tf.clip_by_value(image, 0.0, 255.0)) / 255.0


def taken(batches, count):
    return list(batches.take(count).as_numpy_iterator())


def gray(images):
    return images @ np.float32([[0.299], [0.587], [0.114]])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_face_and_its_targets_are_changed_by_the_same_one_of_110_ways(
    targets, pictures, channels
):
    few = targets.of_classes(["fear", "anger"])
    batches = training_batches(few, batch_size=8, seed=1, size=SIZE, channels=channels)
    images = gray(pictures.numpy()) if channels == 1 else pictures.numpy()
    ways = {row: expand_110(images[[row, *few.target[row]]]).numpy() for row in (5, 100)}
    ways = {row: np.moveaxis(each, 0, 1) for row, each in ways.items()}  # (110, face and targets)
    drawn = []
    for batch in taken(batches, 42):  # two epochs
        assert batch["face"].shape == (8, SIZE, SIZE, channels)
        assert batch["target"].shape == (8, 2, SIZE, SIZE, channels)
        assert np.all(batch["known"] == np.ones((8, 2)))
        both = np.concatenate([batch["face"][:, None], batch["target"]], axis=1)
        for each in ways.values():
            differences = np.abs(both[:, None] - each).max((2, 3, 4, 5))
            drawn += list(np.argwhere(differences < 1e-4)[:, 1])
    # Both faces came in both epochs, each changed by a way of its own.
    assert len(drawn) == 4 and len(set(drawn)) > 1


def test_without_augmentation_the_middle_is_cut_out(targets, pictures):
    (batch,) = taken(training_batches(targets, batch_size=168, seed=0, size=SIZE, augment=False), 1)
    middle = gray(pictures.numpy())[:, 3:29, 3:29]
    for face, target in zip(batch["face"][:9], batch["target"], strict=False):
        (row,) = np.flatnonzero(np.abs(middle - face).max((1, 2, 3)) < 1e-5)
        np.testing.assert_allclose(target, middle[targets.target[row]], atol=1e-6)


@pytest.mark.parametrize("kind", ["training", "classifier"])
def test_a_stream_from_a_step_on_is_the_rest_of_the_whole_stream(targets, kind):
    if kind == "training":
        found, make = targets, training_batches
    else:
        found, make = peak_faces(targets.source, targets.splits), classifier_batches
    batches = [
        taken(make(found, batch_size=20, seed=seed, size=SIZE, start_step=start), 3 - start)
        for seed, start in ((3, 0), (3, 2), (4, 0))
    ]
    whole, later, other = batches
    for key in whole[0]:
        np.testing.assert_array_equal(whole[2][key], later[0][key])
    assert np.any(whole[0]["face"] != other[0]["face"])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_classifier_sees_the_faces_that_show_a_class(targets, pictures, channels):
    faces = peak_faces(targets.source, targets.splits, frames=1)
    batches = classifier_batches(
        faces, batch_size=14, seed=0, size=SIZE, channels=channels, augment=False
    )
    (batch,) = taken(batches, 1)
    assert sorted(batch["label"]) == sorted([*range(7)] * 2)
    middle = pictures.numpy()[faces.weak][:, 3:29, 3:29]
    middle = gray(middle) if channels == 1 else middle
    for face, label in zip(batch["face"], batch["label"], strict=True):
        (which,) = np.flatnonzero(np.abs(middle - face).max((1, 2, 3)) < 1e-5)
        assert faces.label[which] == label
    changed = taken(classifier_batches(faces, batch_size=14, seed=0, size=SIZE), 1)[0]["face"]
    assert changed.shape == (14, SIZE, SIZE, 1) and len(np.unique(changed.mean((1, 2, 3)))) == 14


def test_evaluation_sees_every_face_that_shows_a_class_once_in_order(targets, pictures):
    batches = evaluation_batches(targets, batch_size=20, size=SIZE, channels=3)
    assert int(batches.cardinality()) == 3
    batches = taken(batches, 3)
    parts = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    rows = targets.face[targets.label >= 0]
    middle = pictures.numpy()[:, 3:29, 3:29]
    np.testing.assert_allclose(parts["face"], middle[rows], atol=1e-6)
    np.testing.assert_allclose(parts["target"], middle[targets.target[rows]], atol=1e-6)
    np.testing.assert_array_equal(parts["label"], targets.label[targets.label >= 0])
    read = targets.source.values(targets.splits, ["subject"])["subject"]
    np.testing.assert_array_equal(parts["subject"], read[rows])
    assert parts["known"].shape == (42, 7)


def test_fer_net_is_tested_on_the_same_faces(targets):
    faces = peak_faces(targets.source, targets.splits)
    found, beside = (
        {key: np.concatenate([batch[key] for batch in taken(batches, 3)]) for key in keys}
        for batches in (
            evaluation_faces(faces, batch_size=20, size=SIZE),
            evaluation_batches(targets, batch_size=20, size=SIZE),
        )
        for keys in [("face", "label")]
    )
    assert len(found["face"]) == 42
    for key, values in found.items():
        np.testing.assert_array_equal(values, beside[key])
    assert int(evaluation_faces(faces, batch_size=20, size=SIZE).cardinality()) == 3


def test_two_replicas_share_a_batch(two_devices, targets):
    def batches():
        return training_batches(targets, batch_size=4, seed=3, size=SIZE)

    shared = iter(two_devices.experimental_distribute_dataset(batches()))
    for batch in taken(batches(), 2):
        share = next(shared)
        for key, value in batch.items():
            pieces = two_devices.experimental_local_results(share[key])
            np.testing.assert_array_equal(np.concatenate(pieces), value)


def test_shapes_are_static(targets):
    batches = training_batches(targets, batch_size=4, seed=0)
    shapes = {key: (spec.shape, spec.dtype) for key, spec in batches.element_spec.items()}
    assert shapes == {
        "face": ((4, 64, 64, 1), tf.float32),
        "target": ((4, 7, 64, 64, 1), tf.float32),
        "known": ((4, 7), tf.float32),
    }


def test_bad_arguments_are_named(targets):
    for make in (training_batches, classifier_batches):
        with pytest.raises(ValueError, match="`channels` must be 1 or 3. Received: 2"):
            make(targets, batch_size=4, seed=0, channels=2)
    with pytest.raises(ValueError, match="`channels` must be 1 or 3. Received: 4"):
        evaluation_batches(targets, batch_size=4, channels=4)
    with pytest.raises(ValueError, match="`channels` must be 1 or 3. Received: 2"):
        evaluation_faces(targets, batch_size=4, channels=2)
    with pytest.raises(ValueError, match="`batch_size` must be from 1 to .*, 168. Received: 169"):
        training_batches(targets, batch_size=169, seed=0)
