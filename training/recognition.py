"""Trains action unit recognition from partly labeled faces, and scores it on people never seen.

One run, or with --folds all, --variant both, --missing_rates or --alphas a series of them with one
table and the paper's curves at its end. The finished model is exported for serving.
"""

import csv
import json
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from tfface.commands.startup import load_tensorflow

load_tensorflow(wake=False)  # before the imports below load it with all that it has to say

import keras
import numpy as np
from configuration import DataConfig, OptimizerConfig, RunConfig, UsageError, asked
from jsonargparse.typing import (
    ClosedUnitInterval,
    OpenUnitInterval,
    PositiveInt,
    restricted_number_type,
)
from process import main
from run import Run, whole_plan
from series import make_parts, run_parts

from tfface.atomic import written_aside
from tfface.data.folds import fold_count
from tfface.data.pipeline import evaluation_batches, open_source
from tfface.facs.action_units import validate_action_units
from tfface.losses import class_weights_from_labels
from tfface.plots.bars import label_distribution
from tfface.recognition.data import (
    Augmentation,
    TrainingFaces,
    batch_counts,
    columns_of,
    complete_labels,
    evaluation_transform,
    miss_labels,
    training_batches,
)
from tfface.recognition.evaluation import (
    Evaluation,
    draw_embedding,
    draw_sample,
    predict,
    write_curve,
)
from tfface.recognition.model import AdversarialAURecognizer
from tfface.recognition.networks import ActionUnitDiscriminator, ActionUnitRecognizer
from tfface.scores import Scores, average, score
from tfface.serving.signatures.recognition import recognition_servable

BelowOne = restricted_number_type(
    "BelowOne", float, [(">=", 0), ("<", 1)], docstring="From 0 to below 1"
)
LabelNoise = restricted_number_type(
    "LabelNoise", float, [(">=", 0), ("<", 0.5)], docstring="From 0 to below 1/2"
)


@dataclass(kw_only=True)
class RecognitionConfig(RunConfig):
    """What is trained."""

    variant: Literal["ours", "o_wlc", "both"] = "ours"
    """o_wlc has no discriminator (alpha = 0); both trains one after the other and compares them."""
    folds: Literal["one", "all"] = "one"
    """all trains and scores every fold of the protocol and averages; one takes --data.fold."""
    action_units: list[PositiveInt] | None = None
    """Numbers of the AUs to learn; null is those of the data set."""
    missing_rate: ClosedUnitInterval = 0.0
    """Share of the training faces whose labels are withheld."""
    missing: Literal["per_image", "per_label"] = "per_image"
    """Whether a face loses its whole label vector or single labels go missing."""
    missing_rates: list[BelowOne] = field(default_factory=list)
    """Trains at each of these missing rates, below 1, and draws the scores against them."""
    alphas: list[BelowOne] = field(default_factory=list)
    """Trains with each of these values of loss.adversarial_weight and draws the scores."""
    unlabeled_dataset: str | None = None
    """Another data set, all of whose faces take part without labels."""
    labeled_in_batch: PositiveInt | None = None
    """Labeled faces in a batch (m1); null is their share of all."""
    label_noise: LabelNoise = 0.0
    """Largest step of real label vectors toward 1/2, so that D cannot tell them by being whole."""
    balance: bool = False
    """Weigh an AU's two classes by their frequency; the paper does not."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of the recognizer, which is then tested and exported."""


GROUPS = {
    "": RecognitionConfig,
    "data": DataConfig,
    "augmentation": Augmentation,
    "training": OptimizerConfig,
    "recognizer": (ActionUnitRecognizer, ("action_units",)),
    "discriminator": (ActionUnitDiscriminator, ("n_action_units",)),
    "loss": (AdversarialAURecognizer, ("recognizer", "discriminator", "class_weights")),
}

SINGLE = {"folds": "one", "missing_rates": [], "alphas": []}
"""What makes a part of a series no series itself."""


def train(config):
    """The whole job: one run, or a series of them and what they show together."""
    protocol = config.data.protocol
    if config.alphas and config.variant != "ours":
        raise UsageError("alphas are ours; alpha 0 among them is o_wlc")
    if len(config.alphas) > 1 and len(config.missing_rates) > 1:
        raise UsageError("a curve is over missing_rates or over alphas, not over both")
    for key in ("missing_rates", "alphas"):
        if len(set(config[key])) < len(config[key]):
            raise UsageError(f"{key} must not repeat a value. Received: {config[key]}")
    axes = {
        "missing_rate": config.missing_rates or [config.missing_rate],
        "loss.adversarial_weight": config.alphas or [config.loss.adversarial_weight],
        "variant": ["ours", "o_wlc"] if config.variant == "both" else [config.variant],
        "data.fold": (
            range(asked(fold_count, protocol)) if config.folds == "all" else [config.data.fold]
        ),
    }
    parts = make_parts(config, axes, SINGLE)
    if len(parts) == 1:
        train_one(parts[0].config)
    else:
        run = Run(config, "recognition")
        compare(run, parts, run_parts(parts, train_one))


