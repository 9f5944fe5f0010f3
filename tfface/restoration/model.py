"""ExpressionRestorer: training that restores faces with their expression (Eq. 1 to 5)."""

import keras
from keras import ops

from tfface.adversarial import AdversarialModel, gradient_penalty
from tfface.losses import get_adversarial_loss, masked_binary_crossentropy, perceptual_distance
from tfface.metrics import psnr, ssim

PENALTY_WEIGHT = 10.0
"""Weight of the gradient penalty of "wgan-gp" (Gulrajani et al., 2017)."""


@keras.saving.register_keras_serializable("tfface")
class ActionUnitTraining(AdversarialModel):
    """Trains the AU classifier by itself, before the generator sees it.

    The loss is the mean over the labels that are known in the global batch.

    Args:
        classifier: Maps faces to AU logits.
        class_weights: Weight of each AU's present class against its absent one, or None for 1.
    """

    def __init__(self, classifier, class_weights=None, **kwargs):
        super().__init__({"classifier": classifier}, tracked=("loss",), **kwargs)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def call(self, faces, training=False):
        return self.classifier(faces, training=training)

    def train_step(self, batch):
        logits = self.classifier(batch["face"], training=True)
        loss = masked_binary_crossentropy(batch["au"], logits, self.class_weights)
        loss *= self.share(ops.sum(ops.cast(~ops.isnan(batch["au"]), "float32")))
        self.update("classifier", loss)
        return self.track(loss=loss)

    def get_config(self):
        return {
            "classifier": keras.saving.serialize_keras_object(self.classifier),
            "class_weights": self.class_weights,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


@keras.saving.register_keras_serializable("tfface")
class ExpressionRestorer(AdversarialModel):
    """Restores small, partly hidden faces so that their action units stay as they were.

    A batch is a dict (see `restoration.data`): `low` (B, h, w, 3), `mask` (B, h, w, 1), `face` (B,
    H, W, 3).

    Args:
        generator: (B, h, w, 3 or 4) -> (B, H, W, 3); four channels where it is told which pixels
            are hidden.
        discriminator: (B, H, W, 3) -> (B, 1) logits.
        classifier: Frozen, (B, H, W, 3) -> AU logits. May be None where `expression_weight` is 0.
        perceptual_network: Frozen, maps faces to a list of feature maps. May be None where
            `perceptual_weight` is 0.
        adversarial_loss: "non_saturating", "hinge", "lsgan" or "wgan-gp".
        adversarial_weight: lambda_1.
        expression_weight: lambda_2; 0 is the paper's variant "Ours-".
        perceptual_weight: lambda_3.
        discriminator_period: Generator steps for each step of the discriminator.

    Raises:
        ValueError: If a weight is negative, or asks for a network that is not there, or the
            period is below 1.

    Reference:
        Liu et al., Facial Expression Restoration Based on Improved Graph Convolutional Networks,
        2019, Sec. 3.1.
    """

    def __init__(
        self,
        generator,
        discriminator,
        classifier=None,
        perceptual_network=None,
        adversarial_loss: str = "non_saturating",
        adversarial_weight: float = 0.001,
        expression_weight: float = 0.001,
        perceptual_weight: float = 0.5,
        discriminator_period: int = 3,
        **kwargs,
    ):
        if discriminator_period < 1:
            raise ValueError(
                f"`discriminator_period` must be at least 1. Received: {discriminator_period}"
            )
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            tracked=(
                "pixel_loss",
                "perceptual_loss",
                "expression_loss",
                "adversarial_loss",
                "discriminator_loss",
            ),
            turns=[("generator",)] * (discriminator_period - 1) + [("generator", "discriminator")],
            **kwargs,
        )
        weights = {
            "adversarial": adversarial_weight,
            "expression": expression_weight,
            "perceptual": perceptual_weight,
        }
        for name, weight in weights.items():
            if not weight >= 0:
                raise ValueError(f"`{name}_weight` must be at least 0. Received: {weight}")
        if expression_weight and classifier is None:
            raise ValueError(
                "An `expression_weight` above 0 needs a `classifier`. Received: classifier=None"
            )
        if perceptual_weight and perceptual_network is None:
            raise ValueError(
                "A `perceptual_weight` above 0 needs a `perceptual_network`. Received: None"
            )
        for frozen in (classifier, perceptual_network):
            if frozen is not None:
                frozen.trainable = False
        self.classifier = classifier
        self.perceptual_network = perceptual_network
        self.adversarial_loss = adversarial_loss
        self.adversarial = get_adversarial_loss(adversarial_loss)
        self.adversarial_weight = adversarial_weight
        self.expression_weight = expression_weight
        self.perceptual_weight = perceptual_weight
        self.discriminator_period = discriminator_period
        self.psnr = keras.metrics.Mean(name="psnr")
        self.ssim = keras.metrics.Mean(name="ssim")

    def call(self, low, training=False):
        return self.generator(low, training=training)

    def generator_input(self, batch):
        """What the generator sees of a batch: the small face, and the mask if it takes one."""
        if self.generator.inputs[0].shape[-1] == 4:
            return ops.concatenate([batch["low"], batch["mask"]], axis=-1)
        return batch["low"]

    def train_step(self, batch):
        truth = batch["face"]
        restored = self.generator(self.generator_input(batch), training=True)

        figures = {"pixel_loss": self.pixel_loss(truth, restored)}
        loss = figures["pixel_loss"]
        if self.adversarial_weight:
            if self.due("discriminator"):
                figures["discriminator_loss"] = self.discriminator_loss(
                    truth, ops.stop_gradient(restored)
                )
                self.update("discriminator", figures["discriminator_loss"])
            logits = self.discriminator(restored, training=True)
            figures["adversarial_loss"] = self.adversarial.generator_loss(logits)
            loss += self.adversarial_weight * figures["adversarial_loss"]
        if self.expression_weight:
            figures["expression_loss"] = self.expression_loss(truth, restored)
            loss += self.expression_weight * figures["expression_loss"]
        if self.perceptual_weight:
            figures["perceptual_loss"] = self.perceptual_loss(truth, restored)
            loss += self.perceptual_weight * figures["perceptual_loss"]
        self.update("generator", loss)
        return self.track(**figures)

    def pixel_loss(self, truth, restored):
        """Eq. 1, as the mean over pixels of the squared difference."""
        return ops.mean(ops.square(truth - restored))

    def perceptual_loss(self, truth, restored):
        """Eq. 2: features of truth and restored, each level's mean squared difference, summed."""
        return perceptual_distance(
            self.perceptual_network(truth, training=False),
            self.perceptual_network(restored, training=False),
        )

    def discriminator_loss(self, truth, restored):
        """Eq. 3, the right way round: real faces are to score high, restored ones low."""
        # One pass each: batch normalization sees real and restored faces apart, as in SRGAN.
        loss = self.adversarial.discriminator_loss(
            self.discriminator(truth, training=True), self.discriminator(restored, training=True)
        )
        if self.adversarial_loss == "wgan-gp":
            seed = ops.stack([ops.cast(self.step, "int32"), 0])
            loss += PENALTY_WEIGHT * gradient_penalty(self.discriminator, truth, restored, seed)
        return loss

    def expression_loss(self, truth, restored):
        """Eq. 4: squared distance of the classifier's logits, mean over the batch."""
        logits = [self.classifier(faces, training=False) for faces in (truth, restored)]
        difference = ops.cast(logits[0], "float32") - ops.cast(logits[1], "float32")
        return ops.mean(ops.sum(ops.square(difference), axis=-1))

    def test_step(self, batch):
        restored = self.generator(self.generator_input(batch), training=False)
        self.psnr.update_state(psnr(batch["face"], restored))
        self.ssim.update_state(ssim(batch["face"], restored))
        return {metric.name: metric.result() for metric in self.test_metrics}

    @property
    def test_metrics(self):
        return [self.psnr, self.ssim]

    def get_config(self):
        networks = {
            name: getattr(self, name)
            for name in ("generator", "discriminator", "classifier", "perceptual_network")
        }
        return {
            **{
                name: network and keras.saving.serialize_keras_object(network)
                for name, network in networks.items()
            },
            "adversarial_loss": self.adversarial_loss,
            "adversarial_weight": self.adversarial_weight,
            "expression_weight": self.expression_weight,
            "perceptual_weight": self.perceptual_weight,
            "discriminator_period": self.discriminator_period,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))
