"""A Confusion as a table and a picture."""

import numpy as np

from tfface.plots.matrices import confusion_matrix
from tfface.tables import write_table


def write_confusion(path, confusion, title, rows="true class"):
    """Writes which class was taken for which, in percent: `<path>.csv`, `.md` and `.png`.

    Args:
        path: Where, without a suffix.
        confusion: Confusion.
        title: Title of the picture.
        rows: What the table's rows are.
    """
    faces = confusion.matrix.sum(axis=1)
    table = [
        [name, *("-" if np.isnan(share) else f"{share:.1f}" for share in shares), str(count)]
        for name, shares, count in zip(confusion.classes, confusion.percentages, faces, strict=True)
    ]
    write_table(path, [f"{rows} (%)", *confusion.classes, "faces"], table)
    picture = path.with_name(f"{path.name}.png")
    confusion_matrix(confusion.matrix, confusion.classes, picture, title, rows)
