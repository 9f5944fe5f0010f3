import numpy as np
import pytest
import tensorflow as tf

from tfface.data import augmentation
from tfface.facs.landmarks import mirror


@pytest.fixture
def images():
    return np.random.default_rng(0).random((64, 12, 10, 3)).astype(np.float32)


@pytest.fixture
def landmarks():
    points = np.random.default_rng(1).uniform(0, 9, (64, 68, 2)).astype(np.float32)
    points[5, 3] = np.nan
    return points


def test_flip_moves_images_and_landmarks_together(images, landmarks):
    flipped, moved = (x.numpy() for x in augmentation.random_flip(images, landmarks, (1, 2)))
    changed = (flipped != images).any(axis=(1, 2, 3))
    # Half of 64, give or take four deviations of 4.
    assert 16 < changed.sum() < 48
    np.testing.assert_array_equal(flipped[changed], images[changed][:, :, ::-1])
    np.testing.assert_array_equal(flipped[~changed], images[~changed])
    np.testing.assert_array_equal(moved[changed], mirror(landmarks[changed], width=10))
    np.testing.assert_array_equal(moved[~changed], landmarks[~changed])


def marked(x, y, height=9, width=9):
    """A black image with one white pixel, and landmarks that all lie on it."""
    image = np.zeros((1, height, width, 1), np.float32)
    image[0, y, x] = 1
    return image, np.full((1, 68, 2), (x, y), np.float32)


def test_crop_moves_landmarks(images, landmarks):
    cropped, moved = augmentation.random_crop(images, landmarks, (3, 4), size=7)
    assert cropped.shape == (64, 7, 7, 3)
    corners = np.rint((landmarks - moved)[:, 0]).astype(int)
    for image, crop, (x, y) in zip(images, cropped.numpy(), corners, strict=True):
        np.testing.assert_array_equal(crop, image[y : y + 7, x : x + 7])
    # Every place occurs: x from 0 to 3, y from 0 to 5.
    assert set(corners[:, 0]) == set(range(4))
    assert set(corners[:, 1]) == set(range(6))
    known = ~np.isnan(landmarks)
    np.testing.assert_array_equal(known, ~np.isnan(moved))


def test_crop_of_the_whole_image_changes_nothing():
    image, landmarks = marked(2, 3)
    cropped, moved = augmentation.random_crop(image, landmarks, (0, 0), size=9)
    np.testing.assert_array_equal(cropped, image)
    np.testing.assert_array_equal(moved, landmarks)


@pytest.mark.parametrize("size", [0, 11])
def test_crop_that_does_not_fit(images, landmarks, size):
    with pytest.raises(ValueError, match=f"shorter side, 10. Received: {size}"):
        augmentation.random_crop(images, landmarks, (0, 0), size=size)


# Turning left takes what is at the top to the left, what is at the left to the bottom, ...
@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, (6, 1)), (90, (1, 2)), (180, (2, 7)), (-90, (7, 6))]
)
def test_rotation_by_right_angles(degrees, expected):
    image, landmarks = marked(6, 1)
    rotated, moved = augmentation.rotate(image, landmarks, [degrees])
    np.testing.assert_allclose(rotated, marked(*expected)[0], atol=1e-5)
    np.testing.assert_allclose(moved, marked(*expected)[1], atol=1e-5)


def test_a_rotated_image_and_its_landmarks_stay_together():
    y, x = np.mgrid[0:41, 0:61]
    spot = np.exp(-((x - 40) ** 2 + (y - 12) ** 2) / 18).astype(np.float32)
    landmarks = np.full((2, 68, 2), (40, 12), np.float32)
    images, moved = augmentation.rotate(
        np.repeat(spot[None, ..., None], 2, 0), landmarks, [15.0, -25.0]
    )
    for image, points in zip(images.numpy()[..., 0], moved.numpy(), strict=True):
        centroid = [(image * axis).sum() / image.sum() for axis in (x, y)]
        np.testing.assert_allclose(points[0], centroid, atol=0.1)


def test_rotation_continues_the_border():
    rotated, _ = augmentation.rotate(
        np.full((1, 9, 9, 1), 0.7, np.float32), marked(0, 0)[1], [37.0]
    )
    np.testing.assert_allclose(rotated, 0.7, atol=1e-6)


def test_random_rotation_keeps_to_its_range(images):
    landmarks = np.full((64, 68, 2), (9.0, 5.5), np.float32)  # right of the center, (4.5, 5.5)
    _, moved = augmentation.random_rotation(images, landmarks, (1, 1), degrees=10.0)
    x, y = moved.numpy()[:, 0].T - np.array([[4.5], [5.5]])
    np.testing.assert_allclose(np.hypot(x, y), 4.5, atol=1e-5)
    angles = np.degrees(np.arctan2(-y, x))
    assert np.abs(angles).max() <= 10
    assert angles.min() < -7
    assert angles.max() > 7


