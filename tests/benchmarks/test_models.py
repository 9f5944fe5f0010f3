"""The systems' steps as they are timed: of the configs' sizes, alike each time."""

import numpy as np
import pytest

from benchmarks import models
from benchmarks.models import PAPERS, make_case, make_stepper, read_config

TINY = {
    "recognizer": {"backbone": "fer_net", "size": 16},
    "training": {"batch_size": 4},
    "loss": {"adversarial_weight": 0.1},
}


@pytest.mark.slow
@pytest.mark.parametrize("system", PAPERS)
@pytest.mark.parametrize("name", ["quickstart", "paper"])
def test_networks_and_batches_are_of_the_configs_sizes(system, name):
    model, batch = make_case(system, name, batch_size=2)
    config = read_config(system, name)
    assert set(model.optimizers) == set(model.player_names)
    (face,) = (batch[key] for key in ("face", "weak") if key in batch)
    sides = {
        "restoration": lambda: 128,
        "recognition": lambda: config["recognizer"]["size"],
        "magnification": lambda: config["pairs"]["crop"],
        "regeneration": lambda: config["faces"].get("size", 64),
        "synthesis": lambda: config["size"],
    }
    assert face.shape[:3] == (2, sides[system](), sides[system]())


def test_the_same_each_time_and_as_large_as_asked(monkeypatch):
    monkeypatch.setattr(models, "read_config", lambda system, name: TINY)
    made = [make_case("recognition") for _ in range(2)]
    assert made[0][1]["face"].shape == (4, 16, 16, 3)
    losses = [make_stepper(*case)() for case in made]
    assert losses[0] == losses[1] and np.isfinite(list(losses[0].values())).all()
    half, batch = make_case("recognition", batch_size=2, precision="mixed_bfloat16", accumulate=3)
    assert half.recognizer.dtype_policy.name == "mixed_bfloat16" and half.accumulate == 3
    assert batch["au"].shape == (2, 12)
