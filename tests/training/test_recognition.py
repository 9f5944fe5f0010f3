"""The training script as a user runs it: what it leaves, and that a kill changes nothing."""

import csv
import json
import shutil

import cv2
import keras
import numpy as np
import pytest
import recognition
import tensorflow as tf
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from tfface.cli import main
from tfface.data.folds import make_fold
from tfface.data.pipeline import evaluation_batches, open_source
from tfface.facs.action_units import BP4D_AUS

pytestmark = pytest.mark.slow

PROTOCOL = "shares:0.75-0-0.25"


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def strict(path):
    """A file of JSON as the standard has it, which knows no NaN."""

    def refused(name):
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(), parse_constant=refused)


def predicted(folder, source, splits):
    """Labels and probabilities of some faces, (n, n_au) each, by the network that a run left."""
    network = keras.saving.load_model(folder / "recognizer.keras")
    batches = evaluation_batches(
        source,
        splits,
        batch_size=24,
        size=16,
        transform=lambda b, s: (b["image"], b["au"]),
        seed=0,
    )
    ((images, labels),) = batches
    return labels.numpy(), 1 / (1 + np.exp(-network(images, training=False).numpy()))


def test_what_a_run_leaves(finished_recognition):
    folder, models, said = finished_recognition
    lines = said.splitlines()
    assert "data: 18 faces train, 6 faces test" in lines
    assert "data: 9 training faces labeled, 9 not" in lines
    assert [line.split()[1] for line in lines if line.startswith("recognition ")] == ["1/2", "2/2"]
    # One fold is called one fold.
    assert f"evaluation: 6 test faces of fold 0 of {PROTOCOL}" in lines
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "evaluation",
        "history.csv",
        "logs",
        "recognizer.keras",
        "samples",
        "summary.json",
        "training_faces.csv",
    ]
    assert tf.train.latest_checkpoint(folder / "checkpoints" / "recognition")
    assert list((folder / "logs" / "recognition").rglob("events.out.tfevents.*"))
    rows = table(folder / "history.csv")
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        ("recognition", "1"),
        ("recognition", "2"),
    ]
    for name in ("supervised_loss", "adversarial_loss", "discriminator_loss"):
        assert all(float(row[name]) > 0 for row in rows)
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        "recognition_0001.png",
        "recognition_0002.png",
    ]
    saved = tf.saved_model.load(models / "recognition" / "1")
    found = saved.signatures["recognize"](image=tf.zeros((2, 16, 16, 3)))
    assert found["probabilities"].shape == found["present"].shape == (2, 12)


def test_the_labels_that_a_run_saw_are_written_down(finished_recognition, faces):
    """Half of the training faces have all labels, true ones, and half have none."""
    source = open_source("image_folder/tiny", faces)
    train = make_fold(source, PROTOCOL, 0).train
    truth = {
        (record["subject"].decode(), record["sequence"].decode()): record["au"]
        for record in source.records(train).as_numpy_iterator()
    }
    rows = table(finished_recognition[0] / "training_faces.csv")
    assert {(row["subject"], row["sequence"]) for row in rows} == truth.keys()
    assert len(rows) == 18
    assert {row["dataset"] for row in rows} == {"image_folder/tiny"}
    withheld = 0
    for row in rows:
        seen = [row[f"AU{number:02d}_c"] for number in BP4D_AUS]
        expected = [f"{label:g}" for label in truth[row["subject"], row["sequence"]]]
        assert seen in (expected, [""] * 12)
        withheld += seen == [""] * 12
    assert withheld == 9


def test_the_tables_and_pictures_of_a_run(finished_recognition):
    folder = finished_recognition[0] / "evaluation"
    tables = {
        "scores": ["AU", "F1 Ours", "AUC Ours", "accuracy Ours", "F1 best constant"],
        "marginals": ["AU", "Ground truth", "Ours", "difference Ours"],
    }
    for name, header in tables.items():
        rows = table(folder / f"{name}.csv")
        assert list(rows[0]) == header
        assert [row["AU"] for row in rows] == [*map(str, BP4D_AUS), "Avg"]
        assert len((folder / f"{name}.md").read_text().splitlines()) == 2 + 13
    assert [row["i"] for row in table(folder / "conditional_differences.csv")] == [
        f"AU{number}" for number in BP4D_AUS
    ]
    assert len((folder / "conditional_differences.md").read_text().splitlines()) == 2 + 12
    pictures = ("f1", "marginals", "marginal_differences", "conditional_differences")
    for name in (*pictures, "embedding", "labels"):
        height, width, _ = cv2.imread(str(folder / f"{name}.png")).shape
        assert height >= 300 and width >= 400, name
    for path in (folder.parent / "samples").iterdir():
        height, width, _ = cv2.imread(str(path)).shape
        assert height >= 300 and width >= 400, path


