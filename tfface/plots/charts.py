"""Lines: a value against another."""

import numpy as np
from matplotlib.ticker import NullLocator

from tfface.metrics import mean_of_defined
from tfface.plots import canvas

_REFERENCE_GREY = "#808080"
_REFERENCE_MARKERS = "sD^v"
_MOST_MARKERS = 20  # beyond these they hide the line


def curves(x, series, path, x_label, y_label, title=None, reference=None, log_x=False):
    """Draws a value against x, one line a variant, with its spread over runs.

    Figs. 4 and 7 of the recognition paper: F1 against the share of missing labels, and against
    alpha. On a logarithmic axis x = 0 has its place too: as far left of the smallest other x as a
    tenth of that would be.

    Args:
        x: (n,) positions, in order.
        series: Dict from a variant's name to its values: (n,), or (runs, n), of which the line is
            the mean and the band one standard deviation to either side. A value that is not known
            is NaN; the line goes on to the next x that has one.
        path: File to write.
        x_label: What x is.
        y_label: What the values are.
        title: Title of the figure, or None.
        reference: Dict as `series`, of what others published: dashed and grey. None for none.
        log_x: Whether the x axis is logarithmic, with a tick at each x.

    Raises:
        ValueError: If there is no series, one does not have a value for each x, or a logarithmic x
            is below 0 or 0 everywhere.
    """
    x = np.asarray(x, dtype=np.float64)
    lines, published = _runs("series", series, x), _runs("reference", reference or {}, x)
    if not lines:
        raise ValueError("`series` must hold at least one. Received: none")
    if log_x and (not np.all(x >= 0) or not np.any(x > 0)):
        raise ValueError(
            f"A logarithmic `x` must be 0 and above, and not 0 everywhere. Received: {x.tolist()}"
        )
    figure = canvas.figure(720, 460, layout="constrained")
    axes = figure.subplots()
    for i, (name, runs) in enumerate(published.items()):
        marker = _REFERENCE_MARKERS[i % len(_REFERENCE_MARKERS)]
        _line(axes, x, runs, name, _REFERENCE_GREY, marker, linestyle="--", linewidth=1.5)
    for (name, runs), color in zip(lines.items(), canvas.colors(len(lines)), strict=True):
        _line(axes, x, runs, name, color, "o", linewidth=2)
    if log_x:
        _make_logarithmic(axes, x)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title or "")
    canvas.plain_axes(axes)
    axes.legend(frameon=False)
    canvas.write(figure, path)


def _runs(argument, series, x):
    """The values of each as (runs, n)."""
    runs = {name: np.atleast_2d(np.asarray(v, dtype=np.float64)) for name, v in series.items()}
    if any(v.ndim != 2 or v.shape[1:] != x.shape for v in runs.values()):
        raise ValueError(
            f"`{argument}` must each have shape ({len(x)},) or (runs, {len(x)}). "
            f"Received: shapes {[np.shape(v) for v in series.values()]}"
        )
    return runs


def _line(axes, x, runs, name, color, marker, **style):
    mean = mean_of_defined(runs, axis=0)
    spread = np.sqrt(mean_of_defined((runs - mean) ** 2, axis=0))
    known = ~np.isnan(mean)
    x, mean, spread = x[known], mean[known], spread[known]
    marker = marker if len(x) <= _MOST_MARKERS else None
    axes.plot(x, mean, color=color, label=name, marker=marker, markersize=5, **style)
    if len(runs) > 1:
        axes.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)


def _make_logarithmic(axes, x):
    if np.any(x == 0):
        # Linear from 0 to the smallest other x, in the room of a decade.
        axes.set_xscale("symlog", linthresh=x[x > 0].min(), linscale=1)
    else:
        axes.set_xscale("log")
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.xaxis.set_minor_locator(NullLocator())
