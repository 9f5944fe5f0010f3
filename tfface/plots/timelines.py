"""Action units over the time of a video."""

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.plots import canvas

_ROW, _ROW_PER_FACE = 44, 14  # pixels


def timeline(times, series, path, title=None, threshold=0.5):
    """Draws the probability of each action unit over time, a row each, with a line for each face.

    What lies above the threshold is filled. Where a face is not seen its line ends, and begins
    again where it is; a moment between two gaps is a dot.

    Args:
        times: (n,) seconds, in rising order.
        series: Dict from a face's name to its probabilities: dict from an action unit's name, such
            as `AU12 Lip corner puller`, to (n,) in [0, 1], NaN where the face is not seen. All
            faces have the same action units, in the order of the rows.
        path: File to write.
        title: Title of the figure, or None.
        threshold: Probability from which on an action unit is present.

    Raises:
        ValueError: If there is no time, face or action unit, faces differ in their action units, or
            probabilities are not one for each time.
    """
    times = np.asarray(times, dtype=np.float64)
    faces = {
        face: {name: np.asarray(p, dtype=np.float64) for name, p in units.items()}
        for face, units in series.items()
    }
    _check(times, faces)
    names = list(next(iter(faces.values())))
    figure = canvas.figure(
        1280, len(names) * (_ROW + _ROW_PER_FACE * len(faces)) + 130, layout="constrained"
    )
    rows = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(rows, names, strict=True):
        for (face, units), color in zip(faces.items(), canvas.colors(len(faces)), strict=True):
            _draw(axes, times, units[name], face, color, threshold)
        axes.axhline(threshold, color="#808080", linewidth=0.8, linestyle=":")
        axes.set_ylim(-0.04, 1.04)
        axes.set_yticks([0, 1])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        canvas.plain_axes(axes, grid="x")
        axes.tick_params(axis="x", length=0)
    _label_time(rows[-1], times)
    canvas.add_title(figure, title)
    canvas.legend_below(figure, rows[0])
    canvas.write(figure, path)


def _check(times, faces):
    units = [list(face) for face in faces.values()]
    if not units or not units[0] or any(names != units[0] for names in units):
        raise ValueError(
            "`series` must hold at least one face, and the same action units, at least one, for "
            f"each. Received: {units}"
        )
    shapes = {p.shape for face in faces.values() for p in face.values()}
    if times.ndim != 1 or not len(times) or shapes != {times.shape}:
        raise ValueError(
            "`times`, at least one, and each of `series` must have shape (n,). "
            f"Received: shapes {times.shape} and {sorted(shapes)}"
        )


def _draw(axes, times, probabilities, face, color, threshold):
    axes.plot(times, probabilities, color=color, linewidth=1.2, label=face)
    axes.fill_between(
        times,
        threshold,
        probabilities,
        where=probabilities >= threshold,
        interpolate=True,
        color=color,
        alpha=0.3,
        linewidth=0,
    )
    seen = np.pad(~np.isnan(probabilities), 1)
    alone = seen[1:-1] & ~seen[:-2] & ~seen[2:]
    axes.plot(times[alone], probabilities[alone], ".", color=color, markersize=3)


def _label_time(axes, times):
    """Seconds up to a minute; minutes and seconds beyond."""
    axes.set_xlim(times[0], times[-1] if times[-1] > times[0] else times[0] + 1)
    if times[-1] < 60:
        axes.set_xlabel("seconds")
        return
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 2, 3, 6, 10], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{int(s) // 60}:{int(s) % 60:02d}"))
    axes.set_xlabel("minutes:seconds")
