import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tfface.plots.charts import curves

NAN = float("nan")


class TestCurves:
    def test_mean_and_spread(self, tmp_path, figures):
        series = {"ours": [[1.0, 2.0], [3.0, 6.0]], "O-wlc": [1.0, 1.5]}
        curves([0.1, 0.5], series, tmp_path / "c.png", "missing rate", "F1")
        axes = figures[0].axes[0]
        lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
        assert lines == {"ours": [2.0, 4.0], "O-wlc": [1.0, 1.5]}
        (band,) = axes.collections  # two runs at 1 and 3, and at 2 and 6: deviations 1 and 2
        vertices = band.get_paths()[0].vertices
        assert {tuple(v) for v in vertices.tolist()} == {(0.1, 1), (0.1, 3), (0.5, 2), (0.5, 6)}

    def test_what_is_not_known_is_left_out(self, tmp_path, figures):
        series = {"ours": [[1.0, NAN, 2.0], [3.0, NAN, NAN]]}
        curves([0.1, 0.3, 0.5], series, tmp_path / "c.png", "missing rate", "F1")
        axes = figures[0].axes[0]
        (line,) = axes.lines
        assert line.get_xydata().tolist() == [[0.1, 2.0], [0.5, 2.0]]
        vertices = axes.collections[0].get_paths()[0].vertices
        assert {tuple(v) for v in vertices.tolist()} == {(0.1, 1), (0.1, 3), (0.5, 2)}

    def test_what_others_published_is_grey_and_dashed(self, tmp_path, figures):
        reference = {"paper": [0.7, NAN, 0.5]}
        curves([0, 1, 2], {"ours": [1, 2, 3]}, tmp_path / "c.png", "x", "y", reference=reference)
        lines = {line.get_label(): line for line in figures[0].axes[0].lines}
        assert lines["paper"].get_xydata().tolist() == [[0, 0.7], [2, 0.5]]
        assert lines["paper"].get_linestyle() == "--"
        red, green, blue = to_rgb(lines["paper"].get_color())
        assert red == green == blue
        assert lines["ours"].get_linestyle() == "-"

    def test_zero_has_its_place_on_a_logarithmic_axis(self, tmp_path, figures):
        x = [0, 1e-3, 1e-2, 1e-1]
        curves(x, {"ours": [1, 2, 3, 2]}, tmp_path / "c.png", "alpha", "F1", log_x=True)
        axes = figures[0].axes[0]
        names = [text.get_text() for text in axes.get_xticklabels()]
        assert names == ["0", "0.001", "0.01", "0.1"]
        pixels = axes.transData.transform([(value, 1) for value in x])[:, 0]
        zero, *decades = np.diff(pixels)
        np.testing.assert_allclose(decades, decades[0])
        # The line from 0 to the smallest is as long as a decade, give or take how symlog joins.
        assert 0.9 * decades[0] < zero < 1.2 * decades[0]

    def test_logarithmic_axis_without_zero(self, tmp_path, figures):
        curves([1, 10, 1000], {"a": [1, 2, 3]}, tmp_path / "c.png", "x", "y", log_x=True)
        axes = figures[0].axes[0]
        pixels = axes.transData.transform([(1, 1), (10, 1), (1000, 1)])[:, 0]
        np.testing.assert_allclose(np.diff(pixels)[1], 2 * np.diff(pixels)[0])

    def test_bad_input(self, tmp_path):
        path = tmp_path / "c.png"
        with pytest.raises(ValueError, match=r"`series`.*\(2,\) or \(runs, 2\).*\(3,\)"):
            curves([0, 1], {"a": [1, 2, 3]}, path, "x", "y")
        with pytest.raises(ValueError, match=r"`reference`.*\(2,\) or \(runs, 2\).*\(1,\)"):
            curves([0, 1], {"a": [1, 2]}, path, "x", "y", reference={"paper": [1]})
        with pytest.raises(ValueError, match=r"`series`.*at least one"):
            curves([0, 1], {}, path, "x", "y")
        with pytest.raises(ValueError, match=r"`x` must be 0 and above.*\[-1.0, 1.0\]"):
            curves([-1, 1], {"a": [1, 2]}, path, "x", "y", log_x=True)
        with pytest.raises(ValueError, match=r"`x` must be.*not 0 everywhere"):
            curves([0, 0], {"a": [1, 2]}, path, "x", "y", log_x=True)
        assert not list(tmp_path.iterdir())
