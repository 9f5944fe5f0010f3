"""The cGANs' steps against Eq. 1 to 7 written out, side by side as alone, two devices, a stop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.regeneration.features import FerNet
from tfface.regeneration.model import ExpressionGenerator, IAGen
from tfface.regeneration.networks import RegenerationDiscriminator, RegenerationGenerator

RNG = np.random.default_rng(0)
B, N, K = 4, 12, 3
CLASSES = ("anger", "fear", "joy")
FACE = RNG.uniform(0.1, 0.9, (N, 4, 4, 1)).astype("float32")
TARGET = RNG.uniform(0.1, 0.9, (N, K, 4, 4, 1)).astype("float32")
LABEL = RNG.integers(0, K, N)
KNOWN = np.ones((N, K), "float32")
# The second batch lacks joy, the third has but one fear.
GAPS = KNOWN.copy()
GAPS[[0, 3], [0, 1]] = GAPS[4:8, 2] = GAPS[9:, 1] = 0
WEIGHTS = {"content_weight": 3.0, "perceptual_weight": 0.7, "generator_weight": 0.5}
RATE = 0.5


def dense(count, units, activation, seed, name):
    """One dense layer on all inputs, so that each update's gradient is plain."""
    inputs = [keras.Input((4, 4, 1)) for _ in range(count)]
    flat = [keras.layers.Flatten()(x) for x in inputs]
    x = keras.layers.Concatenate()(flat) if count > 1 else flat[0]
    x = keras.layers.Dense(
        units,
        activation,
        kernel_initializer=keras.initializers.RandomNormal(0, 0.3, seed),
        bias_initializer=keras.initializers.RandomNormal(0, 0.3, seed + 10),
    )(x)
    if name.startswith("generator"):
        x = keras.layers.Reshape((4, 4, 1))(x)
    return keras.Model(inputs if count > 1 else inputs[0], x, name=name)


def generator(i=0):
    network = dense(1, 16, "sigmoid", i, f"generator_{CLASSES[i]}")
    network.expression = CLASSES[i]
    return network


def discriminator(i=0):
    return dense(2, 4, None, 100 + i, f"discriminator_{i}")  # four logits a pair


def loss_network():
    network = dense(1, 5, "tanh", 50, "levels")
    first = network.layers[1].output  # the pixels themselves are a level too
    network = keras.Model(network.inputs[0], [first, network.outputs[0]])
    network.trainable = False
    return network


def one(i=0, optimizer=None, jit_compile=False, **kwargs):
    model = ExpressionGenerator(
        generator(i), discriminator(i), loss_network(), **{**WEIGHTS, **kwargs}
    )
    return compiled(model, optimizer, jit_compile)


def all_of_them(optimizer=None, numbers=range(K), jit_compile=False, **kwargs):
    players = [[make(i) for i in numbers] for make in (generator, discriminator)]
    model = IAGen(*players, loss_network=loss_network(), **{**WEIGHTS, **kwargs})
    return compiled(model, optimizer, jit_compile)


def compiled(model, optimizer=None, jit_compile=False):
    make = optimizer or (lambda: keras.optimizers.SGD(RATE))
    model.compile({name: make() for name in model.player_names}, jit_compile=jit_compile)
    return model


def stream(numbers=range(K), known=KNOWN, face=FACE, target=TARGET, label=LABEL, batch_size=B):
    numbers = list(numbers)
    batch = {
        "face": face,
        "target": target[:, numbers],
        "known": known[:, numbers],
        "label": label,
    }
    return tf.data.Dataset.from_tensor_slices(batch).batch(batch_size, drop_remainder=True).repeat()


def fit(model, steps, batches=None):
    batches = stream() if batches is None else batches
    history = model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: values[-1] for name, values in history.items()}


def weights_of(model):
    return {name: getattr(model, name).get_weights() for name in model.player_names}


def assert_equal_weights(model, other, **tolerance):
    for name, values in weights_of(model).items():
        for a, b in zip(values, weights_of(other)[name], strict=True):
            np.testing.assert_allclose(a, b, **(tolerance or {"atol": 2e-6}), err_msg=name)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("content", ["l1", "mse"])
