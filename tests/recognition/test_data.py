"""Recognition's batches: whose labels are known, what a batch holds, and that a seed says all."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfface.data.pipeline import evaluation_batches
from tfface.recognition.data import (
    Augmentation,
    TrainingFaces,
    batch_counts,
    columns_of,
    complete_labels,
    evaluation_transform,
    miss_labels,
    training_batches,
)

NAN = np.float32(np.nan)
SIZE = 200  # as stored, so that a face in a batch is a face in the files, bit for bit
STILL = Augmentation(flip=False, rotation=0, shift=0, zoom=0, color=0)


@pytest.fixture
def labels():
    """40 faces, 5 AUs: faces 0 to 3 without a label, one label unknown of each of 4 to 9."""
    values = (np.random.default_rng(0).uniform(size=(40, 5)) < 0.4).astype(np.float32)
    values[:4] = np.nan
    values[np.arange(4, 10), np.arange(6) % 5] = np.nan
    return values


def known(labels):
    return ~np.isnan(labels)


@pytest.mark.parametrize(("rate", "faces"), [(0, 0), (0.25, 9), (0.5, 18), (0.95, 34)])
def test_whole_label_vectors_go_missing(labels, rate, faces):
    """Of the 36 faces with a label; 0.95 of 36 is 34.2."""
    before = labels.copy()
    kept = miss_labels(labels, rate, "per_image", seed=3)
    np.testing.assert_array_equal(labels, before)
    assert kept.dtype == np.float32
    gone = known(labels).any(1) & ~known(kept).any(1)
    assert gone.sum() == faces
    np.testing.assert_array_equal(kept[~gone], labels[~gone])


@pytest.mark.parametrize(("rate", "entries"), [(0, 0), (0.25, 44), (0.5, 87), (0.99, 172)])
def test_single_labels_go_missing(labels, rate, entries):
    """Of 36 x 5 - 6 = 174 known ones; a quarter is 43.5, and 0.99 is 172.26."""
    kept = miss_labels(labels, rate, "per_label", seed=3)
    gone = known(labels) & ~known(kept)
    assert gone.sum() == entries
    np.testing.assert_array_equal(kept[~gone], labels[~gone])


@pytest.mark.parametrize("missing", ["per_image", "per_label"])
def test_what_is_missing_at_a_rate_is_missing_at_every_higher_one(labels, missing):
    kept = [known(miss_labels(labels, rate, missing, 1)) for rate in np.linspace(0, 0.9, 10)]
    for more, fewer in pairwise(kept):
        assert not (fewer & ~more).any() and fewer.sum() < more.sum()


@pytest.mark.parametrize("missing", ["per_image", "per_label"])
def test_a_seed_is_a_draw(labels, missing):
    first, again, other = (miss_labels(labels, 0.5, missing, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (known(first) != known(other)).any()


def test_every_face_goes_missing_about_as_often(labels):
    """Half of the draws, of 200: 100, give or take 5 deviations of 7."""
    draws = [known(miss_labels(labels, 0.5, seed=seed)[4:]).any(1) for seed in range(200)]
    counts = np.sum(draws, axis=0)
    assert counts.min() > 65 and counts.max() < 135


@pytest.mark.parametrize(
    ("rate", "missing", "message"),
    [
        (-0.1, "per_image", "`rate` of missing labels must be from 0 to 1. Received: -0.1"),
        (1.1, "per_label", "`rate` of missing labels must be from 0 to 1. Received: 1.1"),
        (float("nan"), "per_image", "`rate` .* must be from 0 to 1. Received: nan"),
        (0.5, "per_face", "`missing` must be 'per_image' or 'per_label'. Received: 'per_face'"),
        (1, "per_image", "must leave at least one label known. Received: 1 of 36"),
        (0.999, "per_label", "must leave at least one label known. Received: 0.999 of 174"),
    ],
)
def test_labels_that_cannot_go_missing(labels, rate, missing, message):
    with pytest.raises(ValueError, match=message):
        miss_labels(labels, rate, missing)


def test_columns_of_other_action_units():
    labels = np.array([[1, 0, NAN], [0, 1, 1]], np.float32)
    expected = [[NAN, NAN, 1, 0], [NAN, 1, 0, 1]]
    np.testing.assert_array_equal(columns_of(labels, (1, 2, 12), (9, 12, 1, 2)), expected)
    np.testing.assert_array_equal(columns_of(np.zeros((3, 0)), (), (1, 2)), np.full((3, 2), NAN))


def part_of(labels):
    """Faces of a data set that is nothing but a number of faces."""
    labels = np.asarray(labels, np.float32)
    return TrainingFaces(SimpleNamespace(count=lambda splits: len(labels)), ("train",), labels)


def faces_of(labeled, unlabeled):
    return part_of([[1.0, 0.0]] * labeled + [[NAN, NAN]] * unlabeled)


def test_a_face_with_one_label_counts_as_labeled():
    part = part_of([[NAN, NAN], [1, NAN], [0, 1], [NAN, NAN], [NAN, 0]])
    np.testing.assert_array_equal(part.labeled, [1, 2, 4])
    np.testing.assert_array_equal(part.unlabeled, [0, 3])
    whole = complete_labels([part, part_of([[1, 1], [NAN, 0]])])
    np.testing.assert_array_equal(whole, [[0, 1], [1, 1]])
    assert whole.dtype == np.float32
    assert complete_labels([part_of([[NAN, 1]])]).shape == (0, 2)


@pytest.mark.parametrize("labels", [np.zeros((3, 2)), np.zeros((5, 2)), np.zeros(4)])
def test_every_face_needs_a_row_of_labels(labels):
    source = SimpleNamespace(count=lambda splits: 4)
    with pytest.raises(ValueError, match=r"`labels` must have a row for each of 4 faces. .*shape"):
        TrainingFaces(source, ("train",), labels)


@pytest.mark.parametrize(
    ("kinds", "batch_size", "labeled_in_batch", "expected"),
    [
        ([(24, 0)], 6, None, [6]),
        ([(12, 12)], 6, None, [3, 3]),
        ([(12, 12)], 6, 1, [1, 5]),
        ([(10, 20)], 8, None, [3, 5]),  # 2.67
        ([(10, 20)], 7, None, [2, 5]),  # 2.33
        ([(1, 99)], 10, None, [1, 9]),  # 0.1, but at least one of each
        ([(99, 1)], 10, None, [9, 1]),
        ([(10, 10), (0, 20)], 8, None, [2, 2, 4]),
        ([(12, 0), (0, 36)], 8, None, [2, 6]),
        ([(12, 4), (0, 90)], 20, 10, [10, 1, 9]),
        ([(2, 0), (1, 0), (0, 99)], 12, None, [1, 1, 10]),  # both labeled sets have their place
        ([(2, 0), (1, 0), (0, 3)], 6, None, [2, 1, 3]),  # all there are
        ([(12, 12), (0, 84)], 9, None, [1, 1, 7]),
        ([(99, 0), (1, 0)], 60, None, [59, 1]),  # not more of a set than it has
        ([(90, 0), (1, 0), (1, 0), (1, 0)], 5, None, [2, 1, 1, 1]),
    ],
)
def test_each_kind_has_its_share_of_a_batch(kinds, batch_size, labeled_in_batch, expected):
    faces = [faces_of(*kind) for kind in kinds]
    counts = batch_counts(faces, batch_size, labeled_in_batch)
    assert [count for _, count in counts] == expected
    rows = [(part.labeled, part.unlabeled) for part in faces]
    parts = [(part, kind) for kind in (0, 1) for part in range(len(kinds)) if kinds[part][kind]]
    for ((part, its_rows), _), (index, kind) in zip(counts, parts, strict=True):
        assert part is faces[index]
        np.testing.assert_array_equal(its_rows, rows[index][kind])


@pytest.mark.parametrize("count", range(3, 31))
def test_sets_of_any_sizes_share_all_places_by_their_size(count):
    sizes = np.array([17, 1, 12])
    counts = np.array([c for _, c in batch_counts([faces_of(n, 0) for n in sizes], count)])
    assert counts.sum() == count and (counts >= 1).all() and (counts <= sizes).all()
    assert np.abs(counts - np.maximum(count * sizes / 30, 1)).max() < 2


@pytest.mark.parametrize(
    ("kinds", "batch_size", "labeled_in_batch", "message"),
    [
        ([(0, 9)], 4, None, "`faces` must have at least one labeled face. Received: none"),
        ([(9, 9)], 4, 0, "of 4 for each data set: 1 with labeled faces, 1 .* Received: 0"),
        ([(9, 9)], 4, 4, "room in a batch of 4 .* Received: 4"),
        ([(9, 9)], 1, None, "room in a batch of 1 "),
        ([(9, 0)], 4, 3, "1 with labeled faces, 0 with unlabeled. Received: 3"),
        ([(9, 9), (0, 9)], 4, 3, "1 with labeled faces, 2 with unlabeled. Received: 3"),
        ([(9, 0), (9, 9)], 4, 1, "2 with labeled faces, 1 with unlabeled. Received: 1"),
        ([(9, 9)], 13, 10, "at most 9 labeled and 9 unlabeled faces. Received: 13, of which 10 "),
        ([(9, 2)], 9, 5, "at most 9 labeled and 2 unlabeled faces. Received: 9, of which 5 and 4"),
        (
            [(9, 0)],
            10,
            None,
            "at most 9 labeled and 0 unlabeled .* Received: 10, of which 10 and 0",
        ),
        ([(1, 0)], 4, None, "at most 1 labeled and 0 unlabeled faces. Received: 4, of which 4 "),
    ],
)
def test_shares_that_do_not_fit(kinds, batch_size, labeled_in_batch, message):
    with pytest.raises(ValueError, match=message):
        batch_counts([faces_of(*kind) for kind in kinds], batch_size, labeled_in_batch)


@pytest.fixture(scope="module")
def truth(frames_source):
    return frames_source.action_unit_labels(frames_source.splits)


@pytest.fixture(scope="module")
def half(frames_source, truth):
    """Half of the 24 faces without labels."""
    return TrainingFaces(frames_source, frames_source.splits, miss_labels(truth, 0.5, seed=1))


@pytest.fixture(scope="module")
def other(sequences_source):
    """Another data set, none of whose 84 faces has labels."""
    split = sequences_source.splits[:1]
    nothing = columns_of(np.zeros((84, 0)), (), range(12))
    return TrainingFaces(sequences_source, split, nothing)


def contents(part):
    """{picture: row} of a data set's faces."""
    images = [
        record["image"].tobytes() for record in part.source.records(part.splits).as_numpy_iterator()
    ]
    assert len(set(images)) == len(images)
    return {image: row for row, image in enumerate(images)}


