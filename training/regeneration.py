"""Trains IA-gen: FER-Net, then a conditional GAN for each expression, all of them side by side.

--stage fer_net trains FER-Net alone, --classes some of the cGANs, which --join brings together
later; --init begins with those of another run; --folds all runs every fold and averages. The
finished model, all generators and FER-Net in one, is exported.
"""

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from tfface.commands.startup import load_tensorflow

load_tensorflow(wake=False)  # before the imports below load it with all that it has to say

from configuration import DataConfig, OptimizerConfig, RunConfig, UsageError, asked
from expressions import ExpressionsConfig, open_expressions
from inherited import begin_with, joined, take_classifier
from jsonargparse.typing import NonNegativeFloat, OpenUnitInterval
from optimizers import make_optimizer
from process import main
from run import Run, whole_plan
from series import make_parts, run_parts

from tfface.backbones import feature_extractor
from tfface.classification import ExpressionTraining
from tfface.data.folds import fold_count
from tfface.regeneration.data import classifier_batches, training_batches
from tfface.regeneration.evaluation import Evaluation
from tfface.regeneration.examination import Examined, average, examine, examine_classifier
from tfface.regeneration.features import FerNet, create_features
from tfface.regeneration.model import CONTENT_LOSSES, IAGen
from tfface.regeneration.networks import (
    ExpressionRegenerator,
    RegenerationDiscriminator,
    RegenerationGenerator,
)
from tfface.regeneration.pictures import draw_sample
from tfface.serving.signatures.regeneration import regeneration_servable


@dataclass(kw_only=True)
class RegenerationConfig(RunConfig):
    """What is trained."""

    stage: Literal["all", "fer_net"] = "all"
    """fer_net trains and scores FER-Net alone, as on FER-2013."""
    folds: Literal["one", "all"] = "one"
    """all trains and scores every fold of the protocol and averages; one takes --data.fold."""
    classes: str | None = None
    """Trains the cGANs of these expressions alone, such as anger,fear; null is all."""
    join: list[str] = field(default_factory=list)
    """Finished runs of some classes each, whose generators become one model; nothing is trained."""
    init: str | None = None
    """A run whose cGANs and FER-Net are fine-tuned."""
    features: str = "fer_net"
    """What faces are compared by (Eq. 8): fer_net, backbone:NAME in its place, or savedmodel:PATH
    beside it."""
    perceptual_network: str = "classifier"
    """Whose features the perceptual loss compares (Eq. 5): classifier is the trained FER-Net, or
    what is in its place; or a backbone such as vgg16."""
    perceptual_weights: str | None = None
    """That backbone's weights, imagenet or a path."""
    perceptual_layers: list[str] = field(default_factory=lambda: ["block2_relu2"])
    """Names of its layers."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of the generators, which are then tested and exported."""


@dataclass(kw_only=True)
class ClassifierConfig(OptimizerConfig):
    """How FER-Net is had; it is trained first."""

    path: str | None = None
    """A classifier.keras of another run, taken as it is; null trains one."""
    init: str | None = None
    """A run whose FER-Net is fine-tuned, in place of that of --init."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of FER-Net, which is then used."""


@dataclass(kw_only=True)
class LossConfig:
    """What the generators descend (Eq. 6 and 7)."""

    content_loss: Literal["l1", "mse"] = CONTENT_LOSSES[0]
    """Between a regenerated face and the real one, pixel by pixel."""
    content_weight: NonNegativeFloat = 100.0
    """alpha."""
    perceptual_weight: NonNegativeFloat = 10.0
    """beta."""
    generator_weight: NonNegativeFloat = 1.0
    """lambda; Adam takes no notice of it."""


GROUPS = {
    "": RegenerationConfig,
    "data": DataConfig,
    "faces": ExpressionsConfig,
    "classifier": (FerNet, ("classes", "size", "channels", "backbone")),
    "classifier_training": ClassifierConfig,
    "training": OptimizerConfig,
    "generator": (RegenerationGenerator, ("expression", "size", "channels")),
    "discriminator": (RegenerationDiscriminator, ("size", "channels")),
    "loss": LossConfig,
}