def test_litert_files_of_a_run(finished_recognition, tmp_path):
    """All four; int8 has seen the faces that trained, and no other."""
    folder, _, _ = finished_recognition
    for name in ("config.yaml", "recognizer.keras"):
        shutil.copy(folder / name, tmp_path)
    assert main(["export", "recognition", "--run", str(tmp_path), "--format", "litert"]) == 0
    cards = {path.stem: strict(path) for path in (tmp_path / "litert").glob("*.json")}
    assert sorted(cards) == [
        f"recognition_{precision}" for precision in ("float16", "float32", "int8", "int8_dynamic")
    ]
    assert cards["recognition_int8"]["calibration"] == {
        **{"dataset": "image_folder/tiny", "protocol": PROTOCOL, "fold": 0},
        **{"part": "train", "faces": 18},
    }
    assert len(list((tmp_path / "litert").iterdir())) == 12  # each with its labels


def test_the_summary_of_a_run(finished_recognition, faces):
    """Its scores are those of the network beside it, computed by scikit-learn and by hand."""
    folder, models, _ = finished_recognition
    summary = strict(folder / "summary.json")
    assert summary["system"] == "recognition"
    assert summary["dataset"] == "image_folder/tiny"
    assert (summary["variant"], summary["missing_rate"]) == ("ours", 0.5)
    assert summary["fold"] == {"protocol": PROTOCOL, "index": 0}
    assert summary["training_faces"] == {"labeled": 9, "unlabeled": 9}
    assert (summary["test_faces"], summary["steps"], summary["seed"]) == (6, 2 * 3, 0)
    assert summary["wall_time_s"] > summary["training_time_s"] > 0
    assert summary["versions"]["keras"] == keras.__version__
    assert summary["exported"] == str(models / "recognition" / "1")

    source = open_source("image_folder/tiny", faces)
    labels, probabilities = predicted(folder, source, make_fold(source, PROTOCOL, 0).test)
    decided = probabilities >= 0.5
    per_au = {
        "f1": [f1_score(y, d, zero_division=0) for y, d in zip(labels.T, decided.T, strict=True)],
        "accuracy": [accuracy_score(y, d) for y, d in zip(labels.T, decided.T, strict=True)],
        "auc": [
            roc_auc_score(y, p) if 0 < y.mean() < 1 else None
            for y, p in zip(labels.T, probabilities.T, strict=True)
        ],
    }
    metrics = summary["metrics"]
    for figure, values in per_au.items():
        assert metrics[figure].keys() == {"ours"}
        scored = metrics[figure]["ours"]
        assert list(scored["per_au"]) == [str(number) for number in BP4D_AUS]
        assert list(scored["per_au"].values()) == pytest.approx(values)
        assert scored["mean"] == pytest.approx(np.mean([v for v in values if v is not None]))
    difference = np.abs(labels.mean(0) - decided.mean(0)).mean()
    assert metrics["marginal_difference"] == {"ours": pytest.approx(difference)}
    differences = [
        abs(labels[labels[:, j] == 1, i].mean() - decided[decided[:, j], i].mean())
        for i in range(12)
        for j in range(12)
        if i != j and labels[:, j].any() and decided[:, j].any()
    ]
    assert metrics["conditional_difference"] == {"ours": pytest.approx(np.mean(differences))}
    strict(folder / "evaluation" / "scores.json")


