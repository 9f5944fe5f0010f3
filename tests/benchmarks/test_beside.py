"""Ours beside PyTorch: they agree, they take turns, and who disagrees is told."""

import numpy as np
import pytest

from benchmarks import beside, limit, peers
from benchmarks.beside import OURS, THEIRS, WORKS
from benchmarks.measure import Timings

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

TINY = {"batch_size": 4, "overrides": {"recognizer": {"size": 64}}}


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    monkeypatch.setattr(limit, "MATRIX_SIDE", 16)
    monkeypatch.setattr(limit, "CONVOLVED_SIDE", 8)


@pytest.mark.slow
def test_both_agree_take_turns_and_are_written_down(capsys):
    (case,) = beside.measure("recognition", ["quickstart"], turns=2, **TINY)
    assert case["name"] == "quickstart, batch 4"
    assert case["outputs_apart"]["logits"] < 1e-4 and case["losses_apart"] < 1e-3
    assert set(case["ratio"]) == set(WORKS)
    times = case["ms"]["train step"]
    assert set(times) == {OURS, THEIRS} and min(times.values()) > 0
    # Weights, gradients and Adam's two moments are 4 bytes each, whoever holds them.
    weights = make_weights()
    assert min(case["memory_bytes"].values()) > 3 * 4 * weights
    assert case["share_of_limit"] == pytest.approx(
        case["operations_per_second"] / case["limit_per_second"], rel=0.5
    )
    said = capsys.readouterr().out
    assert f"PyTorch {torch.get_num_threads()}" in said and "\n  supervised_loss " in said
    assert "| quickstart, batch 4 | train step (ms) " in said and "share of the limit" in said
    panels = beside.bars([case])
    assert [panel.unit for panel in panels] == ["ms", "ms", "MiB"]
    assert panels[2].values[OURS] == case["memory_bytes"][OURS] / 2**20


def make_weights():
    from benchmarks.models import make_case

    model, _ = make_case("recognition", **TINY)
    return sum(getattr(model, name).count_params() for name in model.player_names)


def test_a_rival_that_answers_otherwise_is_told(monkeypatch):
    class Other:
        def forward(self):
            return {"logits": np.full((4, 12), 9.0, np.float32)}

    monkeypatch.setattr(peers, "make_peer", lambda system, model, batch: Other())
    with pytest.raises(AssertionError, match="logits is .* apart"):
        beside.measure("recognition", ["quickstart"], turns=1, **TINY)


def test_the_table_has_the_ratios_of_paired_turns(monkeypatch, capsys):
    times = Timings({OURS: [1.0, 4.0], THEIRS: [2.0, 4.0]})
    case = {
        "name": "paper, batch 8",
        "ms": {
            work: {n: 1e3 * times.median(n) for n in (OURS, THEIRS)} for work in list(WORKS)[:2]
        },
        "memory_bytes": {OURS: 2**20, THEIRS: 2**21},
        "ratio": {**dict.fromkeys(WORKS, times.ratio(OURS, THEIRS)), "memory of a training": 0.5},
        "operations": 3e9,
        "operations_per_second": 1.2e9,
        "limit_per_second": 4e9,
        "share_of_limit": 0.3,
    }
    monkeypatch.setattr(beside, "compare", lambda *arguments: case)
    assert beside.measure("restoration", ["paper"], turns=2) == [case]
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if "paper" in line]
    cells = [[cell.strip() for cell in row[2:-1]] for row in rows]
    assert cells == [
        ["answer (ms)", "2,500", "3,000", "0.75", "-", "-", "-", "-"],
        ["train step (ms)", "2,500", "3,000", "0.75", "3", "1.2", "4", "30%"],
        ["memory of a training (MiB)", "1", "2", "0.50", "-", "-", "-", "-"],
    ]
