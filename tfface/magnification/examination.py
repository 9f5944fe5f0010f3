"""How well weak faces are magnified and recognized, in numbers: what the tables are made of.

**Recognition.** The same classifier reads the weak face as it is and the magnified one, so that
what magnifying gains is told from what the classifier knows.

**Distance** to the real peak, of the weak and of the magnified face: PSNR, the mean over faces (a
face equal to its peak has none), and the norm of the difference of the classifier's 256 features
(Eq. 20), the mean over faces.

**Heat** (Eq. 22): the squared change of each pixel, from 0 to 3. Of the magnified and of the real
peak over the person's neutral face, or over the weak one where there is no neutral, as Fig. 5 shows
it. Heads move between frames of a sequence, which is hot as well, so two more say what the model
itself does: the magnified face over the weak one that it was made of, and what is made of the
neutral face over that face, where nothing should change. Means are over the faces of a class and,
in a part of the face, over its pixels.

**Lit features** (Fig. 4): the share of the classifier's features that differ between two faces of
one class, see `examples.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from keras import ops
from tqdm import tqdm

from tfface.confusion import Confusion, accuracy_over, total
from tfface.facs.parts import part_masks
from tfface.magnification.examples import ExampleDraw, lit_share
from tfface.metrics import mean_of_defined, psnr
from tfface.scores import without_nan

WHOLE = "whole"
"""What the mean over the whole picture is called among the parts of the face."""

HEATS = ("magnified", "peak", "change", "neutral")
"""Heat of the magnified and of the real peak over the neutral face (or the weak one), of the
magnified face over the weak one, and of the magnified neutral face over the neutral one."""


@dataclass(frozen=True)
class Pictures:
    """What is kept of test faces to be looked at.

    Args:
        examples: For each class a list of drawn faces, each a dict of `weak`, `peak`, `magnified`
            and `base` (H, W, 3) float32 in [0, 1] (`base` is what heat is measured from) and the
            classifier's features `weak_feature` and `magnified_feature` (256,).
        heat: By each of `HEATS`, mean heat maps (classes, H, W).
        base: (H, W, 3) the mean of what heat is measured from.
        neutral: Whether that is neutral faces; else weak ones.
    """

    examples: Sequence[Sequence[Mapping[str, np.ndarray]]]
    heat: Mapping[str, np.ndarray]
    base: np.ndarray
    neutral: bool


@dataclass(frozen=True)
class Examined:
    """What one mode reached, on one fold or on several.

    Args:
        magnified: A Confusion a fold, of the classifier on the magnified faces.
        weak: A Confusion a fold, of the same classifier on the weak faces themselves.
        figures: Means over faces, then over folds, by name: `psnr` (dB), `feature_distance` (Eq.
            20) and `lit` (share) of the magnified faces, and each with `_weak` of the weak ones.
            NaN where there is no value.
        parts: Names of what heat is averaged over: "whole", and perhaps the parts of the face.
        heat: By each of `HEATS`, (classes, parts) mean heat, NaN where there is none: in the mode
            "cnn", in which nothing is magnified, and for the last where no face is neutral.
        pictures: Pictures, or None where they were not kept.

    Raises:
        ValueError: If there is no fold, or the classes of folds differ.
    """

    magnified: Sequence[Confusion]
    weak: Sequence[Confusion]
    figures: Mapping[str, float]
    parts: Sequence[str]
    heat: Mapping[str, np.ndarray]
    pictures: Pictures | None = None

    def __post_init__(self):
        total([*self.magnified, *self.weak])

    @property
    def classes(self):
        """Names of the classes."""
        return self.magnified[0].classes

    @property
    def faces(self):
        """How many weak faces were examined, of all folds together."""
        return total(self.magnified).faces

    @property
    def magnifies(self):
        """Whether the mode makes faces at all; "cnn" does not."""
        return not np.isnan(self.heat["change"]).all()

    def accuracy(self, of="magnified"):
        """Mean and spread over folds of the accuracy on "magnified" or on "weak" faces."""
        return accuracy_over(getattr(self, of))

    def mean_heat(self, of, part=WHOLE):
        """Mean heat of one of `HEATS` over classes, each with the same weight."""
        return float(mean_of_defined(self.heat[of][:, self.parts.index(part)]))

    def to_dict(self):
        """As JSON holds it, None in the place of NaN; without pictures."""
        return {
            **{of: [c.to_dict() for c in getattr(self, of)] for of in ("magnified", "weak")},
            "figures": {name: without_nan(value) for name, value in self.figures.items()},
            "parts": list(self.parts),
            "heat": {of: without_nan(values) for of, values in self.heat.items()},
        }

    @classmethod
    def from_dict(cls, content):
        """What `to_dict` was called on, without pictures.

        Raises:
            KeyError: If a part is missing.
        """
        confusions = [[Confusion.from_dict(c) for c in content[of]] for of in ("magnified", "weak")]
        figures = {name: float(np.float64(v)) for name, v in content["figures"].items()}
        heat = {of: np.array(values, np.float64) for of, values in content["heat"].items()}
        return cls(*confusions, figures, list(content["parts"]), heat)


def average(examined: Sequence[Examined]):
    """What several folds show together: all confusions, and the mean of each figure over folds.

    A figure is averaged over the folds in which it is defined. Pictures are of a fold: of several
    folds there are none.

    Args:
        examined: Examined of the same classes and parts, one a fold.

    Returns:
        Examined.

    Raises:
        ValueError: If there are none, or they are not of the same classes and parts.
    """
    kinds = list(dict.fromkeys((one.classes, tuple(one.parts)) for one in examined))
    if len(kinds) != 1:
        raise ValueError(
            "`examined`, at least one, must all be of the same classes and parts. "
            f"Received: {kinds}"
        )
    first = examined[0]
    if len(examined) == 1:
        return first
    return Examined(
        [fold for one in examined for fold in one.magnified],
        [fold for one in examined for fold in one.weak],
        {n: float(mean_of_defined([one.figures[n] for one in examined])) for n in first.figures},
        first.parts,
        {of: mean_of_defined([one.heat[of] for one in examined], axis=0) for of in first.heat},
    )


def examine(magnifier, batches, parts=True, seed=0):
    """Magnifies and recognizes all test faces, in one pass, a batch at a time.

    Beside one batch it holds sums, a few numbers a face, and up to 16 drawn faces a class.

    Args:
        magnifier: ExpressionMagnifier of any mode.
        batches: Finite `tf.data.Dataset` of test pairs (`magnification.data.evaluation_batches`).
        parts: Whether heat is also averaged over parts of the face; False for pictures that are
            not aligned faces.
        seed: Which faces are drawn to be looked at; of the same batches the same in all modes.

    Returns:
        Examined, with pictures.

    Raises:
        ValueError: If there is no pair.
    """
    look = _look(magnifier, batches.element_spec)
    classes = magnifier.classes
    columns, sums, draw = {}, {}, ExampleDraw(len(classes), seed)
    for batch in tqdm(batches, desc="evaluation", unit="batch", disable=None):
        values, totals, faces = look(batch)
        for name, value in values.items():
            columns.setdefault(name, []).append(value.numpy())
        for name, value in totals.items():
            sums[name] = sums.get(name, 0.0) + value.numpy().astype(np.float64)
        draw.add(columns["label"][-1], faces)
    if not columns:
        raise ValueError("`batches` must hold at least one pair. Received: none")

    columns = {name: np.concatenate(values) for name, values in columns.items()}
    labels, answers, weak_answers = (columns.pop(n) for n in ("label", "answer", "answer_weak"))
    heat = _mean_heat(sums, np.bincount(labels, minlength=len(classes)))
    masks = _masks(magnifier, heat["peak"].shape[1:], parts)
    examples = draw.drawn()
    figures = {name: _mean_of_finite(values) for name, values in columns.items()}
    figures["lit"] = lit_share(examples, "magnified_feature")
    figures["lit_weak"] = lit_share(examples, "weak_feature")
    return Examined(
        [Confusion.of(classes, labels, answers)],
        [Confusion.of(classes, labels, weak_answers)],
        figures,
        tuple(masks),
        {
            of: np.stack([maps[:, mask].mean(axis=1) for mask in masks.values()], axis=1)
            for of, maps in heat.items()
        },
        Pictures(examples, heat, sums["base"] / len(labels), "neutral" in batches.element_spec),
    )


def heat_map(face, base):
    """Eq. 22: the squared difference of each pixel, summed over channels.

    Args:
        face: (..., H, W, 3) in [0, 1].
        base: What it is compared with, of the same shape.

    Returns:
        (..., H, W), from 0 to 3.
    """
    return ops.sum(ops.square(face - base), axis=-1)


def _look(magnifier, spec):
    """A traced function of a batch: values of each face, sums over all, and what may be drawn."""
    classifier, classes = magnifier.classifier.with_features(), len(magnifier.classes)
    magnifies = magnifier.generator is not None

    def magnify(faces):
        return magnifier(faces, training=False)["magnified"] if magnifies else faces

    @tf.function(input_signature=[spec])  # one for all batches, the last and smaller one too
    def look(batch):
        weak, peak, label = batch["weak"], batch["peak"], batch["label"]
        base, magnified = batch.get("neutral", weak), magnify(weak)
        (weak_logits, weak_feature), (logits, feature), (_, peak_feature) = (
            classifier(faces, training=False) for faces in (weak, magnified, peak)
        )
        values = {
            "label": label,
            "answer": ops.argmax(logits, axis=-1),
            "answer_weak": ops.argmax(weak_logits, axis=-1),
            "psnr": psnr(peak, magnified),
            "psnr_weak": psnr(peak, weak),
            "feature_distance": ops.norm(peak_feature - feature, axis=-1),  # Eq. 20
            "feature_distance_weak": ops.norm(peak_feature - weak_feature, axis=-1),
        }
        heat = {"peak": heat_map(peak, base)}
        if magnifies:
            heat |= {"magnified": heat_map(magnified, base), "change": heat_map(magnified, weak)}
            if "neutral" in batch:
                heat["neutral"] = heat_map(magnify(base), base)
        totals = {of: tf.math.unsorted_segment_sum(h, label, classes) for of, h in heat.items()}
        totals["base"] = ops.sum(base, axis=0)
        faces = {"weak": weak, "peak": peak, "magnified": magnified, "base": base}
        features = {"weak_feature": weak_feature, "magnified_feature": feature}
        return values, totals, {**faces, **features}

    return look


def _mean_heat(sums, faces):
    """By each of `HEATS`, (classes, H, W) means, NaN where there is nothing."""
    faces = np.where(faces > 0, faces, np.nan)[:, None, None]
    nothing = np.full_like(sums["peak"], np.nan)
    return {of: sums[of] / faces if of in sums else nothing for of in HEATS}


def _mean_of_finite(values):
    """A mean without the infinite PSNR of faces that are alike."""
    return float(mean_of_defined(np.where(np.isfinite(values), values, np.nan)))


def _masks(magnifier, shape, parts):
    """The whole picture, and the parts of the face in the middle that is cut out of it."""
    masks = {WHOLE: np.ones(shape, bool)}
    if parts:
        edge, side = (magnifier.aligned_size - magnifier.size) // 2, magnifier.size
        for name, mask in part_masks(magnifier.aligned_size).items():
            masks[name] = mask[edge : edge + side, edge : edge + side]
    return masks
