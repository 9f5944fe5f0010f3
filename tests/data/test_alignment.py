import math

import cv2
import numpy as np
import pytest

from tfface.data.alignment import (
    add_change,
    align,
    invert_transform,
    paste_back,
    similarity_transform,
    transform_points,
)


def turn(degrees, scale, shift):
    """(2, 3) similarity, written out from its meaning."""
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def anchors_for(matrix, size):
    """Anchors in the photo of a face whose crop of `size` is reached by `matrix`."""
    canonical = np.array([[0.335, 0.40], [0.665, 0.40], [0.5, 0.745]]) * size - 0.5
    linear, shift = matrix[:, :2], matrix[:, 2]
    return np.linalg.solve(linear, (canonical - shift).T).T


def smooth_photo(height=240, width=320):
    """A photo without fine detail, so that resampling it twice loses next to nothing."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = [np.sin(x / 23) + np.cos(y / 31), np.sin((x + y) / 37), np.cos((x - 2 * y) / 53)]
    image = np.stack([127.5 + 60 * wave for wave in waves], axis=-1)
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -75])
def test_similarity_recovers_a_known_transform(degrees):
    expected = turn(degrees, 1.7, (12.0, -5.0))
    source = np.array([[0.0, 0.0], [10.0, 2.0], [3.0, 8.0], [-4.0, 6.0]])
    target = source @ expected[:, :2].T + expected[:, 2]
    np.testing.assert_allclose(similarity_transform(source, target), expected, atol=1e-9)


def test_similarity_is_the_least_squares_one():
    rng = np.random.default_rng(3)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    # The same problem as a linear one: u = a x - b y + s, v = b x + a y + t.
    rows = []
    for x, y in source:
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
    a, b, s, t = np.linalg.lstsq(np.array(rows), target.ravel(), rcond=None)[0]
    expected = [[a, -b, s], [b, a, t]]
    np.testing.assert_allclose(similarity_transform(source, target), expected, atol=1e-9)


def test_similarity_never_mirrors():
    source = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]])
    matrix = similarity_transform(source, source * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([[0, 0], [np.nan, 1], [2, 2]], "`source` must be finite"),
        ([[4, 4], [4, 4], [4, 4]], "`source` must not fall on one point"),
        ([[0, 0, 0], [1, 1, 1], [2, 2, 2]], r"must both have shape \(n, 2\)"),
    ],
)
def test_bad_points_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        similarity_transform(np.array(source, float), np.array([[0, 0], [1, 0], [0, 1.0]]))


def test_points_move_there_and_back_and_nan_stays():
    matrix = turn(25, 0.4, (3, 8))
    points = np.array([[1, 2], [np.nan, np.nan], [50, 20]], np.float32)
    moved = transform_points(points, matrix)
    assert moved.dtype == np.float32
    assert np.isnan(moved[1]).all()
    back = transform_points(moved, invert_transform(matrix))
    np.testing.assert_allclose(back[[0, 2]], points[[0, 2]], atol=1e-4)


@pytest.mark.parametrize("degrees", [0, 20, 180])
@pytest.mark.parametrize("scale", [0.25, 1.0, 1.6])
def test_a_mark_lands_where_the_matrix_says(degrees, scale):
    size = 96
    # The photo's point (160, 120) shall become the crop's point (40, 55).
    matrix = turn(degrees, scale, (0, 0))
    matrix[:, 2] = np.array([40, 55]) - matrix[:, :2] @ (160, 120)
    y, x = np.mgrid[:240, :320]
    blob = np.exp(-((x - 160) ** 2 + (y - 120) ** 2) / (2 * (4 / scale) ** 2))
    photo = np.repeat(blob[..., None], 3, axis=-1).astype(np.float32)
    face, found = align(photo, anchors_for(matrix, size), size)
    np.testing.assert_allclose(found, matrix, atol=1e-4)
    assert face.shape == (size, size, 3)
    assert face.dtype == np.float32
    v, u = np.mgrid[:size, :size]
    weight = face[..., 0] / face[..., 0].sum()
    np.testing.assert_allclose([(u * weight).sum(), (v * weight).sum()], [40, 55], atol=0.05)


def test_identity_alignment_changes_nothing():
    photo = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    face, matrix = align(photo, anchors_for(np.eye(2, 3), 80), 80)
    np.testing.assert_allclose(matrix, np.eye(2, 3), atol=1e-5)
    assert np.abs(face.astype(int) - photo).max() <= 1


def test_shrinking_averages_instead_of_sampling():
    y, x = np.mgrid[:800, :800]
    checks = np.where((x + y) % 2, 255, 0).astype(np.uint8)
    photo = np.repeat(checks[..., None], 3, axis=-1)
    face, _ = align(photo, anchors_for(turn(0, 0.1, (-7, -7)), 64), 64)
    np.testing.assert_allclose(face, 127.5, atol=3)


def test_past_the_edge_the_border_is_repeated():
    photo = np.full((60, 60, 3), 90, np.uint8)
    photo[:, :30] = 200
    # The crop starts 40 pixels left of the photo and above it.
    face, _ = align(photo, anchors_for(turn(0, 1, (40, 40)), 80), 80)
    np.testing.assert_array_equal(face[:, :65], 200)
    np.testing.assert_array_equal(face[:, 75:], 90)


def test_a_very_wide_photo_is_aligned():
    photo = np.zeros((60, 40_000, 3), np.uint8)
    photo[:, 39_000:] = 250
    matrix = turn(0, 1, (-39_100, 0))
    face, _ = align(photo, anchors_for(matrix, 50), 50)
    np.testing.assert_array_equal(face, 250)


def test_paste_back_returns_the_photo():
    photo = smooth_photo()
    face, matrix = align(photo, anchors_for(turn(15, 1.0, (-60, -70)), 128), 128)
    pasted = paste_back(photo, face, matrix)
    assert np.abs(pasted.astype(int) - photo).max() <= 3


@pytest.mark.parametrize("scale", [0.3, 2.5])
def test_paste_back_at_other_scales(scale):
    matrix = turn(-10, scale, (0, 0))
    matrix[:, 2] = np.array([64, 64]) - matrix[:, :2] @ (160, 120)
    photo = smooth_photo()
    face, matrix = align(photo, anchors_for(matrix, 128), 128)
    pasted = paste_back(photo, face, matrix)
    assert np.abs(pasted.astype(int) - photo).mean() < 1


def test_outside_the_crop_nothing_changes_and_inside_everything_does():
    photo = smooth_photo()
    before = photo.copy()
    matrix = turn(20, 1.0, (-50, -90))
    pasted = paste_back(photo, np.full((100, 100, 3), 255, np.uint8), matrix, feather=0.1)
    np.testing.assert_array_equal(photo, before)
    y, x = np.mgrid[:240, :320]
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    edge = np.minimum.reduce([u + 0.5, v + 0.5, 99.5 - u, 99.5 - v])
    np.testing.assert_array_equal(pasted[edge <= 0], before[edge <= 0])
    np.testing.assert_array_equal(pasted[edge >= 10], 255)
    strip = (edge > 4.9) & (edge < 5.1)  # half way into the strip: half of both
    expected = (before[strip] + 255.0) / 2
    np.testing.assert_allclose(pasted[strip], expected, atol=6)


def test_a_crop_over_the_edge_is_pasted_as_far_as_the_photo_goes():
    photo = smooth_photo(60, 60).astype(np.float32) / 255
    face, matrix = align(photo, anchors_for(turn(0, 1, (40, 40)), 80), 80)
    pasted = paste_back(photo, np.ones_like(face), matrix, feather=0)
    np.testing.assert_allclose(pasted[:40, :40], 1.0, atol=1e-6)
    np.testing.assert_array_equal(pasted[40:], photo[40:])
    np.testing.assert_array_equal(pasted[:, 40:], photo[:, 40:])


def test_a_crop_beside_the_photo_leaves_it():
    photo = smooth_photo(60, 60)
    pasted = paste_back(photo, np.zeros((20, 20, 3), np.uint8), turn(0, 1, (500, 0)))
    np.testing.assert_array_equal(pasted, photo)


def test_wrong_arguments_are_named():
    photo = smooth_photo(60, 60)
    with pytest.raises(ValueError, match=r"`face_anchors` must have shape \(3, 2\)"):
        align(photo, np.zeros((5, 2)), 32)
    with pytest.raises(ValueError, match="`source` must be finite"):
        align(photo, np.full((3, 2), np.nan), 32)
    with pytest.raises(ValueError, match="`image` must be a"):
        align(photo[..., 0], np.zeros((3, 2)), 32)
    with pytest.raises(ValueError, match="must be square and uint8"):
        paste_back(photo, np.zeros((20, 20, 3), np.float32), np.eye(2, 3))
    with pytest.raises(ValueError, match="`feather` must be from 0 to 0.5"):
        paste_back(photo, np.zeros((20, 20, 3), np.uint8), np.eye(2, 3), feather=0.6)


def test_the_reference_warp_agrees():
    """At scale 1 the crop equals OpenCV's plain cubic warp of the whole photo."""
    photo = smooth_photo()
    matrix = turn(12, 1.0, (-80, -60))
    face, found = align(photo, anchors_for(matrix, 100), 100)
    plain = cv2.warpAffine(photo, found, (100, 100), flags=cv2.INTER_CUBIC)
    assert np.abs(face.astype(int) - plain).max() <= 2


