"""Semi-supervised recognition of action units in PyTorch, as `tfface.recognition` has it."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.backbones import Backbone
from benchmarks.peers.layers import (
    dense,
    flattened_shape,
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
    to_signed,
)
from benchmarks.peers.peer import Peer


class RecognitionPeer(Peer):
    """The recognizer R against a discriminator D of label vectors (Wang et al., Eq. 2 to 5)."""

    def build(self, model):
        self.weight = model.adversarial_weight
        self.class_weights = None
        if model.class_weights is not None:
            self.class_weights = torch.tensor(model.class_weights)
        return {
            "recognizer": Recognizer(model.recognizer),
            "discriminator": Discriminator(model.discriminator),
        }

    def answers(self):
        return {"logits": self.networks["recognizer"](self.batch["face"])}

    def learn(self):
        net, losses = self.networks, {}
        with torch.set_grad_enabled(self.due("recognizer")):
            logits = net["recognizer"](self.batch["face"])
        predicted = torch.sigmoid(logits)  # R(x)

        if self.weight and self.due("discriminator"):
            real = net["discriminator"](self.batch["real"])
            fake = net["discriminator"](predicted.detach())
            losses["discriminator_loss"] = non_saturating_discriminator_loss(real, fake)  # Eq. 3
            self.update("discriminator", losses["discriminator_loss"])
            losses["real_score"] = torch.sigmoid(real).mean()
            losses["predicted_score"] = torch.sigmoid(fake).mean()
        if self.due("recognizer"):
            losses["supervised_loss"] = self._supervised(logits)
            loss = (1.0 - self.weight) * losses["supervised_loss"]
            if self.weight:
                with self.frozen("discriminator"):
                    scores = net["discriminator"](predicted)
                losses["adversarial_loss"] = non_saturating_generator_loss(scores)
                loss = loss + self.weight * losses["adversarial_loss"]  # Eq. 4
            self.update("recognizer", loss)
        return losses

    def _supervised(self, logits):
        """Eq. 5: cross-entropy, the mean over the labels that are known."""
        labels = self.batch["au"]
        known = ~labels.isnan()
        entries = F.binary_cross_entropy_with_logits(
            logits, labels.nan_to_num(), pos_weight=self.class_weights, reduction="none"
        )
        return (entries * known).sum() / known.sum().clamp(min=1)


class Recognizer(nn.Module):
    """(B, 3, H, W) in [0, 1] to (B, AUs) logits: an image network and one dense layer."""

    def __init__(self, network):
        super().__init__()
        config = network.get_config()
        self.backbone = Backbone(network, config["backbone"], config["pooling"])
        flattened = None
        if config["pooling"] == "flatten":
            flattened = flattened_shape(network.get_layer("pool"))
        self.head = nn.Sequential(
            nn.Dropout(config["dropout"]), dense(network.get_layer("logits"), flattened)
        )

    def forward(self, faces):
        return self.head(self.backbone(faces))


class Discriminator(nn.Sequential):
    """(B, AUs) in [0, 1] to (B, 1) logits."""

    def __init__(self, network):
        hidden = []
        for i in range(len(network.get_config()["units"])):
            layer = dense(network.get_layer(f"dense_{i}"))
            hidden += [layer, nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*hidden, dense(network.get_layer("logit")))

    def forward(self, labels):
        return super().forward(to_signed(labels))
