"""No system is traced again once each kind of its steps has run, and what is held is told."""

import json

import pytest
import tensorflow as tf

from benchmarks import steady, train_step
from benchmarks.models import PAPERS
from benchmarks.steady import traced_functions, traces, watch

FEW = {"filters": [2, 2, 3, 3]}
TINY = {
    "restoration": {
        "size": 64,
        "generator": {"filters": 2, "blocks": 1},
        "discriminator": {"filters": 2, "dense_units": 2},
        "classifier": {"widths": [2, 2]},
    },
    "recognition": {"recognizer": {"backbone": "compact", "size": 32}},
    "magnification": {
        "pairs": {"crop": 32},
        "classifier": {"backbone": "compact"},
        "generator": {"filters": [2, 3, 4, 5]},
        "discriminator": {"filters": [2, 3], "dense_units": 2},
    },
    "regeneration": {
        "features": "fer_net",
        "perceptual_layers": ["block1_relu1"],
        "faces": {"classes": ["anger", "fear"], "size": 16},
        "generator": {"filters": [2, 3]},
        "discriminator": {"filters": [2, 3]},
    },
    "synthesis": {
        "size": 32,
        "action_units": [1, 12],
        "generator": {"filters": [2, 2, 3, 3, 4], "latent_size": 4},
        "region_discriminator": FEW,
        "face_discriminator": FEW,
        "subject_classifier": FEW,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("system", PAPERS)
def test_no_retracing_after_each_kind_of_step_has_run_twice(system):
    making = {"batch_size": 2, "overrides": TINY[system]}
    case = watch(system, "quickstart", steps=6, every=3, making=making)
    # A graph of a step, and one that takes its batch from the stream; restoration's discriminator
    # learns in every third step, so that it has two kinds.
    assert case["traces_at_first"] == 2 * (2 if system == "restoration" else 1)
    assert case["traces"] == case["traces_at_first"]
    assert case["steps"] == [3, 6] and min(case["held_bytes"]) > 2**20
    rise = case["held_bytes"][1] - case["held_bytes"][0]
    assert case["more_a_step"] == pytest.approx(rise / 3, abs=1)


def test_whatever_is_traced_counts():
    with traced_functions() as functions:
        twice = tf.function(lambda x: 2 * x)
        for value in (1, 2, tf.constant(1.0), tf.constant([1.0]), tf.constant([2.0])):
            twice(value)
        idle = tf.function(lambda x: x)
    tf.function(lambda x: x)(3.0)  # made outside
    assert functions == [twice, idle]
    assert traces(functions) == 4  # two numbers, a scalar and a vector


def test_traces_and_memory_are_printed_and_drawn(monkeypatch, capsys, tmp_path):
    case = {
        "size": "quickstart",
        "traces_at_first": 2,
        "traces": 3,
        "steps": [50, 100],
        "held_bytes": [100 * 2**20, 101 * 2**20],
        "more_a_step": 2**20 / 50,
    }
    monkeypatch.setattr(steady, "watch", lambda *arguments: case)
    out = tmp_path / "steady.json"
    train_step.main(["--system", "synthesis", "--steady", "--out", str(out)])
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.startswith("| quickstart"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells == ["quickstart", "2", "3", "100", "101", "20.48"]
    assert json.loads(out.read_text())["cases"] == [case]
    assert out.with_suffix(".png").stat().st_size > 5000
