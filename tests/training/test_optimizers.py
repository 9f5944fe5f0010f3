"""How networks learn: optimizers made as asked, and rates that fall, also across a kill."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from configuration import DataConfig, OptimizerConfig, RunConfig, make_parser, read_config
from optimizers import learning_rate, make_optimizer
from run import Run

from tfface.adversarial import AdversarialModel

GROUPS = {"": RunConfig, "data": DataConfig, "training": OptimizerConfig}


def plan(**values):
    flags = [f"--{key}={value}" for key, value in values.items()]
    return read_config(make_parser("", {"": OptimizerConfig}), flags)


@pytest.mark.parametrize(
    ("values", "losses", "expected"),
    [
        ({}, [3, 2, 9, 9, 9], 0.1),
        # Every two epochs a tenth is left.
        ({"decay_every": 2}, [], 0.1),
        ({"decay_every": 2}, [9], 0.1),
        ({"decay_every": 2}, [9, 9], 0.01),
        ({"decay_every": 2}, [9, 9, 9], 0.01),
        ({"decay_every": 2, "decay": 0.5}, [9, 9, 9, 9], 0.025),
        # The least loss so far counts, not the last: 3, 2 fall; 4 and 2 do not.
        ({"decay_stalled": 2}, [3, 2, 4], 0.1),
        ({"decay_stalled": 2}, [3, 2, 4, 2], 0.01),
        ({"decay_stalled": 2}, [3, 2, 4, 1], 0.1),
        # After a fall the wait begins anew.
        ({"decay_stalled": 2}, [3, 2, 4, 2, 2], 0.01),
        ({"decay_stalled": 2}, [3, 2, 4, 2, 2, 2], 0.001),
        ({"decay_stalled": 2}, [3, 2, 4, 2, 2, 1, 5], 0.01),
        # A loss that nobody wrote down is no progress.
        ({"decay_stalled": 1}, [float("nan")], 0.01),
        ({"decay_stalled": 1}, [3, float("nan"), 2], 0.01),
        # Both at once: one fall each.
        ({"decay_every": 3, "decay_stalled": 2, "decay": 0.5}, [3, 3, 3], 0.025),
        ({"decay_stalled": 1, "least_rate": 0.004}, [3, 3, 3], 0.004),
        ({"decay_stalled": 1, "least_rate": 0.004}, [3, 3], 0.01),
    ],
)
def test_the_rate_of_the_epoch_after(values, losses, expected):
    assert learning_rate(plan(learning_rate=0.1, **values), losses) == pytest.approx(expected)


def test_the_papers_rate_falls_once_and_no_further():
    paper = plan(learning_rate=1e-4, decay_stalled=5, decay=0.1, least_rate=1e-5)
    losses = [1.0] + [1.0] * 5
    assert learning_rate(paper, losses[:5]) == pytest.approx(1e-4)
    assert learning_rate(paper, losses) == pytest.approx(1e-5)
    assert learning_rate(paper, losses * 9) == pytest.approx(1e-5)


def after(optimizer, start, gradients):
    """A weight after some steps, and the moving average of it where there is one."""
    weight = keras.Variable(np.float32(start))
    optimizer.build([weight])
    for gradient in gradients:
        optimizer.apply([tf.constant(np.float32(gradient))], [weight])
    average = optimizer._model_variables_moving_average[0] if optimizer.use_ema else None
    return float(weight.numpy()), None if average is None else float(average.numpy())


def test_sgd_has_momentum_and_weight_decay():
    """A step takes away rate times decay of the weight, then goes on with the velocity."""
    chosen = plan(optimizer="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.2)
    weight, velocity = 3.0, 0.0
    for gradient in (1.0, -2.0, 0.5):
        weight -= 0.1 * 0.2 * weight
        velocity = 0.5 * velocity - 0.1 * gradient
        weight += velocity
    assert after(make_optimizer(chosen), 3.0, (1.0, -2.0, 0.5))[0] == pytest.approx(weight)
    plain = plan(optimizer="sgd", learning_rate=0.1, momentum=0)
    assert after(make_optimizer(plain), 3.0, (1.0, -2.0))[0] == pytest.approx(3.1)


def test_adam_has_weight_decay_and_no_momentum_of_sgd():
    """Its first step is the rate, whatever the gradient."""
    for momentum in (0, 0.9):
        chosen = plan(learning_rate=0.1, momentum=momentum)
        assert after(make_optimizer(chosen), 3.0, (5.0,))[0] == pytest.approx(2.9)
    chosen = plan(learning_rate=0.1, weight_decay=0.2)
    assert after(make_optimizer(chosen), 3.0, (5.0,))[0] == pytest.approx(3 - 0.06 - 0.1)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_moving_average_is_kept_where_it_is_asked_for(name):
    chosen = plan(optimizer=name, learning_rate=0.1, momentum=0)
    assert after(make_optimizer(chosen), 3.0, (1.0,))[1] is None
    weights = [after(make_optimizer(chosen), 3.0, (1.0,) * n)[0] for n in (1, 2, 3)]
    expected = weights[0]
    for weight in weights[1:]:
        expected = 0.8 * expected + 0.2 * weight
    assert after(make_optimizer(chosen, 0.8), 3.0, (1.0,) * 3)[1] == pytest.approx(expected)


class Slope(AdversarialModel):
    """Two players of one weight each, at first 0, whose gradient is 1; the loss is the data's."""

    def __init__(self):
        def player():
            weight = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
            return keras.Sequential([keras.Input((1,)), weight])

        super().__init__({"fast": player(), "slow": player()}, tracked=("loss",))

    def call(self, inputs, training=False):
        return inputs

    def train_step(self, batch):
        ones = tf.ones((1, 1))
        for name in self.player_names:
            self.update(name, tf.reduce_sum(getattr(self, name)(ones)))
        return self.track(loss=tf.reduce_mean(batch))


