import numpy as np
import pytest
from PIL import Image

from tfface.plots.matrices import change_matrix, confusion_matrix, difference_matrices

NAN = float("nan")


class TestConfusionMatrix:
    def test_rows_are_shares_of_the_true_class(self, tmp_path, figures):
        path = tmp_path / "c.png"
        confusion_matrix([[3, 1], [0, 0]], ["anger", "fear"], path, title="CK+")
        axes = figures[0].axes[0]
        np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
        assert [t.get_text() for t in axes.texts] == ["75%\n(3)", "25%\n(1)", "-", "-"]
        assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted")

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"\(3, 3\) for 3 class names.*\(2, 2\)"):
            confusion_matrix(np.zeros((2, 2)), ["a", "b", "c"], tmp_path / "c.png")


class TestDifferenceMatrices:
    def test_cells_and_means_off_the_diagonal(self, tmp_path, figures):
        matrices = {
            "Ours": [[0.0, 0.1, NAN], [0.2, 0.0, NAN], [0.3, 0.4, NAN]],
            "O-wlc": [[0.0, 0.5, 0.1], [0.1, 0.0, 0.1], [0.1, 0.1, 0.0]],
        }
        path = tmp_path / "d.png"
        difference_matrices(matrices, ["AU1", "AU2", "AU4"], path, title="Fig. 6")
        ours, plain, bar = figures[0].axes
        cells = [text.get_text() for text in ours.texts]
        assert cells == ["0.000", "0.100", "-", "0.200", "0.000", "-", "0.300", "0.400", "-"]
        assert ours.get_title() == "Ours (mean 0.250)"  # (0.1 + 0.2 + 0.3 + 0.4) / 4
        assert plain.get_title() == "O-wlc (mean 0.167)"  # 1.0 / 6
        assert [axes.images[0].get_clim() for axes in (ours, plain)] == [(0, 0.5)] * 2
        assert bar.get_ylim() == (0, 0.5)
        assert [text.get_text() for text in ours.get_yticklabels()] == ["AU1", "AU2", "AU4"]
        assert [text.get_text() for text in ours.get_xticklabels()] == ["AU1", "AU2", "AU4"]
        assert path.stat().st_size > 0

    def test_given_is_the_column(self, tmp_path, figures):
        table = np.zeros((2, 2))
        table[0, 1] = 0.25  # P(AU1 | AU2)
        difference_matrices({"Ours": table}, ["AU1", "AU2"], tmp_path / "d.png")
        axes = figures[0].axes[0]
        (cell,) = [text for text in axes.texts if text.get_text() == "0.250"]
        assert cell.get_position() == (1, 0)  # x: column of j = AU2, y: row of i = AU1
        assert (axes.get_ylabel(), axes.get_xlabel()) == ("i", "j")

    def test_what_is_not_defined_is_grey(self, tmp_path, figures):
        path = tmp_path / "d.png"
        difference_matrices({"Ours": [[0.0, NAN], [NAN, 1.0]]}, ["AU1", "AU2"], path)
        picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
        axes = figures[0].axes[0]
        for (i, j), is_grey in np.ndenumerate([[False, True], [True, False]]):
            x, y = axes.transData.transform((j + 0.3, i + 0.3))  # beside the number
            red, green, blue = picture[len(picture) - round(y), round(x)]
            assert (red == green == blue) == is_grey

    def test_numbers_fit_their_cells(self, tmp_path, figures):
        difference_matrices(
            {"Ours": np.full((26, 26), 0.888)}, [f"AU{i}" for i in range(26)], tmp_path / "d.png"
        )
        axes = figures[0].axes[0]
        assert len(axes.texts) == 26**2
        cell = axes.get_window_extent().width / 26
        assert axes.texts[0].get_window_extent().width < cell

    def test_nothing_defined(self, tmp_path, figures):
        difference_matrices({"Ours": np.full((2, 2), NAN)}, ["AU1", "AU2"], tmp_path / "d.png")
        assert figures[0].axes[0].get_title() == "Ours (no mean)"

    def test_bad_input(self, tmp_path):
        path = tmp_path / "d.png"
        with pytest.raises(ValueError, match=r"`matrices`.*\(3, 3\) for 3 names.*\(2, 2\)"):
            difference_matrices({"Ours": np.zeros((2, 2))}, ["a", "b", "c"], path)
        with pytest.raises(ValueError, match=r"`matrices`, at least one"):
            difference_matrices({}, ["a", "b", "c"], path)
        assert not list(tmp_path.iterdir())


class TestChangeMatrix:
    def test_numbers_colors_and_frames(self, tmp_path, figures):
        changes = [[0.5, -0.25, 0.001], [NAN, NAN, NAN], [0.1, 0.0, -0.004]]
        marked = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 1]], bool)
        path = tmp_path / "c.png"
        change_matrix(changes, ["AU1", "AU2", "AU4"], path, marked, "T", "on", "change")
        axes, _ = figures[0].axes
        cells = [text.get_text() for text in axes.texts]
        assert cells == ["0.50", "-0.25", "0.00", "-", "-", "-", "0.10", "0.00", "0.00"]
        assert axes.images[0].get_clim() == (-0.5, 0.5)
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("change", "on")
        assert len(axes.patches) == marked.sum()
        corners = {tuple(np.rint(patch.get_xy()).astype(int)) for patch in axes.patches}
        assert corners == {(0, 0), (1, 1), (2, 1), (1, 2), (2, 2)}  # (column, row)
        with Image.open(path) as image:
            assert image.size == (360 + 190, 360 + 130)

    def test_nothing_changed(self, tmp_path, figures):
        change_matrix(np.zeros((2, 2)), ["a", "b"], tmp_path / "c.png")
        assert figures[0].axes[0].images[0].get_clim() == (-1, 1)

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"`changes` must have shape \(2, 2\) for 2 names"):
            change_matrix(np.zeros((3, 2)), ["a", "b"], tmp_path / "c.png")
        with pytest.raises(ValueError, match=r"`marked` must have shape \(2, 2\)"):
            change_matrix(np.zeros((2, 2)), ["a", "b"], tmp_path / "c.png", np.zeros(2))
