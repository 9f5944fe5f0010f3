"""Drawing and building: the figures, their table and their chart."""

import json
import os

import pytest

from benchmarks import data
from benchmarks.measure import Timings


def test_drawing_is_held_to_one_core(monkeypatch):
    before = os.sched_getaffinity(0)
    born = []

    class Process:
        def __init__(self, target, args):
            self.results = args[1]

        def start(self):
            born.append(os.sched_getaffinity(0))
            self.results.put([(100.0, 110.0), (300.0, 330.0), (200.0, 220.0)])

        def join(self):
            pass

    context = data.multiprocessing.get_context("spawn")
    monkeypatch.setattr(type(context), "Process", Process)
    assert data.drawing_speed(1) == (200.0, 220.0)
    assert born == [{min(before)}] and os.sched_getaffinity(0) == before


def test_the_figures_are_written(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(data, "drawing_speed", lambda seconds: (229.4, 240.0))
    monkeypatch.setattr(
        data, "building_turns", lambda turns: (Timings({1: [10.0, 12.0], 2: [5.0, 8.0]}), 220)
    )
    assert data.main(["--out", str(tmp_path / "data.json")]) == 0
    said = capsys.readouterr().out
    assert "| 229 " in said and "at least 200" in said and "| 1.75 " in said
    figures = json.loads((tmp_path / "data.json").read_text())
    assert figures["built_per_second"] == {"1": pytest.approx(20), "2": pytest.approx(220 / 6.5)}
    assert figures["built_by_two_over_one"] == pytest.approx((10 / 5 + 12 / 8) / 2)
    assert (tmp_path / "data.png").stat().st_size > 5000
