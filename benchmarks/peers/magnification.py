"""Magnification of weak expressions in PyTorch, as `tfface.magnification` has it."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.backbones import Backbone
from benchmarks.peers.layers import (
    ResidualBlock,
    convolution,
    dense,
    flattened_shape,
    non_saturating_discriminator_loss,
    to_signed,
    transposed_convolution,
)
from benchmarks.peers.peer import Peer

WEIGHTS = (
    "real_weight",
    "peak_weight",
    "class_weight",
    "extractor_real_weight",
    "extractor_peak_weight",
)
"""Of the parts of G's and E's losses."""

MARGIN = 0.01
"""How near to 0 and 1 a face may come before its logit is taken."""


class MagnificationPeer(Peer):
    """GroupGAN: G and E against D and D', watched by the classifier C (Niu et al., Algorithm 1)."""

    def build(self, model):
        self.weights = {name: getattr(model, name) for name in WEIGHTS}
        if (model.mode, model.adversarial_loss) != ("2v2", "minimax") or 0 in self.weights.values():
            raise ValueError(
                "`model` must play as in the configs: mode '2v2', adversarial loss 'minimax', "
                f"weights above 0. Received: {model.mode!r}, {model.adversarial_loss!r}, "
                f"{self.weights}"
            )
        self.content_loss = model.content_loss
        return {
            "generator": Generator(model.generator),
            "extractor": ExpressionNet(model.extractor),
            "discriminator": Discriminator(model.discriminator),
            "peak_discriminator": Discriminator(model.peak_discriminator),
            "classifier": ExpressionNet(model.classifier),
        }

    def answers(self):
        net, weak = self.networks, self.batch["weak"]
        face = net["generator"](weak, net["extractor"](weak))
        return {"face": face, "logits": net["classifier"](face)}

    def learn(self):
        net, weak, peak = self.networks, self.batch["weak"], self.batch["peak"]
        weights = self.weights
        # E learns last: until then its features are given.
        weak_feature = net["extractor"](weak)
        given = weak_feature.detach()
        with torch.no_grad():
            peak_feature = net["extractor"](peak)

        fake = net["generator"](weak, given)
        losses = self._judges_learn(fake.detach(), given, peak_feature)
        losses["content_loss"] = self._content_loss(fake, peak_feature)  # Eq. 12
        with self.frozen("discriminator", "peak_discriminator"):
            real, peaked, classes = self._opposing_losses(fake, given)
        losses |= {"real_loss": real, "peak_loss": peaked, "class_loss": classes}
        loss = weights["real_weight"] * real + weights["peak_weight"] * peaked
        loss = loss + weights["class_weight"] * classes + losses["content_loss"]
        self.update("generator", loss)  # Eq. 6

        with self.frozen("generator", "discriminator", "peak_discriminator"):
            fake = net["generator"](weak, weak_feature)  # by the G that has learned
            real, peaked, classes = self._opposing_losses(fake, weak_feature)
        loss = weights["extractor_real_weight"] * real + weights["extractor_peak_weight"] * peaked
        losses["extractor_loss"] = loss + classes
        self.update("extractor", losses["extractor_loss"])  # Eq. 13
        return losses

    def _judges_learn(self, fake, weak_feature, peak_feature):
        """A step of D and one of D', against the same fake; returns their losses."""
        weak, peak, judges = self.batch["weak"], self.batch["peak"], self.networks
        features = torch.cat([weak_feature, peak_feature])
        real = judges["discriminator"](torch.cat([weak, peak]), features)
        loss = non_saturating_discriminator_loss(
            real, judges["discriminator"](fake, weak_feature)
        )  # Eq. 7, 8, 14, 15
        self.update("discriminator", loss)  # Eq. 4
        peak_loss = non_saturating_discriminator_loss(
            judges["peak_discriminator"](peak, peak_feature),
            judges["peak_discriminator"](fake, weak_feature),
        )  # Eq. 9, 10, 16, 17
        self.update("peak_discriminator", peak_loss)  # Eq. 5
        return {"discriminator_loss": loss, "peak_discriminator_loss": peak_loss}

    def _content_loss(self, fake, peak_feature):
        """Eq. 1 and 12, or the distance of E's features."""
        if self.content_loss == "pixel":
            return F.mse_loss(fake, self.batch["peak"])
        with self.frozen("extractor"):
            return F.mse_loss(self.networks["extractor"](fake), peak_feature)

    def _opposing_losses(self, fake, feature):
        """What D, D' and C say of a fake: Eq. 2 of each judge, and Eq. 11."""
        net = self.networks
        judged = (
            -F.softplus(net[judge](fake, feature)).mean()
            for judge in ("discriminator", "peak_discriminator")
        )
        return *judged, F.cross_entropy(net["classifier"](fake), self.batch["label"])


