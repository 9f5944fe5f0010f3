"""Crop against full: the same composition, and two trainings that take turns."""

import json

import pytest

from benchmarks import regional_step, train_step
from benchmarks.regional_step import Size, check_composition, make_batch, make_model

TINY = Size("tiny", (1, 12), side=32, batch_size=2, filters=(2, 2, 3, 3, 4))


def test_both_compose_alike_and_see_the_same_pixels():
    assert 0.5 < check_composition(TINY) < 1
    crop, full = (make_model(region, TINY).generator for region in regional_step.REGIONS)
    assert full.region_shape == (32, 32) and crop.region_shape == (6, 12)
    batch = make_batch(TINY)
    sums = []
    for generator in (crop, full):
        _, attention, *_ = generator.cut([batch["face"], batch["landmarks"]])
        sums.append(float(attention.numpy().sum()))
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)


@pytest.mark.slow
def test_the_two_take_turns_and_the_figures_are_written(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(regional_step, "paper_size", lambda: TINY)
    arguments = ["--system", "synthesis", "--algorithm", "--turns", "2"]
    train_step.main([*arguments, "--out", str(tmp_path / "t.json")])
    out = capsys.readouterr().out
    assert "tiny: equal compositions" in out and "Target: at least 4.0 times" in out
    (figures,) = json.loads((tmp_path / "t.json").read_text())["cases"]
    assert figures["ratio"] > 0 and min(figures["ms"].values()) > 0
    assert min(figures["memory_bytes"].values()) > 0
    assert f"full takes {figures['ratio']:.2f} times as long" in out
    times, memory = regional_step.bars([figures])
    assert times.values == figures["ms"]
    assert memory.values["full"] == figures["memory_bytes"]["full"] / 2**20
