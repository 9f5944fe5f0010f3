"""IA-gen's conditional GANs, one for each expression, alone or side by side (Eq. 1 to 7)."""

import keras
from keras import ops

from tfface.adversarial import AdversarialModel
from tfface.metrics import psnr
from tfface.regeneration.features import nearest_expression
from tfface.regeneration.networks import ExpressionRegenerator

CONTENT_LOSSES = ("l1", "mse")


class _ConditionalGANs(AdversarialModel):
    """What one cGAN and many have in common: the losses, and a step of one of them."""

    def __init__(
        self,
        players,
        loss_network=None,
        content_loss: str = "l1",
        content_weight: float = 100.0,
        perceptual_weight: float = 10.0,
        generator_weight: float = 1.0,
        **kwargs,
    ):
        weights = {
            "content_weight": content_weight,
            "perceptual_weight": perceptual_weight,
            "generator_weight": generator_weight,
        }
        if content_loss not in CONTENT_LOSSES:
            raise ValueError(
                f"`content_loss` must be one of {list(CONTENT_LOSSES)}. Received: {content_loss!r}"
            )
        for name, weight in weights.items():
            if not weight >= 0:
                raise ValueError(f"`{name}` must be at least 0. Received: {weight}")
        if perceptual_weight and loss_network is None:
            raise ValueError(
                "`perceptual_weight` must be 0 without a `loss_network`. "
                f"Received: {perceptual_weight}"
            )
        super().__init__(
            players,
            tracked=("content_loss", "perceptual_loss", "adversarial_loss", "discriminator_loss"),
            **kwargs,
        )
        self.loss_network = loss_network
        self.content_loss = content_loss
        for name, weight in weights.items():
            setattr(self, name, weight)

    def play(self, generator, discriminator, face, target, known):
        """One step of one cGAN, whose generator makes its fakes once.

        Args:
            generator: Name of the player G.
            discriminator: Name of the player D.
            face: (B, H, W, C) in [0, 1], I_input.
            target: (B, H, W, C) in [0, 1], I_target.
            known: (B,), 1 where the target is the face's person, else 0.

        Returns:
            The losses, by name: means over the faces whose target is known.
        """
        judge = getattr(self, discriminator)
        output = getattr(self, generator)(face, training=True)  # I_output
        share = self.share(ops.sum(known))

        def mean(values):
            """The mean over the known of this replica, times its share of all known."""
            values = ops.mean(ops.reshape(values, (ops.shape(known)[0], -1)), axis=1)
            return share * ops.sum(known * values) / ops.maximum(ops.sum(known), 1.0)

        real = judge([face, target], training=True)
        fake = judge([face, ops.stop_gradient(output)], training=True)
        # Eq. 1 with D = sigmoid(logits): -log D = softplus(-logits), -log(1 - D) = softplus(logits)
        discriminator_loss = mean(ops.softplus(-real)) + mean(ops.softplus(fake))
        self.update(discriminator, discriminator_loss)

        fake = judge([face, output], training=True)
        losses = {
            "adversarial_loss": mean(ops.softplus(-fake)),  # Eq. 3
            "content_loss": mean(self._content_difference(target, output)),
        }
        loss = losses["adversarial_loss"] + self.content_weight * losses["content_loss"]  # Eq. 2
        if self.perceptual_weight:
            losses["perceptual_loss"] = sum(map(mean, self._level_differences(target, output)))
            loss += self.perceptual_weight * losses["perceptual_loss"]  # Eq. 6
        self.update(generator, self.generator_weight * loss)  # Eq. 7
        return {**losses, "discriminator_loss": discriminator_loss}

    def _content_difference(self, target, output):
        """L1, the paper's choice, or the summands of Eq. 4, whose mean is over all values."""
        difference = target - output
        return ops.abs(difference) if self.content_loss == "l1" else ops.square(difference)

    def _level_differences(self, target, output):
        """The summands of Eq. 5 of each level of the loss network phi."""
        levels = []
        for faces in (target, output):
            found = self.loss_network(faces, training=False)
            levels.append(found if isinstance(found, list | tuple) else [found])
        return [
            ops.square(ops.cast(a, "float32") - ops.cast(b, "float32"))
            for a, b in zip(*levels, strict=True)
        ]

    def get_config(self):
        return {
            "loss_network": _serialized(self.loss_network),
            "content_loss": self.content_loss,
            "content_weight": self.content_weight,
            "perceptual_weight": self.perceptual_weight,
            "generator_weight": self.generator_weight,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


@keras.saving.register_keras_serializable("tfface")
class ExpressionGenerator(_ConditionalGANs):
    """One cGAN: it makes of any face the same person with one expression (Sec. III-A).

    G descends `L_adv + alpha L_cont + beta L_per` (Eq. 6) against a D that judges pairs. What the
    paper leaves open, and the choices: D learns first in each step, and G from the D that has; the
    losses are means over values, faces are in [0, 1]; `L_adv` is what Eq. 3 says, which does not
    vanish where D wins.

    A batch is a dict, as `regeneration.data.training_batches` makes it for one class: `face`
    (B, H, W, C), `target` (B, 1, H, W, C) and `known` (B, 1).

    Args:
        generator: G, (B, H, W, C) -> (B, H, W, C) in [0, 1].
        discriminator: D, from [faces, faces to judge] to logits, one or more a face.
        loss_network: phi of Eq. 5, from faces to a feature map or a list of them; it does not
            learn. None if `perceptual_weight` is 0.
        content_loss: "l1", the paper's choice, or "mse" (Eq. 4).
        content_weight: alpha.
        perceptual_weight: beta.
        generator_weight: lambda (Eq. 7); an optimizer that normalizes its steps, as Adam does,
            takes no notice of it.

    Raises:
        ValueError: If an argument is out of its range, or there is a `perceptual_weight` and no
            loss network.

    Reference:
        Yang et al., Identity-Adaptive Facial Expression Recognition Through Expression
        Regeneration Using Conditional Generative Adversarial Networks, 2018, Sec. III-A.
    """

    def __init__(self, generator, discriminator, loss_network=None, **kwargs):
        players = {"generator": generator, "discriminator": discriminator}
        super().__init__(players, loss_network, **kwargs)
        self.psnr = keras.metrics.Mean(name="psnr")

    def call(self, faces, training=False):
        return self.generator(faces, training=training)

    def train_step(self, batch):
        target, known = batch["target"][:, 0], batch["known"][:, 0]
        return self.track(**self.play("generator", "discriminator", batch["face"], target, known))

    def test_step(self, batch):
        output = self.generator(batch["face"], training=False)
        self.psnr.update_state(psnr(batch["target"][:, 0], output), batch["known"][:, 0])
        return {"psnr": self.psnr.result()}

    @property
    def test_metrics(self):
        return [self.psnr]

    def get_config(self):
        players = {name: _serialized(getattr(self, name)) for name in self.player_names}
        return {**players, **super().get_config()}


@keras.saving.register_keras_serializable("tfface")
class IAGen(_ConditionalGANs):
    """The cGANs of several expressions side by side, each as `ExpressionGenerator`, and FER-Net.

    They share nothing but the batch, which is read and augmented once: each learns what it would
    learn alone. A generator's player is named `generator_<expression>`, its opponent
    `discriminator_<expression>`. FER-Net is no player: it is trained before.

    A batch is a dict, as `regeneration.data.training_batches` makes it for these expressions in
    their order: `face` (B, H, W, C), `target` (B, expressions, H, W, C) and `known`
    (B, expressions). Evaluation also takes `label` (B,), IDs of the classifier's classes.

    Args:
        generators: G of each expression, which it knows by its `expression`.
        discriminators: D of each, in the same order.
        classifier: FerNet, of as many classes as there are generators; then `regenerator` holds
            them all, and evaluation compares FER-Net's accuracy to that of Eq. 8. None for
            generators of some classes, trained to be joined.
        extractor: As in `ExpressionRegenerator`.
        loss_network: As in `ExpressionGenerator`, and so the others.
        **kwargs: The other arguments of `ExpressionGenerator`.

    Raises:
        ValueError: As `ExpressionGenerator`, or if there is no generator, two are of one
            expression, there is not one discriminator for each, or the classifier does not fit.

    Reference:
        Yang et al., 2018, Sec. III.
    """

    def __init__(
        self, generators, discriminators, classifier=None, extractor=None, loss_network=None,
        **kwargs,
    ):  # fmt: skip
        generators, discriminators = list(generators), list(discriminators)
        expressions = [generator.expression for generator in generators]
        if not expressions or len(set(expressions)) < len(expressions):
            raise ValueError(
                "`generators` must be of different expressions, at least one. "
                f"Received: {', '.join(expressions) or 'none'}"
            )
        if len(discriminators) != len(generators):
            raise ValueError(
                f"`discriminators` must be one for each of {len(generators)} generators. "
                f"Received: {len(discriminators)}"
            )
        players = {}
        for name, generator, judge in zip(expressions, generators, discriminators, strict=True):
            players |= {f"generator_{name}": generator, f"discriminator_{name}": judge}
        super().__init__(players, loss_network, **kwargs)
        self.expressions = tuple(expressions)
        self.regenerator = None
        if classifier is not None:
            self.regenerator = ExpressionRegenerator(generators, classifier, extractor)
        self.psnr = keras.metrics.Mean(name="psnr")
        self.accuracy = keras.metrics.Mean(name="accuracy")
        self.accuracy_cnn = keras.metrics.Mean(name="accuracy_cnn")

    def call(self, faces, training=False):
        """The regenerated faces, (B, expressions, H, W, C) in [0, 1]."""
        made = [
            getattr(self, f"generator_{name}")(faces, training=training)
            for name in self.expressions
        ]
        return ops.stack(made, axis=1)

    def train_step(self, batch):
        played = [
            self.play(
                f"generator_{name}",
                f"discriminator_{name}",
                batch["face"],
                batch["target"][:, i],
                batch["known"][:, i],
            )
            for i, name in enumerate(self.expressions)
        ]
        means = {name: sum(losses[name] for losses in played) / len(played) for name in played[0]}
        return self.track(**means)

    def test_step(self, batch):
        if self.regenerator is None:
            regenerated = self(batch["face"])
        else:
            made = self.regenerator(batch["face"], training=False)
            regenerated = made["regenerated"]
            for metric, decision in (
                (self.accuracy, nearest_expression(made["distances"])),  # Eq. 8
                (self.accuracy_cnn, ops.argmax(made["logits"], axis=-1)),
            ):
                metric.update_state(ops.equal(decision, ops.cast(batch["label"], "int32")))
        for i in range(len(self.expressions)):
            ratios = psnr(batch["target"][:, i], regenerated[:, i])
            self.psnr.update_state(ratios, batch["known"][:, i])
        return {metric.name: metric.result() for metric in self.test_metrics}

    @property
    def test_metrics(self):
        return [self.psnr] + ([self.accuracy, self.accuracy_cnn] if self.regenerator else [])

    def get_config(self):
        roles = ("generator", "discriminator")
        networks = {
            f"{role}s": [_serialized(getattr(self, f"{role}_{n}")) for n in self.expressions]
            for role in roles
        }
        whole = self.regenerator
        return {
            **networks,
            "classifier": _serialized(whole and whole.classifier),
            "extractor": _serialized(whole and whole.extractor),
            **super().get_config(),
        }


def _serialized(network):
    return None if network is None else keras.saving.serialize_keras_object(network)
