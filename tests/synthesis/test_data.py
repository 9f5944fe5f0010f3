"""Batches of synthesis: targets that somebody shows, flips, people, and faces enriched."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.data.pipeline import evaluation_batches
from tfface.facs.landmarks import MIRRORED, mean_face
from tfface.facs.regions import attention_maps
from tfface.synthesis import augment
from tfface.synthesis.data import evaluation_transform, subject_batches, training_batches
from tfface.synthesis.networks import LACGenerator

SIZE, AUS = 24, (1, 12, 23)


def taken(batches, count):
    return list(batches.take(count).as_numpy_iterator())


def stream(source, **changes):
    arguments = {"batch_size": 4, "size": SIZE, "seed": 5, "latent_size": 3}
    return training_batches(source, source.splits, **{**arguments, **changes})


def known_faces(source):
    """Every face of a source by the bytes of its picture, with its landmarks and labels."""
    batches = evaluation_batches(
        source, source.splits, batch_size=6, size=SIZE, transform=evaluation_transform, seed=0
    )
    return {
        face.tobytes(): (points, labels)
        for batch in batches.as_numpy_iterator()
        for face, points, labels in zip(batch["face"], batch["landmarks"], batch["au"], strict=True)
    }


def test_faces_come_whole_or_mirrored_with_targets_that_somebody_shows(frames_source):
    faces = known_faces(frames_source)
    vectors = {labels.tobytes() for _, labels in faces.values()}
    batches, mirrored, drawn = taken(stream(frames_source), 6), 0, set()
    for batch in batches:
        assert batch["prior"].shape == (4, 12, 3)
        assert np.abs(batch["prior"]).max() < 1 and np.ptp(batch["prior"]) > 1.5
        for face, points, own in zip(batch["face"], batch["landmarks"], batch["au"], strict=True):
            turned = face.tobytes() not in faces
            mirrored += turned
            expected, labels = faces[(face[:, ::-1] if turned else face).tobytes()]
            if turned:
                expected = expected[list(MIRRORED)] * [-1, 1] + [SIZE - 1, 0]
            np.testing.assert_allclose(points, expected, atol=1e-4)
            np.testing.assert_array_equal(own, labels)
        drawn |= {target.tobytes() for target in batch["target"]}
    assert 3 <= mirrored <= 21
    assert drawn <= vectors and len(drawn) > 3


def test_jitter_moves_landmarks_and_nothing_else(frames_source):
    still, moved = (taken(stream(frames_source, jitter=jitter), 6) for jitter in (0.0, 0.05))
    noise = []
    for a, b in zip(still, moved, strict=True):
        noise.append(b["landmarks"] - a["landmarks"])
        for key in ("face", "au", "target", "prior"):
            np.testing.assert_array_equal(a[key], b[key])
    # 6 x 4 x 68 x 2 draws: the spread is known to a hundredth.
    assert np.std(noise) == pytest.approx(0.05 * SIZE, rel=0.05)
    assert abs(np.mean(noise)) < 0.1


def test_a_stopped_stream_goes_on_where_it_was(frames_source):
    whole, rest = taken(stream(frames_source), 9), taken(stream(frames_source, start_step=4), 5)
    for a, b in zip(whole[4:], rest, strict=True):
        for key, values in a.items():
            np.testing.assert_array_equal(values, b[key])
    other = taken(stream(frames_source, seed=6), 1)[0]
    assert np.abs(other["prior"] - whole[0]["prior"]).max() > 0.1


def test_people_are_numbered_in_the_order_of_their_names(frames_source):
    faces, names = {}, frames_source.values(frames_source.splits, ["subject"])["subject"]
    for i, record in enumerate(frames_source.records(frames_source.splits).as_numpy_iterator()):
        assert record["subject"] == names[i]
        faces[i] = sorted(set(names)).index(names[i])
    (batch,) = taken(
        subject_batches(
            frames_source, frames_source.splits, batch_size=24, size=8, seed=0, flip=False
        ),
        1,
    )
    assert sorted(batch["label"]) == sorted(faces.values())
    assert batch["face"].shape == (24, 8, 8, 3)


def test_a_set_without_labels_is_refused(frames_source, monkeypatch):
    nothing = np.full((24, 12), np.nan, np.float32)
    monkeypatch.setattr(type(frames_source), "action_unit_labels", lambda *_: nothing)
    with pytest.raises(ValueError, match="`source` must have faces with action unit labels"):
        stream(frames_source)


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(1)
    return LACGenerator(AUS, SIZE, (2, 2, 3, 3, 4), latent_size=4)


def labeled(count=40, **more):
    """Batches of ten faces: the first three lack AU 12, which is unknown in the next three."""
    rng = np.random.default_rng(0)
    labels = np.tile([[0, 0, 1]] * 3 + [[1, np.nan, 0]] * 3 + [[0, 1, 0]] * 4, (count // 10, 1))
    content = {
        "face": rng.uniform(size=(count, SIZE, SIZE, 3)).astype("float32"),
        "au": labels.astype("float32"),
        "name": np.arange(count),
        **more,
    }
    return content, tf.data.Dataset.from_tensor_slices(content).batch(10)


def joined(dataset):
    parts = list(dataset.as_numpy_iterator())
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def test_enriched_faces_have_the_label_that_was_asked_and_only_its_region_changed(generator):
    moved = np.tile(mean_face(SIZE) + np.array([2, -1]), (40, 1, 1)).astype("float32")
    for more, points in (({}, mean_face(SIZE)), ({"landmarks": moved}, moved[0])):
        before, dataset = labeled(**more)
        after = joined(augment(dataset, generator, [12], share=1))
        lacked = before["au"][:, 1] == 0
        np.testing.assert_array_equal(after["name"], before["name"])
        np.testing.assert_array_equal(after["au"][lacked, 1], 1)
        np.testing.assert_array_equal(after["au"][~lacked], before["au"][~lacked])
        np.testing.assert_array_equal(after["au"][:, [0, 2]], before["au"][:, [0, 2]])
        changed = (after["face"] != before["face"]).any(-1)
        np.testing.assert_array_equal(changed.any((1, 2)), lacked)
        region = attention_maps(points, (12,), SIZE)[0] > 0
        assert not changed[:, ~region].any() and changed[lacked][:, region].mean() > 0.9
        row = lacked.argmax()
        wish = np.array([[np.nan, 1, np.nan]], "float32")
        edited = generator.edit(before["face"][row : row + 1], wish, points[None])
        np.testing.assert_allclose(after["face"][row], edited[0], atol=1e-5)


def test_a_share_of_the_faces_each_with_one_of_the_units(generator):
    before, dataset = labeled(400)
    after = joined(augment(dataset, generator, (1, 23), share=0.5, seed=3))
    switched = (after["au"] == 1) & (before["au"] == 0)
    assert switched.sum(axis=1).max() == 1 and not switched[:, 1].any()
    # Those with a label 0 among AU 1 and 23 are all; half of them are drawn.
    assert 160 <= switched.any(axis=1).sum() <= 240
    of_both = switched[(before["au"][:, [0, 2]] == 0).all(axis=1)]
    assert 0.3 < of_both[:, 0].sum() / of_both.sum() < 0.7
    again = joined(augment(dataset, generator, (1, 23), share=0.5, seed=3))
    np.testing.assert_array_equal(again["au"], after["au"])
    np.testing.assert_array_equal(again["face"], after["face"])
    late = joined(augment(dataset.skip(7), generator, (1, 23), share=0.5, seed=3, start_step=7))
    np.testing.assert_array_equal(late["face"], after["face"][70:])
    nothing = joined(augment(dataset, generator, (1, 23), share=0))
    np.testing.assert_array_equal(nothing["face"], before["face"])


def test_what_cannot_be_enriched_is_named(generator):
    _, dataset = labeled()
    with pytest.raises(ValueError, match=r"`action_units` must be some of the model's.*\[4\]"):
        augment(dataset, generator, [4], 0.5)
    with pytest.raises(ValueError, match="`action_units` must be some"):
        augment(dataset, generator, [], 0.5)
    with pytest.raises(ValueError, match="`share` must be from 0 to 1. Received: 1.5"):
        augment(dataset, generator, [1], 1.5)
    with pytest.raises(ValueError, match="`dataset` must have `au` .*no such key"):
        augment(dataset.map(lambda batch: {"face": batch["face"]}), generator, [1], 0.5)
    with pytest.raises(ValueError, match=r"`dataset` must have `face` of shape.*\(None, 8, 24, 3"):
        augment(
            dataset.map(lambda batch: {**batch, "face": batch["face"][:, :8]}), generator, [1], 0.5
        )
