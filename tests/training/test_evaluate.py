"""Runs joined into the paper's tables: what is compared, by whom, and what is refused."""

import csv
import json

import cv2
import numpy as np
import pytest
import restoration
import yaml
from configuration import make_parser, read_config

from tfface.data.folds import make_fold
from tfface.data.pipeline import evaluation_batches, open_source
from tfface.facs.action_units import BP4D_AUS
from tfface.restoration.networks import ActionUnitClassifier, RestorationGenerator


@pytest.fixture(scope="module")
def parser():
    return make_parser("", restoration.GROUPS)


@pytest.fixture
def finished_run(parser, tiny_config, tmp_path):
    """Function that makes a finished run of untrained networks; flags as for the script."""

    def made(name, *flags, classifier=False, bias=None):
        folder = tmp_path / name
        arguments = ["--config", str(tiny_config), "--out", str(folder), *map(str, flags)]
        values = read_config(parser, arguments).as_dict()
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump({"system": "restoration", **values}))
        (folder / "summary.json").write_text("{}")
        generator = RestorationGenerator(filters=2, blocks=1, block="residual")
        if bias is not None:  # restores every face as this one shade
            generator.set_weights([np.zeros_like(weight) for weight in generator.get_weights()])
            generator.layers[-2].bias.assign([np.log(bias / (1 - bias))] * 3)
        generator.save(folder / "generator.keras")
        if classifier:
            ActionUnitClassifier(BP4D_AUS, widths=(4,)).save(folder / "classifier.keras")
        return folder

    return made


def table(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_three_variants_side_by_side(finished_run, compare, tmp_path):
    runs = [
        finished_run("a", "--variant", "srgan", bias=0.2),
        finished_run("b", "--variant", "ours_minus", bias=0.5, classifier=True),
        finished_run("c", "--variant", "ours", bias=0.8, classifier=True),
    ]
    code, said = compare(*runs)
    assert code == 0
    out = tmp_path / "joined"
    assert said[0] == f"evaluation: 6 test faces, action units by {runs[1] / 'classifier.keras'}"
    assert said[-1].endswith(str(out))
    names = ["Bicubic", "Bicubic, hole filled", "SRGAN", "Ours-", "Ours", "Ground truth"]
    quality = table(out / "quality.csv")
    assert [row[0] for row in quality] == ["method", *names]
    assert len(table(out / "action_units.csv")) == 1 + 12 + 1
    assert len((out / "quality.md").read_text().splitlines()) == 2 + 6
    # Input, two bicubics, three methods, truth.
    assert cv2.imread(str(out / "faces.png")).shape[1] >= 7 * 128
    assert cv2.imread(str(out / "labels.png")) is not None
    written = json.loads((out / "comparison.json").read_text())
    assert written["runs"] == {
        name: str(run) for name, run in zip(("srgan", "ours_minus", "ours"), runs, strict=True)
    }
    assert written["test_faces"] == 6

    # What a face of one shade scores is known without any of our code.
    source = open_source(
        "image_folder/tiny",
        yaml.safe_load((runs[0] / "config.yaml").read_text())["data"]["data_dir"],
    )
    fold = make_fold(source, "shares:0.75-0-0.25", 0)
    batches = evaluation_batches(
        source, fold.test, batch_size=6, size=128, transform=lambda b, s: b["image"], seed=0
    )
    faces = next(iter(batches)).numpy().astype("float64")
    for name, shade in (("srgan", 0.2), ("ours_minus", 0.5), ("ours", 0.8)):
        errors = np.mean((faces - shade) ** 2, axis=(1, 2, 3))
        expected = np.mean(-10 * np.log10(errors))
        assert written["metrics"]["psnr"][name] == pytest.approx(expected, abs=1e-3)


def test_the_order_of_columns_is_that_of_the_runs(finished_run, compare, tmp_path):
    ours, srgan = finished_run("a"), finished_run("b", "--variant", "srgan")
    assert compare(ours, srgan)[0] == 0
    assert list(json.loads((tmp_path / "joined/comparison.json").read_text())["runs"]) == [
        "ours",
        "srgan",
    ]


def test_two_runs_of_one_variant_are_named_by_folder(finished_run, compare, tmp_path):
    runs = finished_run("long"), finished_run("short", "--training.epochs", "9")
    assert compare(*runs)[0] == 0
    assert list(json.loads((tmp_path / "joined/comparison.json").read_text())["runs"]) == [
        "long",
        "short",
    ]
    assert [row[0] for row in table(tmp_path / "joined/quality.csv")][3:5] == ["long", "short"]


def test_faces_without_labels_have_no_action_unit_scores(finished_run, compare, tmp_path):
    run = finished_run("a", "--data.dataset", "image_folder/plain", classifier=True)
    code, said = compare(run)
    assert code == 0
    assert said[0] == "evaluation: 6 test faces, no action units"
    assert table(tmp_path / "joined/quality.csv")[0] == ["method", "PSNR (dB)", "SSIM"]
    assert not (tmp_path / "joined/action_units.csv").exists()


def test_the_classifier_that_is_named_judges(finished_run, compare, tmp_path):
    """One that knows fewer AUs than the labels: the others are left out."""
    path = tmp_path / "two.keras"
    ActionUnitClassifier((12, 99, 1), widths=(4,)).save(path)
    run = finished_run("a", classifier=True)
    code, said = compare(run, classifier=str(path))
    assert code == 0
    assert said[0].endswith(str(path))
    rows = table(tmp_path / "joined/action_units.csv")
    assert [row[0] for row in rows] == ["AU", "1", "12", "Avg"]


@pytest.mark.parametrize(
    ("flags", "key"),
    [
        (["--data.dataset", "image_folder/plain"], "data.dataset"),
        (["--data.protocol", "kfold:2"], "data.protocol"),
        (["--data.fold", "1"], "data.fold"),
        (["--hidden_area", "0.5"], "hidden_area"),
        (["--generator.scale", "4"], "generator.scale"),
    ],
)
def test_runs_that_cannot_be_compared(finished_run, compare, flags, key):
    first, second = finished_run("a"), finished_run("b", "--variant", "srgan", *flags)
    code, lines = compare(first, second)
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"error: Runs must share {key}. Received: ")
    assert str(first) in lines[0] and str(second) in lines[0]


