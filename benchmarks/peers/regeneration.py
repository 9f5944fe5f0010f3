"""Regeneration of expressions in PyTorch, as `tfface.regeneration` has it."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.backbones import Backbone, Levels
from benchmarks.peers.layers import (
    convolution,
    dense,
    flattened_shape,
    normalization,
    to_signed,
    transposed_convolution,
)
from benchmarks.peers.peer import Peer

MARGIN = 0.01
"""How near to 0 and 1 a face may come before its logit is taken."""


class RegenerationPeer(Peer):
    """IA-gen: a conditional GAN for each expression, side by side (Yang et al., Eq. 1 to 8)."""

    def build(self, model):
        whole = model.regenerator
        if model.content_loss != "l1" or not model.perceptual_weight or whole.extractor is not None:
            raise ValueError(
                "`model` must be as in the configs: content loss 'l1', perceptual weight above 0, "
                f"features of its classifier. Received: {model.content_loss!r}, "
                f"{model.perceptual_weight}, {whole.extractor}"
            )
        self.expressions, self.classes = model.expressions, whole.classes
        self.content_weight, self.perceptual_weight, self.generator_weight = (
            getattr(model, f"{name}_weight") for name in ("content", "perceptual", "generator")
        )
        networks = {}
        for name in self.expressions:
            for kind, made in ("generator", Generator), ("discriminator", Discriminator):
                networks[f"{kind}_{name}"] = made(getattr(model, f"{kind}_{name}"))
        config, phi = whole.classifier.get_config(), model.loss_network
        if config["backbone"] == "fer_net":
            features = FerNetFeatures(whole.classifier)
            levels = FerNetLevels(phi, phi.output_names)
        else:
            pooling = config["pooling"] or "avg"
            features = Backbone(whole.classifier, config["backbone"], pooling)
            levels = Levels(phi, config["backbone"], phi.output_names)
        return {**networks, "features": features, "loss_network": levels}

    def answers(self):
        face, net = self.batch["face"], self.networks
        made = [net[f"generator_{name}"](face) for name in self.classes]
        features = net["features"](torch.cat([face, *made]))
        features = features.unflatten(0, (1 + len(made), -1))  # (1 + classes, B, F)
        distances = torch.linalg.vector_norm(features[0] - features[1:], dim=-1)  # Eq. 8
        return {"faces": torch.stack(made, 1), "distances": distances.T}

    def learn(self):
        played = [
            self._play(
                f"generator_{name}",
                f"discriminator_{name}",
                self.batch["target"][:, i],
                self.batch["known"][:, i],
            )
            for i, name in enumerate(self.expressions)
        ]
        return {name: sum(losses[name] for losses in played) / len(played) for name in played[0]}

    def _play(self, generator, discriminator, target, known):
        """A step of the cGAN of one expression; returns its losses.

        Args:
            generator: Name of the player G.
            discriminator: Name of the player D.
            target: (B, C, H, W) in [0, 1], I_target.
            known: (B,), 1 where the target is the face's person, else 0.
        """
        face, judge = self.batch["face"], self.networks[discriminator]
        output = self.networks[generator](face)  # I_output

        def mean(values):
            """The mean over the faces whose target is known."""
            return (known * values.flatten(1).mean(1)).sum() / known.sum().clamp(min=1)

        real, fake = judge(face, target), judge(face, output.detach())
        losses = {"discriminator_loss": mean(F.softplus(-real)) + mean(F.softplus(fake))}  # Eq. 1
        self.update(discriminator, losses["discriminator_loss"])

        with self.frozen(discriminator):
            losses["adversarial_loss"] = mean(F.softplus(-judge(face, output)))  # Eq. 3
        losses["content_loss"] = mean((target - output).abs())
        with torch.no_grad():
            wanted = self.networks["loss_network"](target)
        levels = zip(wanted, self.networks["loss_network"](output), strict=True)
        losses["perceptual_loss"] = sum(mean((a - b).square()) for a, b in levels)  # Eq. 5
        loss = losses["adversarial_loss"] + self.content_weight * losses["content_loss"]
        loss = loss + self.perceptual_weight * losses["perceptual_loss"]  # Eq. 6
        self.update(generator, self.generator_weight * loss)  # Eq. 7
        return losses


class Generator(nn.Module):
    """(B, C, H, W) in [0, 1] to the same: the U-Net of one expression (Sec. III-A)."""

    def __init__(self, network):
        super().__init__()
        config, get = network.get_config(), network.get_layer
        count, dropout = len(config["filters"]), config["dropout"]
        self.residual = config["residual"]
        self.encoders = nn.ModuleList(
            nn.Sequential(
                convolution(get(f"encode_{i}")),
                normalization(get(f"encode_{i}_norm")),
                nn.ReLU(inplace=True),
            )
            for i in range(count)
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                transposed_convolution(get(f"decode_{i}")),
                normalization(get(f"decode_{i}_norm")),
                nn.Dropout(dropout if i < 3 else 0.0),
                nn.ReLU(inplace=True),
            )
            for i in range(count - 1)
        )
        self.decoders.append(transposed_convolution(get("change" if self.residual else "draw")))

    def forward(self, faces):
        x, skips = to_signed(faces), []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
        x = self.decoders[0](skips.pop())
        for decoder in self.decoders[1:]:
            x = decoder(torch.cat([x, skips.pop()], 1))
        if self.residual:
            x = x + torch.logit(faces, MARGIN)
        return torch.sigmoid(x)


class Discriminator(nn.Module):
    """(B, C, H, W), the face given, and the same, the one to judge, to (B, 1, h, w) logits."""

    def __init__(self, network):
        super().__init__()
        parts = []
        for i in range(len(network.get_config()["filters"])):
            parts.append(convolution(network.get_layer(f"conv_{i}")))
            if i:
                parts.append(normalization(network.get_layer(f"conv_{i}_norm")))
            parts.append(nn.LeakyReLU(0.2, inplace=True))
        self.chain = nn.Sequential(*parts, convolution(network.get_layer("logits")))

    def forward(self, given, judged):
        return self.chain(to_signed(torch.cat([given, judged], 1)))


class FerNetLevels(nn.Module):
    """(B, C, H, W) in [0, 1] to the list of what some layers compute, and no layer after them.

    Args:
        network: Keras network that holds FER-Net's convolutions.
        layer_names: Such as "block2_relu2" or "block4_pool".
    """

    def __init__(self, network, layer_names):
        super().__init__()
        self.layer_names, self.stages = set(layer_names), nn.ModuleDict()
        for name, stage in _fer_net(network):
            self.stages[name] = stage
            if self.layer_names <= set(self.stages):
                break

    def forward(self, faces):
        x, found = to_signed(faces), []
        for name, stage in self.stages.items():
            x = stage(x)
            if name in self.layer_names:
                found.append(x)
        return found


class FerNetFeatures(nn.Module):
    """(B, C, H, W) in [0, 1] to (B, 256), what faces are compared by (Sec. III-B)."""

    def __init__(self, network):
        super().__init__()
        flattened = flattened_shape(network.get_layer("pool"))
        self.trunk = FerNetLevels(network, ["block4_pool"])
        self.head = nn.Sequential(
            nn.Flatten(), dense(network.get_layer("features"), flattened), nn.ReLU(inplace=True)
        )

    def forward(self, faces):
        return self.head(self.trunk(faces)[-1])


def _fer_net(network):
    """The name and module of each stage, made one by one: the network may end before the last."""
    for i in range(1, 5):
        for j in (1, 2):
            layer, norm = (network.get_layer(f"block{i}_{part}{j}") for part in ("conv", "bn"))
            stage = nn.Sequential(convolution(layer), normalization(norm), nn.ReLU(inplace=True))
            yield f"block{i}_relu{j}", stage
        yield f"block{i}_pool", nn.MaxPool2d(2, 2)