def train_one(config):
    """Trains and scores one recognizer, going on where it was stopped; returns its Scores."""
    run = Run(config, "recognition")
    source, fold = run.open_data()
    sources = [(source, fold.train)]
    if config.unlabeled_dataset is not None:
        other = asked(open_source, config.unlabeled_dataset, config.data.data_dir)
        if known := other.people_of(other.splits) & source.people_of(fold.test + fold.validation):
            raise UsageError(
                "unlabeled_dataset must not hold people who test or validate. "
                f"Received: {config.unlabeled_dataset} with {len(known)} of them"
            )
        sources.append((other, other.splits))
    count = sum(source.count(splits) for source, splits in sources)
    plan = whole_plan(config.training, count, config.steps_per_execution)
    scores_path = run.folder / "evaluation" / "scores.json"
    if run.done(plan.epochs * plan.steps_per_epoch):
        return Scores.from_dict(json.loads(scores_path.read_text())["scores"][config.variant])
    action_units = tuple(config.action_units or source.action_units)
    if not action_units or set(action_units) - set(source.action_units):
        raise UsageError(
            f"action_units must be some that {config.data.dataset} has labels of, "
            f"{list(source.action_units) or 'which are none'}. Received: {list(action_units)}"
        )
    asked(validate_action_units, action_units)
    augmentation = asked(Augmentation, **config.augmentation)
    faces = label_faces(run, sources, action_units)
    asked(batch_counts, faces, plan.batch_size, config.labeled_in_batch)
    with run.scope("recognition"):
        model = make_model(config, action_units, faces)
        model.compile(run.optimizers("recognizer", "discriminator"), **run.switches(plan))
    if run.is_chief:
        _write_labels(run.folder / "training_faces.csv", faces, action_units)
        tested = columns_of(source.action_unit_labels(fold.test), source.action_units, action_units)
        labels = {"training": faces[0].labels, "test": tested}
        label_distribution(labels, action_units, run.folder / "evaluation" / "labels.png")
    size = config.recognizer.size
    test = partial(evaluation_batches, source, size=size, transform=evaluation_transform, seed=0)
    look = _some_faces(test, fold.test)
    columns = [source.action_units.index(number) for number in action_units]
    run.fit(
        "recognition",
        model,
        partial(_stream, config, faces, plan, augmentation),
        plan,
        samples=partial(draw_sample, batch=look, action_units=source.action_units),
        validation=_validation(test, fold, plan, columns) if fold.validation else None,
    )

    with model.averaged("recognizer") as recognizer:
        finished = recognizer.in_float32()
        run.save(finished, "recognizer")
        run.say(
            f"evaluation: {source.count(fold.test)} test faces "
            f"of fold {config.data.fold} of {config.data.protocol}"
        )
        batches = test(fold.test, batch_size=max(plan.batch_size, 32))
        scores = asked(score, asked(predict, finished, batches, source.action_units))
        evaluation = Evaluation({config.variant: scores})
        if run.is_chief:
            evaluation.write(run.folder / "evaluation")
            draw_embedding(finished, batches, run.folder / "evaluation" / "embedding.png")
        run.say("\n".join(evaluation.lines()))
        figures = {
            "variant": config.variant,
            "missing_rate": config.missing_rate,
            "fold": {"protocol": config.data.protocol, "index": config.data.fold},
            "training_faces": {
                "labeled": sum(len(part.labeled) for part in faces),
                "unlabeled": sum(len(part.unlabeled) for part in faces),
            },
            "test_faces": scores.faces,
            "steps": plan.epochs * plan.steps_per_epoch,
            "metrics": evaluation.metrics(),
        }
        run.finish(figures, recognition_servable(finished))
    return scores


def label_faces(run, sources, action_units):
    """The training faces with the labels that this run may see; says how many there are.

    Args:
        run: The Run.
        sources: (FaceSource, its splits): the run's data set, and perhaps one without labels.
        action_units: AUs to learn.

    Returns:
        List of TrainingFaces.
    """
    config, (source, splits) = run.config, sources[0]
    truth = columns_of(source.action_unit_labels(splits), source.action_units, action_units)
    labels = asked(miss_labels, truth, config.missing_rate, config.missing, config.seed)
    faces = [TrainingFaces(source, splits, labels)]
    for other, its_splits in sources[1:]:
        nothing = np.full((other.count(its_splits), len(action_units)), np.nan, np.float32)
        faces.append(TrainingFaces(other, its_splits, nothing))
    labeled = sum(len(part.labeled) for part in faces)
    unlabeled = sum(len(part.unlabeled) for part in faces)
    run.say(f"data: {labeled} training faces labeled, {unlabeled} not")
    for number, column in zip(action_units, labels.T, strict=True):
        known = column[~np.isnan(column)]
        if not known.any():
            seen = f"present in none of {known.size} labels" if known.size else "never labeled"
            run.say(f"data: AU{number} is {seen} in the training faces: it cannot be learned")
    return faces


