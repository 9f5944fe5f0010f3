import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tfface.facs.action_units import BP4D_AUS
from tfface.plots.timelines import timeline

NAN = float("nan")


def lines(axes):
    """Points of the lines that belong to faces, by face."""
    return {
        line.get_label(): line.get_xydata()
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_a_row_for_each_action_unit_and_a_line_for_each_face(tmp_path, figures):
    series = {
        "Face 0": {"AU1": [0.1, 0.9, 0.3], "AU12": [0.2, 0.2, 0.2]},
        "Face 1": {"AU1": [0.4, 0.5, 0.6], "AU12": [1.0, 0.0, 1.0]},
    }
    path = tmp_path / "t.png"
    timeline([0.0, 0.5, 1.0], series, path, title="a.mp4", threshold=0.4)
    rows = figures[0].axes
    assert [axes.get_ylabel() for axes in rows] == ["AU1", "AU12"]
    for axes, name in zip(rows, ("AU1", "AU12"), strict=True):
        drawn = lines(axes)
        assert list(drawn) == ["Face 0", "Face 1"]
        for face, points in drawn.items():
            expected = np.transpose([[0.0, 0.5, 1.0], series[face][name]])
            np.testing.assert_array_equal(points, expected)
        assert axes.get_ylim()[0] < 0 and axes.get_ylim()[1] > 1
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == ["Face 0", "Face 1"]
    (cut,) = [line for line in rows[0].lines if line.get_linestyle() == ":"]
    assert set(cut.get_ydata()) == {0.4}
    assert path.stat().st_size > 0


def test_only_what_is_above_the_threshold_is_filled(tmp_path, figures):
    timeline([0, 1, 2], {"Face 0": {"AU1": [0.0, 1.0, 0.0]}}, tmp_path / "t.png", threshold=0.5)
    axes = figures[0].axes[0]
    (fill,) = axes.collections
    assert to_hex(fill.get_facecolor()[0]) == to_hex(axes.lines[0].get_color())
    corners = {tuple(v) for path in fill.get_paths() for v in path.vertices.tolist()}
    # The line crosses 0.5 halfway up, at 0.5, and halfway down, at 1.5.
    assert corners == {(0.5, 0.5), (1.0, 1.0), (1.5, 0.5), (1.0, 0.5)}


def test_gaps_stay_gaps_and_a_single_moment_is_a_dot(tmp_path, figures):
    probabilities = [0.9, 0.9, NAN, 0.8, NAN, 0.7]
    timeline(range(6), {"Face 0": {"AU1": probabilities}}, tmp_path / "t.png")
    axes = figures[0].axes[0]
    np.testing.assert_array_equal(lines(axes)["Face 0"][:, 1], probabilities)
    (dots,) = [line for line in axes.lines if line.get_marker() == "."]
    assert dots.get_xydata().tolist() == [[3, 0.8], [5, 0.7]]
    (fill,) = axes.collections
    filled = [np.ptp(path.vertices, axis=0) for path in fill.get_paths()]
    assert [width for width, _ in filled if width > 0] == [1]  # from 0 to 1 and nowhere else


def test_a_face_that_is_never_seen(tmp_path, figures):
    timeline([0, 1], {"Face 0": {"AU1": [NAN, NAN]}}, tmp_path / "t.png")
    assert np.isnan(lines(figures[0].axes[0])["Face 0"][:, 1]).all()


@pytest.mark.parametrize(
    "last, label, tick", [(12.0, "seconds", "10"), (200.0, "minutes:seconds", "3:00")]
)
def test_time_is_told_as_its_length_asks(last, label, tick, tmp_path, figures):
    timeline([0.0, last], {"Face 0": {"AU1": [0.1, 0.2]}}, tmp_path / "t.png")
    axes = figures[0].axes[-1]
    assert axes.get_xlabel() == label
    assert tick in [text.get_text() for text in axes.get_xticklabels()]
    assert axes.get_xlim() == (0, last)


def test_a_single_frame(tmp_path, figures):
    timeline([7.0], {"Face 0": {"AU1": [0.6]}}, tmp_path / "t.png")
    axes = figures[0].axes[0]
    assert axes.get_xlim() == (7, 8)
    (dots,) = [line for line in axes.lines if line.get_marker() == "."]
    assert dots.get_xydata().tolist() == [[7, 0.6]]


def test_rows_do_not_meet(tmp_path, figures):
    units = {f"AU{number} Lip corner depressor": [0.5, 0.6] for number in BP4D_AUS}
    timeline([0, 1], {f"Face {i}": units for i in range(4)}, tmp_path / "t.png", title="a.mp4")
    boxes = [axes.get_tightbbox() for axes in figures[0].axes]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) >= 0


def test_bad_input(tmp_path):
    path = tmp_path / "t.png"
    with pytest.raises(ValueError, match=r"`series`.*at least one face.*\[\]"):
        timeline([0, 1], {}, path)
    with pytest.raises(ValueError, match=r"`series`.*same action units.*AU1.*AU2"):
        timeline([0, 1], {"a": {"AU1": [0, 1]}, "b": {"AU2": [0, 1]}}, path)
    with pytest.raises(ValueError, match=r"`series`.*action units, at least one"):
        timeline([0, 1], {"a": {}}, path)
    with pytest.raises(ValueError, match=r"`times`.*\(2,\) and \[\(3,\)\]"):
        timeline([0, 1], {"a": {"AU1": [0, 1, 0]}}, path)
    with pytest.raises(ValueError, match=r"`times`, at least one"):
        timeline([], {"a": {"AU1": []}}, path)
    assert not list(tmp_path.iterdir())
