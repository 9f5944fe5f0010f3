"""GroupGAN in PyTorch: its answers and its losses are ours."""

import keras
import numpy as np
import pytest

from benchmarks.agreement import compare_losses, compare_outputs
from benchmarks.models import make_answer, make_case, make_stepper
from benchmarks.peers import make_peer

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

PLAYERS = {
    "generator": {"filters": [4, 6, 8, 10]},
    "discriminator": {"filters": [4, 8], "dense_units": 12},
}
CASES = {
    "alexnet, G changes the face": ("quickstart", {}),
    "vgg13, G draws the face": ("paper", {"pairs": {"crop": 32}}),
    "vgg11, perceptual": (
        "paper_lsemsw",
        {"pairs": {"crop": 32}, "classifier": {"backbone": "vgg11"}},
    ),
}


def make_stirred(config, overrides):
    """A case of small networks of which no weights are alike, as biases and zeros are at first.

    E learns slowly: it normalizes nothing, and rounding to float32 alone changes its gradient by
    up to 0.4 % (of PyTorch's as of ours, against float64). Adam's first steps go by the gradients'
    signs, so that at 1e-4 some hundredths of E's weights step to the wrong side, which parts the
    losses by more than they may.
    """
    model, batch = make_case("magnification", config, batch_size=3, overrides=PLAYERS | overrides)
    rng = np.random.default_rng(2)
    for name in ("classifier", *model.player_names):
        stir(getattr(model, name), rng)
    rates = dict.fromkeys(model.player_names, 1e-4) | {"extractor": 1e-6}
    model.compile({name: keras.optimizers.Adam(rate) for name, rate in rates.items()})
    return model, batch


def stir(network, rng):
    weights = network.get_weights()
    alike = [np.ptp(weight) == 0 for weight in weights]
    noise = [rng.normal(0, 0.02, weight.shape) for weight in weights]
    network.set_weights([w + n if a else w for w, n, a in zip(weights, noise, alike, strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_answers_losses_and_what_is_learned_are_ours(case):
    model, batch = make_stirred(*CASES[case])
    peer = make_peer("magnification", model, batch)
    given = make_answer("magnification", model, batch)()
    answer = {name: value.numpy() for name, value in given.items()}
    compare_outputs(answer, peer.forward())
    assert answer["face"].shape == batch["weak"].shape and answer["logits"].shape == (3, 7)

    before = {name: vector(peer.networks[name]) for name in peer.players}
    losses, _ = compare_losses(
        make_stepper(model, batch), lambda: peer.losses(peer.train_step()), steps=3
    )
    assert set(losses) == {tracker.name for tracker in model.trackers}
    assert all(theirs != 0 for _, theirs in losses.values())
    for name, first in before.items():
        network = peer.networks[name]
        ours, theirs = vector(type(network)(getattr(model, name))), vector(network)
        assert torch.cosine_similarity(ours - first, theirs - first, dim=0) > 0.95


def vector(network):
    """All weights of a network that learn, in a row."""
    return torch.nn.utils.parameters_to_vector(network.parameters()).detach().double()


def test_what_no_config_uses_is_refused():
    model, batch = make_stirred(*CASES["vgg11, perceptual"])
    for name, value in {"adversarial_loss": "non_saturating", "class_weight": 0.0}.items():
        kept = getattr(model, name)
        setattr(model, name, value)
        with pytest.raises(ValueError, match=rf"`model` must play as in the configs: .*{value}"):
            make_peer("magnification", model, batch)
        setattr(model, name, kept)
