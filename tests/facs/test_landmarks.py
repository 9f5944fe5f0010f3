import numpy as np
import pytest

from tfface.facs import landmarks as scheme
from tfface.facs.landmarks import MEAN_FACE, anchors, anchors_from_five, from_49, from_66, mirror

SLICES = [
    ("JAW", 17),
    ("RIGHT_BROW", 5),
    ("LEFT_BROW", 5),
    ("NOSE_BRIDGE", 4),
    ("NOSE_BASE", 5),
    ("RIGHT_EYE", 6),
    ("LEFT_EYE", 6),
    ("OUTER_LIPS", 12),
    ("INNER_LIPS", 8),
]


def numbered(count):
    """Points whose coordinates say which they are: point i is (i, 100 + i)."""
    return np.stack([np.arange(count), 100 + np.arange(count)], axis=-1).astype(np.float32)


def test_parts_follow_each_other_and_cover_the_scheme():
    covered = []
    for name, count in SLICES:
        points = range(68)[getattr(scheme, name)]
        assert len(points) == count
        covered.extend(points)
    assert covered == list(range(68))


def test_from_49_index_by_index():
    # Brows to the outer lips shift by the 17 jaw points; then the inner lips without corners.
    expected = {index: index + 17 for index in range(43)}
    expected |= {43: 61, 44: 62, 45: 63, 46: 65, 47: 66, 48: 67}
    landmarks = from_49(numbered(49))
    assert landmarks.shape == (68, 2)
    assert landmarks.dtype == np.float32
    for index, place in expected.items():
        assert landmarks[place].tolist() == [index, 100 + index]
    unknown = np.isnan(landmarks).all(axis=-1)
    assert np.flatnonzero(unknown).tolist() == [*range(17), 60, 64]
    assert not np.isnan(landmarks[~unknown]).any()


def test_from_66_index_by_index():
    expected = {index: index for index in range(60)}
    expected |= {60: 61, 61: 62, 62: 63, 63: 65, 64: 66, 65: 67}
    landmarks = from_66(numbered(66))
    for index, place in expected.items():
        assert landmarks[place].tolist() == [index, 100 + index]
    assert np.flatnonzero(np.isnan(landmarks).any(axis=-1)).tolist() == [60, 64]


def test_smaller_schemes_take_batches():
    batch = np.stack([numbered(49), numbered(49) + 1])
    np.testing.assert_array_equal(from_49(batch)[1], from_49(batch[1]))


def test_mirror_by_hand():
    landmarks = numbered(68)
    mirrored = mirror(landmarks, width=200)
    # The first jaw point was the last; the right eye's outer corner was the left eye's; a point
    # at x is now at 199 - x, at the same height.
    assert mirrored[0].tolist() == [199 - 16, 116]
    assert mirrored[36].tolist() == [199 - 45, 145]
    assert mirrored[41].tolist() == [199 - 46, 146]
    assert mirrored[48].tolist() == [199 - 54, 154]
    assert mirrored[59].tolist() == [199 - 55, 155]
    assert mirrored[67].tolist() == [199 - 65, 165]
    for middle in (8, 27, 28, 29, 30, 33, 51, 57, 62, 66):
        assert mirrored[middle].tolist() == [199 - middle, 100 + middle]
    np.testing.assert_array_equal(mirror(mirrored, width=200), landmarks)


def test_mirror_leaves_its_input_and_keeps_parts_together():
    landmarks = numbered(68)
    before = landmarks.copy()
    mirrored = mirror(landmarks, width=100)
    np.testing.assert_array_equal(landmarks, before)
    for right, left in (("RIGHT_EYE", "LEFT_EYE"), ("RIGHT_BROW", "LEFT_BROW")):
        ys = mirrored[getattr(scheme, right), 1]
        assert sorted(ys) == sorted(landmarks[getattr(scheme, left), 1])


def test_mean_face_has_the_anchors_that_alignment_uses():
    np.testing.assert_allclose(
        anchors(MEAN_FACE), [[0.335, 0.40], [0.665, 0.40], [0.5, 0.745]], atol=1e-6
    )


