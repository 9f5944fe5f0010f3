import numpy as np
import pytest
import tensorflow as tf

from tfface.data.degradation import degrade, fill_hidden, upsample_bicubic


def keys_cubic(t):
    """Keys' cubic convolution kernel with a = -1/2 (Keys 1981, Eq. 15)."""
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def bicubic_weights(n_in, n_out):
    """(n_out, n_in): row i weighs the pixels that make pixel i, with the kernel widened."""
    factor = n_in / n_out
    centers = (np.arange(n_out) + 0.5) * factor - 0.5
    distance = (centers[:, None] - np.arange(n_in)) / max(factor, 1.0)
    weights = keys_cubic(distance)
    return weights / weights.sum(axis=1, keepdims=True)


def resized(images, size):
    rows, columns = (bicubic_weights(n, size) for n in images.shape[1:3])
    return np.einsum("ih,jw,bhwc->bijc", rows, columns, images.astype(np.float64))


@pytest.fixture
def faces():
    rng = np.random.default_rng(3)
    # Edges from 0 to 1, so that the kernel overshoots and clipping matters.
    return (rng.random((4, 64, 64, 3)) < 0.5).astype(np.float32).repeat(2, 1).repeat(2, 2)


def test_low_is_bicubic_and_antialiased(faces):
    low, mask = degrade(faces, (0, 1), hidden_area=0.0)
    assert low.shape == (4, 16, 16, 3)
    assert mask.shape == (4, 16, 16, 1)
    np.testing.assert_array_equal(mask, 0)
    np.testing.assert_allclose(low, resized(faces, 16), atol=1e-5)


def test_low_is_clipped():
    faces = np.zeros((1, 32, 32, 3), np.float32)
    faces[:, :16] = 1
    reference = resized(faces, 8)
    assert reference.min() < -0.01
    assert reference.max() > 1.01
    low, _ = degrade(faces, (0, 1), scale=4, hidden_area=0.0)
    np.testing.assert_allclose(low, reference.clip(0, 1), atol=1e-5)


def test_a_square_of_a_quarter_is_hidden(faces):
    low, mask = degrade(faces, (0, 1))
    mask = mask.numpy()[..., 0]
    for one in mask:
        rows, columns = np.nonzero(one.any(axis=1))[0], np.nonzero(one.any(axis=0))[0]
        assert len(rows) == len(columns) == 8
        np.testing.assert_array_equal(one[np.ix_(rows, columns)], 1)
        assert rows[-1] - rows[0] == columns[-1] - columns[0] == 7
        assert one.sum() == 64
    visible = degrade(faces, (0, 1), hidden_area=0.0)[0] * (1 - mask[..., None])
    np.testing.assert_allclose(low, visible, atol=1e-6)


@pytest.mark.parametrize(("area", "side"), [(0.0, 0), (0.1, 5), (0.25, 8), (0.5, 11), (1.0, 16)])
def test_hidden_area(faces, area, side):
    # 16 * sqrt(0.1) = 5.06 and 16 * sqrt(0.5) = 11.3
    np.testing.assert_array_equal(
        tf.reduce_sum(degrade(faces, (0, 1), hidden_area=area)[1], (1, 2, 3)), side**2
    )


def test_places_are_evenly_distributed():
    _, mask = degrade(np.zeros((1800, 4, 4, 3), np.float32), (5, 6), scale=1)
    corners = [tuple(np.argwhere(one)[0][:2]) for one in mask.numpy()]
    places, counts = np.unique(corners, axis=0, return_counts=True)
    # A 2x2 square has 3x3 places in 4x4; 200 are expected in each, with a deviation of 13.3.
    assert len(places) == 9
    assert np.all(np.abs(counts - 200) < 5 * 13.3)


def test_places_are_a_function_of_the_seed(faces):
    masks = [degrade(faces, (7, step))[1].numpy() for step in (1, 1, 2)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_the_same_in_a_graph_with_an_unknown_batch_size(faces):
    graph = tf.function(
        degrade,
        input_signature=[tf.TensorSpec((None, 128, 128, 3)), tf.TensorSpec((2,), tf.int32)],
    )
    for ours, expected in zip(graph(faces, (3, 4)), degrade(faces, (3, 4)), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("scale", [0, 3, 2.0])
def test_bad_scale(faces, scale):
    with pytest.raises(ValueError, match=f"`scale` .* scale={scale}, height=128, width=128"):
        degrade(faces, (0, 1), scale=scale)


@pytest.mark.parametrize("area", [-0.1, 1.1])
def test_bad_hidden_area(faces, area):
    with pytest.raises(ValueError, match=f"`hidden_area` must be from 0 to 1. Received: {area}"):
        degrade(faces, (0, 1), hidden_area=area)


def test_upsampling_is_bicubic():
    low = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    reference = resized(low, 32).clip(0, 1)
    np.testing.assert_allclose(upsample_bicubic(low, 4), reference, atol=1e-5)


def test_fill_hidden_keeps_what_is_visible_and_fills_the_rest():
    low = np.full((1, 6, 6, 1), 0.3, np.float32)
    mask = np.zeros_like(low)
    mask[:, 1:5, 2:6] = 1
    low[mask > 0] = np.nan  # what a hidden pixel holds must not matter
    np.testing.assert_allclose(fill_hidden(low, mask), 0.3, atol=1e-6)


def test_fill_hidden_diffuses_by_the_mean_of_known_neighbors():
    low = np.array([0.0, 0.0, 0.9], np.float32).reshape(1, 1, 3, 1)
    mask = np.array([1.0, 1.0, 0.0], np.float32).reshape(1, 1, 3, 1)
    # From the right: 0.9 reaches the middle, then the left; then means of 0.9 alone.
    np.testing.assert_allclose(fill_hidden(low, mask).numpy().ravel(), 0.9, atol=1e-6)

    low = np.array([0.0, 0.0, 1.0], np.float32).reshape(1, 1, 3, 1)
    mask = np.array([0.0, 1.0, 0.0], np.float32).reshape(1, 1, 3, 1)
    # m <- (0 + m + 1) / 3, from 1/2 on: the fixed point.
    np.testing.assert_allclose(fill_hidden(low, mask).numpy().ravel(), [0, 0.5, 1], atol=1e-6)


def test_fill_hidden_reaches_the_farthest_pixel():
    low = np.zeros((1, 16, 16, 3), np.float32)
    low[0, 0, 0] = (0.2, 0.4, 0.6)
    mask = np.ones((1, 16, 16, 1), np.float32)
    mask[0, 0, 0] = 0
    np.testing.assert_allclose(
        fill_hidden(low, mask), np.broadcast_to((0.2, 0.4, 0.6), low.shape), atol=1e-5
    )


def test_fill_hidden_of_a_face_without_a_visible_pixel_is_black():
    ones = np.ones((1, 4, 4, 1), np.float32)
    np.testing.assert_array_equal(fill_hidden(ones, ones), 0)
