"""Tables of classes against classes."""

import matplotlib
import matplotlib.patches
import numpy as np

from tfface.metrics import mean_of_defined
from tfface.plots import canvas

_CELL = 40  # pixels, in which a number of three decimals has room


def confusion_matrix(counts, class_names, path, title=None, rows="true class"):
    """Draws which class was taken for which: in each row, the share of that true class.

    Args:
        counts: (n, n) array; `counts[i, j]` samples of class i were predicted as class j.
        class_names: The n names.
        path: File to write.
        title: Title of the figure, or None.
        rows: What the rows are.

    Raises:
        ValueError: If `counts` is not (n, n) for n class names.
    """
    counts = np.asarray(counts, dtype=np.float64)
    n = len(class_names)
    if counts.shape != (n, n):
        raise ValueError(
            f"`counts` must have shape ({n}, {n}) for {n} class names. "
            f"Received: shape {counts.shape}"
        )
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = max(420, 90 * n)
    figure = canvas.figure(side + 160, side + 60, layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(n):
        for j in range(n):
            text = f"{canvas.percent(shares[i, j])}\n({counts[i, j]:g})" if counts[i, j] else "0"
            color = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, text if totals[i] else "-", ha="center", va="center", color=color)
    axes.set_xticks(range(n), class_names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel(rows)
    axes.set_title(title or "")
    figure.colorbar(picture, ax=axes, label=f"share of the {rows}", shrink=0.8)
    canvas.write(figure, path)


def difference_matrices(matrices, names, path, title=None):
    """Draws how far conditional probabilities are from the true ones, a table for each method.

    Fig. 6 of the recognition paper: in row i and column j the absolute difference between P(i | j)
    of a method's answers and of the ground truth. All tables share one scale of colors; over each
    stands the mean of its cells off the diagonal, on which P(i | i) is 1 for all.

    Args:
        matrices: Dict from a method's name to its differences (n, n), 0 and above; NaN where there
            is none, because j was never present.
        names: The n names, such as `AU12`.
        path: File to write.
        title: Title of the figure, or None.

    Raises:
        ValueError: If there is no method, or the differences of one are not (n, n) for n names.
    """
    n = len(names)
    tables = {name: np.asarray(values, dtype=np.float64) for name, values in matrices.items()}
    if not tables or any(table.shape != (n, n) for table in tables.values()):
        raise ValueError(
            f"`matrices`, at least one, must each have shape ({n}, {n}) for {n} names. "
            f"Received: shapes {[table.shape for table in tables.values()]}"
        )
    peak = max(table[~np.isnan(table)].max(initial=0) for table in tables.values())
    side = max(360, _CELL * n)
    figure = canvas.figure(len(tables) * (side + 90) + 100, side + 130, layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        picture = _numbered_table(axes, table, peak or 1)
        axes.set_xticks(range(n), names, rotation=90)
        axes.set_yticks(range(n), names)
        axes.set_xlabel("j")
        axes.set_ylabel("i")
        mean = mean_of_defined(table[~np.eye(n, dtype=bool)])
        axes.set_title(f"{name} (mean {mean:.3f})" if np.isfinite(mean) else f"{name} (no mean)")
    figure.colorbar(picture, ax=panels, label="difference of P(i | j)", shrink=0.8)
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def change_matrix(changes, names, path, marked=None, title=None, row_label=None, column_label=None):
    """Draws by how much each cause (row) changed each figure (column), up in red, down in blue.

    Args:
        changes: (n, n) array; NaN where there is none.
        names: The n names, such as `AU12`.
        path: File to write.
        marked: (n, n) bool, cells to frame, or None.
        title: Title of the figure, or None.
        row_label: What the rows are, or None.
        column_label: What the columns are, or None.

    Raises:
        ValueError: If `changes` or `marked` is not (n, n) for n names.
    """
    n, table = len(names), np.asarray(changes, dtype=np.float64)
    marked = np.zeros((n, n), bool) if marked is None else np.asarray(marked)
    for name, array in (("changes", table), ("marked", marked)):
        if array.shape != (n, n):
            raise ValueError(
                f"`{name}` must have shape ({n}, {n}) for {n} names. Received: shape {array.shape}"
            )
    peak = np.abs(table[~np.isnan(table)]).max(initial=0) or 1
    side = max(360, _CELL * n)
    figure = canvas.figure(side + 190, side + 130, layout="constrained")
    axes = figure.subplots()
    colors = matplotlib.colormaps["RdBu_r"].with_extremes(bad="#D8D8D8")
    picture = axes.imshow(np.ma.masked_invalid(table), cmap=colors, vmin=-peak, vmax=peak)
    for (i, j), value in np.ndenumerate(table):
        text = "-" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")
        color = "white" if np.abs(value) > 0.65 * peak else "black"
        label = axes.text(j, i, text, ha="center", va="center", color=color, fontsize=8)
        label.set_in_layout(False)
        if marked[i, j]:
            frame = (j - 0.47, i - 0.47), 0.94, 0.94
            axes.add_patch(matplotlib.patches.Rectangle(*frame, fill=False, ec="#404040", lw=1))
    axes.set_xticks(range(n), names, rotation=90)
    axes.set_yticks(range(n), names)
    axes.set_xlabel(column_label or "")
    axes.set_ylabel(row_label or "")
    figure.colorbar(picture, ax=axes, shrink=0.8)
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def _numbered_table(axes, table, peak):
    """Colored cells with their numbers; grey with a dash where there is none."""
    colors = matplotlib.colormaps["Blues"].with_extremes(bad="#D8D8D8")
    picture = axes.imshow(np.ma.masked_invalid(table), cmap=colors, vmin=0, vmax=peak)
    for (i, j), value in np.ndenumerate(table):
        text = "-" if np.isnan(value) else f"{value:.3f}"
        color = "white" if value > 0.55 * peak else "black"
        label = axes.text(j, i, text, ha="center", va="center", color=color, fontsize=8)
        label.set_in_layout(False)  # hundreds of them, none of which needs room outside its cell
    return picture
