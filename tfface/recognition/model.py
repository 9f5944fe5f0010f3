"""AdversarialAURecognizer: training from partly labeled faces (Algorithm 1, Eq. 2 to 5)."""

import keras
from keras import ops

from tfface.adversarial import AdversarialModel
from tfface.losses import NonSaturatingLoss, masked_binary_crossentropy
from tfface.metrics import ActionUnitF1


@keras.saving.register_keras_serializable("tfface")
class AdversarialAURecognizer(AdversarialModel):
    """Learns action units from faces of which only some are labeled.

    A discriminator of label vectors makes the predictions, for labeled and unlabeled faces alike,
    follow the joint distribution of an expert's labels.

    A batch is a dict (see `recognition.data`): `face` (m, H, W, 3), `au` (m, n_au) with NaN where
    unknown, `real` (m, n_au) label vectors y^r. Algorithm 1 draws a new mini-batch for each of its
    H_D + H_R updates; choice: the last update of D and the first of R share one, and with it one
    pass through R.

    Args:
        recognizer: R, (B, H, W, 3) -> (B, n_au) logits.
        discriminator: D, (B, n_au) in [0, 1] -> (B, 1) logits.
        adversarial_weight: alpha; 0 is the paper's baseline "O-wlc", whose D never plays.
        discriminator_updates: H_D.
        recognizer_updates: H_R.
        class_weights: Factors of the cross-entropy of each AU's present class, or None for 1 as in
            Eq. 5.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Wang et al., Deep Semi-supervised Facial Action Unit Recognition, Sec. 3.2.
    """

    def __init__(
        self,
        recognizer,
        discriminator,
        adversarial_weight: float = 0.01,
        discriminator_updates: int = 1,
        recognizer_updates: int = 1,
        class_weights=None,
        **kwargs,
    ):
        if not 0 <= adversarial_weight < 1:
            raise ValueError(
                f"`adversarial_weight` must be in [0, 1). Received: {adversarial_weight}"
            )
        updates = (discriminator_updates, recognizer_updates)
        if min(updates) < 1:
            raise ValueError(
                "`discriminator_updates` and `recognizer_updates` must be at least 1. "
                f"Received: {updates}"
            )
        super().__init__(
            {"recognizer": recognizer, "discriminator": discriminator},
            tracked=(
                "supervised_loss",
                "adversarial_loss",
                "discriminator_loss",
                "real_score",
                "predicted_score",
            ),
            turns=[
                *[("discriminator",)] * (discriminator_updates - 1),
                ("discriminator", "recognizer"),
                *[("recognizer",)] * (recognizer_updates - 1),
            ],
            **kwargs,
        )
        self.adversarial_weight = adversarial_weight
        self.discriminator_updates, self.recognizer_updates = updates
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.adversarial = NonSaturatingLoss()
        self.f1 = ActionUnitF1(recognizer.output_shape[-1], from_logits=True, name="f1")

    def call(self, faces, training=False):
        return self.recognizer(faces, training=training)

    def train_step(self, batch):
        logits = self.recognizer(batch["face"], training=True)
        predicted = ops.sigmoid(logits)  # R(x)

        figures = {}
        if self.adversarial_weight and self.due("discriminator"):
            real_scores = self.discriminator(batch["real"], training=True)
            scores = self.discriminator(ops.stop_gradient(predicted), training=True)
            loss = self.adversarial.discriminator_loss(real_scores, scores)  # Eq. 3
            self.update("discriminator", loss)
            figures["discriminator_loss"] = loss
            figures["real_score"] = ops.mean(ops.sigmoid(real_scores))
            figures["predicted_score"] = ops.mean(ops.sigmoid(scores))
        if self.due("recognizer"):
            figures["supervised_loss"] = self.supervised_loss(batch["au"], logits)
            loss = (1.0 - self.adversarial_weight) * figures["supervised_loss"]
            if self.adversarial_weight:
                scores = self.discriminator(predicted, training=True)
                figures["adversarial_loss"] = self.adversarial.generator_loss(scores)
                loss += self.adversarial_weight * figures["adversarial_loss"]  # Eq. 4
            self.update("recognizer", loss)
        return self.track(**figures)

    def supervised_loss(self, labels, logits):
        """Eq. 5 over the known labels, as a mean over AUs too; 0 where no label is known.

        Eq. 5 sums over AUs. The mean makes the loss of a face with few known labels weigh what it
        should and the learning rate mean the same for 8 AUs and 12; `adversarial_weight` is against
        the mean.
        """
        loss = masked_binary_crossentropy(labels, logits, self.class_weights)
        return loss * self.share(ops.sum(ops.cast(~ops.isnan(labels), "float32")))

    def test_step(self, batch):
        self.f1.update_state(batch["au"], self.recognizer(batch["face"], training=False))
        return {"f1": self.f1.result()}

    @property
    def test_metrics(self):
        return [self.f1]

    def get_config(self):
        return {
            "recognizer": keras.saving.serialize_keras_object(self.recognizer),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "adversarial_weight": self.adversarial_weight,
            "discriminator_updates": self.discriminator_updates,
            "recognizer_updates": self.recognizer_updates,
            "class_weights": self.class_weights,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))
