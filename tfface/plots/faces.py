"""Faces beside what was recognized in them, and faces before and after a change."""

import numpy as np

from tfface.plots import canvas
from tfface.plots.images import as_rgb, heat_overlay

_BAR = 20  # pixels
_SMALLEST_FACE = 220

# The least heat that is drawn hottest, a change of 0.18 in each color: what all but stays as it was
# shall not look as if it changed.
_LEAST_PEAK = 0.1


def face_bars(faces, path, title=None, threshold=0.5):
    """Draws each face beside a bar for the probability of each action unit, a row a face.

    Bars of action units that are present are colored, others grey.

    Args:
        faces: List of (image, probabilities, row title): an image (H, W, 3) or (H, W, 1), float in
            [0, 1]; a dict from an action unit's name, such as `AU12 Lip corner puller`, to a
            probability in [0, 1], NaN where it is not known; and a title, or None.
        path: File to write.
        title: Title of the figure, or None.
        threshold: Probability from which on an action unit is present.

    Raises:
        ValueError: If there is no face, one has no action unit, or an image is not of such a shape
            and type.
    """
    rows = [(as_rgb(image), bars, name) for image, bars, name in faces]
    if not rows or any(not bars for _, bars, _ in rows):
        raise ValueError(
            "`faces`, at least one, must each have at least one action unit. "
            f"Received: {[len(bars) for _, bars, _ in rows]} action units"
        )
    heights = [max(_SMALLEST_FACE, _BAR * len(bars)) + 40 for _, bars, _ in rows]
    figure = canvas.figure(900, sum(heights) + 60, layout="constrained")
    panels = figure.subplots(
        len(rows), 2, squeeze=False, height_ratios=heights, width_ratios=(2, 3)
    )
    for (picture, chart), (image, bars, name) in zip(panels, rows, strict=True):
        picture.imshow(image)
        picture.set_axis_off()
        picture.set_title(name or "")
        _draw_bars(chart, bars, threshold)
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def change_bars(faces, path, title=None):
    """Draws each face before and after a change, where it changed, and what it is taken for.

    One row a face. All heat has one scale of colors, whose end stands above it. The likeliest class
    before and after is written in bold.

    Args:
        faces: List of (before, heat, after, probabilities, row title): two images (H, W, 3) or (H,
            W, 1), float in [0, 1]; the heat (h, w) between them, 0 and above; a dict from a class's
            name to its two probabilities, before and after; and a title, or None.
        path: File to write.
        title: Title of the figure, or None.

    Raises:
        ValueError: If there is no face, one has no class, or an image or a heat is not of such a
            shape and type.
    """
    rows = [(*face[:3], np.array(list(face[3].values()), np.float64), *face[3:]) for face in faces]
    if not rows or any(not len(values) for _, _, _, values, _, _ in rows):
        raise ValueError(
            "`faces`, at least one, must each have at least one class. "
            f"Received: {[len(values) for _, _, _, values, _, _ in rows]} classes"
        )
    peak = max(_LEAST_PEAK, *(float(np.max(heat)) for _, heat, *_ in rows))
    heights = [max(_SMALLEST_FACE, 1.8 * _BAR * len(values)) + 40 for *_, values, _, _ in rows]
    figure = canvas.figure(1300, sum(heights) + 90, layout="constrained")
    panels = figure.subplots(
        len(rows), 4, squeeze=False, height_ratios=heights, width_ratios=(2, 2, 2, 3)
    )
    for row, (before, heat, after, values, classes, name) in zip(panels, rows, strict=True):
        *pictures, chart = row
        shown = (as_rgb(before), heat_overlay(before, heat, peak), as_rgb(after))
        titles = (name or "Before", f"Heat of the change, 0 to {peak:.2g}", "Magnified")
        for axes, image, text in zip(pictures, shown, titles, strict=True):
            axes.imshow(image)
            axes.set_axis_off()
            axes.set_title(text)
        _draw_paired_bars(chart, values, classes)
        chart.set_title("Probability of each class")
    canvas.legend_below(figure, panels[0, 3])
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def _draw_paired_bars(axes, values, names):
    """For each name two bars, before above after, with their values."""
    places = np.arange(len(values))
    drawn = (("before", -0.2, canvas.GREY), ("after", 0.2, canvas.COLORS[0]))
    for (label, offset, color), column in zip(drawn, values.T, strict=True):
        axes.barh(places + offset, column, height=0.36, color=color, label=label)
        for place, value in enumerate(column):
            weight = "bold" if place == column.argmax() else "normal"
            _write_value(axes, value, place + offset, weight, fontsize=8)
    _probability_axes(axes, names)


def _draw_bars(axes, bars, threshold):
    values = np.array(list(bars.values()), dtype=np.float64)
    places = np.arange(len(values))
    colors = [canvas.COLORS[0] if value >= threshold else canvas.GREY for value in values]
    axes.barh(places, np.nan_to_num(values), height=0.75, color=colors)
    for place, value in zip(places, values, strict=True):
        _write_value(axes, value, place, "bold" if value >= threshold else "normal", fontsize=9)
    axes.axvline(threshold, color="#808080", linewidth=0.8, linestyle=":")
    _probability_axes(axes, bars)


def _write_value(axes, value, place, weight, fontsize):
    """Writes a bar's value at its end."""
    axes.annotate(
        "-" if np.isnan(value) else f"{value:.2f}",
        (np.nan_to_num(value), place),
        (4, 0),
        textcoords="offset points",
        va="center",
        fontsize=fontsize,
        weight=weight,
    )


def _probability_axes(axes, names):
    """Axes of bars that lie, one place a name, from 0 to 1."""
    canvas.plain_axes(axes, grid="x")
    axes.set_yticks(range(len(names)), list(names))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)  # the first on top
    axes.set_xlim(0, 1.1)
    axes.set_xticks([0, 0.5, 1])
