"""The recognition paper's tables and pictures, against what they are made from."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfface.recognition import evaluation as module
from tfface.recognition.evaluation import (
    Evaluation,
    draw_embedding,
    draw_sample,
    predict,
    write_curve,
)
from tfface.recognition.model import AdversarialAURecognizer
from tfface.recognition.networks import ActionUnitDiscriminator, ActionUnitRecognizer
from tfface.scores import Predictions, Scores, score

NAN = np.nan
FIGURES = ["F1", "AUC", "accuracy", "marginal difference", "conditional difference"]


class BrightnessRecognizer:
    """A logit for each AU that NumPy can follow: its number times (mean brightness - 1/2)."""

    action_units = (12, 1, 25)
    inputs = (keras.KerasTensor((None, 4, 4, 3)),)
    calls = 0

    def __call__(self, faces, training):
        assert not training
        self.calls += 1
        brightness = tf.reduce_mean(faces, axis=(1, 2, 3))[:, None]
        return tf.constant([self.action_units], tf.float32) * (brightness - 0.5)


def batches_of(faces, labels, subjects=None, batch_size=3):
    subjects = ["S001"] * len(faces) if subjects is None else subjects
    records = {"face": faces, "au": np.array(labels, np.float32), "subject": subjects}
    return tf.data.Dataset.from_tensor_slices(records).batch(batch_size)


@pytest.fixture
def faces():
    return np.random.default_rng(0).uniform(size=(7, 4, 4, 3)).astype("float32")


@pytest.fixture(scope="module")
def recognizer():
    keras.utils.set_random_seed(0)
    return ActionUnitRecognizer((1, 2, 4), size=16, backbone="fer_net")


@pytest.fixture
def portraits():
    """Twenty faces of four subjects, each subject's five in a row and of a color of its own."""
    rng = np.random.default_rng(0)
    colors = np.repeat(rng.uniform(size=(4, 1, 1, 3)), 5, axis=0)
    faces = np.clip(colors + 0.2 * rng.normal(size=(20, 16, 16, 3)), 0, 1).astype("float32")
    subjects = np.repeat(["S001", "S002", "S003", "S004"], 5)
    return batches_of(faces, np.zeros((20, 3)), subjects, batch_size=8)