@pytest.fixture(scope="module")
def known_faces(half, other):
    """{picture: (which part, row)}, to recognize faces in a batch by."""
    return {
        image: (index, row)
        for index, part in enumerate((half, other))
        for image, row in contents(part).items()
    }


def found(batch, known_faces):
    """(which part, row) of each face of a batch."""
    faces = np.rint(batch["face"] * 255).astype(np.uint8)
    return [known_faces[face.tobytes()] for face in faces]


def taken(faces, count, **changes):
    arguments = dict(batch_size=6, size=SIZE, seed=4, labeled_in_batch=2)
    return list(training_batches(faces, **(arguments | changes)).take(count).as_numpy_iterator())


both = pytest.mark.parametrize("cache", [True, False], ids=["memory", "files"])


@both
def test_a_batch_holds_labeled_and_unlabeled_faces_with_their_own_labels(half, known_faces, cache):
    batches = taken([half], 6, cache=cache)
    rows = []
    for batch in batches:
        assert {key: value.dtype for key, value in batch.items()} == dict.fromkeys(
            ("face", "au", "real"), np.float32
        )
        rows.append([row for _, row in found(batch, known_faces)])
        np.testing.assert_array_equal(batch["au"], half.labels[rows[-1]])
        # Two of six at even distances: at 1/4 and 3/4 among 1/8, 3/8, 5/8 and 7/8.
        labeled = known(batch["au"]).any(1)
        np.testing.assert_array_equal(labeled, [False, True, False, False, True, False])
    # Six batches are one pass over the twelve labeled faces, and two over the others.
    rows = np.array(rows)
    assert sorted(rows[:, [1, 4]].ravel()) == half.labeled.tolist()
    for part in (rows[:3], rows[3:]):
        assert sorted(part[:, [0, 2, 3, 5]].ravel()) == half.unlabeled.tolist()


