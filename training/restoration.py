"""Trains expression restoration: AU classifier, generator against discriminator, the table.

Ends with the paper's tables and pictures in the run folder and the model exported for serving.
"""

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from tfface.commands.startup import load_tensorflow

load_tensorflow(wake=False)  # before the imports below load it with all that it has to say

import keras
from configuration import DataConfig, OptimizerConfig, RunConfig, UsageError, asked
from jsonargparse.typing import ClosedUnitInterval, OpenUnitInterval
from optimizers import make_optimizer
from process import main
from run import Run, load_network, whole_plan

from tfface.backbones import feature_extractor
from tfface.data.pipeline import evaluation_batches, open_source, training_stream
from tfface.losses import class_weights_from_labels
from tfface.restoration.data import RestorationTransform
from tfface.restoration.evaluation import draw_labels, draw_sample, evaluate
from tfface.restoration.model import ActionUnitTraining, ExpressionRestorer
from tfface.restoration.networks import (
    ActionUnitClassifier,
    RestorationDiscriminator,
    RestorationGenerator,
)
from tfface.serving.signatures.restoration import restoration_servable

SIZE = 128
"""Side of a restored face (Sec. 4.1)."""


@dataclass(kw_only=True)
class RestorationConfig(RunConfig):
    """What is trained."""

    variant: Literal["ours", "ours_minus", "srgan"] = "ours"
    """ours_minus lacks the AU classifier's loss; srgan also has SRGAN's residual blocks."""
    perceptual_network: Literal["vgg19", "classifier", "none"] = "vgg19"
    """Whose features the perceptual loss compares; the AU classifier's work offline."""
    perceptual_weights: str = "imagenet"
    """VGG-19's weights: imagenet, or the path of a weights file."""
    hidden_area: ClosedUnitInterval = 0.25
    """Share of the small face that a random square hides."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of the generator, which is then tested and exported."""


@dataclass(kw_only=True)
class ClassifierConfig(OptimizerConfig):
    """How the AU classifier is had; it is trained first, then frozen."""

    path: str | None = None
    """A classifier.keras of another run, taken as it is; null trains one."""
    dataset: str | None = None
    """Train it on all of this data set, for faces without AU labels; null is the run's own."""
    balance: bool = True
    """Weigh an AU's two classes by their frequency."""


GROUPS = {
    "": RestorationConfig,
    "data": DataConfig,
    "training": OptimizerConfig,
    "classifier_training": ClassifierConfig,
    "generator": (RestorationGenerator, ("low_size", "block")),
    "discriminator": (RestorationDiscriminator, ("size", "normalization")),
    "classifier": (ActionUnitClassifier, ("action_units", "size")),
    "loss": (
        ExpressionRestorer,
        ("generator", "discriminator", "classifier", "perceptual_network"),
    ),
}


def train(config):
    """The whole job, going on where it was stopped."""
    run = Run(config, "restoration")
    source, fold = run.open_data()
    plan = whole_plan(config.training, source.count(fold.train), config.steps_per_execution)
    if run.done(plan.epochs * plan.steps_per_epoch):
        return
    with run.scope("restoration"):  # What cannot be made is said before anything is trained.
        players, published = make_players(config), load_published(config)
    transform = RestorationTransform(config.generator.scale, config.hidden_area)
    classifier = train_classifier(run, source, fold, transform)
    with run.scope("restoration"):
        restorer = make_restorer(config, players, classifier, published)
        restorer.compile(run.optimizers("generator", "discriminator"), **run.switches(plan))
    test = partial(evaluation_batches, source, fold.test, size=SIZE, transform=transform)
    look = next(iter(test(batch_size=6, seed=config.seed)))
    run.fit(
        "restoration",
        restorer,
        partial(_stream, run, source, fold.train, plan, transform),
        plan,
        samples=partial(draw_sample, batch=look),
    )

    with restorer.averaged("generator") as generator:
        finished = generator.in_float32()
        run.save(finished, "generator")
        run.say("evaluation: restoring the test faces")
        evaluation = evaluate(
            {config.variant: finished},
            classifier,
            test(batch_size=plan.batch_size, seed=config.seed),
            source.count(fold.test),
            source.action_units,
        )
        if run.is_chief:
            evaluation.write(run.folder / "evaluation")
            draw_labels(source, fold, run.folder / "evaluation" / "labels.png")
        run.say("\n".join(evaluation.quality_lines()))
        figures = {
            "variant": config.variant,
            "fold": {"protocol": config.data.protocol, "index": config.data.fold},
            "test_faces": evaluation.faces,
            "steps": plan.epochs * plan.steps_per_epoch,
            "metrics": evaluation.metrics(),
        }
        run.finish(figures, restoration_servable(finished))