def test_similarity_without_a_range_changes_nothing(images, landmarks):
    same, still = augmentation.random_similarity(images, landmarks, (1, 2), 0, 0, 0)
    np.testing.assert_allclose(same, images, atol=1e-5)
    np.testing.assert_allclose(still, landmarks, atol=1e-5)


@pytest.mark.parametrize(
    "ranges", [(25.0, 0, 0), (0, 0.15, 0), (0, 0, 0.3), (15.0, 0.1, 0.2)], ids=str
)
def test_a_moved_image_and_its_landmarks_stay_together(ranges):
    """A bright dot beside the center of an oblong image, moved in 16 ways."""
    y, x = np.mgrid[0:41, 0:61]
    dot = np.exp(-((x - 38) ** 2 + (y - 14) ** 2) / 18).astype(np.float32)
    landmarks = np.full((16, 68, 2), (38, 14), np.float32)
    landmarks[:, 5] = np.nan
    images, moved = augmentation.random_similarity(
        np.repeat(dot[None, ..., None], 16, 0), landmarks, (3, 1), *ranges
    )
    for image, points in zip(images.numpy()[..., 0], moved.numpy(), strict=True):
        centroid = [(image * axis).sum() / image.sum() for axis in (x, y)]
        np.testing.assert_allclose(points[[0, 67]], [centroid] * 2, atol=0.1)
        assert np.isnan(points[5]).all() and not np.isnan(np.delete(points, 5, 0)).any()
    assert np.ptp(moved[:, 0], axis=0).max() > 3  # it moved


def test_random_similarity_keeps_to_its_ranges():
    # The center of an image of height 41 and width 61, and points 10 to its right and below it.
    points = np.full((300, 68, 2), (30, 20), np.float32)
    points[:, 1] += (10, 0)
    points[:, 2] += (0, 10)
    _, moved = augmentation.random_similarity(
        np.zeros((300, 41, 61, 1), np.float32), points, (5, 5), degrees=10, shift=0.1, zoom=0.25
    )
    moved = moved.numpy().astype(np.float64)
    shift, right, down = (
        moved[:, 0] - (30, 20),
        moved[:, 1] - moved[:, 0],
        moved[:, 2] - moved[:, 0],
    )
    np.testing.assert_allclose(down, right[:, ::-1] * (-1, 1), atol=1e-4)  # a turn, no mirror
    scale = np.hypot(*right.T) / 10
    angle = np.degrees(np.arctan2(right[:, 1], right[:, 0]))
    for values, limit in (
        (angle, 10),
        (shift[:, 0], 6.1),
        (shift[:, 1], 4.1),
        (np.log(scale), np.log(1.25)),
    ):
        assert np.abs(values).max() <= limit + 1e-4
        assert values.min() < -0.9 * limit and values.max() > 0.9 * limit
    # Each is drawn by itself: 300 draws of two independent numbers correlate by about 1/17.
    drawn = np.corrcoef([angle, *shift.T, np.log(scale)])
    assert np.abs(drawn - np.eye(4)).max() < 0.25


def test_similarity_continues_the_border():
    moved, _ = augmentation.random_similarity(
        np.full((8, 9, 9, 1), 0.7, np.float32),
        np.zeros((8, 68, 2), np.float32),
        (1, 1),
        30,
        0.3,
        0.5,
    )
    np.testing.assert_allclose(moved, 0.7, atol=1e-6)


def test_color_without_a_range_changes_nothing(images):
    same = augmentation.random_color(images, (0, 0), brightness=0, contrast=0, saturation=0)
    np.testing.assert_allclose(same, images, atol=1e-6)


def test_brightness_is_added():
    images = np.full((50, 2, 2, 3), 0.5, np.float32)
    changed = augmentation.random_color(images, (0, 0), 0.2, 0, 0).numpy()
    added = changed[:, :1, :1, :1] - 0.5
    np.testing.assert_allclose(changed, images + added, atol=1e-6)
    assert np.abs(added).max() <= 0.2
    assert np.ptp(added) > 0.3


def test_contrast_keeps_the_mean_and_scales_the_distance():
    image = np.array([0.3, 0.7], np.float32).reshape(1, 1, 2, 1).repeat(3, -1)
    changed = augmentation.random_color(image.repeat(50, 0), (0, 0), 0, 0.5, 0).numpy()
    np.testing.assert_allclose(changed.mean(axis=(1, 2)), 0.5, atol=1e-6)
    factors = (changed[:, 0, 1, 0] - changed[:, 0, 0, 0]) / 0.4
    assert 0.5 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.5


