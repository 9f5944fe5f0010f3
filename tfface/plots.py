"""Pictures that a run leaves behind: image grids, label distributions, scores, curves, heat maps.

Every function takes plain arrays, draws one figure and writes it to a path whose suffix names the
format (`.png`, `.pdf`, ...). Figures are made with matplotlib's object interface on the Agg canvas:
no window, no global state, safe in threads. They are written aside and renamed, so that a reader (a
browser that reloads, a copy job) never meets half a picture.
"""

import textwrap

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfface.atomic import written_aside

# Okabe and Ito's colors, which most color-blind readers tell apart.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
_GREY = "#B0B0B0"
_PIXELS_PER_INCH = 100
_SMALLEST_CELL = 192  # pixels; below this a face on a screen is a stamp


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
    rows = [[_rgb(image) for image in row] for row in rows]
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

    figure = _figure(figure_width, figure_height)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            # figimage sets pixels as they are; it counts rows from the bottom.
            figure.figimage(
                _enlarge(image, height, width),
                xo=left + j * (width + gap),
                yo=figure_height - top - i * (height + gap) - height,
            )
    style = {"fontsize": font * 72 / _PIXELS_PER_INCH, "linespacing": 1.2}
    for j, text in enumerate(columns_text):
        x = (left + j * (width + gap) + width / 2) / figure_width
        y = 1 - top / 2 / figure_height
        figure.text(x, y, text, ha="center", va="center_baseline", weight="bold", **style)
    for i, text in enumerate(rows_text):
        y = 1 - (top + i * (height + gap) + height / 2) / figure_height
        figure.text((left - font) / figure_width, y, text, ha="right", va="center", **style)
    _write(figure, path)


def label_distribution(labels, action_units, path):
    """Draws how often each action unit is present and absent, a panel for each set of labels.

    Fig. 4 of the restoration paper. Over each bar of present labels stands their share of the known
    ones.

    Args:
        labels: Dict from the name of a set to its labels (n, n_au): 1 present, 0 absent, NaN not
            coded.
        action_units: The numbers of the action units, in the order of the labels' columns.
        path: File to write.

    Raises:
        ValueError: If there is no set, or the labels of one do not have a column for each action
            unit.
    """
    if not labels:
        raise ValueError("`labels` must hold at least one set. Received: none")
    figure = _figure(
        120 + len(labels) * max(420, 62 * len(action_units)), 420, layout="constrained"
    )
    panels = figure.subplots(1, len(labels), squeeze=False)[0]
    for axes, (name, values) in zip(panels, labels.items(), strict=True):
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(action_units):
            raise ValueError(
                f"`labels` of {name!r} must have shape (n, {len(action_units)}). "
                f"Received: shape {values.shape}"
            )
        missing = np.isnan(values).sum(axis=0)
        present = (values > 0.5).sum(axis=0)
        absent = len(values) - missing - present
        bars = {"present": (present, COLORS[1]), "absent": (absent, COLORS[0])}
        if missing.any():
            bars["not coded"] = (missing, _GREY)
        _grouped_bars(
            axes,
            {key: counts for key, (counts, _) in bars.items()},
            [color for _, color in bars.values()],
        )
        known = present + absent
        shares = [_percent(p / k) if k else "-" for p, k in zip(present, known, strict=True)]
        names = [f"AU{n}\n{share}" for n, share in zip(action_units, shares, strict=True)]
        axes.set_xticks(range(len(names)), names)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_title(f"{name} ({len(values):,} frames)")
        axes.set_xlabel("action unit, and how often it is present where it is coded")
    panels[0].set_ylabel("frames")
    _legend_below(figure, *panels)
    _write(figure, path)