def train(config):
    """The whole job: one run, or one a fold and their average."""
    several = config.folds == "all"
    if config.join and (several or config.classes or config.init or config.stage != "all"):
        raise UsageError("join trains nothing: it goes without folds, classes, init and stage")
    folds = range(asked(fold_count, config.data.protocol)) if several else [config.data.fold]
    parts = make_parts(config, {"data.fold": folds}, {"folds": "one"})
    if len(parts) == 1:
        train_one(parts[0].config)
    else:
        compare(Run(config, "regeneration"), parts, run_parts(parts, train_one))


def train_one(config):
    """Trains and scores one model, going on where it was stopped; returns what was Examined."""
    run = Run(config, "regeneration")
    if config.join:
        return join(run)
    faces = open_expressions(run, _chosen(config), targets=config.stage == "all")
    plans = {"classifier": _whole(config, config.classifier_training, faces.learners)}
    if config.stage == "all":
        plans["regeneration"] = _whole(config, config.training, faces.targets)
    last = list(plans.values())[-1]
    steps = last.epochs * last.steps_per_epoch
    if run.done(steps):
        return _examined(run)

    with run.scope("regeneration"):  # What cannot be made is said before anything is trained.
        classifier, extractor = make_classifier(config, faces.classes)
        players = make_players(config, faces.targets.classes) if config.stage == "all" else None
        if players:
            make_model(config, players, classifier, extractor)
    begin_with(run, classifier, players)
    train_classifier(run, faces, classifier, plans["classifier"])
    if config.stage != "all":
        return finish(run, faces, classifier, steps)
    with run.scope("regeneration"):
        model = make_model(config, players, classifier, extractor)
        model.compile(make_optimizers(config, model), **run.switches(plans["regeneration"]))
    stream = partial(_stream, training_batches, config, faces.targets, plans["regeneration"])
    run.fit(
        "regeneration",
        model,
        stream,
        plans["regeneration"],
        samples=partial(draw_sample, batch=faces.some_of_test()),
        validation=faces.validation if model.regenerator is not None else None,
    )
    with ExitStack() as averages:
        for name in model.player_names:
            averages.enter_context(model.averaged(name))
        for player in [*players[0], *players[1]]:
            run.save(player, player.name)
        if model.regenerator is None:
            run.say("evaluation: of the CNN alone; join the generators of all classes (--join)")
            return finish(run, faces, classifier, steps)
        return finish(run, faces, model.regenerator.in_float32(), steps)


def join(run):
    """Brings the generators of several runs together; returns what was Examined."""
    if run.done(0):
        return _examined(run)
    generators, classifier, extractor = joined(run)
    regenerator = asked(ExpressionRegenerator, generators, classifier, extractor).in_float32()
    faces = open_expressions(run, None, targets=True)
    run.save(classifier, "classifier")
    return finish(run, faces, regenerator, steps=0)


def finish(run, faces, network, steps):
    """Scores and exports what was made: a whole ExpressionRegenerator, or FER-Net alone."""
    config, whole = run.config, isinstance(network, ExpressionRegenerator)
    if whole:
        run.save(network, "regenerator")
    examined = examine(network, faces.test) if whole else examine_classifier(network, faces.shown)
    run.say(
        f"evaluation: {examined.faces} test faces "
        f"of fold {config.data.fold} of {config.data.protocol}"
    )
    evaluation = Evaluation({config.features: examined})
    if run.is_chief:
        evaluation.write(run.folder / "evaluation")
    run.say("\n".join(evaluation.lines()))
    figures = {
        "stage": config.stage,
        "variant": config.features,
        "classes": list(_chosen(config) or faces.classes),
        "fold": {"protocol": config.data.protocol, "index": config.data.fold},
        "test_faces": examined.faces,
        "steps": steps,
        "metrics": examined.metrics(),
    }
    run.finish(figures, regeneration_servable(network) if whole else None)
    return examined


