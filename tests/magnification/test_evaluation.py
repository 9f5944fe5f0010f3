"""The tables of magnification, against what was examined."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from tfface.confusion import Confusion
from tfface.magnification.evaluation import Evaluation
from tfface.magnification.examination import Examined, average

NAN = np.nan
CLASSES = ("anger", "happiness")
PARTS = ("whole", "mouth", "brow", "background")
HEAT = {
    "magnified": [[0.3, 0.2, 0.4, 0.5], [0.1, 0.9, 0.3, 0.0]],
    "peak": [[0.2, 0.2, 0.2, 0.2], [0.4, 0.6, 0.2, 0.2]],
    "change": [[0.10, 0.01, 0.05, 0.9], [0.30, 0.08, 0.02, 0.9]],
    "neutral": [[0.001, 0.0, 0.0, 0.0], [0.003, 0.0, 0.0, 0.0]],
}
FIGURES = {"psnr": 21.234, "feature_distance": 3.456, "lit": 0.123}
WEAK_FIGURES = {"psnr_weak": 20.0, "feature_distance_weak": 4.0, "lit_weak": 0.2}


def made(matrix, weak, heat=HEAT):
    """What a mode would have reached, without pictures."""
    confusions = [[Confusion(CLASSES, values)] for values in (matrix, weak)]
    heat = {of: np.array(values) for of, values in heat.items()}
    return Examined(*confusions, {**FIGURES, **WEAK_FIGURES}, PARTS, heat)


@pytest.fixture
def scores():
    """Two modes by hand: 2V2 on four faces, a CNN, which magnifies nothing, on the same."""
    nothing = {of: v if of == "peak" else np.full((2, 4), NAN) for of, v in HEAT.items()}
    return {
        "cnn": made([[1, 1], [0, 2]], [[1, 1], [0, 2]], nothing),
        "2v2": made([[2, 0], [0, 2]], [[0, 2], [1, 1]]),
    }


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_metrics_are_strict_json_by_mode(scores):
    metrics = json.loads(json.dumps(Evaluation(scores).metrics(), allow_nan=False))
    assert metrics["accuracy"] == {"cnn": 0.75, "2v2": 1.0}
    assert metrics["accuracy_weak"] == {"cnn": 0.75, "2v2": 0.25}
    assert metrics["accuracy_spread"] == {"cnn": None, "2v2": None}
    assert metrics["balanced_accuracy_weak"] == {"cnn": 0.75, "2v2": 0.25}
    for name, value in {**FIGURES, **WEAK_FIGURES}.items():
        assert metrics[name] == {"cnn": value, "2v2": value}
    assert metrics["per_class"]["cnn"] == {
        "precision": {"anger": 1.0, "happiness": pytest.approx(2 / 3)},
        "recall": {"anger": 0.5, "happiness": 1.0},
        "f1": {"anger": pytest.approx(2 / 3), "happiness": pytest.approx(0.8)},
    }
    heat = metrics["heat"]["2v2"]
    assert set(heat) == {"magnified", "peak", "change", "neutral"}
    assert heat["change"] == {
        "whole": pytest.approx(0.2),
        "mouth": pytest.approx(0.045),
        "brow": pytest.approx(0.035),
        "background": pytest.approx(0.9),
    }
    assert metrics["heat"]["cnn"]["neutral"] == dict.fromkeys(PARTS)
    assert metrics["heat"]["cnn"]["peak"]["whole"] == pytest.approx(0.3)


def test_folds_show_their_spread(scores):
    first, second = scores["2v2"], made([[1, 1], [1, 1]], [[0, 2], [2, 0]])
    evaluation = Evaluation({"2v2": average([first, second])})
    metrics = evaluation.metrics()
    assert metrics["accuracy"]["2v2"] == 0.75
    assert metrics["accuracy_spread"]["2v2"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert metrics["balanced_accuracy"]["2v2"] == 0.75
    assert "| 0.750 ± 0.354 | 0.125 ± 0.177 " in evaluation.lines()[2]


def test_lines_say_what_was_reached_and_where_faces_change(scores):
    header, _, cnn, ours, heat = Evaluation(scores).lines()
    assert header.startswith("| mode ") and "| weak: PSNR (dB)" in header
    assert [cell.strip() for cell in ours.strip("|").split("|")] == [
        "GroupGAN (2V2)",
        "1.000",
        "0.250",
        "21.23",
        "20.00",
        "3.46",
        "4.00",
        "0.123",
        "0.200",
    ]
    assert cnn.startswith("| CNN ")
    # The background does not count, nor the whole.
    assert heat == (
        "GroupGAN (2V2): heat of neutral faces 0.00200, of weak faces 0.20000; "
        "most changed: anger brow, happiness mouth"
    )


def test_tables_hold_the_figures(scores, tmp_path):
    Evaluation(scores).write(tmp_path / "new")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    tables = ["accuracy", "classes", "heat", "confusion_cnn", "confusion_2v2", "confusion_weak_2v2"]
    pictures = {f"{name}.png" for name in tables[3:]}
    assert names == {
        "scores.json",
        *pictures,
        *(f"{name}{suffix}" for name in tables for suffix in (".csv", ".md")),
    }
    for name in pictures:
        with Image.open(tmp_path / "new" / name) as picture:
            assert min(picture.size) > 300

    header, cnn, ours = read(tmp_path / "new/accuracy.csv")
    assert len(set(header)) == len(header) == 9
    assert cnn[:3] == ["CNN", "0.750", "0.750"] and ours[:3] == ["GroupGAN (2V2)", "1.000", "0.250"]

    header, *rows = read(tmp_path / "new/confusion_weak_2v2.csv")
    assert header == ["true class (%)", "anger", "happiness", "faces"]
    assert rows == [["anger", "0.0", "100.0", "2"], ["happiness", "50.0", "50.0", "2"]]

    header, anger, happiness = read(tmp_path / "new/classes.csv")
    assert header[:4] == ["class", "faces", "precision CNN", "precision GroupGAN (2V2)"]
    assert anger == ["anger", "2", "1.000", "1.000", "0.500", "1.000", "0.667", "1.000"]
    assert happiness[2] == "0.667"

    header, *rows = read(tmp_path / "new/heat.csv")
    assert header == ["mode", "heat of", "class", *PARTS]
    assert [row[:3] for row in rows[:4]] == [
        ["CNN", "peak", "anger"],
        ["CNN", "peak", "happiness"],
        ["CNN", "peak", "mean"],
        ["GroupGAN (2V2)", "magnified", "anger"],
    ]
    assert len(rows) == 3 + 4 * 3
    change = next(row for row in rows if row[1:3] == ["change", "happiness"])
    assert change[3:] == ["0.30000", "0.08000", "0.02000", "0.90000"]


def test_scores_are_read_again_from_what_is_written(scores, tmp_path):
    both = {"2v2": average([scores["2v2"], scores["cnn"]]), "cnn": scores["cnn"]}
    Evaluation(both).write(tmp_path / "first")
    content = json.loads((tmp_path / "first/scores.json").read_text())["scores"]
    again = {mode: Examined.from_dict(values) for mode, values in content.items()}
    Evaluation(again).write(tmp_path / "second")
    for path in (tmp_path / "first").glob("*.*"):
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes()
    assert Evaluation(again).metrics() == Evaluation(both).metrics()


def test_what_was_examined_is_drawn(examined, tmp_path):
    Evaluation(examined).write(tmp_path)
    pictures = {path.stem for path in tmp_path.glob("*.png")}
    drawn = {f"{kind}_{mode}" for kind in ("faces", "heat", "changes") for mode in ("1v2", "2v2")}
    assert pictures - drawn == {
        "features",
        *(f"confusion_{mode}" for mode in examined),
        *(f"confusion_weak_{mode}" for mode in ("1v2", "2v2")),
    }
    assert drawn < pictures


def test_a_run_may_be_called_by_its_folder(scores, tmp_path):
    Evaluation({"../runs/a": scores["2v2"]}).write(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new/confusion_.._runs_a.csv").exists()
    assert read(tmp_path / "new/accuracy.csv")[1][0] == "../runs/a"


def test_modes_must_be_of_the_same_classes(scores):
    other = dataclasses.replace(
        scores["2v2"], magnified=[Confusion("ab", np.eye(2))], weak=[Confusion("ab", np.eye(2))]
    )
    with pytest.raises(ValueError, match="`scores`, at least one, .* same classes and parts"):
        Evaluation({**scores, "other": other})
    with pytest.raises(ValueError, match="at least one"):
        Evaluation({})
