"""Every system's training step, ready to be timed: its networks as a config says, on noise.

The configs are those of `training/configs`, whose groups hold the arguments of the networks and the
losses. What a config leaves out has its class' default.
"""

import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import yaml

from tfface.backbones import feature_extractor
from tfface.facs.action_units import BP4D_AUS
from tfface.facs.landmarks import mean_face

CONFIGS = Path(__file__).parents[1] / "training/configs"

PAPERS = {
    "restoration": "paper_bp4d",
    "recognition": "paper_bp4d",
    "magnification": "paper_ckplus_oulu",
    "regeneration": "paper_bu3dfe",
    "synthesis": "paper_bp4d",
}
"""Of each system, the config with its paper's own sizes."""

PERSONS = 28
"""Whom a classifier of people is to tell apart: those who train in the paper of synthesis."""


def read_config(system, name):
    """The groups of a config.

    Args:
        system: One of `PAPERS`.
        name: "quickstart", "paper", or the name of another config of the system.

    Returns:
        dict.
    """
    name = PAPERS[system] if name == "paper" else name
    return yaml.safe_load((CONFIGS / system / f"{name}.yaml").read_text())


def make_case(
    system,
    name="quickstart",
    batch_size=None,
    precision="float32",
    overrides=None,
    rate=1e-4,
    **compiling,
):
    """A system's compiled model and a batch that it learns from.

    Args:
        system: One of `PAPERS`.
        name: As `read_config` takes it.
        batch_size: Faces in the batch; None is the config's.
        precision: Dtype policy of the networks.
        overrides: What to change of the config, such as `{"generator": {"filters": 8}}`: settings
            by their group, or the value of a setting that has no group. `size` is the side of the
            face for restoration too, and `action_units` the AUs of the systems that have some;
            neither stands in a config.
        rate: Learning rate of all players' Adam.
        **compiling: What `AdversarialModel.compile` takes besides optimizers.

    Returns:
        Compiled AdversarialModel, whose weights are the same each time, and the batch as a dict.
    """
    config = _merged(read_config(system, name), overrides or {})
    count = batch_size or config["training"]["batch_size"]
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    try:
        model, batch = _SYSTEMS[system](config, count, np.random.default_rng(1))
        optimizers = {player: keras.optimizers.Adam(rate) for player in model.player_names}
        model.compile(optimizers, **compiling)
    finally:
        keras.config.set_dtype_policy("float32")
    known = {key: value for key, value in batch.items() if key != "label"}
    batch |= {key: tf.constant(value, tf.float32) for key, value in known.items()}
    return model, batch


def make_stepper(model, batch):
    """A function that trains `model` one call on `batch` and returns the losses of that call."""
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def step():
        model.reset_metrics()
        return {name: float(value) for name, value in model.train_function(batches).items()}

    return step


def make_answer(system, model, batch):
    """A function that gives what the system answers at inference for `batch`, traced.

    Args:
        system: One of `PAPERS`.
        model: As from `make_case`.
        batch: Its batch.

    Returns:
        Function without arguments to a dict of tensors: `face` of restoration and synthesis (the
        latter's edited to the batch's `target`), `logits` of recognition, `face` and its `logits`
        of magnification, `faces` (B, classes, H, W, C) and `distances` (B, classes) of
        regeneration.
    """
    # The batch is an argument, since what is constant would be computed while it is traced.
    answer = tf.function(lambda batch: _ANSWERS[system](model, batch), autograph=False)
    return lambda: answer(batch)


def _merged(config, overrides):
    merged = dict(config)
    for name, value in overrides.items():
        group = isinstance(value, dict)
        merged[name] = {**config.get(name, {}), **value} if group else value
    return merged