@pytest.mark.parametrize("i", range(K))
def test_figures_are_the_equations_over_the_faces_with_a_target(content, i):
    """All figures of one step whose players stand still, in NumPy, with logs as printed."""
    model = one(i, lambda: keras.optimizers.SGD(0.0), content_loss=content)
    figures = fit(model, 1, stream([i], GAPS))
    known = GAPS[:B, i] == 1
    assert known.sum() == {0: 3, 1: 3, 2: 4}[i]
    x, y = (v[known].reshape(known.sum(), -1).astype("float64") for v in (FACE[:B], TARGET[:B, i]))

    def apply(network, *inputs):
        kernel, bias = (v.astype("float64") for v in network.get_weights())
        return np.concatenate(inputs, axis=1) @ kernel + bias

    made = sigmoid(apply(model.generator, x))
    judged = {n: sigmoid(apply(model.discriminator, x, v)) for n, v in (("y", y), ("G", made))}
    phi = [np.tanh(apply(model.loss_network, v)) for v in (y, made)]
    expected = {
        "discriminator_loss": -np.log(judged["y"]).mean() - np.log(1 - judged["G"]).mean(),  # Eq. 1
        "adversarial_loss": -np.log(judged["G"]).mean(),  # Eq. 3
        "content_loss": {"l1": np.abs(y - made).mean(), "mse": ((y - made) ** 2).mean()}[content],
        "perceptual_loss": ((phi[0] - phi[1]) ** 2).mean() + ((y - made) ** 2).mean(),  # Eq. 5
    }
    assert figures == pytest.approx(expected, rel=1e-5)


def written_out(i, steps, known=KNOWN, weights=WEIGHTS):
    """D ascends Eq. 1, then G descends lambda times Eq. 6, each with a fake of its own."""
    g, d, phi = generator(i), discriminator(i), loss_network()

    def descend(network, loss_of):
        with tf.GradientTape() as tape:
            loss = loss_of()
        variables = network.trainable_variables
        for v, slope in zip(variables, tape.gradient(loss, variables), strict=True):
            v.assign(v - RATE * slope)

    for step in range(steps):
        rows = np.arange(B * step % N, B * step % N + B)
        rows = rows[known[rows, i] == 1]
        if not len(rows):
            continue
        x, y = tf.constant(FACE[rows]), tf.constant(TARGET[rows, i])

        def eq_1(x=x, y=y):
            p = [tf.sigmoid(d([x, v])) for v in (y, g(x))]
            return -tf.reduce_mean(tf.math.log(p[0])) - tf.reduce_mean(tf.math.log(1 - p[1]))

        def eq_6(x=x, y=y):
            made = g(x)
            return weights["generator_weight"] * (
                -tf.reduce_mean(tf.math.log(tf.sigmoid(d([x, made]))))
                + weights["content_weight"] * tf.reduce_mean(tf.abs(y - made))
                + weights["perceptual_weight"]
                * sum(tf.reduce_mean((a - b) ** 2) for a, b in zip(phi(y), phi(made), strict=True))
            )

        descend(d, eq_1)
        descend(g, eq_6)
    return {"generator": g.get_weights(), "discriminator": d.get_weights()}


@pytest.mark.parametrize("known", [KNOWN, GAPS], ids=["all known", "gaps"])
def test_steps_are_those_written_out_alone_and_side_by_side(known):
    whole = all_of_them()
    fit(whole, 4, stream(known=known))
    for i, name in enumerate(CLASSES):
        alone = one(i)
        fit(alone, 4, stream([i], known))
        expected = written_out(i, 4, known)
        for role, values in expected.items():
            for player in (getattr(alone, role), getattr(whole, f"{role}_{name}")):
                for a, b in zip(player.get_weights(), values, strict=True):
                    np.testing.assert_allclose(a, b, atol=3e-6)


def test_figures_side_by_side_are_the_means_over_expressions():
    still = {"optimizer": lambda: keras.optimizers.SGD(0.0)}
    whole = fit(all_of_them(**still), 1)
    alone = [fit(one(i, **still), 1, stream([i])) for i in range(K)]
    assert whole == pytest.approx(
        {name: np.mean([figures[name] for figures in alone]) for name in whole}, rel=1e-5
    )


def test_a_batch_without_a_target_teaches_nothing():
    model = all_of_them()
    start = weights_of(model)
    fit(model, 1, stream(known=GAPS).skip(1))
    changed = {
        name
        for name, values in weights_of(model).items()
        if any(np.any(a != b) for a, b in zip(values, start[name], strict=True))
    }
    assert changed == {
        f"{role}_{c}" for role in ("generator", "discriminator") for c in CLASSES[:2]
    }