def test_a_face_comes_beside_others_in_another_pass(half, known_faces):
    """The two kinds, of equal number, do not go in step: there are 144 pairs, 12 in each pass."""
    batches = taken([half], 36, batch_size=2, labeled_in_batch=1)
    pairs = {tuple(row for _, row in found(batch, known_faces)) for batch in batches}
    assert len(pairs) > 24


def test_real_vectors_are_those_of_whole_label_vectors(frames_source, truth):
    labels = miss_labels(truth, 0.15, "per_label", seed=2)
    part = TrainingFaces(frames_source, frames_source.splits, labels)
    whole = labels[known(labels).all(1)]
    assert 1 < len(whole) < 12
    batches = taken([part], 12, batch_size=12, labeled_in_batch=None, size=8)
    drawn = np.concatenate([batch["real"] for batch in batches])
    assert {tuple(row) for row in drawn} == {tuple(row) for row in whole}
    assert len({batch["real"].tobytes() for batch in batches}) == 12
    # Drawn evenly: the share of each vector among the draws is that among the whole vectors.
    for row in np.unique(whole, axis=0):
        share = (whole == row).all(1).mean()
        deviation = np.sqrt(share * (1 - share) / len(drawn))
        assert abs((drawn == row).all(1).mean() - share) < 4 * deviation


