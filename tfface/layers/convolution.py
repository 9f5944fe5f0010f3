"""The convolution blocks of the generators: residual, down, up, and pixel shuffle."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfface")
class PixelShuffle(keras.layers.Layer):
    """Channels to space: each pixel's channels become a `factor` x `factor` square.

    Args:
        factor: Side of the square.

    Input:
        (B, H, W, C), C a multiple of `factor` squared.

    Output:
        (B, H * factor, W * factor, C / factor^2); channel order as `tf.nn.depth_to_space`.

    Raises:
        ValueError: If `factor` squared does not divide the channels.

    Reference:
        Shi et al., Real-Time Single Image and Video Super-Resolution, 2016, Eq. 4.
    """

    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, features):
        _, height, width, channels = features.shape
        r = self.factor
        if channels % (r * r):
            raise ValueError(
                "`factor` squared must divide the channels. "
                f"Received: factor={r}, channels={channels}"
            )
        depth = channels // (r * r)
        # Four axes at a time, as LiteRT's transpose takes: first the rows of each square move out.
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
    """A chain of sub-layers of the same dtype policy."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.chain = self.make_chain()

    def make_chain(self):
        raise NotImplementedError

    def build(self, input_shape):
        for layer in self.chain:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        self.built = True

    def call(self, features, training=False):
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

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def _normalization(dtype):
    # Over all replicas, so that two devices compute what one does.
    return keras.layers.BatchNormalization(synchronized=True, dtype=dtype)


@keras.saving.register_keras_serializable("tfface")
class ResidualBlock(_Block):
    """`x + BN(conv(PReLU(BN(conv(x)))))`, SRGAN's residual block.

    Args:
        filters: Channels of input and output.

    Reference:
        Ledig et al., Photo-Realistic Single Image Super-Resolution Using a GAN, 2017, Fig. 4.
    """

    def make_chain(self):
        dtype = self.dtype_policy
        return [
            keras.layers.Conv2D(self.filters, 3, padding="same", use_bias=False, dtype=dtype),
            _normalization(dtype),
            keras.layers.PReLU(shared_axes=(1, 2), dtype=dtype),
            keras.layers.Conv2D(self.filters, 3, padding="same", use_bias=False, dtype=dtype),
            _normalization(dtype),
        ]

    def call(self, features, training=False):
        return features + super().call(features, training=training)


@keras.saving.register_keras_serializable("tfface")
class DownBlock(_Block):
    """Convolution of stride 2, batch normalization, LeakyReLU 0.2: halves height and width.

    Args:
        filters: Output channels.
        kernel_size: Side of the kernel.
        normalization: Whether batch normalization stands between.
    """

    def __init__(self, filters, kernel_size=3, normalization=True, **kwargs):
        self.kernel_size, self.normalization = kernel_size, normalization
        super().__init__(filters, **kwargs)

    def make_chain(self):
        dtype = self.dtype_policy
        convolution = keras.layers.Conv2D(
            self.filters,
            self.kernel_size,
            strides=2,
            padding="same",
            use_bias=not self.normalization,
            dtype=dtype,
        )
        norms = [_normalization(dtype)] if self.normalization else []
        return [convolution, *norms, keras.layers.LeakyReLU(0.2, dtype=dtype)]

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "normalization": self.normalization,
        }


@keras.saving.register_keras_serializable("tfface")
class UpBlock(_Block):
    """Convolution to four times the channels, pixel shuffle, PReLU: doubles height and width.

    Args:
        filters: Output channels.

    Reference:
        Ledig et al., 2017, Fig. 4.
    """

    def make_chain(self):
        dtype = self.dtype_policy
        return [
            keras.layers.Conv2D(4 * self.filters, 3, padding="same", dtype=dtype),
            PixelShuffle(2, dtype=dtype),
            keras.layers.PReLU(shared_axes=(1, 2), dtype=dtype),
        ]
