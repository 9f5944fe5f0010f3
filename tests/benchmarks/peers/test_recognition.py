"""Recognition in PyTorch: its answers, its losses and what it learns are ours."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

RATE = 1e-4
"""Faster, three steps learn a few faces by heart, and the loss is nothing but rounding."""

CASES = {
    "alexnet, flattened": ("quickstart", {"recognizer": {"size": 95}}),
    "resnet50, average": ("paper", {"recognizer": {"size": 64}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_answers_losses_and_weights_are_ours(case, make_stirred, assert_alike):
    model, batch = make_stirred("recognition", *CASES[case], RATE)
    assert np.isnan(batch["au"]).any()
    losses = assert_alike("recognition", model, batch)
    assert set(losses[0]) == {tracker.name for tracker in model.trackers}


def test_turns_and_weights_of_losses(make_stirred, assert_alike):
    overrides = {
        "action_units": [1, 12, 25],
        "recognizer": {"size": 63, "pooling": "max"},
        "loss": {"discriminator_updates": 2, "class_weights": [1.0, 3.0, 0.5]},
    }
    model, batch = make_stirred("recognition", "quickstart", overrides, RATE)
    first, second, third = assert_alike("recognition", model, batch)
    assert "supervised_loss" not in first and "supervised_loss" in second
    assert set(third) == set(first)


def test_without_an_opponent(make_stirred, assert_alike):
    overrides = {"recognizer": {"size": 63}, "loss": {"adversarial_weight": 0.0}}
    model, batch = make_stirred("recognition", "quickstart", overrides, RATE)
    losses = assert_alike("recognition", model, batch)
    assert set(losses[0]) == {"supervised_loss"}