def test_without_a_whole_label_vector_none_is_real(frames_source, truth):
    labels = truth.copy()
    labels[:, 3] = np.nan
    part = TrainingFaces(frames_source, frames_source.splits, labels)
    (batch,) = taken([part], 1, labeled_in_batch=None, size=8)
    assert batch["real"].shape == (6, 12) and not known(batch["real"]).any()


def test_label_noise_moves_real_vectors_toward_one_half(half):
    plain, noisy = (taken([half], 20, size=8, label_noise=noise) for noise in (0, 0.2))
    real, moved = (np.concatenate([batch["real"] for batch in b]) for b in (plain, noisy))
    distance = np.abs(moved - real)
    np.testing.assert_array_equal(moved > 0.5, real == 1)
    assert distance.max() <= 0.2 and moved.min() >= 0 and moved.max() <= 1
    # Even draws: a tenth of 1440 in each tenth, give or take five deviations of 11.
    counts, _ = np.histogram(distance, bins=10, range=(0, 0.2))
    assert np.abs(counts - 144).max() < 57
    for a, b in zip(plain, noisy, strict=True):
        np.testing.assert_array_equal(a["face"], b["face"])
        np.testing.assert_array_equal(a["au"], b["au"])


@both
def test_another_data_set_joins_without_labels(half, other, known_faces, cache):
    """12 faces of one set are labeled, 12 not, 84 of the other: 1, 1 and 7 of 9."""
    batches = taken([half, other], 6, batch_size=9, labeled_in_batch=None, cache=cache)
    seen = []
    for batch in batches:
        where = found(batch, known_faces)
        seen += where
        labeled = known(batch["au"]).any(1)
        kinds = [
            (part, bool(is_labeled)) for (part, _), is_labeled in zip(where, labeled, strict=True)
        ]
        assert sorted(kinds) == [(0, False), (0, True)] + [(1, False)] * 7
        for (part, row), au in zip(where, batch["au"], strict=True):
            np.testing.assert_array_equal(au, (half, other)[part].labels[row])
        assert (batch["real"][:, None] == complete_labels([half])).all(-1).any(1).all()
    assert len(set(seen)) == 6 * 9


