"""The recognition paper's tables and pictures: how well action units are recognized in test faces.

What the figures mean is said in `tfface/scores.py`, where they are computed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.manifold import TSNE
from tqdm import tqdm

from tfface.atomic import written_aside
from tfface.metrics import mean_of_defined
from tfface.plots.bars import paired_bars, score_bars
from tfface.plots.charts import curves
from tfface.plots.embeddings import embedding
from tfface.plots.faces import face_bars
from tfface.plots.matrices import difference_matrices
from tfface.recognition.data import columns_of
from tfface.scores import Predictions, Scores, shared_action_units, without_nan
from tfface.tables import markdown, write_table

TITLES = {
    "ours": "Ours",
    "o_wlc": "O-wlc",
    "ground_truth": "Ground truth",
    "best_constant": "Best constant answer",
}
"""How each method is called in tables and pictures."""


def predict(recognizer, batches, action_units):
    """Recognizes every test face.

    Args:
        recognizer: ActionUnitRecognizer.
        batches: Finite `tf.data.Dataset` of dicts with `face`, `au` and `subject`
            (`recognition.data.evaluation_transform`).
        action_units: AUs of the columns of `au`.

    Returns:
        Predictions of the AUs that both know, in the recognizer's order.

    Raises:
        ValueError: If no AU is known to both.
    """
    known = list(recognizer.action_units)
    common = [number for number in known if number in action_units]
    if not common:
        raise ValueError(
            f"`action_units` must have at least one of the recognizer's, {known}. "
            f"Received: {list(action_units)}"
        )

    # One signature for every batch, the last and smaller one too: the network is traced once.
    @tf.function(input_signature=[tf.TensorSpec(recognizer.inputs[0].shape, tf.float32)])
    def recognize(faces):
        return keras.ops.sigmoid(recognizer(faces, training=False))

    labels, probabilities, subjects = [], [], []
    for batch in tqdm(batches, desc="evaluation", unit="batch", disable=None):
        probabilities.append(recognize(batch["face"]).numpy())
        labels.append(batch["au"].numpy())
        subjects += [subject.decode() for subject in batch["subject"].numpy()]
    return Predictions(
        tuple(common),
        columns_of(np.concatenate(labels), action_units, common),
        columns_of(np.concatenate(probabilities), known, common),
        np.array(subjects),
    )


@dataclass(frozen=True)
class Evaluation:
    """What one method or several reached on the same test faces.

    Args:
        scores: By method, Scores.

    Raises:
        ValueError: If there are none, or their AUs differ.
    """

    scores: Mapping[str, Scores]

    def __post_init__(self):
        shared_action_units(self.scores.values())

    def metrics(self):
        """The figures as `summary.json` holds them, None where one has no value."""

        def in_full(scores, figure):
            values = zip(scores.action_units, without_nan(getattr(scores, figure)), strict=True)
            per_au = {str(number): value for number, value in values}
            return {"mean": without_nan(scores.mean(figure)), "per_au": per_au}

        figures = {
            figure: {method: in_full(scores, figure) for method, scores in self.scores.items()}
            for figure in ("f1", "auc", "accuracy")
        }
        for figure in ("marginal_difference", "conditional_difference"):
            means = {method: scores.mean(figure) for method, scores in self.scores.items()}
            figures[figure] = {method: without_nan(mean) for method, mean in means.items()}
        return figures | {"best_constant_f1": in_full(self._first, "best_constant_f1")}

    def lines(self):
        """The table of averages as lines of text, for the terminal."""
        rows = [
            [_title(method), *(_show_mean(scores, figure) for figure in _HEADINGS)]
            for method, scores in self.scores.items()
        ]
        constant = [_show_mean(self._first, "best_constant_f1")]
        rows.append([TITLES["best_constant"], *constant, *["-"] * (len(_HEADINGS) - 1)])
        return markdown(["method", *_HEADINGS.values()], rows)

    def write(self, folder):
        """Writes tables (csv, md), pictures (png) and every figure (json) into `folder`.

        `scores` are Tables 1 to 3, `marginals` and `marginal_differences` Fig. 5,
        `conditional_differences` Fig. 6.
        """
        folder = Path(folder)
        names = [f"AU{number}" for number in self._first.action_units]
        write_table(folder / "scores", *self._score_table())
        write_table(folder / "marginals", *self._marginal_table())
        write_table(folder / "conditional_differences", *self._conditional_table())
        constant = {TITLES["best_constant"]: self._first.best_constant_f1}
        score_bars(
            names,
            self._columns("f1") | constant,
            folder / "f1.png",
            title="F1 of each action unit on test faces",
            y_label="F1",
        )
        # The truth comes last, so that methods have the same colors in all pictures.
        truth = {TITLES["ground_truth"]: self._first.marginal_truth}
        paired_bars(
            names,
            self._columns("marginal") | truth,
            folder / "marginals.png",
            title="How often each action unit is present in test faces",
            y_label="share of faces",
        )
        paired_bars(
            names,
            self._columns("marginal_difference"),
            folder / "marginal_differences.png",
            title="Difference from how often each action unit is truly present",
            y_label="absolute difference of shares",
            average=True,
        )
        difference_matrices(
            self._columns("conditional_difference"),
            names,
            folder / "conditional_differences.png",
            title="Difference from how often action unit i is truly present where j is",
        )
        with written_aside(folder / "scores.json") as aside:
            content = {"scores": {m: scores.to_dict() for m, scores in self.scores.items()}}
            aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    @property
    def _first(self):
        """Any of the scores, for what is of the faces and the same in all."""
        return next(iter(self.scores.values()))

    def _columns(self, figure):
        return {_title(method): getattr(scores, figure) for method, scores in self.scores.items()}

    def _score_table(self):
        columns = {
            f"{_HEADINGS[figure]} {title}": values
            for figure in ("f1", "auc", "accuracy")
            for title, values in self._columns(figure).items()
        }
        return self._table(columns | {"F1 best constant": self._first.best_constant_f1})

    def _marginal_table(self):
        differences = self._columns("marginal_difference")
        return self._table(
            {TITLES["ground_truth"]: self._first.marginal_truth}
            | self._columns("marginal")
            | {f"difference {title}": values for title, values in differences.items()}
        )

    def _table(self, columns):
        """A row for each AU and one for their average."""
        rows = [
            [str(number), *(_show(values[i]) for values in columns.values())]
            for i, number in enumerate(self._first.action_units)
        ]
        rows.append(["Avg", *(_show(mean_of_defined(values)) for values in columns.values())])
        return ["AU", *columns], rows

    def _conditional_table(self):
        names = [f"AU{number}" for number in self._first.action_units]
        rows = [
            [title, name, *map(_show, row)]
            for title, matrix in self._columns("conditional_difference").items()
            for name, row in zip(names, matrix, strict=True)
        ]
        return ["method", "i", *(f"j = {name}" for name in names)], rows


def write_curve(folder, name, x_label, points):
    """Writes scores against what was varied, one line a method: Figs. 4 and 7.

    The picture is of F1, the table of all averages. The picture's x axis is logarithmic where the
    largest x is at least 50 times the smallest above 0, as are values of alpha.

    Args:
        folder: Where to write.
        name: Of the files `<name>.csv`, `<name>.md` and `<name>.png`.
        x_label: What was varied.
        points: By method and x, list of Scores: one a fold or run, or their average alone.
    """
    xs = sorted({x for by_x in points.values() for x in by_x})
    rows = []
    for x in xs:
        for method, by_x in points.items():
            if x in by_x:
                means = [
                    mean_of_defined([scores.mean(figure) for scores in by_x[x]])
                    for figure in _HEADINGS
                ]
                rows.append([f"{x:g}", _title(method), *map(_show, means)])
    write_table(Path(folder) / name, [x_label, "method", *_HEADINGS.values()], rows)
    f1 = {}
    for method, by_x in points.items():
        runs = max(map(len, by_x.values()))
        f1[_title(method)] = np.full((runs, len(xs)), np.nan)
        for x, scores in by_x.items():
            f1[_title(method)][: len(scores), xs.index(x)] = [part.mean("f1") for part in scores]
    positive = [x for x in xs if x > 0]
    curves(
        xs,
        f1,
        Path(folder) / f"{name}.png",
        x_label,
        "F1, mean over action units",
        log_x=len(positive) > 1 and positive[-1] >= 50 * positive[0],
    )


def draw_embedding(recognizer, batches, path, faces=300, seed=0):
    """Draws test faces in the plane, those of a subject in one color (Fig. 8).

    t-SNE of the faces' pixels (choice: grey, 32x32) beside t-SNE of the features that the last
    layer decides by: where subjects blend, features tell little of who it is. The same faces and
    features give the same picture. Where there are too few faces it says so and draws none.

    Args:
        recognizer: ActionUnitRecognizer.
        batches: As in `predict`.
        path: PNG to write.
        faces: Most faces to draw; of more, a seeded draw from all.
        seed: Which draw, and where t-SNE begins.
    """
    images, subjects = _drawn(batches, faces, seed)
    if len(images) < _FEWEST_FACES:
        print(f"no embedding is drawn: it needs {_FEWEST_FACES} faces, there are {len(images)}")
        return
    network = recognizer.with_features()
    pixels, features = [], []
    for start in range(0, len(images), 32):
        part = images[start : start + 32].astype(np.float32) / 255
        features.append(network(part, training=False)[1].numpy())
        grey = tf.image.rgb_to_grayscale(part)
        pixels.append(tf.image.resize(grey, (32, 32), method="area").numpy().reshape(len(part), -1))
    embedding(
        {
            "pixels": _in_the_plane(np.concatenate(pixels), seed),
            "features of the recognizer": _in_the_plane(np.concatenate(features), seed),
        },
        subjects,
        path,
        title=f"{len(images)} test faces by subject",
    )


def draw_sample(model, path, batch, action_units):
    """Draws up to six unseen faces with the probability of each AU as the recognizer sees it now.

    Args:
        model: AdversarialAURecognizer.
        path: PNG to write.
        batch: Dict with `face` and `au` (`recognition.data.evaluation_transform`).
        action_units: AUs of the columns of `au`.
    """
    known = model.recognizer.action_units
    images = np.asarray(batch["face"][:6])
    probabilities = keras.ops.sigmoid(model.recognizer(images, training=False)).numpy()
    labels = columns_of(np.asarray(batch["au"][:6]), action_units, known)
    marks = np.where(np.isnan(labels), " ?", np.where(labels > 0.5, " \N{BULLET}", "   "))
    face_bars(
        [
            (image, {f"AU{n}{mark}": p for n, mark, p in zip(known, row, bars, strict=True)}, None)
            for image, row, bars in zip(images, marks, probabilities, strict=True)
        ],
        path,
        title="Unseen faces, and what is seen in them (\N{BULLET} truly present, ? not known)",
    )


_HEADINGS = {
    "f1": "F1",
    "auc": "AUC",
    "accuracy": "accuracy",
    "marginal_difference": "marginal difference",
    "conditional_difference": "conditional difference",
}
_FEWEST_FACES = 5


def _drawn(batches, count, seed):
    """Up to `count` faces, each of all with the same chance: (n, H, W, 3) uint8, and subjects."""
    rng = np.random.default_rng(seed)
    kept, seen = [], 0
    for batch in batches:
        images = np.rint(255 * batch["face"].numpy()).astype(np.uint8)
        for image, subject in zip(images, batch["subject"].numpy(), strict=True):
            # The face number `seen` belongs to a draw of `count` from those so far with chance
            # count / (seen + 1), and then takes the place of any.
            place = seen if seen < count else rng.integers(seen + 1)
            if place < count:
                kept[place : place + 1] = [(image.copy(), subject.decode())]
            seen += 1
    images, subjects = zip(*kept, strict=True) if kept else ((), ())
    return np.array(images), list(subjects)


def _in_the_plane(vectors, seed):
    """(n, d) -> (n, 2) by t-SNE, in the exact form, which takes seconds for hundreds of faces."""
    if not np.ptp(vectors, axis=0).any():
        return np.zeros((len(vectors), 2))  # all in one place, of which t-SNE makes NaN
    perplexity = min(30.0, (len(vectors) - 1) / 3)  # a face has to have three times as many others
    tsne = TSNE(perplexity=perplexity, init="pca", method="exact", random_state=seed)
    return tsne.fit_transform(vectors.astype(np.float64))


def _title(method):
    return TITLES.get(method, method)


def _show(value):
    return "-" if np.isnan(value) else f"{value:.3f}"


def _show_mean(scores, figure):
    """An average, and of how many values it is if that is not all."""
    count, of = scores.defined(figure)
    return _show(scores.mean(figure)) + (f" ({count} of {of})" if count < of else "")
