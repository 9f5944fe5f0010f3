"""What every peer does alike: who learns and how far, and what it refuses."""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-bench")

from benchmarks.models import make_case, make_stepper  # noqa: E402
from benchmarks.peers import make_peer  # noqa: E402
from benchmarks.peers.peer import make_adam  # noqa: E402

SMALL = {"recognizer": {"backbone": "alexnet", "size": 63}}


@pytest.fixture(scope="module")
def case():
    return make_case("recognition", batch_size=2, overrides=SMALL, run_eagerly=True)


def test_adam_takes_the_steps_of_keras():
    # Gradients around epsilon, where the place of epsilon decides on the step.
    scales = np.float32([1.0, 1e-4, 1e-6, 1e-7, 1e-9])
    ours, theirs = keras.Variable(np.zeros(5)), torch.zeros(5, requires_grad=True)
    optimizer = keras.optimizers.Adam(0.1, beta_1=0.5, beta_2=0.99)
    adam = make_adam([theirs], optimizer)
    for factor in (1.0, -0.5, 2.0, 0.1):
        optimizer.apply([keras.ops.convert_to_tensor(factor * scales)], [ours])
        theirs.grad = torch.tensor(factor * scales)
        adam.step()
        np.testing.assert_allclose(theirs.detach(), ours, rtol=1e-4, atol=1e-9)


def test_only_the_player_learns_and_only_what_is_due(case):
    model, batch = case
    peer = make_peer("recognition", model, batch)
    peer.turns = [("discriminator",), ("discriminator", "recognizer")]

    def moved():
        before = {name: [p.clone() for p in peer.networks[name].parameters()] for name in due}
        losses = peer.losses(peer.train_step())
        return losses, {
            name: any(
                not torch.equal(a, b)
                for a, b in zip(before[name], peer.networks[name].parameters(), strict=True)
            )
            for name in due
        }

    due = ("recognizer", "discriminator")
    losses, first = moved()
    assert first == {"recognizer": False, "discriminator": True}
    assert set(losses) == {"discriminator_loss", "real_score", "predicted_score"}
    losses, second = moved()
    assert second == {"recognizer": True, "discriminator": True}
    assert all(isinstance(loss, float) for loss in losses.values())
    assert all(weight.requires_grad for weight in peer.networks.parameters())


def test_an_answer_keeps_no_gradient_and_changes_nothing(case):
    peer = make_peer("recognition", *case)
    answers = [peer.answer()["logits"] for _ in range(2)]
    assert torch.equal(*answers) and not answers[0].requires_grad
    assert peer.forward()["logits"].shape == (2, 12)


def test_the_frozen_player_gets_no_gradient(case):
    peer = make_peer("recognition", *case)
    labels = torch.rand(2, 12, requires_grad=True)
    with peer.frozen("discriminator"):
        scores = peer.networks["discriminator"](labels)
    scores.sum().backward()
    assert labels.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in peer.networks["discriminator"].parameters())


def test_what_is_no_peer_of_a_fresh_plain_model_is_refused(case):
    with pytest.raises(ValueError, match="`system` must be one of restoration.*'animation'"):
        make_peer("animation", *case)
    model, batch = make_case(
        "recognition", batch_size=2, overrides=SMALL, run_eagerly=True, gradient_clip=1.0
    )
    with pytest.raises(ValueError, match="one plain step a call. Received: gradient_clip=1.0"):
        make_peer("recognition", model, batch)
    model.compile({name: keras.optimizers.SGD() for name in model.player_names}, run_eagerly=True)
    with pytest.raises(ValueError, match="plain Adam for recognizer"):
        make_peer("recognition", model, batch)
    model.compile({name: keras.optimizers.Adam() for name in model.player_names}, run_eagerly=True)
    make_stepper(model, batch)()
    with pytest.raises(ValueError, match="must not have trained.* Received: 1 steps"):
        make_peer("recognition", model, batch)
