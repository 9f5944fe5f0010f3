"""The synthesis paper's table and pictures: can a detector read what was asked for (Table 1)?

What the figures mean is said in `examination.py`, where they are computed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.atomic import written_aside
from tfface.metrics import mean_of_defined
from tfface.plots.bars import score_bars
from tfface.plots.matrices import change_matrix
from tfface.scores import without_nan
from tfface.synthesis.examination import SETS, Examined
from tfface.tables import markdown, write_table

_HEADINGS = {"f1": "F1", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Evaluation:
    """What one generator or several reached on the same test faces.

    Args:
        scores: By name of the generator (or of the detector that read its faces), Examined.

    Raises:
        ValueError: If there is none.
    """

    scores: Mapping[str, Examined]

    def __post_init__(self):
        if not self.scores:
            raise ValueError("`scores` must hold at least one. Received: none")

    def metrics(self):
        """By name, the figures as `summary.json` holds them, None where one has no value."""
        return {name: _metrics(examined) for name, examined in self.scores.items()}

    def lines(self):
        """The table of averages and that of changes as lines of text, for the terminal."""
        lines = markdown(*self._average_table())
        for name, examined in self.scores.items():
            if examined.changes is not None:
                lines += ["", f"{name}: change of probabilities by AU i (row) switched on"]
                lines += markdown(*_change_table(examined))
                lines.append(_change_in_words(examined))
                lines.append(
                    f"largest change of an untouched pixel: {examined.untouched_max_change:g}"
                )
        return lines

    def write(self, folder):
        """Writes tables (csv, md), pictures (png) and every figure (json) into `folder`.

        `action_units` is Table 1; `changes_<name>` the table of changes, as numbers and as a heat
        map.
        """
        folder = Path(folder)
        write_table(folder / "averages", *self._average_table())
        for name, examined in self.scores.items():
            units = [f"AU{number}" for number in examined.action_units]
            suffix = f"_{name.replace('/', '_')}" if len(self.scores) > 1 else ""
            write_table(folder / f"action_units{suffix}", *_action_unit_table(examined))
            score_bars(
                units,
                {of.capitalize(): scores.f1 for of, scores in examined.scores.items()},
                folder / f"action_units{suffix}.png",
                title="F1 of each action unit on test faces",
                y_label="F1",
            )
            if examined.changes is not None:
                write_table(folder / f"changes{suffix}", *_change_table(examined))
                change_matrix(
                    examined.changes,
                    units,
                    folder / f"changes{suffix}.png",
                    marked=~examined.apart,
                    title="What switching an action unit on changes (framed: regions that meet)",
                    row_label="switched on",
                    column_label="change of the recognizer's probability",
                )
        with written_aside(folder / "scores.json") as aside:
            content = {"scores": {name: e.to_dict() for name, e in self.scores.items()}}
            aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    def _average_table(self):
        header = ["faces of"] + [
            f"{heading} {of}" for heading in _HEADINGS.values() for of in ("real", "synthesis")
        ]
        header += ["F1 gap", "accuracy gap", "F1 unedited", "own change", "change elsewhere"]
        rows = []
        for name, examined in self.scores.items():
            means = [
                examined.scores[of].mean(figure)
                for figure in _HEADINGS
                for of in ("real", "synthesis")
            ]
            means += [mean_of_defined(examined.gap(figure)) for figure in _HEADINGS]
            unedited = examined.scores.get("unedited")
            means.append(np.nan if unedited is None else unedited.mean("f1"))
            changes = examined.changes is not None
            for values in (examined.own_change, examined.elsewhere):
                means.append(mean_of_defined(values()) if changes else np.nan)
            rows.append([name, *map(_show, means)])
        return header, rows


def enrichment_table(reached, rare):
    """What synthetic faces gave a recognizer, F1 on real test faces.

    Args:
        reached: Scores of the recognizer "without" and of the one "with" synthetic faces.
        rare: The AUs that were switched on in some of its training faces.

    Returns:
        The table's header and rows, and its figures as `summary.json` holds them: by "without" and
        "with", `rare_f1` (the mean over `rare`), `f1` (over all) and `per_au`.
    """
    units = reached["without"].action_units
    header = ["AU", *(f"F1 {name} synthetic faces" for name in reached)]
    rows = [
        [f"{number}{' (enriched)' if number in rare else ''}"]
        + [_show(scores.f1[i]) for scores in reached.values()]
        for i, number in enumerate(units)
    ]
    figures, places = {}, [units.index(number) for number in rare]
    for name, scores in reached.items():
        figures[name] = {
            "rare_f1": without_nan(mean_of_defined(scores.f1[places])),
            "f1": without_nan(scores.mean("f1")),
            "per_au": {str(n): without_nan(scores.f1[i]) for i, n in enumerate(units)},
        }
    for title, of in (("Avg of the enriched", places), ("Avg", slice(None))):
        rows.append([title, *(_show(mean_of_defined(s.f1[of])) for s in reached.values())])
    return (header, rows), {"action_units": list(rare), **figures}


def _metrics(examined):
    """One generator's figures."""
    figures = {}
    for figure in _HEADINGS:
        means = {of: examined.scores[of].mean(figure) for of in ("real", "synthesis")}
        means["gap"] = float(mean_of_defined(examined.gap(figure)))
        figures[figure] = {of: without_nan(mean) for of, mean in means.items()}
    figures["untouched_max_change"] = examined.untouched_max_change
    per_au = {}
    for i, number in enumerate(examined.action_units):
        of_one = {
            figure: {
                **{
                    of: without_nan(getattr(examined.scores[of], figure)[i])
                    for of in ("real", "synthesis")
                },
                "gap": without_nan(examined.gap(figure)[i]),
            }
            for figure in _HEADINGS
        }
        if examined.changes is not None:
            of_one["change"] = without_nan(examined.own_change()[i])
            of_one["change_elsewhere"] = without_nan(examined.elsewhere()[i])
        per_au[str(number)] = of_one
    figures["per_au"] = per_au
    if "unedited" in examined.scores:
        unedited = examined.scores["unedited"]
        figures["unedited"] = {f: without_nan(unedited.mean(f)) for f in _HEADINGS}
    return figures