def test_saturation_scales_the_distance_from_gray():
    image = np.array([0.6, 0.4, 0.5], np.float32).reshape(1, 1, 1, 3).repeat(50, 0)
    gray = 0.299 * 0.6 + 0.587 * 0.4 + 0.114 * 0.5
    changed = augmentation.random_color(image, (0, 0), 0, 0, 0.5).numpy()
    factors = (changed - gray) / (image - gray)
    np.testing.assert_allclose(factors, factors[..., :1].repeat(3, -1), atol=1e-3)
    assert np.ptp(factors) > 0.5


def test_colors_stay_in_range(images):
    changed = augmentation.random_color(images, (0, 0), 0.9, 0.9, 0.9).numpy()
    assert changed.min() == 0
    assert changed.max() == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda i, p, s: augmentation.random_flip(i, p, s)[0],
        lambda i, p, s: augmentation.random_crop(i, p, s, 7)[0],
        lambda i, p, s: augmentation.random_rotation(i, p, s)[0],
        lambda i, p, s: augmentation.random_similarity(i, p, s)[0],
        lambda i, p, s: augmentation.random_color(i, s),
        lambda i, p, s: augmentation.random_110(i, s),
    ],
    ids=["flip", "crop", "rotation", "similarity", "color", "110"],
)
def test_a_function_of_the_seed_in_and_out_of_a_graph(images, landmarks, change):
    first, again, other = (change(images, landmarks, (7, step)).numpy() for step in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    graph = tf.function(
        change,
        input_signature=[
            tf.TensorSpec((None, 12, 10, 3)),
            tf.TensorSpec((None, 68, 2)),
            tf.TensorSpec((2,), tf.int32),
        ],
    )
    np.testing.assert_allclose(graph(images, landmarks, (7, 1)), first, atol=1e-6)


def test_expansion_to_110():
    images = np.random.default_rng(0).random((2, 70, 70, 1)).astype(np.float32)
    expanded = augmentation.expand_110(images).numpy()
    assert expanded.shape == (2, 110, 64, 64, 1)
    by_kind = expanded.reshape(2, 11, 5, 2, 64, 64, 1)
    # The sixth rotation is by 0 degrees: its crops are the image's own.
    for crop, (y, x) in enumerate([(0, 0), (0, 6), (6, 0), (6, 6), (3, 3)]):
        np.testing.assert_allclose(
            by_kind[:, 5, crop, 0], images[:, y : y + 64, x : x + 64], atol=1e-4
        )
    np.testing.assert_array_equal(by_kind[:, :, :, 1], by_kind[:, :, :, 0, :, ::-1])
    # The first by -15 degrees, the last by 15, both about the center.
    unknown = np.full((2, 68, 2), np.nan, np.float32)
    for index, degrees in ((0, -15.0), (10, 15.0), (6, 3.0)):
        turned, _ = augmentation.rotate(images, unknown, [degrees] * 2)
        np.testing.assert_allclose(by_kind[:, index, 4, 0], turned[:, 3:67, 3:67], atol=1e-4)


def test_gray_is_luma_in_all_channels_of_a_share_of_the_images():
    images = np.random.default_rng(0).random((400, 2, 2, 3)).astype(np.float32)
    gray = augmentation.random_gray(images, (3, 1), 0.25).numpy()
    turned = (gray != images).any(axis=(1, 2, 3))
    assert 60 < turned.sum() < 140  # 100 expected, standard deviation 8.7
    luma = images @ np.float32([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray[turned], np.repeat(luma[..., None], 3, -1)[turned], atol=1e-6)
    np.testing.assert_array_equal(augmentation.random_gray(images, (3, 1), 0.0), images)
    assert (augmentation.random_gray(images, (3, 1), 1.0).numpy() != images).any((1, 2, 3)).all()


def test_the_110_are_distinct():
    image = np.random.default_rng(0).random((1, 70, 70, 1)).astype(np.float32)
    expanded = augmentation.expand_110(image).numpy()[0]
    distances = np.abs(expanded[:, None, ::9, ::9] - expanded[None, :, ::9, ::9]).max((2, 3, 4))
    assert np.all((distances < 1e-6) == np.eye(110, dtype=bool))


def test_random_110_draws_each_of_them_about_equally_often():
    """3300 draws, 30 expected of each, standard deviation 5.5; channels are changed alike."""
    rng = np.random.default_rng(0)
    image = rng.random((1, 12, 10, 2)).astype(np.float32)
    expanded = augmentation.expand_110(image).numpy()[0].reshape(110, -1)
    drawn = augmentation.random_110(np.repeat(image, 3300, axis=0), (5, 2)).numpy()
    assert drawn.shape == (3300, 6, 4, 2)
    which = []
    for one in drawn.reshape(3300, -1):
        (match,) = np.flatnonzero(np.abs(expanded - one).max(axis=1) < 1e-5)
        which.append(match)
    counts = np.bincount(which, minlength=110)
    assert counts.min() > 8 and counts.max() < 58
