"""Several trainings as one job: what its parts are, and what they show together."""

import csv
import io
import json
import shutil
from contextlib import redirect_stdout

import cv2
import keras
import numpy as np
import pytest
import recognition
from configuration import read_config
from process import attempt
from series import make_parts, run_parts

ONE_STEP = ("--training.epochs=1", "--training.steps_per_epoch=1", "--action_units=[1,4,12,15]")


@pytest.fixture
def config_of(parser_of):
    """Function of flags that gives a whole config."""
    return lambda *flags: read_config(parser_of(recognition), ["--out", "runs/x", *flags])


def test_parts_are_all_combinations_each_in_its_folder(config_of):
    config = config_of("--missing_rates=[0,0.5]", "--folds=all")
    axes = {"missing_rate": [0.0, 0.5], "variant": ["ours"], "data.fold": range(2)}
    parts = make_parts(config, axes, recognition.SINGLE)
    assert [part.point for part in parts] == [
        {"missing_rate": rate, "variant": "ours", "data.fold": fold}
        for rate in (0.0, 0.5)
        for fold in (0, 1)
    ]
    # An axis of one value names no folder.
    assert [part.config.out for part in parts] == [
        f"runs/x/parts/missing_rate_{rate}-fold_{fold}" for rate in (0.0, 0.5) for fold in (0, 1)
    ]
    for part in parts:
        assert part.config.missing_rate == part.point["missing_rate"]
        assert part.config.data.fold == part.point["data.fold"]
        assert (part.config.folds, part.config.missing_rates) == ("one", [])
        assert part.config.export_dir is None
    assert (config.folds, config.missing_rates, config.data.fold) == ("all", [0.0, 0.5], 0)
    assert (config.out, config.export_dir) == ("runs/x", "savedmodels")


def test_a_series_of_one_is_the_run_itself(config_of):
    config = config_of("--folds=all")
    (part,) = make_parts(config, {"variant": ["ours"], "data.fold": [0]}, recognition.SINGLE)
    assert (part.config.out, part.config.export_dir) == ("runs/x", "savedmodels")
    assert part.config.folds == "one"


def test_parts_run_in_order_and_say_which(config_of, capsys):
    parts = make_parts(config_of(), {"seed": [3, 1, 2]}, {})
    assert run_parts(parts, lambda config: config.seed**2) == [9, 1, 4]
    assert capsys.readouterr().out.splitlines() == [
        f"part {number} of 3: runs/x/parts/seed_{seed}" for number, seed in ((1, 3), (2, 1), (3, 2))
    ]


@pytest.fixture(scope="module")
def run_series(parser_of, tiny_recognition):
    """Function that runs a series in this process; returns what it said."""

    def ran(folder, *flags):
        arguments = ["--config", str(tiny_recognition), "--out", str(folder), *ONE_STEP, *flags]
        with redirect_stdout(io.StringIO()) as said:
            assert attempt(recognition.train, read_config(parser_of(recognition), arguments)) == 0
        return said.getvalue().splitlines()

    return ran


ALL = ("--data.protocol=kfold:2", "--folds=all", "--variant=both", "--missing_rates=[0,0.5]")


@pytest.fixture(scope="module")
def series(run_series, tmp_path_factory):
    """Two missing rates, two methods, two folds: the series' folder and what it said."""
    folder = tmp_path_factory.mktemp("series") / "run"
    return folder, run_series(folder, *ALL)


def read(path):
    return json.loads(path.read_text())


def part_of(folder, rate, variant, fold):
    return folder / "parts" / f"missing_rate_{rate}-variant_{variant}-fold_{fold}"


def as_numbers(values):
    return np.array(values, np.float64)  # None, which stands for NaN in JSON, becomes it again


@pytest.mark.slow
def test_a_series_averages_over_folds(series):
    """Of every figure of every action unit: the mean of those folds that have a value."""
    folder, _ = series
    summary = read(folder / "summary.json")
    assert (summary["variant"], summary["folds"], summary["metrics"]) == ("both", 2, None)
    assert len(summary["parts"]) == 8
    assert [(p["missing_rate"], p["alpha"]) for p in summary["points"]] == [(0, 0.01), (0.5, 0.01)]
    for point in summary["points"]:
        for variant in ("ours", "o_wlc"):
            folds = []
            for fold in range(2):
                part = part_of(folder, point["missing_rate"], variant, fold)
                assert str(part) in summary["parts"]
                (scores,) = read(part / "evaluation" / "scores.json")["scores"].items()
                assert scores[0] == variant
                folds.append(scores[1])
            for figure in ("f1", "auc", "accuracy"):
                found = point["metrics"][figure][variant]
                values = as_numbers([scores[figure] for scores in folds])
                assert list(found["per_au"]) == ["1", "4", "12", "15"]
                expected = np.nanmean(values, axis=0)
                np.testing.assert_allclose(as_numbers(list(found["per_au"].values())), expected)
                assert found["mean"] == pytest.approx(expected.mean())
            marginal = as_numbers([scores["marginal_difference"] for scores in folds])
            found = point["metrics"]["marginal_difference"][variant]
            assert found == pytest.approx(marginal.mean())
            matrices = as_numbers([scores["conditional_difference"] for scores in folds])
            known = ~np.isnan(matrices)
            expected = (
                np.where(known, matrices, 0).sum(0)[known.any(0)] / known.sum(0)[known.any(0)]
            )
            found = point["metrics"]["conditional_difference"][variant]
            assert found == pytest.approx(expected.mean())


