"""The training script as a user runs it: what it leaves, a kill, runs that are joined or go on."""

import csv
import functools
import json
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import regeneration
import tensorflow as tf
from configuration import read_config
from process import attempt
from tuning.space import SYSTEMS

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source

pytestmark = pytest.mark.slow

CLASSES = ["anger", "happiness", "surprise"]
PROTOCOL = "shares:0.75-0-0.25"
FRAMES = (10, 11)  # The two nearest to the peak of each sequence.


@pytest.fixture(scope="module")
def tiny(tiny_regeneration):
    return tiny_regeneration


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


def read_faces(posed):
    """The test person's faces as networks see them, by (expression, frame): (16, 16, 1)."""
    source = open_source("image_folder/posed", posed)
    fold = make_fold(source, PROTOCOL, 0)
    faces = {}
    for record in source.records(fold.test).as_numpy_iterator():
        resized = keras.ops.image.resize(record["image"], (22, 22), "bicubic", antialias=True)
        eight_bits = np.round(np.clip(resized, 0, 255)).astype(np.float32)
        gray = eight_bits[3:19, 3:19] / np.float32(255) @ np.array([0.299, 0.587, 0.114])
        key = record["sequence"].decode(), int(record["frame"])
        faces[key] = gray[..., None].astype(np.float32)
    assert len(faces) == 27
    return faces


def test_the_summary_of_a_run(finished, posed):
    """Its scores are those of the network beside it, computed by hand on faces read by hand."""
    folder, models, _ = finished
    summary = strict(folder / "summary.json")
    assert summary["system"] == "regeneration" and summary["dataset"] == "image_folder/posed"
    assert (summary["stage"], summary["variant"]) == ("all", "fer_net")
    assert (summary["test_faces"], summary["steps"], summary["seed"]) == (6, 4, 0)
    assert summary["classes"] == CLASSES
    assert summary["exported"] == str(models / "regeneration" / "1")

    by_key = read_faces(posed)
    faces = np.stack([by_key[name, frame] for name in CLASSES for frame in FRAMES])
    labels = np.repeat(np.arange(3), 2)
    network = keras.saving.load_model(folder / "regenerator.keras")
    assert network.classes == tuple(CLASSES) and network.aligned_size == 22
    found = {name: np.array(value) for name, value in network(faces, training=False).items()}
    metrics = summary["metrics"]
    assert SYSTEMS["regeneration"].value(summary, "fer_net") == metrics["accuracy"]["ia_gen"]
    answers = {
        "cnn": found["logits"].argmax(axis=1),
        "ia_gen": found["distances"].argmin(axis=1),
    }
    for method, answer in answers.items():
        assert metrics["accuracy"][method] == pytest.approx(np.mean(answer == labels))
        for i, name in enumerate(CLASSES):
            right = np.sum((answer == i) & (labels == i))
            given, present = np.sum(answer == i), np.sum(labels == i)
            expected = {
                "precision": right / given if given else None,
                "f1": 2 * right / (given + present),
            }
            for figure, value in expected.items():
                assert metrics["per_class"][method][figure][name] == (value and approx(value))
    made = found["regenerated"]
    read = np.array(network.classifier(made.reshape(-1, 16, 16, 1), training=False)).argmax(axis=1)
    assert metrics["regenerated"]["as_intended"] == approx(np.mean(read == np.tile(range(3), 6)))
    ratios = [
        -10 * np.log10(np.mean((made[i, c] - by_key[name, 11]) ** 2.0))
        for i in range(6)
        for c, name in enumerate(CLASSES)
        if not np.array_equal(faces[i], by_key[name, 11])
    ]
    assert len(ratios) == 15
    assert metrics["regenerated"]["psnr"] == pytest.approx(np.mean(ratios), rel=1e-3)
    assert (metrics["regenerated"]["persons"], metrics["regenerated"]["nearest"]) == (1, None)


def approx(value):
    return pytest.approx(value, rel=1e-6)


