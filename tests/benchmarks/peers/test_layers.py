"""PyTorch's layers with weights of Keras' compute what Keras' do."""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

from torch import nn  # noqa: E402

from benchmarks.peers import layers, weights  # noqa: E402
from tfface.layers import convolution  # noqa: E402

RNG = np.random.default_rng(0)


def stirred(layer, *shape):
    """The Keras layer, built for (B, H, W, C), with all its weights drawn at random."""
    layer.build((None, *shape[1:]))
    layer.set_weights([RNG.uniform(0.1, 1.0, w.shape) for w in layer.get_weights()])
    return layer


def both(layer, module, *shape, training=False):
    """What the Keras layer and the module make of the same picture (B, H, W, C)."""
    picture = RNG.normal(size=shape).astype(np.float32)
    ours = np.asarray(layer(picture, training=training))
    module.train(training)
    with torch.no_grad():
        theirs = module(torch.tensor(picture.transpose(0, 3, 1, 2))).numpy()
    return ours, theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 else theirs


def test_padding_by_hand():
    assert layers.same_padding(8, 3, 1) == (1, 1)
    assert layers.same_padding(8, 3, 2) == (0, 1)  # the last of 4 windows is pixels 6, 7 and 8
    assert layers.same_padding(9, 3, 2) == (1, 1)
    assert layers.same_padding(8, 4, 1) == (1, 2)
    assert layers.same_padding(8, 7, 4) == (1, 2)
    assert layers.same_padding(8, 1, 2) == (0, 0)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (4, 1), (4, 2), (7, 4)])
def test_convolutions(size, kernel, stride):
    shape = (2, size, size + 2, 3)
    layer = stirred(keras.layers.Conv2D(5, kernel, stride, "same"), *shape)
    np.testing.assert_allclose(*both(layer, layers.convolution(layer), *shape), rtol=1e-4)


def test_a_padding_of_its_own():
    shape = (2, 9, 8, 3)
    layer = stirred(keras.layers.Conv2D(5, 5, 2, use_bias=False), 2, 13, 12, 3)
    module = layers.convolution(layer, padding=2)
    padded = keras.Sequential([keras.layers.ZeroPadding2D(2), layer])
    np.testing.assert_allclose(*both(padded, module, *shape), rtol=1e-4)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (4, 2), (3, 2), (2, 2), (3, 1)])
def test_transposed_convolutions(kernel, stride):
    shape = (2, 4, 5, 3)
    layer = stirred(keras.layers.Conv2DTranspose(6, kernel, stride, "same"), *shape)
    module = layers.transposed_convolution(layer)
    ours, theirs = both(layer, module, *shape)
    assert ours.shape == (2, 4 * stride, 5 * stride, 6)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs", "channels"),
    [
        (lambda: convolution.ResidualBlock(4), layers.ResidualBlock, 4),
        (lambda: convolution.DownBlock(5, 5), layers.DownBlock, 3),
        (lambda: convolution.DownBlock(5, normalization=False), layers.DownBlock, 3),
        (lambda: convolution.UpBlock(2), layers.UpBlock, 3),
    ],
)
def test_blocks(ours, theirs, channels, training):
    shape = (3, 6, 8, channels)
    layer = stirred(ours(), *shape)
    module = theirs(layer)
    assert weights.count_weights(module) == layer.count_params()
    np.testing.assert_allclose(*both(layer, module, *shape, training=training), atol=2e-5)


def test_statistics_move_as_far_as_those_of_keras():
    layer = stirred(keras.layers.BatchNormalization(momentum=0.9), 2, 3, 4, 5)
    module, before = layers.normalization(layer), layer.get_weights()[3]
    both(layer, module, 2, 3, 4, 5, training=True)
    np.testing.assert_allclose(module.running_mean, layer.moving_mean, rtol=1e-4)
    # Torch's estimate of the variance is unbiased: of 24 pixels it is 24 / 23 of Keras'.
    ours, theirs = (v - 0.9 * before for v in (layer.moving_variance, module.running_var.numpy()))
    np.testing.assert_allclose(theirs, 24 / 23 * ours, rtol=1e-4)


def test_a_dense_layer_after_a_flattened_map_and_what_is_appended():
    module = nn.Linear(2 * 3 * 4 + 2, 5)
    kernel, bias = RNG.normal(size=(26, 5)), RNG.normal(size=5)
    weights.load_dense(module, kernel, bias, flattened=(4, 2, 3))
    picture, more = RNG.normal(size=(1, 2, 3, 4)), RNG.normal(size=(1, 2))
    ours = np.concatenate([picture.reshape(1, -1), more], 1) @ kernel + bias
    flat = np.concatenate([picture.transpose(0, 3, 1, 2).reshape(1, -1), more], 1)
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.tensor(flat).float()), ours, rtol=1e-4, atol=1e-5)


def test_a_dense_layer_that_makes_a_map():
    module = nn.Linear(3, 2 * 3 * 4)
    kernel, bias = RNG.normal(size=(3, 24)), RNG.normal(size=24)
    weights.load_dense(module, kernel, bias, unflattened=(4, 2, 3))
    given = RNG.normal(size=(1, 3))
    ours = (given @ kernel + bias).reshape(2, 3, 4)
    with torch.no_grad():
        theirs = module(torch.tensor(given).float()).numpy().reshape(4, 2, 3)
    np.testing.assert_allclose(theirs.transpose(1, 2, 0), ours, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_refused():
    layer = stirred(keras.layers.Conv2D(5, 3), 1, 8, 8, 3)
    with pytest.raises(ValueError, match=r"shape \(4, 3, 3, 3\). Received: \(5, 3, 3, 3\)"):
        weights.copy_weights(layer, nn.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match="`bias` must be given where the module has one"):
        weights.copy_weights(layer, nn.Conv2d(3, 5, 3, bias=False))
    with pytest.raises(ValueError, match="`module` must be one of .* Received: .*ReLU"):
        weights.copy_weights(layer, nn.ReLU())
