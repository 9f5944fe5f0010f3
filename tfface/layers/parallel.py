"""Several networks of one shape side by side: each layer holds the weights of all of them.

One Keras layer for all branches in place of one a branch: twelve branches of ten layers are then
twenty variables, not 240, which matters to the optimizer and to tracing. The convolutions run one
by one all the same, because a grouped convolution trains about a hundred times slower on a CPU.
"""

import keras
import numpy as np
from keras import ops


class _Parallel(keras.layers.Layer):
    def __init__(self, units, branches, kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        if branches < 1:
            raise ValueError(f"`branches` must be at least 1. Received: {branches}")
        self.units, self.branches = units, branches
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _add_weights(self, shape, inputs):
        """A kernel and a bias for each branch, of which a result has so many `inputs`."""
        # Keras' own He would count the branches, and taps outside of the picture, among them.
        he = keras.initializers.RandomNormal(0.0, (2.0 / inputs) ** 0.5)
        initializer = self.kernel_initializer or he
        self.kernel = self.add_weight(
            (self.branches, *shape), initializer=initializer, name="kernel"
        )
        self.bias = self.add_weight((self.branches * self.units,), initializer="zeros", name="bias")
        self.built = True

    def get_config(self):
        initializer = self.kernel_initializer
        return {
            **super().get_config(),
            "branches": self.branches,
            "kernel_initializer": initializer and keras.initializers.serialize(initializer),
        }


@keras.saving.register_keras_serializable("tfface")
class ParallelConv2D(_Parallel):
    """A convolution of each branch on its own channels, or a transposed one; padding is "same".

    Args:
        filters: Output channels of a branch.
        branches: Number of branches.
        kernel_size: Side of the kernels.
        strides: Of the convolutions.
        transposed: Whether they enlarge by `strides` in place of shrinking by it.
        kernel_initializer: Of all kernels; None is He's, counting what a result is made of.

    Input:
        (B, H, W, branches * C): the channels of the first branch, then those of the next.

    Output:
        (B, H / strides, W / strides, branches * filters), rounded up; transposed (B, H * strides, W
        * strides, branches * filters).

    Raises:
        ValueError: If `branches` is below 1 or does not divide the channels.
    """

    def __init__(self, filters, branches, kernel_size=5, strides=2, transposed=False, **kwargs):
        super().__init__(filters, branches, **kwargs)
        self.kernel_size, self.strides, self.transposed = kernel_size, strides, transposed

    def build(self, input_shape):
        if input_shape[-1] % self.branches:
            raise ValueError(
                "`branches` must divide the channels. "
                f"Received: branches={self.branches}, channels={input_shape[-1]}"
            )
        channels, k = input_shape[-1] // self.branches, self.kernel_size
        sides, pair = input_shape[1:3], (channels, self.units)
        if self.transposed:
            sides, pair = [side * self.strides for side in sides], (self.units, channels)
        taps = np.prod([_taps(side, k, self.strides) for side in sides])
        if self.transposed:  # The same pairs of pixels, spread over more results.
            taps /= self.strides**2
        self._add_weights((k, k, *pair), taps * channels)

    def call(self, features):
        convolve = ops.conv_transpose if self.transposed else ops.conv
        results = [
            convolve(part, kernel, self.strides, "same")
            for part, kernel in zip(
                ops.split(features, self.branches, axis=-1),
                ops.unstack(self.kernel, self.branches),
                strict=True,
            )
        ]
        return ops.concatenate(results, axis=-1) + self.bias

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        s = self.strides
        sides = (height * s, width * s) if self.transposed else (-(-height // s), -(-width // s))
        return (batch, *sides, self.branches * self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.units,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "transposed": self.transposed,
        }


@keras.saving.register_keras_serializable("tfface")
class ParallelDense(_Parallel):
    """A dense layer of each branch on its own features.

    Args:
        units: Outputs of a branch.
        branches: Number of branches.
        kernel_initializer: Of all kernels; None is He's.

    Input:
        (B, branches, features).

    Output:
        (B, branches, units).

    Raises:
        ValueError: If `branches` is below 1, or not the input's.
    """

    def build(self, input_shape):
        if input_shape[1] != self.branches:
            raise ValueError(
                "`branches` must be the input's second axis. "
                f"Received: branches={self.branches}, shape {tuple(input_shape)}"
            )
        self._add_weights((input_shape[-1], self.units), input_shape[-1])

    def call(self, features):
        x = ops.transpose(features, (1, 0, 2))  # (branches, B, features)
        x = ops.transpose(ops.matmul(x, self.kernel), (1, 0, 2))
        return x + ops.reshape(self.bias, (self.branches, self.units))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def _taps(side, kernel_size, stride):
    """How many taps of a "same" convolution meet a pixel along an axis, the mean over results.

    On a picture smaller than the kernel most meet nothing: a kernel of 5 on one pixel has one tap.
    """
    count = -(-side // stride)
    before = max((count - 1) * stride + kernel_size - side, 0) // 2
    pixels = np.arange(count)[:, None] * stride - before + np.arange(kernel_size)
    return np.mean(np.sum((pixels >= 0) & (pixels < side), axis=1))


def flatten_branches(features, branches):
    """(B, h, w, branches * C) to (B, branches, h w C): what a dense layer of each branch takes."""
    _, height, width, channels = features.shape
    x = ops.reshape(features, (-1, height * width, branches, channels // branches))
    x = ops.transpose(x, (0, 2, 1, 3))  # (B, branches, h w, C)
    return ops.reshape(x, (-1, branches, height * width * channels // branches))


def unflatten_branches(features, height, width):
    """(B, branches, height width C) to (B, height, width, branches * C), the way back."""
    _, branches, length = features.shape
    channels = length // (height * width)
    x = ops.reshape(features, (-1, branches, height * width, channels))
    x = ops.transpose(x, (0, 2, 1, 3))  # (B, h w, branches, C)
    return ops.reshape(x, (-1, height, width, branches * channels))
