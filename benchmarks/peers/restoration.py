"""Expression restoration in PyTorch: Liu et al., 2019, as `tfface.restoration` has it."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.backbones import Levels
from benchmarks.peers.layers import (
    Conv2d,
    ResidualBlock,
    UpBlock,
    convolution,
    dense,
    flattened_shape,
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
    normalization,
    prelu,
    to_signed,
)
from benchmarks.peers.peer import Peer
from benchmarks.peers.weights import copy_weights

VGG_LEVELS = ("block2_conv2", "block5_conv4")
"""What VGG-19 compares faces by, where it is the perceptual network."""


class RestorationPeer(Peer):
    """The generator against its discriminator, watched by the classifier (Eq. 1 to 5)."""

    def build(self, model):
        if model.adversarial_loss != "non_saturating":
            raise ValueError(
                "`model` must have the adversarial loss of the configs, 'non_saturating'. "
                f"Received: {model.adversarial_loss!r}"
            )
        self.weights = {
            name: getattr(model, f"{name}_weight")
            for name in ("adversarial", "expression", "perceptual")
        }
        self.mask_aware = model.generator.mask_aware
        networks = {
            "generator": Generator(model.generator),
            "discriminator": Discriminator(model.discriminator),
            "classifier": Classifier(model.classifier),
        }
        if model.perceptual_network.name == "classifier_features":
            networks["perceptual_network"] = ClassifierStages(model.perceptual_network)
        else:
            networks["perceptual_network"] = Levels(model.perceptual_network, "vgg19", VGG_LEVELS)
        return networks

    def answers(self):
        return {"face": self.networks["generator"](self._low())}

    def learn(self):
        truth, net = self.batch["face"], self.networks
        restored = net["generator"](self._low())

        losses = {"pixel_loss": F.mse_loss(restored, truth)}
        loss = losses["pixel_loss"]
        if self.weights["adversarial"]:
            if self.due("discriminator"):
                losses["discriminator_loss"] = non_saturating_discriminator_loss(
                    net["discriminator"](truth), net["discriminator"](restored.detach())
                )
                self.update("discriminator", losses["discriminator_loss"])
            with self.frozen("discriminator"):
                logits = net["discriminator"](restored)
            losses["adversarial_loss"] = non_saturating_generator_loss(logits)
            loss = loss + self.weights["adversarial"] * losses["adversarial_loss"]
        if self.weights["expression"]:
            with torch.no_grad():
                real = net["classifier"](truth)
            difference = real - net["classifier"](restored)
            losses["expression_loss"] = difference.square().sum(1).mean()
            loss = loss + self.weights["expression"] * losses["expression_loss"]
        if self.weights["perceptual"]:
            with torch.no_grad():
                real = net["perceptual_network"](truth)
            levels = zip(real, net["perceptual_network"](restored), strict=True)
            losses["perceptual_loss"] = sum(F.mse_loss(b, a) for a, b in levels)
            loss = loss + self.weights["perceptual"] * losses["perceptual_loss"]
        self.update("generator", loss)
        return losses

    def _low(self):
        if self.mask_aware:
            return torch.cat([self.batch["low"], self.batch["mask"]], 1)
        return self.batch["low"]


class Generator(nn.Module):
    """(B, 3 or 4, h, w) in [0, 1] to (B, 3, H, W) in [0, 1] (Fig. 2)."""

    def __init__(self, network):
        super().__init__()
        layers = {layer.name: layer for layer in network.layers}
        blocks = [layers[name] for name in layers if name.startswith("block_")]
        self.head = nn.Sequential(convolution(layers["head_conv"]), prelu(layers["head_prelu"]))
        self.blocks = nn.Sequential(
            *(
                RelationBlock(block) if hasattr(block, "graphs") else ResidualBlock(block)
                for block in blocks
            )
        )
        self.trunk = convolution(layers["trunk_conv"])
        self.up = nn.Sequential(*(UpBlock(layers[n]) for n in layers if n.startswith("up_")))
        self.tail = convolution(layers["tail_conv"])

    def forward(self, low):
        head = self.head(to_signed(low))
        x = self.trunk(self.blocks(head)) + head
        return torch.sigmoid(self.tail(self.up(x)))


class RelationBlock(nn.Module):
    """`x + RRMB(x)`: the sum of patch graphs of several grids (Fig. 3)."""

    def __init__(self, block):
        super().__init__()
        self.relation = Relation(block)

    def forward(self, x):
        return x + self.relation(x)


class Relation(nn.Module):
    """RRMB: the sum of `PatchGraph`s with different grids."""

    def __init__(self, block):
        super().__init__()
        self.graphs = nn.ModuleList(PatchGraph(graph) for graph in block.graphs)

    def forward(self, x):
        total = self.graphs[0](x)
        for graph in self.graphs[1:]:
            total = total + graph(x)
        return total


class PatchGraph(nn.Module):
    """`A : ReLU(W * F + b)` (Eq. 6): each patch convolved by itself, then patches mixed."""

    def __init__(self, layer):
        super().__init__()
        size, _, inputs, outputs = layer.kernel.shape
        self.grid, self.adjacency, self.threshold = layer.grid, layer.adjacency, layer.threshold
        self.convolution = Conv2d(inputs, outputs, size)
        copy_weights(layer, self.convolution)
        count = self.grid**2
        prior = torch.zeros(count, count) if layer.prior is None else torch.tensor(layer.prior)
        for name, value in (
            ("itself", torch.eye(count)),
            ("linked", (prior > 0).float()),
            ("uncut", (prior >= 0).float()),
        ):
            self.register_buffer(name, value, persistent=False)

    def forward(self, x):
        if self.grid == 1:
            return F.relu(self.convolution(x), inplace=True)
        patches = self._split(x)  # (B, N, C, h, w)
        y = F.relu(self.convolution(patches.flatten(0, 1)), inplace=True)
        y = y.unflatten(0, patches.shape[:2])  # (B, N, F, h, w)
        y = (self._mixing(patches.flatten(2)) @ y.flatten(2)).view_as(y)
        return self._merge(y)

    def _split(self, x):
        """(B, C, H, W) to (B, N, C, h, w)."""
        batch, channels, height, width = x.shape
        g = self.grid
        x = x.view(batch, channels, g, height // g, g, width // g)
        return x.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)

    def _merge(self, patches):
        """(B, N, C, h, w) to (B, C, H, W)."""
        x = patches.unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 4, 2, 5)
        return x.flatten(4, 5).flatten(2, 3)

    def _mixing(self, patches):
        """`D^-1/2 (A + I) D^-1/2` of flattened patches (B, N, D): (B, N, N) or (N, N)."""
        linked = self._links(patches) + self.itself
        scale = linked.sum(-1).rsqrt()
        return linked * scale[..., :, None] * scale[..., None, :]

    def _links(self, patches):
        if self.adjacency == "prior":
            return self.linked
        if self.adjacency == "soft":
            return F.relu(_similarity(patches)) * (1.0 - self.itself)
        with torch.no_grad():
            alike = (_similarity(patches) >= self.threshold).float() * (1.0 - self.itself)
            if self.adjacency == "combined":
                alike = torch.maximum(alike, self.linked) * self.uncut
            return alike


class Discriminator(nn.Module):
    """(B, 3, H, W) to (B, 1) logits: SRGAN's."""

    def __init__(self, network):
        super().__init__()
        layers = {layer.name: layer for layer in network.layers}
        parts = []
        for i in range(8):
            parts.append(convolution(layers[f"conv_{i}"]))
            if f"norm_{i}" in layers:
                parts.append(normalization(layers[f"norm_{i}"]))
            parts.append(nn.LeakyReLU(0.2, inplace=True))
        self.features = nn.Sequential(*parts)
        self.head = nn.Sequential(
            nn.Flatten(),
            dense(layers["dense"], flattened_shape(layers["flatten"])),
            nn.LeakyReLU(0.2, inplace=True),
            dense(layers["logit"]),
        )

    def forward(self, faces):
        return self.head(self.features(to_signed(faces)))


