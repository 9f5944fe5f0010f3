"""LACGAN: the training of a face's action unit editor on unpaired faces (Eq. 1 to 10)."""

import keras
from keras import ops

from tfface.adversarial import AdversarialModel
from tfface.layers.regional import masked
from tfface.losses import NonSaturatingLoss, total_variation
from tfface.metrics import psnr
from tfface.synthesis.networks import signed

VGG_FACE_LAYERS = {"conv1_2": 0.5, "conv2_2": 0.9, "conv3_2": 0.75, "conv4_2": 1.0, "conv5_2": 1.0}
"""The layers of VGG-Face that Eq. 4 compares, with their weights alpha_l (Sec. 4.1)."""


@keras.saving.register_keras_serializable("tfface")
class SubjectTraining(AdversarialModel):
    """Trains a `SubjectClassifier` by itself, before its features watch over identity.

    A batch is a dict: `face` (B, H, W, 3), `label` (B,) numbers of people.

    Args:
        classifier: Maps faces to logits of people.
    """

    def __init__(self, classifier, **kwargs):
        super().__init__({"classifier": classifier}, tracked=("loss",), **kwargs)
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def call(self, faces, training=False):
        return self.classifier(faces, training=training)

    def train_step(self, batch):
        logits = self.classifier(batch["face"], training=True)
        losses = keras.losses.sparse_categorical_crossentropy(
            batch["label"], logits, from_logits=True
        )
        loss = ops.mean(losses)
        self.update("classifier", loss)
        return self.track(loss=loss)

    def test_step(self, batch):
        self.accuracy.update_state(batch["label"], self.classifier(batch["face"], training=False))
        return {"accuracy": self.accuracy.result()}

    @property
    def test_metrics(self):
        return [self.accuracy]

    def get_config(self):
        return {"classifier": keras.saving.serialize_keras_object(self.classifier)}

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


@keras.saving.register_keras_serializable("tfface")
class RegionTraining(AdversarialModel):
    """Trains the R_AU of all AUs by themselves, on real regions and their labels, before the game.

    Choice: the paper trains them with G from the start. A generator that learns from an R_AU that
    knows nothing yet learns what fools it; in a short training it has no time to forget that.

    A batch is a dict: `face` (B, H, W, 3), `landmarks` (B, 68, 2) and `au` (B, n), NaN where
    unknown.

    Args:
        cut: The generator's `cut`.
        regressor: `RegionDiscriminator.regressor`, maps regions to labels.

    Reference:
        Liu et al., Region Based Adversarial Synthesis of Facial Action Units, 2020, Eq. 8.
    """

    def __init__(self, cut, regressor, **kwargs):
        super().__init__({"regressor": regressor}, tracked=("label_error",), **kwargs)
        self.cut = cut

    def train_step(self, batch):
        pixels, attention, *_ = self.cut([batch["face"], batch["landmarks"]])
        labels = self.regressor(masked(2.0 * pixels - 1.0, attention), training=True)
        known = ops.cast(batch["au"] >= 0, "float32")
        errors = ops.square(labels - signed(batch["au"]))  # Eq. 8
        loss = ops.mean(_mean_known(self, errors, known))
        self.update("regressor", loss)
        return self.track(label_error=loss)


