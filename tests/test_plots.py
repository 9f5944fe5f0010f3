import itertools
import threading

import numpy as np
import pytest
from PIL import Image

from tfface import plots

NAN = float("nan")


def flat(color, size):
    return np.broadcast_to(np.float32(color) / 255, (size, size, 3))


def count(path, color):
    picture = np.asarray(Image.open(path).convert("RGB"))
    return int(np.all(picture == color, axis=-1).sum())


@pytest.fixture
def figures(monkeypatch):
    """The figures drawn, for a look at what they hold."""
    drawn = []
    write = plots._write
    monkeypatch.setattr(plots, "_write", lambda f, path: (drawn.append(f), write(f, path)))
    return drawn


class TestImageGrid:
    def test_pixels_are_repeated_exactly(self, tmp_path):
        path = tmp_path / "grid.png"
        checks = np.zeros((4, 4, 3), "float32")
        checks[:, :] = [200 / 255, 0, 0]
        checks[0, 0] = [0, 200 / 255, 0]
        plots.image_grid([(checks, flat((0, 0, 200), 128))], ["Input", "Ground truth"], path)
        # 128 pixels are shown as 256, the 4 of the small one as 64 each.
        assert count(path, (0, 200, 0)) == 64 * 64
        assert count(path, (200, 0, 0)) == 15 * 64 * 64
        assert count(path, (0, 0, 200)) == 256 * 256

    def test_cells_lie_in_the_order_given(self, tmp_path):
        colors = [[(10, 0, 0), (0, 20, 0)], [(0, 0, 30), (40, 40, 0)], [(50, 0, 50), (0, 60, 60)]]
        rows = [[flat(color, 200) for color in row] for row in colors]
        path = tmp_path / "grid.png"
        plots.image_grid(rows, ["A", "B"], path, row_titles=["one", "two", "three"])
        picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
        centers = {}
        for row in colors:
            for color in row:
                places = np.argwhere(np.all(picture == color, axis=-1))
                assert len(places) == 200 * 200
                centers[color] = places.mean(axis=0)
        for row in colors:
            assert centers[row[0]][0] == centers[row[1]][0]  # the same height
            assert centers[row[0]][1] < centers[row[1]][1]
        for above, below in itertools.pairwise(colors):
            assert centers[above[0]][0] < centers[below[0]][0]
            assert centers[above[0]][1] == centers[below[0]][1]

    def test_grey_images_and_values_out_of_range(self, tmp_path):
        path = tmp_path / "grid.png"
        plots.image_grid([[np.full((192, 192, 1), 1.7, "float32")]], ["White"], path)
        assert count(path, (0, 0, 0)) < count(path, (255, 255, 255))
        plots.image_grid([[np.full((192, 192, 1), 77 / 255, "float32")]], ["Grey"], path)
        assert count(path, (77, 77, 77)) == 192 * 192

    @pytest.mark.parametrize(
        "title", ["Bicubic, hidden pixels filled", "Regeneration-of-everything"]
    )
    def test_titles_stay_over_their_columns(self, title, tmp_path, figures):
        plots.image_grid(
            [[flat((9, 9, 9), 64)] * 3] * 2, [title, "B", title], tmp_path / "grid.png"
        )
        figure = figures[0]
        width, height = figure.get_size_inches() * figure.dpi
        for j, text in enumerate(figure.texts):
            box = text.get_window_extent()
            assert box.x0 >= j * width / 3 - 4 and box.x1 <= (j + 1) * width / 3 + 4
            assert box.y0 >= 2 * 192 and box.y1 <= height

    def test_bad_input(self, tmp_path):
        path = tmp_path / "grid.png"
        image = flat((9, 9, 9), 8)
        with pytest.raises(ValueError, match=r"`column_titles`.*rows of \[2\] images, 1 titles"):
            plots.image_grid([[image, image]], ["A"], path)
        with pytest.raises(ValueError, match=r"`rows`, at least one"):
            plots.image_grid([], [], path)
        with pytest.raises(ValueError, match=r"`row_titles`.*2 titles, 1 rows"):
            plots.image_grid([[image]], ["A"], path, row_titles=["a", "b"])
        with pytest.raises(ValueError, match=r"float array.*uint8 of shape \(8, 8, 3\)"):
            plots.image_grid([[np.zeros((8, 8, 3), "uint8")]], ["A"], path)
        with pytest.raises(ValueError, match=r"float array.*\(8, 8, 2\)"):
            plots.image_grid([[np.zeros((8, 8, 2))]], ["A"], path)
        assert not list(tmp_path.iterdir())


