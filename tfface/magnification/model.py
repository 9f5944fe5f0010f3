"""GroupGAN: faces of weak expressions, magnified to their peaks and recognized (Algorithm 1)."""

import keras
from keras import ops

from tfface.adversarial import AdversarialModel
from tfface.losses import NonSaturatingLoss, class_crossentropy, perceptual_distance
from tfface.magnification.networks import check_inputs
from tfface.metrics import psnr

MODES = {
    "cnn": (),
    "dcgan": ("generator", "discriminator"),
    "1v2": ("generator", "discriminator", "peak_discriminator"),
    "2v2": ("generator", "extractor", "discriminator", "peak_discriminator"),
}
"""The forms that Table 1 compares, each with its players beside the classifier."""

CONTENT_LOSSES = ("pixel", "perceptual")


@keras.saving.register_keras_serializable("tfface")
class MinimaxLoss(NonSaturatingLoss):
    """The paper's form: the generator descends `mean(log(1 - D(fake)))`, at most 0 (Eq. 2).

    Its gradient is D(fake) in the logit, which vanishes where the discriminator wins: a fake that
    is seen through teaches nothing. `NonSaturatingLoss`, -log(D(fake)), keeps it there.
    """

    def generator_loss(self, fake_logits):
        return -ops.mean(ops.softplus(ops.cast(fake_logits, "float32")))


ADVERSARIAL_LOSSES = {"minimax": MinimaxLoss, "non_saturating": NonSaturatingLoss}


