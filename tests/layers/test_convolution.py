import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.layers.convolution import DownBlock, PixelShuffle, ResidualBlock, UpBlock

EPSILON = 1e-3
"""What Keras adds to the variance in batch normalization."""


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def with_random_weights(block, input_shape):
    """Weights and statistics of which none is idle; vectors are positive, as variances must be."""
    block.build(input_shape)
    rng = np.random.default_rng(4)
    block.set_weights([rng.uniform(0.1, 0.9, w.shape) - 0.5 * (w.ndim == 4) for w in block.weights])
    return block


def normalized(x, gamma, beta, mean, variance):
    return (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def parts_of(layer):
    return [np.asarray(weight, "float64") for weight in layer.get_weights()]


@pytest.mark.parametrize(("factor", "depth"), [(1, 3), (2, 1), (2, 5), (3, 2)])
def test_pixel_shuffle_is_depth_to_space(factor, depth):
    x = features(2, 3, 4, depth * factor**2)
    expected = tf.nn.depth_to_space(x, factor) if factor > 1 else x
    np.testing.assert_array_equal(PixelShuffle(factor)(x), expected)


def test_pixel_shuffle_by_hand():
    x = np.arange(8, dtype="float32").reshape(1, 1, 2, 4)
    expected = [[0, 1, 4, 5], [2, 3, 6, 7]]
    np.testing.assert_array_equal(keras.ops.squeeze(PixelShuffle(2)(x)), expected)


def test_residual_block_is_srgans(convolve):
    x = features(2, 4, 5, 3)
    block = with_random_weights(ResidualBlock(3), x.shape)
    first, norm, prelu, second, last_norm = (parts_of(layer) for layer in block.chain)
    assert prelu[0].shape == (1, 1, 3)
    expected = []
    for image in x:
        y = normalized(convolve(image, first[0], 0), *norm)
        y = np.where(y > 0, y, y * prelu[0][0])
        expected.append(image + normalized(convolve(y, second[0], 0), *last_norm))
    np.testing.assert_allclose(block(x, training=False), expected, atol=1e-5)


def test_down_block_halves(convolve):
    x = features(2, 6, 7, 3)
    block = with_random_weights(DownBlock(4), x.shape)
    kernel, norm = (parts_of(layer) for layer in block.chain[:2])
    y = np.stack([normalized(convolve(image, kernel[0], 0, stride=2), *norm) for image in x])
    assert y.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(block(x, training=False), np.where(y > 0, y, 0.2 * y), atol=1e-5)


def test_down_block_without_normalization(convolve):
    x = features(2, 6, 6, 3)
    block = with_random_weights(DownBlock(4, kernel_size=4, normalization=False), x.shape)
    kernel, bias = parts_of(block)
    y = np.stack([convolve(image, kernel, bias, stride=2) for image in x])
    np.testing.assert_allclose(block(x), np.where(y > 0, y, 0.2 * y), atol=1e-5)


def test_up_block_doubles(convolve):
    x = features(2, 3, 4, 3)
    block = with_random_weights(UpBlock(2), x.shape)
    kernel, bias, slope = parts_of(block)
    wide = np.stack([convolve(image, kernel, bias) for image in x])
    y = np.zeros((2, 6, 8, 2))
    for row in range(2):
        for column in range(2):
            first = 2 * (2 * row + column)
            y[:, row::2, column::2] = wide[..., first : first + 2]
    np.testing.assert_allclose(block(x), np.where(y > 0, y, slope * y), atol=1e-5)


def test_training_uses_the_batch_and_moves_the_statistics():
    """The slopes start at 0 and the last gain at 1, so the skip's rest has mean 0, variance 1."""
    x = features(8, 6, 6, 3) * 3 + 2
    block = ResidualBlock(3)
    rest = np.asarray(block(x, training=True)) - x
    np.testing.assert_allclose(rest.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(rest.std((0, 1, 2)), 1, atol=1e-2)
    moved = block.chain[1].moving_mean.numpy()
    assert np.abs(moved).min() > 0
    block(x, training=False)
    np.testing.assert_array_equal(block.chain[1].moving_mean.numpy(), moved)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_trains_under_a_tape(jit_compile):
    x = tf.constant(features(4, 6, 6, 3))
    block = ResidualBlock(3)
    block.build(x.shape)

    @tf.function(jit_compile=jit_compile)
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(block(x, training=True) ** 3)
        return tape.gradient(loss, [v.value for v in block.trainable_variables])

    before = block.chain[1].moving_variance.numpy()
    for gradient in step(x):
        assert np.all(np.isfinite(gradient)) and np.any(gradient)
    assert np.any(block.chain[1].moving_variance.numpy() != before)


def test_two_devices_compute_what_one_does(two_devices):
    """Halves of one batch that differ in brightness are normalized as the whole is."""
    x = features(4, 4, 4, 3)
    x[2:] = 5 * x[2:] + 3
    with two_devices.scope():
        block = ResidualBlock(3)
        block.build(x.shape)
    start = block.get_weights()
    whole = np.asarray(block(tf.constant(x), training=True))
    whole_statistics = block.chain[1].moving_mean.numpy()
    block.set_weights(start)

    def half():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        return block(tf.constant(x.reshape(2, 2, 4, 4, 3))[index], training=True)

    halves = two_devices.experimental_local_results(two_devices.run(tf.function(half)))
    np.testing.assert_allclose(np.concatenate(halves), whole, atol=1e-4)
    np.testing.assert_allclose(block.chain[1].moving_mean.numpy(), whole_statistics, atol=1e-5)


@pytest.mark.parametrize(
    ("cls", "arguments", "input_shape", "output_shape", "weights"),
    [
        (PixelShuffle, {"factor": 2}, (3, 4, 8), (6, 8, 2), (0, 0)),
        (ResidualBlock, {"filters": 3}, (4, 4, 3), (4, 4, 3), (7, 4)),
        (DownBlock, {"filters": 4}, (6, 6, 3), (3, 3, 4), (3, 2)),
        (
            DownBlock,
            {"filters": 4, "kernel_size": 4, "normalization": False},
            (5, 6, 3),
            (3, 3, 4),
            (2, 0),
        ),
        (UpBlock, {"filters": 2}, (3, 4, 3), (6, 8, 2), (3, 0)),
    ],
)
def test_is_a_good_layer(check_layer, cls, arguments, input_shape, output_shape, weights):
    check_layer(cls, arguments, input_shape, output_shape, weights)


def test_channels_that_make_no_square_are_named():
    with pytest.raises(ValueError, match="factor=2, channels=6"):
        PixelShuffle(2)(np.zeros((1, 2, 2, 6), "float32"))
    with pytest.raises(ValueError, match="`factor` must be at least 1. Received: 0"):
        PixelShuffle(0)


def test_a_skip_over_other_channels_is_named():
    with pytest.raises(ValueError, match="filters=4, channels=3"):
        ResidualBlock(4)(np.zeros((1, 2, 2, 3), "float32"))