@both
def test_without_unlabeled_faces_the_labeled_ones_are_the_same(half, other, known_faces, cache):
    """The baseline's batches: as many labeled faces, in the same order, and nothing beside them."""
    arguments = dict(batch_size=9, labeled_in_batch=3, cache=cache)
    whole = taken([half, other], 5, **arguments)
    alone = taken([half, other], 5, labeled_only=True, **arguments)
    for batch, labeled in zip(whole, alone, strict=True):
        of_whole = known(batch["au"]).any(1)
        assert of_whole.sum() == 3
        for key in ("face", "au"):
            np.testing.assert_array_equal(labeled[key], batch[key][of_whole])
        np.testing.assert_array_equal(
            half.labels[[r for _, r in found(labeled, known_faces)]], labeled["au"]
        )
        assert labeled["real"].shape == (3, 12) and known(labeled["real"]).all()


@both
@pytest.mark.parametrize("start", [1, 7])
def test_a_stream_from_a_step_on_is_the_rest_of_the_whole_stream(half, other, cache, start):
    arguments = dict(size=12, augmentation=Augmentation(), label_noise=0.1, cache=cache)
    whole = taken([half, other], start + 3, **arguments)
    later = taken([half, other], 3, start_step=start, **arguments)
    for a, b in zip(whole[start:], later, strict=True):
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_a_seed_says_all(half):
    arguments = dict(size=12, augmentation=Augmentation(), label_noise=0.1)
    tf.random.set_seed(1)
    first = taken([half], 2, **arguments)
    tf.random.set_seed(2)
    again, other = taken([half], 2, **arguments), taken([half], 2, seed=5, **arguments)
    for key in ("face", "au", "real"):
        a, b, c = (np.stack([batch[key] for batch in batches]) for batches in (first, again, other))
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c, equal_nan=True)


def test_shapes_are_static(half, other):
    batches = training_batches(
        [half, other], batch_size=8, size=12, seed=0, augmentation=Augmentation(), label_noise=0.1
    )
    shapes = {key: (spec.shape, spec.dtype) for key, spec in batches.element_spec.items()}
    assert shapes == {
        "face": ((8, 12, 12, 3), tf.float32),
        "au": ((8, 12), tf.float32),
        "real": ((8, 12), tf.float32),
    }


def test_two_replicas_share_a_batch_and_both_have_labels(half, two_devices):
    batches = training_batches([half], batch_size=6, size=12, seed=4, labeled_in_batch=2)
    shared = iter(two_devices.experimental_distribute_dataset(batches))
    for whole in taken([half], 3, size=12):
        share = next(shared)
        for key, value in whole.items():
            pieces = [piece.numpy() for piece in two_devices.experimental_local_results(share[key])]
            assert [len(piece) for piece in pieces] == [3, 3]
            np.testing.assert_array_equal(np.concatenate(pieces), value)
            assert key != "au" or [known(piece).any(1).sum() for piece in pieces] == [1, 1]


def test_augmentation_changes_faces_alone(half):
    plain, still, changed = (
        taken([half], 3, size=24, augmentation=augmentation)
        for augmentation in (None, STILL, Augmentation())
    )
    for a, b, c in zip(plain, still, changed, strict=True):
        np.testing.assert_array_equal(a["face"], b["face"])
        assert np.all(np.any(a["face"] != c["face"], axis=(1, 2, 3)))
        assert c["face"].min() >= 0 and c["face"].max() <= 1
        for key in ("au", "real"):
            np.testing.assert_array_equal(a[key], c[key])


def test_a_face_is_augmented_in_another_way_each_time_and_by_each_seed(frames_source, truth):
    labels = np.full_like(truth, np.nan)
    labels[7] = truth[7]
    part = TrainingFaces(frames_source, frames_source.splits, labels)
    pictures = set()
    for seed in (4, 5):
        arguments = dict(size=12, batch_size=2, labeled_in_batch=1, augmentation=Augmentation())
        for batch in taken([part], 4, seed=seed, **arguments):
            np.testing.assert_array_equal(batch["au"][0], truth[7])
            pictures.add(batch["face"][0].tobytes())
    assert len(pictures) == 8


