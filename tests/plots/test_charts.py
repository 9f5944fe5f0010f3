import pytest

from tfface.plots.charts import curves


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

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"\(2,\) or \(runs, 2\).*\(3,\)"):
            curves([0, 1], {"a": [1, 2, 3]}, tmp_path / "c.png", "x", "y")
