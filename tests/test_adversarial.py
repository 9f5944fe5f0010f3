"""The adversarial loop against steps done by hand, two devices, and a stop."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.adversarial import AdversarialModel, gradient_penalty


@keras.saving.register_keras_serializable("tests")
class Duel(AdversarialModel):
    """A linear generator that should reach 1 against a linear discriminator that learns every
    second step."""

    def __init__(self, generator, discriminator, period=2, **kwargs):
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            tracked=("generator_loss", "discriminator_loss"),
            turns=[("generator",)] * (period - 1) + [("generator", "discriminator")],
            **kwargs,
        )

    def call(self, x):
        return self.generator(x)

    def train_step(self, batch):
        x, y = batch
        fake = self.generator(x, training=True)
        figures = {}
        if self.due("discriminator"):
            figures["discriminator_loss"] = tf.reduce_mean(
                tf.square(self.discriminator(y, training=True) - 1.0)
            ) + tf.reduce_mean(tf.square(self.discriminator(tf.stop_gradient(fake), training=True)))
            self.update("discriminator", figures["discriminator_loss"])
        loss = tf.reduce_mean(tf.square(fake - y)) + 0.1 * tf.reduce_mean(
            tf.square(self.discriminator(fake, training=True) - 1.0)
        )
        self.update("generator", loss)
        return self.track(generator_loss=loss, **figures)

    def get_config(self):
        return {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):
    """Batch normalization in a list of layers, as the generators' blocks keep theirs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.chain = [keras.layers.BatchNormalization(synchronized=True, dtype="float32")]

    def build(self, shape):
        self.chain[0].build(shape)

    def call(self, inputs, training=False):
        return self.chain[0](inputs, training=training)


def network(units, normalized=False, dropout=0):
    layers = [keras.Input((3,)), keras.layers.Dense(units, dtype="float32")]
    if dropout:
        layers.append(keras.layers.Dropout(dropout, dtype="float32"))
    if normalized:
        layers.insert(1, Block(dtype="float32"))
    return keras.Sequential(layers)


def duel(
    learning_rate=0.1,
    normalized=False,
    dropout=0,
    make=Duel,
    ema=False,
    policy=None,
    **compiling,
):
    keras.utils.set_random_seed(7)
    if policy:
        keras.config.set_dtype_policy(policy)
    try:
        model = make(network(3, dropout=dropout), network(1, normalized))
        model.compile(
            {
                "generator": keras.optimizers.SGD(
                    learning_rate, momentum=0.5, use_ema=ema, ema_momentum=0.5
                ),
                "discriminator": keras.optimizers.SGD(learning_rate),
            },
            **compiling,
        )
    finally:
        keras.config.set_dtype_policy("float32")
    return model


X = np.random.default_rng(0).normal(size=(48, 3)).astype("float32")
Y = np.tanh(X)


def stream(batch_size=8):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(batch_size, drop_remainder=True)
    return data.repeat()


def fit(model, steps, **kwargs):
    return model.fit(stream(), steps_per_epoch=steps, shuffle=False, verbose=0, **kwargs)


def distance(a, b):
    pairs = zip(a.weights, b.weights, strict=True)
    return max(float(np.max(np.abs(u.numpy() - v.numpy()))) for u, v in pairs)


def by_hand(steps, clip=None):
    """The duel's steps in plain NumPy, gradients derived by hand."""
    start = duel()
    w, b = (v.numpy().astype("float64") for v in start.generator.weights)
    u, c = (v.numpy().astype("float64") for v in start.discriminator.weights)
    momentum = [np.zeros_like(w), np.zeros_like(b)]

    def clipped(gradients):
        if clip is None:
            return gradients
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        return [g * min(1.0, clip / norm) for g in gradients]

    for step in range(steps):
        x, y = (np.resize(np.roll(a, -8 * step, 0), (8, 3)).astype("float64") for a in (X, Y))
        fake = x @ w + b
        if step % 2 == 1:
            real_error, fake_error = 2 * (y @ u + c - 1) / 8, 2 * (fake @ u + c) / 8
            du, dc = clipped(
                [y.T @ real_error + fake.T @ fake_error, (real_error + fake_error).sum(0)]
            )
            u, c = u - 0.1 * du, c - 0.1 * dc
        d_fake = 2 * (fake - y) / fake.size + 0.1 * 2 * (fake @ u + c - 1) / 8 @ u.T
        for moment, gradient in zip(momentum, clipped([x.T @ d_fake, d_fake.sum(0)]), strict=True):
            moment *= 0.5
            moment -= 0.1 * gradient
        w, b = w + momentum[0], b + momentum[1]
    return [w, b, u, c]


