"""Counts of arithmetic are those made by hand, forward and backward; shares of the limit too."""

import keras
import pytest
import tensorflow as tf

from benchmarks import limit
from benchmarks.limit import count
from benchmarks.measure import Timings
from tfface.adversarial import AdversarialModel

B, SIDE, C, F = 4, 8, 3, 5


def variable(*shape):
    return tf.Variable(tf.random.stateless_normal(shape, (1, 2)))


@pytest.fixture
def network():
    """A 3x3 convolution of stride 2, ReLU, and a dense layer: B pictures to B numbers."""
    kernel, dense = variable(3, 3, C, F), variable(SIDE // 2 * SIDE // 2 * F, 1)

    def forward(pictures):
        features = tf.nn.relu(tf.nn.conv2d(pictures, kernel, 2, "SAME"))
        return tf.matmul(tf.reshape(features, (B, -1)), dense)

    return forward, kernel, dense


CONVOLVED = 2 * (B * 4 * 4 * F) * (3 * 3 * C)  # 17,280 = 2 x 320 results x 27 products
MULTIPLIED = 2 * B * 80  # 80 features


def traced(function, *shape):
    return tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32))


def test_forward(network):
    forward, _, _ = network
    assert (CONVOLVED, MULTIPLIED) == (17_280, 640)
    assert count(traced(forward, B, SIDE, SIDE, C)) == CONVOLVED + MULTIPLIED


def test_backward_counts_only_what_is_asked_for(network):
    forward, kernel, dense = network

    def gradients(pictures, to_weights, to_pictures):
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            loss = tf.reduce_mean(forward(pictures))
        return loss, tape.gradient(loss, to_weights + [pictures] * to_pictures)

    def counted(*asked):
        return count(traced(lambda pictures: gradients(pictures, *asked), B, SIDE, SIDE, C))

    # To the dense kernel: one more product of its size. The convolution's gradients are in the
    # graph as well, but nobody needs them.
    assert counted([dense], False) == CONVOLVED + MULTIPLIED + MULTIPLIED
    # To both kernels: the dense layer's to its input too, and the convolution's to its kernel.
    assert counted([kernel, dense], False) == 2 * CONVOLVED + 3 * MULTIPLIED
    # To the pictures too: once more as much.
    assert counted([kernel, dense], True) == 3 * CONVOLVED + 3 * MULTIPLIED


def test_the_other_products():
    depthwise, transposed = variable(3, 3, C, 2), variable(4, 4, 6, C)
    cases = {
        # (B, 8, 8, 3) by 3 channels x 2: each result sees 9 taps of one channel.
        9 * 2 * B * SIDE * SIDE * C * 2: lambda x: tf.nn.depthwise_conv2d(
            x, depthwise, (1, 1, 1, 1), "SAME"
        ),
        # Transposed, to (B, 16, 16, 6): each of its inputs' numbers meets 4 x 4 x 6 weights.
        2 * B * SIDE * SIDE * C * 4 * 4 * 6: lambda x: tf.nn.conv2d_transpose(
            x, transposed, (B, 16, 16, 6), 2, "SAME"
        ),
        # (B, 8, 24) x (B, 24, 8).
        2 * B * 8 * 24 * 8: lambda x: tf.matmul(
            tf.reshape(x, (B, 8, 24)), tf.reshape(x, (B, 8, 24)), transpose_b=True
        ),
        # (B, 24, 8)^T of (B, 8, 24): 24 x 24 results of 8 products.
        2 * B * 24 * 8 * 24: lambda x: tf.matmul(
            tf.reshape(x, (B, 8, 24)), tf.reshape(x, (B, 8, 24)), transpose_a=True
        ),
        # b, h, w, k and l: every combination once.
        2 * B * SIDE * SIDE * C * 7: lambda x: tf.einsum("bhwk,kl->bhwl", x, tf.ones((C, 7))),
    }
    for expected, function in cases.items():
        assert count(traced(function, B, SIDE, SIDE, C)) == expected


def test_functions_within_functions_count_each_time_they_are_called(network):
    forward, _, _ = network
    inner = tf.function(forward)
    twice = traced(lambda x: inner(x) + inner(2.0 * x), B, SIDE, SIDE, C)
    assert count(twice) == 2 * (CONVOLVED + MULTIPLIED)


def test_an_unknown_shape_is_told(network):
    def product(x):
        return tf.matmul(x, x, transpose_b=True)

    with pytest.raises(ValueError, match="`function` must have known shapes"):
        count(traced(product, None, 3))


class Game(AdversarialModel):
    """Two dense layers, of which one learns in every third step."""

    def __init__(self):
        networks = {
            name: keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units)])
            for name, inputs, units in (("generator", 6, 3), ("discriminator", 3, 1))
        }
        turns = [("generator",), ("generator",), ("generator", "discriminator")]
        super().__init__(networks, tracked=("loss", "score"), turns=turns)

    def train_step(self, batch):
        fake = self.generator(batch["face"], training=True)
        figures = {"loss": keras.ops.mean(keras.ops.square(fake))}
        if self.due("discriminator"):
            figures["score"] = keras.ops.mean(self.discriminator(fake, training=True))
            self.update("discriminator", figures["score"])
        self.update("generator", figures["loss"])
        return self.track(**figures)


def test_a_step_is_the_mean_over_the_cycle_of_turns():
    model = Game()
    model.compile({name: keras.optimizers.Adam() for name in model.player_names})
    # Each is multiplied once forward, and once backward to its kernel.
    generator, discriminator = 2 * 2 * (B * 6 * 3), 2 * 2 * (B * 3 * 1)
    counted = limit.step_operations(model, {"face": tf.ones((B, 6))})
    assert counted == (3 * generator + discriminator) / 3


def test_the_limit_is_the_higher_rate_and_shares_are_made_turn_by_turn(monkeypatch):
    monkeypatch.setattr(limit, "MATRIX_SIDE", 16)
    monkeypatch.setattr(limit, "CONVOLVED_SIDE", 8)
    measures = limit.measures()
    for function, _ in measures.values():
        function()
    counts = {name: each for name, (_, each) in measures.items()}
    assert counts == {
        "matrix product": 2 * 16**3,
        "convolution": 2 * (8 * 8 * 8 * 128) * (9 * 128),
    }
    # 100 operations in 2 s; a product of 300 in 1 s, a convolution of 800 in 2 s; the machine was
    # half as fast in the second turn.
    times = Timings({"ours": [2, 4], "matrix product": [1, 2], "convolution": [2, 4]})
    limits = {"matrix product": 300, "convolution": 800}
    rate, highest, share = limit.share(times, "ours", 100, limits)
    assert (rate, highest) == pytest.approx((100 / 3, 800 / 3))
    assert share == pytest.approx((100 / 2) / (800 / 2))
