"""The convolution blocks of the generators: residual, down, up, and pixel shuffle."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfface")
class PixelShuffle(keras.layers.Layer):
    """Channels to space: each pixel's channels become a `factor` x `factor` square.

    Args:
        factor: Side of the square.

    Input:
        (B, H, W, C), H and W known, C a multiple of `factor` squared.

    Output:
        (B, H * factor, W * factor, C / factor^2); channel order as `tf.nn.depth_to_space`.

    Raises:
        ValueError: If `factor` squared does not divide the channels.

    Reference:
        Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
        Convolutional Neural Network, 2016, Eq. 4.
    """

    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        if factor < 1:
            raise ValueError(f"`factor` must be at least 1. Received: {factor}")
        self.factor = factor

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels % self.factor**2:
            raise ValueError(
                "`factor` squared must divide the channels. "
                f"Received: factor={self.factor}, channels={channels}"
            )
        self.built = True

    def call(self, features):
        _, height, width, channels = features.shape
        r = self.factor
        depth = channels // (r * r)
        # Four axes at a time, as LiteRT's transpose takes: only the rows of each square move out.
        x = ops.reshape(features, (-1, width, r, r * depth))  # (B H, W, r, r depth)
        x = ops.transpose(x, (0, 2, 1, 3))  # (B H, r, W, r depth)
        return ops.reshape(x, (-1, height * r, width * r, depth))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        r = self.factor
        return (batch, height * r, width * r, channels // (r * r))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class _Block(keras.layers.Layer):
    """Layers in a row, `self.chain`, made by the subclass's constructor."""

    def build(self, input_shape):
        for layer in self.chain:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        self.built = True

    def call(self, features, training=None):
        x = features
        for layer in self.chain:
            if isinstance(layer, keras.layers.BatchNormalization):
                x = layer(x, training=training)
            else:
                x = layer(x)
        return x

    def compute_output_shape(self, input_shape):
        for layer in self.chain:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape


def _convolution(filters, kernel_size=3, **kwargs):
    return keras.layers.Conv2D(filters, kernel_size, padding="same", **kwargs)


def _normalization(**kwargs):
    # Over all replicas, so that two devices compute what one does; statistics settle in about
    # twenty steps, so that a short training is judged by its own.
    return keras.layers.BatchNormalization(momentum=0.9, synchronized=True, **kwargs)


def _prelu(**kwargs):
    return keras.layers.PReLU(shared_axes=(1, 2), **kwargs)


@keras.saving.register_keras_serializable("tfface")
class ResidualBlock(_Block):
    """`x + BN(conv(PReLU(BN(conv(x)))))`, SRGAN's residual block.

    Args:
        filters: Channels of input and output.

    Input:
        (B, H, W, filters).

    Output:
        (B, H, W, filters).

    Raises:
        ValueError: If the input does not have `filters` channels.

    Reference:
        Ledig et al., Photo-Realistic Single Image Super-Resolution Using a GAN, 2017, Fig. 4.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        dtype = self.dtype_policy
        self.chain = [
            _convolution(filters, use_bias=False, dtype=dtype),
            _normalization(dtype=dtype),
            _prelu(dtype=dtype),
            _convolution(filters, use_bias=False, dtype=dtype),
            _normalization(dtype=dtype),
        ]

    def build(self, input_shape):
        if input_shape[-1] != self.filters:
            raise ValueError(
                "`filters` must be the input's channels, which the skip adds to. "
                f"Received: filters={self.filters}, channels={input_shape[-1]}"
            )
        super().build(input_shape)

    def call(self, features, training=None):
        return features + super().call(features, training=training)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable("tfface")
class DownBlock(_Block):
    """Convolution of stride 2, batch normalization, LeakyReLU 0.2: halves height and width.

    Args:
        filters: Output channels.
        kernel_size: Side of the kernel.
        normalization: Whether batch normalization stands between.

    Input:
        (B, H, W, C).

    Output:
        (B, H / 2, W / 2, filters), rounded up.
    """

    def __init__(self, filters, kernel_size=3, normalization=True, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size
        self.normalization = normalization
        dtype = self.dtype_policy
        # The normalization's own offset makes a bias idle.
        convolution = _convolution(
            filters, kernel_size, strides=2, use_bias=not normalization, dtype=dtype
        )
        norms = [_normalization(dtype=dtype)] if normalization else []
        self.chain = [convolution, *norms, keras.layers.LeakyReLU(0.2, dtype=dtype)]

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "normalization": self.normalization,
        }


@keras.saving.register_keras_serializable("tfface")
class UpBlock(_Block):
    """Convolution to four times the channels, pixel shuffle, PReLU: doubles height and width.

    Args:
        filters: Output channels.

    Input:
        (B, H, W, C).

    Output:
        (B, 2 H, 2 W, filters).

    Reference:
        Ledig et al., 2017, Fig. 4.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        dtype = self.dtype_policy
        self.chain = [
            _convolution(4 * filters, dtype=dtype),
            PixelShuffle(2, dtype=dtype),
            _prelu(dtype=dtype),
        ]

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}
