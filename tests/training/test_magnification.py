"""The training script as a user runs it: what it leaves, and that a kill changes nothing."""

import csv
import json

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from run import load_network
from tuning.space import SYSTEMS

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source
from tfface.magnification.networks import ExpressionMagnifier, ExpressionNet

pytestmark = pytest.mark.slow

CLASSES = ["anger", "happiness", "surprise"]
STAGES = {"classifier": 2, "reconstruction": 1, "magnification": 4}  # epochs
WEAK = (7, 8, 10)  # The sixth to eighth of the nine frames.
PARTS = ("forehead", "brow", "eye", "nose", "cheek", "mouth", "chin", "background")


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def strict(path):
    """A file of JSON as the standard has it, which knows no NaN."""

    def refused(name):
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(), parse_constant=refused)


def read_pairs(posed):
    """Weak faces and peaks of the person who tests, (9, 16, 16, 3) each, and their class IDs."""
    source = open_source("image_folder/posed", posed)
    fold = make_fold(source, "shares:0.75-0-0.25", 0)
    faces, labels = {}, {}
    for record in source.records(fold.test).as_numpy_iterator():
        resized = keras.ops.image.resize(record["image"], (18, 18), "bicubic", antialias=True)
        eight_bits = np.round(np.clip(resized, 0, 255)).astype(np.float32)
        key = record["sequence"].decode(), int(record["frame"])
        faces[key] = eight_bits[1:17, 1:17] / np.float32(255)
        labels[key] = int(record["expression"])
    assert len(faces) == 27
    weak = [(name, frame) for name in CLASSES for frame in WEAK]
    peaks = [(name, 11) for name, _ in weak]
    stacked = (np.stack([faces[key] for key in keys]) for keys in (weak, peaks))
    return *stacked, np.array([labels[key] for key in weak])


def test_what_a_run_leaves(finished_magnification):
    folder, _, said = finished_magnification
    lines = said.splitlines()
    assert "data: 27 pairs train, 9 peaks" in lines
    assert "data: 9 pairs test, 3 peaks" in lines
    for stage, epochs in STAGES.items():
        reported = [line.split()[1] for line in lines if line.startswith(f"{stage} ")]
        assert reported == [f"{epoch}/{epochs}" for epoch in range(1, epochs + 1)]
        assert tf.train.latest_checkpoint(folder / "checkpoints" / stage)
        assert list((folder / "logs" / stage).rglob("events.out.tfevents.*"))
    # One fold is called one fold.
    assert "evaluation: 9 weak test faces of fold 0 of shares:0.75-0-0.25" in lines
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "classifier.keras",
        "config.yaml",
        "evaluation",
        "history.csv",
        "logs",
        "magnifier.keras",
        "samples",
        "summary.json",
    ]
    rows = table(folder / "history.csv")
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        (stage, str(epoch)) for stage, epochs in STAGES.items() for epoch in range(1, epochs + 1)
    ]
    assert all(float(row["loss"]) > 0 for row in rows[:3])
    for name in ("content_loss", "class_loss", "discriminator_loss", "peak_discriminator_loss"):
        assert all(float(row[name]) > 0 for row in rows[3:])
    for name in ("real_loss", "peak_loss"):  # log(1 - D), which is below 0
        assert all(float(row[name]) < 0 for row in rows[3:])
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        f"magnification_{epoch:04d}.png" for epoch in (1, 2, 3, 4)
    ]


def test_the_tables_and_pictures_of_a_run(finished_magnification):
    folder = finished_magnification[0] / "evaluation"
    (row,) = table(folder / "accuracy.csv")
    assert row["mode"] == "GroupGAN (2V2)"
    summary = strict(folder.parent / "summary.json")["metrics"]
    for column, name in (("accuracy", "accuracy"), ("weak: accuracy", "accuracy_weak")):
        assert row[column] == f"{summary[name]['2v2']:.3f}"
    assert row["PSNR (dB)"] == f"{summary['psnr']['2v2']:.2f}"
    rows = table(folder / "classes.csv")
    assert [(row["class"], row["faces"]) for row in rows] == [(name, "3") for name in CLASSES]
    for name in ("confusion_2v2", "confusion_weak_2v2"):
        rows = table(folder / f"{name}.csv")
        assert list(rows[0]) == ["true class (%)", *CLASSES, "faces"]
        assert all(sum(float(row[c]) for c in CLASSES) == pytest.approx(100, 0.01) for row in rows)
    rows = table(folder / "heat.csv")
    assert list(rows[0]) == ["mode", "heat of", "class", "whole", *PARTS]
    assert len(rows) == 4 * (len(CLASSES) + 1)
    lines = {"accuracy": 1, "classes": 3, "confusion_2v2": 3, "confusion_weak_2v2": 3, "heat": 16}
    for name, count in lines.items():
        assert len((folder / f"{name}.md").read_text().splitlines()) == 2 + count, name
    # Neutral, weak, heat, magnified, heat, peak; what is drawn of one person has no features.png.
    sizes = {
        "faces_2v2": (3, 6),
        "heat_2v2": (2, 3),
        "changes_2v2": (2, 3),
        "confusion_2v2": (1.5, 1.5),
        "confusion_weak_2v2": (1.5, 1.5),
    }
    for name, (down, across) in sizes.items():
        height, width, _ = cv2.imread(str(folder / f"{name}.png")).shape
        assert height >= down * 200 and width >= across * 200, name
    for path in (folder.parent / "samples").iterdir():
        height, width, _ = cv2.imread(str(path)).shape
        assert height >= 6 * 200 and width >= 6 * 200


