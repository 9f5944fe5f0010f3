"""How well faces are recognized and regenerated, in numbers: what the tables are made of.

**Recognition.** FER-Net's own answer (the CNN baseline) and that of Eq. 8 (IA-gen), on the same
faces.

**Regenerated faces.** Each is looked at in two ways that have nothing to do with each other:

- *Expression*: FER-Net's answer to it, beside the class it was made for. A generator that gives
  faces back unchanged reaches chance, 1 / classes, where classes have as many faces.
- *Person*: the distance to a person is the mean, over that person's peaks of the test set, of the
  root mean squared difference of the pixels. Hair, light and background take part in it. `nearest`
  is the share of regenerated faces that are nearest to their own person of all in the test set,
  `nearer` the share of pairs (regenerated face, other person) of which the own person is nearer;
  chance is 1 / persons, and 1/2.

`psnr` is to the real peak of the class by the same person, where there is one and the face that was
given is not it; `psnr_input` that of the given face, what giving it back would have reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from keras import ops
from tqdm import tqdm

from tfface.confusion import Confusion, accuracy_over, total
from tfface.metrics import mean_of_defined, psnr
from tfface.regeneration.features import nearest_expression
from tfface.scores import without_nan

METHODS = ("cnn", "ia_gen")
"""FER-Net by itself, and the nearest regenerated face."""

_LOOKED_AT = 8  # faces that are kept to be drawn


@dataclass(frozen=True)
class Examined:
    """What one run reached, on one fold or on several.

    Args:
        cnn: A Confusion a fold, of FER-Net.
        ia_gen: A Confusion a fold, of Eq. 8; none where no faces were regenerated.
        regenerated: A Confusion a fold: rows the class a face was regenerated for, columns
            FER-Net's answer to it.
        figures: Means over folds by name: `nearest`, `nearer`, `persons`, `psnr`, `psnr_input`; NaN
            where there is no value, none where no faces were regenerated.
        examples: A few faces to be drawn, each a dict of `face` (H, W, C), `regenerated` and
            `target` (classes, H, W, C), `known` (classes,), `distances` (classes,), `label` and
            `subject`.
    """

    cnn: Sequence[Confusion]
    ia_gen: Sequence[Confusion] = ()
    regenerated: Sequence[Confusion] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    examples: Sequence[Mapping] = ()

    def __post_init__(self):
        total([*self.cnn, *self.ia_gen, *self.regenerated])

    @property
    def classes(self):
        """Names of the classes."""
        return self.cnn[0].classes

    @property
    def faces(self):
        """How many faces were examined, of all folds together."""
        return total(self.cnn).faces

    @property
    def methods(self):
        """Those of `METHODS` that answered."""
        return [method for method in METHODS if getattr(self, method)]

    def accuracy(self, of):
        """Mean and spread over folds of the accuracy of "cnn", "ia_gen" or "regenerated"."""
        return accuracy_over(getattr(self, of)) if getattr(self, of) else (np.nan, np.nan)

    def metrics(self):
        """The figures as `summary.json` holds them, None where one has no value."""
        figures = {"accuracy": {}, "accuracy_spread": {}, "balanced_accuracy": {}, "per_class": {}}
        for method in METHODS:
            mean, spread = self.accuracy(method)
            figures["accuracy"][method] = without_nan(mean)
            figures["accuracy_spread"][method] = without_nan(spread)
        for method in self.methods:
            confusion = total(getattr(self, method))
            figures["balanced_accuracy"][method] = without_nan(confusion.balanced_accuracy)
            figures["per_class"][method] = {
                name: dict(zip(self.classes, without_nan(getattr(confusion, name)), strict=True))
                for name in ("precision", "recall", "f1")
            }
        if self.regenerated:
            recall = total(self.regenerated).recall
            figures["regenerated"] = {
                "as_intended": without_nan(self.accuracy("regenerated")[0]),
                "as_intended_per_class": dict(zip(self.classes, without_nan(recall), strict=True)),
                "chance": 1 / len(self.classes),
                **{name: without_nan(value) for name, value in self.figures.items()},
            }
        return figures

    def to_dict(self):
        """As JSON holds it, None in the place of NaN; without what is drawn."""
        return {
            **{
                of: [c.to_dict() for c in getattr(self, of)]
                for of in ("cnn", "ia_gen", "regenerated")
            },
            "figures": {name: without_nan(value) for name, value in self.figures.items()},
        }

    @classmethod
    def from_dict(cls, content):
        """What `to_dict` was called on, without what is drawn.

        Raises:
            KeyError: If a part is missing.
        """
        confusions = [
            [Confusion.from_dict(c) for c in content[of]] for of in ("cnn", "ia_gen", "regenerated")
        ]
        figures = {name: float(np.float64(v)) for name, v in content["figures"].items()}
        return cls(*confusions, figures)


def average(examined: Sequence[Examined]):
    """What several folds show together: all confusions, and the mean of each figure over folds.

    Args:
        examined: Examined of the same classes and figures, one a fold.

    Returns:
        Examined, without examples if there are several.

    Raises:
        ValueError: If there are none, or they are not of the same classes and figures.
    """
    kinds = list(dict.fromkeys((one.classes, tuple(one.figures)) for one in examined))
    if len(kinds) != 1:
        raise ValueError(
            "`examined`, at least one, must all be of the same classes and figures. "
            f"Received: {kinds}"
        )
    if len(examined) == 1:
        return examined[0]
    return Examined(
        [fold for one in examined for fold in one.cnn],
        [fold for one in examined for fold in one.ia_gen],
        [fold for one in examined for fold in one.regenerated],
        {
            name: float(mean_of_defined([one.figures[name] for one in examined]))
            for name in examined[0].figures
        },
    )


def examine_classifier(classifier, batches):
    """FER-Net's answers alone.

    Args:
        classifier: FerNet.
        batches: Finite `tf.data.Dataset` of dicts with `face` and `label`.

    Returns:
        Examined.

    Raises:
        ValueError: If there is no face.
    """
    look = tf.function(lambda faces: ops.argmax(classifier(faces, training=False), axis=-1))
    found = [(batch["label"].numpy(), look(batch["face"]).numpy()) for batch in batches]
    if not found:
        raise ValueError("`batches` must hold at least one face. Received: none")
    labels, answers = map(np.concatenate, zip(*found, strict=True))
    return Examined([Confusion.of(classifier.classes, labels, answers)])


def examine(regenerator, batches):
    """Recognizes all test faces in both ways, and looks at what is regenerated of them.

    The data are gone through twice: first for the people's peaks, which all regenerated faces are
    compared with.

    Args:
        regenerator: ExpressionRegenerator.
        batches: Finite `tf.data.Dataset` of test faces (`regeneration.data.evaluation_batches`).

    Returns:
        Examined, with examples.

    Raises:
        ValueError: If there is no face.
    """
    people = _People(batches)
    classes = regenerator.classes
    look = _look(regenerator, batches.element_spec, people.peaks)
    columns, examples = {}, _Examples(len(classes))
    for batch in tqdm(batches, desc="evaluation", unit="batch", disable=None):
        values, faces = look(batch)
        squared = values.pop("squared").numpy()
        values = {name: value.numpy() for name, value in values.items()}
        values |= people.compared(squared, batch["subject"].numpy())
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
        examples.add(batch, faces)
    columns = {name: np.concatenate(values) for name, values in columns.items()}
    labels, made_for = columns["label"], np.tile(np.arange(len(classes)), len(columns["label"]))
    figures = ("nearest", "nearer", "psnr", "psnr_input")
    means = {name: float(mean_of_defined(columns[name])) for name in figures}
    return Examined(
        [Confusion.of(classes, labels, columns["cnn"])],
        [Confusion.of(classes, labels, columns["ia_gen"])],
        [Confusion.of(classes, made_for, columns["regenerated"].ravel())],
        {**means, "persons": float(people.count)},
        examples.chosen(),
    )


class _People:
    """The peaks of all people of a test set, as rows of pixels."""

    def __init__(self, batches):
        peaks = {}
        for batch in batches:
            arrays = (batch[name].numpy() for name in ("subject", "target", "known"))
            for subject, target, known in zip(*arrays, strict=True):
                if subject not in peaks:
                    peaks[subject] = target[known > 0].reshape(int(known.sum()), -1)
        if not peaks:
            raise ValueError("`batches` must hold at least one face. Received: none")
        self.count = len(peaks)
        self.peaks = np.concatenate(list(peaks.values()))
        self._number = {subject: i for i, subject in enumerate(peaks)}
        self._first = np.cumsum([0, *(len(rows) for rows in peaks.values())])[:-1]
        self._sizes = np.array([len(rows) for rows in peaks.values()])

    def compared(self, squared, subjects):
        """Whether faces are nearest to their own person, and to how many others nearer.

        Args:
            squared: (b, classes, peaks) mean squared differences.
            subjects: (b,) whose faces they are.
        """
        distances = np.sqrt(np.maximum(squared.astype(np.float64), 0))
        distances = np.add.reduceat(distances, self._first, axis=-1) / self._sizes
        number = np.array([self._number[subject] for subject in subjects])
        own = distances[np.arange(len(number)), :, number][..., None]
        others = self.count - 1
        nearer = np.sum(distances > own, axis=-1)
        if not others:
            nothing = np.full(nearer.shape, np.nan)
            return {"nearest": nothing, "nearer": nothing}
        return {"nearest": (nearer == others).astype(np.float64), "nearer": nearer / others}


class _Examples:
    """Faces to be drawn: of each class one, and each of another person as far as there are any."""

    def __init__(self, classes):
        self._classes, self._new, self._first, self._people = classes, {}, {}, set()

    def add(self, batch, faces):
        labels, subjects = batch["label"].numpy(), batch["subject"].numpy()
        for i, (label, subject) in enumerate(zip(labels, subjects, strict=True)):
            new = label not in self._new and subject not in self._people
            if not new and label in self._first:
                continue
            kept = {name: values[i].numpy() for name, values in faces.items()}
            kept |= {name: batch[name][i].numpy() for name in ("face", "target", "known")}
            kept |= {"label": int(label), "subject": subject.decode()}
            self._first.setdefault(label, kept)
            if new:
                self._new[label] = kept
                self._people.add(subject)

    def chosen(self):
        """The examples, by class."""
        return [face for _, face in sorted((self._first | self._new).items())][:_LOOKED_AT]


def _look(regenerator, spec, peaks):
    """A traced function of a batch: values of each face, and what may be drawn."""
    classifier, count = regenerator.classifier, len(regenerator.classes)
    peaks = tf.constant(peaks)
    lengths = tf.reduce_sum(tf.square(peaks), axis=-1)

    @tf.function(input_signature=[spec])  # one for all batches, the last and smaller one too
    def look(batch):
        face, target = batch["face"], batch["target"]
        made = regenerator(face, training=False)
        regenerated = made["regenerated"]
        flat = tf.reshape(regenerated, (-1, *regenerated.shape[2:]))
        answers = ops.argmax(classifier(flat, training=False), axis=-1)
        rows = tf.reshape(flat, (-1, peaks.shape[-1]))
        squared = tf.reduce_sum(tf.square(rows), axis=-1, keepdims=True) + lengths
        squared = (squared - 2 * tf.matmul(rows, peaks, transpose_b=True)) / rows.shape[-1]
        targets = tf.reshape(target, (-1, *target.shape[2:]))
        ratios = {
            "psnr": psnr(targets, flat),
            "psnr_input": psnr(targets, tf.repeat(face, count, axis=0)),
        }
        # A face that is itself the peak has nothing to be regenerated.
        compared = (tf.reshape(batch["known"], (-1,)) > 0) & tf.math.is_finite(ratios["psnr_input"])
        values = {
            "label": batch["label"],
            "cnn": ops.argmax(made["logits"], axis=-1),
            "ia_gen": nearest_expression(made["distances"]),
            "regenerated": tf.reshape(answers, (-1, count)),
            "squared": tf.reshape(squared, (-1, count, peaks.shape[0])),
            **{name: tf.where(compared, value, np.nan) for name, value in ratios.items()},
        }
        return values, {"regenerated": regenerated, "distances": made["distances"]}

    return look
