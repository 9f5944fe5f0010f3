import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn_metrics

from tfface import losses, metrics

NAN = float("nan")
METRICS = [metrics.ActionUnitF1, metrics.ActionUnitAccuracy, metrics.ActionUnitAUC]


def example(n=400, seed=0):
    """Three ordinary units, a rare one, one never present, one never coded; a fifth missing."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 6)) < [0.5, 0.3, 0.7, 0.03, 0.0, 0.5]).astype("float32")
    # Logits on a coarse grid, so that there are ties; the rare unit has small probabilities only.
    logits = labels + rng.normal(size=labels.shape) - [0.5, 0.5, 0.5, 5.0, 0.5, 0.5]
    logits = (np.round(logits * 16) / 16).astype("float32")
    labels[rng.random((n, 6)) < 0.2] = NAN
    labels[:, 5] = NAN
    return labels, logits


def probabilities(logits):
    return 1.0 / (1.0 + np.exp(-logits.astype("float64")))


def reference(labels, logits):
    """scikit-learn's scores of every unit; what it cannot score as the docstring defines it."""
    scores = {name: np.full(labels.shape[1], NAN) for name in ("f1", "accuracy", "auc")}
    for unit in range(labels.shape[1]):
        known = ~np.isnan(labels[:, unit])
        if known.any():
            truth, score = labels[known, unit], logits[known, unit]
            scores["f1"][unit] = sklearn_metrics.f1_score(truth, score >= 0, zero_division=0.0)
            scores["accuracy"][unit] = sklearn_metrics.accuracy_score(truth, score >= 0)
            if 0 < truth.sum() < truth.size:
                scores["auc"][unit] = sklearn_metrics.roc_auc_score(truth, score)
    return scores


class TestActionUnitScores:
    def test_equals_scikit_learn(self):
        labels, logits = example()
        scores = metrics.action_unit_scores(labels, probabilities(logits))
        expected = reference(labels, logits)
        assert scores.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(scores[name], values, atol=1e-12, err_msg=name)

    def test_hand_derived(self):
        labels = [[1], [1], [0], [0], [NAN]]
        # One hit, one miss, one false alarm, one right rejection; of the 4 pairs, .9 beats both
        # absent ones, .4 beats .1 and loses to .6.
        scores = metrics.action_unit_scores(labels, [[0.9], [0.4], [0.6], [0.1], [0.9]])
        assert {name: values.tolist() for name, values in scores.items()} == {
            "f1": [0.5],
            "accuracy": [0.5],
            "auc": [0.75],
        }

    def test_ties_count_half(self):
        scores = metrics.action_unit_scores([[1], [0], [0]], [[0.5], [0.5], [0.2]])
        assert scores["auc"].tolist() == [0.75]

    def test_threshold_belongs_to_present(self):
        scores = metrics.action_unit_scores([[1], [0]], [[0.3], [0.29]], threshold=0.3)
        assert scores["f1"].tolist() == [1.0]

    def test_unit_without_presence_is_zero_and_one_without_labels_is_left_out(self):
        labels = [[1, 0, NAN], [0, 0, NAN]]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = metrics.action_unit_scores(labels, [[0.9, 0.1, 0.9], [0.1, 0.1, 0.9]])
            means = metrics.mean_scores(scores)
        np.testing.assert_array_equal(scores["f1"], [1.0, 0.0, NAN])
        np.testing.assert_array_equal(scores["accuracy"], [1.0, 1.0, NAN])
        np.testing.assert_array_equal(scores["auc"], [1.0, NAN, NAN])
        assert means == {"f1": 0.5, "accuracy": 1.0, "auc": 1.0}

    def test_mean_of_nothing_is_nan(self):
        means = metrics.mean_scores(metrics.action_unit_scores([[NAN]], [[0.5]]))
        assert all(np.isnan(value) for value in means.values())

    def test_shapes_must_fit(self):
        with pytest.raises(ValueError, match=r"\(2, 1\) and \(2, 2\)"):
            metrics.action_unit_scores([[1], [0]], [[0.5, 0.5], [0.5, 0.5]])


