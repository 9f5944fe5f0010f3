import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tfface.facs.action_units import ACTION_UNITS
from tfface.plots import canvas
from tfface.plots.faces import change_bars, face_bars
from tfface.plots.images import heat_overlay

NAN = float("nan")


def flat(color, height=20, width=20):
    return np.broadcast_to(np.float32(color), (height, width, 3))


def test_what_is_present_is_colored(tmp_path, figures):
    bars = {"AU1": 0.25, "AU2": 0.6, "AU4": 0.75, "AU6": NAN}
    path = tmp_path / "f.png"
    face_bars([(flat((1, 0, 0)), bars, None)], path, title="a.png", threshold=0.6)
    picture, chart = figures[0].axes
    np.testing.assert_array_equal(picture.images[0].get_array(), flat((1, 0, 0)))
    assert [bar.get_width() for bar in chart.patches] == [0.25, 0.6, 0.75, 0]
    present = [to_hex(bar.get_facecolor()) != canvas.GREY.lower() for bar in chart.patches]
    assert present == [False, True, True, False]
    assert [text.get_text() for text in chart.texts] == ["0.25", "0.60", "0.75", "-"]
    assert [text.get_text() for text in chart.get_yticklabels()] == list(bars)
    assert figures[0].get_suptitle() == "a.png"
    assert path.stat().st_size > 0


def test_the_first_action_unit_is_on_top(tmp_path, figures):
    face_bars([(flat((1, 0, 0)), {"AU1": 0.5, "AU2": 0.5}, None)], tmp_path / "f.png")
    first, second = (bar.get_window_extent() for bar in figures[0].axes[1].patches)
    assert first.y0 > second.y1


def test_a_row_for_each_face(tmp_path, figures):
    faces = [
        (flat((1, 0, 0)), {"AU1": 0.1}, "Face 0"),
        (np.zeros((30, 60, 1), "float32"), {"AU1": 0.9}, "Face 1"),
    ]
    face_bars(faces, tmp_path / "f.png")
    first, first_bars, second, second_bars = figures[0].axes
    assert [first.get_title(), second.get_title()] == ["Face 0", "Face 1"]
    assert [chart.patches[0].get_width() for chart in (first_bars, second_bars)] == [0.1, 0.9]
    assert first.get_window_extent().y0 > second.get_window_extent().y1
    for picture, chart in ((first, first_bars), (second, second_bars)):
        assert picture.get_tightbbox().x1 <= chart.get_tightbbox().x0
    assert second.images[0].get_array().shape == (30, 60, 3)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_that_is_written_is_in_sight(value, tmp_path, figures):
    bars = {f"AU{unit.number} {unit.name}": value for unit in ACTION_UNITS.values()}
    face_bars([(flat((0, 0, 1)), bars, "Face 0")], tmp_path / "f.png")
    figure = figures[0]
    chart = figure.axes[1]
    for text in (*chart.texts, *chart.get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    values = [text.get_window_extent() for text in chart.texts]
    assert all(above.y0 > below.y1 for above, below in itertools.pairwise(values))


def test_bad_input(tmp_path):
    path = tmp_path / "f.png"
    with pytest.raises(ValueError, match=r"`faces`, at least one.*\[\]"):
        face_bars([], path)
    with pytest.raises(ValueError, match=r"`faces`.*at least one action unit.*\[0\]"):
        face_bars([(flat((1, 0, 0)), {}, None)], path)
    with pytest.raises(ValueError, match=r"float array.*uint8"):
        face_bars([(np.zeros((8, 8, 3), "uint8"), {"AU1": 1.0}, None)], path)
    assert not list(tmp_path.iterdir())


def changed(before=0.5, after=0.7, probabilities=None, name=None, heat=None):
    heat = np.full((20, 20), 3 * (after - before) ** 2) if heat is None else heat
    probabilities = probabilities or {"anger": (0.75, 0.125), "joy": (0.25, 0.875)}
    return flat((before,) * 3), heat, flat((after,) * 3), probabilities, name


def test_a_change_is_a_row_of_before_heat_after_and_bars(tmp_path, figures):
    faces = [changed(name="Face 0"), changed(after=0.9, name="Face 1")]
    path = tmp_path / "f.png"
    change_bars(faces, path, "anna.png")
    axes = figures[0].axes
    assert len(axes) == 8 and path.stat().st_size > 0
    for i, (value, heat) in enumerate([(0.7, 0.12), (0.9, 0.48)]):
        before, shown, after, chart = axes[4 * i : 4 * i + 4]
        np.testing.assert_allclose(before.images[0].get_array(), 0.5)
        np.testing.assert_allclose(after.images[0].get_array(), value, rtol=1e-6)
        expected = heat_overlay(flat((0.5,) * 3), np.full((20, 20), heat), 0.48)
        np.testing.assert_allclose(shown.images[0].get_array(), expected, atol=1e-6)
        titles = [picture.get_title() for picture in (before, shown, after)]
        assert titles == [f"Face {i}", "Heat of the change, 0 to 0.48", "Magnified"]
        assert [bar.get_width() for bar in chart.patches] == [0.75, 0.25, 0.125, 0.875]
        texts = {text.get_text(): text.get_weight() for text in chart.texts}
        assert texts == {"0.75": "bold", "0.25": "normal", "0.12": "normal", "0.88": "bold"}
        assert [text.get_text() for text in chart.get_yticklabels()] == ["anger", "joy"]
        places = [bar.get_window_extent() for bar in chart.patches]  # anger, joy before; after
        order = [places[i] for i in (0, 2, 1, 3)]
        assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(order))
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["before", "after"]
    assert figures[0].get_suptitle() == "anna.png"


def test_next_to_no_change_is_not_drawn_hot(tmp_path, figures):
    change_bars([changed(after=0.51)], tmp_path / "f.png")
    shown = figures[0].axes[1]
    assert shown.get_title() == "Heat of the change, 0 to 0.1"
    expected = heat_overlay(flat((0.5,) * 3), np.full((20, 20), 3e-4), 0.1)
    np.testing.assert_allclose(shown.images[0].get_array(), expected, atol=1e-6)


@pytest.mark.parametrize("count", [2, 13])
def test_bars_of_many_classes_stay_apart_and_in_sight(count, tmp_path, figures):
    probabilities = {f"questioning {i}": (1.0, 0.0) for i in range(count)}
    change_bars([changed(probabilities=probabilities, name="Face 0")], tmp_path / "f.png")
    chart = figures[0].axes[3]
    values = [text.get_window_extent() for text in chart.texts]
    both = [box for pair in zip(values[:count], values[count:], strict=True) for box in pair]
    assert all(above.y0 >= below.y1 - 1 for above, below in itertools.pairwise(both))
    for text in (*chart.texts, *chart.get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figures[0].bbox.width


def test_bad_changes(tmp_path):
    path = tmp_path / "f.png"
    with pytest.raises(ValueError, match=r"`faces`, at least one.*\[\]"):
        change_bars([], path)
    before, heat, after, _, name = changed()
    with pytest.raises(ValueError, match=r"at least one class.*\[0\]"):
        change_bars([(before, heat, after, {}, name)], path)
    with pytest.raises(ValueError, match=r"`heat` must have shape \(h, w\)"):
        change_bars([changed(heat=np.zeros((4, 4, 1)))], path)
    assert not list(tmp_path.iterdir())