LOSSES = (5.0, 4.0, 4.5, 4.0, 3.0, 3.5, 3.0)
RATES = (1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5)  # halved once, after 4.5 and 4.0 are no progress
STEPS = 2


@pytest.fixture
def falling(tmp_path):
    """Function that trains a stage whose losses are known; returns how far each player came."""

    def trained(folder, epochs, samples=None, policy="float32"):
        flags = ["--out", str(tmp_path / folder), f"--training.epochs={epochs}"]
        flags += ["--training.optimizer=sgd", "--training.momentum=0", "--training.decay=0.5"]
        flags += ["--training.learning_rate=1", "--training.decay_stalled=2"]
        flags += [f"--training.steps_per_epoch={STEPS}", f"--precision={policy}"]
        run = Run(read_config(make_parser("", GROUPS), flags), "slope")
        model = Slope()
        optimizers = {name: make_optimizer(run.config.training) for name in model.player_names}
        optimizers["slow"].learning_rate *= 0.25
        model.compile(optimizers, **run.switches(run.config.training))

        def stream(step):
            losses = np.repeat(LOSSES, STEPS)[step:].astype(np.float32)
            return tf.data.Dataset.from_tensor_slices(losses).batch(1, drop_remainder=True).repeat()

        run.fit("slope", model, stream, run.config.training, samples)
        return [-getattr(model, name).get_weights()[0].item() for name in model.player_names]

    yield trained
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_rates_fall_for_all_players_in_proportion(falling, policy):
    """Each step of a player is as long as its rate."""
    moved = falling("run", len(LOSSES), policy=policy)
    expected = STEPS * sum(RATES)
    assert moved == pytest.approx([expected, 0.25 * expected], rel=1e-3)


@pytest.mark.parametrize("killed", [4, 5, 6])
def test_a_stalled_rate_goes_on_as_if_never_killed(falling, killed):
    """The kill comes between an epoch's line in the history and its checkpoint.

    That epoch is the one whose loss makes the rate fall, the first at the lower rate, or the next.
    """

    def dies(model, path):
        if path.stem.endswith(f"{killed:04d}"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        falling("run", len(LOSSES), dies)
    moved = falling("run", len(LOSSES))
    expected = STEPS * sum(RATES)
    assert moved == pytest.approx([expected, 0.25 * expected], rel=1e-5)
