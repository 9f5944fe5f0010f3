"""The networks of synthesis in PyTorch: the CARGs, D_z, D_AU, D_img and who a face shows.

Each AU has networks of its own, as a PyTorch user writes them: modules in an `nn.ModuleList`.
Tensors of all AUs have them in the first axis, (n, B, ...).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.layers import (
    Conv2d,
    ConvTranspose2d,
    DownBlock,
    dense,
    flattened_shape,
    normalization,
    to_signed,
)
from benchmarks.peers.regions import Mover, Regions
from benchmarks.peers.weights import load_convolution, load_dense, load_normalization
from tfface.synthesis.networks import REACH


def signed(values):
    """Labels in [0, 1] as the paper's in [-1, 1]; 0 for NaN."""
    return torch.where(values >= 0, to_signed(values), 0.0)


class Generator(nn.Module):
    """Faces (B, 3, H, W), values (B, n) and landmarks (B, 68, 2) to edited faces."""

    def __init__(self, network):
        super().__init__()
        config = network.get_config()
        name = "attention" if config["region"] == "full" else "windows"
        layer = network.cut.get_layer(name)
        self.regions = Regions(layer)
        self.units = nn.ModuleList(CARG(network, i) for i in range(len(network.action_units)))
        self.mover = None
        if config["drawing"] == "movement":
            smooth = 2 * round(config["extent"] * network.size / 8) + 1
            self.mover = Mover(layer, REACH * network.size, smooth, *network.region_shape)

    def forward(self, face, values, landmarks):
        pixels, attention, places = self.regions(face, landmarks)
        latent = self.encode(attention * to_signed(pixels))
        drawn = self.decode(latent, values.T, pixels)
        asked = (values.T >= 0).float()
        return self.regions.compose(face, attention * drawn, attention, asked, places)

    def encode(self, regions):
        """Regions (n, B, 3, h, w) to z (n, B, latent)."""
        pairs = zip(self.units, regions, strict=True)
        return torch.stack([unit.encode(region) for unit, region in pairs])

    def decode(self, latent, values, pixels):
        """z, values (n, B) and the regions' pixels to the regions as they are drawn.

        Where pixels move, z may be of the same faces several times over.
        """
        given = zip(self.units, latent, signed(values), strict=True)
        drawn = torch.stack([unit.decode(z, label) for unit, z, label in given])
        if self.mover is None:
            return torch.sigmoid(drawn)
        return self.mover(torch.cat([pixels] * (drawn.shape[1] // pixels.shape[1]), 1), drawn)


class CARG(nn.Module):
    """The conditional regional generator of one AU: an encoder to z and a decoder (Fig. 2).

    Args:
        network: Our LACGenerator.
        unit: Which of its AUs this is.
    """

    def __init__(self, network, unit):
        super().__init__()
        steps = [_conv(network.encoder.get_layer(f"encode_{i}"), unit) for i in range(5)]
        self.encoder = nn.Sequential(
            *(nn.Sequential(step, nn.LeakyReLU(0.2, inplace=True)) for step in steps)
        )
        self.sides = [network.region_shape]
        for _ in steps:
            self.sides.append(tuple(-(-side // 2) for side in self.sides[-1]))
        self.seed_shape = steps[-1].out_channels, *self.sides[-1]
        self.latent = _linear(network.encoder.get_layer("latent"), unit, self.seed_shape)
        self.seed = _linear(network.decoder.get_layer("seed"), unit, unflattened=self.seed_shape)
        layers = [network.decoder.get_layer(f"decode_{i}") for i in range(5)]
        self.decoder = nn.ModuleList(_conv(layer, unit) for layer in layers)

    def encode(self, region):
        return torch.tanh(self.latent(self.encoder(region).flatten(1)))

    def decode(self, latent, label):
        condition = torch.stack([label, -label], 1).repeat(1, latent.shape[1] // 2)
        x = F.relu(self.seed(torch.cat([latent, condition], 1)), inplace=True)
        x = x.unflatten(1, self.seed_shape)
        for i, step in enumerate(self.decoder):
            height, width = self.sides[-2 - i]
            x = step(x)[:, :, :height, :width]
            x = F.relu(x) if i < 4 else x
        return x


class RegionDiscriminator(nn.Module):
    """Regions (n, B, 3, h, w) and values (n, B) to logits and labels (n, B) each."""

    def __init__(self, network):
        super().__init__()
        self.units = nn.ModuleList(
            UnitDiscriminator(network, i) for i in range(network.get_config()["n_action_units"])
        )

    def forward(self, regions, values):
        given = zip(self.units, regions, signed(values), strict=True)
        judged = [unit(region, label) for unit, region, label in given]
        return [torch.stack(each) for each in zip(*judged, strict=True)]


class UnitDiscriminator(nn.Module):
    """D_AU and R_AU of one AU, which share their convolutions."""

    def __init__(self, network, unit):
        super().__init__()
        config, parts, shape = network.get_config(), [], network.input_shape[0][1:3]
        for i, number in enumerate(config["filters"]):
            parts.append(_conv(network.get_layer(f"conv_{i}"), unit))
            if i:
                parts.append(_norm(network.get_layer(f"norm_{i}"), number, unit))
            parts.append(nn.LeakyReLU(0.2, inplace=True))
            shape = [-(-side // 2) for side in shape]
        self.features = nn.Sequential(*parts, nn.Flatten())
        self.logit, self.label = (
            _linear(network.get_layer(name), unit, (number, *shape)) for name in ("logit", "label")
        )

    def forward(self, region, label):
        features = self.features(region)
        base, slope = self.logit(features).unbind(1)
        return base + label * slope, self.label(features)[:, 0]


class LatentDiscriminator(nn.Module):
    """D_z of each AU: z (n, B, latent) to logits (n, B)."""

    def __init__(self, network):
        super().__init__()
        config = network.get_config()
        layers = [network.get_layer(f"dense_{i}") for i in range(len(config["units"]))]

        def judge(unit):
            parts = []
            for layer in layers:
                parts += [_linear(layer, unit), nn.LeakyReLU(0.2, inplace=True)]
            return nn.Sequential(*parts, _linear(network.get_layer("logit"), unit))

        self.units = nn.ModuleList(judge(i) for i in range(config["n_action_units"]))

    def forward(self, latent):
        judged = [unit(z) for unit, z in zip(self.units, latent, strict=True)]
        return torch.stack(judged)[..., 0]


class FaceDiscriminator(nn.Sequential):
    """D_img: faces (B, 3, H, W) to logits (B, 1)."""

    def __init__(self, network):
        count = len(network.get_config()["filters"])
        head = dense(network.get_layer("logit"), flattened_shape(network.get_layer("flatten")))
        blocks = (DownBlock(network.get_layer(f"down_{i}")) for i in range(count))
        super().__init__(*blocks, nn.Flatten(), head)

    def forward(self, faces):
        return super().forward(to_signed(faces))


class Stages(nn.Module):
    """Who a face shows: (B, 3, H, W) to the list of each stage's features."""

    def __init__(self, network):
        super().__init__()
        layers = [layer for layer in network.layers if layer.name.startswith("stage_")]
        self.stages = nn.ModuleList(DownBlock(layer) for layer in layers)

    def forward(self, faces):
        x, found = to_signed(faces), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


def _conv(layer, unit):
    """One AU's convolution of a ParallelConv2D, or transposed one."""
    kernel, bias = _weights(layer, unit)
    made = ConvTranspose2d if layer.transposed else Conv2d
    inputs, outputs = kernel.shape[2:][::-1] if layer.transposed else kernel.shape[2:]
    module = made(inputs, outputs, layer.kernel_size, layer.strides)
    load_convolution(module, kernel, bias)
    return module


def _linear(layer, unit, flattened=None, unflattened=None):
    """One AU's dense layer of a ParallelDense; the shapes as in `load_dense`."""
    kernel, bias = _weights(layer, unit)
    module = nn.Linear(*kernel.shape)
    load_dense(module, kernel, bias, flattened, unflattened)
    return module


def _norm(layer, channels, unit):
    """One AU's part of a batch normalization of all."""
    module = normalization(layer, channels)
    values = layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance
    load_normalization(module, *(np.reshape(value, (-1, channels))[unit] for value in values))
    return module


def _weights(layer, unit):
    """The kernel and the bias of one AU in a layer that holds those of all."""
    return np.asarray(layer.kernel)[unit], np.reshape(layer.bias, (layer.branches, -1))[unit]