def test_landmarks_go_along_with_an_augmented_face():
    y, x = np.mgrid[0:41, 0:41]
    dot = np.exp(-((x - 26) ** 2 + (y - 14) ** 2) / 18).astype(np.float32)
    images = np.repeat(dot[None, ..., None], 16, 0).repeat(3, -1)
    moved, points = Augmentation(color=0)(
        images, np.full((16, 68, 2), (26, 14), np.float32), (1, 2)
    )
    for image, point in zip(moved.numpy()[..., 0], points.numpy()[:, 0], strict=True):
        centroid = [(image * axis).sum() / image.sum() for axis in (x, y)]
        np.testing.assert_allclose(point, centroid, atol=0.1)
    # About half are mirrored: the dot lies left of the center, at 14 instead of 26.
    assert 3 < (points.numpy()[:, 0, 0] < 20).sum() < 13


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"flip": True}, lambda images: np.sort(images, axis=2)),
        ({"color": 0.3}, None),
        ({"rotation": 20.0}, None),
        ({"shift": 0.2}, None),
        ({"zoom": 0.2}, None),
    ],
    ids=["flip", "color", "rotation", "shift", "zoom"],
)
def test_each_change_is_asked_for_by_itself(change, kept):
    images = np.random.default_rng(0).uniform(0.3, 0.7, (16, 9, 9, 3)).astype(np.float32)
    points = np.full((16, 68, 2), (2, 3), np.float32)
    fields = {"flip": False, "rotation": 0, "shift": 0, "zoom": 0, "color": 0, **change}
    changed, moved = (np.array(v) for v in Augmentation(**fields)(images, points, (1, 2)))
    assert (changed != images).any()
    assert (moved != points).any() == ("color" not in change)
    if kept:
        np.testing.assert_array_equal(kept(changed), kept(images))


def test_evaluation_faces_are_as_they_are(frames_source, truth):
    batches = evaluation_batches(
        frames_source,
        frames_source.splits,
        batch_size=10,
        size=SIZE,
        transform=evaluation_transform,
        seed=0,
    )
    batches = list(batches.as_numpy_iterator())
    assert [sorted(batch) for batch in batches] == [["au", "face", "subject"]] * 3
    records = list(frames_source.records(frames_source.splits).as_numpy_iterator())
    faces = np.concatenate([batch["face"] for batch in batches])
    np.testing.assert_array_equal(
        faces, [np.float32(r["image"]) / np.float32(255) for r in records]
    )
    np.testing.assert_array_equal(np.concatenate([batch["au"] for batch in batches]), truth)
    subjects = np.concatenate([batch["subject"] for batch in batches])
    assert subjects.tolist() == [record["subject"] for record in records]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_noise": 0.5}, r"`label_noise` must be in \[0, 0.5\). Received: 0.5"),
        ({"label_noise": -0.1}, r"`label_noise` must be in \[0, 0.5\). Received: -0.1"),
        ({"label_noise": float("nan")}, r"`label_noise` must be in \[0, 0.5\). Received: nan"),
        ({"labeled_in_batch": 6}, "`labeled_in_batch` must leave room in a batch of 6"),
        ({"batch_size": 20, "labeled_in_batch": 13}, "at most 12 labeled .* of which 13 and 7"),
        ({"batch_size": 20, "labeled_in_batch": 4}, "and 12 unlabeled .* of which 4 and 16"),
        ({"size": 0}, "`size` must be at least 1. Received: 0"),
        ({"seed": -1}, "`seed` must be from 0"),
        ({"start_step": -1}, "`start_step` must be at least 0. Received: -1"),
    ],
)
def test_bad_arguments_are_named(half, changes, message):
    with pytest.raises(ValueError, match=message):
        taken([half], 1, **changes)


def test_faces_without_any_label_cannot_train(other):
    with pytest.raises(ValueError, match="`faces` must have at least one labeled face"):
        taken([other], 1)