def make_model(config, action_units, faces):
    """R, D and Algorithm 1 with the config's variant."""
    loss = config.loss.clone()
    loss.adversarial_weight *= config.variant != "o_wlc"
    if loss.adversarial_weight and not len(complete_labels(faces)):
        raise UsageError(
            "the discriminator learns from faces with all their labels, of which this draw leaves "
            "none: name fewer --action_units, lower --missing_rate, take --missing per_image or "
            "--variant o_wlc"
        )
    weights = None
    if config.balance:
        weights = class_weights_from_labels(np.concatenate([part.labels for part in faces]))
    recognizer = asked(ActionUnitRecognizer, action_units, **config.recognizer)
    discriminator = asked(ActionUnitDiscriminator, len(action_units), **config.discriminator)
    return asked(AdversarialAURecognizer, recognizer, discriminator, class_weights=weights, **loss)


def compare(run, parts, results):
    """Writes what a series shows: averages over folds, methods side by side, curves."""
    config, folder = run.config, run.folder / "evaluation"
    by_point = {}
    for part, scores in zip(parts, results, strict=True):
        rate, alpha, variant, _ = part.point.values()
        by_point.setdefault((rate, alpha), {}).setdefault(variant, []).append(scores)
    evaluations = {
        point: Evaluation({variant: average(folds) for variant, folds in methods.items()})
        for point, methods in by_point.items()
    }
    folds = [part.point["data.fold"] for part in parts]
    count = len(set(folds))
    tested = f"average of {count} folds" if count > 1 else f"fold {folds[0]}"
    points = []
    for (rate, alpha), evaluation in evaluations.items():
        name = f"missing_rate_{rate:g}-alpha_{alpha:g}" if len(evaluations) > 1 else ""
        if run.is_chief:
            evaluation.write(folder / name)
        title = f"missing rate {rate:g}, alpha {alpha:g}, {tested} of {config.data.protocol}:"
        run.say("\n".join([title, *evaluation.lines()]))
        points.append({"missing_rate": rate, "alpha": alpha, "metrics": evaluation.metrics()})
    for name, label, place, values in (
        ("missing_rates", "share of faces without labels", 0, config.missing_rates),
        ("alphas", "alpha", 1, config.alphas),
    ):
        if len(values) > 1 and run.is_chief:
            curve = {}
            for point, evaluation in evaluations.items():
                for variant, scores in evaluation.scores.items():
                    curve.setdefault(variant, {}).setdefault(point[place], []).append(scores)
            write_curve(folder, name, label, curve)
    run.finish(
        {
            "variant": config.variant,
            "folds": count,
            "parts": [part.config.out for part in parts],
            "points": points,
            "metrics": points[0]["metrics"] if len(points) == 1 else None,
        }
    )


def _some_faces(test, splits, count=6):
    """A batch of a few test faces, of as many people as there are splits."""
    chosen = splits[:: max(1, len(splits) // count)][:count]
    parts = [next(iter(test([split], batch_size=count // len(chosen)))) for split in chosen]
    return {key: np.concatenate([part[key].numpy() for part in parts]) for key in parts[0]}


def _validation(test, fold, plan, columns):
    """The validation faces with the labels that are learned, in the recognizer's order."""
    return test(fold.validation, batch_size=plan.batch_size).map(
        lambda batch: {"face": batch["face"], "au": keras.ops.take(batch["au"], columns, axis=1)}
    )


def _stream(config, faces, plan, augmentation, step):
    return asked(
        training_batches,
        faces,
        batch_size=plan.batch_size,
        size=config.recognizer.size,
        seed=config.seed,
        augmentation=augmentation,
        labeled_in_batch=config.labeled_in_batch,
        labeled_only=config.variant == "o_wlc",
        label_noise=config.label_noise,
        start_step=step,
        cache=config.data.cache,
    )


def _write_labels(path, faces, action_units):
    """Which faces trained, with the labels they had, in OpenFace's column names."""
    with written_aside(path) as aside, aside.open("w", newline="") as file:
        writer = csv.writer(file)
        names = [f"AU{number:02d}_c" for number in action_units]
        writer.writerow(["dataset", "subject", "sequence", "frame", *names])
        for part in faces:
            name = "/".join(part.source.directory.parts[-3:-1])
            keys = part.source.values(part.splits, ["subject", "sequence", "frame"])
            for subject, sequence, frame, labels in zip(*keys.values(), part.labels, strict=True):
                known = ["" if np.isnan(value) else f"{value:g}" for value in labels]
                writer.writerow([name, subject.decode(), sequence.decode(), frame, *known])


if __name__ == "__main__":
    sys.exit(main(__doc__, GROUPS, train))
