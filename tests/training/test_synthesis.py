"""The synthesis script: what a run leaves, that a kill changes nothing, and what it refuses."""

import csv
import json
from argparse import Namespace

import cv2
import evaluate
import keras
import numpy as np
import pytest
import synthesis
import tensorflow as tf
from process import attempt
from tuning.space import SYSTEMS

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source

FEW_AUS = (4, 12, 17)
"""The AUs of image_folder/few: each has networks of its own, which take long to trace."""
STAGES = {
    "subjects": 1,
    "recognizer": 2,
    "regions": 1,
    "synthesis": 2,
    "enriched_recognizer": 2,
}  # epochs


@pytest.fixture(scope="module")
def tiny(tiny_synthesis):
    return tiny_synthesis


@pytest.fixture(scope="module")
def finished(finished_run_of, tiny):
    """A run that nobody stopped: its folder, where it was exported to, and what it said."""
    return finished_run_of("synthesis", tiny)


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_what_a_run_leaves(finished):
    folder, models, said = finished
    lines = said.splitlines()
    for stage, epochs in STAGES.items():
        reported = [line.split()[1] for line in lines if line.startswith(f"{stage} ")]
        assert reported == [f"{epoch}/{epochs}" for epoch in range(1, epochs + 1)]
        assert tf.train.latest_checkpoint(folder / "checkpoints" / stage)
    networks = ("enriched_recognizer", "generator", "recognizer", "subjects")
    assert sorted(path.stem for path in folder.glob("*.keras")) == list(networks)
    samples = sorted(path.name for path in (folder / "samples").iterdir())
    assert samples == ["synthesis_0001.png", "synthesis_0002.png"]
    saved = tf.saved_model.load(models / "synthesis" / "1")
    face, nothing = np.full((1, 32, 32, 3), 0.5, np.float32), np.full((1, 3), np.nan, np.float32)
    edited = saved.signatures["edit"](image=tf.constant(face), values=tf.constant(nothing))
    np.testing.assert_array_equal(edited["edited"], face)


@pytest.mark.slow
def test_the_tables_and_pictures_of_a_run(finished):
    folder = finished[0] / "evaluation"
    rows = table(folder / "action_units.csv")
    assert [row["AU"] for row in rows] == [*map(str, FEW_AUS), "Avg"]
    sets = ("real", "synthesis", "unedited", "gap")
    assert list(rows[0])[1:] == [f"{f} {of}" for f in ("F1", "accuracy") for of in sets]
    changes = table(folder / "changes.csv")
    assert len(changes) == 3 and len(changes[0]) == 5
    assert len(table(folder / "enrichment.csv")) == 5
    sizes = {"changes": (250, 250), "single_units": (3 * 200, 4 * 200), "combinations": (192, 576)}
    for name, (height, width) in {**sizes, "action_units": (300, 600)}.items():
        picture = cv2.imread(str(folder / f"{name}.png"))
        assert picture.shape[0] >= height and picture.shape[1] >= width, name


@pytest.mark.slow
def test_the_summary_of_a_run(finished, faces):
    folder, models, _ = finished
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["system"], summary["variant"]) == ("synthesis", "crop")
    assert (summary["test_faces"], summary["steps"], summary["seed"]) == (6, 4, 0)
    assert summary["exported"] == str(models / "synthesis" / "1")
    metrics = summary["metrics"]
    named = {"f1", "accuracy", "untouched_max_change", "per_au"}
    assert set(metrics) == named | {"unedited", "enrichment"}
    assert metrics["untouched_max_change"] == 0
    assert set(metrics["f1"]) == set(metrics["accuracy"]) == {"real", "synthesis", "gap"}
    assert SYSTEMS["synthesis"].value(summary) == metrics["f1"]["gap"]
    assert list(metrics["per_au"]) == [str(number) for number in FEW_AUS]
    # The real faces' accuracy is the recognizer's own, computed here by hand.
    source = open_source("image_folder/few", faces)
    recognizer = keras.saving.load_model(folder / "recognizer.keras")
    fold = make_fold(source, summary["fold"]["protocol"], summary["fold"]["index"])
    hits = []
    for record in source.records(fold.test).as_numpy_iterator():
        small = keras.ops.image.resize(record["image"], (32, 32), "bicubic", antialias=True)
        small = np.round(np.clip(small, 0, 255)).astype(np.float32) / np.float32(255)
        hits.append((np.asarray(recognizer(small[None]))[0] >= 0) == (record["au"] > 0.5))
    for number, share in zip(FEW_AUS, np.mean(hits, axis=0), strict=True):
        accuracy = metrics["per_au"][str(number)]["accuracy"]
        assert accuracy["real"] == pytest.approx(share)
        assert accuracy["gap"] == pytest.approx(accuracy["real"] - accuracy["synthesis"])


