"""Scores of action units that skip missing labels, and of restored images.

Scores of action units are pooled: true and false positives (for AUC, the histograms of scores) are
counted over the whole set, one score is computed for each action unit, and these are averaged. A
mean of batch scores is another number, and a wrong one. A label that is missing is NaN and counts
nowhere.

What happens where a score has no natural value is the same in the Keras metrics and in
`action_unit_scores`:

- An action unit without a single known label has no score: NaN, left out of every average.
- One that is known but never present and never predicted has F1 0.0 (there was nothing to find).
- AUC needs both classes: NaN, and left out, where all known labels are equal.

References:
    1. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
        2004.
"""

import functools

import keras
import numpy as np
from keras import ops


class ActionUnitMetric(keras.metrics.Metric):
    """What the metrics of action units share: pooled counts for each unit, averaged at the end.

    Args:
        n_au: Number of action units, the last axis of labels and predictions.
        from_logits: Whether predictions are logits; by default they are probabilities.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; counts are float32 whatever the model's precision.

    Raises:
        ValueError: If `n_au` is not a positive whole number, or, on update, if the shapes do not
            fit it.
    """

    def __init__(self, n_au, from_logits=False, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(n_au, int) or n_au < 1:
            raise ValueError(f"`n_au` must be a positive whole number. Received: n_au={n_au!r}")
        self.n_au = n_au
        self.from_logits = from_logits

    def action_unit_results(self):
        """The score of each action unit: (n_au,) float32, NaN where it is not defined."""
        raise NotImplementedError

    def result(self):
        scores = self.action_unit_results()
        defined = ops.logical_not(ops.isnan(scores))
        total = ops.sum(ops.where(defined, scores, ops.zeros_like(scores)))
        return total / ops.cast(ops.sum(ops.cast(defined, "int32")), "float32")  # 0 / 0 is NaN

    def get_config(self):
        return {
            **super().get_config(),
            "n_au": self.n_au,
            "from_logits": self.from_logits,
        }

    def _add_counts(self, shape, name):
        # Keras sums a metric's variables over replicas when they are read: counts pool there, too.
        return self.add_variable(shape, initializer="zeros", dtype="float32", name=name)

    def _prepare(self, labels, predictions, sample_weight):
        """Labels without NaN, predictions, the weight of each entry (0 where unknown); float32."""
        labels, predictions = ops.cast(labels, "float32"), ops.cast(predictions, "float32")
        for name, tensor in (("y_true", labels), ("y_pred", predictions)):
            if len(tensor.shape) != 2 or tensor.shape[1] != self.n_au:
                raise ValueError(
                    f"`{name}` must have shape (batch, {self.n_au}). "
                    f"Received: shape {tuple(tensor.shape)}"
                )
        unknown = ops.isnan(labels)
        weights = 1.0 - ops.cast(unknown, "float32")
        if sample_weight is not None:
            weights = weights * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        return ops.where(unknown, ops.zeros_like(labels), labels), predictions, weights


class ThresholdMetric(ActionUnitMetric):
    """Counts of the four outcomes of a decision: present from a probability of `threshold` up."""

    def __init__(self, n_au, threshold=0.5, from_logits=False, name=None, dtype=None):
        super().__init__(n_au, from_logits=from_logits, name=name, dtype=dtype)
        if not 0 < threshold < 1:
            raise ValueError(
                f"`threshold` must lie between 0 and 1. Received: threshold={threshold}"
            )
        self.threshold = threshold
        self.outcomes = self._add_counts((4, n_au), "outcomes")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, predictions, weights = self._prepare(y_true, y_pred, sample_weight)
        # Logits are compared as logits: a sigmoid in float32 would round before the comparison.
        threshold = float(_logit(self.threshold)) if self.from_logits else self.threshold
        present = ops.cast(labels > 0.5, "float32")
        predicted = ops.cast(predictions >= threshold, "float32")
        outcomes = ops.stack(
            [
                present * predicted,
                (1.0 - present) * predicted,
                present * (1.0 - predicted),
                (1.0 - present) * (1.0 - predicted),
            ]
        )
        self.outcomes.assign_add(ops.sum(outcomes * weights, axis=1))  # (4, B, n_au) -> (4, n_au)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable("tfface")
class ActionUnitF1(ThresholdMetric):
    """F1, `2 TP / (2 TP + FP + FN)`, of each action unit over everything seen, averaged.

    0.0 for an action unit that is known but never present and never predicted; the module's page
    says what happens where nothing is known.

    Args:
        n_au: Number of action units, the last axis of labels and predictions.
        threshold: An action unit is predicted present where its probability is at least this.
        from_logits: Whether predictions are logits; by default they are probabilities.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; counts are float32 whatever the model's precision.
    """

    def __init__(self, n_au, threshold=0.5, from_logits=False, name="f1", dtype=None):
        super().__init__(n_au, threshold, from_logits=from_logits, name=name, dtype=dtype)

    def action_unit_results(self):
        counts = ops.convert_to_tensor(self.outcomes)
        hits, false_alarms, misses = counts[0], counts[1], counts[2]
        f1 = 2.0 * hits / ops.maximum(2.0 * hits + false_alarms + misses, _SMALLEST)
        return ops.where(ops.sum(counts, axis=0) > 0, f1, np.float32(np.nan))


@keras.saving.register_keras_serializable("tfface")
class ActionUnitAccuracy(ThresholdMetric):
    """Share of right decisions on each action unit over everything seen, averaged.

    Args:
        n_au: Number of action units, the last axis of labels and predictions.
        threshold: An action unit is predicted present where its probability is at least this.
        from_logits: Whether predictions are logits; by default they are probabilities.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; counts are float32 whatever the model's precision.
    """

    def __init__(self, n_au, threshold=0.5, from_logits=False, name="accuracy", dtype=None):
        super().__init__(n_au, threshold, from_logits=from_logits, name=name, dtype=dtype)

    def action_unit_results(self):
        counts = ops.convert_to_tensor(self.outcomes)
        return (counts[0] + counts[3]) / ops.sum(counts, axis=0)  # 0 / 0 is NaN


@keras.saving.register_keras_serializable("tfface")
class ActionUnitAUC(ActionUnitMetric):
    """Area under the ROC curve of each action unit over everything seen, averaged.

    The probability that a face with the action unit scores higher than one without; ties count
    half. It is computed from histograms of the logits in `bins` equal steps from -16 to 16, so that
    it needs no list of all scores; scores within one bin count as ties. Steps of the logit, unlike
    steps of the probability, keep apart the small probabilities of a rare action unit.

    Args:
        n_au: Number of action units, the last axis of labels and predictions.
        from_logits: Whether predictions are logits; by default they are probabilities.
        bins: Number of bins of the histograms.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; counts are float32 whatever the model's precision.
    """

    def __init__(self, n_au, from_logits=False, bins=1024, name="auc", dtype=None):
        super().__init__(n_au, from_logits=from_logits, name=name, dtype=dtype)
        if bins < 2:
            raise ValueError(f"`bins` must be at least 2. Received: bins={bins}")
        self.bins = bins
        self.histograms = self._add_counts((2, n_au, bins), "histograms")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, predictions, weights = self._prepare(y_true, y_pred, sample_weight)
        logits = predictions if self.from_logits else ops.log(predictions) - ops.log1p(-predictions)
        position = (ops.clip(logits, -_LOGIT_RANGE, _LOGIT_RANGE) / _LOGIT_RANGE + 1.0) / 2.0
        bins = ops.minimum(ops.cast(position * self.bins, "int32"), self.bins - 1)
        present = ops.cast(labels > 0.5, "int32")
        units = ops.arange(self.n_au, dtype="int32")
        cells = (present * self.n_au + units) * self.bins + bins  # index into the flat histograms
        counts = ops.segment_sum(
            ops.reshape(weights, (-1,)),
            ops.reshape(cells, (-1,)),
            num_segments=2 * self.n_au * self.bins,
        )
        self.histograms.assign_add(ops.reshape(counts, (2, self.n_au, self.bins)))

    def action_unit_results(self):
        histograms = ops.convert_to_tensor(self.histograms)
        # As shares of one: sums of millions of pairs would lose their last digits in float32.
        shares = histograms / ops.sum(histograms, axis=-1, keepdims=True)  # 0 / 0 is NaN
        absent, present = shares[0], shares[1]
        below = ops.cumsum(absent, axis=-1) - absent
        return ops.sum(present * (below + 0.5 * absent), axis=-1)

    def get_config(self):
        return {**super().get_config(), "bins": self.bins}


def action_unit_scores(labels, probabilities, threshold=0.5):
    """F1, accuracy and exact AUC of each action unit, over a whole set at once.

    Args:
        labels: NumPy array (n, n_au); 1 present, 0 absent, NaN not coded.
        probabilities: NumPy array (n, n_au) in [0, 1].
        threshold: An action unit is predicted present where its probability is at least this.

    Returns:
        Dict of (n_au,) float64 arrays `f1`, `accuracy`, `auc`. An action unit that is never known
        is NaN in all three, one whose known labels are all equal is NaN in `auc`; one that is
        known, never present and never predicted has F1 0.0. `mean_scores` leaves NaN out.

    Raises:
        ValueError: If the two arrays are not matrices of one shape.
    """
    labels = np.asarray(labels, dtype=np.float64)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if labels.ndim != 2 or labels.shape != probabilities.shape:
        raise ValueError(
            "`labels` and `probabilities` must both have shape (n, n_au). "
            f"Received: shapes {labels.shape} and {probabilities.shape}"
        )
    scores = {name: np.full(labels.shape[1], np.nan) for name in ("f1", "accuracy", "auc")}
    for unit in range(labels.shape[1]):
        known = ~np.isnan(labels[:, unit])
        if not known.any():
            continue
        present, probability = labels[known, unit] > 0.5, probabilities[known, unit]
        predicted = probability >= threshold
        hits, errors = np.sum(present & predicted), np.sum(present != predicted)
        scores["f1"][unit] = 2 * hits / (2 * hits + errors) if hits else 0.0
        scores["accuracy"][unit] = np.mean(present == predicted)
        scores["auc"][unit] = _area_under_roc(present, probability)
    return scores


def mean_scores(scores):
    """The average of each score over the action units for which it is defined.

    Args:
        scores: What `action_unit_scores` returns.

    Returns:
        Dict of floats with the same keys; NaN for a score that no action unit has.
    """
    return {name: float(mean_of_defined(values)) for name, values in scores.items()}


def mean_of_defined(values, axis=None):
    """The mean of what is not NaN; NaN, without a warning, where nothing is left.

    Args:
        values: Array of numbers.
        axis: Axis to average over; None for all.

    Returns:
        float64 array without that axis.
    """
    values = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(values)
    count = defined.sum(axis=axis)
    total = np.where(defined, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def psnr(a, b):
    """Peak signal to noise ratio of each image, in decibels.

    Args:
        a: (batch, height, width, channels), float in [0, 1].
        b: The images to compare with, of the same shape.

    Returns:
        (batch,) float32: `-10 log10(mean squared difference)`; infinite for equal images.

    Raises:
        ValueError: If the images are not float or their shapes differ.
    """
    a, b = _image_pair(a, b)
    return -10.0 * ops.log10(ops.mean(ops.square(a - b), axis=(1, 2, 3)))


def ssim(a, b):
    """Structural similarity of each image (reference 1), in [-1, 1]; 1 for equal images.

    As in the reference and in `tf.image.ssim`: an 11x11 Gaussian window with sigma 1.5 that stays
    inside the image, K1 = 0.01, K2 = 0.03; the mean over positions and channels.

    Args:
        a: (batch, height, width, channels), float in [0, 1], height and width at least 11.
        b: The images to compare with, of the same shape.

    Returns:
        (batch,) float32.

    Raises:
        ValueError: If the images are not float, their shapes differ, or they are smaller than the
            window.
    """
    a, b = _image_pair(a, b)
    if any(isinstance(n, int) and n < _WINDOW for n in a.shape[1:3]):
        raise ValueError(
            f"`a` and `b` must be at least {_WINDOW} pixels high and wide. "
            f"Received: shape {tuple(a.shape)}"
        )
    mean_a, mean_b = _blur(a), _blur(b)
    squares = _blur(a * a + b * b) - mean_a * mean_a - mean_b * mean_b  # var(a) + var(b)
    products = _blur(a * b) - mean_a * mean_b  # cov(a, b)
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2.0 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    structure = (2.0 * products + c2) / (squares + c2)
    return ops.mean(luminance * structure, axis=(1, 2, 3))


_WINDOW, _SIGMA = 11, 1.5
_LOGIT_RANGE = 16.0  # sigmoid(16) is one float32 step below 1
_SMALLEST = float(np.finfo(np.float32).tiny)


def _logit(probability):
    return np.log(probability) - np.log1p(-probability)


def _area_under_roc(present, probability):
    """Mann-Whitney's statistic: the share of (present, absent) pairs in order, ties half."""
    n_present, n_absent = int(present.sum()), int((~present).sum())
    if not n_present or not n_absent:
        return np.nan
    _, inverse, counts = np.unique(probability, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]  # from 1; ties share their mean rank
    return (ranks[present].sum() - n_present * (n_present + 1) / 2.0) / (n_present * n_absent)


def _image_pair(a, b):
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    for name, images in (("a", a), ("b", b)):
        if not keras.backend.is_float_dtype(images.dtype) or len(images.shape) != 4:
            raise ValueError(
                f"`{name}` must be float images (batch, height, width, channels) in [0, 1]. "
                f"Received: {keras.backend.standardize_dtype(images.dtype)} "
                f"of shape {tuple(images.shape)}"
            )
    known = zip(a.shape, b.shape, strict=True)
    if any(m != n for m, n in known if m is not None and n is not None):
        raise ValueError(
            f"`a` and `b` must have one shape. Received: {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return ops.cast(a, "float32"), ops.cast(b, "float32")


@functools.cache
def _gaussian():
    offsets = np.arange(_WINDOW) - (_WINDOW - 1) / 2
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _blur(images):
    """Gaussian window at every place where it lies inside the image: H x W becomes H-10 x W-10."""
    # The window is separable: 22 products a pixel in place of 121.
    channels = images.shape[-1]
    down = np.tile(_gaussian().reshape(_WINDOW, 1, 1, 1), (1, 1, channels, 1))
    images = ops.depthwise_conv(images, down, padding="valid")
    return ops.depthwise_conv(images, down.transpose(1, 0, 2, 3), padding="valid")
