"""Synthesis of action units in PyTorch: Liu et al., 2020 (LAC-GAN), as `tfface.synthesis` has it.

Tensors of all AUs have them in the first axis, (n, B, ...).
"""

import torch
import torch.nn.functional as F

from benchmarks.peers.layers import (
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
    to_signed,
)
from benchmarks.peers.peer import Peer
from benchmarks.peers.synthesis_networks import (
    FaceDiscriminator,
    Generator,
    LatentDiscriminator,
    RegionDiscriminator,
    Stages,
    signed,
)


class SynthesisPeer(Peer):
    """The CARGs against D_img, and the D_z and D_AU of each AU (Eq. 3 to 10)."""

    def build(self, model):
        self.weights = {
            name: getattr(model, f"{name}_weight")
            for name in ("latent", "region", "identity", "variation", "label", "image")
        }
        self.layer_weights = model.identity_layer_weights
        self.unit_weights = torch.tensor(model.action_unit_weights)
        return {
            "generator": Generator(model.generator),
            "region_discriminator": RegionDiscriminator(model.region_discriminator),
            "latent_discriminator": LatentDiscriminator(model.latent_discriminator),
            "face_discriminator": FaceDiscriminator(model.face_discriminator),
            "identity_network": Stages(model.identity_network),
        }

    def answers(self):
        given = (self.batch[name] for name in ("face", "target", "landmarks"))
        return {"face": self.networks["generator"](*given)}

    def learn(self):
        face, net, weights = self.batch["face"], self.networks, self.weights
        own = self.batch["au"].T  # (n, B)
        values = torch.cat([own, self.batch["target"].T], 1)  # (n, 2 B)
        known = (values >= 0).float()

        generator = net["generator"]
        pixels, attention, places = generator.regions(face, self.batch["landmarks"])
        regions = attention * to_signed(pixels)  # Eq. 1
        latent = generator.encode(regions)
        attention = _twice(attention)
        places = None if places is None else torch.cat([places, places])
        drawn = generator.decode(_twice(latent), values, pixels)
        fakes = attention * to_signed(drawn)  # the G_i
        faces = generator.regions.compose(
            torch.cat([face, face]), attention * drawn, attention, known, places
        )  # Eq. 2

        losses = {}
        if weights["image"]:
            losses |= self._update_face_discriminator(face, faces.detach())
        if weights["latent"]:
            losses |= self._update_latent_discriminator(latent.detach())
        if weights["region"]:
            losses |= self._update_region_discriminator(regions, own, fakes.detach(), values)

        pixel_loss = _pixel_loss(regions, attention, fakes, own)
        loss = self._summed(pixel_loss)
        losses["pixel_loss"] = pixel_loss.mean()
        if weights["latent"]:
            with self.frozen("latent_discriminator"):
                latent_loss = F.softplus(-net["latent_discriminator"](latent)).mean(1)  # Eq. 6
            loss = loss + weights["latent"] * self._summed(latent_loss)
            losses["latent_loss"] = latent_loss.mean()
        if weights["region"]:
            with self.frozen("region_discriminator"):
                scores, labels = net["region_discriminator"](fakes, values)
            region_loss = _mean_known(F.softplus(-scores), known)  # Eq. 7
            label_loss = _mean_known((labels - signed(values)).square(), known)  # Eq. 8
            both = self._summed(region_loss + weights["label"] * label_loss)
            loss = loss + weights["region"] * both
            losses["region_loss"], losses["label_loss"] = region_loss.mean(), label_loss.mean()
        if weights["image"]:
            with self.frozen("face_discriminator"):
                logits = net["face_discriminator"](faces)
            losses["image_loss"] = non_saturating_generator_loss(logits)  # Eq. 3
            loss = loss + weights["image"] * losses["image_loss"]
        if weights["identity"]:
            losses["identity_loss"] = self._identity_loss(face, faces)
            loss = loss + weights["identity"] * losses["identity_loss"]
        if weights["variation"]:
            losses["variation_loss"] = _total_variation(faces)
            loss = loss + weights["variation"] * losses["variation_loss"]
        self.update("generator", loss)  # Eq. 10
        return losses

    def _update_face_discriminator(self, face, fakes):
        judge = self.networks["face_discriminator"]
        loss = non_saturating_discriminator_loss(judge(face), judge(fakes))  # Eq. 3
        self.update("face_discriminator", loss)
        return {"face_discriminator_loss": loss}

    def _update_latent_discriminator(self, latent):
        judge, prior = self.networks["latent_discriminator"], self.batch["prior"].transpose(0, 1)
        loss = non_saturating_discriminator_loss(judge(prior), judge(latent))  # Eq. 6
        self.update("latent_discriminator", loss)
        return {"latent_discriminator_loss": loss}

    def _update_region_discriminator(self, regions, own, fakes, values):
        judge = self.networks["region_discriminator"]
        real_scores, labels = judge(regions, own)
        fake_scores, _ = judge(fakes, values)
        real, fake = (own >= 0).float(), (values >= 0).float()
        loss = _mean_known(F.softplus(-real_scores), real)
        loss = loss + _mean_known(F.softplus(fake_scores), fake)  # Eq. 7
        error = _mean_known((labels - signed(own)).square(), real)  # Eq. 8
        self.update("region_discriminator", (loss + self.weights["label"] * error).mean())
        return {"region_discriminator_loss": loss.mean(), "label_error": error.mean()}

    def _identity_loss(self, face, faces):
        """Eq. 4."""
        with torch.no_grad():
            real = self.networks["identity_network"](face)
        levels = zip(
            self.layer_weights, real, self.networks["identity_network"](faces), strict=True
        )
        return sum(weight * F.l1_loss(b, torch.cat([a, a])) for weight, a, b in levels)

    def _summed(self, losses):
        return (losses * self.unit_weights).sum()


def _twice(x):
    """(n, B, ...) for a face's own labels and again for its targets."""
    return torch.cat([x, x], 1)


def _mean_known(entries, known):
    """Each AU's mean over the faces whose label is known: (n, B) to (n,)."""
    return (known * entries).sum(1) / known.sum(1).clamp(min=1.0)


def _pixel_loss(regions, attention, fakes, own):
    """Eq. 5 of each AU, (n,): the fakes with own labels, which come first, from the regions."""
    count = regions.shape[1]
    difference = (fakes[:, :count] - regions).abs().sum((2, 3, 4))
    weight = 6.0 * attention[:, :count].sum((2, 3, 4))
    return _mean_known(difference / weight.clamp(min=1e-6), (own >= 0).float())


def _total_variation(faces):
    vertical, horizontal = faces.diff(dim=2), faces.diff(dim=3)
    return vertical.square().mean() + horizontal.square().mean()
