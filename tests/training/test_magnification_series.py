"""Modes, folds and data sets of magnification side by side: Table 1, and what its parts share."""

import csv
import io
import json
import shutil
from contextlib import redirect_stdout

import cv2
import keras
import magnification
import numpy as np
import pytest
from basenets import share_classifiers
from configuration import read_config
from process import attempt
from series import make_parts

from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source
from tfface.magnification.model import MODES

ONE_STEP = [
    f"--{stage}.{key}=1"
    for stage in ("classifier_training", "reconstruction", "training")
    for key in ("epochs", "steps_per_epoch")
]


@pytest.fixture(scope="module")
def run_series(parser_of, tiny_magnification):
    """Function that runs a series in this process; returns what it said."""

    def ran(folder, *flags):
        arguments = ["--config", str(tiny_magnification), "--out", str(folder), *ONE_STEP, *flags]
        with redirect_stdout(io.StringIO()) as said:
            assert (
                attempt(magnification.train, read_config(parser_of(magnification), arguments)) == 0
            )
        return said.getvalue().splitlines()

    return ran


MODES_OF_ONE = ("--variant=all", "--generator.residual=true")


@pytest.fixture(scope="module")
def modes(run_series, tmp_path_factory):
    """All four modes on one fold: the series' folder and what it said."""
    folder = tmp_path_factory.mktemp("modes") / "run"
    return folder, run_series(folder, *MODES_OF_ONE)


def read(path):
    return json.loads(path.read_text())


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def parts_of(parser_of):
    """Function of axes and flags to the parts of a series, with their shared classifiers."""

    def made(axes, *flags):
        config = read_config(parser_of(magnification), ["--out", "runs/x", *flags])
        parts = make_parts(config, axes, magnification.SINGLE)
        share_classifiers(parts)
        return [(*part.point.values(), part.config.classifier_training.path) for part in parts]

    return made


def test_modes_of_one_basenet_and_fold_share_its_classifier(parts_of):
    axes = {
        "classifier.backbone": ["vgg11", "alexnet"],
        "data.fold": [0, 1],
        "variant": ["cnn", "dcgan", "2v2"],
    }
    expected = []
    for backbone in ("vgg11", "alexnet"):
        for fold in (0, 1):
            first = f"runs/x/parts/backbone_{backbone}-fold_{fold}-variant_dcgan/classifier.keras"
            expected += [
                (backbone, fold, "cnn", None),
                (backbone, fold, "dcgan", None),
                (backbone, fold, "2v2", first),
            ]
    assert parts_of(axes) == expected


def test_the_mode_cnn_shares_the_classifier_that_picks_its_peaks(parts_of):
    axes = {"classifier.backbone": ["vgg11"], "data.fold": [0], "variant": ["cnn", "dcgan"]}
    first = "runs/x/parts/variant_cnn/classifier.keras"
    assert parts_of(axes, "--pairs.kind=picked") == [
        ("vgg11", 0, "cnn", None),
        ("vgg11", 0, "dcgan", first),
    ]
    given = parts_of(axes, "--classifier_training.path=c.keras")
    assert [path for *_, path in given] == ["c.keras", "c.keras"]


@pytest.mark.slow
def test_all_modes_side_by_side(modes):
    folder, said = modes
    assert [line for line in said if line.startswith("part ")] == [
        f"part {number} of 4: {folder}/parts/variant_{mode}" for number, mode in enumerate(MODES, 1)
    ]
    assert "fer_net, fold 0 of shares:0.75-0-0.25:" in said
    summary = read(folder / "summary.json")
    assert (summary["variant"], summary["folds"]) == ("all", 1)
    assert summary["parts"] == [str(folder / "parts" / f"variant_{mode}") for mode in MODES]
    for mode in MODES:
        own = read(folder / "parts" / f"variant_{mode}" / "summary.json")
        assert (own["variant"], own["exported"], own["test_faces"]) == (mode, None, 9)
        for figure in ("accuracy", "accuracy_weak", "psnr", "psnr_weak", "heat"):
            assert summary["metrics"][figure][mode] == own["metrics"][figure][mode]
    # Weak faces stand for themselves where none is magnified.
    assert summary["metrics"]["psnr"]["cnn"] == summary["metrics"]["psnr_weak"]["cnn"]
    assert summary["metrics"]["heat"]["cnn"]["change"]["whole"] is None
    assert summary["backbones"] == {"fer_net": summary["metrics"]}

    titles = ["CNN", "DCGAN", "GroupGAN (1V2)", "GroupGAN (2V2)"]
    rows = table(folder / "evaluation" / "accuracy.csv")
    assert [row["mode"] for row in rows] == titles
    accuracies = summary["metrics"]["accuracy"]
    assert [row["accuracy"] for row in rows] == [f"{accuracies[mode]:.3f}" for mode in MODES]
    # Table 1, and beside the modes their classifier on the weak faces.
    (row,) = table(folder / "evaluation" / "basenets.csv")
    assert row == {
        "BaseNet": "fer_net",
        **{mode: f"{accuracies[mode]:.3f}" for mode in MODES},
        "weak, by C": f"{summary['metrics']['accuracy_weak']['2v2']:.3f}",
    }
    for mode in MODES:
        assert cv2.imread(str(folder / "evaluation" / f"confusion_{mode}.png")) is not None