def test_mean_face_is_symmetric():
    flipped = MEAN_FACE[scheme.MIRRORED].copy()
    flipped[:, 0] = 1 - flipped[:, 0]
    np.testing.assert_allclose(flipped, MEAN_FACE, atol=1e-6)
    # In pixels, by the function for pixels.
    np.testing.assert_allclose(mirror(scheme.mean_face(128), 128), scheme.mean_face(128), atol=1e-4)


def test_mean_face_is_laid_out_as_a_face():
    x, y = MEAN_FACE.T
    assert MEAN_FACE.dtype == np.float32
    assert MEAN_FACE.shape == (68, 2)
    assert MEAN_FACE.min() > 0.04
    assert MEAN_FACE.max() < 0.96
    # Jaw from the subject's right ear (image's left) over the chin to the left ear.
    assert (np.diff(x[scheme.JAW]) > 0).all()
    assert y[scheme.JAW].argmax() == 8
    # From top to bottom: brows, eyes, nose tip, nose base, lips, chin.
    heights = [
        y[scheme.RIGHT_BROW].max(),
        y[scheme.RIGHT_EYE].min(),
        y[30],
        y[scheme.NOSE_BASE].min(),
        y[scheme.OUTER_LIPS].min(),
        y[8],
    ]
    assert heights == sorted(heights)
    # Eyes: the upper lid above the lower; outer corners outside.
    assert max(y[37], y[38]) < min(y[40], y[41])
    assert x[36] < x[39] < 0.5 < x[42] < x[45]
    # Lips: outer upper, inner upper, inner lower, outer lower; parted by a hair only.
    assert y[51] < y[62] < y[66] < y[57]
    assert y[66] - y[62] < 0.1 * (y[57] - y[51]) + 1e-6
    assert x[48] < x[60] < x[64] < x[54]


def test_mean_face_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        MEAN_FACE[0, 0] = 0


def test_mean_face_in_pixels_counts_from_pixel_centers():
    # The right eye's center, 0.335 of the way across 200 pixels, is 0.5 before pixel 67.
    np.testing.assert_allclose(anchors(scheme.mean_face(200))[0], [66.5, 79.5], atol=1e-4)


def test_anchors_by_hand():
    landmarks = np.full((68, 2), np.nan)
    landmarks[36:42] = [(0, 0), (2, 6), (4, 6), (6, 0), (4, -6), (2, 0)]
    landmarks[42:48] = [(20, 1)] * 6
    landmarks[48] = (3, 40)
    landmarks[54] = (17, 44)
    np.testing.assert_allclose(anchors(landmarks), [[3, 1], [20, 1], [10, 42]], atol=1e-6)
    landmarks[40] = np.nan
    batch = anchors(np.stack([landmarks, scheme.mean_face(100)]))
    assert np.isnan(batch[0]).any(axis=-1).tolist() == [True, False, False]
    assert not np.isnan(batch[1]).any()


def test_anchors_from_five_by_hand():
    points = [(10, 20), (30, 21), (20, 30), (12, 40), (28, 42)]
    np.testing.assert_array_equal(anchors_from_five(points), [[10, 20], [30, 21], [20, 41]])


def test_fill_unknown_takes_whole_points_from_the_mean_face():
    landmarks = numbered(68)
    landmarks[3] = np.nan
    landmarks[5, 1] = np.nan
    filled = scheme.fill_unknown(landmarks, 200)
    expected = numbered(68)
    expected[[3, 5]] = MEAN_FACE[[3, 5]] * 200 - 0.5
    np.testing.assert_allclose(filled, expected, atol=1e-4)
    assert np.isnan(landmarks[3]).all()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: from_49(np.zeros((68, 2))), "points"),
        (lambda: from_66(np.zeros((49, 2))), "points"),
        (lambda: mirror(np.zeros((68, 3)), 200), "landmarks"),
        (lambda: anchors(np.zeros(136)), "landmarks"),
        (lambda: anchors_from_five(np.zeros((68, 2))), "points"),
        (lambda: scheme.fill_unknown(np.zeros((66, 2)), 200), "landmarks"),
    ],
)
def test_wrong_shape_is_named(call, name):
    with pytest.raises(ValueError, match=rf"`{name}` must have shape .* Received: \("):
        call()
