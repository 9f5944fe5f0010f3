"""The table of speed switches: what is compared, and that a diverged loss is told."""

import json

import pytest

from benchmarks import models, switches, train_step
from benchmarks.switches import PLAIN, STEPS, SWITCHES

TINY = {
    "recognizer": {"backbone": "compact", "size": 32},  # drops no units
    "training": {"batch_size": 4},
    "loss": {"adversarial_weight": 0.1},
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(models, "read_config", lambda system, name: TINY)


def test_every_switch_trains_alike(tmp_path, capsys):
    out = tmp_path / "switches.json"
    train_step.main(["--system", "recognition", "--switches", "--turns", "1", "--out", str(out)])
    cases = {case["switch"]: case for case in json.loads(out.read_text())["cases"]}
    assert list(cases) == list(SWITCHES)
    assert cases[PLAIN]["times_as_fast"] == 1 and cases[PLAIN]["losses_apart"] == 0
    assert cases["jit_compile"]["losses_apart"] < 1e-3
    assert cases["steps_per_execution"]["losses_apart"] < 1e-3
    assert cases["mixed_bfloat16"]["losses_apart"] < 0.05 > cases["mixed_float16"]["losses_apart"]
    assert 0 < cases["accumulate"]["losses_apart"] < 1  # its weights have yet to move
    said = capsys.readouterr().out
    assert "recognition, sizes of its config quickstart" in said
    assert f"losses apart over {STEPS} steps" in said
    assert out.with_suffix(".png").exists()
    (panel,) = switches.bars(list(cases.values()))
    assert panel.values == {name: case["ms"] for name, case in cases.items()}


def test_a_loss_that_is_no_number_is_told(monkeypatch):
    stepper = lambda model, batch: lambda: {"loss": float("nan")}  # noqa: E731
    monkeypatch.setattr(switches, "make_stepper", stepper)
    with pytest.raises(AssertionError, match="float32: .*nan"):
        switches.measure("recognition", 1)
