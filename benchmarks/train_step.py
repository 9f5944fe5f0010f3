"""What a training step saves by making once what several updates share.

    python -m benchmarks.train_step --system magnification [--turns 10] [--jit_compile] [--out FILE]
    python -m benchmarks.train_step --system recognition --switches

The system's own step against one written straight from its paper's algorithm, which makes for each
update anew whatever that update needs. Both are models of the same class, with the same weights, on
the same batch; they take turns in the same run. Before that their losses are compared over a few
steps: they must be equal. Of synthesis the step on AUs' own windows is timed against the paper's on
whole faces (`regional_step.py`), which is another network: there the memory is measured as well.
With --switches each system's step is timed under each speed switch (`switches.py`).
"""

import argparse
import os
import platform
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import regional_step, switches
from benchmarks.measure import table, take_turns, write_json
from benchmarks.models import PAPERS, make_stepper, read_config

STEPS, TOLERANCE = 3, 1e-3
"""Steps whose losses are compared, and how far they may be apart, relative to the larger."""

TARGETS = {"magnification": 1.3, "synthesis": 4.0}
"""How many times as long the algorithm's own step, or that on whole faces, is to take, at least."""


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


SYSTEMS = {"magnification": magnification}


def compare_losses(ours, literal, steps=STEPS):
    """Takes a few steps with both and checks that each loss is the same in each.

    Args:
        ours: Function that takes a step and returns its losses by name.
        literal: The other.
        steps: How many; the later ones have the earlier updates in them.

    Returns:
        Losses of the last step by name: (ours, literal), and the largest relative difference.

    Raises:
        AssertionError: If two losses differ by more than `TOLERANCE`.
    """
    largest = 0.0
    for number in range(1, steps + 1):
        pairs = [step() for step in (ours, literal)]
        both = {name: tuple(losses[name] for losses in pairs) for name in pairs[0]}
        for name, (a, b) in both.items():
            apart = abs(a - b) / max(abs(a), abs(b), 1e-6)
            assert apart <= TOLERANCE, f"step {number}: {name} is {a:g} and {b:g}"
            largest = max(largest, apart)
    return both, largest


def main(arguments=None):
    """Compares, measures, prints the table and, where asked, writes it."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.train_step", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--system", choices=sorted(PAPERS), required=True)
    parser.add_argument(
        "--switches",
        action="store_true",
        help="time mixed precision, XLA, several steps an execution and accumulation instead",
    )
    parser.add_argument("--turns", type=int, default=10, help="timed turns of each rival")
    parser.add_argument("--jit_compile", action="store_true", help="compile both with XLA")
    parser.add_argument("--out", help="JSON file to write the figures to")
    args = parser.parse_args(arguments)

    if args.switches:
        cases = switches.measure(args.system, args.turns)
    elif args.system not in TARGETS:
        parser.error(f"without --switches, --system is one of {', '.join(sorted(TARGETS))}")
    elif args.system == "synthesis":
        cases = regional_step.measure(args.turns, args.jit_compile)
    else:
        cases = compare_with_algorithms(SYSTEMS[args.system](args.jit_compile), args.turns)
    if not args.switches:
        print(f"Target: at least {TARGETS[args.system]} times as long.")
    if args.out:
        content = {
            "system": args.system,
            "cases": cases,
            "jit_compile": args.jit_compile,
            "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
        write_json(args.out, content)


def compare_with_algorithms(sizes, turns):
    """Compares and times each Case and prints their table; returns the figures of each."""
    rows, cases = [], []
    for case in sizes:
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
    return cases


if __name__ == "__main__":
    main()