@pytest.fixture(scope="module")
def evaluation():
    """Two methods on 40 faces; AU4 is never known, and O-wlc never finds AU2."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, size=(40, 3)).astype("float32")
    labels[:, 2] = NAN
    scores = {}
    for method in ("ours", "o_wlc"):
        probabilities = np.clip(0.3 * labels + rng.uniform(0, 0.7, labels.shape), 0, 1)
        probabilities[:, 2] = 0.5
        if method == "o_wlc":
            probabilities[:, 1] *= 0.4
        scores[method] = score(Predictions((1, 2, 4), labels, probabilities, np.full(40, "S001")))
    return Evaluation(scores)


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_faces_are_recognized_in_the_recognizers_order(faces):
    labels = np.array([[1, 0, NAN]] * 4 + [[0, 1, 1]] * 3)
    names = [f"S{i}" for i in range(7)]
    recognizer = BrightnessRecognizer()
    result = predict(recognizer, batches_of(faces, labels, names), (1, 4, 12))
    assert result.action_units == (12, 1)
    np.testing.assert_array_equal(result.labels, labels[:, [2, 0]])
    logits = np.array([[12, 1]]) * (faces.mean(axis=(1, 2, 3))[:, None] - 0.5)
    np.testing.assert_allclose(result.probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert result.subjects.tolist() == names
    assert recognizer.calls == 1  # traced once, though the last batch is smaller


def test_recognizer_and_data_must_share_an_action_unit(faces):
    with pytest.raises(ValueError, match=r"recognizer's, \[12, 1, 25\]. Received: \[2, 4\]"):
        predict(BrightnessRecognizer(), batches_of(faces, np.zeros((7, 2))), (2, 4))


def test_metrics_are_strict_json(evaluation):
    metrics = json.loads(json.dumps(evaluation.metrics(), allow_nan=False))
    assert set(metrics) == {
        "f1",
        "auc",
        "accuracy",
        "marginal_difference",
        "conditional_difference",
        "best_constant_f1",
    }
    ours = evaluation.scores["ours"]
    for figure in ("f1", "auc", "accuracy"):
        found, values = metrics[figure]["ours"], getattr(ours, figure)
        assert found["mean"] == pytest.approx((values[0] + values[1]) / 2)
        assert found["per_au"] == {"1": values[0], "2": values[1], "4": None}
    assert metrics["marginal_difference"]["ours"] == pytest.approx(
        ours.marginal_difference[:2].mean()
    )
    # O-wlc never finds AU2: P(1 | 2) has no difference, P(2 | 1) has.
    missing = evaluation.scores["o_wlc"].conditional_difference
    assert np.isnan(missing[0, 1]) and missing[1, 0] > 0
    assert metrics["conditional_difference"]["o_wlc"] == pytest.approx(missing[1, 0])
    assert set(metrics["best_constant_f1"]["per_au"]) == {"1", "2", "4"}


def test_lines_say_of_how_many_values_a_mean_is(evaluation):
    header, _, ours, o_wlc, constant = evaluation.lines()
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["method", *FIGURES]
    mean = evaluation.scores["ours"].f1[:2].mean()
    assert f"| {mean:.3f} (2 of 3)" in ours and "(2 of 6)" in ours
    assert o_wlc.startswith("| O-wlc") and "(1 of 6)" in o_wlc
    assert constant.startswith("| Best constant answer | 0.") and constant.count(" - ") == 4


def test_every_table_and_picture_is_written(evaluation, tmp_path):
    evaluation.write(tmp_path / "new")
    tables = {"scores", "marginals", "conditional_differences"}
    pictures = {"f1", "marginals", "marginal_differences", "conditional_differences"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "scores.json",
        *(f"{name}{suffix}" for name in tables for suffix in (".csv", ".md")),
        *(f"{name}.png" for name in pictures),
    }
    for name in pictures:
        with Image.open(tmp_path / "new" / f"{name}.png") as picture:
            assert min(picture.size) > 300


def test_tables_hold_the_figures(evaluation, tmp_path):
    evaluation.write(tmp_path)
    ours, o_wlc = evaluation.scores.values()
    header, *rows = read(tmp_path / "scores.csv")
    assert header[:5] == ["AU", "F1 Ours", "F1 O-wlc", "AUC Ours", "AUC O-wlc"]
    assert header[5:] == ["accuracy Ours", "accuracy O-wlc", "F1 best constant"]
    assert [row[0] for row in rows] == ["1", "2", "4", "Avg"]
    assert rows[2][1:] == ["-"] * 7
    columns = [ours.f1, o_wlc.f1, ours.auc, o_wlc.auc, ours.accuracy, o_wlc.accuracy]
    columns.append(ours.best_constant_f1)
    for j, values in enumerate(columns, start=1):
        written = [float(row[j]) for row in (rows[0], rows[1], rows[3])]
        expected = [values[0], values[1], (values[0] + values[1]) / 2]
        assert written == pytest.approx(expected, abs=5.1e-4)

    header, *rows = read(tmp_path / "marginals.csv")
    names = ["Ground truth", "Ours", "O-wlc", "difference Ours", "difference O-wlc"]
    assert header == ["AU", *names]
    truth, found = float(rows[1][1]), float(rows[1][3])
    assert truth == pytest.approx(ours.marginal_truth[1], abs=5.1e-4) and found == 0
    assert rows[1][5] == rows[1][1]

    header, *rows = read(tmp_path / "conditional_differences.csv")
    assert header == ["method", "i", "j = AU1", "j = AU2", "j = AU4"]
    assert [row[:2] for row in rows[:4]] == [
        ["Ours", "AU1"],
        ["Ours", "AU2"],
        ["Ours", "AU4"],
        ["O-wlc", "AU1"],
    ]
    assert rows[0][2] == "-" and rows[3][3] == "-"
    assert float(rows[0][3]) == pytest.approx(ours.conditional_difference[0, 1], abs=5.1e-4)


def test_scores_are_read_again_from_what_is_written(evaluation, tmp_path):
    evaluation.write(tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert list(scores) == ["ours", "o_wlc"]
    again = Scores.from_dict(scores["o_wlc"])
    np.testing.assert_array_equal(again.f1, evaluation.scores["o_wlc"].f1)
    assert again.faces == 40


def test_methods_must_have_the_same_action_units(evaluation):
    nobody = Predictions((1,), np.zeros((2, 1)), np.zeros((2, 1)), np.full(2, "S001"))
    with pytest.raises(ValueError, match="must all be of the same action units"):
        Evaluation({**evaluation.scores, "other": score(nobody)})


def test_curves_average_the_scores_at_each_x(evaluation, tmp_path):
    ours, o_wlc = evaluation.scores.values()
    points = {"ours": {0.5: [ours, o_wlc], 0.0: [ours]}, "o_wlc": {0.5: [o_wlc]}}
    write_curve(tmp_path, "missing_rates", "missing rate", points)
    header, *rows = read(tmp_path / "missing_rates.csv")
    assert header == ["missing rate", "method", *FIGURES]
    assert [row[:2] for row in rows] == [["0", "Ours"], ["0.5", "Ours"], ["0.5", "O-wlc"]]
    f1 = [ours.f1[:2].mean(), o_wlc.f1[:2].mean()]
    written = [float(row[2]) for row in rows]
    assert written == pytest.approx([f1[0], np.mean(f1), f1[1]], abs=5.1e-4)
    assert (tmp_path / "missing_rates.md").read_text().count("\n") == 5
    with Image.open(tmp_path / "missing_rates.png") as picture:
        assert picture.width > 500


def test_curves_over_powers_of_ten_have_a_logarithmic_axis(evaluation, tmp_path, monkeypatch):
    logarithmic = []
    monkeypatch.setattr(module, "curves", lambda *args, log_x: logarithmic.append(log_x))
    ours = [evaluation.scores["ours"]]
    for xs in ((0.0, 0.001, 0.01, 0.1), (0.0, 0.1, 0.5, 0.9), (0.0,)):
        write_curve(tmp_path, "alphas", "alpha", {"ours": dict.fromkeys(xs, ours)})
    assert logarithmic == [True, False, False]


def test_the_embedding_of_the_same_faces_is_the_same_picture(recognizer, portraits, tmp_path):
    for name in ("first", "second"):
        draw_embedding(recognizer, portraits, tmp_path / f"{name}.png")
    first, second = ((tmp_path / f"{name}.png").read_bytes() for name in ("first", "second"))
    assert first == second and len(first) > 10000


def test_of_many_faces_a_draw_from_all_is_embedded(recognizer, portraits, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        module, "embedding", lambda panels, groups, path, title: drawn.update(panels, who=groups)
    )
    draw_embedding(recognizer, portraits, tmp_path / "embedding.png", faces=9)
    who = drawn.pop("who")
    # The first nine are of two subjects alone.
    assert len(who) == 9 and len(set(who)) > 2
    assert len(drawn) == 2
    for points in drawn.values():
        assert points.shape == (9, 2) and np.isfinite(points).all() and np.ptp(points) > 0


def test_too_few_faces_are_not_embedded(recognizer, tmp_path, capsys):
    four = batches_of(np.zeros((4, 16, 16, 3), "float32"), np.zeros((4, 3)))
    draw_embedding(recognizer, four, tmp_path / "embedding.png")
    assert "it needs 5 faces, there are 4" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_faces_that_all_look_alike_are_embedded_in_one_place(recognizer, tmp_path):
    alike = batches_of(np.full((6, 16, 16, 3), 0.5, "float32"), np.zeros((6, 3)))
    draw_embedding(recognizer, alike, tmp_path / "embedding.png")
    assert (tmp_path / "embedding.png").exists()


def test_samples_show_what_is_seen_and_what_is_true(recognizer, tmp_path, monkeypatch):
    model = AdversarialAURecognizer(recognizer, ActionUnitDiscriminator(3))
    faces = np.random.default_rng(0).uniform(size=(8, 16, 16, 3)).astype("float32")
    look = next(iter(batches_of(faces, [[1, 0], *[[0, 1]] * 7], batch_size=8)))
    draw_sample(model, tmp_path / "sample.png", look, (4, 1))
    with Image.open(tmp_path / "sample.png") as picture:
        assert picture.height > 6 * 200

    shown = []
    monkeypatch.setattr(module, "face_bars", lambda faces, path, title: shown.extend(faces))
    draw_sample(model, tmp_path / "sample.png", look, (4, 1))
    assert len(shown) == 6
    image, bars, _ = shown[0]
    np.testing.assert_array_equal(image, faces[0])
    assert [name.strip() for name in bars] == ["AU1", "AU2 ?", "AU4 \N{BULLET}"]
    logits = recognizer.predict(faces, verbose=0)
    np.testing.assert_allclose(list(bars.values()), 1 / (1 + np.exp(-logits[0])), rtol=1e-4)