class TestWriting:
    def test_nothing_is_left_of_a_failure(self, tmp_path):
        with pytest.raises(ValueError, match="nosuch"):
            plots.curves([0, 1], {"a": [0, 1]}, tmp_path / "curves.nosuch", "x", "y")
        assert not list(tmp_path.iterdir())

    def test_an_older_picture_is_replaced_and_folders_are_made(self, tmp_path):
        path = tmp_path / "samples" / "grid.png"
        for color in ((1, 2, 3), (4, 5, 6)):
            plots.image_grid([[flat(color, 192)]], ["A"], path)
        assert count(path, (4, 5, 6)) == 192 * 192
        assert list(path.parent.iterdir()) == [path]

    def test_threads_draw_their_own_figures(self, tmp_path):
        colors = [(10 * i, 50, 50) for i in range(4)]
        threads = [
            threading.Thread(
                target=plots.image_grid, args=([[flat(c, 192)]], ["A"], tmp_path / f"{i}.png")
            )
            for i, c in enumerate(colors)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i, color in enumerate(colors):
            assert count(tmp_path / f"{i}.png", color) == 192 * 192


class TestLabelDistribution:
    def test_counts_and_shares(self, tmp_path, figures):
        labels = {
            "training": [[1, 0, NAN], [1, 0, NAN], [0, 0, NAN], [NAN, 0, NAN]],
            "test": [[1, 1, 1]],
        }
        plots.label_distribution(labels, [1, 12, 26], tmp_path / "labels.png")
        training, test = figures[0].axes
        bars = {c.get_label(): [bar.get_height() for bar in c] for c in training.containers}
        assert bars == {"present": [2, 0, 0], "absent": [1, 4, 0], "not coded": [1, 0, 4]}
        names = [text.get_text() for text in training.get_xticklabels()]
        assert names == ["AU1\n67%", "AU12\n0%", "AU26\n-"]
        assert [c.get_label() for c in test.containers] == ["present", "absent"]
        legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
        assert legend == ["present", "absent", "not coded"]
        assert (tmp_path / "labels.png").stat().st_size > 0

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"'test' must have shape \(n, 2\).*\(1, 3\)"):
            plots.label_distribution({"test": [[1, 0, 1]]}, [1, 2], tmp_path / "labels.png")
        with pytest.raises(ValueError, match="at least one set"):
            plots.label_distribution({}, [1, 2], tmp_path / "labels.png")


class TestScoreBars:
    def test_bars_and_averages(self, tmp_path, figures):
        series = {"SRGAN": [0.25, NAN, 0.5], "Ours": [0.5, 0.25, 0.75]}
        plots.score_bars(
            ["AU1", "AU2", "AU4"], series, tmp_path / "s.png", title="F1", y_label="F1"
        )
        axes = figures[0].axes[0]
        bars = {c.get_label(): [bar.get_height() for bar in c] for c in axes.containers}
        assert bars == {"SRGAN": [0.25, 0, 0.5, 0.375], "Ours": [0.5, 0.25, 0.75, 0.5]}
        assert [text.get_text() for text in axes.texts] == ["0.375", "0.5"]
        assert axes.get_ylim() == (0, 1)

    def test_scores_beyond_one_and_none_at_all(self, tmp_path, figures):
        plots.score_bars(["a"], {"dB": [27.0]}, tmp_path / "s.png")
        assert figures[0].axes[0].get_ylim()[1] > 27
        plots.score_bars(["a"], {"F1": [NAN]}, tmp_path / "s.png")
        assert not figures[1].axes[0].texts

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"hold 2 numbers.*\(3,\)"):
            plots.score_bars(["a", "b"], {"x": [1, 2, 3]}, tmp_path / "s.png")


