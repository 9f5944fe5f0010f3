"""Tables that a run leaves behind: for programs as CSV, for readers as Markdown.

Cells are what `str` makes of them, so that whoever writes a table says how its numbers are rounded;
a file and the terminal then show the same figures.
"""

import csv
from pathlib import Path

from tfface.atomic import written_aside


def markdown(header, rows):
    """A table as lines of Markdown whose columns also line up as plain text.

    Args:
        header: A title for each column.
        rows: List of rows of cells, each as long as `header`.

    Returns:
        List of lines: the header's, a rule, then one a row.

    Raises:
        ValueError: If a row is not as long as `header`.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"Each of `rows` must have a cell for each of {len(header)} columns. "
                f"Received: {len(row)} cells in {list(row)}"
            )
    table = [[str(cell).replace("|", r"\|") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def write_table(path, header, rows):
    """Writes a table twice, as `<path>.csv` and as `<path>.md`.

    Args:
        path: Where, without a suffix.
        header: A title for each column.
        rows: List of rows of cells, each as long as `header`.

    Raises:
        ValueError: If a row is not as long as `header`.
    """
    path, lines = Path(path), markdown(header, rows)
    csv_path, markdown_path = (path.with_name(path.name + suffix) for suffix in (".csv", ".md"))
    with written_aside(csv_path) as aside, aside.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    with written_aside(markdown_path) as aside:
        aside.write_text("\n".join(lines) + "\n")
