"""PyTorch's layers as TensorFlow pads and normalizes, and the blocks that several peers share."""

import torch.nn.functional as F
from torch import nn

from benchmarks.peers.weights import copy_weights


def same_padding(size, kernel_size, stride):
    """How far TensorFlow's "same" pads an axis: (before, after), the end more where it is odd."""
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


class Conv2d(nn.Conv2d):
    """A convolution of square kernels with TensorFlow's "same" padding.

    PyTorch pads both ends of an axis alike. Where TensorFlow does not (a stride of 2 and an even
    size), the picture is padded first.
    """

    def forward(self, x):
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(x.shape[2], kernel, stride)
        left, right = same_padding(x.shape[3], kernel, stride)
        padding = top, left
        if (top, left) != (bottom, right):
            x, padding = F.pad(x, (left, right, top, bottom)), 0
        return F.conv2d(x, self.weight, self.bias, stride, padding)


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution of square kernels with TensorFlow's "same" padding.

    It enlarges by its stride. A kernel that is longer than its stride by an odd number of pixels
    hangs over at the end by one more than at the beginning: that row and column are cut off.
    """

    def forward(self, x):
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = stride * x.shape[2], stride * x.shape[3]
        padding = same_padding(height, kernel, stride)[0], same_padding(width, kernel, stride)[0]
        x = F.conv_transpose2d(x, self.weight, self.bias, stride, padding)
        return x[:, :, :height, :width]


def convolution(layer, padding=None):
    """The convolution of a Keras Conv2D, its weights copied; its activation is not part of it.

    Args:
        layer: Keras Conv2D.
        padding: Pixels at each border, as a padding layer before the Keras one adds them; None for
            a layer whose padding is "same".
    """
    size, _, inputs, outputs = layer.kernel.shape
    made = {"bias": layer.use_bias, "stride": layer.strides}
    if padding is None:
        module = Conv2d(inputs, outputs, size, **made)
    else:
        module = nn.Conv2d(inputs, outputs, size, padding=padding, **made)
    copy_weights(layer, module)
    return module


def transposed_convolution(layer):
    """The transposed convolution of a Keras Conv2DTranspose with "same" padding, weights copied."""
    size, _, outputs, inputs = layer.kernel.shape
    module = ConvTranspose2d(inputs, outputs, size, layer.strides, bias=layer.use_bias)
    copy_weights(layer, module)
    return module


def dense(layer, flattened=None):
    """The dense layer of a Keras Dense, its weights copied; `flattened` as in `load_dense`."""
    module = nn.Linear(*layer.kernel.shape, bias=layer.use_bias)
    copy_weights(layer, module, flattened)
    return module


def normalization(layer, channels=None):
    """The batch normalization of a Keras one, its weights copied.

    Keras' momentum is the share of the old statistic, torch's that of the new. In training both
    normalize by the batch alike; of its variance, though, torch keeps the unbiased estimate, which
    is n / (n - 1) times Keras' for a batch of n pixels. It tells in what is inferred after a
    training, by so little that no PyTorch user would mend it.

    Args:
        layer: Keras BatchNormalization.
        channels: Channels of the module if the layer serves several networks side by side: then
            the weights are left to the caller.
    """
    module = nn.BatchNorm2d(channels or layer.gamma.shape[0], layer.epsilon, 1.0 - layer.momentum)
    if channels is None:
        copy_weights(layer, module)
    return module


def prelu(layer):
    """The PReLU of a Keras one that shares its slopes over places, weights copied."""
    module = nn.PReLU(layer.alpha.shape[-1])
    copy_weights(layer, module)
    return module


class ResidualBlock(nn.Module):
    """`x + BN(conv(PReLU(BN(conv(x)))))`, of our `tfface.layers.convolution.ResidualBlock`."""

    def __init__(self, block):
        super().__init__()
        first, first_norm, relu, second, second_norm = block.chain
        self.chain = nn.Sequential(
            convolution(first),
            normalization(first_norm),
            prelu(relu),
            convolution(second),
            normalization(second_norm),
        )

    def forward(self, x):
        return x + self.chain(x)


class DownBlock(nn.Sequential):
    """Convolution of stride 2, batch normalization, LeakyReLU, of our `DownBlock`."""

    def __init__(self, block):
        first, *norms, relu = block.chain
        super().__init__(
            convolution(first),
            *(normalization(norm) for norm in norms),
            nn.LeakyReLU(relu.negative_slope, inplace=True),
        )


class UpBlock(nn.Sequential):
    """Convolution to four times the channels, pixel shuffle, PReLU, of our `UpBlock`."""

    def __init__(self, block):
        widen, shuffle, relu = block.chain
        first = Conv2d(*widen.kernel.shape[2:], widen.kernel.shape[0])
        copy_weights(widen, first, shuffle=shuffle.factor)
        super().__init__(first, nn.PixelShuffle(shuffle.factor), prelu(relu))


def to_signed(faces):
    """Faces of values in [0, 1] as most networks see them, in [-1, 1]."""
    return 2.0 * faces - 1.0


def non_saturating_generator_loss(fake_logits):
    """-log D(fake), the mean; D is the sigmoid of the logits (Goodfellow et al., 2014)."""
    return F.softplus(-fake_logits).mean()


def non_saturating_discriminator_loss(real_logits, fake_logits):
    """-log D(real) - log(1 - D(fake)), the mean of each."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def flattened_shape(layer):
    """What a Keras Flatten takes as torch's (C, H, W): `flattened` of the dense layer after it."""
    _, height, width, channels = layer.input.shape
    return channels, height, width