@pytest.mark.parametrize("clip", [None, 0.05])
def test_five_steps_are_those_done_by_hand(clip):
    model = duel(gradient_clip=clip)
    fit(model, 5)
    expected = by_hand(5, clip)
    got = [*model.generator.weights, *model.discriminator.weights]
    for value, reference in zip(got, expected, strict=True):
        np.testing.assert_allclose(value.numpy(), reference, atol=2e-6)
    assert int(model.step.numpy()) == 5


def test_the_discriminator_learns_in_every_second_step_only():
    model = duel()
    before = model.discriminator.get_weights()
    fit(model, 1)
    np.testing.assert_array_equal(model.discriminator.get_weights()[0], before[0])
    fit(model, 1)  # The second fit goes on with the pattern: this is the second step.
    assert np.any(model.discriminator.get_weights()[0] != before[0])


@pytest.mark.parametrize("steps", [2, 3, 6])
def test_several_steps_an_execution_are_the_same_steps(steps):
    one, many = duel(), duel(steps_per_execution=steps)
    fit(one, 6)
    fit(many, 6)
    assert distance(one, many) < 1e-6


class Rounds(Duel):
    """A cycle of three steps with another set of players in each."""

    TURNS = (("discriminator",), ("discriminator", "generator"), ("generator",))

    def __init__(self, generator, discriminator, **kwargs):
        AdversarialModel.__init__(
            self,
            {"generator": generator, "discriminator": discriminator},
            turns=self.TURNS,
            **kwargs,
        )

    def train_step(self, batch):
        for name in self.player_names:
            if self.due(name):
                output = getattr(self, name)(batch[0], training=True)
                self.update(name, tf.reduce_mean(tf.square(output - 1.0)))
        return self.track()


def test_turns_say_who_learns_in_each_step_of_the_cycle():
    model = duel(make=Rounds)
    learned = []
    for _ in range(7):
        before = {name: getattr(model, name).get_weights()[0] for name in model.player_names}
        fit(model, 1)
        changed = {n for n, w in before.items() if np.any(getattr(model, n).get_weights()[0] != w)}
        learned.append(changed)
    assert learned == [set(turn) for turn in (*Rounds.TURNS, *Rounds.TURNS, Rounds.TURNS[0])]


def test_an_execution_may_end_within_a_cycle():
    one, many = duel(make=Rounds), duel(make=Rounds, steps_per_execution=2)
    fit(one, 6)
    fit(many, 6)  # executions begin at the first, third and second step of the cycle
    assert distance(one, many) < 1e-6


def summed(batches, *, rate=0.1):
    """One update of both players of the duel, on the mean of these batches' gradients, in NumPy."""
    start = duel()
    w, b = (v.numpy().astype("float64") for v in start.generator.weights)
    u, c = (v.numpy().astype("float64") for v in start.discriminator.weights)
    sums = [np.zeros_like(v) for v in (w, b, u, c)]
    for number, (x, y) in enumerate(batches, start=1):
        fake = x @ w + b
        real_error, fake_error = 2 * (y @ u + c - 1) / len(x), 2 * (fake @ u + c) / len(x)
        sums[2] += y.T @ real_error + fake.T @ fake_error
        sums[3] += (real_error + fake_error).sum(0)
        if number == len(batches):  # D moves first, in the last batch
            u, c = (v - rate * g / number for v, g in zip((u, c), sums[2:], strict=True))
        d_fake = 2 * (fake - y) / fake.size + 0.1 * 2 * (fake @ u + c - 1) / len(x) @ u.T
        sums[0] += x.T @ d_fake
        sums[1] += d_fake.sum(0)
    w, b = (v - rate * g / len(batches) for v, g in zip((w, b), sums[:2], strict=True))
    return [w, b, u, c]