def test_the_summary_of_a_run(finished_magnification, posed):
    """Its scores are those of the network beside it, computed by hand on faces read by hand."""
    folder, models, _ = finished_magnification
    summary = strict(folder / "summary.json")
    assert summary["system"] == "magnification"
    assert summary["dataset"] == "image_folder/posed"
    assert (summary["variant"], summary["backbone"]) == ("2v2", "fer_net")
    assert summary["fold"] == {"protocol": "shares:0.75-0-0.25", "index": 0}
    assert (summary["test_faces"], summary["steps"], summary["seed"]) == (9, 4 * 2, 0)
    assert summary["wall_time_s"] > summary["training_time_s"] > 0
    assert summary["exported"] == str(models / "magnification" / "1")

    weak, peak, labels = read_pairs(posed)
    magnifier = load_network(folder / "magnifier.keras", ExpressionMagnifier)
    assert magnifier.classes == tuple(CLASSES) and magnifier.aligned_size == 18
    found = {name: np.array(value) for name, value in magnifier(weak, training=False).items()}
    metrics = summary["metrics"]
    for name, logits in (("accuracy", "logits_after"), ("accuracy_weak", "logits_before")):
        share = np.mean(found[logits].argmax(axis=1) == labels)
        assert metrics[name] == {"2v2": pytest.approx(share)}
    assert SYSTEMS["magnification"].value(summary, "2v2") == metrics["accuracy"]["2v2"]
    for name, faces in (("psnr", found["magnified"]), ("psnr_weak", weak)):
        errors = np.mean((faces - peak) ** 2.0, axis=(1, 2, 3))
        expected = np.mean(-10 * np.log10(errors))
        assert metrics[name] == {"2v2": pytest.approx(expected, abs=1e-3)}
    heat = np.mean(np.sum((found["magnified"] - weak) ** 2, axis=-1))
    assert metrics["heat"]["2v2"]["change"]["whole"] == pytest.approx(heat, rel=1e-4)
    strict(folder / "evaluation" / "scores.json")


def test_the_classifier_stays_as_it_was_when_the_game_began(finished_magnification):
    """It is no player: what the peaks taught it is in the finished model."""
    folder = finished_magnification[0]
    classifier = load_network(folder / "classifier.keras", ExpressionNet)
    magnifier = load_network(folder / "magnifier.keras", ExpressionMagnifier)
    of_both = [network.get_weights() for network in (classifier, magnifier.classifier)]
    for before, after in zip(*of_both, strict=True):
        np.testing.assert_array_equal(before, after)
    learned = magnifier.extractor.get_layer("expression").get_weights()[0]
    assert np.any(learned != classifier.get_layer("expression").get_weights()[0])


def test_the_exported_model_answers_as_the_run_did(finished_magnification, posed):
    folder, models, _ = finished_magnification
    weak, _, _ = read_pairs(posed)
    saved = tf.saved_model.load(models / "magnification" / "1")
    answer = saved.signatures["magnify"](image=tf.constant(weak))
    found = load_network(folder / "magnifier.keras", ExpressionMagnifier)(weak, training=False)
    for name in ("magnified", "heat_map"):
        np.testing.assert_allclose(answer[name], found[name], atol=1e-5)
    for name in ("before", "after"):
        powers = np.exp(np.array(found[f"logits_{name}"], np.float64))
        expected = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(answer[f"probabilities_{name}"], expected, atol=1e-5)
    assert (models / "magnification/1/labels.txt").read_text().split() == CLASSES


def everything(folder):
    """What a run computed: the weights of all networks, its history without the clock, scores."""
    rows = table(folder / "history.csv")
    for row in rows:
        del row["seconds"]
    kinds = {"classifier": ExpressionNet, "magnifier": ExpressionMagnifier}
    weights = {
        name: load_network(folder / f"{name}.keras", kind).get_weights()
        for name, kind in kinds.items()
    }
    return weights, rows, strict(folder / "summary.json")["metrics"]


def test_a_killed_run_ends_as_one_that_nobody_killed(
    start, kill_when, tiny_magnification, finished_magnification, tmp_path
):
    """Killed in its first stage and in its last, whose rates fall meanwhile."""
    folder = tmp_path / "run"
    command = (
        "magnification",
        *("--config", tiny_magnification, "--out", folder, "--export_dir", tmp_path / "models"),
        "--deterministic=true",
    )
    for stage, epoch in (("classifier", 1), ("magnification", 2)):
        index = folder / "checkpoints" / stage / f"ckpt-{epoch}.index"
        kill_when(start(*command), index.exists)
    assert not (folder / "magnifier.keras").exists()

    process = start(*command)
    said, complaints = process.communicate(timeout=600)
    assert process.returncode == 0, complaints
    assert "classifier: trained already (2 epochs)" in said
    assert "reconstruction: trained already (1 epochs)" in said
    assert "magnification: going on after epoch " in said
    (weights, rows, metrics), expected = everything(folder), everything(finished_magnification[0])
    for name, values in expected[0].items():
        for got, value in zip(weights[name], values, strict=True):
            np.testing.assert_array_equal(got, value)
    assert (rows, metrics) == expected[1:]