def test_a_change_is_added_where_it_was_made_and_nowhere_else():
    photo = smooth_photo()
    matrix = turn(0, 0.5, (-20.0, -30.0))  # the crop's pixel (i, j) is the photo's (2 i + 40, ...)
    change = np.zeros((50, 50, 3), np.float32)
    change[10:20, 5:15] = 0.1
    result = add_change(photo, change, matrix)
    moved = (result != photo).any(-1)
    rows, columns = np.nonzero(moved)
    # Linear between the pixels 4 and 15 of a row: x from 2 * 4 + 40 to 2 * 15 + 40, both left out.
    assert (columns.min(), columns.max()) == (49, 69)
    assert (rows.min(), rows.max()) == (79, 99)
    inside, before = result[82:98, 52:68].astype(int), photo[82:98, 52:68].astype(int)
    np.testing.assert_allclose(inside, np.minimum(before + 25.5, 255), atol=0.5)
    np.testing.assert_array_equal(add_change(photo, 0 * change, matrix), photo)


def test_a_change_beyond_the_photo_is_dropped_and_levels_are_clipped():
    photo = np.full((40, 60, 3), 250, np.uint8)
    change = np.full((30, 30, 3), 0.5, np.float32)
    change[:, :, 1] = -1.0
    result = add_change(photo, change, turn(0, 1.0, (15.0, 5.0)))  # the crop begins at (-15, -5)
    np.testing.assert_array_equal(result[:25, :15], np.broadcast_to([255, 0, 255], (25, 15, 3)))
    np.testing.assert_array_equal(result[26:], 250)
    np.testing.assert_array_equal(result[:, 16:], 250)
    far = add_change(photo, change, turn(0, 1.0, (500.0, 5.0)))
    np.testing.assert_array_equal(far, photo)


def test_what_cannot_be_added_is_named():
    photo, change = np.zeros((9, 9, 3), np.uint8), np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match=r"`photo` must be uint8 and `change` square"):
        add_change(photo.astype(np.float32), change, turn(0, 1, (0, 0)))
    with pytest.raises(ValueError, match=r"`change` square.*\(3, 4, 3\)"):
        add_change(photo, change[:3], turn(0, 1, (0, 0)))
