"""IA-gen's tables and figures: the CNN by itself and the nearest regenerated face, side by side.

What the figures mean is said in `examination.py`, where they are computed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.atomic import written_aside
from tfface.confusion import total
from tfface.plots.bars import score_bars
from tfface.plots.confusions import write_confusion
from tfface.regeneration.examination import Examined
from tfface.regeneration.pictures import draw_beside_real, draw_sheet
from tfface.tables import markdown, write_table

TITLES = {"cnn": "CNN (baseline)", "ia_gen": "IA-gen"}
"""How the methods are called in tables and pictures."""


@dataclass(frozen=True)
class Evaluation:
    """What one run reached, or several on the same test faces.

    Args:
        scores: By name of the run, Examined.

    Raises:
        ValueError: If there are none, or their classes differ.
    """

    scores: Mapping[str, Examined]

    def __post_init__(self):
        kinds = list(dict.fromkeys(examined.classes for examined in self.scores.values()))
        if len(kinds) != 1:
            raise ValueError(
                f"`scores`, at least one, must all be of the same classes. Received: {kinds}"
            )

    def lines(self):
        """The table of methods (Tables I to IV), and what regenerated faces are, as lines."""
        return markdown(*self._method_table()) + [
            _in_words(self._prefix(name), examined)
            for name, examined in self.scores.items()
            if examined.regenerated
        ]

    def write(self, folder):
        """Writes tables (csv, md), pictures (png) and every figure (json) into `folder`.

        `accuracy` is Tables I to IV, `confusion_<method>` Figs. 5 to 8, `precision` and `f1` with
        `classes` Fig. 9; `sheet` is Fig. 4, `beside_real` the same above the real peaks;
        `regenerated` says, class by class, what FER-Net takes regenerated faces for. With several
        runs, names of files begin with the run's. Faces are drawn of what has just been examined,
        not of averages over folds.
        """
        folder = Path(folder)
        write_table(folder / "accuracy", *self._method_table())
        write_table(folder / "classes", *self._class_table())
        for figure, label in (("precision", "precision"), ("f1", "F1 score")):
            series = {title: getattr(confusion, figure) for title, confusion in self._confusions()}
            score_bars(self._classes, series, folder / f"{figure}.png", y_label=label)
        for name, examined in self.scores.items():
            start = "" if len(self.scores) == 1 else f"{name.replace('/', '_')}_"
            for method in examined.methods:
                title = self._prefix(name) + TITLES[method]
                confusion = total(getattr(examined, method))
                write_confusion(folder / f"{start}confusion_{method}", confusion, title)
            if examined.regenerated:
                title = f"{self._prefix(name)}Regenerated faces, as the CNN takes them"
                confusion = total(examined.regenerated)
                write_confusion(folder / f"{start}regenerated", confusion, title, "class made for")
            if examined.examples:
                title = f"{self._prefix(name)}distances to the regenerated faces (Eq. 8)"
                arguments = examined.examples, examined.classes
                draw_sheet(*arguments, folder / f"{start}sheet.png", title)
                draw_beside_real(*arguments, folder / f"{start}beside_real.png")
        with written_aside(folder / "scores.json") as aside:
            content = {"scores": {name: scores.to_dict() for name, scores in self.scores.items()}}
            aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    @property
    def _classes(self):
        return next(iter(self.scores.values())).classes

    def _prefix(self, name):
        """What stands before a method's title where there are several runs."""
        return "" if len(self.scores) == 1 else f"{name}: "

    def _confusions(self):
        """(title, Confusion) of each method of each run, all folds together."""
        return [
            (self._prefix(name) + TITLES[method], total(getattr(examined, method)))
            for name, examined in self.scores.items()
            for method in examined.methods
        ]

    def _method_table(self):
        rows = []
        for name, examined in self.scores.items():
            for method in examined.methods:
                mean, spread = examined.accuracy(method)
                spread = "" if np.isnan(spread) else f" ± {spread:.3f}"
                balanced = total(getattr(examined, method)).balanced_accuracy
                title = self._prefix(name) + TITLES[method]
                rows.append([title, f"{_show(mean)}{spread}", _show(balanced), str(examined.faces)])
        return ["method", "accuracy", "balanced accuracy", "faces"], rows

    def _class_table(self):
        header, columns = ["class", "faces"], []
        for figure, name in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
            for title, confusion in self._confusions():
                header.append(f"{name} {title}")
                columns.append(getattr(confusion, figure))
        (_, first), *_ = self._confusions()
        faces = first.matrix.sum(axis=1)
        rows = [
            [name, str(faces[i]), *(_show(column[i]) for column in columns)]
            for i, name in enumerate(first.classes)
        ]
        return header, rows


def _in_words(prefix, examined):
    """What regenerated faces are: which expression, and whose."""
    figures, chance = examined.figures, 1 / len(examined.classes)
    return prefix + "; ".join(
        [
            "regenerated faces: taken by the CNN for what they were made for "
            f"{_show(examined.accuracy('regenerated')[0])} (chance {chance:.3f})",
            f"nearest to their own person {_show(figures['nearest'])} "
            f"of {figures['persons']:.3g} persons",
            f"nearer to it than to another {_show(figures['nearer'])}",
            f"PSNR to the real peak {_show(figures['psnr'], 2)} dB, "
            f"of the face as it was {_show(figures['psnr_input'], 2)} dB",
        ]
    )


def _show(value, digits=3):
    return "-" if np.isnan(value) else f"{value:.{digits}f}"