def test_the_tables_and_pictures_of_a_run(finished):
    folder = finished[0] / "evaluation"
    assert [row["method"] for row in table(folder / "accuracy.csv")] == [
        "CNN (baseline)",
        "IA-gen",
    ]
    # Faces of 180 pixels: one a class, and the input beside them.
    for name, down in (("sheet", 3), ("beside_real", 6)):
        height, width, _ = cv2.imread(str(folder / f"{name}.png")).shape
        assert height >= down * 180 and width >= 4 * 180, name
    assert sorted(path.name for path in (folder.parent / "samples").iterdir()) == [
        f"regeneration_{epoch:04d}.png" for epoch in (1, 2)
    ]


def test_a_kill_changes_nothing(finished, start, kill_when, tiny, tmp_path):
    """Killed after the first epoch of the cGANs and started again, it ends with equal weights."""
    folder = tmp_path / "killed"
    flags = "--config", tiny, "--out", folder, "--deterministic=true"
    process = start("regeneration", *flags)
    kill_when(process, (folder / "checkpoints/regeneration/checkpoint").exists)
    assert not (folder / "summary.json").exists()
    said, complaints = start("regeneration", *flags).communicate(timeout=300)
    assert "classifier: trained already (2 epochs)" in said, complaints
    assert "regeneration: going on after epoch" in said
    networks = [keras.saving.load_model(f / "regenerator.keras") for f in (finished[0], folder)]
    for a, b in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_array_equal(a, b)
    summaries = [strict(f / "summary.json")["metrics"] for f in (finished[0], folder)]
    assert summaries[0] == summaries[1]


@pytest.fixture(scope="module")
def some(finished, tiny, parser_of, tmp_path_factory):
    """Function that trains the cGANs of some classes beside the finished run's FER-Net, once."""
    folder = tmp_path_factory.mktemp("some")

    @functools.cache
    def trained(classes):
        out = folder / classes.replace(",", "_")
        classifier = finished[0] / "classifier.keras"
        flags = ["--config", tiny, "--out", out, "--classes", classes]
        flags += ["--classifier_training.path", classifier]
        values = read_config(parser_of(regeneration), list(map(str, flags)))
        assert attempt(regeneration.train, values) == 0
        return out

    return trained