def accumulating(**compiling):
    """A duel in which both learn in every update, of three batches each."""
    return duel(make=functools.partial(Duel, period=1), accumulate=3, **compiling)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_an_update_takes_the_mean_gradient_of_several_batches(steps_per_execution):
    model = accumulating(steps_per_execution=steps_per_execution)
    before = players_weights(model)
    if steps_per_execution == 1:
        fit(model, 2)
        for value, old in zip(players_weights(model), before, strict=True):
            np.testing.assert_array_equal(value, old)
    done = int(model.step.numpy())
    model.fit(stream().skip(done), steps_per_epoch=3 - done, shuffle=False, verbose=0)
    batches = [(X[i : i + 8].astype("float64"), Y[i : i + 8].astype("float64")) for i in (0, 8, 16)]
    for value, reference in zip(players_weights(model), summed(batches), strict=True):
        np.testing.assert_allclose(value, reference, atol=2e-6)
    assert int(model.optimizers["generator"].iterations.numpy()) == 1


def players_weights(model):
    return [*model.generator.get_weights(), *model.discriminator.get_weights()]


def test_a_mean_over_batches_is_that_over_the_batch_they_make():
    """Of one player alone, whose loss is a mean over faces."""

    class Alone(Duel):
        def train_step(self, batch):
            loss = tf.reduce_mean(tf.square(self.generator(batch[0], training=True) - batch[1]))
            self.update("generator", loss)
            return self.track(generator_loss=loss)

    parts, whole = duel(make=Alone, accumulate=2), duel(make=Alone)
    fit(parts, 12)
    whole.fit(stream(16), steps_per_epoch=6, shuffle=False, verbose=0)
    assert distance_of_players(parts, whole) < 1e-6


def test_accumulated_turns_last_as_long_as_an_update():
    model = duel(make=Rounds, accumulate=2)
    learned = []
    for _ in range(6):
        before = {name: getattr(model, name).get_weights()[0] for name in model.player_names}
        fit(model, 1)
        changed = {n for n, w in before.items() if np.any(getattr(model, n).get_weights()[0] != w)}
        learned.append(changed)
    nobody = set()
    assert learned == [
        nobody,
        {*Rounds.TURNS[0]},
        nobody,
        {*Rounds.TURNS[1]},
        nobody,
        {"generator"},
    ]


@pytest.mark.parametrize("clip", [None, 0.05])
def test_two_devices_accumulate_as_one(two_devices, clip):
    one = accumulating(gradient_clip=clip)
    fit(one, 6)
    with two_devices.scope():
        two = accumulating(gradient_clip=clip)
    fit(two, 6)
    assert distance(one, two) < 1e-5


def test_float16_accumulates_unscaled():
    full, half = accumulating(), accumulating(policy="mixed_float16")
    for model in (full, half):
        fit(model, 6)
    assert distance_of_players(half, full) < 1e-5


def test_without_turns_all_learn_in_every_step():
    model = AdversarialModel({"generator": network(1), "discriminator": network(1)})
    assert [set(turn) for turn in model.turns] == [{"generator", "discriminator"}]


def test_xla_gives_the_same_steps():
    plain, compiled = duel(), duel(jit_compile=True)
    fit(plain, 4)
    fit(compiled, 4)
    assert distance(plain, compiled) < 1e-6


def test_eager_steps_and_train_on_batch_are_the_same_steps():
    traced, eager, single = duel(), duel(run_eagerly=True), duel()
    fit(traced, 2)
    fit(eager, 2)
    single.train_on_batch(X[:8], Y[:8])
    single.train_on_batch(X[8:16], Y[8:16])
    assert distance(traced, eager) < 1e-6
    assert distance(traced, single) < 1e-6


def test_each_pattern_of_players_is_traced_once():
    traces = []

    class Counted(Duel):
        def train_step(self, batch):
            traces.append(self.due("discriminator"))
            return super().train_step(batch)

    fit(duel(make=Counted), 6, epochs=2)
    assert sorted(traces) == [False, True]


@pytest.mark.parametrize("clip", [None, 0.05])
def test_two_devices_equal_one(two_devices, clip):
    one = duel(normalized=True, gradient_clip=clip)
    history_one = fit(one, 4).history
    with two_devices.scope():
        two = duel(normalized=True, gradient_clip=clip)
    history_two = fit(two, 4).history
    assert distance(one, two) < 1e-5
    for name, values in history_one.items():
        np.testing.assert_allclose(values, history_two[name], rtol=1e-5)


