"""Grids of images, and heat over a face."""

import textwrap

import matplotlib
import numpy as np

from tfface.plots import canvas

_SMALLEST_CELL = 192  # pixels; below this a face on a screen is a stamp
_HEAT_COLORS = "YlOrRd"


def image_grid(rows, column_titles, path, row_titles=None):
    """Draws images side by side, one row a sample and one column a method.

    Images of different sizes may share a grid (a 16x16 input beside a 128x128 result): each is
    enlarged to the size of the largest, by repeating its pixels, so that what is seen is what the
    model saw.

    Args:
        rows: Rows of images, each row as long as `column_titles`; an image is (H, W, 3) or (H, W,
            1), float in [0, 1] (what lies outside is clipped).
        column_titles: A title for each column.
        path: File to write.
        row_titles: A title for each row, written at its left, or None.

    Raises:
        ValueError: If there is no image, a row is not as long as `column_titles`, the number of
            `row_titles` is not that of rows, or an image is not of such a shape and type.
    """
    rows = [[as_rgb(image) for image in row] for row in rows]
    if not rows or any(len(row) != len(column_titles) or not row for row in rows):
        raise ValueError(
            "Each of `rows`, at least one, must hold an image for each of `column_titles`. "
            f"Received: rows of {sorted({len(row) for row in rows})} images, "
            f"{len(column_titles)} titles"
        )
    if row_titles is not None and len(row_titles) != len(rows):
        raise ValueError(
            "`row_titles` must hold a title for each of `rows`. "
            f"Received: {len(row_titles)} titles, {len(rows)} rows"
        )
    height, width = np.max([image.shape[:2] for row in rows for image in row], axis=0)
    repeat = -(-_SMALLEST_CELL // min(height, width))
    height, width = height * max(repeat, 1), width * max(repeat, 1)

    gap = max(2, width // 48)
    columns_text, font = _wrap_titles(column_titles, width)
    rows_text, _ = _wrap_titles(row_titles or [], width, font)
    line = 1.35 * font
    top = int(line * max(text.count("\n") + 1 for text in columns_text) + font)
    left = width if row_titles else gap
    figure_height = top + len(rows) * (height + gap)
    figure_width = left + len(column_titles) * (width + gap)

    figure = canvas.figure(figure_width, figure_height)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            # figimage sets pixels as they are; it counts rows from the bottom.
            figure.figimage(
                _enlarge(image, height, width),
                xo=left + j * (width + gap),
                yo=figure_height - top - i * (height + gap) - height,
            )
    style = {"fontsize": font * 72 / canvas.PIXELS_PER_INCH, "linespacing": 1.2}
    for j, text in enumerate(columns_text):
        x = (left + j * (width + gap) + width / 2) / figure_width
        y = 1 - top / 2 / figure_height
        figure.text(x, y, text, ha="center", va="center_baseline", weight="bold", **style)
    for i, text in enumerate(rows_text):
        y = 1 - (top + i * (height + gap) + height / 2) / figure_height
        figure.text((left - font) / figure_width, y, text, ha="right", va="center", **style)
    canvas.write(figure, path)


def heat_overlay(image, heat, peak=None):
    """A heat map over a face, as an image that `image_grid` takes.

    The face is shown in grey, so that color means heat and nothing else; where it is cold the face
    shows through.

    Args:
        image: (H, W, 3) or (H, W, 1), float in [0, 1].
        heat: (h, w), 0 and above; enlarged to the image by repeating its cells.
        peak: The heat drawn hottest; None for the largest of `heat`.

    Returns:
        (H, W, 3) float32 in [0, 1].

    Raises:
        ValueError: If the image or the heat is not of such a shape.
    """
    image, heat = as_rgb(image), np.asarray(heat, dtype=np.float32)
    if heat.ndim != 2:
        raise ValueError(f"`heat` must have shape (h, w). Received: shape {heat.shape}")
    peak = float(heat.max()) if peak is None else peak
    heat = np.clip(heat / peak, 0, 1) if peak > 0 else np.zeros_like(heat)
    heat = _enlarge(heat, *image.shape[:2])[..., None]
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    color = matplotlib.colormaps[_HEAT_COLORS](heat[..., 0])[..., :3]
    opacity = 0.85 * np.sqrt(heat)
    return ((1 - opacity) * grey[..., None] + opacity * color).astype(np.float32)


def heat_map(image, heat, path, title=None, label="heat", peak=None):
    """Draws a heat map over a face, with the scale of its colors.

    Args:
        image: (H, W, 3) or (H, W, 1), float in [0, 1].
        heat: (h, w), 0 and above; enlarged to the image by repeating its cells.
        path: File to write.
        title: Title of the figure, or None.
        label: What the colors measure.
        peak: The heat drawn hottest; None for the largest of `heat`.

    Raises:
        ValueError: If the image or the heat is not of such a shape.
    """
    overlay = heat_overlay(image, heat, peak)
    peak = float(np.max(heat)) if peak is None else peak
    figure = canvas.figure(560, 480, layout="constrained")
    axes = figure.subplots()
    axes.imshow(overlay, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title or "")
    figure.colorbar(heat_scale(peak), ax=axes, label=label, shrink=0.9)
    canvas.write(figure, path)


def heat_scale(peak):
    """The colors of `heat_overlay`, from 0 to the heat drawn hottest, as a color bar takes them."""
    norm = matplotlib.colors.Normalize(0, peak if peak > 0 else 1)
    return matplotlib.cm.ScalarMappable(norm, _HEAT_COLORS)


def as_rgb(image):
    """An image as (H, W, 3) float32 in [0, 1]: grey ones in three channels, the rest cut off.

    Args:
        image: (H, W, 3) or (H, W, 1), float.

    Raises:
        ValueError: If it is not of such a shape and type.
    """
    image = np.asarray(image)
    if (
        image.ndim != 3
        or image.shape[-1] not in (1, 3)
        or 0 in image.shape
        or not np.issubdtype(image.dtype, np.floating)
    ):
        raise ValueError(
            "An image must be a float array (H, W, 3) or (H, W, 1) in [0, 1]. "
            f"Received: {image.dtype} of shape {image.shape}"
        )
    return np.broadcast_to(np.clip(image.astype(np.float32), 0, 1), (*image.shape[:2], 3))


def _enlarge(image, height, width):
    """Nearest-neighbor resize: the source pixel under the center of each target pixel."""
    down = (np.arange(height) + 0.5) * image.shape[0] / height
    across = (np.arange(width) + 0.5) * image.shape[1] / width
    return image[down.astype(int)][:, across.astype(int)]


def _wrap_titles(titles, width, font=None):
    """Titles broken into lines that fit `width` pixels, and the font's size in pixels."""
    advance = 0.62  # of the font's size: a bold letter's usual width
    words = [len(word) for title in titles for word in str(title).split()] or [1]
    font = font or min(0.09 * width, 30, 0.96 * width / (advance * max(words)))
    per_line = max(1, int(width / (advance * font)))
    return [textwrap.fill(str(title), per_line) for title in titles], font
