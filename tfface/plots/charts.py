"""Lines: a value against another."""

import numpy as np

from tfface.plots import canvas


def curves(x, series, path, x_label, y_label, title=None):
    """Draws a value against x, one line a variant, with its spread over runs.

    Args:
        x: (n,) positions.
        series: Dict from a variant's name to its values: (n,), or (runs, n), of which the line is
            the mean and the band one standard deviation to either side.
        path: File to write.
        x_label: What x is.
        y_label: What the values are.
        title: Title of the figure, or None.

    Raises:
        ValueError: If there is no series or one does not have a value for each x.
    """
    x = np.asarray(x, dtype=np.float64)
    values = {name: np.atleast_2d(np.asarray(v, dtype=np.float64)) for name, v in series.items()}
    if not values or any(v.ndim != 2 or v.shape[1:] != x.shape for v in values.values()):
        raise ValueError(
            f"`series`, at least one, must each have shape ({len(x)},) or (runs, {len(x)}). "
            f"Received: shapes {[np.shape(v) for v in series.values()]}"
        )
    figure = canvas.figure(720, 460, layout="constrained")
    axes = figure.subplots()
    for (name, runs), color in zip(values.items(), canvas.colors(len(values)), strict=True):
        mean, spread = runs.mean(axis=0), runs.std(axis=0)
        axes.plot(
            x,
            mean,
            color=color,
            label=name,
            linewidth=2,
            marker="o" if len(x) <= 20 else None,
            markersize=5,
        )
        if len(runs) > 1:
            axes.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title or "")
    canvas.plain_axes(axes)
    axes.legend(frameon=False)
    canvas.write(figure, path)