@pytest.mark.slow
def test_a_fold_is_not_called_the_average(series):
    _, said = series
    titles = [line for line in said if line.startswith(("evaluation:", "missing rate"))]
    assert titles == [
        *[f"evaluation: 12 test faces of fold {fold} of kfold:2" for fold in (0, 1)] * 4,
        "missing rate 0, alpha 0.01, average of 2 folds of kfold:2:",
        "missing rate 0.5, alpha 0.01, average of 2 folds of kfold:2:",
    ]


@pytest.mark.slow
def test_the_curve_of_a_series(series):
    folder, _ = series
    with (folder / "evaluation" / "missing_rates.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    points = read(folder / "summary.json")["points"]
    assert [(row["share of faces without labels"], row["method"]) for row in rows] == [
        ("0", "Ours"),
        ("0", "O-wlc"),
        ("0.5", "Ours"),
        ("0.5", "O-wlc"),
    ]
    for row, (point, variant) in zip(
        rows, ((point, variant) for point in points for variant in ("ours", "o_wlc")), strict=True
    ):
        assert row["F1"] == f"{point['metrics']['f1'][variant]['mean']:.3f}"
    assert len((folder / "evaluation" / "missing_rates.md").read_text().splitlines()) == 2 + 4
    height, width, _ = cv2.imread(str(folder / "evaluation" / "missing_rates.png")).shape
    assert height >= 300 and width >= 400
    for rate in ("0", "0.5"):
        point = folder / "evaluation" / f"missing_rate_{rate}-alpha_0.01"
        assert list(read(point / "scores.json")["scores"]) == ["ours", "o_wlc"]
        assert cv2.imread(str(point / "f1.png")) is not None


@pytest.mark.slow
def test_parts_are_runs_of_their_own(series, faces):
    folder, _ = series
    for variant in ("ours", "o_wlc"):
        part = part_of(folder, 0.5, variant, 1)
        summary = read(part / "summary.json")
        assert (summary["variant"], summary["missing_rate"]) == (variant, 0.5)
        assert summary["fold"] == {"protocol": "kfold:2", "index": 1}
        assert summary["training_faces"] == {"labeled": 6, "unlabeled": 6}
        assert list(summary["metrics"]["f1"]) == [variant]
        network = keras.saving.load_model(part / "recognizer.keras")
        assert network.action_units == (1, 4, 12, 15)
    # Both methods see the same labels of the same faces.
    drawn = [
        (part_of(folder, 0.5, v, 1) / "training_faces.csv").read_text() for v in ("ours", "o_wlc")
    ]
    assert drawn[0] == drawn[1]


@pytest.mark.slow
def test_a_killed_series_leaves_finished_parts_alone(series, run_series, tmp_path):
    """One part was killed before its summary; the series never came to its end."""
    folder = tmp_path / "again"
    shutil.copytree(series[0], folder)
    (folder / "summary.json").unlink()
    shutil.rmtree(folder / "evaluation")
    stopped = part_of(folder, 0.5, "o_wlc", 1)
    (stopped / "summary.json").unlink()
    parts = folder / "parts"
    before = {path: path.stat().st_mtime_ns for path in parts.rglob("*") if path.is_file()}
    said = run_series(folder, *ALL)
    assert sum("finished already" in line for line in said) == 7
    assert "recognition: trained already (1 epochs)" in said
    changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed and all(stopped in path.parents for path in changed)
    first, second = (read(f / "summary.json") for f in (series[0], folder))
    assert first["points"] == second["points"]


@pytest.mark.slow
def test_alphas_are_one_method(run_series, tiny_recognition, job, tmp_path):
    folder = tmp_path / "run"
    said = run_series(folder, "--alphas=[0,0.01]", "--missing_rate=0.25")
    for alpha in ("0", "0.01"):
        assert f"missing rate 0.25, alpha {alpha}, fold 0 of shares:0.75-0-0.25:" in said
    points = read(folder / "summary.json")["points"]
    assert [(p["missing_rate"], p["alpha"]) for p in points] == [(0.25, 0), (0.25, 0.01)]
    with (folder / "evaluation" / "alphas.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["alpha"], row["method"]) for row in rows] == [("0", "Ours"), ("0.01", "Ours")]
    # alpha is what D weighs: without it, D does not play.
    for alpha, plays in ((0.0, False), (0.01, True)):
        with (folder / f"parts/adversarial_weight_{alpha}/history.csv").open(newline="") as stream:
            (row,) = csv.DictReader(stream)
        assert (float(row["discriminator_loss"]) > 0) == plays

    # A single run does not write into the folder of a series.
    code, lines = job(recognition, "--config", tiny_recognition, "--out", folder, *ONE_STEP)
    assert code == 2
    assert lines == [f"error: {folder} holds a series of runs; name another --out"]