def everything(folder):
    """What a run computed: the weights of its networks, and its history without the clock."""
    rows = table(folder / "history.csv")
    for row in rows:
        del row["seconds"]
    weights = {
        path.stem: keras.saving.load_model(path).get_weights() for path in folder.glob("*.keras")
    }
    return weights, rows


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_nobody_killed(start, kill_when, tiny, finished, tmp_path):
    folder = tmp_path / "run"
    command = ("synthesis", "--config", tiny, "--out", folder, "--deterministic=true")
    # In the game's second epoch, and in the last recognizer's.
    kill_when(start(*command), (folder / "checkpoints/synthesis/checkpoint").exists)
    assert (folder / "recognizer.keras").exists() and not (folder / "generator.keras").exists()
    kill_when(start(*command), (folder / "checkpoints/enriched_recognizer/checkpoint").exists)
    assert (folder / "generator.keras").exists() and not (folder / "summary.json").exists()
    process = start(*command)
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    for stage in ("subjects", "recognizer", "synthesis"):
        assert f"{stage}: trained already ({STAGES[stage]} epochs)" in said
    assert "enriched_recognizer: going on after epoch 1 of 2" in said

    (weights, rows), (expected, expected_rows) = everything(folder), everything(finished[0])
    assert rows == expected_rows and set(weights) == set(expected)
    for name, values in expected.items():
        for got, value in zip(weights[name], values, strict=True):
            np.testing.assert_array_equal(got, value)
    of = [json.loads((f / "summary.json").read_text())["metrics"] for f in (folder, finished[0])]
    assert of[0] == of[1]


def join(capsys, out, *runs, **options):
    """Joins runs as `evaluate.py` does; returns the exit code and the lines that were said."""
    given = dict.fromkeys(("classifier", "dataset", "data_dir", "faces", "predictions"))
    config = Namespace(runs=[str(run) for run in runs], out=str(out), **{**given, **options})
    capsys.readouterr()
    code = attempt(evaluate.compare, config)
    said = capsys.readouterr()
    return code, (said.err if code else said.out).splitlines()


@pytest.mark.slow
def test_a_run_joined_by_itself_scores_what_it_scored(finished, tmp_path, capsys):
    code, lines = join(capsys, tmp_path, finished[0])
    assert code == 0 and any("6 test faces, read by" in line for line in lines)
    joined = json.loads((tmp_path / "comparison.json").read_text())
    summary = json.loads((finished[0] / "summary.json").read_text())["metrics"]
    metrics = joined["metrics"]["crop"]
    for name in ("f1", "accuracy", "untouched_max_change", "unedited"):
        assert metrics[name] == summary[name]
    for number, one in metrics["per_au"].items():
        assert one["change"] == pytest.approx(summary["per_au"][number]["change"], abs=1e-5)
    assert (tmp_path / "changes.png").is_file() and joined["test_faces"] == 6


@pytest.mark.slow
def test_a_detector_from_outside_reads_the_faces_of_a_run(finished, tmp_path, capsys):
    faces = tmp_path / "faces"
    code, lines = join(capsys, tmp_path / "out", finished[0], faces=str(faces))
    assert code == 0 and f"evaluation: 6 faces each in {faces}/real" in lines[-2]
    labels = [str(faces / name / "labels.csv") for name in ("real", "synthesis")]
    # One that answers as the labels say, given them for its predictions.
    code, lines = join(capsys, tmp_path / "out", finished[0], predictions=labels)
    assert code == 0
    joined = json.loads((tmp_path / "out" / "comparison.json").read_text())
    metrics = joined["metrics"]["outside"]
    assert joined["read_by"] == labels
    assert metrics["accuracy"] == {"real": 1, "synthesis": 1, "gap": 0}


@pytest.mark.slow
def test_what_cannot_be_joined_is_one_line(finished, tmp_path, capsys):
    run = finished[0]
    for options, line in (
        ({"dataset": "image_folder/tiny"}, "--dataset and --data_dir are for runs of recognition"),
        ({"classifier": str(run / "generator.keras")}, "must hold one ActionUnitRecognizer"),
        ({"faces": "f", "predictions": ["a", "b"]}, "--faces are written first"),
        ({"predictions": ["absent.csv", "b"]}, "`path` must be a csv file"),
    ):
        code, lines = join(capsys, tmp_path / "out", run, **options)
        assert code == 2 and len(lines) == 1 and line in lines[0]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ("--region box", "region"),
        ("--size 0", "size"),
        ("--enrichment.share 1.5", "share"),
        ("--data.dataset image_folder/plain", "image_folder/plain has no action units to learn"),
        ("--identity_network vggface", "vggface needs --identity_weights PATH"),
        (
            "--identity_network vggface --identity_weights absent.h5",
            "absent.h5",
        ),
        ("--generator.filters [2,2]", "`filters` must be five positive numbers"),
        ("--loss.label_weight=-1", "`label_weight` must be at least 0"),
        ("--enrichment.action_units [3]", "enrichment.action_units must be among [4, 12, 17]"),
        ("--recognizer_training.path absent.keras", "absent.keras"),
        ("--recognizer.backbone lenet", "lenet"),
        ("--training.batch_size 100", "`batch_size` must be from 1 to the number of faces, 18"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_trained(job, tiny, tmp_path, flags, line):
    code, lines = job(synthesis, "--config", tiny, "--out", tmp_path / "run", *flags.split())
    assert code == 2
    assert len(lines) == 1 and line in lines[0]
    assert not (tmp_path / "run" / "checkpoints").exists()
