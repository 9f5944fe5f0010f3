import cv2
import numpy as np
import pytest

from tfface.plots.searches import search_panels

NAN = float("nan")
VALUES = {"alpha": [0.01, 0.1, 0.001, 1.0], "beta": [1.0, 2.0, 4.0, 8.0]}


def dots(axes):
    return {each.get_label(): each.get_offsets().tolist() for each in axes.collections}


def test_a_dot_a_trial_in_a_panel_a_value(tmp_path, figures):
    path = tmp_path / "s.png"
    search_panels(VALUES, [0.5, 0.7, NAN, 0.6], path, own=0, best=1, y_label="F1")
    first, second = figures[0].axes
    assert (first.get_xscale(), first.get_xlabel(), first.get_ylabel()) == ("log", "alpha", "F1")
    names = [text.get_text() for text in first.get_xticklabels()]
    assert [name for name in names if 0.001 <= float(name) <= 1] == ["0.001", "0.01", "0.1", "1"]
    assert "2" in [text.get_text() for text in second.get_xticklabels()]  # not a decade alone
    low, high = first.get_xlim()
    assert low < 0.001 and high > 1
    drawn = dots(first)
    assert drawn["trial"] == [[0.01, 0.5], [0.1, 0.7], [1.0, 0.6]]
    assert (drawn["own values"], drawn["best"]) == ([[0.01, 0.5]], [[0.1, 0.7]])
    assert [x for x, _ in drawn["failed"]] == [0.001]
    assert dots(second)["best"] == [[2.0, 0.7]]
    assert cv2.imread(str(path)).shape[1] > 600


def test_trials_trained_in_part_are_hollow(tmp_path, figures):
    short = [False, False, True, False]
    search_panels(VALUES, [0.5, 0.7, 0.9, 0.6], tmp_path / "s.png", 0, 1, "F1", short=short)
    axes = figures[0].axes[0]
    assert dots(axes)["trained in part"] == [[0.001, 0.9]]
    (hollow,) = (each for each in axes.collections if each.get_label() == "trained in part")
    assert len(hollow.get_facecolor()) == 0


def test_many_values_take_several_rows(tmp_path, figures):
    values = {f"w{i}": [1.0, 2.0] for i in range(5)}
    search_panels(values, [1.0, 2.0], tmp_path / "s.png", own=0, best=1, y_label="y")
    shown = [axes for axes in figures[0].axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == list(values)
    assert len({round(axes.get_position().y0, 2) for axes in shown}) == 2


def test_bad_input(tmp_path):
    def drawn(values, figure, **kwargs):
        search_panels(values, figure, tmp_path / "s.png", own=0, best=0, y_label="y", **kwargs)

    with pytest.raises(ValueError, match=r"`values`, at least one.*\(2,\)"):
        drawn({}, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"must each have shape \(2,\).*\[\(3,\)\]"):
        drawn({"a": [1, 2, 3]}, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"as `short`.*and \(1,\)"):
        drawn({"a": [1, 2]}, [1.0, 2.0], short=[True])
    with pytest.raises(ValueError, match="above 0. Received: others in b"):
        drawn({"a": [1, 2], "b": [0, np.nan]}, [1.0, 2.0])
    assert not list(tmp_path.iterdir())