def test_a_killed_run_ends_as_one_that_nobody_killed(
    start, kill_when, tiny_recognition, finished_recognition, tmp_path
):
    folder = tmp_path / "run"
    command = (
        "recognition",
        *("--config", tiny_recognition, "--out", folder, "--export_dir", tmp_path / "models"),
        "--deterministic=true",
    )
    kill_when(start(*command), (folder / "checkpoints/recognition/checkpoint").exists)
    assert not (folder / "recognizer.keras").exists()

    process = start(*command)
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    assert "recognition: going on after epoch 1 of 2" in said
    ended = []
    for run in (folder, finished_recognition[0]):
        history = table(run / "history.csv")
        for row in history:
            del row["seconds"]
        weights = keras.saving.load_model(run / "recognizer.keras").get_weights()
        ended.append((history, weights, strict(run / "summary.json")["metrics"]))
    assert ended[0][0] == ended[1][0]
    for got, expected in zip(ended[0][1], ended[1][1], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert ended[0][2] == ended[1][2]
    drawn = [run / "training_faces.csv" for run in (folder, finished_recognition[0])]
    assert drawn[0].read_text() == drawn[1].read_text()


def test_options_that_change_who_trains_from_what(job, tiny_recognition, faces, tmp_path):
    """Validation people, faces of another set, single missing labels, some AUs in an order."""
    folder, protocol = tmp_path / "run", "shares:0.5-0.25-0.25"
    code, said = job(
        recognition,
        *("--config", tiny_recognition, "--out", folder, "--average=null"),
        *("--unlabeled_dataset", "image_folder/plain", "--data.protocol", protocol),
        *("--missing", "per_label", "--missing_rate=0.3", "--action_units=[12,1]"),
    )
    assert code == 0
    assert "data: 12 faces train, 6 faces validation, 6 faces test" in said
    rows = table(folder / "training_faces.csv")
    assert list(rows[0]) == ["dataset", "subject", "sequence", "frame", "AU12_c", "AU01_c"]
    assert [row["dataset"] for row in rows] == ["image_folder/tiny"] * 12 + [
        "image_folder/plain"
    ] * 24
    source = open_source("image_folder/tiny", faces)
    fold = make_fold(source, protocol, 0)
    truth = np.concatenate([r["au"][None] for r in source.records(fold.train).as_numpy_iterator()])[
        :, [BP4D_AUS.index(12), BP4D_AUS.index(1)]
    ]
    seen = np.array([[float(row[key] or "nan") for key in ("AU12_c", "AU01_c")] for row in rows])
    known = ~np.isnan(seen[:12])
    assert known.sum() == 24 - 7  # 0.3 of 24 labels are 7.2.
    np.testing.assert_array_equal(seen[:12][known], truth[known])
    assert np.isnan(seen[12:]).all()
    labeled = int(known.any(axis=1).sum())
    assert f"data: {labeled} training faces labeled, {36 - labeled} not" in said
    summary = strict(folder / "summary.json")
    assert summary["training_faces"] == {"labeled": labeled, "unlabeled": 36 - labeled}
    assert list(summary["metrics"]["f1"]["ours"]["per_au"]) == ["12", "1"]
    assert keras.saving.load_model(folder / "recognizer.keras").action_units == (12, 1)

    labels, probabilities = predicted(folder, source, fold.validation)
    labels = labels[:, [BP4D_AUS.index(12), BP4D_AUS.index(1)]]
    expected = f1_score(labels, probabilities >= 0.5, average="macro", zero_division=0)
    history = table(folder / "history.csv")
    assert float(history[-1]["val_f1"]) == pytest.approx(expected)


def test_an_action_unit_absent_from_the_training_fold(job, tiny_recognition, faces, tmp_path):
    """One labeled face is left: what it does not show is said, and scored all the same."""
    folder = tmp_path / "run"
    code, said = job(
        recognition,
        *("--config", tiny_recognition, "--out", folder, "--training.epochs=1"),
        *("--missing_rate=0.94", "--balance=true", "--label_noise=0"),
    )
    assert code == 0
    assert "data: 1 training faces labeled, 17 not" in said
    (row,) = (row for row in table(folder / "training_faces.csv") if row["AU01_c"])
    absent = [number for number in BP4D_AUS if row[f"AU{number:02d}_c"] == "0"]
    assert 0 < len(absent) < 12
    assert [line for line in said if "cannot be learned" in line] == [
        f"data: AU{number} is present in none of 1 labels in the training faces: it cannot be "
        "learned"
        for number in absent
    ]
    scored = strict(folder / "summary.json")["metrics"]["f1"]["ours"]["per_au"]
    source = open_source("image_folder/tiny", faces)
    labels, probabilities = predicted(folder, source, make_fold(source, PROTOCOL, 0).test)
    for i, number in enumerate(BP4D_AUS):
        expected = f1_score(labels[:, i], probabilities[:, i] >= 0.5, zero_division=0)
        assert scored[str(number)] == pytest.approx(expected)