def _action_unit_table(examined):
    """Table 1: F1 and accuracy of each AU on both sets, and the gap."""
    columns = {}
    for figure, heading in _HEADINGS.items():
        for of in SETS:
            if of in examined.scores:
                columns[f"{heading} {of}"] = getattr(examined.scores[of], figure)
        columns[f"{heading} gap"] = examined.gap(figure)
    rows = [
        [str(number), *(_show(values[i]) for values in columns.values())]
        for i, number in enumerate(examined.action_units)
    ]
    rows.append(["Avg", *(_show(mean_of_defined(values)) for values in columns.values())])
    return ["AU", *columns], rows


def _change_table(examined):
    names = [f"AU{number}" for number in examined.action_units]
    rows = [
        [name, *map(_show, row), _show(elsewhere)]
        for name, row, elsewhere in zip(names, examined.changes, examined.elsewhere(), strict=True)
    ]
    return ["switched on", *names, "largest elsewhere"], rows


def _change_in_words(examined):
    own, elsewhere = examined.own_change(), examined.elsewhere()
    known = ~np.isnan(own) & ~np.isnan(elsewhere)
    above = int(np.sum(own[known] > elsewhere[known]))
    return (
        f"own probability raised by {_show(mean_of_defined(own))} on average, that of any AU "
        f"elsewhere changed by {_show(mean_of_defined(elsewhere))} at most; "
        f"own above elsewhere for {above} of {int(known.sum())} AUs"
    )


def _show(value):
    return "-" if not np.isfinite(value) else f"{value:.3f}"
