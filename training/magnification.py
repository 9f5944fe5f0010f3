"""Trains the magnification of weak expressions, and scores what is read off the magnified faces.

The classifier learns from peaks, then Algorithm 1 is played. One run, or with --variant all,
--folds all or --backbones a series of them with Table 1 at its end. The finished model is exported.
"""

import json
import sys
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import Literal

from tfface.commands.startup import load_tensorflow

load_tensorflow(wake=False)  # before the imports below load it with all that it has to say

import numpy as np
from configuration import DataConfig, OptimizerConfig, RunConfig, UsageError, asked, main
from jsonargparse.typing import OpenUnitInterval, PositiveFloat
from optimizers import make_optimizer
from pairs import PairsConfig, open_parts, pick
from run import Run, load_network, whole_plan
from series import make_parts, run_parts

from tfface.data.folds import fold_count
from tfface.magnification.data import evaluation_batches, pretraining_batches, training_batches
from tfface.magnification.evaluation import Evaluation
from tfface.magnification.examination import Examined, average, examine
from tfface.magnification.model import MODES, ExpressionTraining, GroupGAN, ReconstructionTraining
from tfface.magnification.networks import (
    FEATURE_SIZE,
    ExpressionMagnifier,
    ExpressionNet,
    MagnificationDiscriminator,
    MagnificationGenerator,
)
from tfface.magnification.pictures import draw_sample
from tfface.serving.signatures.magnification import magnification_servable
from tfface.tables import markdown, write_table


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


def train(config):
    """The whole job: one run, or a series of them and their table."""
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
        _share_classifiers(parts)
        compare(Run(config, "magnification"), parts, run_parts(parts, train_one))


def train_one(config):
    """Trains and scores one model, going on where it was stopped; returns what was Examined."""
    run = Run(config, "magnification")
    parts = open_parts(run)
    chosen = config.classifier_training if config.variant == "cnn" else config.training
    plan = whole_plan(chosen, sum(len(p.train) for p in parts), config.steps_per_execution)
    if run.done(plan.epochs * plan.steps_per_epoch):
        return _examined(run)
    with run.scope("magnification"):  # What cannot be made is said before anything is trained.
        classifier = asked(
            ExpressionNet, len(parts[0].train.classes), config.pairs.crop, **config.classifier
        )
        make_model(config, classifier)
    picked = config.pairs.kind == "picked"
    if config.variant != "cnn" or picked:
        train_classifier(run, parts, classifier)
    if picked:
        parts = [pick(run, part, classifier) for part in parts]
    with run.scope("magnification"):
        model = make_model(config, classifier)
    if config.variant != "cnn" and not config.generator.residual:
        train_reconstruction(run, parts, model)
    with run.scope("magnification"):
        model.compile(make_optimizers(run, model), **run.switches())
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
    run.say(f"evaluation: {sum(len(p.test) for p in parts)} weak test faces")
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


def make_model(config, classifier):
    """The variant's players before the game, and Algorithm 1; E begins as a copy of C."""
    size = config.pairs.crop
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
    return asked(GroupGAN, classifier, **players, mode=config.variant, **config.loss)


def train_classifier(run, parts, classifier):
    """Trains C on peaks (where they are yet to be picked, on all faces), or loads it."""
    config, chosen = run.config, run.config.classifier_training
    if chosen.path is not None:
        given = load_network(chosen.path, ExpressionNet)
        if (given.num_classes, given.size) != (classifier.num_classes, classifier.size):
            raise UsageError(
                f"classifier_training.path must hold a classifier of {classifier.num_classes} "
                f"classes and {classifier.size} pixels. "
                f"Received: one of {given.num_classes} classes and {given.size} pixels"
            )
        asked(classifier.set_weights, given.get_weights())
        return
    count = sum(part.train.face_count("peak") for part in parts)
    plan = whole_plan(chosen, count, config.steps_per_execution)
    with run.scope("classifier"):
        training = ExpressionTraining(classifier)
        training.compile({"classifier": make_optimizer(chosen, chosen.average)}, **run.switches())
    stream = partial(_stream, partial(pretraining_batches, faces="peak"), config, parts, plan)
    run.fit("classifier", training, stream, plan)
    with training.averaged("classifier"):
        run.save(classifier, "classifier")
        weights = classifier.get_weights()
    classifier.set_weights(weights)


def train_reconstruction(run, parts, model):
    """Trains G to give faces back; a residual G does so from the start."""
    config, chosen = run.config, run.config.reconstruction
    count = sum(part.train.face_count("all") for part in parts)
    plan = whole_plan(chosen, count, config.steps_per_execution)
    with run.scope("reconstruction"):
        training = ReconstructionTraining(model.generator, model.extractor)
        training.compile({"generator": make_optimizer(chosen)}, **run.switches())
    stream = partial(_stream, partial(pretraining_batches, faces="all"), config, parts, plan)
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


def compare(run, parts, results):
    """Writes what a series shows: averages over folds, modes side by side, Table 1."""
    config, folder = run.config, run.folder / "evaluation"
    found = {}
    for part, examined in zip(parts, results, strict=True):
        backbone, _, variant = part.point.values()
        found.setdefault(backbone, {}).setdefault(variant, []).append(examined)
    evaluations = {
        backbone: Evaluation({variant: average(folds) for variant, folds in modes.items()})
        for backbone, modes in found.items()
    }
    folds = [part.point["data.fold"] for part in parts]
    count = len(set(folds))
    tested = f"average of {count} folds" if count > 1 else f"fold {folds[0]}"
    for backbone, evaluation in evaluations.items():
        if run.is_chief:
            evaluation.write(folder / backbone if len(evaluations) > 1 else folder)
        title = f"{backbone}, {tested} of {config.data.protocol}:"
        run.say("\n".join([title, *evaluation.lines()]))
    table = _accuracies(evaluations)
    if run.is_chief:
        write_table(folder / "basenets", *table)
    run.say("\n".join(markdown(*table)))
    points = {backbone: evaluation.metrics() for backbone, evaluation in evaluations.items()}
    run.finish(
        {
            "variant": config.variant,
            "folds": count,
            "parts": [part.config.out for part in parts],
            "backbones": points,
            "metrics": next(iter(points.values())) if len(points) == 1 else None,
        }
    )


def _accuracies(evaluations):
    """Table 1: the accuracy of each BaseNet in each mode, and of its C on the weak faces."""
    header, rows = ["BaseNet"], []
    for backbone, evaluation in evaluations.items():
        row = {"BaseNet": backbone}
        for mode, examined in evaluation.scores.items():
            accuracies = [(mode, "magnified")] + [("weak, by C of peaks", "weak")] * (mode != "cnn")
            for title, of in accuracies:
                mean, spread = examined.accuracy(of)
                spread = "" if np.isnan(spread) else f" ± {spread:.3f}"
                row.setdefault(title, f"{mean:.3f}{spread}")
        header = list(dict.fromkeys([*header, *row]))
        rows.append(row)
    return header, [[row.get(title, "-") for title in header] for row in rows]


def _share_classifiers(parts):
    """Lets the modes of one BaseNet and fold play with one C, trained by the first of them."""
    trained = {}
    for part in parts:
        chosen = part.config.classifier_training
        if part.point["variant"] == "cnn" or chosen.path is not None:
            continue
        key = part.point["classifier.backbone"], part.point["data.fold"]
        if key in trained:
            chosen.path = str(trained[key])
        else:
            trained[key] = Path(part.config.out) / "classifier.keras"


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
