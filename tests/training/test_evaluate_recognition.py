"""Runs of recognition joined: by their own scores, or tested on another data set."""

import csv
import json

import cv2
import keras
import numpy as np
import pytest
import recognition
import restoration
import yaml
from configuration import read_config
from sklearn.metrics import accuracy_score, f1_score

from tfface.data.source import open_source
from tfface.facs.action_units import BP4D_AUS
from tfface.recognition.networks import ActionUnitRecognizer


def scores_of(share):
    """Scores on 10 faces, two AUs, that are `share` wherever they have a value."""
    line = ["f1", "auc", "accuracy", "best_constant_f1", "marginal_truth", "marginal"]
    return {
        "action_units": [1, 12],
        "faces": 10,
        **{name: [share, share] for name in (*line, "marginal_difference")},
        "conditional_difference": [[None, share], [share, None]],
    }


@pytest.fixture
def finished_run(parser_of, tiny_recognition, tmp_path):
    """Function that makes a finished run; flags as for the script."""

    def made(name, *flags, scores=None, action_units=None):
        folder = tmp_path / name
        arguments = ["--config", str(tiny_recognition), "--out", str(folder), *flags]
        values = read_config(parser_of(recognition), arguments).as_dict()
        (folder / "evaluation").mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump({"system": "recognition", **values}))
        (folder / "summary.json").write_text("{}")
        if scores is not None:
            content = {"scores": {values["variant"]: scores}}
            (folder / "evaluation" / "scores.json").write_text(json.dumps(content))
        if action_units is not None:
            keras.utils.set_random_seed(len(name))
            network = ActionUnitRecognizer(action_units, size=16, backbone="fer_net")
            network.save(folder / "recognizer.keras")
        return folder

    return made