class TestConfusionMatrix:
    def test_rows_are_shares_of_the_true_class(self, tmp_path, figures):
        path = tmp_path / "c.png"
        plots.confusion_matrix([[3, 1], [0, 0]], ["anger", "fear"], path, title="CK+")
        axes = figures[0].axes[0]
        np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
        assert [t.get_text() for t in axes.texts] == ["75%\n(3)", "25%\n(1)", "-", "-"]
        assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"\(3, 3\) for 3 class names.*\(2, 2\)"):
            plots.confusion_matrix(np.zeros((2, 2)), ["a", "b", "c"], tmp_path / "c.png")


class TestCurves:
    def test_mean_and_spread(self, tmp_path, figures):
        series = {"ours": [[1.0, 2.0], [3.0, 6.0]], "O-wlc": [1.0, 1.5]}
        plots.curves([0.1, 0.5], series, tmp_path / "c.png", "missing rate", "F1")
        axes = figures[0].axes[0]
        lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
        assert lines == {"ours": [2.0, 4.0], "O-wlc": [1.0, 1.5]}
        (band,) = axes.collections  # two runs at 1 and 3, and at 2 and 6: deviations 1 and 2
        vertices = band.get_paths()[0].vertices
        assert {tuple(v) for v in vertices.tolist()} == {(0.1, 1), (0.1, 3), (0.5, 2), (0.5, 6)}

    def test_bad_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"\(2,\) or \(runs, 2\).*\(3,\)"):
            plots.curves([0, 1], {"a": [1, 2, 3]}, tmp_path / "c.png", "x", "y")


class TestHeat:
    def test_cold_shows_the_face_in_grey_and_hot_the_color(self):
        image = np.full((8, 8, 3), [0.0, 1.0, 0.0], "float32")
        heat = np.zeros((2, 2))
        heat[1, 0] = 5.0
        overlay = plots.heat_overlay(image, heat)
        assert overlay.shape == (8, 8, 3) and overlay.dtype == np.float32
        np.testing.assert_allclose(overlay[:4], 0.587, atol=1e-6)  # the luma of pure green
        np.testing.assert_allclose(overlay[4:, 4:], 0.587, atol=1e-6)
        hot = overlay[4:, :4]
        assert np.all(hot[..., 0] > hot[..., 1])  # red

    def test_a_common_peak_makes_pictures_comparable(self):
        image = np.full((4, 4, 1), 0.5, "float32")
        weak = plots.heat_overlay(image, np.full((4, 4), 1.0), peak=4.0)
        strong = plots.heat_overlay(image, np.full((4, 4), 4.0), peak=4.0)
        beyond = plots.heat_overlay(image, np.full((4, 4), 9.0), peak=4.0)
        assert not np.allclose(weak, strong)
        np.testing.assert_array_equal(strong, beyond)

    def test_no_heat_is_the_face_alone(self, tmp_path):
        image = np.full((4, 4, 1), 0.5, "float32")
        np.testing.assert_allclose(plots.heat_overlay(image, np.zeros((4, 4))), 0.5, atol=1e-6)
        plots.heat_map(image, np.zeros((4, 4)), tmp_path / "heat.png")
        assert (tmp_path / "heat.png").exists()

    def test_scale_ends_at_the_peak(self, tmp_path, figures):
        image = np.full((4, 4, 3), 0.5, "float32")
        plots.heat_map(image, [[0.0, 3.0]], tmp_path / "heat.png", title="peak", label="difference")
        scale = figures[0].axes[1]
        assert scale.get_ylim() == (0, 3)
        assert scale.get_ylabel() == "difference"

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"`heat` must have shape \(h, w\).*\(4, 4, 1\)"):
            plots.heat_overlay(np.zeros((4, 4, 3)), np.zeros((4, 4, 1)))
