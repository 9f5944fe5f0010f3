"""What is drawn: landmarks lie on it, action units show where they act, people stay themselves."""

import dataclasses
import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tfface.data.synthetic import (
    SYNTHETIC_AUS,
    Nuisance,
    frames,
    render,
    sample_identity,
    sample_nuisance,
)
from tfface.data.synthetic.rendering import build_head
from tfface.facs import landmarks as scheme
from tfface.facs.regions import au_centers

SIZE = 128
REST = np.zeros(len(SYNTHETIC_AUS), np.float32)


def level(number, intensity):
    vector = REST.copy()
    vector[SYNTHETIC_AUS.index(number)] = intensity
    return vector


def inside(points, shape):
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask.astype(bool)


def circumstances(count, seed=0):
    """Draws nuisances that are not so dark or blurred that colors cannot be measured."""
    rng = np.random.default_rng(seed)
    return [
        dataclasses.replace(
            sample_nuisance(rng), blur=0.0, noise=0.0, gaze=(0.0, 0.0), droop=0.0, exposure=1.0
        )
        for _ in range(count)
    ]


def people(count, seed=0, **wanted):
    """Returns identities whose attributes are as wanted: a value, or a test of it."""
    found, subject = [], 0
    while len(found) < count:
        identity = sample_identity(seed, subject)
        subject += 1
        if all(test(getattr(identity, name)) for name, test in wanted.items()):
            found.append(identity)
    return found


def test_a_picture_and_its_landmarks():
    image, landmarks = render(sample_identity(0, 0), REST, Nuisance(), SIZE)
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
    assert landmarks.shape == (68, 2) and landmarks.dtype == np.float32


def test_eyes_are_where_the_landmarks_say():
    dark_eyed = people(4, iris_color=lambda c: sum(c) < 0.75, glasses=lambda g: g == "none")
    for identity, nuisance in zip(dark_eyed, circumstances(4), strict=True):
        image, landmarks = render(identity, REST, nuisance, SIZE)
        gray = image.mean(axis=-1)
        for part in (scheme.RIGHT_EYE, scheme.LEFT_EYE):
            eye = landmarks[part]
            mask = inside(eye, image.shape)
            rows, columns = np.nonzero(mask & (gray < np.quantile(gray[mask], 0.4)))
            pupil = np.array([columns.mean(), rows.mean()])
            width = np.linalg.norm(eye[0] - eye[3])
            assert np.linalg.norm(pupil - eye.mean(axis=0)) < 0.22 * width
            # The white of the eye lies inside as well, and is brighter than the iris.
            assert gray[mask].max() > gray[mask].min() + 25


def test_lips_are_where_the_landmarks_say():
    bare = people(
        5,
        beard=lambda b: b == 0,
        mustache=lambda m: m == 0,
        skin_tone=lambda t: t < 0.6,
    )
    for identity, nuisance in zip(bare, circumstances(5, seed=1), strict=True):
        image, landmarks = render(identity, level(25, 0), nuisance, SIZE)
        red = image[..., 0] / (image[..., 1] + 1.0)
        mouth = landmarks[scheme.OUTER_LIPS]
        lips = red[inside(mouth, image.shape)].mean()
        for shift in ((0, -14), (0, 14)):
            assert lips > 1.05 * red[inside(mouth + shift, image.shape)].mean()


def test_an_open_mouth_is_dark_between_the_inner_lips():
    intensities = level(26, 5) + level(25, 4)
    bright = people(4, skin_tone=lambda t: t < 0.6, beard=lambda b: b == 0)
    for identity, nuisance in zip(bright, circumstances(4, seed=2), strict=True):
        image, landmarks = render(identity, intensities, nuisance, SIZE)
        closed, _ = render(identity, REST, nuisance, SIZE)
        mask = inside(landmarks[scheme.INNER_LIPS], image.shape)
        assert mask.mean() > 0.004
        assert image[mask].mean() < 0.75 * closed[mask].mean()
        # Teeth and cavity end at the lips: little of the dark lies around them.
        ring = inside(landmarks[scheme.OUTER_LIPS], image.shape) & ~cv2.dilate(
            mask.astype(np.uint8), np.ones((3, 3))
        ).astype(bool)
        assert np.median(image[ring].mean(-1)) > np.median(image[mask].mean(-1)) * 1.15


