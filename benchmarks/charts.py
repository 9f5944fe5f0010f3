"""The pictures beside the tables: bars of rivals, and lines of what grows."""

from dataclasses import dataclass, field

import numpy as np

from tfface.plots import canvas

_WIDTH, _BAR, _AROUND = 900, 26, 80  # pixels: of a picture, of a bar, around the bars of a panel


@dataclass(frozen=True)
class Bars:
    """Rivals in one measure.

    Args:
        title: What is compared.
        unit: What the lengths are.
        values: Dict from a rival's name to its figure; NaN where it has none.
        texts: Dict from a rival's name to what is written at its bar; None for the figure.
        target: Figure that is asked for, drawn as a line; None for none.
    """

    title: str
    unit: str
    values: dict
    texts: dict | None = None
    target: float | None = None


@dataclass(frozen=True)
class Growth:
    """A figure against a size.

    Args:
        title: What is measured.
        size: What grows.
        unit: What the figure is in.
        points: Dict from a size, above 0, to the figure there, above 0.
        exponent: Slope of the line through the points on logarithmic axes.
    """

    title: str
    size: str
    unit: str
    points: dict
    exponent: float = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "exponent", fitted(self.points)[0])


def fitted(points):
    """The exponent e and factor f of `f size^e`, the least squares of the logarithms.

    Args:
        points: Dict of at least two different sizes to figures, all above 0.

    Returns:
        Pair of floats.

    Raises:
        ValueError: If there are fewer points, or some are not above 0.
    """
    sizes, figures = (np.array(list(each), np.float64) for each in (points, points.values()))
    if len(sizes) < 2 or not (np.all(sizes > 0) and np.all(figures > 0)):
        raise ValueError(f"`points` must be at least two, all above 0. Received: {points}")
    exponent, logarithm = np.polyfit(np.log(sizes), np.log(figures), 1)
    return float(exponent), float(np.exp(logarithm))


def draw_bars(panels, path, title):
    """Draws a panel of lying bars for each comparison; each of a few rivals has its color.

    Args:
        panels: List of Bars.
        path: File to write.
        title: Title of the picture.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.values))
    # Where they are many their names tell them apart, and colors would come again.
    chosen = canvas.colors(len(names)) if len(names) <= 4 else canvas.colors(1) * len(names)
    colors = dict(zip(names, chosen, strict=True))
    heights = [_BAR * len(panel.values) + _AROUND for panel in panels]
    figure = canvas.figure(_WIDTH, sum(heights) + 40, layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for each, panel in zip(axes, panels, strict=True):
        _bars(each, panel, colors)
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def _bars(axes, panel, colors):
    places = np.arange(len(panel.values))
    lengths = np.nan_to_num([float(value) for value in panel.values.values()])
    axes.barh(places, lengths, height=0.8, color=[colors[name] for name in panel.values])
    canvas.plain_axes(axes, grid="x")
    if panel.target is not None:
        axes.axvline(panel.target, color="#404040", linestyle="--", linewidth=1)
    for place, length, (name, value) in zip(places, lengths, panel.values.items(), strict=True):
        text = (panel.texts or {}).get(name) or number(value)
        # On white, since the line of the target may pass there.
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        offset = (max(length, 0), place), (4, 0)
        axes.annotate(text, *offset, textcoords="offset points", va="center", bbox=box, fontsize=9)
    axes.set_yticks(places, list(panel.values))
    axes.invert_yaxis()
    longest = max([*lengths, panel.target or 0, 1e-9])
    axes.set_xlim(min(0, *lengths) * 1.1, 1.25 * longest)  # room for what is written at a bar
    dashed = "" if panel.target is None else f" (dashed: the target, {panel.target:g})"
    axes.set_xlabel(f"{panel.unit}{dashed}")
    axes.set_title(panel.title, fontsize=10, loc="left")


def number(value):
    """Three digits, or all of a larger number: 0.0123, 1.23, 12,345; "-" for NaN."""
    if value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def draw_growth(panels, path, title):
    """Draws each figure against its size on logarithmic axes, with the line that fits it.

    Args:
        panels: List of Growth; two stand side by side.
        path: File to write.
        title: Title of the picture.
    """
    rows = -(-len(panels) // 2)
    figure = canvas.figure(_WIDTH, 320 * rows + 40, layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for each, panel, color in zip(axes, panels, canvas.colors(2) * rows, strict=False):
        _grown(each, panel, color)
    for unused in axes[len(panels) :]:
        unused.set_visible(False)
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def draw_over_steps(steps, series, path, title, unit):
    """Draws a figure over the steps of a training, from 0 on: what stays is seen to stay.

    Args:
        steps: Numbers of steps.
        series: Dict from a name to the figure after each.
        path: File to write.
        title: Title of the picture.
        unit: What the figure is.
    """
    figure = canvas.figure(_WIDTH, 360, layout="constrained")
    axes = figure.subplots()
    for (name, values), color in zip(series.items(), canvas.colors(len(series)), strict=True):
        axes.plot(steps, values, "o-", color=color, label=name)
    axes.set_ylim(0, 1.3 * max(max(values) for values in series.values()))
    axes.set_xlabel("steps")
    axes.set_ylabel(unit)
    canvas.plain_axes(axes)
    axes.legend(frameon=False, loc="upper left", ncols=len(series))
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def _grown(axes, panel, color):
    sizes, figures = (np.array(list(x), float) for x in (panel.points, panel.points.values()))
    exponent, factor = fitted(panel.points)
    axes.plot(sizes, figures, "o", color=color, label="measured")
    line = factor * sizes**exponent
    axes.plot(sizes, line, "--", color=color, label=f"exponent {exponent:z.2f}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    # Even steps of a factor, wide enough for the legend's lines above or below the points.
    low, high = figures.min() / 1.5, figures.max() * 2.5
    ticks = _round_numbers(low, high)
    axes.set_yticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(low, high)
    axes.set_xlabel(panel.size)
    axes.set_ylabel(panel.unit)
    axes.set_title(panel.title, fontsize=10, loc="left")
    canvas.plain_axes(axes)
    axes.legend(frameon=False, loc="upper left", ncols=2)


def _round_numbers(low, high):
    """1, 2, 5, 10, ... between two numbers, or only every third of them where they are many."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    numbers = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    inside = [number for number in numbers if low <= number <= high]
    return inside if len(inside) <= 8 else [n for n in inside if f"{n:e}"[0] == "1"]