def test_runs_of_some_classes_are_joined(some, job, tiny, tmp_path):
    runs = [some("surprise"), some("anger, happiness")]
    assert not (runs[0] / "regenerator.keras").exists()
    summary = strict(runs[1] / "summary.json")
    assert summary["classes"] == ["anger", "happiness"] and summary["exported"] is None
    assert summary["metrics"]["accuracy"]["ia_gen"] is None
    flags = "--config", tiny, "--out", tmp_path / "joined", "--export_dir", tmp_path / "models"
    code, lines = job(regeneration, *flags, "--join", f"[{runs[0]},{runs[1]}]")
    assert code == 0, lines
    assert f"join: generators of surprise, anger, happiness; FER-Net of {runs[0]}" in lines
    whole = keras.saving.load_model(tmp_path / "joined" / "regenerator.keras")
    for generator, run in zip(whole.generators, (runs[1], runs[1], runs[0]), strict=True):
        own = keras.saving.load_model(run / f"{generator.name}.keras")
        for a, b in zip(generator.get_weights(), own.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    metrics = strict(tmp_path / "joined" / "summary.json")["metrics"]
    assert metrics["accuracy"]["ia_gen"] is not None
    assert (tmp_path / "models/regeneration/1/saved_model.pb").exists()
    # Once more, it is done already.
    code, lines = job(regeneration, *flags, "--join", f"[{runs[0]},{runs[1]}]")
    assert code == 0 and "finished already" in lines[-1]


def test_what_cannot_be_joined_is_named(some, job, tiny, tmp_path, finished):
    one, two = some("surprise"), some("anger, happiness")

    def refused(*runs, more=()):
        flags = "--config", tiny, "--out", tmp_path / "joined", *more
        code, lines = job(regeneration, *flags, "--join", f"[{','.join(map(str, runs))}]")
        assert code == 2 and len(lines) == 1, lines
        return lines[0]

    assert (
        "`generators` must be one for each class of anger, happiness, surprise. "
        "Received: anger, happiness"
    ) in refused(two)
    line = refused(one, finished[0])
    assert f"one generator a class. Received: surprise in {one} and {finished[0]}" in line
    assert "Runs must share faces.size. Received: 32 in" in refused(
        one, two, more=("--faces.size", 32)
    )
    line = refused(one, two, more=("--faces.classes", "[anger,surprise]"))
    assert "Runs must share faces.classes. Received: ['anger', 'surprise'] in" in line
    assert "Runs must share data.fold" in refused(one, two, more=("--data.fold", 1))
    assert "join trains nothing" in refused(one, two, more=("--folds", "all"))
    assert "is not a run folder" in refused(tmp_path / "absent")


def test_a_run_begins_with_another_ones_networks(finished, job, tiny, posed, tmp_path):
    """Other people in gray, who show happiness, sadness and surprise: sadness is new."""
    flags = (
        *("--config", tiny, "--data.dataset", "image_folder/gray", "--faces.missing", "skip"),
        *("--faces.classes", "[happiness,sadness,surprise]", "--init", finished[0]),
        *("--training.learning_rate", 1e-12, "--classifier_training.learning_rate", 1e-12),
        *("--average", "null", "--out", tmp_path / "run"),
    )
    code, lines = job(regeneration, *flags)
    assert code == 0, lines
    assert f"init: FER-Net of {finished[0]}; of its classes happiness, surprise" in lines
    assert f"init: cGANs of {finished[0]}; anew: sadness" in lines
    for name in ("generator_surprise", "discriminator_happiness", "classifier"):
        paths = [folder / f"{name}.keras" for folder in (finished[0], tmp_path / "run")]
        old, new = map(keras.saving.load_model, paths)
        kept = [layer for layer in old.layers if layer.trainable_weights and layer.name != "logits"]
        assert kept
        for layer in kept:
            weights = layer.trainable_weights, new.get_layer(layer.name).trainable_weights
            for a, b in zip(*weights, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-6)


def test_fer_net_alone_over_folds(job, tiny, tmp_path):
    flags = "--config", tiny, "--out", tmp_path / "run", "--stage", "fer_net"
    code, lines = job(regeneration, *flags, "--folds", "all", "--data.protocol", "kfold:2")
    assert code == 0, lines
    assert "average of 2 folds of kfold:2:" in lines
    summary = strict(tmp_path / "run" / "summary.json")
    parts = [strict(Path(part) / "summary.json")["metrics"] for part in summary["parts"]]
    values = [part["accuracy"]["cnn"] for part in parts]
    assert summary["metrics"]["accuracy"] == {"cnn": approx(np.mean(values)), "ia_gen": None}
    assert summary["test_faces"] == 24 and summary["stage"] == "fer_net"
    assert {path.name for path in Path(summary["parts"][0]).glob("*.keras")} == {"classifier.keras"}


class Upper(tf.Module):
    """Somebody's model of faces: the means of three parts of a picture."""

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
    def serve(self, image):
        return {"features": tf.reduce_mean(image[:, :6], axis=(2, 3))}


def test_features_of_somebody_elses_model(finished, job, tiny, tmp_path):
    """The distances are those of its features; the CNN's answers stay FER-Net's."""
    model = Upper()
    tf.saved_model.save(model, str(tmp_path / "m"), signatures={"serving_default": model.serve})
    classifier = finished[0] / "classifier.keras"
    code, lines = job(
        regeneration,
        *(
            "--config",
            tiny,
            "--out",
            tmp_path / "run",
            "--features",
            f"savedmodel:{tmp_path / 'm'}",
        ),
        *("--classifier_training.path", classifier, "--training.epochs", 1),
        *("--export_dir", tmp_path / "models"),
    )
    assert code == 0, lines
    exported = tf.saved_model.load(tmp_path / "models" / "regeneration" / "1")
    faces = np.random.default_rng(0).random((2, 16, 16, 1), np.float32).repeat(3, axis=-1)
    found = exported.signatures["regenerate"](image=tf.constant(faces))
    small = keras.ops.image.resize(faces, (8, 8), antialias=True)
    own = model.serve(small)["features"].numpy()
    for i in range(3):
        small = keras.ops.image.resize(found["regenerated"][:, i], (8, 8), antialias=True)
        distance = np.linalg.norm(own - model.serve(small)["features"].numpy(), axis=1)
        np.testing.assert_allclose(found["distances"][:, i], distance, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--features", "vgg"), "`features` must be 'fer_net', 'backbone:NAME' or"),
        (("--features", "backbone:vgg12"), "Received: 'backbone:vgg12'"),
        (("--features", "savedmodel:/no/such"), "must be a SavedModel's folder"),
        (("--classes", "anger,joy"), "`classes` must be some of anger, happiness, surprise"),
        (("--faces.classes", "[anger,joy]"), "joy"),
        (("--faces.size", 18), "`size` must be a multiple of 4. Received: 18"),
        (("--perceptual_layers", "[block9]"), "`layer_names` must name layers"),
        (("--perceptual_network", "vgg12"), "`name` must be one of"),
        (("--init", "/no/such"), "/no/such is not a run folder"),
        (("--loss.content_loss", "l2"), "loss.content_loss"),
        (("--training.batch_size", 100), "`batch_size` must be from 1 to"),
        (("--folds", "all"), "shares are drawn without end"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(flags, message, job, tiny, tmp_path):
    code, lines = job(regeneration, "--config", tiny, "--out", tmp_path / "run", *flags)
    assert code == 2 and len(lines) == 1, lines
    assert message in lines[0]
    assert not (tmp_path / "run").exists()


def test_people_without_an_expression(job, tiny, tmp_path):
    """Of the people in gray only one shows disgust, and she is not among those who test."""
    flags = ("--config", tiny, "--out", tmp_path / "run", "--data.dataset", "image_folder/gray")
    code, lines = job(regeneration, *flags)
    assert code == 2 and "must hold a peak of each class by each person" in lines[0]
    assert "without disgust" in lines[0]
    code, lines = job(regeneration, *flags, "--faces.classes", "[happiness,anger]")
    assert code == 2 and "anger" in lines[0]


def test_a_run_on_the_same_people_must_test_the_same(finished, job, tiny, tmp_path):
    flags = "--config", tiny, "--out", tmp_path / "run", "--init", finished[0], "--data.fold", 1
    code, lines = job(regeneration, *flags)
    assert code == 2
    assert "has trained on the same people, dealt in another way: data.fold must be 0" in lines[0]
    code, lines = job(
        regeneration, *flags[:-2], "--generator.filters", "[2,3]", "--faces.classes", "null"
    )
    assert code == 2 and "with filters=[2, 4], not [2, 3]" in lines[0]


def test_runs_side_by_side(finished, compare, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(finished[0], other)
    code, lines = compare(finished[0], other)
    assert code == 0, lines
    names = [row["method"] for row in table(tmp_path / "joined" / "accuracy.csv")]
    assert names == [
        *(f"run: {method}" for method in ("CNN (baseline)", "IA-gen")),
        *(f"other: {method}" for method in ("CNN (baseline)", "IA-gen")),
    ]
    comparison = strict(tmp_path / "joined" / "comparison.json")
    own = strict(finished[0] / "summary.json")["metrics"]
    assert comparison["metrics"]["other"] == own
    code, lines = compare(finished[0], dataset="image_folder/gray")
    assert code == 2 and "are for runs of recognition" in lines[0]
    code, lines = compare(finished[0], classifier="x.keras")
    assert code == 2 and "is for runs of restoration" in lines[0]
