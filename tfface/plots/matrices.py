"""Tables of classes against classes."""

import numpy as np

from tfface.plots import canvas, numbers


def confusion_matrix(counts, class_names, path, title=None):
    """Draws which class was taken for which: in each row, the share of that true class.

    Args:
        counts: (n, n) array; `counts[i, j]` samples of class i were predicted as class j.
        class_names: The n names.
        path: File to write.
        title: Title of the figure, or None.

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
            text = f"{numbers.percent(shares[i, j])}\n({counts[i, j]:g})" if counts[i, j] else "0"
            color = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, text if totals[i] else "-", ha="center", va="center", color=color)
    axes.set_xticks(range(n), class_names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title or "")
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    canvas.write(figure, path)
