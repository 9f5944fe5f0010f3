"""Copies Keras weights into the PyTorch modules that compute the same.

Keras lays a kernel out as height, width, inputs, outputs (a transposed convolution's as height,
width, outputs, inputs), PyTorch as outputs, inputs, height, width (inputs, outputs, height, width).
"""

import numpy as np
import torch
from torch import nn


def copy_weights(layer, module, flattened=None, shuffle=1):
    """Copies the weights of a Keras layer into a module of one torch layer.

    Args:
        layer: Keras layer with the weights of a convolution (`kernel` and maybe `bias`), a dense
            layer, a batch normalization or a PReLU.
        module: `nn.Conv2d`, `nn.ConvTranspose2d`, `nn.Linear`, `nn.BatchNorm2d` or `nn.PReLU`.
        flattened: As in `load_dense`.
        shuffle: As in `load_convolution`.

    Raises:
        ValueError: If the module is none of these, or the weights do not fit it.
    """
    bias = getattr(layer, "bias", None)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        load_convolution(module, layer.kernel, bias, shuffle)
    elif isinstance(module, nn.Linear):
        load_dense(module, layer.kernel, bias, flattened)
    elif isinstance(module, nn.BatchNorm2d):
        load_normalization(
            module, layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance
        )
    elif isinstance(module, nn.PReLU):
        _load(module.weight, np.reshape(layer.alpha, -1))
    else:
        raise ValueError(
            f"`module` must be one of those that `copy_weights` names. Received: {type(module)}"
        )


def load_convolution(module, kernel, bias=None, shuffle=1):
    """Fills a convolution, or a transposed one.

    Args:
        module: `nn.Conv2d` or `nn.ConvTranspose2d`.
        kernel: (height, width, inputs, outputs), or (height, width, outputs, inputs) for a
            transposed one.
        bias: (outputs,), or None where the module has none.
        shuffle: Factor r of the pixel shuffle that follows, or 1. Keras' `PixelShuffle` takes the
            channels as (r, r, depth) and torch's as (depth, r, r): outputs change places.
    """
    kernel = np.transpose(kernel, (3, 2, 0, 1))
    order = _shuffled(module.out_channels, shuffle)
    _load(module.weight, kernel[order] if shuffle > 1 else kernel)
    _load_bias(module, None if bias is None else np.asarray(bias)[order])


def load_dense(module, kernel, bias=None, flattened=None, unflattened=None):
    """Fills a dense layer.

    Args:
        module: `nn.Linear`.
        kernel: (inputs, outputs).
        bias: (outputs,), or None where the module has none.
        flattened: Torch's (C, H, W) of the feature map that was flattened to make the inputs, or
            None. Keras flattens it as (H, W, C). If more inputs follow those of the map, as where
            something is appended to it, they keep their order.
        unflattened: Torch's (C, H, W) of the feature map that the outputs are made into, or None.
    """
    kernel, bias = np.asarray(kernel), None if bias is None else np.asarray(bias)
    if unflattened is not None:
        channels, height, width = unflattened
        order = np.arange(kernel.shape[1]).reshape(height, width, channels)
        order = order.transpose(2, 0, 1).reshape(-1)
        kernel, bias = kernel[:, order], None if bias is None else bias[order]
    if flattened is not None:
        channels, height, width = flattened
        places, rest = np.split(kernel, [channels * height * width])
        places = places.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
        kernel = np.concatenate([places.reshape(-1, kernel.shape[1]), rest])
    _load(module.weight, kernel.T)
    _load_bias(module, bias)


def load_normalization(module, gamma, beta, mean, variance):
    """Fills `nn.BatchNorm2d`, each argument (channels,)."""
    values = (gamma, beta, mean, variance)
    places = (module.weight, module.bias, module.running_mean, module.running_var)
    for place, value in zip(places, values, strict=True):
        _load(place, value)


def count_weights(module):
    """How many weights and statistics a module has: what Keras' `count_params` says of a layer."""
    return sum(
        value.numel()
        for name, value in module.state_dict(keep_vars=True).items()
        if not name.endswith("num_batches_tracked")
    )


def _shuffled(channels, factor):
    """For each of torch's channels before a pixel shuffle, which of Keras' it is."""
    order = np.arange(channels).reshape(factor, factor, -1)
    return order.transpose(2, 0, 1).reshape(-1)


def _load_bias(module, bias):
    if (module.bias is None) != (bias is None):
        raise ValueError(
            f"`bias` must be given where the module has one. Received: {bias} for {module}"
        )
    if bias is not None:
        _load(module.bias, bias)


@torch.no_grad()
def _load(place, value):
    value = np.ascontiguousarray(value, np.float32)
    if value.shape != tuple(place.shape):
        raise ValueError(f"Weights must be of shape {tuple(place.shape)}. Received: {value.shape}")
    place.copy_(torch.tensor(value))
