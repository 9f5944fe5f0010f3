"""The training script as a user runs it: what it leaves, and that a kill changes nothing."""

import csv
import json

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from tuning.space import SYSTEMS

pytestmark = pytest.mark.slow


def history(folder):
    with (folder / "history.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_what_a_run_leaves(finished):
    folder, models, said = finished
    lines = said.splitlines()
    for stage, epochs in (("classifier", 3), ("restoration", 2)):
        reported = [line for line in lines if line.startswith(f"{stage} ")]
        assert [line.split()[1] for line in reported] == [
            f"{epoch}/{epochs}" for epoch in range(1, epochs + 1)
        ]
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "classifier.keras",
        "config.yaml",
        "evaluation",
        "generator.keras",
        "history.csv",
        "logs",
        "samples",
        "summary.json",
    ]
    for stage in ("classifier", "restoration"):
        assert tf.train.latest_checkpoint(folder / "checkpoints" / stage)
        assert list((folder / "logs" / stage).rglob("events.out.tfevents.*"))
    rows = history(folder)
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        ("classifier", "1"),
        ("classifier", "2"),
        ("classifier", "3"),
        ("restoration", "1"),
        ("restoration", "2"),
    ]
    assert all(float(row["pixel_loss"]) > 0 for row in rows[3:])
    samples = sorted(path.name for path in (folder / "samples").iterdir())
    assert samples == ["restoration_0001.png", "restoration_0002.png"]
    saved = tf.saved_model.load(models / "restoration" / "1")
    low = tf.zeros((2, 16, 16, 3))
    restored = saved.signatures["restore"](image=low, mask=low[..., :1])["restored"]
    assert restored.shape == (2, 128, 128, 3)


def test_the_tables_and_pictures_of_a_run(finished):
    folder = finished[0] / "evaluation"
    with (folder / "quality.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["method", "PSNR (dB)", "SSIM", "F1", "accuracy"]
    names = ["Bicubic", "Bicubic, hole filled", "Ours", "Ground truth"]
    assert [row[0] for row in rows] == names
    with (folder / "action_units.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["AU"] + [f"{score} {name}" for score in ("F1", "accuracy") for name in names]
    assert [row[0] for row in rows] == [
        *("1", "2", "4", "6", "7", "10", "12", "14", "15", "17", "23", "24"),
        "Avg",
    ]
    for table, lines in (("quality", 2 + 4), ("action_units", 2 + 13)):
        assert len((folder / f"{table}.md").read_text().splitlines()) == lines
    # Six faces in five columns: each face is there in its 128 pixels at least.
    height, width, _ = cv2.imread(str(folder / "faces.png")).shape
    assert height >= 6 * 128 and width >= 5 * 128
    for name in ("action_units.png", "labels.png"):
        assert cv2.imread(str(folder / name)) is not None


def test_the_summary_of_a_run(finished):
    folder, models, _ = finished
    summary = json.loads((folder / "summary.json").read_text())
    named = {"system", "dataset", "variant", "steps", "wall_time_s", "seed", "versions", "metrics"}
    assert named <= set(summary)
    assert summary["system"] == "restoration"
    assert summary["dataset"] == "image_folder/tiny"
    assert summary["variant"] == "ours"
    assert summary["steps"] == 2 * 3
    assert summary["test_faces"] == 6
    assert summary["seed"] == 0
    assert summary["wall_time_s"] > summary["training_time_s"] > 0
    assert summary["versions"]["keras"] == keras.__version__
    assert summary["exported"] == str(models / "restoration" / "1")
    assert set(summary["metrics"]) == {"psnr", "ssim", "f1", "accuracy"}
    assert SYSTEMS["restoration"].value(summary, "ours") == summary["metrics"]["f1"]["ours"]
    for figure, values in summary["metrics"].items():
        scored = {"bicubic", "bicubic_filled", "ours"}
        assert set(values) == scored | ({"ground_truth"} if figure in ("f1", "accuracy") else set())
        assert all(0 <= value <= (60 if figure == "psnr" else 1) for value in values.values())


def everything(folder):
    """What a run computed: the weights of both networks, and its history without the clock."""
    rows = history(folder)
    for row in rows:
        del row["seconds"]
    weights = {
        name: keras.saving.load_model(folder / f"{name}.keras").get_weights()
        for name in ("classifier", "generator")
    }
    return weights, rows


def test_a_killed_run_ends_as_one_that_nobody_killed(
    start, kill_when, tiny_config, finished, tmp_path
):
    folder = tmp_path / "run"
    command = (
        "restoration",
        *("--config", tiny_config, "--out", folder, "--export_dir", tmp_path / "models"),
        "--deterministic=true",
    )

    def checkpointed(stage, epoch):
        return (folder / "checkpoints" / stage / f"ckpt-{epoch}.index").exists

    # In the generator's second epoch.
    kill_when(start(*command), checkpointed("restoration", 1))
    assert not (folder / "generator.keras").exists()
    # After the last checkpoint, before the run is done.
    kill_when(start(*command), (folder / "generator.keras").exists)
    assert not (folder / "summary.json").exists()

    process = start(*command)
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    assert "classifier: trained already (3 epochs)" in said
    assert "restoration: trained already (2 epochs)" in said

    (weights, rows), (expected, expected_rows) = everything(folder), everything(finished[0])
    assert rows == expected_rows
    for name, values in expected.items():
        for got, value in zip(weights[name], values, strict=True):
            np.testing.assert_array_equal(got, value)
    of = [json.loads((f / "summary.json").read_text())["metrics"] for f in (folder, finished[0])]
    assert of[0] == of[1]
