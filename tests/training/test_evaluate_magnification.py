"""Runs of magnification joined by the scores of their own tests."""

import csv
import json

import cv2
import magnification
import pytest
import yaml
from configuration import read_config

CLASSES = ["anger", "happiness"]


def scores_of(right, classes=CLASSES):
    """Scores on 20 faces, ten a class, of which so many are recognized; the heat is 0.5."""
    matrix = [[right - 10, 20 - right], [0, 10]]
    confusion = {"classes": classes, "matrix": matrix}
    names = ("psnr", "feature_distance", "lit")
    heat = [[0.5]] * len(classes)
    return {
        "magnified": [confusion],
        "weak": [{"classes": classes, "matrix": [[5, 5], [5, 5]]}],
        "figures": {f"{name}{of}": 2.0 for name in names for of in ("", "_weak")},
        "parts": ["whole"],
        "heat": {of: heat for of in ("magnified", "peak", "change", "neutral")},
    }


@pytest.fixture
def finished_run(parser_of, tiny_magnification, tmp_path):
    """Function that makes a finished run; flags as for the script."""

    def made(name, *flags, scores=None):
        folder = tmp_path / name
        arguments = ["--config", str(tiny_magnification), "--out", str(folder), *flags]
        values = read_config(parser_of(magnification), arguments).as_dict()
        (folder / "evaluation").mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump({"system": "magnification", **values}))
        (folder / "summary.json").write_text("{}")
        content = {"scores": {values["variant"]: scores or scores_of(15)}}
        (folder / "evaluation" / "scores.json").write_text(json.dumps(content))
        return folder

    return made


def refused(compare, *runs, **options):
    code, lines = compare(*runs, **options)
    assert code == 2
    (line,) = lines
    return line


def test_the_runs_own_scores_side_by_side(finished_run, compare, tmp_path):
    runs = [
        finished_run("a", "--variant", "dcgan", scores=scores_of(12)),
        finished_run("b", scores=scores_of(19)),
    ]
    code, said = compare(*runs)
    assert code == 0
    out = tmp_path / "joined"
    assert said[-1].endswith(str(out))
    written = json.loads((out / "comparison.json").read_text())
    assert written["runs"] == {"dcgan": str(runs[0]), "2v2": str(runs[1])}
    assert written["data"] == {
        "dataset": "image_folder/posed",
        "protocol": "shares:0.75-0-0.25",
        "fold": 0,
    }
    assert written["test_faces"] == 20
    assert written["metrics"]["accuracy"] == {"dcgan": 0.6, "2v2": 0.95}
    assert written["metrics"]["accuracy_weak"] == {"dcgan": 0.5, "2v2": 0.5}
    with (out / "accuracy.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["accuracy"], row["weak: accuracy"]) for row in rows] == [
        ("0.600", "0.500"),
        ("0.950", "0.500"),
    ]
    for name in ("confusion_dcgan", "confusion_2v2"):
        assert cv2.imread(str(out / f"{name}.png")) is not None


def test_two_runs_of_one_mode_go_by_their_folders(finished_run, compare, tmp_path):
    runs = [finished_run("vgg", scores=scores_of(12)), finished_run("resnet", scores=scores_of(18))]
    assert compare(*runs)[0] == 0
    metrics = json.loads((tmp_path / "joined" / "comparison.json").read_text())["metrics"]
    assert metrics["accuracy"] == {"vgg": 0.6, "resnet": 0.9}


@pytest.mark.parametrize(
    ("flags", "key"),
    [
        (["--data.dataset", "image_folder/gray"], "data.dataset"),
        (["--data.protocol", "kfold:2"], "data.protocol"),
        (["--data.fold", "1"], "data.fold"),
        (["--folds", "all"], "folds"),
        (["--pairs.weak_frames", "[5]"], "pairs"),
    ],
)
def test_runs_that_cannot_be_joined(finished_run, compare, flags, key):
    first, second = finished_run("a"), finished_run("b", "--variant", "dcgan", *flags)
    line = refused(compare, first, second)
    assert line.startswith(f"error: Runs must share {key}. Received: ")
    assert str(first) in line and str(second) in line


def test_runs_of_other_classes_cannot_be_joined(finished_run, compare):
    first = finished_run("a")
    second = finished_run("b", "--variant", "cnn", scores=scores_of(15, ["anger", "fear"]))
    assert "of the same classes and parts" in refused(compare, first, second)


def test_what_belongs_to_other_systems(finished_run, compare):
    run = finished_run("a")
    assert refused(compare, run, classifier="c.keras") == (
        "error: --classifier is for runs of restoration"
    )
    for options in ({"dataset": "image_folder/posed"}, {"dataset": "x", "data_dir": "y"}):
        assert refused(compare, run, **options) == (
            "error: --dataset and --data_dir are for runs of recognition"
        )


def test_a_run_without_scores(finished_run, compare):
    run = finished_run("a")
    (run / "evaluation" / "scores.json").write_text(json.dumps({"scores": {"2v2": {}}}))
    line = refused(compare, run)
    assert "must hold the scores of one run" in line and "KeyError" in line


@pytest.mark.slow
def test_joining_one_run_repeats_its_own_scores(finished_magnification, compare, tmp_path):
    folder, _, said = finished_magnification
    code, lines = compare(folder)
    assert code == 0
    joined = tmp_path / "joined"
    for name in ("accuracy.csv", "classes.csv", "heat.csv", "confusion_2v2.csv"):
        assert (joined / name).read_text() == (folder / "evaluation" / name).read_text()
    scores = [json.loads((f / "scores.json").read_text()) for f in (joined, folder / "evaluation")]
    assert scores[0] == scores[1]
    assert all(line in said for line in lines[:-1])