def train_classifier(run, source, fold, transform):
    """Trains the AU classifier by itself, or loads it; None where nobody needs one."""
    config, chosen = run.config, run.config.classifier_training
    if chosen.path is not None:
        return load_network(chosen.path, ActionUnitClassifier)
    train = fold.train
    if chosen.dataset is not None:
        source = asked(open_source, chosen.dataset, config.data.data_dir)
        train = source.splits
    if not source.action_units:
        if config.variant == "ours" or config.perceptual_network == "classifier":
            raise UsageError(
                f"{config.data.dataset} has no action units to train the classifier with; name a "
                "--classifier_training.dataset that has, or a --classifier_training.path"
            )
        return None
    plan = whole_plan(chosen, source.count(train), config.steps_per_execution)
    weights = (
        class_weights_from_labels(source.action_unit_labels(train)) if chosen.balance else None
    )
    with run.scope("classifier"):
        classifier = asked(ActionUnitClassifier, source.action_units, SIZE, **config.classifier)
        training = ActionUnitTraining(classifier, weights)
        training.compile({"classifier": make_optimizer(chosen)}, **run.switches(plan))
    stream = partial(_stream, run, source, train, plan, transform)
    run.fit("classifier", training, stream, plan)
    run.save(classifier, "classifier")
    return classifier.in_float32()


def make_players(config):
    """The variant's generator and discriminator."""
    block = "residual" if config.variant == "srgan" else "region_relation"
    low_size = SIZE // config.generator.scale
    normalize = config.loss.adversarial_loss != "wgan-gp"
    generator = asked(RestorationGenerator, low_size, block=block, **config.generator)
    discriminator = asked(
        RestorationDiscriminator, SIZE, normalization=normalize, **config.discriminator
    )
    # Bad loss weights show here already, with something in the place of the frozen networks.
    frozen = keras.layers.Identity(), keras.layers.Identity()
    asked(ExpressionRestorer, generator, discriminator, *frozen, **config.loss)
    return generator, discriminator


def load_published(config):
    """VGG-19 up to the two layers of Eq. 2; None where the config asks for another network."""
    if config.perceptual_network != "vgg19":
        return None
    layers = ["block2_conv2", "block5_conv4"]
    try:
        return feature_extractor("vgg19", layers, config.perceptual_weights, (SIZE, SIZE, 3))
    except ValueError as error:
        raise UsageError(
            f"{error}. Give --perceptual_weights PATH, or --perceptual_network classifier, which "
            "needs no download"
        ) from error


def make_restorer(config, players, classifier, published):
    """The variant's model: its players, its frozen networks and its losses."""
    ours = config.variant == "ours"
    perceptual = published
    if config.perceptual_network == "classifier":
        perceptual = classifier.feature_extractor()
    loss = config.loss.clone()
    loss.expression_weight *= ours
    loss.perceptual_weight *= perceptual is not None
    return asked(ExpressionRestorer, *players, classifier if ours else None, perceptual, **loss)


def _stream(run, source, splits, plan, transform, step):
    return training_stream(
        source,
        splits,
        batch_size=plan.batch_size,
        size=SIZE,
        transform=replace(transform, flip=True),
        seed=run.config.seed,
        start_step=step,
        cache=run.config.data.cache,
    )


if __name__ == "__main__":
    sys.exit(main(__doc__, GROUPS, train))