def test_float16_scales_the_loss_and_bfloat16_does_not():
    half, brain = duel(policy="mixed_float16"), duel(policy="mixed_bfloat16")
    assert isinstance(half.optimizers["generator"], keras.optimizers.LossScaleOptimizer)
    assert isinstance(brain.optimizers["generator"], keras.optimizers.SGD)
    full = duel()
    for model in (half, brain, full):
        fit(model, 6)
    # The layers compute in float32 here, so scaling up and down again must change nothing.
    assert distance_of_players(half, full) < 1e-5


def distance_of_players(a, b):
    pairs = zip(
        [*a.generator.weights, *a.discriminator.weights],
        [*b.generator.weights, *b.discriminator.weights],
        strict=True,
    )
    return max(float(np.max(np.abs(u.numpy() - v.numpy()))) for u, v in pairs)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_checkpoint_resumes_exactly(policy, tmp_path):
    kind = {"normalized": True, "dropout": 0.5, "ema": True, "policy": policy}
    whole = duel(**kind)
    fit(whole, 6)
    first = duel(**kind)
    fit(first, 3)
    path = first.checkpoint().save(tmp_path / "c")
    second = duel(learning_rate=0.5, **kind)  # Overwritten by the checkpoint's.
    second.checkpoint().restore(path).assert_existing_objects_matched()
    second.fit(stream().skip(3), steps_per_epoch=3, shuffle=False, verbose=0)
    assert distance(whole, second) == 0
    with whole.averaged("generator"), second.averaged("generator"):
        assert distance(whole, second) == 0


def test_keras_file_holds_players_and_optimizers(tmp_path):
    model = duel()
    fit(model, 3)
    model.save(tmp_path / "m.keras")
    reloaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    fit(model, 3)
    fit(reloaded, 3)
    assert distance(model, reloaded) == 0


def test_averaged_weights_stand_in_and_go_again():
    model = duel(ema=True)
    kernels = []
    for _ in range(2):
        fit(model, 1)
        kernels.append(model.generator.get_weights()[0])
    with model.averaged("generator") as generator:
        average = generator.get_weights()[0]
    # Momentum 0.5; the first step sets the average.
    np.testing.assert_allclose(average, 0.5 * kernels[0] + 0.5 * kernels[1], atol=1e-7)
    np.testing.assert_array_equal(model.generator.get_weights()[0], kernels[1])


def test_bad_arguments_are_named():
    for turns in ([], [("generator",), ("judge",)], ["generator"]):
        with pytest.raises(ValueError, match=r"`turns` must hold .* Received: \["):
            AdversarialModel({"generator": network(1)}, turns=turns)
    with pytest.raises(ValueError, match="built"):
        Duel(keras.Sequential([keras.layers.Dense(1)]), network(1))
    model = Duel(network(3), network(1))
    with pytest.raises(ValueError, match="one entry a player"):
        model.compile({"generator": keras.optimizers.SGD()})
    with pytest.raises(ValueError, match="gradient_clip"):
        duel(gradient_clip=0.0)
    with pytest.raises(ValueError, match="`accumulate` must be at least 1. Received: 0"):
        duel(accumulate=0)


def test_xla_on_two_devices_is_refused(two_devices):
    with two_devices.scope(), pytest.raises(ValueError, match="one device. Received: 2 replicas"):
        duel(jit_compile=True)


def test_gradient_penalty_of_a_linear_critic():
    """D(x) = sum of a * x has the gradient a everywhere, so the penalty is (||a|| - 1)^2."""
    inputs = keras.Input((2, 2, 1))
    critic = keras.Model(
        inputs, keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(inputs))
    )
    a = np.array([[3.0], [0.0], [4.0], [0.0]], "float32")
    critic.set_weights([a])
    images = tf.random.stateless_uniform((3, 2, 2, 1), (1, 2))
    penalty = gradient_penalty(critic, images, 1 - images, tf.constant([0, 1]))
    assert float(penalty) == pytest.approx((5 - 1) ** 2, rel=1e-5)
