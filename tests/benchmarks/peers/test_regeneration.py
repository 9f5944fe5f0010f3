"""IA-gen in PyTorch: its answers and its losses are ours."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.agreement import compare_losses, compare_outputs
from benchmarks.models import make_answer, make_case, make_stepper
from benchmarks.peers import make_peer

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

PLAYERS = {"generator": {"filters": [6, 8, 10]}, "discriminator": {"filters": [4, 6, 8]}}
CLASSES = ["anger", "fear"]
CASES = {
    "alexnet, G changes the face": ("quickstart", {"faces": {"classes": CLASSES}}),
    "FER-Net, G draws the face": (
        "paper",
        {
            "faces": {"classes": CLASSES, "size": 16, "channels": 3},
            "perceptual_layers": ["block1_relu1", "block2_relu2"],
        },
    ),
}


def make_stirred(config, overrides):
    """A case of small networks of which no weights are alike, as biases and zeros are at first."""
    model, batch = make_case("regeneration", config, batch_size=3, overrides=PLAYERS | overrides)
    players = [getattr(model, name) for name in model.player_names]
    rng = np.random.default_rng(2)
    for network in (model.regenerator.classifier, model.loss_network, *players):
        stir(network, rng)
    return model, batch


def stir(network, rng):
    weights = network.get_weights()
    alike = [np.ptp(weight) == 0 for weight in weights]
    noise = [rng.normal(0, 0.02, weight.shape) for weight in weights]
    network.set_weights([w + n if a else w for w, n, a in zip(weights, noise, alike, strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_answers_and_losses_are_ours(case):
    model, batch = make_stirred(*CASES[case])
    # One face has no picture of its person's anger.
    batch["known"] = tf.constant([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    peer = make_peer("regeneration", model, batch)
    given = make_answer("regeneration", model, batch)()
    answer = {name: value.numpy() for name, value in given.items()}
    compare_outputs(answer, peer.forward())
    assert answer["faces"].shape == batch["target"].shape and answer["distances"].shape == (3, 2)
    taken = []

    def train_step():
        taken.append(peer.losses(peer.train_step()))
        return taken[-1]

    compare_losses(make_stepper(model, batch), train_step)
    names = {tracker.name for tracker in model.trackers}
    for name in names:  # every loss is there and moves, so both kinds of players learn
        assert len({losses[name] for losses in taken}) == len(taken)
    assert all(set(losses) == names for losses in taken)


def test_an_expression_of_which_nobody_has_a_picture_costs_nothing():
    model, batch = make_stirred(*CASES["FER-Net, G draws the face"])
    both = make_peer("regeneration", model, batch)
    one = make_peer("regeneration", model, batch | {"known": tf.constant([[1.0, 0.0]] * 3)})
    other = one.networks["generator_fear"]
    before = [weight.clone() for weight in other.parameters()]
    losses, fewer = (peer.losses(peer.train_step()) for peer in (both, one))
    assert all(0 < fewer[name] < losses[name] for name in losses)
    for weight, was in zip(other.parameters(), before, strict=True):
        assert torch.equal(weight, was)


def test_what_no_config_uses_is_refused():
    model, batch = make_stirred(*CASES["FER-Net, G draws the face"])
    model.content_loss = "mse"
    with pytest.raises(ValueError, match=r"`model` must be as in the configs: .*'mse'"):
        make_peer("regeneration", model, batch)
