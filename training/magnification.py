"""Trains the magnification of weak expressions, and scores what is read off the magnified faces.

The classifier learns from peaks, then Algorithm 1 is played. One run, or with --variant all,
--folds all or --backbones a series of them with Table 1 at its end. The finished model is exported.
"""

import json
import sys
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Literal

from tfface.commands.startup import load_tensorflow

load_tensorflow(wake=False)  # before the imports below load it with all that it has to say

import numpy as np
from basenets import compare, share_classifiers
from configuration import DataConfig, OptimizerConfig, RunConfig, UsageError, asked
from jsonargparse.typing import OpenUnitInterval, PositiveFloat
from optimizers import make_optimizer
from pairs import PairsConfig, open_parts, pick
from process import main
from run import Run, load_network, whole_plan
from series import make_parts, run_parts

from tfface.backbones import BACKBONES
from tfface.classification import ExpressionTraining
from tfface.data.folds import fold_count
from tfface.magnification.data import (
    dealt,
    evaluation_batches,
    pretraining_batches,
    training_batches,
)
from tfface.magnification.evaluation import Evaluation
from tfface.magnification.examination import Examined, examine
from tfface.magnification.model import MODES, GroupGAN, ReconstructionTraining
from tfface.magnification.networks import (
    FEATURE_SIZE,
    ExpressionMagnifier,
    ExpressionNet,
    MagnificationDiscriminator,
    MagnificationGenerator,
)
from tfface.magnification.pictures import draw_sample
from tfface.serving.signatures.magnification import magnification_servable


@dataclass(kw_only=True)
class MagnificationConfig(RunConfig):
    """What is trained."""

    variant: Literal["cnn", "dcgan", "1v2", "2v2", "all"] = "2v2"
    """cnn recognizes weak faces as they are; the others magnify them, with D, with D and D', with E
    too; all trains one after the other and compares them."""
    folds: Literal["one", "all"] = "one"
    """all trains and scores every fold of the protocol and averages; one takes --data.fold."""
    backbones: list[str] = field(default_factory=list)
    """Trains with each of these BaseNets in place of classifier.backbone."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of the generator, which is then tested and exported."""
    extractor_rate: PositiveFloat = 1.0
    """Learning rate of E (rho_E) as a share of training.learning_rate."""


@dataclass(kw_only=True)
class ClassifierConfig(OptimizerConfig):
    """How C is had; it is trained first, on peaks, and E begins as its copy."""

    path: str | None = None
    """A classifier.keras of another run, taken as it is; null trains one."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of C, which is then used."""


GROUPS = {
    "": MagnificationConfig,
    "data": DataConfig,
    "pairs": PairsConfig,
    "training": OptimizerConfig,
    "classifier_training": ClassifierConfig,
    "reconstruction": OptimizerConfig,
    "classifier": (ExpressionNet, ("num_classes", "size")),
    "generator": (MagnificationGenerator, ("size", "feature_size")),
    "discriminator": (MagnificationDiscriminator, ("size", "feature_size")),
    "loss": (GroupGAN, ("classifier", *MODES["2v2"], "mode")),
}

SINGLE = {"folds": "one", "backbones": []}
"""What makes a part of a series no series itself."""


FACES = {
    "classifier": lambda pairs: pairs.face_count("peak"),
    "reconstruction": lambda pairs: pairs.face_count("all"),
    "magnification": len,
}
"""How many faces, or pairs, each stage goes through in one pass."""


def train(config):
    """The whole job: one run, or a series of them and their table."""
    if len(set(config.backbones)) < len(config.backbones):
        raise UsageError(f"backbones must not repeat a name. Received: {config.backbones}")
    if unknown := set(config.backbones) - set(BACKBONES):
        raise UsageError(
            f"backbones must be some of {', '.join(BACKBONES)}. Received: {sorted(unknown)}"
        )
    if config.variant == "all" and config.loss.content_loss == "perceptual":
        raise UsageError("loss.content_loss perceptual is of E's features: --variant cnn or 2v2")
    axes = {
        "classifier.backbone": config.backbones or [config.classifier.backbone],
        "data.fold": (
            range(asked(fold_count, config.data.protocol))
            if config.folds == "all"
            else [config.data.fold]
        ),
        "variant": list(MODES) if config.variant == "all" else [config.variant],
    }
    parts = make_parts(config, axes, SINGLE)
    if len(parts) == 1:
        train_one(parts[0].config)
    else:
        share_classifiers(parts)
        compare(Run(config, "magnification"), parts, run_parts(parts, train_one))


