"""Bars: how often labels are present, and scores of each action unit."""

import numpy as np

from tfface.metrics import mean_of_defined
from tfface.plots import canvas

_BAR_SPACE = 0.8  # of the distance between two groups of bars


def label_distribution(labels, action_units, path):
    """Draws how often each action unit is present and absent, a panel for each set of labels.

    Fig. 4 of the restoration paper, Fig. 3 of the recognition paper, with what has no label. Under
    each action unit stands the share of present labels among the known ones.

    Args:
        labels: Dict from the name of a set to its labels (n, n_au): 1 present, 0 absent, NaN no
            label.
        action_units: The numbers of the action units, in the order of the labels' columns.
        path: File to write.

    Raises:
        ValueError: If there is no set, or the labels of one do not have a column for each action
            unit.
    """
    if not labels:
        raise ValueError("`labels` must hold at least one set. Received: none")
    figure = canvas.figure(
        120 + len(labels) * max(420, 62 * len(action_units)), 420, layout="constrained"
    )
    panels = figure.subplots(1, len(labels), squeeze=False)[0]
    for axes, (name, values) in zip(panels, labels.items(), strict=True):
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(action_units):
            raise ValueError(
                f"`labels` of {name!r} must have shape (n, {len(action_units)}). "
                f"Received: shape {values.shape}"
            )
        missing = np.isnan(values).sum(axis=0)
        present = (values > 0.5).sum(axis=0)
        absent = len(values) - missing - present
        bars = {"present": (present, canvas.COLORS[1]), "absent": (absent, canvas.COLORS[0])}
        if missing.any():
            bars["no label"] = (missing, canvas.GREY)
        _grouped_bars(
            axes,
            {key: counts for key, (counts, _) in bars.items()},
            [color for _, color in bars.values()],
        )
        known = present + absent
        shares = [canvas.percent(p / k) if k else "-" for p, k in zip(present, known, strict=True)]
        names = [f"AU{n}\n{share}" for n, share in zip(action_units, shares, strict=True)]
        axes.set_xticks(range(len(names)), names)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_title(f"{name} ({len(values):,} frames)")
        axes.set_xlabel("action unit, and how often it is present where it is labeled")
    panels[0].set_ylabel("frames")
    canvas.legend_below(figure, *panels)
    canvas.write(figure, path)


def score_bars(labels, series, path, title=None, y_label=None):
    """Draws one bar for each label and method, and last the average of each method, with its value.

    Scores from 0 to 1 are drawn on the whole of that range, so that pictures compare.

    Args:
        labels: Names of what is scored, such as `AU12`.
        series: Dict from a method's name to one score for each label; NaN (no score) has no bar and
            takes no part in the average.
        path: File to write.
        title: Title of the figure, or None.
        y_label: Name of the score, or None.

    Raises:
        ValueError: If there is no series or one does not have a score for each label.
    """
    figure, axes = _label_bars(labels, series, title, y_label, average=True)
    scores = np.concatenate([np.asarray(values, dtype=np.float64) for values in series.values()])
    scores = scores[np.isfinite(scores)]
    if scores.size and scores.min() >= 0 and scores.max() <= 1:
        axes.set_ylim(0, 1)
    canvas.write(figure, path)


def paired_bars(labels, series, path, title=None, y_label=None, average=False):
    """Draws one bar for each label and series, on an axis that ends little above the highest.

    Fig. 5 of the recognition paper: (a) how often each action unit is present by the ground truth
    and by each method's answers, and (b), with `average`, by how much these differ. With the truth
    last, each method has the same color in both.

    Args:
        labels: Names of what the bars stand for, such as `AU12`.
        series: Dict from a series' name to one number for each label; NaN (not known) has no bar
            and takes no part in the average.
        path: File to write.
        title: Title of the figure, or None.
        y_label: What the bars measure, or None.
        average: Whether the average of each series follows, with its value.

    Raises:
        ValueError: If there is no series or one does not have a number for each label.
    """
    figure, axes = _label_bars(labels, series, title, y_label, average)
    axes.margins(y=0.12)  # room for the averages' values
    canvas.write(figure, path)


def _label_bars(labels, series, title, y_label, average):
    """A figure of a bar for each label and series, and its axes."""
    values = {name: np.asarray(each, dtype=np.float64) for name, each in series.items()}
    if not values or any(each.shape != (len(labels),) for each in values.values()):
        raise ValueError(
            f"`series`, at least one, must each hold {len(labels)} numbers. "
            f"Received: shapes {[each.shape for each in values.values()]}"
        )
    if average:
        labels = [*labels, "average"]
        values = {n: np.append(each, mean_of_defined(each)) for n, each in values.items()}
    width = 160 + max(56, 14 * len(values) + 24) * len(labels)
    figure = canvas.figure(max(640, width), 460, layout="constrained")
    axes = figure.subplots()
    _grouped_bars(axes, values, canvas.colors(len(values)))
    if average:
        axes.axvline(len(labels) - 1.5, color=canvas.GREY, linewidth=1, linestyle=":")
        _write_last_values(axes, values)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel(y_label or "")
    axes.set_title(title or "")
    canvas.legend_below(figure, axes)
    return figure, axes


def _grouped_bars(axes, groups, colors):
    """Bars side by side: `groups` maps a name to one height for each position 0, 1, ..."""
    offsets, thickness = _offsets(len(groups))
    for (name, heights), offset, color in zip(groups.items(), offsets, colors, strict=True):
        x = np.arange(len(heights)) + offset
        axes.bar(x, np.nan_to_num(heights), width=thickness * 0.94, color=color, label=name)
    canvas.plain_axes(axes, grid="y")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(heights) - 0.4)


def _write_last_values(axes, groups):
    """Writes its height on the last bar of each group that has one."""
    for heights, offset in zip(groups.values(), _offsets(len(groups))[0], strict=True):
        if np.isfinite(heights[-1]):
            axes.annotate(
                f"{heights[-1]:.3g}",
                (len(heights) - 1 + offset, heights[-1]),
                (0, 3),
                ha="center",
                va="bottom",
                textcoords="offset points",
                fontsize=8,
                rotation=90,
            )


def _offsets(count):
    """Where the centers of so many bars side by side lie from their middle, and their thickness."""
    thickness = _BAR_SPACE / count
    return (np.arange(count) + 0.5) * thickness - _BAR_SPACE / 2, thickness
