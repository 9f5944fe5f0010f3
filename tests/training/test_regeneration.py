"""The training script as a user runs it: what it leaves, a kill, runs that are joined or go on."""

import csv
import json

import cv2
import keras
import numpy as np
import pytest
import regeneration
import tensorflow as tf
import yaml

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source

pytestmark = pytest.mark.slow

CLASSES = ["anger", "happiness", "surprise"]
PROTOCOL = "shares:0.75-0-0.25"
FRAMES = (10, 11)  # The two nearest to the peak of each sequence.


@pytest.fixture(scope="module")
def tiny(posed, tmp_path_factory):
    """A config file that trains in seconds: 3 people train, 1 tests, networks of a few filters."""
    values = {
        "average": 0.9,
        "export_dir": None,
        "data": {
            "dataset": "image_folder/posed",
            "data_dir": str(posed),
            "protocol": PROTOCOL,
        },
        "faces": {"size": 16, "frames": 2},
        "generator": {"filters": [2, 4]},
        "discriminator": {"filters": [2, 4]},
        "classifier_training": {
            **{"epochs": 2, "steps_per_epoch": 2, "batch_size": 4},
            "average": 0.5,
        },
        "training": {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4},
    }
    path = tmp_path_factory.mktemp("config") / "regeneration.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def finished(finished_run_of, tiny):
    """A run that nobody stopped: its folder, where it was exported to, and what it said."""
    return finished_run_of("regeneration", tiny)


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def strict(path):
    """A file of JSON as the standard has it, which knows no NaN."""

    def refused(name):
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(), parse_constant=refused)


def test_what_a_run_leaves(finished):
    folder, models, said = finished
    lines = said.splitlines()
    assert "data: 18 training faces show one of 3 classes" in lines
    assert "data: 81 training faces beside their person's peaks" in lines
    assert f"evaluation: 6 test faces of fold 0 of {PROTOCOL}" in lines
    for stage in ("classifier", "regeneration"):
        reported = [line.split()[1] for line in lines if line.startswith(f"{stage} ")]
        assert reported == ["1/2", "2/2"]
        assert tf.train.latest_checkpoint(folder / "checkpoints" / stage)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "classifier.keras",
        "config.yaml",
        *(f"discriminator_{name}.keras" for name in CLASSES),
        "evaluation",
        *(f"generator_{name}.keras" for name in CLASSES),
        "history.csv",
        "logs",
        "regenerator.keras",
        "samples",
        "summary.json",
    ]
    rows = table(folder / "history.csv")
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        (stage, epoch) for stage in ("classifier", "regeneration") for epoch in "12"
    ]
    for name in ("content_loss", "perceptual_loss", "adversarial_loss", "discriminator_loss"):
        assert all(float(row[name]) > 0 for row in rows[2:])
    saved = tf.saved_model.load(models / "regeneration" / "1")
    found = saved.signatures["regenerate"](image=tf.zeros((2, 16, 16, 3)))
    assert found["regenerated"].shape == (2, 3, 16, 16, 3) and found["class_id"].shape == (2,)
