"""Faces beside what was recognized in them."""

import numpy as np

from tfface.plots import canvas
from tfface.plots.images import as_rgb

_BAR = 20  # pixels
_SMALLEST_FACE = 220


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


def _draw_bars(axes, bars, threshold):
    values = np.array(list(bars.values()), dtype=np.float64)
    places = np.arange(len(values))
    colors = [canvas.COLORS[0] if value >= threshold else canvas.GREY for value in values]
    axes.barh(places, np.nan_to_num(values), height=0.75, color=colors)
    for place, value in zip(places, values, strict=True):
        text = "-" if np.isnan(value) else f"{value:.2f}"
        weight = "bold" if value >= threshold else "normal"
        axes.annotate(
            text,
            (np.nan_to_num(value), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            weight=weight,
        )
    canvas.plain_axes(axes, grid="x")
    axes.axvline(threshold, color="#808080", linewidth=0.8, linestyle=":")
    axes.set_yticks(places, bars)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(values) - 0.5, -0.5)  # the first on top
    axes.set_xlim(0, 1.1)
    axes.set_xticks([0, 0.5, 1])
