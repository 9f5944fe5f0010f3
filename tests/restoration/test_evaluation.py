"""The paper's tables and pictures, against scores that plain NumPy and scikit-learn give."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score

from tfface.data.folds import make_fold
from tfface.data.pipeline import evaluation_batches
from tfface.restoration.data import RestorationTransform
from tfface.restoration.evaluation import draw_labels, draw_sample, evaluate
from tfface.restoration.model import ExpressionRestorer
from tfface.restoration.networks import (
    ActionUnitClassifier,
    RestorationDiscriminator,
    RestorationGenerator,
)

AUS = (1, 12)


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    # Smooth pictures, so that methods differ in what they restore.
    coarse = rng.uniform(size=(10, 8, 8, 3)).astype("float32")
    faces = tf.image.resize(coarse, (128, 128), "bicubic").numpy().clip(0, 1)
    labels = rng.integers(0, 2, size=(10, 2)).astype("float32")
    labels[3, 0] = np.nan
    landmarks = np.full((10, 68, 2), np.nan, "float32")
    records = {"image": faces, "landmarks": landmarks, "au": labels}
    whole = RestorationTransform()(records, tf.constant([1, 2]))
    return tf.data.Dataset.from_tensor_slices(whole).batch(4)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(1)
    return ActionUnitClassifier(AUS, widths=(8, 8))


@pytest.fixture(scope="module")
def evaluation(batches, classifier):
    keras.utils.set_random_seed(2)
    generators = {"ours": RestorationGenerator(filters=4, blocks=1)}
    return generators, evaluate(generators, classifier, batches, 10, AUS, pictures=3)


def joined(batches, key):
    return np.concatenate([batch[key].numpy() for batch in batches])


def test_scores_are_pooled_over_all_faces(batches, classifier, evaluation):
    generators, result = evaluation
    truth, labels = joined(batches, "face"), joined(batches, "au")
    restored = generators["ours"].predict(joined(batches, "low"), verbose=0)
    assert result.faces == 10
    squared = ((truth - restored) ** 2).mean((1, 2, 3))
    assert result.scores["ours"]["psnr"] == pytest.approx(
        (-10 * np.log10(squared)).mean(), rel=1e-4
    )
    for method, faces in {"ours": restored, "ground_truth": truth}.items():
        present = classifier.predict(faces, verbose=0) >= 0
        for i in range(2):
            known = ~np.isnan(labels[:, i])
            expected = f1_score(labels[known, i], present[known, i], zero_division=0)
            assert result.scores[method]["f1"][i] == pytest.approx(expected)
            expected = accuracy_score(labels[known, i], present[known, i])
            assert result.scores[method]["accuracy"][i] == pytest.approx(expected)


def test_metrics_are_averages_by_figure_and_method(evaluation):
    _, result = evaluation
    metrics = result.metrics()
    assert set(metrics) == {"psnr", "ssim", "f1", "accuracy"}
    assert set(metrics["psnr"]) == {"bicubic", "bicubic_filled", "ours"}
    assert set(metrics["f1"]) == {"bicubic", "bicubic_filled", "ours", "ground_truth"}
    assert metrics["f1"]["ours"] == pytest.approx(np.mean(result.scores["ours"]["f1"]))


def test_a_filled_hole_is_nearer_to_the_truth_than_a_black_one(evaluation):
    _, result = evaluation
    scores = result.metrics()
    assert scores["psnr"]["bicubic_filled"] > scores["psnr"]["bicubic"] + 3


def test_tables_and_pictures_are_written(evaluation, tmp_path):
    _, result = evaluation
    result.write(tmp_path)
    with (tmp_path / "action_units.csv").open() as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["AU", "1", "12", "Avg"]
    assert len(rows[0]) == 1 + 2 * 4 and rows[0][-1] == "accuracy Ground truth"
    assert float(rows[1][3]) == pytest.approx(result.scores["ours"]["f1"][0], abs=5e-4)
    assert (tmp_path / "quality.md").read_text().count("\n") == 6
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["action_units"] == [1, 12] and scores["faces"] == 10
    with Image.open(tmp_path / "faces.png") as picture:
        assert picture.width > 5 * 192 and picture.height > 3 * 192
    assert (tmp_path / "action_units.png").stat().st_size > 1000


def test_faces_without_labels_get_quality_alone(batches, tmp_path):
    generator = RestorationGenerator(filters=4, blocks=1)
    result = evaluate({"srgan": generator}, None, batches, 10)
    assert set(result.metrics()) == {"psnr", "ssim"}
    result.write(tmp_path)
    assert not (tmp_path / "action_units.csv").exists()
    assert "SRGAN" in (tmp_path / "quality.md").read_text()


def test_action_units_that_the_classifier_does_not_know_are_left_out(batches):
    other = ActionUnitClassifier((12, 25), widths=(8, 8))
    generator = RestorationGenerator(filters=4, blocks=1)
    assert evaluate({"ours": generator}, other, batches, 10, AUS).action_units == (12,)


def test_samples_and_labels_are_drawn(frames_source, tmp_path):
    model = ExpressionRestorer(
        RestorationGenerator(filters=4, blocks=1),
        RestorationDiscriminator(128, filters=4, dense_units=4),
        expression_weight=0,
        perceptual_weight=0,
    )
    fold = make_fold(frames_source, "shares:0.5-0-0.5", 0)
    transform = RestorationTransform()
    look = next(
        iter(
            evaluation_batches(
                frames_source, fold.test, batch_size=2, size=128, transform=transform, seed=0
            )
        )
    )
    draw_sample(model, tmp_path / "sample.png", look)
    draw_labels(frames_source, fold, tmp_path / "labels.png")
    with Image.open(tmp_path / "sample.png") as picture:
        assert picture.width > 4 * 192 and picture.height > 2 * 192
    assert (tmp_path / "labels.png").stat().st_size > 1000