class TestKerasMetrics:
    @pytest.mark.parametrize("from_logits", [False, True])
    @pytest.mark.parametrize("metric_class", METRICS)
    def test_pools_over_batches(self, metric_class, from_logits):
        labels, logits = example()
        metric = metric_class(6, from_logits=from_logits)
        predictions = logits if from_logits else probabilities(logits).astype("float32")
        for start in range(0, 400, 64):  # the last batch is partial
            metric.update_state(labels[start : start + 64], predictions[start : start + 64])
        expected = reference(labels, logits)[metric.name]
        # The steps of the logits in `example` are twice as wide as the bins of the histograms.
        np.testing.assert_allclose(metric.action_unit_results(), expected, atol=1e-5)
        assert float(metric.result()) == pytest.approx(np.nanmean(expected), abs=1e-5)

    def test_pooled_is_not_the_mean_of_batches(self):
        metric = metrics.ActionUnitF1(1)
        metric.update_state([[1.0], [1.0]], [[0.9], [0.9]])  # F1 1
        metric.update_state([[0.0], [0.0]], [[0.9], [0.1]])  # F1 0
        assert float(metric.result()) == pytest.approx(2 * 2 / (2 * 2 + 1))

    def test_auc_of_continuous_scores_is_within_a_bin(self):
        rng = np.random.default_rng(1)
        labels = (rng.random((2000, 1)) < 0.05).astype("float32")
        logits = (labels + rng.normal(size=labels.shape) - 6.0).astype("float32")
        metric = metrics.ActionUnitAUC(1)
        metric.update_state(labels, probabilities(logits))
        expected = sklearn_metrics.roc_auc_score(labels, logits)
        assert float(metric.result()) == pytest.approx(expected, abs=2e-3)

    def test_auc_takes_probabilities_of_zero_and_one(self):
        metric = metrics.ActionUnitAUC(1)
        metric.update_state([[0.0], [1.0], [1.0]], [[0.0], [1.0], [0.0]])
        assert float(metric.result()) == pytest.approx(0.75)

    @pytest.mark.parametrize("metric_class", METRICS)
    def test_nothing_known_is_nan_and_reset_forgets(self, metric_class):
        metric = metric_class(2)
        metric.update_state([[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.2], [0.2, 0.9]])
        assert float(metric.result()) == 1.0
        metric.reset_state()
        metric.update_state([[NAN, NAN]], [[0.9, 0.2]])
        assert np.isnan(float(metric.result()))

    @pytest.mark.parametrize("metric_class", METRICS)
    def test_sample_weight_zero_leaves_a_sample_out(self, metric_class):
        labels, logits = example(60)
        weights = np.repeat([1.0, 0.0], 30)
        weighted, plain = metric_class(6, from_logits=True), metric_class(6, from_logits=True)
        weighted.update_state(labels, logits, sample_weight=weights)
        plain.update_state(labels[:30], logits[:30])
        np.testing.assert_allclose(weighted.action_unit_results(), plain.action_unit_results())

    @pytest.mark.parametrize("metric_class", METRICS)
    def test_config_round_trip(self, metric_class):
        options = {"bins": 32} if metric_class is metrics.ActionUnitAUC else {"threshold": 0.3}
        metric = metric_class(3, from_logits=True, name="score", **options)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert type(again) is metric_class
        assert again.get_config() == metric.get_config()
        assert {"n_au": 3, "from_logits": True, "name": "score", **options}.items() <= (
            metric.get_config().items()
        )

    @pytest.mark.parametrize("jit_compile", [False, True])
    @pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
    def test_in_a_compiled_model(self, policy, jit_compile):
        labels, logits = example(96)
        labels, logits = labels[:, :3], logits[:, :3]
        inputs = keras.Input((3,))
        outputs = keras.layers.Dense(3, use_bias=False, kernel_initializer="identity", dtype=policy)
        model = keras.Model(inputs, outputs(inputs))
        model.compile(
            loss=losses.MaskedBinaryCrossentropy(),
            metrics=[metric(3, from_logits=True) for metric in METRICS],
            jit_compile=jit_compile,
        )
        figures = model.evaluate(logits, labels, batch_size=40, verbose=0, return_dict=True)
        expected = metrics.mean_scores(reference(labels, logits))
        for name, value in expected.items():  # sixteenths are exact in half precision
            assert figures[name] == pytest.approx(value, abs=1e-5), name

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match=r"`n_au`.*n_au=0"):
            metrics.ActionUnitF1(0)
        with pytest.raises(ValueError, match=r"`threshold`.*threshold=1\.5"):
            metrics.ActionUnitAccuracy(3, threshold=1.5)
        with pytest.raises(ValueError, match=r"`bins`.*bins=1"):
            metrics.ActionUnitAUC(3, bins=1)
        with pytest.raises(ValueError, match=r"`y_pred` must have shape \(batch, 3\).*\(4, 1\)"):
            metrics.ActionUnitF1(3).update_state(np.zeros((4, 3)), np.zeros((4, 1)))

    def test_two_devices_pool_like_one(self, tmp_path):
        # Logical devices must be made before TensorFlow starts: a process of its own.
        program = f"""
import sys
sys.path[:0] = {[os.path.dirname(__file__), os.getcwd()]!r}
import numpy as np, tensorflow as tf, keras
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tfface import losses, metrics
import test_metrics
labels, logits = test_metrics.example(96)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    model.compile(
        loss=losses.MaskedBinaryCrossentropy(),
        metrics=[metric(6, from_logits=True) for metric in test_metrics.METRICS])
figures = model.evaluate(logits, labels, batch_size=40, verbose=0, return_dict=True)
expected = metrics.mean_scores(test_metrics.reference(labels, logits))
for name, value in expected.items():
    np.testing.assert_allclose(figures[name], value, atol=1e-5, err_msg=name)
"""
        script = tmp_path / "two_devices.py"
        script.write_text(program)
        ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr[-2000:]


