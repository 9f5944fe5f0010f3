"""Trains the editing of action units, and scores what a recognizer reads off edited faces.

First come the networks that watch and judge: a classifier of the training people (identity), an
action unit recognizer and, where asked, the region discriminators' R_AU. Then Eq. 10 is played. The
finished generator is exported.
"""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Literal

from tfface.commands.startup import load_tensorflow

load_tensorflow(wake=False)  # before the imports below load it with all that it has to say

import numpy as np
from configuration import DataConfig, OptimizerConfig, RunConfig, UsageError, asked
from jsonargparse.typing import NonNegativeFloat, OpenUnitInterval, PositiveFloat, PositiveInt
from process import main
from run import Run, whole_plan
from watchers import (
    EnrichmentConfig,
    RecognizerConfig,
    RegionConfig,
    load_recognizer,
    load_vggface,
    make_recognizer,
    make_subject_classifier,
    rare_action_units,
    train_recognizer,
    train_regions,
    train_subject_classifier,
)

from tfface.data.pipeline import chosen_records, evaluation_batches, transformed
from tfface.recognition.data import Augmentation
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.serving.signatures.synthesis import synthesis_servable
from tfface.synthesis.data import evaluation_transform, training_batches
from tfface.synthesis.evaluation import Evaluation, enrichment_table
from tfface.synthesis.examination import examine, exchanged_labels, recognized
from tfface.synthesis.model import LACGAN
from tfface.synthesis.networks import (
    FaceDiscriminator,
    LACGenerator,
    LatentDiscriminator,
    RegionDiscriminator,
    SubjectClassifier,
)
from tfface.synthesis.pictures import draw_combinations, draw_sample, draw_single_units
from tfface.tables import markdown, write_table


@dataclass(kw_only=True)
class SynthesisConfig(RunConfig):
    """What is trained."""

    region: Literal["crop", "full"] = "crop"
    """What a CARG sees: its AU's two windows, or the whole masked face (the paper)."""
    size: PositiveInt = 200
    """Side of the faces in pixels."""
    identity_network: Literal["vggface", "classifier", "none"] = "classifier"
    """Whose features watch over identity (Eq. 4); a classifier of the training people works
    offline."""
    identity_weights: str | None = None
    """Path of VGG-Face's weights, for identity_network vggface."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of the generator, which is then tested and exported."""
    generator_rate: PositiveFloat = 1.0
    """Learning rate of the generator as a share of training.learning_rate."""
    jitter: NonNegativeFloat = 0.0
    """Spread of the noise that training puts on landmarks, as a share of the face's side."""


GROUPS = {
    "": SynthesisConfig,
    "data": DataConfig,
    "training": OptimizerConfig,
    "subject_training": OptimizerConfig,
    "region_training": RegionConfig,
    "recognizer_training": RecognizerConfig,
    "enrichment": EnrichmentConfig,
    "augmentation": Augmentation,
    "generator": (LACGenerator, ("action_units", "size", "region")),
    "region_discriminator": (RegionDiscriminator, ("n_action_units", "height", "width")),
    "latent_discriminator": (LatentDiscriminator, ("n_action_units", "latent_size")),
    "face_discriminator": (FaceDiscriminator, ("size",)),
    "subject_classifier": (SubjectClassifier, ("subjects", "size")),
    "recognizer": (ActionUnitRecognizer, ("action_units", "size")),
    "loss": (
        LACGAN,
        (
            "generator",
            "region_discriminator",
            "latent_discriminator",
            "face_discriminator",
            "identity_network",
            "identity_layer_weights",
        ),
    ),
}


def train(config):
    """The whole job, going on where it was stopped."""
    run = Run(config, "synthesis")
    source, fold = run.open_data()
    if not source.action_units:
        raise UsageError(f"{config.data.dataset} has no action units to learn")
    plans = make_plans(config, source.count(fold.train))
    plan = plans["training"]
    if run.done(plan.epochs * plan.steps_per_epoch):
        return
    # What cannot be made is said before anything is trained.
    rare = rare_action_units(config, source, fold.train)
    subjects, features, alphas = None, None, None
    if config.identity_network == "vggface":
        features, alphas = load_vggface(config)
    if config.identity_network == "classifier":
        with run.scope("subjects"):
            subjects = make_subject_classifier(config, source, fold.train)
    learns = config.recognizer_training.path is None
    with run.scope("recognizer"):
        recognizer = (make_recognizer if learns else load_recognizer)(config, source)
    with run.scope("synthesis"):
        players = make_players(config, source)
        asked(LACGAN, *players, **config.loss)
    labels = say_labels(run, source, fold)
    if subjects is not None:
        features = train_subject_classifier(
            run, source, fold.train, subjects, plans["subject_training"]
        )
    if learns:
        recognizer = train_recognizer(
            run, source, fold.train, recognizer, plans["recognizer_training"]
        )
    if "region_training" in plans:
        learned = plans["region_training"]
        stream = partial(_stream, config, source, fold.train, learned)
        train_regions(run, *players[:2], stream, learned)
    with run.scope("synthesis"):
        model = asked(LACGAN, *players, features, alphas, **config.loss)
        optimizers = run.optimizers(*model.player_names)
        optimizers["generator"].learning_rate *= config.generator_rate
        model.compile(optimizers, **run.switches(plan))
    run.fit(
        "synthesis",
        model,
        partial(_stream, config, source, fold.train, plan),
        plan,
        samples=partial(draw_sample, batch=_faces(source, fold.test, labels, config.size, 4)),
    )

    with model.averaged("generator") as generator:
        finished = generator.in_float32()
        run.save(finished, "generator")
        finish(run, source, fold, labels, finished, recognizer, plans, rare)


