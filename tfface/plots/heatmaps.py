"""Where faces change, and which features do: grids of heat over faces, and of lit features."""

import textwrap

import matplotlib
import numpy as np

from tfface.plots import canvas
from tfface.plots.images import as_rgb, heat_overlay, heat_scale

_FACE, _SMALL_FACE = 200, 120  # pixels
_GAP, _SCALE = 10, 130
_MAP_ROWS = 8  # Fig. 4 of the magnification paper shows 256 features as 8x32
_LIT_COLORS = ("#20242B", "#FFD23F")


def heat_grid(rows, column_titles, path, row_titles=None, title=None, label="heat", peak=None):
    """Draws faces, and faces under heat, side by side; all heat has one scale of colors.

    Fig. 5 of the magnification paper.

    Args:
        rows: Rows of cells, each row as long as `column_titles`. A cell is an image (H, W, 3) or
            (H, W, 1), float in [0, 1]; or a pair of an image and the heat to lay over it, (h, w), 0
            and above; or None for nothing.
        column_titles: A title for each column.
        path: File to write.
        row_titles: A title for each row, written at its left, or None.
        title: Title of the figure, or None.
        label: What the colors measure.
        peak: The heat drawn hottest; None for the largest of all.

    Raises:
        ValueError: If there is no cell, a row is not as long as `column_titles`, the number of
            `row_titles` is not that of rows, or an image or a heat is not of such a shape.
    """
    _check_grid(rows, column_titles, row_titles)
    heats = [np.max(cell[1]) for row in rows for cell in row if isinstance(cell, tuple)]
    largest = float(max(heats, default=0.0))
    peak = largest if peak is None else peak
    widths, right = [_FACE] * len(column_titles), _SCALE if heats else 0
    grid = _Grid(widths, _FACE, len(rows), row_titles, title, right)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if cell is not None:
                shown = heat_overlay(*cell, peak) if isinstance(cell, tuple) else as_rgb(cell)
                grid.cell(i, j).imshow(shown, interpolation="nearest")
    grid.write_titles(column_titles, row_titles, title)
    if heats:
        beyond = "max" if largest > peak else "neither"
        axes = grid.bar()
        text = textwrap.fill(label, int(axes.get_window_extent().height / 7.5))
        bar = grid.figure.colorbar(heat_scale(peak), cax=axes, label=text, extend=beyond)
        bar.formatter.set_powerlimits((-3, 4))  # longer numbers would push the label out
        bar.ax.yaxis.get_offset_text().set(ha="left", x=2.2)
    canvas.write(grid.figure, path)


def lit_grid(rows, image_titles, map_titles, path, row_titles=None, title=None):
    """Draws faces beside maps of the features that are lit between them, with their number.

    Fig. 4 of the magnification paper.

    Args:
        rows: (images, maps) each: an image (H, W, 3) or (H, W, 1), float in [0, 1], for each of
            `image_titles`; and for each of `map_titles` which features are lit, (n,) bool, n a
            multiple of 8: they are drawn in eight rows.
        image_titles: A title for each column of images.
        map_titles: A title for each column of maps.
        path: File to write.
        row_titles: As in `heat_grid`.
        title: Title of the figure, or None.

    Raises:
        ValueError: If there is no row, one does not have an image and a map for each title, the
            number of `row_titles` is not that of rows, or an image or a map is not of such a shape.
    """
    cells = [[*images, *maps] for images, maps in rows]
    titles = [*image_titles, *map_titles]
    _check_grid(cells, titles, row_titles)
    shapes = {np.shape(lit) for _, maps in rows for lit in maps}
    if len(shapes) > 1 or any(len(s) != 1 or not s[0] or s[0] % _MAP_ROWS for s in shapes):
        raise ValueError(
            f"Maps of lit features must have one shape (n,), n a multiple of {_MAP_ROWS}. "
            f"Received: shapes {sorted(shapes)}"
        )
    widths = [_SMALL_FACE] * len(image_titles) + [3.5 * _SMALL_FACE] * len(map_titles)
    grid = _Grid(widths, _SMALL_FACE, len(rows), row_titles, title)
    for i, (images, maps) in enumerate(rows):
        for j, image in enumerate(images):
            grid.cell(i, j).imshow(as_rgb(image), interpolation="nearest")
        for j, lit in enumerate(maps, start=len(image_titles)):
            _draw_lit(grid.cell(i, j), np.asarray(lit, bool))
    grid.write_titles(titles, row_titles, title)
    canvas.write(grid.figure, path)


