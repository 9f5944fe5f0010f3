"""The restoration paper's tables and pictures: how much of a face's expression comes back."""

import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfface.atomic import written_aside
from tfface.data.degradation import fill_hidden, upsample_bicubic
from tfface.metrics import action_unit_scores, mean_scores, psnr, ssim
from tfface.plots.bars import label_distribution, score_bars
from tfface.plots.images import image_grid
from tfface.tables import markdown, write_table

TITLES = {
    "input": "Input",
    "bicubic": "Bicubic",
    "bicubic_filled": "Bicubic, hole filled",
    "srgan": "SRGAN",
    "ours_minus": "Ours-",
    "ours": "Ours",
    "restored": "Restored",
    "ground_truth": "Ground truth",
}
"""How each method is called in tables and pictures."""


@dataclass(frozen=True)
class Evaluation:
    """What a set of methods reached on test faces.

    Args:
        action_units: The AUs that were scored; empty where the data or the classifier has none.
        scores: By method: `psnr` (dB), `ssim`, `f1` and `accuracy` (one figure an AU). The ground
            truth has no `psnr` and `ssim`.
        faces: How many faces were scored.
        rows: Faces to look at: by method (and "input") an array (n, H, W, 3).
    """

    action_units: tuple
    scores: dict
    faces: int
    rows: dict

    def metrics(self):
        """The averages by figure and method, as `summary.json` holds them."""
        averages = {
            method: mean_scores({figure: np.atleast_1d(v) for figure, v in score.items()})
            for method, score in self.scores.items()
        }
        figures = {}
        for figure in ("psnr", "ssim", "f1", "accuracy"):
            values = {m: average[figure] for m, average in averages.items() if figure in average}
            if values:
                figures[figure] = values
        return figures

    def write(self, folder):
        """Writes tables (csv, md), pictures (png) and every figure (json) into `folder`."""
        folder = Path(folder)
        write_table(folder / "quality", *self._quality_table())
        if self.action_units:
            write_table(folder / "action_units", *self._action_unit_table())
            methods = [method for method in self.scores]
            score_bars(
                [f"AU{number}" for number in self.action_units],
                {TITLES.get(m, m): self.scores[m]["f1"] for m in methods},
                folder / "action_units.png",
                title="F1 of each action unit on restored test faces",
            )
        columns = list(self.rows)
        image_grid(
            list(zip(*self.rows.values(), strict=True)),
            [TITLES.get(column, column) for column in columns],
            folder / "faces.png",
        )
        with written_aside(folder / "scores.json") as aside:
            plain = {
                method: {k: np.asarray(v).tolist() for k, v in score.items()}
                for method, score in self.scores.items()
            }
            content = {"faces": self.faces, "action_units": self.action_units, "scores": plain}
            aside.write_text(json.dumps(content, indent=2) + "\n")

    def quality_lines(self):
        """The table of averages as lines of text, for the terminal."""
        return markdown(*self._quality_table())

    def _quality_table(self):
        figures = self.metrics()
        header = ["method", *(_HEADINGS[figure] for figure in figures)]
        rows = [
            [TITLES.get(m, m), *(_show(values.get(m), f) for f, values in figures.items())]
            for m in self.scores
        ]
        return header, rows

    def _action_unit_table(self):
        methods = list(self.scores)
        header = ["AU"] + [
            f"{name} {TITLES.get(m, m)}" for name in ("F1", "accuracy") for m in methods
        ]
        columns = [self.scores[m][f] for f in ("f1", "accuracy") for m in methods]
        rows = [
            [str(number), *(_show(column[i], "f1") for column in columns)]
            for i, number in enumerate(self.action_units)
        ]
        averages = self.metrics()
        means = [averages[f][m] for f in ("f1", "accuracy") for m in methods]
        rows.append(["Avg", *(_show(mean, "f1") for mean in means)])
        return header, rows