class ExpressionNet(nn.Module):
    """(B, 3, H, W) in [0, 1] to (B, 256) features, the extractor E, or to (B, classes) logits, C.

    AlexNet and the VGGs normalize nothing: they compute the same in training and at inference.
    """

    def __init__(self, network):
        super().__init__()
        config = network.get_config()
        flattened = flattened_shape(network.get_layer("pool"))
        self.backbone = Backbone(network, config["backbone"], config["pooling"] or "flatten")
        head = [
            dense(network.get_layer("dense"), flattened),
            nn.ReLU(inplace=True),
            dense(network.get_layer("expression")),
            nn.ReLU(inplace=True),
        ]
        if config["num_classes"] is not None:
            head.append(dense(network.get_layer("logits")))
        self.head = nn.Sequential(*head)

    def forward(self, faces):
        return self.head(self.backbone(faces))


class Generator(nn.Module):
    """(B, 3, H, W) in [0, 1] and (B, 256) to (B, 3, H, W) in [0, 1] (Fig. 3)."""

    def __init__(self, network):
        super().__init__()
        get, self.residual = network.get_layer, network.get_config()["residual"]
        encoders = []
        for i in range(4):
            encoders += _activated(convolution(get(f"encode_{i}")))
            encoders.append(ResidualBlock(get(f"residual_{i}")))
        self.encoder = nn.Sequential(*encoders)
        self.decoder = nn.Sequential(
            *_activated(convolution(get("decode_0"))),
            *_activated(transposed_convolution(get("decode_1"))),
            *_activated(transposed_convolution(get("decode_2"))),
            *_activated(transposed_convolution(get("decode_3"))),
            *_activated(convolution(get("refine"))),
            convolution(get("change" if self.residual else "draw")),
        )

    def forward(self, faces, features):
        x = self.encoder(to_signed(faces))  # (B, filters[3], H / 8, W / 8)
        tiled = _standardized(features)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        x = self.decoder(torch.cat([x, tiled], 1))
        if self.residual:
            x = x + torch.logit(faces, MARGIN)
        return torch.sigmoid(x)


class Discriminator(nn.Module):
    """(B, 3, H, W) in [0, 1] and (B, 256) to (B, 1) logits: D or D' (Sec. 3.2)."""

    def __init__(self, network):
        super().__init__()
        get, places = network.get_layer, flattened_shape(network.get_layer("flatten"))
        convolutions = []
        for i in range(len(network.get_config()["filters"])):
            convolutions += _activated(convolution(get(f"conv_{i}")))
        self.trunk = nn.Sequential(*convolutions, nn.Flatten())
        self.head = nn.Sequential(
            *_activated(dense(get("dense_0"), places)),
            *_activated(dense(get("dense_1"))),
            dense(get("logit")),
        )

    def forward(self, faces, features):
        x = self.trunk(to_signed(faces))
        return self.head(torch.cat([x, _standardized(features)], 1))


def _activated(layer):
    return layer, nn.LeakyReLU(0.2, inplace=True)


def _standardized(features):
    """Each feature vector with mean 0 and deviation 1."""
    return F.layer_norm(features, features.shape[1:], eps=1e-3)