def score_bars(labels, series, path, title=None, y_label=None):
    """Draws one bar for each label and method, and last the average of each method, with its value.

    Args:
        labels: Names of what is scored, such as `AU12`.
        series: Dict from a method's name to one score for each label; NaN (no score) has no bar and
            takes no part in the average.
        path: File to write.
        title: Title of the figure, or None.
        y_label: Name of the score, or None.

    Raises:
        ValueError: If there is no series or one does not have a score for each label.
    """
    scores = {name: np.asarray(values, dtype=np.float64) for name, values in series.items()}
    if not scores or any(values.shape != (len(labels),) for values in scores.values()):
        raise ValueError(
            f"`series`, at least one, must each hold {len(labels)} numbers. "
            f"Received: shapes {[values.shape for values in scores.values()]}"
        )
    averages = {name: _mean_of_defined(values) for name, values in scores.items()}
    groups = {name: np.append(values, averages[name]) for name, values in scores.items()}
    figure = _figure(
        max(640, 160 + (14 * len(scores) + 24) * (len(labels) + 1)), 460, layout="constrained"
    )
    axes = figure.subplots()
    _grouped_bars(axes, groups, _colors(len(groups)))
    thickness = _BAR_SPACE / len(groups)
    for i, average in enumerate(averages.values()):
        if np.isfinite(average):
            x = len(labels) - _BAR_SPACE / 2 + (i + 0.5) * thickness
            axes.annotate(
                f"{average:.3g}",
                (x, average),
                (0, 3),
                ha="center",
                va="bottom",
                textcoords="offset points",
                fontsize=8,
                rotation=90,
            )
    axes.axvline(len(labels) - 0.5, color=_GREY, linewidth=1, linestyle=":")
    axes.set_xticks(range(len(labels) + 1), [*labels, "average"])
    axes.set_ylabel(y_label or "")
    axes.set_title(title or "")
    finite = np.concatenate(list(groups.values()))
    finite = finite[np.isfinite(finite)]
    if finite.size and finite.min() >= 0 and finite.max() <= 1:
        axes.set_ylim(0, 1)
    _legend_below(figure, axes)
    _write(figure, path)


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
    figure = _figure(side + 160, side + 60, layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(n):
        for j in range(n):
            text = f"{_percent(shares[i, j])}\n({counts[i, j]:g})" if counts[i, j] else "0"
            color = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, text if totals[i] else "-", ha="center", va="center", color=color)
    axes.set_xticks(range(n), class_names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title or "")
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    _write(figure, path)


def curves(x, series, path, x_label, y_label, title=None):
    """Draws a value against x, one line a variant, with its spread over runs.

    Args:
        x: (n,) positions.
        series: Dict from a variant's name to its values: (n,), or (runs, n), of which the line is
            the mean and the band one standard deviation to either side.
        path: File to write.
        x_label: What x is.
        y_label: What the values are.
        title: Title of the figure, or None.

    Raises:
        ValueError: If there is no series or one does not have a value for each x.
    """
    x = np.asarray(x, dtype=np.float64)
    values = {name: np.atleast_2d(np.asarray(v, dtype=np.float64)) for name, v in series.items()}
    if not values or any(v.ndim != 2 or v.shape[1:] != x.shape for v in values.values()):
        raise ValueError(
            f"`series`, at least one, must each have shape ({len(x)},) or (runs, {len(x)}). "
            f"Received: shapes {[np.shape(v) for v in series.values()]}"
        )
    figure = _figure(720, 460, layout="constrained")
    axes = figure.subplots()
    for (name, runs), color in zip(values.items(), _colors(len(values)), strict=True):
        mean, spread = runs.mean(axis=0), runs.std(axis=0)
        axes.plot(
            x,
            mean,
            color=color,
            label=name,
            linewidth=2,
            marker="o" if len(x) <= 20 else None,
            markersize=5,
        )
        if len(runs) > 1:
            axes.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title or "")
    axes.grid(color="#E4E4E4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    _write(figure, path)


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
    image, heat = _rgb(image), np.asarray(heat, dtype=np.float32)
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
    figure = _figure(560, 480, layout="constrained")
    axes = figure.subplots()
    axes.imshow(overlay, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title or "")
    scale = matplotlib.cm.ScalarMappable(
        matplotlib.colors.Normalize(0, peak if peak > 0 else 1), _HEAT_COLORS
    )
    figure.colorbar(scale, ax=axes, label=label, shrink=0.9)
    _write(figure, path)


_BAR_SPACE = 0.8  # of the distance between two groups of bars
_HEAT_COLORS = "YlOrRd"


def _figure(width, height, layout=None):
    """An empty white figure of that many pixels, bound to the Agg canvas."""
    size = (width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH)
    figure = Figure(figsize=size, dpi=_PIXELS_PER_INCH, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _write(figure, path):
    with written_aside(path) as aside:
        figure.savefig(aside)


def _rgb(image):
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


def _colors(count):
    return [COLORS[i % len(COLORS)] for i in range(count)]


def _grouped_bars(axes, groups, colors):
    """Bars side by side: `groups` maps a name to one height for each position 0, 1, ..."""
    thickness = _BAR_SPACE / len(groups)
    for i, ((name, heights), color) in enumerate(zip(groups.items(), colors, strict=True)):
        x = np.arange(len(heights)) - _BAR_SPACE / 2 + (i + 0.5) * thickness
        axes.bar(x, np.nan_to_num(heights), width=thickness * 0.94, color=color, label=name)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#E4E4E4")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(heights) - 0.4)


def _legend_below(figure, *panels):
    entries = {}
    for axes in panels:
        handles, names = axes.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    columns = min(len(entries), 6)
    place = "outside lower center"
    figure.legend(entries.values(), entries.keys(), loc=place, ncols=columns, frameon=False)


def _percent(share):
    return f"{100 * share:.0f}%" if share >= 0.1 or share == 0 else f"{100 * share:.1f}%"


def _mean_of_defined(values):
    defined = values[~np.isnan(values)]
    return defined.mean() if defined.size else np.nan
