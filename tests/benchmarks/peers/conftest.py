"""What the tests of peers share: a case to compare, and the comparison."""

import numpy as np
import pytest

from benchmarks.agreement import compare_losses, compare_outputs
from benchmarks.models import make_answer, make_case, make_stepper
from benchmarks.peers import make_peer

RATE = 1e-3
"""Learning rate: ten times `make_case`'s, so that a wrong gradient shows within three steps."""


@pytest.fixture
def make_stirred():
    """Function of a system, a config and overrides to a case whose weights are far from first ones.

    What starts at 0 or 1, and would hide where it stands, is drawn at random. Steps are not traced,
    which would take longer than they do.
    """

    def make(system, config, overrides, rate=RATE):
        model, batch = make_case(
            system, config, batch_size=3, overrides=overrides, run_eagerly=True
        )
        rng = np.random.default_rng(2)
        for network in (layer for layer in model.layers if layer.weights):
            for weight in network.weights:
                if weight.name in ("gamma", "moving_variance"):
                    weight.assign(weight * rng.uniform(0.5, 1.5, weight.shape))
                elif weight.name != "kernel":
                    weight.assign(rng.normal(0, 0.1, weight.shape))
        for optimizer in model.optimizers.values():
            optimizer.learning_rate = rate
        return model, batch

    return make


@pytest.fixture
def assert_alike():
    """Function that trains a system and its peer and compares answers, losses and weights."""

    def check(system, model, batch):
        peer = make_peer(system, model, batch)
        answer, step = make_answer(system, model, batch), make_stepper(model, batch)
        compare_outputs({name: value.numpy() for name, value in answer().items()}, peer.forward())
        taken = []

        def train_step():
            taken.append(peer.losses(peer.train_step()))
            return taken[-1]

        compare_losses(step, train_step)
        _compare_weights(peer, model)
        return taken

    return check


def _compare_weights(peer, model):
    """Most weights of each player, after some steps, are where ours are.

    Adam moves a weight by its whole rate even where its gradient is nothing but rounding; so a few
    may be elsewhere.
    """
    ours = peer.build(model)
    for player in peer.players:
        rate = float(model.optimizers[player].learning_rate)
        theirs = dict(peer.networks[player].named_parameters())
        apart = [
            (weight - theirs[name]).abs().flatten()
            for name, weight in ours[player].named_parameters()
        ]
        apart = np.concatenate([values.detach().numpy() for values in apart])
        elsewhere = np.mean(apart > 0.02 * rate)
        assert elsewhere < 0.02, f"{elsewhere:.1%} of the weights of {player} are not ours"