def _restoration(config, count, rng):
    from tfface.restoration.model import ExpressionRestorer
    from tfface.restoration.networks import (
        ActionUnitClassifier,
        RestorationDiscriminator,
        RestorationGenerator,
    )

    size = config.get("size", 128)
    scale = config["generator"].get("scale", 8)
    generator = RestorationGenerator(size // scale, **config["generator"])
    # As after some training. The first faces are flat: what normalization makes of them in the
    # discriminator is rounding, and no two ways of computing it agree.
    tail = generator.get_layer("tail_conv").kernel
    tail.assign(20.0 * tail)
    discriminator = RestorationDiscriminator(size, **config["discriminator"])
    action_units = config.get("action_units", BP4D_AUS)
    classifier = ActionUnitClassifier(action_units, size, **config.get("classifier", {}))
    perceptual = (
        classifier.feature_extractor()
        if config["perceptual_network"] == "classifier"
        else feature_extractor("vgg19", ["block2_conv2", "block5_conv4"], None, (size, size, 3))
    )
    model = ExpressionRestorer(generator, discriminator, classifier, perceptual, **config["loss"])
    low = size // scale
    return model, {
        "low": rng.uniform(size=(count, low, low, 3)),
        "mask": rng.uniform(size=(count, low, low, 1)) < 0.25,
        "face": rng.uniform(size=(count, size, size, 3)),
    }


def _recognition(config, count, rng):
    from tfface.recognition.model import AdversarialAURecognizer
    from tfface.recognition.networks import ActionUnitDiscriminator, ActionUnitRecognizer

    action_units = config.get("action_units", BP4D_AUS)
    n = len(action_units)
    recognizer = ActionUnitRecognizer(action_units, **{**config["recognizer"], "weights": None})
    # Rounding grows through fifty layers of random weights until gradients in float32, whoever
    # computes them, are wrong by percents. It stays small where blocks add little to what they
    # are given, as trainings begin since Goyal et al., 2017.
    for layer in recognizer.layers:
        if re.fullmatch(r"conv\d_block\d_3_bn", layer.name):
            layer.gamma.assign(0.1 * layer.gamma)
    discriminator = ActionUnitDiscriminator(n, **config.get("discriminator", {}))
    model = AdversarialAURecognizer(recognizer, discriminator, **config["loss"])
    labels = rng.integers(0, 2, (count, n)).astype(np.float32)
    labels[::2] = np.nan  # every other face has lost its labels
    return model, {
        "face": rng.uniform(size=(count, recognizer.size, recognizer.size, 3)),
        "au": labels,
        "real": rng.integers(0, 2, (count, n)),
    }


def _magnification(config, count, rng):
    from tfface.magnification.model import GroupGAN
    from tfface.magnification.networks import (
        ExpressionNet,
        MagnificationDiscriminator,
        MagnificationGenerator,
    )

    classes, side = 7, config["pairs"]["crop"]
    # The paper's own first weights are for 100 epochs; what a step takes does not depend on them.
    groups = {
        name: {key: value for key, value in config[name].items() if key != "initialization"}
        for name in ("classifier", "generator", "discriminator")
    }
    classifier = ExpressionNet(classes, side, **groups["classifier"])
    model = GroupGAN(
        classifier,
        generator=MagnificationGenerator(side, **groups["generator"]),
        extractor=classifier.extractor(),
        discriminator=MagnificationDiscriminator(side, **groups["discriminator"]),
        peak_discriminator=MagnificationDiscriminator(side, **groups["discriminator"]),
        **config["loss"],
    )
    return model, {
        "weak": rng.uniform(size=(count, side, side, 3)),
        "peak": rng.uniform(size=(count, side, side, 3)),
        "label": tf.constant(rng.integers(0, classes, count)),
    }


def _regeneration(config, count, rng):
    from tfface.regeneration.features import create_features
    from tfface.regeneration.model import IAGen
    from tfface.regeneration.networks import RegenerationDiscriminator, RegenerationGenerator

    faces = config["faces"]
    classes, size = faces["classes"], faces.get("size", 64)
    channels = faces.get("channels", 1)
    classifier, extractor = create_features(
        config["features"], classes, size, channels, **config.get("classifier", {})
    )
    model = IAGen(
        [RegenerationGenerator(c, size, channels, **config["generator"]) for c in classes],
        [
            RegenerationDiscriminator(
                size, channels, **config["discriminator"], name=f"discriminator_{c}"
            )
            for c in classes
        ],
        classifier,
        extractor,
        classifier.levels(config["perceptual_layers"]),
        **config.get("loss", {}),
    )
    shape = size, size, channels
    return model, {
        "face": rng.uniform(size=(count, *shape)),
        "target": rng.uniform(size=(count, len(classes), *shape)),
        "known": np.ones((count, len(classes))),
        "label": tf.constant(rng.integers(0, len(classes), count)),
    }


def _synthesis(config, count, rng):
    from tfface.synthesis.model import LACGAN
    from tfface.synthesis.networks import (
        FaceDiscriminator,
        LACGenerator,
        LatentDiscriminator,
        RegionDiscriminator,
        SubjectClassifier,
    )

    action_units, size = config.get("action_units", BP4D_AUS), config["size"]
    n = len(action_units)
    generator = LACGenerator(action_units, size, region=config["region"], **config["generator"])
    people = SubjectClassifier(PERSONS, size, **config.get("subject_classifier", {}))
    model = LACGAN(
        generator,
        RegionDiscriminator(n, *generator.region_shape, **config["region_discriminator"]),
        LatentDiscriminator(n, generator.latent_size, **config.get("latent_discriminator", {})),
        FaceDiscriminator(size, **config["face_discriminator"]),
        people.feature_extractor(),
        **config["loss"],
    )
    return model, {
        "face": rng.uniform(size=(count, size, size, 3)),
        "landmarks": mean_face(size) + rng.normal(0, 1, (count, 68, 2)),
        "au": rng.integers(0, 2, (count, n)),
        "target": rng.integers(0, 2, (count, n)),
        "prior": rng.uniform(-1, 1, (count, n, generator.latent_size)),
    }


_SYSTEMS = {
    "restoration": _restoration,
    "recognition": _recognition,
    "magnification": _magnification,
    "regeneration": _regeneration,
    "synthesis": _synthesis,
}


def _restored(model, batch):
    return {"face": model.generator(model.generator_input(batch), training=False)}


def _recognized(model, batch):
    return {"logits": model.recognizer(batch["face"], training=False)}


def _magnified(model, batch):
    face = model.magnify(batch["weak"], training=False)
    return {"face": face, "logits": model.classifier(face, training=False)}


def _regenerated(model, batch):
    made = model.regenerator(batch["face"], training=False)
    return {"faces": made["regenerated"], "distances": made["distances"]}


def _edited(model, batch):
    given = [batch[name] for name in ("face", "target", "landmarks")]
    return {"face": model.generator(given, training=False)}


_ANSWERS = {
    "restoration": _restored,
    "recognition": _recognized,
    "magnification": _magnified,
    "regeneration": _regenerated,
    "synthesis": _edited,
}
