"""A system in PyTorch: what every peer does alike."""

import contextlib
import itertools
import math

import keras
import numpy as np
import torch
from torch import nn

from benchmarks.peers.weights import count_weights


class Peer:
    """A system in PyTorch with the weights of ours, on one batch.

    A subclass writes three methods: `build`, which makes the networks, `answers`, what the system
    gives at inference, and `learn`, one training step. In `learn` it names players, as ours do:
    `self.update("generator", loss)`; a forward through an opponent stands in `with
    self.frozen("discriminator"):`, so that nothing is kept for gradients that nobody takes.

    Attributes:
        batch: What it trains on: dict of tensors; pictures (..., C, H, W).
        networks: `nn.ModuleDict`: the players by their names, and the networks that do not learn.

    Args:
        model: Our compiled AdversarialModel, which has not trained yet.
        batch: Its batch, dict of TensorFlow tensors; pictures (..., H, W, C).

    Raises:
        ValueError: If the model has trained, or is compiled with what a peer does not do.
    """

    def __init__(self, model, batch):
        _check(model)
        self.batch = {name: to_torch(value) for name, value in batch.items()}
        self.networks = nn.ModuleDict(self.build(model))
        self._check_networks(model)
        self.turns, self.steps = model.turns, 0
        self.players = tuple(model.player_names)
        for name, network in self.networks.items():
            if name not in self.players:
                network.requires_grad_(False).eval()
        self._parameters = {name: list(self.networks[name].parameters()) for name in self.players}
        self._adams = {
            name: make_adam(self._parameters[name], model.optimizers[name]) for name in self.players
        }
        self._training = None

    def build(self, model):
        """Makes the networks, with the weights of the model's.

        Returns:
            Dict of `nn.Module`: every player by its name; what does not learn by whatever name.
        """
        raise NotImplementedError

    def answers(self):
        """What the system gives at inference for `self.batch`: dict of tensors."""
        raise NotImplementedError

    def learn(self):
        """One training step on `self.batch`; returns its losses, dict of scalar tensors."""
        raise NotImplementedError

    def answer(self):
        """What the system gives at inference: dict of tensors; pictures (..., C, H, W)."""
        self._train(False)
        with torch.inference_mode():
            return self.answers()

    def forward(self):
        """The same as NumPy arrays in our layout, pictures (..., H, W, C)."""
        return {name: to_numpy(value) for name, value in self.answer().items()}

    def train_step(self):
        """Takes one training step.

        Returns:
            Dict of this step's losses as detached scalar tensors, which `losses` makes numbers of:
            by the names that our model tracks, without those of players that were not due.
        """
        self._train(True)
        losses = self.learn()
        self.steps += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def losses(self, result):
        """The floats of what `train_step` has returned."""
        return {name: float(loss) for name, loss in result.items()}

    def due(self, player):
        """Whether a player learns in this step, as the model's `turns` say."""
        return player in self.turns[self.steps % len(self.turns)]

    def update(self, player, loss):
        """One step of a player's Adam down its gradient of `loss`; no other gradient is taken."""
        adam = self._adams[player]
        adam.zero_grad(set_to_none=True)
        loss.backward(inputs=self._parameters[player])
        adam.step()

    @contextlib.contextmanager
    def frozen(self, *players):
        """What is computed inside takes no gradients for the weights of these players."""
        weights = [weight for player in players for weight in self._parameters[player]]
        for weight in weights:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in weights:
                weight.requires_grad_(True)

    def _train(self, training):
        """Puts the players into the mode of training or of inference, if they are not in it."""
        if self._training is not training:
            for player in self.players:
                self.networks[player].train(training)
            self._training = training

    def _check_networks(self, model):
        missing = set(model.player_names) - set(self.networks)
        if missing:
            raise ValueError(f"`build` must make every player. Received: none of {sorted(missing)}")
        for name, network in self.networks.items():
            ours, theirs = getattr(model, name, None), count_weights(network)
            if ours is not None and ours.count_params() != theirs:
                raise ValueError(
                    f"`build` must make as many weights as ours has, {ours.count_params()} in "
                    f"{name}. Received: {theirs}"
                )


def make_adam(parameters, optimizer):
    """Torch's Adam that takes the steps of a Keras one.

    Keras adds its epsilon to the root of the second moment before its bias is corrected, torch
    after. The difference matters to gradients below 1e-5 in the first steps only; so that losses
    can be compared, torch's epsilon is set to what makes both steps equal. It costs nothing.

    Args:
        parameters: List of what it trains.
        optimizer: keras.optimizers.Adam.
    """
    betas = optimizer.beta_1, optimizer.beta_2
    adam = torch.optim.Adam(parameters, float(optimizer.learning_rate), betas)
    steps = itertools.count(1)

    def set_epsilon(adam, args, kwargs):
        corrected = math.sqrt(1.0 - betas[1] ** next(steps))
        adam.param_groups[0]["eps"] = optimizer.epsilon / corrected

    adam.register_step_pre_hook(set_epsilon)
    return adam


def to_torch(value):
    """A tensor of ours as torch's: what has four axes or more is pictures, (..., H, W, C)."""
    value = np.asarray(value)
    value = np.moveaxis(value, -1, -3) if value.ndim > 3 else value
    return torch.tensor(np.ascontiguousarray(value))


def to_numpy(value):
    """The way back."""
    value = value.numpy(force=True)
    return np.moveaxis(value, -3, -1) if value.ndim > 3 else value


def _check(model):
    for name, optimizer in model.optimizers.items():
        if type(optimizer) is not keras.optimizers.Adam or (
            optimizer.use_ema or optimizer.weight_decay or optimizer.amsgrad
        ):
            raise ValueError(
                f"`model` must be compiled with plain Adam for {name}. Received: {optimizer}"
            )
    if model.gradient_clip is not None or model.accumulate > 1 or model.steps_per_execution > 1:
        raise ValueError(
            "`model` must be compiled to take one plain step a call. Received: "
            f"gradient_clip={model.gradient_clip}, accumulate={model.accumulate}, "
            f"steps_per_execution={model.steps_per_execution}"
        )
    taken = int(keras.ops.convert_to_numpy(model.step))
    if taken:
        raise ValueError(
            f"`model` must not have trained: moments are not copied. Received: {taken} steps"
        )
