"""Real faces as a LiteRT file's inputs: what a full int8 file is calibrated on, and tested with.

An int8 file has one range for the values of each tensor, which is found by running the network on
faces like those that it will see. They are the run's own training faces, from the data set that its
`config.yaml` names; noise would give other ranges, and people who test must not take part.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfface.data.folds import make_fold
from tfface.data.pairing import sequence_pairs
from tfface.data.pipeline import chosen_records, open_source, transformed
from tfface.facs.landmarks import mean_face
from tfface.restoration.data import RestorationTransform
from tfface.serving.pictures import middle
from tfface.serving.runs import read_run

FACES = 100
"""Faces that calibrate: the ranges of activations hardly grow with more."""


@dataclass(frozen=True)
class Calibration:
    """What a full int8 file is calibrated on.

    Args:
        inputs: A dict for each face: each input of the LiteRT signature by name, (1, ...) float32.
        facts: Where the faces come from, for the file's description.
    """

    inputs: list
    facts: dict


def open_calibration(servable, folder, faces=FACES):
    """Takes faces that a run has trained on, evenly spread over all of them.

    Args:
        servable: The Servable of the run's network.
        folder: The run's folder.
        faces: How many, at most.

    Returns:
        Calibration.

    Raises:
        ValueError: If the folder holds no run, or its data set cannot be opened.
    """
    config = read_run(folder)
    data = config["data"]
    try:
        source, fold = open_run_data(config)
        rows = evenly(_trained(servable, source, fold.train, config), faces)
        inputs = list(lite_inputs(servable, source, fold.train, rows, config))
    except (OSError, ValueError, LookupError) as error:
        place = data.get("data_dir") or "TensorFlow Datasets' own folder"
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`folder` must be a run whose training faces can be read. Received: {folder}, of "
            f"{data.get('dataset')} in {place} ({reason})."
        ) from error
    facts = {key: data[key] for key in ("dataset", "protocol", "fold")}
    return Calibration(inputs, {**facts, "part": "train", "faces": len(inputs)})


def open_run_data(config):
    """The data set and the fold that a run's config names.

    Returns:
        tuple: FaceSource, Fold of its splits.

    Raises:
        ValueError: If there is no such set or fold.
        FileNotFoundError: If the set is not there.
    """
    data = config["data"]
    source = open_source(data["dataset"], data["data_dir"])
    return source, make_fold(source, data["protocol"], data["fold"])


def evenly(rows, count):
    """At most `count` of the rows, at even distances, in their order."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows)))
    return np.asarray(rows)[np.unique(places.astype(int))]


def lite_inputs(servable, source, splits, rows, config):
    """Faces as the inputs of a system's LiteRT signature, made as its training makes them.

    Args:
        servable: The system's Servable.
        source: FaceSource.
        splits: Its splits.
        rows: Ascending positions of the faces among those of the splits.
        config: The run's config.

    Returns:
        Iterator of dicts, one a face: each input by name, (1, ...) float32. Where synthesis asks
        for action units, they are the next face's labels, -1 ("it stays") where it has none.
    """
    size = servable.facts.get("aligned_size", servable.facts["size"])
    make = _MAKERS[servable.system](servable.facts, source, splits, rows, config)
    records = chosen_records(source, splits, rows, size).batch(1)
    return transformed(records, make, config["seed"]).as_numpy_iterator()


def _trained(servable, source, splits, config):
    """Rows of the faces that a run's network is given: all, or the weak ones of sequences."""
    pairs = config.get("pairs", {})
    if servable.system == "magnification" and pairs.get("kind") == "sequences":
        return sequence_pairs(source, splits, servable.labels, pairs["weak_frames"]).weak
    return np.arange(source.count(splits))


def _degraded(facts, source, splits, rows, config):
    degrade = RestorationTransform(facts["size"] // facts["low_size"], config["hidden_area"])

    def make(batch, seed):
        found = degrade(batch, seed)
        return {"image": found["low"], "mask": found["mask"]}

    return make


def _whole(facts, source, splits, rows, config):
    return lambda batch, seed: {"image": batch["image"]}


def _middle(facts, source, splits, rows, config):
    return lambda batch, seed: {"image": middle(batch["image"], facts["size"])}


def _with_wishes(facts, source, splits, rows, config):
    wishes = np.roll(source.action_unit_labels(splits)[rows], -1, axis=0)
    # A minimum and a maximum are taken of all that is seen, which NaN would spoil.
    wishes = tf.constant(np.where(np.isnan(wishes), -1.0, wishes), tf.float32)
    mean = tf.constant(mean_face(facts["size"]), tf.float32)

    def make(batch, seed):
        points, (_, step) = batch["landmarks"], tf.unstack(seed)
        return {
            "image": batch["image"],
            "values": wishes[step : step + 1],
            "landmarks": tf.where(tf.math.is_finite(points), points, mean),
        }

    return make


_MAKERS = {
    "restoration": _degraded,
    "recognition": _whole,
    "magnification": _middle,
    "regeneration": _middle,
    "synthesis": _with_wishes,
}
"""By system, a function of (facts, source, splits, rows, config) to a transform of records."""