@pytest.mark.slow
def test_the_modes_play_with_one_classifier(modes):
    folder, said = modes
    assert sum(line.startswith("classifier 1/1") for line in said) == 1
    first, *others = (
        keras.saving.load_model(folder / f"parts/variant_{mode}/magnifier.keras").classifier
        for mode in ("dcgan", "1v2", "2v2")
    )
    for other in others:
        for a, b in zip(first.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    # A residual G gives faces back from the start: nothing is reconstructed.
    assert not any(line.startswith("reconstruction") for line in said)


@pytest.mark.slow
def test_a_series_that_was_moved_goes_on_where_it_was(
    modes, run_series, job, tiny_magnification, tmp_path
):
    """Its last part was killed before its summary."""
    folder = tmp_path / "moved"
    shutil.copytree(modes[0], folder)
    (folder / "summary.json").unlink()
    stopped = folder / "parts" / "variant_2v2"
    (stopped / "summary.json").unlink()
    said = run_series(folder, *MODES_OF_ONE)
    assert sum("finished already" in line for line in said) == 3
    assert "magnification: trained already (1 epochs)" in said
    assert not any(line.startswith("classifier ") for line in said)
    first, second = (read(f / "summary.json")["metrics"] for f in (modes[0], folder))
    assert first["accuracy"] == second["accuracy"]
    assert first["psnr"] == pytest.approx(second["psnr"], rel=1e-5)
    # A single run does not write into the folder of a series.
    code, lines = job(magnification, "--config", tiny_magnification, "--out", folder, *ONE_STEP)
    assert code == 2
    assert lines == [f"error: {folder} holds a series of runs; name another --out"]


@pytest.mark.slow
def test_folds_are_averaged(run_series, tmp_path):
    folder = tmp_path / "run"
    said = run_series(folder, "--variant=cnn", "--folds=all", "--data.protocol=kfold:2")
    assert [line for line in said if line.startswith("evaluation:")] == [
        f"evaluation: 18 weak test faces of fold {fold} of kfold:2" for fold in (0, 1)
    ]
    assert "fer_net, average of 2 folds of kfold:2:" in said
    folds = [read(folder / f"parts/fold_{fold}/summary.json")["metrics"] for fold in (0, 1)]
    summary = read(folder / "summary.json")
    assert summary["folds"] == 2
    accuracies = [metrics["accuracy"]["cnn"] for metrics in folds]
    assert summary["metrics"]["accuracy"] == {"cnn": pytest.approx(np.mean(accuracies))}
    spread = np.std(accuracies, ddof=1)
    assert summary["metrics"]["accuracy_spread"] == {"cnn": pytest.approx(spread)}
    (row,) = table(folder / "evaluation" / "basenets.csv")
    assert row == {"BaseNet": "fer_net", "cnn": f"{np.mean(accuracies):.3f} ± {spread:.3f}"}


@pytest.mark.slow
def test_mixed_data_sets_of_color_and_gray_pictures(job, tiny_magnification, posed, tmp_path):
    """One of the gray sequences is too short; happiness and surprise are what both sets show."""
    folder, protocol = tmp_path / "run", "shares:0.5-0.25-0.25"
    code, said = job(
        magnification,
        *("--config", tiny_magnification, "--out", folder, *ONE_STEP),
        *("--variant=cnn", "--classifier_training.average=null"),
        *("--data.protocol", protocol, "--pairs.mixed_with=[image_folder/gray]"),
    )
    assert code == 0
    (short,) = [line for line in said if "shorter than 8 frames" in line]
    assert "of image_folder/gray" in short
    summary = read(folder / "summary.json")
    assert summary["test_faces"] == 12
    magnifier = keras.saving.load_model(folder / "magnifier.keras")
    assert magnifier.classes == ("happiness", "surprise")

    answers = {"validation": [], "test": []}
    for name in ("image_folder/posed", "image_folder/gray"):
        source = open_source(name, posed)
        fold = make_fold(source, protocol, 0)
        for part, right in answers.items():
            for record in source.records(getattr(fold, part)).as_numpy_iterator():
                shown = source.expressions[record["expression"]]
                if shown not in magnifier.classes or record["frame"] not in (7, 8, 10):
                    continue
                face = keras.ops.image.resize(record["image"], (18, 18), "bicubic", antialias=True)
                weak = np.round(np.clip(face, 0, 255))[None, 1:17, 1:17] / np.float32(255)
                found = magnifier(weak, training=False)["logits_after"]
                right.append(magnifier.classes[int(np.argmax(found))] == shown)
    assert [len(right) for right in answers.values()] == [12, 12]
    assert summary["metrics"]["accuracy"] == {"cnn": pytest.approx(np.mean(answers["test"]))}
    (row,) = table(folder / "history.csv")
    assert float(row["val_accuracy"]) == pytest.approx(np.mean(answers["validation"]))
