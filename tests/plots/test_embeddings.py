import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tfface.plots.embeddings import embedding

NAN = float("nan")


def center(text):
    box = text.get_window_extent()
    return np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])


def test_a_name_stands_at_the_mean_of_its_points(tmp_path, figures):
    points = [[0, 0], [2, 4], [100, 100], [104, 100]]
    path = tmp_path / "e.png"
    embedding({"Images": points}, ["F001", "F001", "M002", "M002"], path, title="t-SNE")
    axes = figures[0].axes[0]
    assert axes.get_title() == "Images"
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places == {"F001": (1, 2), "M002": (102, 100)}
    drawn = [scatter.get_offsets().tolist() for scatter in axes.collections]
    assert drawn == [points[:2], points[2:]]
    colors = [to_hex(scatter.get_facecolor()[0]) for scatter in axes.collections]
    assert colors == [to_hex(text.get_color()) for text in axes.texts]
    assert colors[0] != colors[1]
    assert path.stat().st_size > 0


def test_all_points_are_in_sight_and_no_axis_is_stretched(tmp_path, figures):
    points = np.array([[-300.0, 5.0], [100.0, 9.0]])
    embedding({"a": points, "b": points}, ["x", "y"], tmp_path / "e.png")
    assert len(figures[0].axes) == 2
    for axes in figures[0].axes:
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < -300 and right > 100 and bottom < 5 and top > 9
        pixels = axes.transData.transform([[0, 0], [1, 1]])
        np.testing.assert_allclose(*np.diff(pixels, axis=0)[0])


def test_names_of_blended_subjects_can_be_read(tmp_path, figures):
    subjects = [f"F{number:03d}" for number in range(41)]  # as many as BP4D has
    points = np.random.default_rng(0).normal(size=(41 * 20, 2))
    embedding({"features": points}, subjects * 20, tmp_path / "e.png")
    texts = figures[0].axes[0].texts
    assert [text.get_text() for text in texts] == subjects
    centers = np.stack([center(text) for text in texts])
    size = np.max([text.get_window_extent().size for text in texts], axis=0)
    for a, b in itertools.combinations(centers, 2):
        assert np.any(np.abs(a - b) > 0.95 * size)


def test_subjects_with_one_mean_get_places_of_their_own(tmp_path, figures):
    embedding({"a": [[0, 0], [0, 0], [9, 9]]}, ["x", "y", "z"], tmp_path / "e.png")
    x, y, _ = figures[0].axes[0].texts
    assert np.any(np.abs(center(x) - center(y)) > 0.9 * x.get_window_extent().size)


def test_forty_one_subjects_differ_in_color_or_marker(tmp_path, figures):
    points = np.random.default_rng(0).normal(size=(41, 2))
    embedding({"a": points}, range(41), tmp_path / "e.png")
    looks = {
        (to_hex(scatter.get_facecolor()[0]), scatter.get_paths()[0].vertices.tobytes())
        for scatter in figures[0].axes[0].collections
    }
    assert len(looks) == 41


def test_what_was_not_embedded_is_left_out(tmp_path, figures):
    points = [[1, 1], [NAN, NAN], [5, 3], [NAN, NAN]]
    panels = {"all": np.eye(4, 2), "some": points, "none": np.full((4, 2), NAN)}
    embedding(panels, ["x", "x", "y", "a"], tmp_path / "e.png")
    every, some, none = figures[0].axes
    assert {text.get_text(): text.get_position() for text in some.texts} == {
        "x": (1, 1),
        "y": (5, 3),
    }
    assert not none.texts and not none.collections
    # A subject has the same color in all panels, whoever else is there.
    colors = [{t.get_text(): t.get_color() for t in axes.texts} for axes in (every, some)]
    assert colors[1] == {name: colors[0][name] for name in ("x", "y")}


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match=r"`panels`.*\(3, 2\) for 3 groups.*\(2, 2\)"):
        embedding({"a": np.zeros((2, 2))}, ["x", "y", "z"], tmp_path / "e.png")
    with pytest.raises(ValueError, match=r"`panels`, at least one"):
        embedding({}, ["x", "y", "z"], tmp_path / "e.png")
    assert not list(tmp_path.iterdir())