def compare(run, parts, results):
    """Writes what the folds show together."""
    config, examined = run.config, average(results)
    evaluation = Evaluation({config.features: examined})
    if run.is_chief:
        evaluation.write(run.folder / "evaluation")
    title = f"average of {len(parts)} folds of {config.data.protocol}:"
    run.say("\n".join([title, *evaluation.lines()]))
    run.finish(
        {
            "stage": config.stage,
            "variant": config.features,
            "folds": len(parts),
            "parts": [part.config.out for part in parts],
            "test_faces": examined.faces,
            "metrics": examined.metrics(),
        }
    )


def make_classifier(config, classes):
    """FER-Net, or another network in its place, and what features are taken from instead of it."""
    faces = config.faces
    return asked(
        create_features, config.features, classes, faces.size, faces.channels, **config.classifier
    )


def make_players(config, expressions):
    """A generator and a discriminator for each expression."""
    size, channels = config.faces.size, config.faces.channels
    generators = [
        asked(RegenerationGenerator, name, size, channels, **config.generator)
        for name in expressions
    ]
    discriminators = [
        asked(
            RegenerationDiscriminator,
            size,
            channels,
            **config.discriminator,
            name=generator.name.replace("generator", "discriminator", 1),
        )
        for generator in generators
    ]
    return generators, discriminators


def make_model(config, players, classifier, extractor):
    """All cGANs side by side, and FER-Net with them where no class is missing."""
    made = sorted(generator.expression for generator in players[0])
    whole = made == sorted(classifier.classes)
    return asked(
        IAGen,
        *players,
        classifier if whole else None,
        extractor if whole else None,
        make_loss_network(config, classifier),
        **config.loss,
    )


def make_loss_network(config, classifier):
    """The phi of Eq. 5: FER-Net as it is now, or a published network."""
    if not config.loss.perceptual_weight:
        return None
    if config.perceptual_network == "classifier":
        return asked(classifier.levels, config.perceptual_layers)
    shape = config.faces.size, config.faces.size, config.faces.channels
    published = config.perceptual_network, config.perceptual_layers, config.perceptual_weights
    return asked(feature_extractor, *published, shape)


def train_classifier(run, faces, classifier, plan):
    """Trains FER-Net, or takes another run's."""
    chosen = run.config.classifier_training
    if chosen.path is not None:
        take_classifier(chosen.path, classifier)
        run.save(classifier, "classifier")
        return
    with run.scope("classifier"):
        training = ExpressionTraining(classifier)
        training.compile(
            {"classifier": make_optimizer(chosen, chosen.average)}, **run.switches(plan)
        )
    stream = partial(_stream, classifier_batches, run.config, faces.learners, plan)
    run.fit("classifier", training, stream, plan, validation=faces.validation)
    with training.averaged("classifier"):
        run.save(classifier, "classifier")
        weights = classifier.get_weights()
    classifier.set_weights(weights)


def make_optimizers(config, model):
    """Each player's optimizer; those of the generators keep moving averages."""
    return {
        name: make_optimizer(
            config.training, config.average if name.startswith("generator_") else None
        )
        for name in model.player_names
    }


def _chosen(config):
    """The classes whose cGANs are trained, None for all."""
    return None if config.classes is None else [n.strip() for n in config.classes.split(",")]


def _whole(config, plan, faces):
    return whole_plan(plan, len(faces), config.steps_per_execution)


def _examined(run):
    path = run.folder / "evaluation" / "scores.json"
    return Examined.from_dict(json.loads(path.read_text())["scores"][run.config.features])


def _stream(batches, config, faces, plan, step):
    return asked(
        batches,
        faces,
        batch_size=plan.batch_size,
        seed=config.seed,
        **ExpressionsConfig.cut(config.faces),
        augment=config.faces.augment,
        start_step=step,
        cache=config.data.cache,
    )


if __name__ == "__main__":
    sys.exit(main(__doc__, GROUPS, train))