def table(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def refused(compare, *runs, **options):
    code, lines = compare(*runs, **options)
    assert code == 2
    assert len(lines) == 1
    return lines[0]


def test_the_runs_own_scores_side_by_side(finished_run, compare, tmp_path):
    runs = [
        finished_run("a", "--variant", "o_wlc", scores=scores_of(0.25)),
        finished_run("b", scores=scores_of(0.75)),
    ]
    code, said = compare(*runs)
    assert code == 0
    out = tmp_path / "joined"
    assert said[-1].endswith(str(out))
    written = json.loads((out / "comparison.json").read_text())
    assert written["runs"] == {"o_wlc": str(runs[0]), "ours": str(runs[1])}
    assert written["data"]["dataset"] == "image_folder/tiny"
    assert written["test_faces"] == 10
    for figure in ("f1", "auc", "accuracy"):
        assert written["metrics"][figure]["o_wlc"] == {
            "mean": 0.25,
            "per_au": {"1": 0.25, "12": 0.25},
        }
    assert written["metrics"]["conditional_difference"] == {"o_wlc": 0.25, "ours": 0.75}
    rows = table(out / "scores.csv")
    assert rows[0][:3] == ["AU", "F1 O-wlc", "F1 Ours"]
    assert [row[:3] for row in rows[1:]] == [
        [name, "0.250", "0.750"] for name in ("1", "12", "Avg")
    ]
    assert cv2.imread(str(out / "f1.png")) is not None


def test_averages_over_folds_are_joined_with_their_like_alone(finished_run, compare, tmp_path):
    flags = ("--folds", "all", "--data.protocol", "kfold:2")
    ours = finished_run("ours", *flags, scores=scores_of(0.75))
    plain = finished_run("plain", *flags, "--variant", "o_wlc", scores=scores_of(0.25))
    assert compare(ours, plain)[0] == 0
    metrics = json.loads((tmp_path / "joined" / "comparison.json").read_text())["metrics"]
    assert [metrics["f1"][name]["mean"] for name in ("ours", "o_wlc")] == [0.75, 0.25]
    one = finished_run("one", *flags[2:], "--variant", "o_wlc", scores=scores_of(0.25))
    assert refused(compare, ours, one).startswith("error: Runs must share folds. Received: 'all'")


@pytest.mark.parametrize(
    ("flags", "key"),
    [
        (["--data.dataset", "image_folder/plain"], "data.dataset"),
        (["--data.protocol", "kfold:2"], "data.protocol"),
        (["--data.fold", "1"], "data.fold"),
        (["--action_units", "[1]"], "action_units"),
    ],
)
def test_runs_that_cannot_be_joined(finished_run, compare, flags, key):
    first = finished_run("a", scores=scores_of(0.5))
    second = finished_run("b", "--variant", "o_wlc", *flags, scores=scores_of(0.5))
    line = refused(compare, first, second)
    assert line.startswith(f"error: Runs must share {key}. Received: ")
    assert str(first) in line and str(second) in line


def test_a_series_of_several_points_has_no_scores_of_its_own(finished_run, compare):
    series = finished_run("series", "--missing_rates", "[0,0.5]")
    line = refused(compare, series)
    assert str(series / "evaluation" / "scores.json") in line
    assert "of a series, name its parts" in line


def test_every_face_of_another_data_set_is_tested(finished_run, compare, faces, tmp_path):
    """By a network that knows other AUs in another order; AU9 is not in the labels."""
    runs = [
        finished_run("wide", action_units=(12, 9, 1)),
        finished_run("narrow", "--variant", "o_wlc", action_units=(12, 1)),
    ]
    code, said = compare(*runs, dataset="image_folder/tiny", data_dir=faces)
    assert code == 0
    assert f"evaluation: {runs[0]} on 24 faces" in said
    written = json.loads((tmp_path / "joined" / "comparison.json").read_text())
    assert written["data"] == {"dataset": "image_folder/tiny"}
    assert written["test_faces"] == 24

    source = open_source("image_folder/tiny", faces)
    records = list(source.records(source.splits).as_numpy_iterator())
    small = [
        keras.ops.image.resize(r["image"], (16, 16), "bicubic", antialias=True) for r in records
    ]
    images = np.round(np.clip(np.stack(small), 0, 255)) / np.float32(255)
    labels = np.stack([record["au"] for record in records])
    for run, method, places in ((runs[0], "ours", (0, 2)), (runs[1], "o_wlc", (0, 1))):
        network = keras.saving.load_model(run / "recognizer.keras")
        present = network(images, training=False).numpy() >= 0
        assert len({present[:, place].tobytes() for place in places}) == 2  # so that order shows
        for number, place in zip((12, 1), places, strict=True):
            truth = labels[:, BP4D_AUS.index(number)]
            for figure, measure in (
                ("f1", lambda y, p: f1_score(y, p, zero_division=0)),
                ("accuracy", accuracy_score),
            ):
                found = written["metrics"][figure][method]["per_au"]
                assert list(found) == ["12", "1"]
                assert found[str(number)] == pytest.approx(measure(truth, present[:, place]))


def test_a_data_set_that_cannot_test(finished_run, compare, faces):
    run = finished_run("a", action_units=(9, 5))
    line = refused(compare, run, dataset="image_folder/tiny", data_dir=faces)
    assert "at least one of the recognizer's, [9, 5]" in line
    line = refused(compare, run, dataset="image_folder/plain", data_dir=faces)
    assert "at least one of the recognizer's, [9, 5]. Received: []" in line
    assert "no_such_set" in refused(compare, run, dataset="no_such_set")
    line = refused(compare, run, dataset="image_folder/absent", data_dir=faces)
    assert "image_folder/absent is not prepared" in line
    (run / "recognizer.keras").unlink()
    line = refused(compare, run, dataset="image_folder/tiny", data_dir=faces)
    assert str(run / "recognizer.keras") in line


def test_what_belongs_to_the_other_system(finished_run, compare, parser_of, tiny_config, tmp_path):
    run = finished_run("a", scores=scores_of(0.5))
    assert refused(compare, run, classifier="c.keras") == (
        "error: --classifier is for runs of restoration"
    )
    other = tmp_path / "restored"
    other.mkdir()
    flags = ["--config", str(tiny_config), "--out", str(other)]
    values = read_config(parser_of(restoration), flags).as_dict()
    (other / "config.yaml").write_text(yaml.safe_dump({"system": "restoration", **values}))
    (other / "summary.json").write_text("{}")
    assert refused(compare, run, other) == (
        f"error: {other} holds a run of restoration, not of recognition"
    )
    assert refused(compare, other, run) == (
        f"error: {run} holds a run of recognition, not of restoration"
    )
    assert refused(compare, other, dataset="image_folder/tiny") == (
        "error: --dataset and --data_dir are for runs of recognition"
    )


@pytest.mark.slow
def test_joining_one_run_repeats_its_own_scores(finished_recognition, compare, tmp_path):
    folder, _, said = finished_recognition
    code, lines = compare(folder)
    assert code == 0
    joined = tmp_path / "joined"
    for name in ("scores.json", "scores.csv", "marginals.csv", "conditional_differences.csv"):
        assert (joined / name).read_text() == (folder / "evaluation" / name).read_text()
    assert all(line in said for line in lines[:-1])
