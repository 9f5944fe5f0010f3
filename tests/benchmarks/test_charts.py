"""The pictures beside the tables: exponents, and text that can be read."""

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from benchmarks import charts
from benchmarks.charts import (
    Bars,
    Growth,
    draw_bars,
    draw_growth,
    draw_over_steps,
    fitted,
    number,
)
from tfface.plots import canvas


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are written, in a list."""
    figures, write = [], canvas.write

    def kept(figure, path):
        figures.append(figure)
        write(figure, path)

    monkeypatch.setattr(charts.canvas, "write", kept)
    return figures


def assert_readable(figure):
    """No text lies on another, and none is cut off."""
    figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    texts = [text for text in texts if text not in set(beyond(figure))]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for (a, first), (b, second) in itertools.combinations(boxes, 2):
        assert not first.overlaps(second) or first.width * second.width == 0, f"{a!r} on {b!r}"
    for text, box in boxes:
        assert box.x0 >= -1 and box.x1 <= figure.bbox.width + 1, f"{text!r} is cut off"
        assert box.y0 >= -1 and box.y1 <= figure.bbox.height + 1, f"{text!r} is cut off"


def beyond(figure):
    """The labels of ticks that lie beyond an axis' ends, which are not drawn."""
    for axes in figure.axes:
        for axis, place in ((axes.xaxis, 0), (axes.yaxis, 1)):
            low, high = sorted(axis.get_view_interval())
            for label in axis.get_ticklabels():
                if not low <= label.get_position()[place] <= high or not axes.get_visible():
                    yield label


def test_a_power_law_has_its_exponent():
    sizes = np.array([1, 2, 5, 8])
    exponent, factor = fitted(dict(zip(sizes, 3.0 * sizes**1.5, strict=True)))
    assert (exponent, factor) == pytest.approx((1.5, 3.0))
    assert Growth("time", "batch", "ms", {1: 7.0, 10: 7.0}).exponent == pytest.approx(0.0)
    # Three points off a line: the slope of least squares, by hand.
    x, y = np.log([1, 2, 4]), np.log([1, 3, 4])
    slope = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
    assert fitted({1: 1, 2: 3, 4: 4})[0] == pytest.approx(slope)


@pytest.mark.parametrize("points", [{1: 2.0}, {0: 1.0, 1: 2.0}, {1: 0.0, 2: 1.0}])
def test_no_line_goes_through_other_points(points):
    with pytest.raises(ValueError, match="`points` must be at least two, all above 0"):
        fitted(points)


def test_numbers_are_short():
    found = [number(value) for value in (0.01234, 1.234, 99.96, 100.4, 12345.6, np.nan)]
    assert found == ["0.0123", "1.23", "100", "100", "12,346", "-"]


def test_bars_and_their_figures_can_be_read(drawn, tmp_path):
    many = {f"PatchGraphConv2D combined {i}": 1.3 * i for i in range(9)}
    panels = [
        Bars("paper, batch 8: train step", "ms", {"ours": 8123.4, "PyTorch": 9555.0}),
        Bars("memory", "MiB", {"ours": 1200, "PyTorch": np.nan}, {"ours": "1200 ± 3"}),
        Bars("batches for each step", "batches", {"ours": 52.7, "PyTorch": 5.2}, target=5),
        Bars("layers", "ms", many),
    ]
    draw_bars(panels, tmp_path / "bars.png", "Restoration: ours beside PyTorch")
    assert (tmp_path / "bars.png").stat().st_size > 10_000
    (figure,) = drawn
    assert_readable(figure)
    written = {text.get_text() for text in figure.findobj(Text)}
    assert {"8,123", "9,555", "1200 ± 3", "-", "52.7", "5.2"} <= written
    lengths = [[bar.get_width() for bar in axes.patches] for axes in figure.axes]
    assert lengths[0] == [8123.4, 9555.0] and lengths[1] == [1200, 0]


def test_rivals_keep_their_colors_while_they_are_few(drawn, tmp_path):
    panels = [Bars("a", "ms", {"ours": 1, "PyTorch": 2}), Bars("b", "ms", {"PyTorch": 3})]
    draw_bars(panels, tmp_path / "bars.png", "Few")
    first, second = ([bar.get_facecolor() for bar in axes.patches] for axes in drawn[0].axes)
    assert first[0] != first[1] == second[0]


def test_growth_and_its_exponents_can_be_read(drawn, tmp_path):
    panels = [
        Growth("time", "batch", "ms a step", {1: 120, 2: 210, 4: 450, 8: 900}),
        Growth("memory", "batch", "MiB", {1: 400, 2: 410, 4: 450, 8: 600}),
        Growth("time", "side of a face in pixels", "ms a step", {96: 2, 128: 4, 192: 8, 256: 16}),
        Growth("memory", "share of faces without labels", "MiB", {0.1: 4000, 0.2: 4000, 0.8: 4000}),
        Growth("time", "classes", "ms a step", {2: 0.4, 4: 0.8, 6: 1.2}),
    ]
    draw_growth(panels, tmp_path / "growth.png", "Synthesis: what a training step grows with")
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    (figure,) = drawn
    assert_readable(figure)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    legends = [axes.get_legend().get_texts()[1].get_text() for axes in shown]
    assert legends == [f"exponent {panel.exponent:z.2f}" for panel in panels]
    assert legends[3] == "exponent 0.00"
    for axes, panel in zip(shown, panels, strict=True):
        points, _ = axes.lines
        assert dict(zip(*points.get_data(), strict=True)) == panel.points
        low, high = axes.get_ylim()
        assert low < min(panel.points.values()) and max(panel.points.values()) < high
        assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 1


def test_what_stays_is_drawn_from_0_on(drawn, tmp_path):
    series = {"paper": [2000.1, 2000.2, 2000.2], "quickstart": [776, 777, 776]}
    draw_over_steps([50, 100, 150], series, tmp_path / "steady.png", "Memory", "MiB")
    assert (tmp_path / "steady.png").stat().st_size > 5000
    (figure,) = drawn
    assert_readable(figure)
    (axes,) = figure.axes
    assert axes.get_ylim()[0] == 0
    assert [line.get_ydata().tolist() for line in axes.lines] == list(series.values())
