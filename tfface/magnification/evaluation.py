"""The magnification paper's tables: how well weak faces are recognized, how near they are to peaks.

What the figures mean is said in `examination.py`, where they are computed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.atomic import written_aside
from tfface.confusion import total
from tfface.magnification.examination import HEATS, Examined
from tfface.magnification.pictures import (
    draw_changes,
    draw_faces,
    draw_features,
    draw_heat,
    title_of,
)
from tfface.plots.confusions import write_confusion
from tfface.scores import without_nan
from tfface.tables import markdown, write_table

_FIGURES = ("psnr", "feature_distance", "lit")


@dataclass(frozen=True)
class Evaluation:
    """What one mode or several reached on the same test faces.

    Args:
        scores: By mode, Examined.

    Raises:
        ValueError: If there are none, or their classes or the parts of the face differ.
    """

    scores: Mapping[str, Examined]

    def __post_init__(self):
        kinds = list(dict.fromkeys((s.classes, tuple(s.parts)) for s in self.scores.values()))
        if len(kinds) != 1:
            raise ValueError(
                "`scores`, at least one, must all be of the same classes and parts. "
                f"Received: {kinds}"
            )

    def metrics(self):
        """The figures as `summary.json` holds them, by mode, None where one has no value.

        Each figure of the magnified faces has one of the weak faces themselves beside it, whose
        name ends in `_weak`; `accuracy_spread` is over folds.
        """
        figures = {}
        for suffix, of in (("", "magnified"), ("_weak", "weak")):
            for mode, scores in self.scores.items():
                mean, spread = scores.accuracy(of)
                values = {
                    "accuracy": mean,
                    "accuracy_spread": spread,
                    "balanced_accuracy": total(getattr(scores, of)).balanced_accuracy,
                    **{name: scores.figures[name + suffix] for name in _FIGURES},
                }
                for name, value in values.items():
                    figures.setdefault(name + suffix, {})[mode] = without_nan(value)
        figures["per_class"] = {mode: _per_class(s) for mode, s in self.scores.items()}
        figures["heat"] = {
            mode: {
                of: {part: without_nan(s.mean_heat(of, part)) for part in s.parts} for of in HEATS
            }
            for mode, s in self.scores.items()
        }
        return figures

    def lines(self):
        """The table of modes, and where each changes faces, as lines of text for the terminal."""
        return markdown(*self._mode_table()) + [
            f"{title_of(mode)}: {_heat_in_words(scores)}"
            for mode, scores in self.scores.items()
            if scores.magnifies
        ]

    def write(self, folder):
        """Writes tables (csv, md), pictures (png) and every figure (json) into `folder`.

        `accuracy` is Table 1, `confusion_<mode>` Table 2 (`confusion_weak_<mode>` of the weak
        faces), `classes` precision, recall and F1, `heat` the heat by part of the face; `faces_`,
        `heat_` and `changes_<mode>` show it (Fig. 5), `features` is Fig. 4. Pictures of faces are
        drawn of what has just been examined, not of averages over folds.
        """
        folder = Path(folder)
        write_table(folder / "accuracy", *self._mode_table())
        write_table(folder / "classes", *self._class_table())
        write_table(folder / "heat", *self._heat_table())
        for mode, scores in self.scores.items():
            title, name = title_of(mode), mode.replace("/", "_")
            write_confusion(folder / f"confusion_{name}", total(scores.magnified), title)
            if scores.magnifies:
                weak = f"{title}: the classifier on weak faces"
                write_confusion(folder / f"confusion_weak_{name}", total(scores.weak), weak)
            if scores.magnifies and scores.pictures is not None:
                draw_faces(scores, folder / f"faces_{name}.png", title)
                draw_heat(scores, folder / f"heat_{name}.png", title)
                draw_changes(scores, folder / f"changes_{name}.png", title)
        draw_features(self.scores, folder / "features.png")
        with written_aside(folder / "scores.json") as aside:
            content = {"scores": {mode: scores.to_dict() for mode, scores in self.scores.items()}}
            aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    def _mode_table(self):
        header = ["mode", "accuracy", "weak: accuracy"]
        for name in ("PSNR (dB)", "feature distance", "lit features"):
            header += [name, f"weak: {name}"]
        rows = []
        for mode, scores in self.scores.items():
            row = [title_of(mode), *(_show_accuracy(scores, of) for of in ("magnified", "weak"))]
            for name in _FIGURES:
                digits = 2 if name != "lit" else 3
                row += [_show(scores.figures[n], digits) for n in (name, f"{name}_weak")]
            rows.append(row)
        return header, rows

    def _class_table(self):
        confusions = {mode: total(scores.magnified) for mode, scores in self.scores.items()}
        first = next(iter(confusions.values()))
        header = ["class", "faces"]
        columns = []
        for figure, name in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
            for mode, confusion in confusions.items():
                header.append(f"{name} {title_of(mode)}")
                columns.append(getattr(confusion, figure))
        faces = first.matrix.sum(axis=1)
        rows = [
            [name, str(faces[i]), *(_show(column[i], 3) for column in columns)]
            for i, name in enumerate(first.classes)
        ]
        return header, rows

    def _heat_table(self):
        first = next(iter(self.scores.values()))
        rows = []
        for mode, scores in self.scores.items():
            for of in HEATS:
                if np.isnan(scores.heat[of]).all():
                    continue
                for name, values in zip(scores.classes, scores.heat[of], strict=True):
                    rows.append([title_of(mode), of, name, *(_show(v, 5) for v in values)])
                means = [scores.mean_heat(of, part) for part in scores.parts]
                rows.append([title_of(mode), of, "mean", *(_show(v, 5) for v in means)])
        return ["mode", "heat of", "class", *first.parts], rows


def _per_class(scores):
    confusion = total(scores.magnified)
    return {
        figure: dict(zip(confusion.classes, without_nan(getattr(confusion, figure)), strict=True))
        for figure in ("precision", "recall", "f1")
    }


def _heat_in_words(scores):
    """How much the model changes, and which part of the face most, class by class."""
    neutral, weak = (_show(scores.mean_heat(of), 5) for of in ("neutral", "change"))
    text = f"heat of neutral faces {neutral}, of weak faces {weak}"
    parts = [n for n, part in enumerate(scores.parts) if part not in ("whole", "background")]
    hottest = [
        f"{name} {scores.parts[parts[int(np.argmax(values[parts]))]]}"
        for name, values in zip(scores.classes, scores.heat["change"], strict=True)
        if parts and not np.isnan(values).any()
    ]
    return text + (f"; most changed: {', '.join(hottest)}" if hottest else "")


def _show(value, digits):
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def _show_accuracy(scores, of):
    mean, spread = scores.accuracy(of)
    return _show(mean, 3) + ("" if np.isnan(spread) else f" ± {spread:.3f}")