def refused(compare, *runs, **options):
    code, lines = compare(*runs, **options)
    assert code == 2
    assert len(lines) == 1
    return lines[0]


def test_folders_that_hold_no_finished_run(finished_run, compare, tmp_path):
    run = finished_run("a")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "absent"):
        line = refused(compare, run, folder)
        assert line == f"error: {folder} is not a run folder: it has no config.yaml"
    (run / "summary.json").unlink()
    line = refused(compare, run)
    assert line == f"error: {run} is not finished; run its training command again"
    (run / "config.yaml").write_text("system: sharpening\n")
    systems = "magnification or recognition or regeneration or restoration or synthesis"
    assert refused(compare, run) == f"error: {run} holds a run of sharpening, not of {systems}"
    (run / "config.yaml").write_text("system: restoration\n")
    (run / "summary.json").write_text("{}")
    assert refused(compare, run) == f"error: {run}/config.yaml has no data"


def test_a_classifier_that_is_none(finished_run, compare):
    run = finished_run("a")
    assert "/no/such.keras" in refused(compare, run, classifier="/no/such.keras")
    line = refused(compare, run, classifier=str(run / "generator.keras"))
    assert "must hold one ActionUnitClassifier. Received: one RestorationGenerator" in line


def test_a_prepared_set_that_is_gone(finished_run, compare):
    run = finished_run("a", "--data.data_dir", "/no/such/folder")
    assert "is not prepared in /no/such/folder" in refused(compare, run)


@pytest.mark.slow
def test_joining_one_run_repeats_its_own_scores(start, finished, tmp_path):
    folder = finished[0]
    process = start("evaluate", "--runs", folder, "--out", tmp_path / "joined")
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    own = json.loads((folder / "evaluation" / "scores.json").read_text())
    assert json.loads((tmp_path / "joined" / "scores.json").read_text()) == own
    assert (folder / "evaluation" / "quality.md").read_text() in said
