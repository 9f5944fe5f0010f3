"""What every picture is drawn on: a figure of so many pixels, its colors, and how it is written.

Figures are made with matplotlib's object interface on the Agg canvas: no window, no global state,
safe in threads. They are written aside and renamed, so that a reader (a browser that reloads, a
copy job) never meets half a picture.
"""

import math
import textwrap

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text

from tfface.atomic import written_aside

# Okabe and Ito's colors, which most color-blind readers tell apart.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
GREY = "#B0B0B0"
PIXELS_PER_INCH = 100

_UNKNOWN = "\N{WHITE SQUARE}"


def figure(width, height, layout=None):
    """An empty white figure of that many pixels, bound to the Agg canvas."""
    size = (width / PIXELS_PER_INCH, height / PIXELS_PER_INCH)
    figure = Figure(figsize=size, dpi=PIXELS_PER_INCH, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def write(figure, path):
    """Writes a figure as the format that the suffix of `path` names, whole or not at all.

    Texts are drawn letter by letter as they are: a title may be a file's name, in which `$` begins
    no formula, and in which there may be a letter that the font lacks.
    """
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text(_in_font(text))
    with written_aside(path) as aside:
        figure.savefig(aside)


def _in_font(text):
    """A text with a square, as matplotlib would draw it with a warning, for what its font lacks."""
    font = get_font(findfont(text.get_fontproperties()))
    return "".join(
        letter if letter == "\n" or font.get_char_index(ord(letter)) else _UNKNOWN
        for letter in text.get_text()
    )


def add_title(figure, title):
    """A title over all panels, on as many lines as it takes; none if it is None."""
    if title:
        text = figure.suptitle(title, parse_math=False)
        text.set_text(_in_font(text))
        lines = math.ceil(text.get_window_extent().width / (0.95 * figure.bbox.width))
        text.set_text(textwrap.fill(text.get_text(), math.ceil(len(title) / lines)))


def colors(count):
    """That many colors, which come again after the eighth."""
    return [COLORS[i % len(COLORS)] for i in range(count)]


def plain_axes(axes, grid="both"):
    """Takes the frame's top and right side off, and lays a faint grid under what is drawn."""
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color="#E4E4E4")
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure, *panels):
    """One legend under all panels; what several of them draw stands in it once."""
    entries = {}
    for axes in panels:
        handles, names = axes.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    columns = min(len(entries), 6)
    place = "outside lower center"
    figure.legend(entries.values(), entries.keys(), loc=place, ncols=columns, frameon=False)


def percent(share):
    """A share of 1 as a short text: 67%, 4.3%, 0%."""
    return f"{100 * share:.0f}%" if share >= 0.1 or share == 0 else f"{100 * share:.1f}%"
