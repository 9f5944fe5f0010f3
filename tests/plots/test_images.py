import itertools

import numpy as np
import pytest
from PIL import Image

from tfface.plots.images import heat_map, heat_overlay, image_grid


def flat(color, size):
    return np.broadcast_to(np.float32(color) / 255, (size, size, 3))


def count(path, color):
    picture = np.asarray(Image.open(path).convert("RGB"))
    return int(np.all(picture == color, axis=-1).sum())


class TestImageGrid:
    def test_pixels_are_repeated_exactly(self, tmp_path):
        path = tmp_path / "grid.png"
        checks = np.zeros((4, 4, 3), "float32")
        checks[:, :] = [200 / 255, 0, 0]
        checks[0, 0] = [0, 200 / 255, 0]
        image_grid([(checks, flat((0, 0, 200), 128))], ["Input", "Ground truth"], path)
        # 128 pixels are shown as 256, the 4 of the small one as 64 each.
        assert count(path, (0, 200, 0)) == 64 * 64
        assert count(path, (200, 0, 0)) == 15 * 64 * 64
        assert count(path, (0, 0, 200)) == 256 * 256

    def test_cells_lie_in_the_order_given(self, tmp_path):
        colors = [[(10, 0, 0), (0, 20, 0)], [(0, 0, 30), (40, 40, 0)], [(50, 0, 50), (0, 60, 60)]]
        rows = [[flat(color, 200) for color in row] for row in colors]
        path = tmp_path / "grid.png"
        image_grid(rows, ["A", "B"], path, row_titles=["one", "two", "three"])
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
        image_grid([[np.full((192, 192, 1), 1.7, "float32")]], ["White"], path)
        assert count(path, (0, 0, 0)) < count(path, (255, 255, 255))
        image_grid([[np.full((192, 192, 1), 77 / 255, "float32")]], ["Grey"], path)
        assert count(path, (77, 77, 77)) == 192 * 192

    @pytest.mark.parametrize(
        "title", ["Bicubic, hidden pixels filled", "Regeneration-of-everything"]
    )
    def test_titles_stay_over_their_columns(self, title, tmp_path, figures):
        image_grid([[flat((9, 9, 9), 64)] * 3] * 2, [title, "B", title], tmp_path / "grid.png")
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
            image_grid([[image, image]], ["A"], path)
        with pytest.raises(ValueError, match=r"`rows`, at least one"):
            image_grid([], [], path)
        with pytest.raises(ValueError, match=r"`row_titles`.*2 titles, 1 rows"):
            image_grid([[image]], ["A"], path, row_titles=["a", "b"])
        with pytest.raises(ValueError, match=r"float array.*uint8 of shape \(8, 8, 3\)"):
            image_grid([[np.zeros((8, 8, 3), "uint8")]], ["A"], path)
        with pytest.raises(ValueError, match=r"float array.*\(8, 8, 2\)"):
            image_grid([[np.zeros((8, 8, 2))]], ["A"], path)
        assert not list(tmp_path.iterdir())


class TestHeat:
    def test_cold_shows_the_face_in_grey_and_hot_the_color(self):
        image = np.full((8, 8, 3), [0.0, 1.0, 0.0], "float32")
        heat = np.zeros((2, 2))
        heat[1, 0] = 5.0
        overlay = heat_overlay(image, heat)
        assert overlay.shape == (8, 8, 3) and overlay.dtype == np.float32
        np.testing.assert_allclose(overlay[:4], 0.587, atol=1e-6)  # the luma of pure green
        np.testing.assert_allclose(overlay[4:, 4:], 0.587, atol=1e-6)
        hot = overlay[4:, :4]
        assert np.all(hot[..., 0] > hot[..., 1])  # red

    def test_a_common_peak_makes_pictures_comparable(self):
        image = np.full((4, 4, 1), 0.5, "float32")
        weak = heat_overlay(image, np.full((4, 4), 1.0), peak=4.0)
        strong = heat_overlay(image, np.full((4, 4), 4.0), peak=4.0)
        beyond = heat_overlay(image, np.full((4, 4), 9.0), peak=4.0)
        assert not np.allclose(weak, strong)
        np.testing.assert_array_equal(strong, beyond)

    def test_no_heat_is_the_face_alone(self, tmp_path):
        image = np.full((4, 4, 1), 0.5, "float32")
        np.testing.assert_allclose(heat_overlay(image, np.zeros((4, 4))), 0.5, atol=1e-6)
        heat_map(image, np.zeros((4, 4)), tmp_path / "heat.png")
        assert (tmp_path / "heat.png").exists()

    def test_scale_ends_at_the_peak(self, tmp_path, figures):
        image = np.full((4, 4, 3), 0.5, "float32")
        heat_map(image, [[0.0, 3.0]], tmp_path / "heat.png", title="peak", label="difference")
        scale = figures[0].axes[1]
        assert scale.get_ylim() == (0, 3)
        assert scale.get_ylabel() == "difference"

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"`heat` must have shape \(h, w\).*\(4, 4, 1\)"):
            heat_overlay(np.zeros((4, 4, 3)), np.zeros((4, 4, 1)))
