import numpy as np
import pytest
from PIL import Image

from tfface.plots.heatmaps import heat_grid, lit_grid


def flat(color, size=20):
    return np.broadcast_to(np.float32(color) / 255, (size, size, 3))


def inside(figure, texts):
    """Whether texts lie within the figure's picture."""
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [text.get_window_extent() for text in texts]
    return all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


def apart(texts):
    boxes = [text.get_window_extent() for text in texts]
    return not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


class TestHeatGrid:
    def test_cells_lie_in_the_order_given(self, tmp_path, figures):
        path = tmp_path / "grid.png"
        rows = [[flat((200, 0, 0)), flat((0, 200, 0))], [None, flat((0, 0, 200))]]
        heat_grid(rows, ["A", "B"], path, ["one", "two"])
        picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
        centers = {}
        for color in ((200, 0, 0), (0, 200, 0), (0, 0, 200)):
            places = np.argwhere(np.abs(picture - color).max(axis=-1) <= 1)
            assert len(places) > 0.95 * 200 * 200
            centers[color] = places.mean(axis=0)
        red, green, blue = centers.values()
        assert red[0] == pytest.approx(green[0], abs=1) and red[1] < green[1]
        assert blue[1] == pytest.approx(green[1], abs=1) and blue[0] > green[0]
        assert len(figures[0].axes) == 3  # no heat: no scale

    def test_heat_has_one_scale(self, tmp_path, figures):
        face, cold, hot = flat((90, 90, 90), 4), np.zeros((4, 4)), np.full((4, 4), 2.0)
        heat_grid([[face, (face, cold), (face, hot)]], "ABC", tmp_path / "h.png", label="change")
        *cells, bar = figures[0].axes
        assert bar.get_ylim() == (0, 2) and bar.get_ylabel() == "change"
        _, calm, burning = (np.asarray(axes.images[0].get_array()) for axes in cells)
        np.testing.assert_allclose(calm, face, atol=1e-6)
        assert np.all(burning[..., 0] - burning[..., 2] > 0.2)  # red

    def test_heat_above_the_peak_is_told(self, tmp_path, figures):
        face, heat = flat((90, 90, 90), 4), np.full((4, 4), 2.0)
        heat_grid([[(face, heat)]], ["A"], tmp_path / "h.png", peak=0.5)
        heat_grid([[(face, 0.2 * heat)]], ["A"], tmp_path / "h.png", peak=0.5)
        above, below = (figure.axes[-1] for figure in figures)
        assert above.get_ylim() == below.get_ylim() == (0, 0.5)
        assert len(above.patches) > len(below.patches)  # the arrow at the end of the bar

    @pytest.mark.parametrize("peak", [1e-4, 0.00217, 3.0])
    def test_the_scale_stays_in_the_picture(self, peak, tmp_path, figures):
        cell = flat((90, 90, 90), 4), np.full((4, 4), peak)
        label = "squared change of a pixel (Eq. 22)"
        heat_grid([[cell]], ["A"], tmp_path / "h.png", title="GroupGAN", label=label)
        bar = figures[0].axes[-1]
        texts = [bar.yaxis.label, bar.yaxis.get_offset_text(), *bar.get_yticklabels()]
        assert inside(figures[0], texts)

    def test_no_heat_at_all(self, tmp_path, figures):
        face = flat((90, 90, 90), 4)
        heat_grid([[(face, np.zeros((4, 4)))]], ["A"], tmp_path / "h.png")
        assert figures[0].axes[-1].get_ylim() == (0, 1)

    def test_titles_stay_in_the_picture_and_off_each_other(self, tmp_path, figures):
        face = flat((9, 9, 9))
        names = ["happiness\nweak 100%\nmagnified 100%", "sadness"]
        columns = ["Neutral", "Heat", "A rather long name of what is shown"]
        title = "GroupGAN (2V2): mean heat of test faces"
        heat_grid([[face] * 3] * 2, columns, tmp_path / "h.png", names, title)
        (figure,) = figures
        assert {t.get_text() for t in figure.texts} >= {title, "Neutral", "sadness"}
        assert inside(figure, figure.texts) and apart(figure.texts)
        cells = [axes.get_window_extent() for axes in figure.axes]
        assert not any(t.get_window_extent().overlaps(c) for t in figure.texts for c in cells)

    @pytest.mark.parametrize("rows", [1, 13])
    def test_a_title_is_clear_of_any_number_of_rows(self, rows, tmp_path, figures):
        grid = [[flat((9, 9, 9))] * 2] * rows
        heat_grid(grid, ["A", "B"], tmp_path / "h.png", title="Two columns of test faces")
        assert inside(figures[0], figures[0].texts) and apart(figures[0].texts)

    def test_bad_input(self, tmp_path):
        path, face = tmp_path / "h.png", flat((9, 9, 9))
        with pytest.raises(ValueError, match=r"`rows`, at least one, .* \[2\] cells, 1 titles"):
            heat_grid([[face, face]], ["A"], path)
        with pytest.raises(ValueError, match="`rows`, at least one"):
            heat_grid([], [], path)
        with pytest.raises(ValueError, match=r"`row_titles`.*2 titles, 1 rows"):
            heat_grid([[face]], ["A"], path, ["a", "b"])
        with pytest.raises(ValueError, match=r"`heat` must have shape \(h, w\).*\(3,\)"):
            heat_grid([[(face, np.zeros(3))]], ["A"], path)
        assert not list(tmp_path.iterdir())