@keras.saving.register_keras_serializable("tfface")
class LACGAN(AdversarialModel):
    """Learns to switch each action unit of a face in its own region, from unpaired faces.

    Every face is drawn twice from one z: with its own labels, which must give it back, and with
    target labels, which must look real, as the labels say, and like the same person. Both
    count as fakes in every adversarial term. All three kinds of discriminators and the generator
    learn in each step, from the same fakes. What is drawn at random (targets, samples of the prior)
    comes with the batch, so that several devices see what one would.

    A batch is a dict (see `synthesis.data`): `face` (B, H, W, 3); `landmarks` (B, 68, 2), NaN where
    unknown; `au` and `target` (B, n) in [0, 1], NaN where unknown; `prior` (B, n, latent_size),
    even draws from (-1, 1). An AU without a label takes no part in what needs it: its own one in
    reconstruction and as a real pair of D_AU, a target in the target's terms.

    **What the paper leaves open, and the choices.** Eq. 10 has no weight for Eq. 3: `image_weight`.
    The norm of Eq. 5 is a mean over the region's pixels weighted by attention, so that it means the
    same at any size, for "crop" and for "full"; those of Eq. 4 are means as well. Eq. 8 trains R on
    fakes; then R and G can agree on any mark, so R learns from real regions and their own labels,
    and G descends Eq. 8 on its fakes. The adversarial terms are `NonSaturatingLoss`'s, in logits.

    Args:
        generator: LACGenerator.
        region_discriminator: D_AU and R_AU of all AUs.
        latent_discriminator: D_z of all AUs.
        face_discriminator: D_img, faces -> (B, 1) logits.
        identity_network: Frozen, faces -> list of feature maps, or None for no identity loss.
        identity_layer_weights: alpha_l, one for each of its maps; None for 1.
        latent_weight: lambda_1.
        region_weight: lambda_2.
        identity_weight: lambda_3.
        variation_weight: lambda_4.
        label_weight: lambda_AU.
        image_weight: Of Eq. 3 in the generator's loss.
        action_unit_weights: beta_i, one for each AU; None for 1.

    Raises:
        ValueError: If a weight is negative or there is not one a layer or an AU.

    Reference:
        Liu et al., Region Based Adversarial Synthesis of Facial Action Units, 2020.
    """

    def __init__(
        self,
        generator,
        region_discriminator,
        latent_discriminator,
        face_discriminator,
        identity_network=None,
        identity_layer_weights=None,
        latent_weight: float = 0.01,
        region_weight: float = 0.1,
        identity_weight: float = 1.0,
        variation_weight: float = 0.001,
        label_weight: float = 10.0,
        image_weight: float = 0.1,
        action_unit_weights=None,
        **kwargs,
    ):
        super().__init__(
            {
                "generator": generator,
                "region_discriminator": region_discriminator,
                "latent_discriminator": latent_discriminator,
                "face_discriminator": face_discriminator,
            },
            tracked=(
                "pixel_loss",
                "latent_loss",
                "region_loss",
                "label_loss",
                "image_loss",
                "identity_loss",
                "variation_loss",
                "region_discriminator_loss",
                "label_error",
                "latent_discriminator_loss",
                "face_discriminator_loss",
            ),
            **kwargs,
        )
        weights = {
            "latent_weight": latent_weight,
            "region_weight": region_weight,
            "identity_weight": identity_weight,
            "variation_weight": variation_weight,
            "label_weight": label_weight,
            "image_weight": image_weight,
        }
        for name, weight in weights.items():
            if not weight >= 0:
                raise ValueError(f"`{name}` must be at least 0. Received: {weight}")
            setattr(self, name, weight)
        layers = 0 if identity_network is None else len(identity_network.outputs)
        self.identity_layer_weights = _weights(
            "identity_layer_weights", identity_layer_weights, layers, "layers"
        )
        self.action_unit_weights = _weights(
            "action_unit_weights", action_unit_weights, len(generator.action_units), "AUs"
        )
        if identity_network is not None:
            identity_network.trainable = False
        self.identity_network = identity_network
        self.adversarial = NonSaturatingLoss()
        self.psnr = keras.metrics.Mean(name="psnr")

    def call(self, inputs, training=False):
        return self.generator(inputs, training=training)

    def train_step(self, batch):
        face, own = batch["face"], batch["au"]
        values = ops.concatenate([own, batch["target"]])  # (2 B, n)
        known = ops.cast(values >= 0, "float32")

        pixels, attention, *corners = self.generator.cut([face, batch["landmarks"]])
        regions = masked(2.0 * pixels - 1.0, attention)  # Eq. 1
        latent = self.generator.encoder(regions, training=True)
        attention, *corners = (_twice(x) for x in (attention, *corners))
        drawn = self.generator.decoder([_twice(latent), values, _twice(pixels)], training=True)
        fakes = masked(2.0 * drawn - 1.0, attention)  # the G_i
        composed = [_twice(face), masked(drawn, attention), attention, known, *corners]
        faces = self.generator.composer(composed)  # Eq. 2

        figures = {}
        if self.image_weight:
            figures |= self.update_face_discriminator(face, ops.stop_gradient(faces))
        if self.latent_weight:
            figures |= self.update_latent_discriminator(batch["prior"], ops.stop_gradient(latent))
        if self.region_weight:
            figures |= self.update_region_discriminator(
                regions, own, ops.stop_gradient(fakes), values
            )

        pixel_loss = self.pixel_loss(regions, attention, fakes, own)
        loss = self.summed(pixel_loss)
        figures["pixel_loss"] = ops.mean(pixel_loss)
        if self.latent_weight:
            scores = self.latent_discriminator(latent, training=True)
            latent_loss = _mean_known(self, ops.softplus(-scores), ops.ones_like(own))  # Eq. 6
            loss += self.latent_weight * self.summed(latent_loss)
            figures["latent_loss"] = ops.mean(latent_loss)
        if self.region_weight:
            scores, labels = self.region_discriminator([fakes, values], training=True)
            region_loss = _mean_known(self, ops.softplus(-scores), known)  # Eq. 7
            label_loss = _mean_known(self, ops.square(labels - signed(values)), known)  # Eq. 8
            loss += self.region_weight * self.summed(region_loss + self.label_weight * label_loss)
            figures["region_loss"] = ops.mean(region_loss)
            figures["label_loss"] = ops.mean(label_loss)
        if self.image_weight:
            logits = self.face_discriminator(faces, training=True)
            figures["image_loss"] = self.adversarial.generator_loss(logits)  # Eq. 3
            loss += self.image_weight * figures["image_loss"]
        if self.identity_network is not None and self.identity_weight:
            figures["identity_loss"] = self.identity_loss(face, faces)
            loss += self.identity_weight * figures["identity_loss"]
        if self.variation_weight:
            figures["variation_loss"] = total_variation(faces)
            loss += self.variation_weight * figures["variation_loss"]
        self.update("generator", loss)  # Eq. 10
        return self.track(**figures)

    def update_face_discriminator(self, face, fakes):
        """Eq. 3, for D_img."""
        loss = self.adversarial.discriminator_loss(
            self.face_discriminator(face, training=True),
            self.face_discriminator(fakes, training=True),
        )
        self.update("face_discriminator", loss)
        return {"face_discriminator_loss": loss}

    def update_latent_discriminator(self, prior, latent):
        """Eq. 6, for each D_z: samples of the prior are to score high, z of faces low."""
        loss = self.adversarial.discriminator_loss(
            self.latent_discriminator(prior, training=True),
            self.latent_discriminator(latent, training=True),
        )
        self.update("latent_discriminator", loss)
        return {"latent_discriminator_loss": loss}

    def update_region_discriminator(self, regions, own, fakes, values):
        """Eq. 7, for each D_AU and R_AU; R learns from real regions (see the class)."""
        real_scores, labels = self.region_discriminator([regions, own], training=True)
        fake_scores, _ = self.region_discriminator([fakes, values], training=True)
        real, fake = (ops.cast(v >= 0, "float32") for v in (own, values))
        loss = _mean_known(self, ops.softplus(-real_scores), real)
        loss += _mean_known(self, ops.softplus(fake_scores), fake)
        error = _mean_known(self, ops.square(labels - signed(own)), real)  # Eq. 8
        self.update("region_discriminator", ops.mean(loss + self.label_weight * error))
        return {"region_discriminator_loss": ops.mean(loss), "label_error": ops.mean(error)}

    def pixel_loss(self, regions, attention, fakes, own):
        """Eq. 5 of each AU, (n,): how far the fakes with a face's own labels are from its regions.

        Args:
            regions: (B, h, w, 3 n), X^AU_i.
            attention: (2 B, h, w, n).
            fakes: (2 B, h, w, 3 n), those with own labels first.
            own: (B, n), NaN where unknown.
        """
        count, (_, height, width, n) = ops.shape(regions)[0], attention.shape
        difference = ops.reshape(ops.abs(fakes[:count] - regions), (-1, height * width, n, 3))
        weight = 6.0 * ops.sum(attention[:count], axis=(1, 2))  # (B, n), 0 where none is in sight
        distance = ops.sum(difference, axis=(1, 3)) / ops.maximum(weight, 1e-6)
        return _mean_known(self, distance, ops.cast(own >= 0, "float32"))

    def identity_loss(self, face, faces):
        """Eq. 4: each layer's mean absolute difference, weighted; own and target fakes alike."""
        real = _levels(self.identity_network(face, training=False))
        fake = _levels(self.identity_network(faces, training=False))
        loss = 0.0
        for weight, a, b in zip(self.identity_layer_weights, real, fake, strict=True):
            difference = ops.cast(_twice(a), "float32") - ops.cast(b, "float32")
            loss += weight * ops.mean(ops.abs(difference))
        return loss

    def summed(self, losses):
        """`sum_i beta_i L_i` of losses (n,), one an AU."""
        return ops.sum(losses * ops.convert_to_tensor(self.action_unit_weights, "float32"))

    def test_step(self, batch):
        """How well faces come back with their own labels, every region drawn."""
        inputs = [batch["face"], batch["au"], batch["landmarks"]]
        self.psnr.update_state(psnr(batch["face"], self.generator(inputs, training=False)))
        return {"psnr": self.psnr.result()}

    @property
    def test_metrics(self):
        return [self.psnr]

    def get_config(self):
        networks = {name: getattr(self, name) for name in (*self.player_names, "identity_network")}
        return {
            **{
                name: network and keras.saving.serialize_keras_object(network)
                for name, network in networks.items()
            },
            "identity_layer_weights": self.identity_layer_weights,
            "latent_weight": self.latent_weight,
            "region_weight": self.region_weight,
            "identity_weight": self.identity_weight,
            "variation_weight": self.variation_weight,
            "label_weight": self.label_weight,
            "image_weight": self.image_weight,
            "action_unit_weights": self.action_unit_weights,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


def _mean_known(model, entries, known):
    """Each AU's mean over the faces whose label is known, over all replicas: (B, n) to (n,)."""
    count = ops.sum(known, axis=0)
    return ops.sum(known * entries, axis=0) / ops.maximum(count, 1.0) * model.share(count)


def _twice(x):
    """A batch for its own labels and again for its targets."""
    return ops.concatenate([x, x])


def _levels(features):
    return list(features) if isinstance(features, list | tuple) else [features]


def _weights(name, weights, count, of):
    weights = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if len(weights) != count or not all(weight >= 0 for weight in weights):
        raise ValueError(
            f"`{name}` must be one number of at least 0 for each of {count} {of}. "
            f"Received: {weights}"
        )
    return weights
