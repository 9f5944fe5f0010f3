"""LAC-GAN in PyTorch: its answers, its losses and what it learns are ours."""

import numpy as np
import pytest
import tensorflow as tf

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

ACTION_UNITS = [1, 12, 25]  # side by side, at the lip corners, and one above the other
SMALL = {
    "action_units": ACTION_UNITS,
    "region_discriminator": {"filters": [4, 4, 6, 6]},
    "latent_discriminator": {"units": [6, 5, 4]},
    "face_discriminator": {"filters": [4, 6]},
    "subject_classifier": {"filters": [4, 6]},
}
GENERATOR = {"filters": [4, 4, 6, 6, 6], "latent_size": 4}
CASES = {
    "windows that move": ("quickstart", 32, "movement"),
    "windows that are drawn": ("quickstart", 36, "pixels"),
    "whole faces that are drawn": ("paper", 36, "pixels"),
    "whole faces that move": ("paper", 30, "movement"),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_losses_and_weights_are_ours(case, make_stirred, assert_alike):
    config, size, drawing = CASES[case]
    generator = GENERATOR | {"drawing": drawing, "extent": 0.28}
    overrides = SMALL | {"size": size, "generator": generator}
    model, batch = make_stirred("synthesis", config, overrides)
    # Labels that nobody knows, a face without landmarks, and one whose region is half outside.
    for name, where, value in (
        ("au", (0, 0), np.nan),
        ("au", (slice(None), 1), np.nan),
        ("target", (1, 2), np.nan),
        ("landmarks", (0,), np.nan),
        ("landmarks", (1, 48), (-2, 20)),
    ):
        values = batch[name].numpy()
        values[where] = value
        batch[name] = tf.constant(values)
    losses = assert_alike("synthesis", model, batch)
    names = {tracker.name for tracker in model.trackers}
    assert all(set(each) == names for each in losses)


def test_each_of_the_weights_of_losses_counts(make_stirred, assert_alike):
    loss = {"latent_weight": 0.0, "image_weight": 0.0, "action_unit_weights": [1.0, 2.0, 3.0]}
    overrides = SMALL | {"size": 32, "generator": GENERATOR, "loss": loss}
    model, batch = make_stirred("synthesis", "quickstart", overrides)
    losses = assert_alike("synthesis", model, batch)
    left_out = {"latent_loss", "latent_discriminator_loss", "image_loss", "face_discriminator_loss"}
    assert set(losses[0]) == {tracker.name for tracker in model.trackers} - left_out
