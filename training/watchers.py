"""What a synthesis run trains before its game, on its own training people.

Who watches over identity and who judges its faces, both frozen in the game, and what R_AU knows at
its beginning.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf
from configuration import OptimizerConfig, UsageError, asked
from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveInt,
)
from optimizers import make_optimizer
from run import load_network

from tfface.backbones import feature_extractor
from tfface.data.pipeline import training_stream
from tfface.losses import class_weights_from_labels
from tfface.recognition.data import Augmentation
from tfface.recognition.model import AdversarialAURecognizer
from tfface.recognition.networks import ActionUnitDiscriminator, ActionUnitRecognizer
from tfface.synthesis.data import augment, evaluation_transform, subject_batches
from tfface.synthesis.model import VGG_FACE_LAYERS, RegionTraining, SubjectTraining
from tfface.synthesis.networks import SubjectClassifier


@dataclass(kw_only=True)
class RecognizerConfig(OptimizerConfig):
    """How the recognizer that judges is had; it is trained before the game."""

    path: str | None = None
    """A recognizer.keras of another run, taken as it is; null trains one."""
    balance: bool = True
    """Weigh an AU's two classes by their frequency."""
    average: OpenUnitInterval | None = None
    """Momentum of a moving average of its weights, which is then used."""


@dataclass(kw_only=True)
class RegionConfig(OptimizerConfig):
    """How R_AU learns from real regions before G learns from R_AU."""

    epochs: NonNegativeInt = 0
    """Epochs; 0 (the paper) leaves it out."""


@dataclass(kw_only=True)
class EnrichmentConfig:
    """Whether synthetic faces with rare AUs help a recognizer: it is trained again with them."""

    share: ClosedUnitInterval = 0.0
    """Share of its training faces that get a rare AU switched on; 0 trains no second recognizer."""
    action_units: list[PositiveInt] | None = None
    """Which AUs; null is the three rarest of the training faces."""


def load_vggface(config):
    """VGG-Face up to the layers of Eq. 4, with their weights alpha_l."""
    if config.identity_weights is None:
        raise UsageError(
            "identity_network vggface needs --identity_weights PATH; --identity_network classifier "
            "needs no download"
        )
    shape = (config.size, config.size, 3)
    network = asked(
        feature_extractor, "vggface", list(VGG_FACE_LAYERS), config.identity_weights, shape
    )
    return network, list(VGG_FACE_LAYERS.values())


def make_subject_classifier(config, source, splits):
    """The classifier of the training people, yet to learn."""
    people = len(source.people_of(splits))
    return asked(SubjectClassifier, people, config.size, **config.subject_classifier)


def train_subject_classifier(run, source, splits, classifier, plan):
    """Trains it; returns its features, frozen."""
    config = run.config
    with run.scope("subjects"):
        training = SubjectTraining(classifier)
        training.compile({"classifier": make_optimizer(plan)}, **run.switches(plan))
    run.fit("subjects", training, partial(_subject_stream, config, source, splits, plan), plan)
    run.save(classifier, "subjects")
    return classifier.in_float32().feature_extractor()


def train_regions(run, generator, region_discriminator, stream, plan):
    """Trains R_AU in place. `stream` makes, of a first step, batches as the game has them."""
    with run.scope("synthesis"):
        training = RegionTraining(generator.cut, region_discriminator.regressor())
        training.compile({"regressor": make_optimizer(plan)}, **run.switches(plan))
    run.fit("regions", training, stream, plan)


def make_recognizer(config, source):
    """A recognizer, yet to learn."""
    return asked(ActionUnitRecognizer, source.action_units, config.size, **config.recognizer)


def load_recognizer(config, source):
    """The recognizer of `recognizer_training.path`.

    Raises:
        UsageError: If it takes faces of another size or shares no AU with the data.
    """
    recognizer = load_network(config.recognizer_training.path, ActionUnitRecognizer)
    if recognizer.size != config.size or not set(recognizer.action_units) & set(
        source.action_units
    ):
        raise UsageError(
            f"recognizer_training.path must hold a recognizer of {config.size} pixels that knows "
            f"AUs of {config.data.dataset}. Received: one of {recognizer.size} pixels and AUs "
            f"{list(recognizer.action_units)}"
        )
    return recognizer.in_float32()


def train_recognizer(run, source, splits, recognizer, plan, generator=None):
    """Trains a recognizer by its labels alone: no unlabeled faces, no discriminator.

    Args:
        run: The Run.
        source: FaceSource with AU labels.
        splits: Its splits that train.
        recognizer: ActionUnitRecognizer, yet to learn.
        plan: The whole plan of its training.
        generator: LACGenerator that enriches the faces as `enrichment` says, or None. With one it
            is the stage and the file `enriched_recognizer`.

    Returns:
        ActionUnitRecognizer that computes in float32.
    """
    config, chosen = run.config, run.config.recognizer_training
    stage = "recognizer" if generator is None else "enriched_recognizer"
    weights = None
    if chosen.balance:
        weights = class_weights_from_labels(source.action_unit_labels(splits))
    with run.scope("recognizer"):
        players = recognizer, ActionUnitDiscriminator(len(source.action_units))
        model = AdversarialAURecognizer(*players, adversarial_weight=0.0, class_weights=weights)
        optimizers = {name: make_optimizer(plan) for name in model.player_names}
        optimizers["recognizer"] = make_optimizer(plan, chosen.average)
        model.compile(optimizers, **run.switches(plan))
    run.fit(
        stage, model, partial(_recognizer_stream, config, source, splits, plan, generator), plan
    )
    with model.averaged("recognizer"):
        run.save(recognizer, stage)
        learned = recognizer.get_weights()
    recognizer.set_weights(learned)
    return recognizer.in_float32()


def rare_action_units(config, source, splits):
    """The AUs that enrichment switches on: those of the config, or the three rarest there are."""
    labels = source.action_unit_labels(splits)
    known = np.maximum((~np.isnan(labels)).sum(axis=0), 1)
    shares = np.nansum(labels, axis=0) / known
    order = [source.action_units[i] for i in np.argsort(shares, kind="stable") if shares[i] > 0]
    chosen = config.enrichment.action_units or order[:3]
    if unknown := set(chosen) - set(source.action_units):
        raise UsageError(
            f"enrichment.action_units must be among {list(source.action_units)}. "
            f"Received: {sorted(unknown)}"
        )
    return tuple(sorted(chosen))


def _recognizer_stream(config, source, splits, plan, generator, step):
    """Faces and their labels; edited ones are augmented after that, like all others."""
    batches = training_stream(
        source,
        splits,
        batch_size=plan.batch_size,
        size=config.size,
        transform=evaluation_transform,
        seed=config.seed,
        start_step=step,
        cache=config.data.cache,
    )
    if generator is not None:
        chosen, share = rare_action_units(config, source, splits), config.enrichment.share
        batches = augment(batches, generator, chosen, share, seed=config.seed, start_step=step)
    augmentation = asked(Augmentation, **config.augmentation)

    def finished(number, batch):
        seed = tf.stack([tf.constant(config.seed, tf.int64), number])
        faces, _ = augmentation(batch["face"], batch["landmarks"], tf.cast(seed, tf.int32))
        return {"face": faces, "au": batch["au"]}

    return batches.enumerate(step).map(finished, num_parallel_calls=tf.data.AUTOTUNE)


def _subject_stream(config, source, splits, plan, step):
    return subject_batches(
        source,
        splits,
        batch_size=plan.batch_size,
        size=config.size,
        seed=config.seed,
        start_step=step,
        cache=config.data.cache,
    )
