"""Restoration in PyTorch: its answers, its losses and what it learns are ours."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

SMALL = {
    "size": 32,
    "generator": {"scale": 2, "filters": 6, "blocks": 2},
    "discriminator": {"filters": 4, "dense_units": 8},
    "classifier": {"widths": [6]},
    "loss": {
        "adversarial_weight": 0.1,
        "expression_weight": 0.1,
        "perceptual_weight": 0.1,
        "discriminator_period": 2,
    },
}


def small(**generator):
    return SMALL | {"generator": SMALL["generator"] | generator}


@pytest.mark.parametrize("adjacency", ["combined", "cosine", "soft", "prior"])
def test_answers_losses_and_weights_are_ours(adjacency, make_stirred, assert_alike):
    model, batch = make_stirred("restoration", "quickstart", small(adjacency=adjacency))
    first, second, _ = assert_alike("restoration", model, batch)
    names = {tracker.name for tracker in model.trackers}
    assert set(first) == names - {"discriminator_loss"} and set(second) == names


def test_residual_blocks_and_a_mask_and_a_critic_without_normalization(make_stirred, assert_alike):
    overrides = small(block="residual", mask_aware=True)
    overrides["discriminator"] = SMALL["discriminator"] | {"normalization": False}
    model, batch = make_stirred("restoration", "quickstart", overrides)
    assert model.generator.inputs[0].shape[-1] == 4
    assert_alike("restoration", model, batch)


@pytest.mark.slow
def test_vgg_as_perceptual_network(make_stirred, assert_alike):
    assert_alike("restoration", *make_stirred("restoration", "paper", SMALL))


def test_another_adversarial_loss_is_refused(make_stirred, assert_alike):
    loss = SMALL["loss"] | {"adversarial_loss": "hinge"}
    case = make_stirred("restoration", "quickstart", SMALL | {"loss": loss})
    with pytest.raises(ValueError, match="'non_saturating'. Received: 'hinge'"):
        assert_alike("restoration", *case)