def ssim_reference(a, b):
    """One channel of one image, window by window, with the weighted moments written out."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            cov = (window * (p - mean_p) * (q - mean_q)).sum()
            values.append(
                (2 * mean_p * mean_q + 1e-4)
                * (2 * cov + 9e-4)
                / ((mean_p**2 + mean_q**2 + 1e-4) * (var_p + var_q + 9e-4))
            )
    return np.mean(values)


class TestImageScores:
    @staticmethod
    def pair(channels=3, size=(20, 26)):
        rng = np.random.default_rng(2)
        a = rng.random((2, *size, channels)).astype("float32")
        b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1).astype("float32")
        b[1] = 0.8 * a[1] + 0.1
        return a, b

    def test_psnr_hand_derived(self):
        a = np.zeros((3, 4, 4, 1), "float32")
        b = a + np.array([0.1, 0.01, 0.0], "float32").reshape(3, 1, 1, 1)
        np.testing.assert_allclose(metrics.psnr(a, b), [20.0, 40.0, np.inf], rtol=1e-5)

    def test_psnr_equals_tensorflow(self):
        a, b = self.pair()
        np.testing.assert_allclose(metrics.psnr(a, b), tf.image.psnr(a, b, 1.0), rtol=1e-5)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_ssim_equals_tensorflow_and_the_definition(self, channels):
        a, b = self.pair(channels)
        ours = metrics.ssim(a, b).numpy()
        np.testing.assert_allclose(ours, tf.image.ssim(a, b, 1.0), atol=1e-5)
        a, b = a.astype("float64"), b.astype("float64")
        expected = [
            np.mean([ssim_reference(a[i, :, :, c], b[i, :, :, c]) for c in range(channels)])
            for i in range(2)
        ]
        np.testing.assert_allclose(ours, expected, atol=1e-5)

    def test_ssim_of_equal_and_of_opposite_images(self):
        a, _ = self.pair()
        np.testing.assert_allclose(metrics.ssim(a, a), [1.0, 1.0], atol=1e-6)
        assert np.all(metrics.ssim(a, 1.0 - a).numpy() < 0)

    def test_in_a_graph_of_unknown_size(self):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))] * 2)
        def scores(a, b):
            return metrics.psnr(a, b), metrics.ssim(a, b)

        a, b = self.pair()
        found = scores(a, b)
        np.testing.assert_allclose(found[0], tf.image.psnr(a, b, 1.0), rtol=1e-5)
        np.testing.assert_allclose(found[1], tf.image.ssim(a, b, 1.0), atol=1e-5)

    def test_bad_images(self):
        images = np.zeros((1, 16, 16, 3), "float32")
        for score in (metrics.psnr, metrics.ssim):
            with pytest.raises(ValueError, match=r"`b` must be float images.*uint8"):
                score(images, images.astype("uint8"))
            with pytest.raises(ValueError, match=r"`a` must be float images.*\(16, 16, 3\)"):
                score(images[0], images[0])
            with pytest.raises(ValueError, match=r"one shape.*\(1, 16, 8, 3\)"):
                score(images, images[:, :, :8])
        with pytest.raises(ValueError, match=r"at least 11 pixels.*\(1, 8, 16, 3\)"):
            metrics.ssim(images[:, :8], images[:, :8])


def test_mean_leaves_out_what_is_not_known():
    assert metrics.mean_of_defined([1.0, NAN, 4.0]) == 2.5
    assert np.isnan(metrics.mean_of_defined([NAN, NAN]))
    values = [[1.0, NAN, NAN], [3.0, 5.0, NAN]]
    np.testing.assert_array_equal(metrics.mean_of_defined(values, axis=0), [2.0, 5.0, NAN])
