"""Training of the expression classifiers that several systems stand on."""

import keras

from tfface.adversarial import AdversarialModel
from tfface.losses import class_crossentropy


@keras.saving.register_keras_serializable("tfface")
class ExpressionTraining(AdversarialModel):
    """Trains a classifier of expressions by itself.

    So magnification trains C, and with it E, before G sees faces (GroupGAN, Algorithm 1), and
    regeneration its FER-Net (IA-gen, Sec. III-B).

    A batch is a dict: `face` (B, H, W, C), `label` (B,) class IDs.

    Args:
        classifier: Maps faces to class logits.
        class_weights: Factor of each class's faces in the loss, or None for 1.
    """

    def __init__(self, classifier, class_weights=None, **kwargs):
        super().__init__({"classifier": classifier}, tracked=("loss",), **kwargs)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def call(self, faces, training=False):
        return self.classifier(faces, training=training)

    def train_step(self, batch):
        logits = self.classifier(batch["face"], training=True)
        loss = class_crossentropy(batch["label"], logits, self.class_weights)
        self.update("classifier", loss)
        return self.track(loss=loss)

    def test_step(self, batch):
        self.accuracy.update_state(batch["label"], self.classifier(batch["face"], training=False))
        return {"accuracy": self.accuracy.result()}

    @property
    def test_metrics(self):
        return [self.accuracy]

    def get_config(self):
        return {
            "classifier": keras.saving.serialize_keras_object(self.classifier),
            "class_weights": self.class_weights,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))
