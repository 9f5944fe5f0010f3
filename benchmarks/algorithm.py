"""What a training step saves by making once what several updates share.

`benchmarks train_step --system magnification --algorithm` runs it: the system's own step against
one written straight from its paper's algorithm, which makes for each update anew whatever that
update needs. Both are models of the same class, with the same weights, on the same batch; they take
turns in the same run. Before that their losses are compared over a few steps: they must be equal.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from benchmarks.agreement import STEPS, compare_losses
from benchmarks.charts import Bars
from benchmarks.measure import table, take_turns
from benchmarks.models import make_stepper, read_config

TARGET = 1.3
"""How many times as long the algorithm's own step is to take, at least."""


@dataclass(frozen=True)
class Case:
    """Two models to compare, of one size.

    Args:
        name: What sets it apart, for the table.
        ours: Compiled AdversarialModel.
        literal: The same, with the algorithm's own step.
        batch: What a step takes.
    """

    name: str
    ours: object
    literal: object
    batch: dict


def magnification(jit_compile, sizes=None):
    """GroupGAN, "2v2", against Algorithm 1, which synthesizes for D, for D', for G and for E.

    Args:
        jit_compile: Whether XLA compiles both.
        sizes: List of dicts of `name`, `side`, `batch_size`, and what `classifier`, `generator` and
            `discriminator` are made with; None for two BaseNets at the paper's size, and the
            quickstart's.

    Yields:
        Case of each size.
    """
    from tfface.magnification.model import GroupGAN, class_crossentropy
    from tfface.magnification.networks import (
        ExpressionNet,
        MagnificationDiscriminator,
        MagnificationGenerator,
    )

    class Literal(GroupGAN):
        """Algorithm 1 line by line; what an update needs is made for it, once."""

        def train_step(self, batch):
            weak, peak, label = batch["weak"], batch["peak"], batch["label"]
            game, judge = self.adversarial, self.peak_discriminator
            join, still = keras.ops.concatenate, keras.ops.stop_gradient

            feature, fake = self.synthesize(weak)
            real = join([weak, peak]), join([feature, self.extractor(peak, training=True)])
            for_d = game.discriminator_loss(
                self.discriminator(list(real), training=True),
                self.discriminator([still(fake), feature], training=True),
            )
            self.update("discriminator", for_d)

            feature, fake = self.synthesize(weak)
            for_peak = game.discriminator_loss(
                judge([peak, self.extractor(peak, training=True)], training=True),
                judge([still(fake), feature], training=True),
            )
            self.update("peak_discriminator", for_peak)

            feature, fake = self.synthesize(weak)
            content = keras.ops.mean(keras.ops.square(peak - fake))
            deceived = self.deceived(fake, feature)
            classes = class_crossentropy(label, self.classifier(fake, training=False))
            loss = self.real_weight * deceived[0] + self.peak_weight * deceived[1]
            self.update("generator", content + loss + self.class_weight * classes)

            feature, fake = self.synthesize(weak)
            again = self.deceived(fake, feature)
            for_e = class_crossentropy(label, self.classifier(fake, training=False))
            for_e += self.extractor_real_weight * again[0] + self.extractor_peak_weight * again[1]
            self.update("extractor", for_e)
            return self.track(
                content_loss=content,
                class_loss=classes,
                real_loss=deceived[0],
                peak_loss=deceived[1],
                discriminator_loss=for_d,
                peak_discriminator_loss=for_peak,
                extractor_loss=for_e,
            )

        def synthesize(self, weak):
            feature = self.extractor(weak, training=True)
            return feature, self.generator([weak, feature], training=True)

        def deceived(self, fake, feature):
            """log(1 - D(fake)) and log(1 - D'(fake))."""
            return [
                self.adversarial.generator_loss(judge([fake, feature], training=True))
                for judge in (self.discriminator, self.peak_discriminator)
            ]

    for size in sizes or magnification_sizes():
        side, count = size["side"], size["batch_size"]
        keras.utils.set_random_seed(0)
        classifier = ExpressionNet(7, side, **size["classifier"])
        players = {
            "generator": MagnificationGenerator(side, **size["generator"]),
            "extractor": classifier.extractor(),
            "discriminator": MagnificationDiscriminator(side, **size["discriminator"]),
            "peak_discriminator": MagnificationDiscriminator(side, **size["discriminator"]),
        }
        # As after some training: the first weights of the last layer are 0.
        last = players["generator"].get_layer("change").kernel
        last.assign(np.random.default_rng(0).normal(0, 0.02, last.shape))
        ours = GroupGAN(classifier, **players)
        literal = Literal.from_config(ours.get_config())
        for network in ("classifier", *players):
            getattr(literal, network).set_weights(getattr(ours, network).get_weights())
        for model in (ours, literal):
            rates = {player: keras.optimizers.SGD(1e-4, momentum=0.9) for player in players}
            model.compile(rates, jit_compile=jit_compile)
        rng = np.random.default_rng(1)
        faces = {n: rng.uniform(size=(count, side, side, 3)) for n in ("weak", "peak")}
        batch = {n: tf.constant(v, tf.float32) for n, v in faces.items()}
        batch["label"] = tf.constant(rng.integers(0, 7, count))
        yield Case(f"{size['name']}, batch {count}", ours, literal, batch)


def magnification_sizes():
    """The paper's size with two BaseNets, and the quickstart's."""
    paper = [
        {
            "name": f"128 px, {name}",
            "side": 128,
            "batch_size": 4,
            "classifier": {"backbone": backbone},
            "generator": {},
            "discriminator": {},
        }
        for name, backbone in (("VGG13", "vgg13"), ("AlexNet", "alexnet"))
    ]
    config = read_config("magnification", "quickstart")
    side = config["pairs"]["crop"]
    players = {name: config[name] for name in ("classifier", "generator", "discriminator")}
    batch_size = config["training"]["batch_size"]
    name = f"{side} px, the quickstart's"
    return [*paper, {"name": name, "side": side, "batch_size": batch_size, **players}]


def measure(turns, jit_compile=False, sizes=None):
    """Compares and times each size and prints the table.

    Args:
        turns: Timed turns of each.
        jit_compile: Whether XLA compiles both.
        sizes: As `magnification` takes them.

    Returns:
        List of one dict a size: the figures.
    """
    rows, cases = [], []
    for case in magnification(jit_compile, sizes):
        steps = {
            "ours": make_stepper(case.ours, case.batch),
            "literal": make_stepper(case.literal, case.batch),
        }
        losses, apart = compare_losses(*steps.values())
        print(f"{case.name}: losses of step {STEPS}, ours and the algorithm's:")
        for name, (a, b) in losses.items():
            print(f"  {name} {a:.6f} {b:.6f}")
        times = take_turns(steps, turns, calls=1, warm_up=1)
        ratio = times.ratio("literal", "ours")
        ms = {name: 1e3 * times.median(name) for name in steps}
        figures = [f"{ms['ours']:.0f}", f"{ms['literal']:.0f}", f"{ratio:.2f}", f"{apart:.0e}"]
        rows.append([case.name, *figures])
        cases.append({"name": case.name, "ms": ms, "ratio": ratio, "losses_apart": apart})
    header = ["size", "ms a step", "ms as in the algorithm", "times as long", "losses apart by"]
    print(table(header, rows))
    print(f"Target: at least {TARGET} times as long.")
    return cases


def bars(cases):
    """What `measure` returns, as panels of a chart."""
    titles = {"ours": "ours", "literal": "as in the algorithm"}
    return [
        Bars(case["name"], "ms a step", {titles[name]: ms for name, ms in case["ms"].items()})
        for case in cases
    ]
