"""What a search found: a figure against each of the values that were varied."""

import math

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from tfface.plots import canvas

_MOST_COLUMNS = 3


def search_panels(values, figure, path, own, best, y_label, title=None, short=None):
    """Draws a figure against each value that a search varied, a dot a trial, a panel a value.

    Where dots rise toward one place, that value matters; where they lie about level, it does not.
    The axes of the values are logarithmic, as they were searched.

    Args:
        values: Dict from a value's name to what it was in each trial, (n,), above 0.
        figure: (n,) what each trial reached, NaN for one that failed: a cross on the lower edge.
        path: File to write.
        own: Number of the trial that had the values searched around.
        best: Number of the best trial.
        y_label: What the figure is.
        title: Title of the figure, or None.
        short: (n,) bool, the trials that were trained in part and do not compare: hollow dots. None
            for none.

    Raises:
        ValueError: If there is no value, one is not above 0, or shapes differ.
    """
    figure = np.asarray(figure, dtype=np.float64)
    short = np.zeros(len(figure), bool) if short is None else np.asarray(short, bool)
    values = {name: np.asarray(each, dtype=np.float64) for name, each in values.items()}
    if not values or any(each.shape != figure.shape for each in (*values.values(), short)):
        raise ValueError(
            f"`values`, at least one, must each have shape {figure.shape}, as `short`. "
            f"Received: shapes {[each.shape for each in values.values()]} and {short.shape}"
        )
    if bad := [name for name, each in values.items() if not np.all(each > 0)]:
        raise ValueError(f"`values` must be above 0. Received: others in {', '.join(bad)}")
    columns = min(len(values), _MOST_COLUMNS)
    rows = math.ceil(len(values) / columns)
    drawing = canvas.figure(max(520, 60 + 340 * columns), 100 + 300 * rows, layout="constrained")
    panels = drawing.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in panels.flat[len(values) :]:
        axes.set_visible(False)
    for axes, (name, x) in zip(panels.flat, values.items(), strict=False):
        _dots(axes, x, figure, short, own, best)
        _make_logarithmic(axes, x)
        axes.set_xlabel(name)
        canvas.plain_axes(axes)
    for axes in panels[:, 0]:
        axes.set_ylabel(y_label)
    canvas.legend_below(drawing, *panels.flat[: len(values)])
    canvas.add_title(drawing, title)
    canvas.write(drawing, path)


def _make_logarithmic(axes, x):
    """A logarithmic axis that holds all of x, with plain numbers at few places."""
    low, high = x.min() / 1.4, x.max() * 1.4
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    decades = math.log10(high / low)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _dots(axes, x, figure, short, own, best):
    failed = np.isnan(figure)
    for chosen, name, face in (
        (~failed & ~short, "trial", canvas.COLORS[0]),
        (~failed & short, "trained in part", "none"),
    ):
        if chosen.any():
            axes.scatter(
                x[chosen], figure[chosen], 36, face, edgecolors=canvas.COLORS[0], label=name
            )
    if failed.any():
        # Across in data, upward in shares of the panel.
        place = axes.get_xaxis_transform()
        across = np.full(failed.sum(), 0.02)
        axes.scatter(
            x[failed], across, 30, canvas.GREY, marker="x", transform=place, label="failed"
        )
    for i, name, marker, color, size in (
        (own, "own values", "D", canvas.COLORS[6], 60),
        (best, "best", "*", canvas.COLORS[3], 190),
    ):
        if not failed[i]:
            axes.scatter(x[i], figure[i], size, color, marker=marker, label=name, zorder=3)