def test_a_step_makes_each_fake_once(monkeypatch):
    model = all_of_them()
    model.run_eagerly = True
    calls = []
    for name in model.player_names:
        network = getattr(model, name)
        monkeypatch.setattr(
            network,
            "call",
            lambda *a, n=name, f=network.call, **k: (calls.append(n), f(*a, **k))[1],
        )
    fit(model, 1)
    assert [calls.count(f"generator_{name}") for name in CLASSES] == [1] * K
    # Real, fake as D learns, and fake again as G does from the D that has learned.
    assert [calls.count(f"discriminator_{name}") for name in CLASSES] == [3] * K


def test_the_loss_network_stays_and_may_be_left_out():
    model = one()
    before = model.loss_network.get_weights()
    fit(model, 2, stream([0]))
    for a, b in zip(before, model.loss_network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model = compiled(ExpressionGenerator(generator(), discriminator(), perceptual_weight=0.0))
    assert fit(model, 1, stream([0]))["perceptual_loss"] == 0


def ratio(a, b):
    return -10 * np.log10(((a - b) ** 2).mean((1, 2, 3)))


def test_evaluation_knows_targets_that_are_known_alone():
    model, whole = one(1), all_of_them()
    made = [keras.ops.convert_to_numpy(generator(i)(FACE)) for i in range(K)]
    np.testing.assert_allclose(whole(FACE), np.stack(made, 1), atol=1e-6)
    np.testing.assert_allclose(model(FACE), made[1], atol=1e-6)
    ratios = np.stack([ratio(TARGET[:, i], made[i]) for i in range(K)], 1)
    figures = model.evaluate(stream([1], GAPS).take(3), return_dict=True, verbose=0)
    assert figures == pytest.approx({"psnr": ratios[GAPS[:, 1] == 1, 1].mean()}, rel=1e-5)
    figures = whole.evaluate(stream(known=GAPS).take(3), return_dict=True, verbose=0)
    assert figures == pytest.approx({"psnr": ratios[GAPS == 1].mean()}, rel=1e-5)


LARGE = {
    "face": RNG.uniform(size=(4, 16, 16, 1)).astype("float32"),
    "target": RNG.uniform(size=(4, 2, 16, 16, 1)).astype("float32"),
    "known": np.array([[1, 1], [1, 0], [1, 0], [1, 0]], "float32"),
    "label": np.array([0, 1, 1, 0]),
}


def large(count=4, **changes):
    batch = {**LARGE, **changes}
    return stream(range(2), batch_size=count, **batch)


def real(classifier=True, dtype=None, optimizer=lambda: keras.optimizers.SGD(0.01), **kwargs):
    """The players as they are trained, small."""
    keras.utils.set_random_seed(3)
    names = CLASSES[:2]
    fer_net = FerNet(names, 16, dtype=dtype)
    model = IAGen(
        [RegenerationGenerator(name, 16, 1, (3, 4), dtype=dtype) for name in names],
        [RegenerationDiscriminator(16, 1, (3, 4), dtype=dtype) for _ in names],
        fer_net if classifier else None,
        loss_network=fer_net.levels(["block1_relu1"]),
        **kwargs,
    )
    return compiled(model, optimizer)


def test_evaluation_compares_eq_8_to_the_cnn():
    model = real()
    out = keras.tree.map_structure(np.array, model.regenerator(LARGE["face"]))
    figures = model.evaluate(large().take(1), return_dict=True, verbose=0)
    made, y = out["regenerated"], LARGE["label"]
    np.testing.assert_allclose(model(LARGE["face"]), made, atol=1e-6)
    ratios = np.stack([ratio(LARGE["target"][:, i], made[:, i]) for i in range(2)], 1)
    assert figures == pytest.approx(
        {
            "psnr": ratios[LARGE["known"] == 1].mean(),
            "accuracy": (out["distances"].argmin(1) == y).mean(),
            "accuracy_cnn": (out["logits"].argmax(1) == y).mean(),
        },
        rel=1e-4,
    )


def test_one_step_on_two_devices_is_one_on_one(two_devices):
    """The second expression is known of one face alone, so that one of the devices has none."""
    first = real(classifier=False)
    with two_devices.scope():
        second = real(classifier=False)
    start = weights_of(first)
    figures = [fit(model, 1, large()) for model in (first, second)]
    assert_equal_weights(first, second, atol=1e-5)
    for name, values in weights_of(first).items():
        assert any(np.any(a != b) for a, b in zip(values, start[name], strict=True)), name
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_step_in_half_precision_is_near_float32(policy):
    half, full = (real(classifier=False, dtype=dtype) for dtype in (policy, None))
    figures = [fit(model, 1, large()) for model in (half, full)]
    assert figures[0] == pytest.approx(figures[1], rel=0.05)
    assert all(np.isfinite(w).all() for values in weights_of(half).values() for w in values)


def test_a_generator_learns_its_target():
    """One batch over and over: the faces come near their targets, whatever D says."""
    model = one(content_loss="mse")
    first = fit(model, 1, stream([0]).take(1).repeat())["content_loss"]
    assert fit(model, 60, stream([0]).take(1).repeat())["content_loss"] < 0.7 * first


def test_xla_gives_the_same_steps():
    plain, fast = one(), one(jit_compile=True)
    fit(plain, 2, stream([0], GAPS))
    fit(fast, 2, stream([0], GAPS))
    assert_equal_weights(plain, fast)


def momentum():
    return keras.optimizers.SGD(0.01, 0.9)


@pytest.mark.parametrize("classifier", [True, False])
def test_all_of_them_reload(classifier, tmp_path):
    model = real(classifier, optimizer=momentum, content_loss="mse", **WEIGHTS)
    model.save(tmp_path / "m.keras")
    reloaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    config = reloaded.get_config()
    expected = {**WEIGHTS, "content_loss": "mse"}
    assert {name: config[name] for name in expected} == expected
    assert reloaded.expressions == CLASSES[:2]
    assert_equal_weights(model, reloaded, atol=0)
    levels = (m.loss_network(LARGE["face"]) for m in (model, reloaded))
    np.testing.assert_array_equal(*levels)
    assert (reloaded.regenerator is not None) == classifier
    if classifier:
        made = (m.regenerator(LARGE["face"])["distances"] for m in (model, reloaded))
        np.testing.assert_allclose(*made, rtol=1e-5)


def test_reload_goes_on_as_if_never_saved(tmp_path):
    model = compiled(
        ExpressionGenerator(
            RegenerationGenerator("joy", 16, 1, (3, 4)),
            RegenerationDiscriminator(16, 1, (3, 4)),
            perceptual_weight=0.0,
        ),
        momentum,
    )
    batches = stream([0], face=LARGE["face"], target=LARGE["target"], known=LARGE["known"],
                     label=LARGE["label"])  # fmt: skip
    fit(model, 1, batches)
    model.save(tmp_path / "m.keras")
    reloaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    assert reloaded.generator.expression == "joy"
    assert fit(model, 1, batches) == pytest.approx(fit(reloaded, 1, batches), rel=1e-5)
    assert_equal_weights(model, reloaded)


def test_a_checkpoint_resumes_exactly(tmp_path):
    whole, first, second = (all_of_them(momentum, [0, 1]) for _ in range(3))
    fit(whole, 5, stream([0, 1]))
    fit(first, 2, stream([0, 1]))
    path = first.checkpoint().save(tmp_path / "c")
    second.checkpoint().restore(path).assert_existing_objects_matched()
    fit(second, 3, stream([0, 1]).skip(2))
    assert int(second.step.numpy()) == 5
    assert_equal_weights(whole, second, atol=0)


def test_some_expressions_learn_what_they_learn_among_all(tmp_path):
    """Trained one at a time and joined, or side by side: the same generators."""
    whole, some = all_of_them(), all_of_them(numbers=[2, 0])
    fit(whole, 3)
    fit(some, 3, stream([2, 0]))
    assert some.expressions == ("joy", "anger")
    for name, values in weights_of(some).items():
        for a, b in zip(values, weights_of(whole)[name], strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: one(content_loss="l2"), r"`content_loss` must be one of \['l1', 'mse'\]. .*'l2'"),
        *[
            (lambda n=name, v=value: one(**{n: v}), f"`{name}` must be at least 0. .* {value}")
            for name in WEIGHTS
            for value in (-1.0, float("nan"))
        ],
        (
            lambda: ExpressionGenerator(generator(), discriminator()),
            "`perceptual_weight` must be 0 without a `loss_network`. Received: 10.0",
        ),
        (lambda: all_of_them(numbers=[]), "different expressions, at least one. Received: none"),
        (lambda: all_of_them(numbers=[1, 1]), "of different expressions.* Received: fear, fear"),
        (
            lambda: IAGen([generator(0)], [], perceptual_weight=0.0),
            "`discriminators` must be one for each of 1 generators. Received: 0",
        ),
        (
            lambda: IAGen(
                [generator(0)], [discriminator(0)], FerNet(CLASSES, 16), perceptual_weight=0.0
            ),
            "`generators` must be one for each class of anger, fear, joy. Received: anger",
        ),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