def train_one(config):
    """Trains and scores one model, going on where it was stopped; returns what was Examined."""
    run = Run(config, "magnification")
    parts = open_parts(run)
    plans = make_plans(config, parts)
    plan = plans["magnification"]
    if run.done(plan.epochs * plan.steps_per_epoch):
        return _examined(run)
    with run.scope("magnification"):  # What cannot be made is said before anything is trained.
        classifier = make_classifier(config, parts)
        make_model(config, classifier)
    if config.variant != "cnn" or config.pairs.kind == "picked":
        train_classifier(run, parts, classifier, plans.get("classifier"))
    if config.pairs.kind == "picked":
        parts = [pick(run, part, classifier) for part in parts]
    with run.scope("magnification"):
        if config.variant == "cnn":  # It learns from weak faces alone, whoever picked their peaks.
            classifier = make_classifier(config, parts)
        model = make_model(config, classifier)
    if "reconstruction" in plans:
        train_reconstruction(run, parts, model, plans["reconstruction"])
    with run.scope("magnification"):
        model.compile(make_optimizers(run, model), **run.switches(plan))
    cut = PairsConfig.cut(config.pairs)
    test = _chained([part.test for part in parts], cut)
    validated = [part.validation for part in parts if part.validation is not None]
    run.fit(
        "magnification",
        model,
        partial(_stream, training_batches, config, parts, plan),
        plan,
        samples=partial(draw_sample, batch=_some_faces(parts[0].test, cut)),
        validation=_chained(validated, cut) if validated else None,
    )

    with model.averaged(model.player_names[0]):
        finished = ExpressionMagnifier(
            model.generator, model.extractor, model.classifier, parts[0].train.classes, cut["size"]
        ).in_float32()
    run.save(finished, "magnifier")
    run.say(
        f"evaluation: {sum(len(p.test) for p in parts)} weak test faces "
        f"of fold {config.data.fold} of {config.data.protocol}"
    )
    examined = examine(finished, test, parts=_are_aligned_faces(parts[0]))
    evaluation = Evaluation({config.variant: examined})
    if run.is_chief:
        evaluation.write(run.folder / "evaluation")
    run.say("\n".join(evaluation.lines()))
    figures = {
        "variant": config.variant,
        "backbone": config.classifier.backbone,
        "fold": {"protocol": config.data.protocol, "index": config.data.fold},
        "test_faces": examined.faces,
        "steps": plan.epochs * plan.steps_per_epoch,
        "metrics": evaluation.metrics(),
    }
    run.finish(figures, None if config.variant == "cnn" else magnification_servable(finished))
    return examined


def make_plans(config, parts):
    """By stage that this run has, its plan, the steps of its epochs filled in."""
    plays = config.variant != "cnn"
    plans = {"magnification": config.training if plays else config.classifier_training}
    if (plays or config.pairs.kind == "picked") and config.classifier_training.path is None:
        plans["classifier"] = config.classifier_training
    if plays and not config.generator.residual:  # A residual G gives faces back from the start.
        plans["reconstruction"] = config.reconstruction
    trained = [part.train for part in parts]
    for stage, plan in plans.items():
        counts = [FACES[stage](pairs) for pairs in trained]
        plans[stage] = whole_plan(plan, sum(counts), config.steps_per_execution)
        asked(dealt, trained, counts, plan.batch_size, config.seed)
    return plans


def make_classifier(config, parts):
    """C, yet to learn."""
    classes = parts[0].train.classes
    return asked(ExpressionNet, len(classes), config.pairs.crop, **config.classifier)