class Stage(nn.Module):
    """A stage of C_I: convolution with normalization and ReLU, then `x + BN(RRMB(x))`."""

    def __init__(self, layers, number):
        super().__init__()
        self.down = nn.Sequential(
            convolution(layers[f"down_{number}" if number else "stem"]),
            normalization(layers[f"down_norm_{number}"]),
            nn.ReLU(inplace=True),
        )
        self.relation = nn.Sequential(
            Relation(layers[f"relation_{number}"]), normalization(layers[f"norm_{number}"])
        )

    def forward(self, x):
        x = self.down(x)
        return x + self.relation(x)


class ClassifierStages(nn.Module):
    """(B, 3, H, W) to the list of each stage's features in C_I."""

    def __init__(self, network):
        super().__init__()
        layers = {layer.name: layer for layer in network.layers}
        count = sum(name.startswith("stage_") for name in layers)
        self.stages = nn.ModuleList(Stage(layers, i) for i in range(count))

    def forward(self, faces):
        x, found = F.layer_norm(faces, faces.shape[1:], eps=1e-3), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class Classifier(nn.Module):
    """(B, 3, H, W) to (B, AUs) logits: C_I, which watches the generator (Sec. 3.1)."""

    def __init__(self, network):
        super().__init__()
        layers = {layer.name: layer for layer in network.layers}
        self.stages = ClassifierStages(network)
        self.head = nn.Sequential(
            convolution(layers["reduce"]),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Dropout(layers["dropout"].rate),
            dense(layers["logits"], flattened_shape(layers["places"])),
        )

    def forward(self, faces):
        return self.head(self.stages(faces)[-1])


def _similarity(patches):
    """Cosine of the angle between any two of flattened patches (B, N, D): (B, N, N)."""
    unit = F.normalize(patches, dim=-1, eps=1e-6)
    return unit @ unit.transpose(1, 2)
