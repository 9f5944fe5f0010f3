"""Which picture stands where in a sheet, and what is written under it."""

import numpy as np
import pytest
from PIL import Image

from tfface.plots.sheets import expression_sheet

GRAYS = {"face": 0.2, "a": 0.4, "b": 0.8}  # whole numbers of 255ths


def flat(gray, channels=1):
    return np.full((8, 8, channels), gray, np.float32)


def row(**more):
    return {"face": flat(GRAYS["face"], 3), "made": [flat(GRAYS[n]) for n in "ab"], **more}


def drawn(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def places(pixels, gray):
    """Rows and columns of pixels of a gray, (n, 2), that are not of letters."""
    return np.argwhere((pixels == round(255 * gray)).all(axis=-1))


def test_a_face_stands_left_of_what_was_made_of_it(tmp_path):
    expression_sheet([row(), row()], ("a", "b"), tmp_path / "s.png")
    pixels = drawn(tmp_path / "s.png")
    found = {name: places(pixels, gray) for name, gray in GRAYS.items()}
    for name, where in found.items():
        assert 2 * 170**2 < len(where) <= 2 * 181**2, name  # two faces of 180 pixels
    left = [np.median(where[:, 1]) for where in found.values()]
    assert left == sorted(left) and left[2] - left[0] == pytest.approx(2 * 188, abs=4)


def test_captions_stand_below_and_the_chosen_is_framed(tmp_path):
    rows = [row(captions=["1.00", "2.00"], chosen=1, title="a very long name of a face"), row()]
    expression_sheet(rows, ("a", "b"), tmp_path / "s.png", title="Title")
    pixels = drawn(tmp_path / "s.png")
    red, blue = pixels[..., 0], pixels[..., 2]
    framed = np.argwhere(red - blue > 100)
    where = places(pixels, GRAYS["b"])
    upper = where[where[:, 0] < (where[:, 0].min() + where[:, 0].max()) / 2]
    upper = upper[upper[:, 0] < upper[:, 0].min() + 180]
    # The frame is around the upper of the two, and its caption has the frame's color.
    assert framed[:, 1].min() >= upper[:, 1].min() - 6
    assert framed[:, 1].max() <= upper[:, 1].max() + 6
    assert upper[:, 0].max() + 5 < framed[:, 0].max() < where[:, 0].max() - 150


def test_nothing_is_drawn_where_there_is_none(tmp_path):
    rows = [row(), {"face": None, "made": [None, flat(GRAYS["b"])]}]
    expression_sheet(rows, ("a", "b"), tmp_path / "s.png", first="Input")
    pixels = drawn(tmp_path / "s.png")
    counts = {name: len(places(pixels, gray)) for name, gray in GRAYS.items()}
    assert counts["b"] == pytest.approx(2 * counts["a"], rel=0.01)
    assert counts["face"] == pytest.approx(counts["a"], rel=0.01)


def test_rows_that_do_not_fit_are_named(tmp_path):
    for rows, counts in (([], r"\[\]"), ([row()], r"\[2\] images, 3")):
        with pytest.raises(ValueError, match=rf"Each of `rows`, .* Received: rows of {counts}"):
            expression_sheet(rows, "abc", tmp_path / "s.png")
    assert not list(tmp_path.iterdir())