class TestLitGrid:
    def test_features_are_drawn_in_eight_rows_with_their_number(self, tmp_path, figures):
        path = tmp_path / "lit.png"
        lit = np.zeros(32, bool)
        lit[[0, 1, 2, 3, 4, 29]] = True  # the first of eight rows of four, and two more
        lit_grid([([flat((200, 0, 0))], [lit, ~lit])], ["face"], ["CNN", "ours"], path)
        _, first, second = figures[0].axes
        assert [t.get_text() for axes in (first, second) for t in axes.texts] == [
            "6 of 32 lit",
            "26 of 32 lit",
        ]
        picture = np.asarray(Image.open(path).convert("RGB")).astype(int)

        def is_lit(axes, row, column):
            x, y = axes.transData.transform((column + 0.5, row + 0.5))
            red, _, blue = picture[len(picture) - round(y), round(x)]
            return red - blue > 100  # yellow

        for axes, expected in ((first, lit), (second, ~lit)):
            found = [[is_lit(axes, row, column) for column in range(4)] for row in range(8)]
            np.testing.assert_array_equal(found, expected.reshape(8, 4))

    def test_256_features_of_several_rows(self, tmp_path, figures):
        rng = np.random.default_rng(0)
        face, names = flat((9, 9, 9)), ["happiness", "sadness"]
        rows = [([face, face], [rng.uniform(size=256) > 0.8] * 3) for _ in names]
        methods = ["CNN, weak faces", "GroupGAN (1V2), magnified", "GroupGAN (2V2), magnified"]
        title = "Features that differ between two faces of a class"
        lit_grid(rows, ["Weak", "Weak"], methods, tmp_path / "lit.png", names, title)
        (figure,) = figures
        assert len(figure.axes) == 2 * 5
        texts = [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]
        assert inside(figure, texts) and apart(texts)
        first = figure.axes[2].get_window_extent()
        assert first.width / first.height == pytest.approx(3.5, rel=0.01)

    def test_bad_input(self, tmp_path):
        path, face, lit = tmp_path / "l.png", flat((9, 9, 9)), np.zeros(16, bool)
        with pytest.raises(ValueError, match=r"`rows`.* rows of \[2\] cells, 3 titles"):
            lit_grid([([face], [lit])], ["A", "B"], ["C"], path)
        with pytest.raises(ValueError, match=r"multiple of 8. Received: shapes \[\(12,\)\]"):
            lit_grid([([face], [lit[:12]])], ["A"], ["B"], path)
        with pytest.raises(ValueError, match=r"one shape .*\(8,\), \(16,\)"):
            lit_grid([([face], [lit, lit[:8]])], ["A"], ["B", "C"], path)
        with pytest.raises(ValueError, match="`rows`, at least one"):
            lit_grid([], ["A"], ["B"], path)
        with pytest.raises(ValueError, match="`row_titles`"):
            lit_grid([([face], [lit])], ["A"], ["B"], path, ["a", "b"])
        assert not list(tmp_path.iterdir())