def make_model(config, classifier):
    """The variant's players before the game, and Algorithm 1; E begins as a copy of C."""
    size, loss = config.pairs.crop, config.loss.clone()
    if config.variant == "cnn":
        loss.content_loss = "pixel"  # idle: nothing is magnified
    feature_size = FEATURE_SIZE if config.variant == "2v2" else 0
    judge = partial(
        asked, MagnificationDiscriminator, size, feature_size=feature_size, **config.discriminator
    )
    makers = {
        "generator": partial(
            asked, MagnificationGenerator, size, feature_size=feature_size, **config.generator
        ),
        "extractor": classifier.extractor,
        "discriminator": judge,
        "peak_discriminator": judge,
    }
    players = {name: makers[name]() for name in MODES[config.variant]}
    return asked(GroupGAN, classifier, **players, mode=config.variant, **loss)


def train_classifier(run, parts, classifier, plan):
    """Trains C on peaks (where they are yet to be picked, on all faces), or loads it."""
    config, chosen = run.config, run.config.classifier_training
    if chosen.path is not None:
        given = load_network(chosen.path, ExpressionNet)
        (asked_for, found) = (
            f"{config['num_classes']} classes, {config['size']} pixels and {config['backbone']}"
            for config in (classifier.get_config(), given.get_config())
        )
        if asked_for != found:
            raise UsageError(
                f"classifier_training.path must hold a classifier of {asked_for}. "
                f"Received: one of {found}"
            )
        asked(classifier.set_weights, given.get_weights())
        return
    with run.scope("classifier"):
        training = ExpressionTraining(classifier)
        training.compile(
            {"classifier": make_optimizer(chosen, chosen.average)}, **run.switches(plan)
        )
    stream = partial(_stream, partial(pretraining_batches, faces="peak"), config, parts, plan)
    run.fit("classifier", training, stream, plan)
    with training.averaged("classifier"):
        run.save(classifier, "classifier")
        weights = classifier.get_weights()
    classifier.set_weights(weights)


def train_reconstruction(run, parts, model, plan):
    """Trains G to give faces back."""
    with run.scope("reconstruction"):
        training = ReconstructionTraining(model.generator, model.extractor)
        training.compile({"generator": make_optimizer(plan)}, **run.switches(plan))
    stream = partial(_stream, partial(pretraining_batches, faces="all"), run.config, parts, plan)
    run.fit("reconstruction", training, stream, plan)


def make_optimizers(run, model):
    """Each player's optimizer; in the mode "cnn" the classifier's own."""
    chosen = run.config.classifier_training
    if run.config.variant == "cnn":
        return {"classifier": make_optimizer(chosen, chosen.average)}
    optimizers = run.optimizers(*model.player_names)
    if "extractor" in optimizers:
        optimizers["extractor"].learning_rate *= run.config.extractor_rate
    return optimizers


def _examined(run):
    path = run.folder / "evaluation" / "scores.json"
    return Examined.from_dict(json.loads(path.read_text())["scores"][run.config.variant])


def _chained(pairs, cut):
    """All pairs of some sets, once, in order."""
    first, *others = [evaluation_batches(each, batch_size=32, **cut) for each in pairs]
    return reduce(lambda batches, more: batches.concatenate(more), others, first)


def _are_aligned_faces(part):
    """Whether the pictures have landmarks, and so the places of a face's parts: sketches do not."""
    record = next(part.source.records(part.fold.test).as_numpy_iterator())
    return bool(np.isfinite(record["landmarks"]).all())


def _some_faces(pairs, cut, count=6):
    """A batch of a few pairs, from all over a set."""
    chosen = pairs.take(np.unique(np.linspace(0, len(pairs) - 1, count).astype(int)))
    return next(iter(evaluation_batches(chosen, batch_size=count, **cut)))


def _stream(batches, config, parts, plan, step):
    return asked(
        batches,
        [part.train for part in parts],
        batch_size=plan.batch_size,
        seed=config.seed,
        **PairsConfig.cut(config.pairs),
        flip=config.pairs.flip,
        start_step=step,
        cache=config.data.cache,
    )


if __name__ == "__main__":
    sys.exit(main(__doc__, GROUPS, train))