def test_brows_are_where_the_landmarks_say():
    dark = people(
        3,
        skin_tone=lambda t: t < 0.35,
        brow_color=lambda c: sum(c) < 0.5,
        glasses=lambda g: g == "none",
        hair_style=lambda s: s != "fringe",
    )
    for identity, nuisance in zip(dark, circumstances(3, seed=3), strict=True):
        image, landmarks = render(identity, REST, nuisance, SIZE)
        gray = cv2.GaussianBlur(image.mean(axis=-1), (0, 0), 0.8)
        for part in (scheme.RIGHT_BROW, scheme.LEFT_BROW):
            middle = landmarks[part][1:4]

            def along(shift, points=middle, picture=gray):
                x, y = np.round(np.add(points, (0, shift))).astype(int).T
                return picture[y, x].mean()

            assert along(0) < 0.8 * along(-9)
            assert along(0) < 0.9 * along(8)


def test_a_mirrored_picture_has_mirrored_landmarks():
    identity = people(1, iris_color=lambda c: sum(c) < 0.75, glasses=lambda g: g == "none")[0]
    nuisance = dataclasses.replace(circumstances(1, seed=4)[0], shift=(0.03, 0.0))
    image, landmarks = render(identity, REST, nuisance, SIZE)
    flipped, mirrored = image[:, ::-1], scheme.mirror(landmarks, SIZE)
    mask = inside(mirrored[scheme.RIGHT_EYE], image.shape)
    np.testing.assert_array_equal(
        np.sort(flipped[mask].sum(-1))[:20],
        np.sort(image[inside(landmarks[scheme.LEFT_EYE], image.shape)].sum(-1))[:20],
    )
    assert mirrored[48, 0] < mirrored[54, 0] and mirrored[36, 0] < mirrored[45, 0]


def test_the_same_face_at_any_size():
    identity, nuisance = sample_identity(0, 2), circumstances(1, seed=5)[0]
    intensities = level(12, 4) + level(25, 3)
    small, small_landmarks = render(identity, intensities, nuisance, 64)
    large, large_landmarks = render(identity, intensities, nuisance, 192)
    np.testing.assert_allclose(
        (small_landmarks + 0.5) / 64, (large_landmarks + 0.5) / 192, atol=1e-5
    )
    shrunk = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(float) - small).mean() < 6


@pytest.mark.parametrize("number", SYNTHETIC_AUS)
def test_an_action_unit_changes_its_own_region(number):
    y, x = np.mgrid[:SIZE, :SIZE]
    shares = []
    for subject in (0, 1, 2):
        identity = sample_identity(3, subject)
        before, landmarks = render(identity, REST, Nuisance(), SIZE)
        after, _ = render(identity, level(number, 5), Nuisance(), SIZE)
        energy = ((after.astype(float) - before) ** 2).sum(axis=-1)
        centers = list(au_centers(landmarks, (number,))[0])
        if number == 6:  # the cheek that rises narrows the eye above it
            centers += list(scheme.anchors(landmarks)[:2])
        near = np.min([np.hypot(x - cx, y - cy) for cx, cy in centers], axis=0) < 0.2 * SIZE
        assert near.mean() < 0.40
        shares.append(energy[near].sum() / energy.sum())
    assert np.mean(shares) > 0.75


@pytest.mark.parametrize("number", SYNTHETIC_AUS)
def test_more_intensity_is_more_change(number):
    identity = sample_identity(3, 4)
    rest = render(identity, REST, Nuisance(), 96)[0].astype(float)
    change = [
        np.sqrt(((render(identity, level(number, k), Nuisance(), 96)[0] - rest) ** 2).mean())
        for k in range(6)
    ]
    assert (np.diff(change) > 0).all()
    assert change[5] > 1.0