@keras.saving.register_keras_serializable("tfface")
class ReconstructionTraining(AdversarialModel):
    """Trains G's encoder and decoder to give faces back, before it magnifies (Algorithm 1).

    A batch is a dict with `face` (B, H, W, 3).

    Args:
        generator: G.
        extractor: E for a G that takes features, which it shall know when the game begins; E does
            not learn here. None for a G without.

    Raises:
        ValueError: If there is an extractor for a generator without features, or none for one with.
    """

    def __init__(self, generator, extractor=None, **kwargs):
        check_inputs({"generator": generator}, extractor)
        super().__init__({"generator": generator}, tracked=("loss",), **kwargs)
        self.extractor = extractor
        self.psnr = keras.metrics.Mean(name="psnr")

    def call(self, faces, training=False):
        feature = self.extractor and self.extractor(faces, training=False)
        return _given(self.generator, faces, feature, training)

    def train_step(self, batch):
        loss = pixel_distance(batch["face"], self(batch["face"], training=True))
        self.update("generator", loss)
        return self.track(loss=loss)

    def test_step(self, batch):
        self.psnr.update_state(psnr(batch["face"], self(batch["face"], training=False)))
        return {"psnr": self.psnr.result()}

    @property
    def test_metrics(self):
        return [self.psnr]

    def get_config(self):
        return {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "extractor": self.extractor and keras.saving.serialize_keras_object(self.extractor),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


@keras.saving.register_keras_serializable("tfface")
class GroupGAN(AdversarialModel):
    """Magnifies weak expressions to peaks, and reads the class off the magnified face.

    A generator (with an extractor) plays against two discriminators: D tells real faces from fake
    ones, D' real peaks from fake ones. A classifier C, which was trained on peaks, only watches
    that the expression is kept: it is no player ("does not participate in the competing process",
    Sec. 3.1), so nothing here changes it, except in the mode "cnn", where it alone learns, from
    weak faces.

    A batch is a dict (see `magnification.data`): `weak` and `peak` (B, H, W, 3) of the same class
    and, where there are pairs, person; `label` (B,) class IDs.

    **Fakes.** Algorithm 1 synthesizes for every update. E and G do not change before G's update, so
    D, D' and G can share one fake; E's update comes after G's and sees what the new G makes: the
    second fake of a step in the mode "2v2", and the last. The features of weak and peak faces serve
    all four updates, since E changes last. No update's value differs from Algorithm 1's, given one
    mini-batch a step (it samples one for each update).

    **What the paper leaves open, and the choices.** Eq. 6 and 13 add phi = -log(1 - D), which would
    have G and E help D; Algorithm 1 has the right sign, and is followed. F_exp beside a real face
    (Eq. 14, 16) is that face's own, and beside a fake (Eq. 15, 17) that of the weak face it was
    made of: so E is drawn to features of weak faces that pass for features of peaks (Sec. 1). The
    squared norm of Eq. 1 and 12 is a mean over pixels. The paper's 2e-3 holds for all five weights.

    Args:
        classifier: C, (B, H, W, 3) -> (B, classes) logits.
        generator: G, weak faces -> faces; in "2v2" from [faces, features].
        extractor: E, (B, H, W, 3) -> (B, features); pre-trained on peaks.
        discriminator: D, faces -> (B, 1) logits; in "2v2" from [faces, features].
        peak_discriminator: D', as D.
        mode: "cnn" (C on the weak face), "dcgan" (G and D), "1v2" (G, D and D'), "2v2" (all).
            The networks must be those of the mode, and no others.
        content_loss: "pixel" (Eq. 12) or "perceptual": the squared distance of E's features (Sec.
            4.3), for sets whose peaks are of other people; it needs the extractor.
        adversarial_loss: "minimax", the paper's log(1 - D), or "non_saturating", -log(D).
        real_weight: alpha_G.
        peak_weight: beta_G; idle without D'.
        class_weight: gamma_G.
        extractor_real_weight: alpha_E; idle without E.
        extractor_peak_weight: beta_E; idle without E.

    Raises:
        ValueError: If a name is unknown, a weight is negative, or the networks are not the mode's.

    Reference:
        Niu et al., Four-player GroupGAN for weak expression recognition via latent expression
        magnification, 2022, Algorithm 1.
    """

    def __init__(
        self,
        classifier,
        generator=None,
        extractor=None,
        discriminator=None,
        peak_discriminator=None,
        mode: str = "2v2",
        content_loss: str = "pixel",
        adversarial_loss: str = "minimax",
        real_weight: float = 2e-3,
        peak_weight: float = 2e-3,
        class_weight: float = 2e-3,
        extractor_real_weight: float = 2e-3,
        extractor_peak_weight: float = 2e-3,
        **kwargs,
    ):
        networks = {
            "generator": generator,
            "extractor": extractor,
            "discriminator": discriminator,
            "peak_discriminator": peak_discriminator,
        }
        weights = {
            "real_weight": real_weight,
            "peak_weight": peak_weight,
            "class_weight": class_weight,
            "extractor_real_weight": extractor_real_weight,
            "extractor_peak_weight": extractor_peak_weight,
        }
        _check_arguments(networks, weights, mode, content_loss, adversarial_loss)
        players = {name: networks[name] for name in MODES[mode]} or {"classifier": classifier}
        super().__init__(
            players,
            tracked=("class_loss",)
            if mode == "cnn"
            else (
                "content_loss",
                "class_loss",
                "real_loss",
                "peak_loss",
                "discriminator_loss",
                "peak_discriminator_loss",
                "extractor_loss",
            ),
            **kwargs,
        )
        self.classifier = classifier
        for name, network in networks.items():
            if network is None:
                setattr(self, name, None)
        self.mode = mode
        self.content_loss = content_loss
        self.adversarial_loss = adversarial_loss
        self.adversarial = ADVERSARIAL_LOSSES[adversarial_loss]()
        for name, weight in weights.items():
            setattr(self, name, weight)
        self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        self.accuracy_weak = keras.metrics.SparseCategoricalAccuracy(name="accuracy_weak")
        self.psnr = keras.metrics.Mean(name="psnr")
        self.psnr_weak = keras.metrics.Mean(name="psnr_weak")

    def call(self, faces, training=False):
        """Class logits of faces of weak expressions, read off what `magnify` makes of them."""
        if self.generator is None:
            return self.classifier(faces, training=training)
        return self.classifier(self.magnify(faces, training=training), training=False)

    def magnify(self, faces, training=False):
        """The peaks of weak faces; in the mode "cnn" the faces themselves.

        Args:
            faces: (B, H, W, 3) in [0, 1].
            training: Whether networks run as in training.

        Returns:
            (B, H, W, 3) in [0, 1].
        """
        if self.generator is None:
            return faces
        feature = self.extractor and self.extractor(faces, training=training)
        return _given(self.generator, faces, feature, training)

    def train_step(self, batch):
        weak, peak, labels = batch["weak"], batch["peak"], batch["label"]
        if self.mode == "cnn":
            loss = class_crossentropy(labels, self.classifier(weak, training=True))  # Eq. 11
            self.update("classifier", loss)
            return self.track(class_loss=loss)

        weak_feature = peak_feature = None  # F_exp
        if self.extractor is not None:
            weak_feature = self.extractor(weak, training=True)
            peak_feature = self.extractor(peak, training=True)
        fake = _given(self.generator, weak, weak_feature)

        figures = {}
        if self._plays("real"):
            real = ops.concatenate([weak, peak])
            real_feature = self.extractor and ops.concatenate([weak_feature, peak_feature])
            figures["discriminator_loss"] = self.adversarial.discriminator_loss(
                _given(self.discriminator, real, real_feature),  # Eq. 7, 14
                _given(self.discriminator, ops.stop_gradient(fake), weak_feature),  # Eq. 8, 15
            )
            self.update("discriminator", figures["discriminator_loss"])  # Eq. 4
        if self._plays("peak"):
            figures["peak_discriminator_loss"] = self.adversarial.discriminator_loss(
                _given(self.peak_discriminator, peak, peak_feature),  # Eq. 9, 16
                _given(self.peak_discriminator, ops.stop_gradient(fake), weak_feature),  # 10, 17
            )
            self.update("peak_discriminator", figures["peak_discriminator_loss"])  # Eq. 5

        figures["content_loss"] = self._content_loss(peak, fake)  # Eq. 12
        loss, parts = self._opposing_loss(
            fake, weak_feature, labels, self.real_weight, self.peak_weight, self.class_weight
        )
        self.update("generator", figures["content_loss"] + loss)  # Eq. 6
        figures |= parts

        if self.extractor is not None:
            fake = _given(self.generator, weak, weak_feature)  # by the G that has learned
            figures["extractor_loss"], _ = self._opposing_loss(
                fake, weak_feature, labels, self.extractor_real_weight, self.extractor_peak_weight
            )
            self.update("extractor", figures["extractor_loss"])  # Eq. 13
        return self.track(**figures)

    def test_step(self, batch):
        weak, peak, labels = batch["weak"], batch["peak"], batch["label"]
        magnified = self.magnify(weak, training=False)
        self.accuracy.update_state(labels, self.classifier(magnified, training=False))
        self.accuracy_weak.update_state(labels, self.classifier(weak, training=False))
        self.psnr.update_state(psnr(peak, magnified))
        self.psnr_weak.update_state(psnr(peak, weak))
        return {metric.name: metric.result() for metric in self.test_metrics}

    @property
    def test_metrics(self):
        return [self.accuracy, self.accuracy_weak, self.psnr, self.psnr_weak]

    def _plays(self, judge):
        """Whether D ("real") or D' ("peak") has anyone to play against."""
        if judge == "peak" and self.peak_discriminator is None:
            return False
        weight = getattr(self, f"{judge}_weight")
        return weight > 0 or (
            self.extractor is not None and getattr(self, f"extractor_{judge}_weight") > 0
        )

    def _content_loss(self, peak, fake):
        """Eq. 1 and 12, or the distance of E's features, E taken as it stands."""
        if self.content_loss == "pixel":
            return pixel_distance(peak, fake)
        return perceptual_distance(
            self.extractor(peak, training=False), self.extractor(fake, training=False)
        )

    def _opposing_loss(self, fake, feature, labels, real_weight, peak_weight, class_weight=1.0):
        """What G's and E's losses (Eq. 6, 13) have in common, and its parts before weighting."""
        loss, parts = 0.0, {}
        if real_weight:
            logits = _given(self.discriminator, fake, feature)
            parts["real_loss"] = self.adversarial.generator_loss(logits)
            loss += real_weight * parts["real_loss"]
        if peak_weight and self.peak_discriminator is not None:
            logits = _given(self.peak_discriminator, fake, feature)
            parts["peak_loss"] = self.adversarial.generator_loss(logits)
            loss += peak_weight * parts["peak_loss"]
        if class_weight:
            logits = self.classifier(fake, training=False)
            parts["class_loss"] = class_crossentropy(labels, logits)  # Eq. 11
            loss += class_weight * parts["class_loss"]
        return loss, parts

    def get_config(self):
        networks = {"classifier": self.classifier, **{n: getattr(self, n) for n in MODES["2v2"]}}
        return {
            **{
                name: network and keras.saving.serialize_keras_object(network)
                for name, network in networks.items()
            },
            "mode": self.mode,
            "content_loss": self.content_loss,
            "adversarial_loss": self.adversarial_loss,
            "real_weight": self.real_weight,
            "peak_weight": self.peak_weight,
            "class_weight": self.class_weight,
            "extractor_real_weight": self.extractor_real_weight,
            "extractor_peak_weight": self.extractor_peak_weight,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


def pixel_distance(peak, fake):
    """Eq. 1 and 12, as the mean over pixels of the squared difference."""
    return ops.mean(ops.square(peak - fake))


def _given(network, faces, feature=None, training=True):
    """What a network makes of faces, with their features where there is an extractor."""
    faces = ops.convert_to_tensor(faces)
    return network(faces if feature is None else [faces, feature], training=training)


def _check_arguments(networks, weights, mode, content_loss, adversarial_loss):
    for name, value, allowed in (
        ("mode", mode, MODES),
        ("content_loss", content_loss, CONTENT_LOSSES),
        ("adversarial_loss", adversarial_loss, ADVERSARIAL_LOSSES),
    ):
        if value not in allowed:
            raise ValueError(f"`{name}` must be one of {list(allowed)}. Received: {value!r}")
    for name, weight in weights.items():
        if not weight >= 0:
            raise ValueError(f"`{name}` must be at least 0. Received: {weight}")
    given = [name for name, network in networks.items() if network is not None]
    if set(given) != set(MODES[mode]):
        raise ValueError(
            f"`mode` {mode!r} must have the networks {list(MODES[mode])}. Received: {given}"
        )
    if content_loss == "perceptual" and networks["extractor"] is None:
        raise ValueError(
            "`content_loss` 'perceptual' must have an extractor, as the mode '2v2' has. "
            f"Received: mode {mode!r}"
        )
    extractor = networks["extractor"]
    check_inputs({n: v for n, v in networks.items() if v and n != "extractor"}, extractor)