class _Grid:
    """A figure whose cells lie at whole pixels, with room for titles and a bar of colors."""

    def __init__(self, widths, height, rows, row_titles, title, right=0):
        lines = [line for name in row_titles or [] for line in str(name).splitlines()]
        longest = max(map(len, lines), default=0)
        self._lefts = np.cumsum([_GAP + (8 * longest + _GAP if longest else 0), *widths]) + (
            _GAP * np.arange(len(widths) + 1)
        )
        self._widths, self._height, self._rows = widths, height, rows
        self._top = 40 + (40 if title else 0)
        self._pixels = self._lefts[-1] + right, self._top + rows * (height + _GAP)
        self.figure = canvas.figure(*self._pixels)

    def cell(self, row, column):
        """Axes without ticks and frame."""
        axes = self._axes(
            self._lefts[column], self._row_top(row), self._widths[column], self._height
        )
        axes.set_axis_off()
        return axes

    def bar(self):
        """Axes for the scale of colors, at the right of the upper rows."""
        height = min(self._rows * (self._height + _GAP) - _GAP, 2.2 * self._height)
        return self._axes(self._lefts[-1] + _GAP, self._top, 18, height)

    def write_titles(self, column_titles, row_titles, title):
        """Writes them beside the cells that they name."""
        width, height = self._pixels
        if title:
            text = textwrap.fill(str(title), max(10, int(width / 9)))
            self.figure.text(0.5, 1 - 20 / height, text, ha="center", va="center", fontsize=12)
        for name, left, wide in zip(column_titles, self._lefts[:-1], self._widths, strict=True):
            text = textwrap.fill(str(name), max(10, int(wide / 8)))
            x, y = (left + wide / 2) / width, 1 - (self._top - 20) / height
            self.figure.text(x, y, text, ha="center", va="center", weight="bold", fontsize=10)
        for row, name in enumerate(row_titles or []):
            x = (self._lefts[0] - _GAP) / width
            y = 1 - (self._row_top(row) + self._height / 2) / height
            self.figure.text(x, y, str(name), ha="right", va="center", fontsize=10)

    def _row_top(self, row):
        return self._top + row * (self._height + _GAP)

    def _axes(self, left, top, wide, high):
        width, height = self._pixels
        return self.figure.add_axes(
            (left / width, 1 - (top + high) / height, wide / width, high / height)
        )


def _draw_lit(axes, lit):
    table = lit.reshape(_MAP_ROWS, -1)
    colors = matplotlib.colors.ListedColormap(_LIT_COLORS)
    axes.pcolormesh(table, cmap=colors, vmin=0, vmax=1, edgecolors="#4A505A", linewidth=0.4)
    axes.set_ylim(_MAP_ROWS + 1.5, 0)  # the first on top; below them the number
    middle = table.shape[1] / 2
    text = f"{lit.sum()} of {lit.size} lit"
    axes.text(middle, _MAP_ROWS + 0.9, text, ha="center", va="center", fontsize=9)


def _check_grid(rows, column_titles, row_titles):
    if not rows or any(len(row) != len(column_titles) or not row for row in rows):
        raise ValueError(
            "Each of `rows`, at least one, must hold a cell for each column's title. "
            f"Received: rows of {sorted({len(row) for row in rows})} cells, "
            f"{len(column_titles)} titles"
        )
    if row_titles is not None and len(row_titles) != len(rows):
        raise ValueError(
            "`row_titles` must hold a title for each of `rows`. "
            f"Received: {len(row_titles)} titles, {len(rows)} rows"
        )