def test_wrinkles_show_in_the_shading():
    # AU 1 moves only the brows, but the forehead between hairline and brows folds.
    identity = people(1, hair_style=lambda s: s == "bald", age=lambda a: a > 0.4)[0]
    light = Nuisance(light=(0.0, -0.6), contrast=0.7)
    lines = []
    for intensity in (0, 5):
        image, _ = render(identity, level(1, intensity), light, 200)
        strip = image[16:44, 90:110].astype(float).mean(axis=(1, 2))
        lines.append(np.abs(np.diff(strip)).sum())
    assert lines[1] > lines[0] + 15


def test_light_comes_from_its_side():
    identity = people(1, hair_style=lambda s: s == "bald")[0]
    for side in (-0.8, 0.8):
        image, landmarks = render(identity, REST, Nuisance(light=(side, 0.0), contrast=0.8), SIZE)
        right, left = (
            np.round(np.add(landmarks[[36, 45]].mean(0), (dx, 26))).astype(int) for dx in (-30, 30)
        )
        right, left = (
            image[p[1] - 4 : p[1] + 4, p[0] - 4 : p[0] + 4].mean() for p in (right, left)
        )
        assert (left > right) == (side > 0)
        assert abs(left - right) > 8


def test_people_stay_themselves():
    pictures, who = [], []
    for subject in range(8):
        for record in frames(6, subject, 8, 48):
            face = cv2.resize(record["image"], (24, 24), interpolation=cv2.INTER_AREA)
            pictures.append(face[4:23, 5:19].astype(np.float32).ravel())
            who.append(subject)
    pictures, who = np.array(pictures), np.array(who)
    distance = np.linalg.norm(pictures[:, None] - pictures[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    same = who[:, None] == who[None]
    assert distance[same & np.isfinite(distance)].mean() < 0.7 * distance[~same].mean()
    assert (who[distance.argmin(axis=1)] == who).mean() > 0.75


def test_people_differ():
    tones = np.array([sample_identity(0, k).skin_color.mean() for k in range(100)])
    assert tones.min() < 0.25 and tones.max() > 0.65  # the whole human range
    styles = {sample_identity(0, k).hair_style for k in range(100)}
    assert len(styles) >= 5
    glasses = np.mean([sample_identity(0, k).glasses != "none" for k in range(300)])
    assert 0.1 < glasses < 0.3


FINGERPRINT = """
import hashlib
from tfface.data.synthetic import frames
digest = hashlib.sha256()
for record in frames(11, "S3", 3, 64):
    digest.update(record["image"].tobytes())
    digest.update(record["landmarks"].tobytes())
    digest.update(record["au_intensity"].tobytes())
print(digest.hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_another_process():
    digest = hashlib.sha256()
    build_head.cache_clear()
    for record in frames(11, "S3", 3, 64):
        digest.update(record["image"].tobytes())
        digest.update(record["landmarks"].tobytes())
        digest.update(record["au_intensity"].tobytes())
    other = subprocess.run(
        [sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest.hexdigest()


def test_another_seed_gives_another_person():
    one, other = (next(iter(frames(seed, 0, 1, 48)))["image"] for seed in (0, 1))
    assert np.abs(one.astype(float) - other).mean() > 5


@pytest.mark.parametrize(
    ("intensities", "message"),
    [
        (np.zeros(12), r"shape \(17,\)"),
        (np.full(17, 6.0), "0 to 5"),
        (np.full(17, np.nan), "0 to 5"),
    ],
)
def test_wrong_intensities(intensities, message):
    with pytest.raises(ValueError, match=f"`intensities`.*{message}.*Received"):
        render(sample_identity(0, 0), intensities, Nuisance(), 48)
