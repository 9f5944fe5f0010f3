"""Sheets of faces and what was made of each: one row a face, one column a class."""

import textwrap

from tfface.plots import canvas
from tfface.plots.images import as_rgb

_FACE, _GAP, _CAPTION, _TITLES = 180, 8, 26, 34  # pixels
_LETTER = 8.2  # pixels of a usual letter
_CHOSEN = canvas.COLORS[3]


def expression_sheet(rows, classes, path, first="Face", title=None):
    """Draws faces, and beside each what was made of it for each class, with captions below.

    Args:
        rows: List of dicts: `face` (H, W, 3) or (H, W, 1), float in [0, 1], or None for nothing;
            `made`, such an image, or None, for each class; and, where they are wanted, `title`,
            written at the left, `captions`, a text for each class, and `chosen`, the position of
            the class that is framed.
        classes: Titles of the columns of what was made.
        path: File to write.
        first: Title of the faces' column.
        title: Title of the figure, or None.

    Raises:
        ValueError: If there is no row, one does not have an image for each class, or an image is
            not of such a shape and type.
    """
    if not rows or any(len(row["made"]) != len(classes) for row in rows):
        raise ValueError(
            "Each of `rows`, at least one, must hold an image for each of `classes`. "
            f"Received: rows of {sorted({len(row['made']) for row in rows})} images, "
            f"{len(classes)} classes"
        )
    captions = _CAPTION if any(row.get("captions") for row in rows) else 0
    names = [textwrap.wrap(str(row.get("title") or ""), 18) for row in rows]
    left = _GAP + int(_LETTER * max((len(line) for name in names for line in name), default=0))
    left += 2 * _GAP if left > _GAP else 0
    top = _TITLES * (2 if title else 1)
    high = _FACE + _GAP + captions
    width = left + (1 + len(classes)) * (_FACE + _GAP)
    height = top + len(rows) * high
    figure = canvas.figure(width, height)

    def write(x, y, text, **style):
        figure.text(x / width, 1 - y / height, text, va="center", **style)

    for column, name in enumerate([first, *classes]):
        x = left + column * (_FACE + _GAP) + _FACE / 2
        write(x, top - _TITLES / 2, str(name), ha="center", weight="bold", fontsize=11)
    if title:
        write(width / 2, _TITLES / 2, str(title), ha="center", fontsize=12)
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = top + number * high
        if name:
            write(left - 2 * _GAP, y + _FACE / 2, "\n".join(name), ha="right", fontsize=10)
        for column, image in enumerate([row["face"], *row["made"]]):
            x = left + column * (_FACE + _GAP)
            chosen = column > 0 and row.get("chosen") == column - 1
            if image is not None:
                place = (x / width, 1 - (y + _FACE) / height, _FACE / width, _FACE / height)
                _draw(figure.add_axes(place), image, chosen)
            if column and row.get("captions"):
                style = {"weight": "bold", "color": _CHOSEN} if chosen else {}
                text, below = str(row["captions"][column - 1]), y + _FACE + _CAPTION / 2
                write(x + _FACE / 2, below, text, ha="center", fontsize=10, **style)
    canvas.write(figure, path)


def _draw(axes, image, chosen):
    axes.imshow(as_rgb(image), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=chosen, color=_CHOSEN, linewidth=4)