def evaluate(generators, classifier, batches, count, action_units=(), pictures=6):
    """Restores every test face by every method and scores what comes out.

    AU scores are those of the frozen classifier, pooled over all faces and then averaged over AUs,
    as in Tables 1 and 2; PSNR and SSIM are means over faces, as in Table 3. Two methods need no
    training: bicubic up-sampling of the input as it is, and of the input whose hidden square was
    filled from its surroundings first, which is the fairer rival.

    Args:
        generators: By method, a RestorationGenerator.
        classifier: An ActionUnitClassifier, or None to leave AUs out.
        batches: Finite `tf.data.Dataset` of restoration batches.
        count: Faces in `batches`.
        action_units: AUs of the labels, in order; those that the classifier does not know are left
            out.
        pictures: Faces to keep for the picture, evenly spread.

    Returns:
        Evaluation.
    """
    methods = ["bicubic", "bicubic_filled", *generators, "ground_truth"]
    judged = () if classifier is None else tuple(classifier.action_units)
    common = tuple(number for number in action_units if number in judged)
    kept = set(np.linspace(0, count - 1, min(pictures, count)).round().astype(int).tolist())
    score = _scorer(generators, classifier if common else None)
    collected, labels, rows, seen = {m: [] for m in methods}, [], {}, 0
    for batch in tqdm(batches, desc="evaluation", unit="batch", disable=None):
        faces, figures = score(batch)
        for method in methods:
            collected[method].append({k: v.numpy() for k, v in figures[method].items()})
        labels.append(batch["au"].numpy())
        for i in range(len(labels[-1])):
            if seen + i in kept:
                for name, images in faces.items():
                    rows.setdefault(name, []).append(images[i].numpy())
        seen += len(labels[-1])
    labels = np.concatenate(labels)[:, [list(action_units).index(n) for n in common]]
    scores = {}
    for method, parts in collected.items():
        joined = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        scores[method] = {k: float(v.mean()) for k, v in joined.items() if k in ("psnr", "ssim")}
        if "probabilities" in joined:
            probabilities = joined["probabilities"][:, [judged.index(n) for n in common]]
            both = action_unit_scores(labels, probabilities)
            scores[method] |= {figure: both[figure] for figure in ("f1", "accuracy")}
    return Evaluation(
        common,
        scores,
        seen,
        {name: np.stack(images) for name, images in rows.items()},
    )


def draw_sample(model, path, batch):
    """Draws unseen faces as a restorer restores them now.

    Args:
        model: ExpressionRestorer.
        path: PNG to write.
        batch: A restoration batch.
    """
    restored = model.generator(model.generator_input(batch), training=False)
    scale = batch["face"].shape[1] // batch["low"].shape[1]
    columns = {
        "input": batch["low"],
        "bicubic": upsample_bicubic(batch["low"], scale),
        "restored": restored,
        "ground_truth": batch["face"],
    }
    rows = list(zip(*(np.asarray(images) for images in columns.values()), strict=True))
    image_grid(rows, [TITLES[name] for name in columns], path)


def draw_labels(source, fold, path):
    """Draws how often each AU is present in training and in test (Fig. 4)."""
    if source.action_units:
        parts = {"training": fold.train, "test": fold.test}
        labels = {name: source.action_unit_labels(splits) for name, splits in parts.items()}
        label_distribution(labels, source.action_units, path)


def _scorer(generators, classifier):
    """A traced function of a batch: all methods' faces, and their figures a face."""

    @tf.function(reduce_retracing=True)
    def score(batch):
        low, mask, truth = batch["low"], batch["mask"], batch["face"]
        scale = truth.shape[1] // low.shape[1]
        faces = {
            "input": low,
            "bicubic": upsample_bicubic(low, scale),
            "bicubic_filled": upsample_bicubic(fill_hidden(low, mask), scale),
        }
        for method, generator in generators.items():
            four = generator.inputs[0].shape[-1] == 4
            seen = tf.concat([low, mask], axis=-1) if four else low
            faces[method] = generator(seen, training=False)
        faces["ground_truth"] = truth
        figures = {}
        for method, images in faces.items():
            if method == "input":
                continue
            figures[method] = {}
            if method != "ground_truth":
                figures[method] = {"psnr": psnr(truth, images), "ssim": ssim(truth, images)}
            if classifier is not None:
                logits = classifier(images, training=False)
                figures[method]["probabilities"] = keras.ops.sigmoid(logits)
        return faces, figures

    return score


_HEADINGS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "f1": "F1", "accuracy": "accuracy"}


def _show(value, figure):
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:.2f}" if figure == "psnr" else f"{value:.3f}"
