import threading

import numpy as np
import pytest
from PIL import Image

from tfface.plots import canvas


def plain(color, path, width=120, height=40):
    """Writes a figure of nothing but a color, (r, g, b) of 0 to 255."""
    figure = canvas.figure(width, height)
    figure.set_facecolor(np.array(color) / 255)
    canvas.write(figure, path)


def only_color(path):
    (color,) = np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0)
    return tuple(color.tolist())


class TestWrite:
    def test_size_in_pixels(self, tmp_path):
        plain((1, 2, 3), tmp_path / "plain.png", width=317, height=41)
        assert np.asarray(Image.open(tmp_path / "plain.png")).shape[:2] == (41, 317)

    def test_the_suffix_names_the_format(self, tmp_path):
        plain((1, 2, 3), tmp_path / "plain.pdf")
        assert (tmp_path / "plain.pdf").read_bytes().startswith(b"%PDF")

    def test_nothing_is_left_of_a_failure(self, tmp_path):
        with pytest.raises(ValueError, match="nosuch"):
            plain((1, 2, 3), tmp_path / "plain.nosuch")
        assert not list(tmp_path.iterdir())

    def test_an_older_picture_is_replaced_and_folders_are_made(self, tmp_path):
        path = tmp_path / "samples" / "plain.png"
        for color in ((1, 2, 3), (4, 5, 6)):
            plain(color, path)
        assert only_color(path) == (4, 5, 6)
        assert list(path.parent.iterdir()) == [path]

    def test_a_file_name_may_be_a_title(self, tmp_path):
        figure = canvas.figure(400, 80)
        canvas.add_title(figure, "cost $\\b$ \N{CJK UNIFIED IDEOGRAPH-9854} é.png")
        canvas.write(figure, tmp_path / "title.png")
        title = figure.texts[0]
        assert title.get_text() == "cost $\\b$ \N{WHITE SQUARE} é.png"
        assert not title.get_parse_math()

    def test_threads_draw_their_own_figures(self, tmp_path):
        colors = [(10 * i, 50, 50) for i in range(4)]
        threads = [
            threading.Thread(target=plain, args=(color, tmp_path / f"{i}.png"))
            for i, color in enumerate(colors)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i, color in enumerate(colors):
            assert only_color(tmp_path / f"{i}.png") == color


def test_colors_come_again():
    assert len(set(canvas.colors(8))) == 8
    assert canvas.colors(10)[8:] == canvas.colors(2)


def test_legend_names_once_what_several_panels_draw():
    figure = canvas.figure(200, 200, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], label="ours")
    right.plot([0, 1], label="ours")
    right.plot([0, 1], label="O-wlc")
    canvas.legend_below(figure, left, right)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "O-wlc"]


def test_a_long_title_takes_several_lines():
    figure = canvas.figure(300, 200)
    canvas.add_title(figure, "W" * 60)
    box = figure.texts[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= 300
    assert figure.texts[0].get_text().replace("\n", "") == "W" * 60


def test_no_title_takes_no_room():
    figure = canvas.figure(300, 200)
    canvas.add_title(figure, None)
    assert not figure.texts


@pytest.mark.parametrize(
    "share, text",
    [(0, "0%"), (0.004, "0.4%"), (0.0432, "4.3%"), (0.1, "10%"), (2 / 3, "67%"), (1, "100%")],
)
def test_percent(share, text):
    assert canvas.percent(share) == text
