"""Layers side by side: each branch against a network of its own, and how their weights start."""

import keras
import numpy as np
import pytest

from tfface.layers.parallel import (
    ParallelConv2D,
    ParallelDense,
    flatten_branches,
    unflatten_branches,
)

RNG = np.random.default_rng(0)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def random_weights(layer):
    layer.set_weights([RNG.normal(size=w.shape).astype("float32") for w in layer.get_weights()])
    return layer.get_weights()


@pytest.mark.parametrize(("size", "stride"), [((6, 9), 2), ((5, 4), 1)])
def test_each_branch_is_a_convolution_of_its_own_channels(convolve, size, stride):
    layer = ParallelConv2D(4, 3, kernel_size=5, strides=stride)
    x = RNG.normal(size=(2, *size, 6)).astype("float32")
    layer.build(x.shape)
    kernel, bias = random_weights(layer)
    assert kernel.shape == (3, 5, 5, 2, 4) and bias.shape == (12,)
    out = numpy(layer(x))
    assert out.shape == layer.compute_output_shape(x.shape)
    for i in range(3):
        for image, result in zip(x, out, strict=True):
            expected = convolve(
                image[..., 2 * i : 2 * i + 2], kernel[i], bias[4 * i : 4 * i + 4], stride
            )
            np.testing.assert_allclose(result[..., 4 * i : 4 * i + 4], expected, atol=1e-4)


@pytest.mark.parametrize("size", [(3, 4), (1, 2)])
def test_each_branch_is_the_adjoint_of_a_convolution_where_transposed(convolve, size):
    """<T x, y> = <x, C y> for every y says what T is."""
    layer = ParallelConv2D(4, 3, transposed=True)
    x = RNG.normal(size=(1, *size, 6)).astype("float32")
    layer.build(x.shape)
    kernel, _ = random_weights(layer)
    layer.bias.assign(np.zeros(12))
    out = numpy(layer(x))
    assert out.shape == layer.compute_output_shape(x.shape) == (1, size[0] * 2, size[1] * 2, 12)
    for i in range(3):
        y = RNG.normal(size=(size[0] * 2, size[1] * 2, 4))
        back = convolve(y, kernel[i], np.zeros(2), 2)  # kernel[i]: 5 x 5, from 4 to 2
        ours = (out[0, ..., 4 * i : 4 * i + 4] * y).sum()
        assert ours == pytest.approx((x[0, ..., 2 * i : 2 * i + 2] * back).sum(), rel=1e-4)


def test_each_branch_is_a_dense_layer_of_its_own_features():
    layer = ParallelDense(4, 3)
    x = RNG.normal(size=(5, 3, 7)).astype("float32")
    layer.build(x.shape)
    kernel, bias = random_weights(layer)
    out = numpy(layer(x))
    for i in range(3):
        expected = x[:, i] @ kernel[i] + bias[4 * i : 4 * i + 4]
        np.testing.assert_allclose(out[:, i], expected, atol=1e-4)


def test_flattening_keeps_branches_apart():
    x = RNG.normal(size=(2, 3, 4, 10)).astype("float32")
    flat = numpy(flatten_branches(keras.ops.convert_to_tensor(x), 5))
    assert flat.shape == (2, 5, 24)
    for i in range(5):
        np.testing.assert_array_equal(flat[:, i], x[..., 2 * i : 2 * i + 2].reshape(2, 24))
    back = unflatten_branches(keras.ops.convert_to_tensor(flat), 3, 4)
    np.testing.assert_array_equal(numpy(back), x)


@pytest.mark.parametrize(
    ("transposed", "size", "inputs"),
    [
        # Of 5 taps an axis, 3, 5, 5 and 4 meet 8 pixels in steps of 2: 17/4 a result.
        (False, (8, 8), 10 * (17 / 4) ** 2),
        (False, (1, 2), 10 * 1 * 2),  # one result an axis: one tap meets 1 pixel, two meet 2
        (True, (4, 4), 10 * (17 / 8) ** 2),
        (True, (1, 1), 10 * 1),  # each of the 2 x 2 results meets the one pixel once
    ],
)
def test_first_weights_keep_the_signal(transposed, size, inputs):
    """He's rule: the variance of a weight is 2 over the number of values that a result sums up."""
    keras.utils.set_random_seed(0)
    layer = ParallelConv2D(64, 2, transposed=transposed)
    layer.build((None, *size, 20))
    assert np.std(layer.get_weights()[0]) == pytest.approx((2 / inputs) ** 0.5, rel=0.02)
    np.testing.assert_array_equal(layer.get_weights()[1], 0)


def test_first_weights_of_a_dense_layer_and_given_ones():
    keras.utils.set_random_seed(0)
    layer = ParallelDense(50, 2)
    layer.build((None, 2, 200))
    assert np.std(layer.get_weights()[0]) == pytest.approx(0.1, rel=0.02)
    layer = ParallelConv2D(2, 2, kernel_initializer="zeros")
    layer.build((None, 4, 4, 4))
    np.testing.assert_array_equal(layer.get_weights()[0], 0)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ({"filters": 3, "branches": 2}, (3, 4, 6)),
        ({"filters": 3, "branches": 2, "transposed": True}, (10, 14, 6)),
        ({"filters": 3, "branches": 2, "kernel_size": 3, "strides": 1}, (5, 7, 6)),
    ],
)
def test_convolution_is_a_good_layer(check_layer, arguments, output):
    check_layer(ParallelConv2D, arguments, (5, 7, 4), output, (2, 0))


def test_dense_is_a_good_layer(check_layer):
    check_layer(ParallelDense, {"units": 3, "branches": 2}, (2, 5), (2, 3), (2, 0))


def test_branches_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="`branches` must divide the channels.*branches=3, .*=8"):
        ParallelConv2D(2, 3).build((None, 4, 4, 8))
    with pytest.raises(ValueError, match="`branches` must be the input's second axis.*=3"):
        ParallelDense(2, 3).build((None, 4, 8))
    with pytest.raises(ValueError, match="`branches` must be at least 1. Received: 0"):
        ParallelDense(2, 0)