def make_plans(config, faces):
    """By group of the config, the plan with the steps of its epochs filled in."""
    groups = ["training"]
    groups += ["subject_training"] * (config.identity_network == "classifier")
    groups += ["region_training"] * (config.region_training.epochs > 0)
    if config.recognizer_training.path is None or config.enrichment.share:
        groups.append("recognizer_training")
    return {name: whole_plan(config[name], faces, config.steps_per_execution) for name in groups}


def say_labels(run, source, fold):
    """Says which AUs cannot be learned; returns the test faces' labels (n, n_au)."""
    labels = source.action_unit_labels(fold.train)
    for number, column in zip(source.action_units, labels.T, strict=True):
        for value, name in ((1, "present"), (0, "absent")):
            if not np.any(column == value):
                run.say(f"data: AU{number} is {name} in no training face: it cannot be learned")
    tested = source.action_unit_labels(fold.test)
    if np.isnan(tested).all():
        raise UsageError("the test faces must have action unit labels. Received: none")
    return tested


def make_players(config, source):
    """G and the three kinds of discriminators."""
    units = source.action_units
    generator = asked(LACGenerator, units, config.size, region=config.region, **config.generator)
    return (
        generator,
        asked(
            RegionDiscriminator, len(units), *generator.region_shape, **config.region_discriminator
        ),
        asked(
            LatentDiscriminator, len(units), generator.latent_size, **config.latent_discriminator
        ),
        asked(FaceDiscriminator, config.size, **config.face_discriminator),
    )


def finish(run, source, fold, labels, generator, recognizer, plans, rare):
    """Scores the generator, and where asked what it gives a recognizer; writes and exports."""
    config, folder = run.config, run.folder / "evaluation"
    run.say(f"evaluation: {len(labels)} test faces edited and read")
    test = evaluation_batches(
        source,
        fold.test,
        batch_size=32,
        size=config.size,
        transform=evaluation_transform,
        seed=config.seed,
    )
    subjects = source.values(fold.test, ["subject"])["subject"]
    targets = exchanged_labels(labels, subjects, config.seed)
    examined = asked(examine, generator, recognizer, test, targets, source.action_units)
    evaluation = Evaluation({config.region: examined})
    run.say("\n".join(evaluation.lines()))
    if run.is_chief:
        evaluation.write(folder)
        neutral = _faces(source, fold.test, labels, config.size, 4)
        draw_single_units(generator, neutral, folder / "single_units.png")
        draw_combinations(generator, neutral, folder / "combinations.png")
    metrics = evaluation.metrics()[config.region]
    if config.enrichment.share:
        with run.scope("recognizer"):
            again = make_recognizer(config, source)
        enriched = train_recognizer(
            run, source, fold.train, again, plans["recognizer_training"], generator
        )
        reached = {
            "without": examined.scores["real"],
            "with": asked(recognized, enriched, test, source.action_units),
        }
        table, metrics["enrichment"] = enrichment_table(reached, rare)
        run.say("\n".join(markdown(*table)))
        if run.is_chief:
            write_table(folder / "enrichment", *table)
    figures = {
        "variant": config.region,
        "fold": {"protocol": config.data.protocol, "index": config.data.fold},
        "test_faces": examined.faces,
        "steps": plans["training"].epochs * plans["training"].steps_per_epoch,
        "metrics": metrics,
    }
    run.finish(figures, synthesis_servable(generator))


def _faces(source, splits, labels, size, count):
    """A batch of the test faces with the fewest AUs, one a person, evenly chosen people."""
    subjects = source.values(splits, ["subject"])["subject"]
    people = np.unique(subjects)
    people = people[np.unique(np.linspace(0, len(people) - 1, count).astype(int))]
    present = np.nansum(labels, axis=1) + np.isnan(labels).all(axis=1) * labels.shape[1]
    rows = [np.flatnonzero(subjects == person) for person in people]
    chosen = np.array([each[np.argmin(present[each])] for each in rows])
    records = chosen_records(source, splits, chosen, size).batch(len(chosen))
    return next(iter(transformed(records, evaluation_transform, seed=0)))


def _stream(config, source, splits, plan, step):
    return asked(
        training_batches,
        source,
        splits,
        batch_size=plan.batch_size,
        size=config.size,
        seed=config.seed,
        latent_size=config.generator.latent_size,
        jitter=config.jitter,
        start_step=step,
        cache=config.data.cache,
    )


if __name__ == "__main__":
    sys.exit(main(__doc__, GROUPS, train))
