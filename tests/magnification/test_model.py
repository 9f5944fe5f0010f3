"""GroupGAN's steps against Algorithm 1 written out, who learns when, two devices, and a stop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.classification import ExpressionTraining
from tfface.magnification.model import (
    ADVERSARIAL_LOSSES,
    MODES,
    GroupGAN,
    ReconstructionTraining,
)
from tfface.magnification.networks import MagnificationDiscriminator, MagnificationGenerator

RNG = np.random.default_rng(0)
B, N = 4, 12
WEAK = RNG.uniform(0.1, 0.9, (N, 4, 4, 3)).astype("float32")
PEAK = RNG.uniform(0.1, 0.9, (N, 4, 4, 3)).astype("float32")
LABEL = RNG.integers(0, 3, N)
WEIGHTS = {
    "real_weight": 0.3,
    "peak_weight": 0.5,
    "class_weight": 0.7,
    "extractor_real_weight": 0.2,
    "extractor_peak_weight": 0.4,
}
RATE = 0.5


def dense(shapes, units, activation, seed, name):
    """One dense layer on all inputs, so that each update's gradient is plain."""
    inputs = [keras.Input(shape) for shape in shapes]
    flat = [keras.layers.Flatten()(x) for x in inputs]
    x = keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
    x = keras.layers.Dense(
        units,
        activation,
        kernel_initializer=keras.initializers.RandomNormal(0, 0.3, seed),
        bias_initializer=keras.initializers.RandomNormal(0, 0.3, seed + 10),
    )(x)
    if name == "generator":
        x = keras.layers.Reshape((4, 4, 3))(x)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], x, name=name)


def networks(mode):
    face = (4, 4, 3)
    shapes = [face, (5,)] if mode == "2v2" else [face]
    made = {
        "generator": dense(shapes, 48, "sigmoid", 1, "generator"),
        "extractor": dense([face], 5, "tanh", 2, "extractor"),
        "discriminator": dense(shapes, 1, None, 3, "discriminator"),
        "peak_discriminator": dense(shapes, 1, None, 4, "peak_discriminator"),
    }
    classifier = dense([face], 3, None, 5, "classifier")
    return {"classifier": classifier, **{name: made[name] for name in MODES[mode]}}


def system(mode="2v2", players=None, optimizer=None, jit_compile=False, **kwargs):
    model = GroupGAN(**(players or networks(mode)), mode=mode, **{**WEIGHTS, **kwargs})
    make = optimizer or (lambda: keras.optimizers.SGD(RATE))
    model.compile({name: make() for name in model.player_names}, jit_compile=jit_compile)
    return model


def stream(batch_size=B, weak=WEAK, peak=PEAK, label=LABEL):
    batch = {"weak": weak, "peak": peak, "label": label}
    return tf.data.Dataset.from_tensor_slices(batch).batch(batch_size, drop_remainder=True).repeat()


def fit(model, steps, batches=None):
    batches = stream() if batches is None else batches
    history = model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: values[-1] for name, values in history.items()}


def weights_of(model):
    names = ("classifier", *MODES[model.mode])
    return {name: getattr(model, name).get_weights() for name in names}


def assert_equal_weights(model, other, **tolerance):
    for name, values in weights_of(model).items():
        for a, b in zip(values, weights_of(other)[name], strict=True):
            np.testing.assert_allclose(a, b, **(tolerance or {"atol": 2e-6}), err_msg=name)


def written_out(mode, steps, weights=WEIGHTS, kind="minimax", content="pixel"):
    """Algorithm 1, word for word: every update synthesizes its own fakes, by one tape of its own.

    Probabilities and logarithms are taken as printed, not from logits.
    """
    n = networks(mode)
    e = n.get("extractor")
    log = tf.math.log

    def given(name, x, feature):
        return n[name]([x, feature] if e is not None else x)

    def fake_of(x):
        return given("generator", x, e(x) if e is not None else None)

    def d(name, x, source):
        """D(x, F_exp), where F_exp is of the face `source`."""
        return tf.sigmoid(given(name, x, e(source) if e is not None else None))

    def fooled(name, fake, weak):
        score = d(name, fake, weak)
        return tf.reduce_mean(log(1 - score) if kind == "minimax" else -log(score))

    def entropy(fake, label):
        q = tf.nn.softmax(n["classifier"](fake))
        return -tf.reduce_mean(log(tf.gather(q, label, axis=1, batch_dims=1)))

    def descend(name, loss_of):
        with tf.GradientTape() as tape:
            loss = loss_of()
        for v, g in zip(
            n[name].trainable_variables,
            tape.gradient(loss, n[name].trainable_variables),
            strict=True,
        ):
            v.assign(v - RATE * g)
        return float(loss)

    figures = {}
    for step in range(steps):
        rows = slice(B * step % N, B * step % N + B)
        weak, peak, label = (tf.constant(v[rows]) for v in (WEAK, PEAK, LABEL))

        def both(weak=weak, peak=peak):
            scores = tf.concat([d("discriminator", x, x) for x in (weak, peak)], 0)
            return -tf.reduce_mean(log(scores)) - tf.reduce_mean(
                log(1 - d("discriminator", fake_of(weak), weak))
            )

        def peaks(weak=weak, peak=peak):
            return -tf.reduce_mean(log(d("peak_discriminator", peak, peak))) - tf.reduce_mean(
                log(1 - d("peak_discriminator", fake_of(weak), weak))
            )

        def opposing(prefix, fake, weak, label):
            loss = weights[f"{prefix}real_weight"] * fooled("discriminator", fake, weak)
            if "peak_discriminator" in n:
                loss += weights[f"{prefix}peak_weight"] * fooled("peak_discriminator", fake, weak)
            return loss + (1 if prefix else weights["class_weight"]) * entropy(fake, label)

        def of_generator(weak=weak, peak=peak, label=label):
            fake = fake_of(weak)
            pair = (peak, fake) if content == "pixel" else (e(peak), e(fake))
            return tf.reduce_mean((pair[0] - pair[1]) ** 2) + opposing("", fake, weak, label)

        def of_extractor(weak=weak, label=label):
            return opposing("extractor_", fake_of(weak), weak, label)

        if mode == "cnn":
            loss = descend("classifier", lambda w=weak, y=label: entropy(w, y))
            figures.setdefault("class_loss", []).append(loss)
            continue
        updates = [("discriminator", both), ("peak_discriminator", peaks)]
        for name, loss in updates:
            if name in n:
                figures.setdefault(f"{name}_loss", []).append(descend(name, loss))
        descend("generator", of_generator)
        if e is not None:
            figures.setdefault("extractor_loss", []).append(descend("extractor", of_extractor))
    return n, {name: np.mean(values) for name, values in figures.items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_steps_are_those_of_algorithm_1_written_out(mode, kind):
    model = system(mode, adversarial_loss=kind)
    figures = fit(model, 3)
    expected, losses = written_out(mode, 3, kind=kind)
    start = networks(mode)
    for name in ("classifier", *MODES[mode]):
        for a, b, before in zip(
            getattr(model, name).get_weights(),
            expected[name].get_weights(),
            start[name].get_weights(),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, atol=3e-6, err_msg=name)
            # C learns in the mode "cnn" alone, and all others always.
            assert np.any(a != before) == (name != "classifier" or mode == "cnn")
    assert losses and {name: figures[name] for name in losses} == pytest.approx(losses, rel=1e-4)


def test_steps_with_the_perceptual_content_loss_are_those_written_out():
    model = system(content_loss="perceptual")
    fit(model, 2)
    expected, _ = written_out("2v2", 2, content="perceptual")
    for name, values in weights_of(model).items():
        for a, b in zip(values, expected[name].get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=3e-6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_figures_are_the_equations():
    """All figures of one step of 2V2 whose players stand still, in NumPy."""
    model = system(optimizer=lambda: keras.optimizers.SGD(0.0))
    figures = fit(model, 1)
    w, p = (v[:B].astype("float64") for v in (WEAK, PEAK))
    weights = {k: [v.astype("float64") for v in values] for k, values in weights_of(model).items()}

    def apply(name, *parts):
        flat = np.concatenate([part.reshape(B, -1) for part in parts], axis=1)
        return flat @ weights[name][0] + weights[name][1]

    f_w, f_p = (np.tanh(apply("extractor", x)) for x in (w, p))
    fake = sigmoid(apply("generator", w, f_w))
    logits = apply("classifier", fake)
    q = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = {n: sigmoid(apply(n, fake, f_w)) for n in ("discriminator", "peak_discriminator")}
    real = sigmoid(np.stack([apply("discriminator", x, f) for x, f in ((w, f_w), (p, f_p))]))
    peak = sigmoid(apply("peak_discriminator", p, f_p))
    content = ((p.reshape(B, -1) - fake) ** 2).mean()  # Eq. 12
    entropy = -np.log(q[np.arange(B), LABEL[:B]]).mean()  # Eq. 11
    against = {name: np.log(1 - score).mean() for name, score in scores.items()}
    expected = {
        "content_loss": content,
        "class_loss": entropy,
        "real_loss": against["discriminator"],
        "peak_loss": against["peak_discriminator"],
        "discriminator_loss": -np.log(real).mean() - against["discriminator"],  # Eq. 14, 15
        "peak_discriminator_loss": -np.log(peak).mean() - against["peak_discriminator"],
        "extractor_loss": entropy  # Eq. 13
        + 0.2 * against["discriminator"]
        + 0.4 * against["peak_discriminator"],
    }
    assert figures == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("mode", "fakes", "features"), [("cnn", 0, 0), ("dcgan", 1, 0), ("1v2", 1, 0), ("2v2", 2, 2)]
)
def test_a_step_makes_each_distinct_fake_once(mode, fakes, features, monkeypatch):
    """One fake before G learns, one after for E alone; features of the weak and the peak faces."""
    model = system(mode)
    model.run_eagerly = True
    calls = []
    for name in ("generator", "extractor"):
        network = getattr(model, name)
        if network is not None:
            plain = network.call
            monkeypatch.setattr(
                network, "call", lambda *a, n=name, f=plain, **k: (calls.append(n), f(*a, **k))[1]
            )
    fit(model, 1)
    assert (calls.count("generator"), calls.count("extractor")) == (fakes, features)


@pytest.mark.parametrize("mode", MODES)
def test_players_learn_in_the_order_of_algorithm_1(mode, monkeypatch):
    order = []
    update = GroupGAN.update

    def noted(self, player, loss):
        order.append(player)
        update(self, player, loss)

    monkeypatch.setattr(GroupGAN, "update", noted)
    fit(system(mode), 1)
    d, p, g, e = "discriminator", "peak_discriminator", "generator", "extractor"
    assert (
        order
        == {"cnn": ["classifier"], "dcgan": [d, g], "1v2": [d, p, g], "2v2": [d, p, g, e]}[mode]
    )


def changed(model, start):
    after = weights_of(model)
    return {
        name
        for name in after
        if any(np.any(a != b) for a, b in zip(after[name], start[name], strict=True))
    }


@pytest.mark.parametrize(
    ("mode", "weights", "idle", "silent"),
    [
        ("dcgan", ["real_weight"], {"discriminator"}, {"discriminator_loss", "real_loss"}),
        ("1v2", ["peak_weight"], {"peak_discriminator"}, {"peak_discriminator_loss", "peak_loss"}),
        ("1v2", ["class_weight"], set(), {"class_loss"}),
        ("2v2", ["real_weight"], set(), {"real_loss"}),
        (
            "2v2",
            ["real_weight", "extractor_real_weight"],
            {"discriminator"},
            {"discriminator_loss", "real_loss"},
        ),
        (
            "2v2",
            ["peak_weight", "extractor_peak_weight"],
            {"peak_discriminator"},
            {"peak_discriminator_loss", "peak_loss"},
        ),
    ],
)
def test_who_has_no_weight_does_not_play(mode, weights, idle, silent):
    model = system(mode, **dict.fromkeys(weights, 0.0))
    start = weights_of(model)
    figures = fit(model, 1)
    assert changed(model, start) == set(MODES[mode]) - idle
    used = {"content_loss", "class_loss", "real_loss", "discriminator_loss"}
    used |= {"peak_loss", "peak_discriminator_loss"} if mode != "dcgan" else set()
    used |= {"extractor_loss"} if mode == "2v2" else set()
    assert {name for name, value in figures.items() if value != 0} == used - silent


def test_the_minimax_gradient_vanishes_where_the_discriminator_wins_and_the_other_stays():
    """d/dx log(1 - s(x)) = -s(x); d/dx -log s(x) = s(x) - 1."""
    for kind, slopes in (("minimax", [-0.5, -4.54e-5]), ("non_saturating", [-0.5, -0.99995])):
        for logit, slope in zip((0.0, -10.0), slopes, strict=True):
            x = tf.Variable([[logit]])
            with tf.GradientTape() as tape:
                loss = ADVERSARIAL_LOSSES[kind]().generator_loss(x)
            assert float(tape.gradient(loss, x)[0, 0]) == pytest.approx(slope, rel=1e-3)
    loss = ADVERSARIAL_LOSSES["minimax"]().generator_loss(np.array([[1.0], [-2.0]]))
    assert float(loss) == pytest.approx(np.log(1 - sigmoid(np.array([1.0, -2.0]))).mean())


@pytest.mark.parametrize("mode", MODES)
def test_evaluation_compares_magnified_and_weak_faces(mode):
    model = system(mode)
    figures = model.evaluate(stream().take(3), return_dict=True, verbose=0)
    magnified = keras.ops.convert_to_numpy(model.magnify(WEAK))
    kernel, bias = model.classifier.get_weights()

    def accuracy(faces):
        return ((faces.reshape(N, -1) @ kernel + bias).argmax(1) == LABEL).mean()

    def ratio(faces):
        return -10 * np.log10(((PEAK - faces) ** 2).mean((1, 2, 3))).mean()

    assert figures == pytest.approx(
        {
            "accuracy": accuracy(magnified),
            "accuracy_weak": accuracy(WEAK),
            "psnr": ratio(magnified),
            "psnr_weak": ratio(WEAK),
        },
        rel=1e-5,
    )
    assert np.array_equal(magnified, WEAK) == (mode == "cnn")
    np.testing.assert_allclose(
        model(WEAK), magnified.reshape(N, -1) @ kernel + bias, rtol=1e-4, atol=1e-5
    )


def test_xla_gives_the_same_steps():
    plain, compiled = system(), system(jit_compile=True)
    fit(plain, 2)
    fit(compiled, 2)
    assert_equal_weights(plain, compiled)


LARGE = {
    "weak": RNG.uniform(size=(4, 16, 16, 3)).astype("float32"),
    "peak": RNG.uniform(size=(4, 16, 16, 3)).astype("float32"),
    "label": np.array([0, 1, 2, 1]),
}


def real_networks(dtype=None):
    """The players that only GroupGAN has as they are trained; C and E, which are quick, linear."""
    keras.utils.set_random_seed(3)
    return {
        "classifier": dense([(16, 16, 3)], 3, None, 5, "classifier"),
        "generator": MagnificationGenerator(16, (4, 4, 6, 6), 5, dtype=dtype),
        "extractor": dense([(16, 16, 3)], 5, "tanh", 2, "extractor"),
        "discriminator": MagnificationDiscriminator(16, (4, 6), 8, 5, dtype=dtype),
        "peak_discriminator": MagnificationDiscriminator(16, (4, 6), 8, 5, dtype=dtype),
    }


def small_steps():
    return keras.optimizers.SGD(0.01)


def test_one_step_on_two_devices_is_one_on_one(two_devices):
    one = system(players=real_networks(), optimizer=small_steps)
    with two_devices.scope():
        two = system(players=real_networks(), optimizer=small_steps)
    start = weights_of(one)
    figures = [fit(model, 1, stream(4, **LARGE)) for model in (one, two)]
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)
    assert_equal_weights(one, two, atol=1e-5)
    assert changed(one, start) == set(MODES["2v2"])
    scores = [model.evaluate(stream(4, **LARGE).take(1), verbose=0) for model in (one, two)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_step_in_half_precision_is_near_float32(policy):
    half, full = (
        system(players=real_networks(dtype), optimizer=small_steps) for dtype in (policy, None)
    )
    figures = [fit(model, 1, stream(4, **LARGE)) for model in (half, full)]
    assert figures[0] == pytest.approx(figures[1], rel=0.05)
    assert all(np.isfinite(w).all() for values in weights_of(half).values() for w in values)
    scaled = isinstance(half.optimizers["generator"], keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def adam():
    return keras.optimizers.Adam(0.01)


@pytest.mark.parametrize("mode", MODES)
def test_reload_goes_on_as_if_never_saved(mode, tmp_path):
    settings = {"adversarial_loss": "non_saturating"}
    settings |= {"content_loss": "perceptual"} if mode == "2v2" else {}
    model = system(mode, optimizer=adam, **settings)
    fit(model, 2)
    model.save(tmp_path / "m.keras")
    reloaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    config = reloaded.get_config()
    assert {name: config[name] for name in (*WEIGHTS, "mode", *settings)} == {
        **WEIGHTS,
        "mode": mode,
        **settings,
    }
    assert_equal_weights(model, reloaded)
    assert fit(model, 2) == pytest.approx(fit(reloaded, 2), rel=1e-5)
    assert_equal_weights(model, reloaded)


def test_a_checkpoint_resumes_exactly(tmp_path):
    whole, first, second = (system(optimizer=adam) for _ in range(3))
    fit(whole, 5)
    fit(first, 2)
    path = first.checkpoint().save(tmp_path / "c")
    second.checkpoint().restore(path).assert_existing_objects_matched()
    fit(second, 3, stream().skip(2))
    assert int(second.step.numpy()) == 5
    assert_equal_weights(whole, second, atol=0)


def faces_of(label=LABEL):
    faces = {"face": WEAK, "label": label}
    return tf.data.Dataset.from_tensor_slices(faces).batch(B, drop_remainder=True).repeat()


@pytest.mark.parametrize("class_weights", [None, [2.0, 0.5, 3.0]])
def test_a_classifier_learns_expressions(class_weights):
    model = ExpressionTraining(networks("cnn")["classifier"], class_weights)
    model.compile({"classifier": keras.optimizers.SGD(RATE)})
    kernel, bias = (v.astype("float64") for v in model.classifier.get_weights())
    loss = fit(model, 1, faces_of())["loss"]
    x, y = WEAK[:B].reshape(B, -1).astype("float64"), LABEL[:B]
    q = np.exp(x @ kernel + bias)
    q /= q.sum(1, keepdims=True)
    factors = np.ones(3) if class_weights is None else np.array(class_weights)
    assert loss == pytest.approx((factors[y] * -np.log(q[np.arange(B), y])).mean(), rel=1e-5)
    slope = factors[y][:, None] * (q - np.eye(3)[y]) / B
    np.testing.assert_allclose(
        model.classifier.get_weights()[0], kernel - RATE * x.T @ slope, atol=1e-5
    )
    accuracy = model.evaluate(faces_of().take(3), return_dict=True, verbose=0)["accuracy"]
    kernel, bias = model.classifier.get_weights()
    assert accuracy == pytest.approx(
        ((WEAK.reshape(N, -1) @ kernel + bias).argmax(1) == LABEL).mean()
    )


@pytest.mark.parametrize("mode", ["1v2", "2v2"])
def test_a_generator_learns_to_give_faces_back(mode):
    n = networks(mode)
    model = ReconstructionTraining(n["generator"], n.get("extractor"))
    model.compile({"generator": keras.optimizers.SGD(5.0)})
    features = [n["extractor"](WEAK)] if mode == "2v2" else []
    inputs = [tf.constant(WEAK), *features] if features else WEAK
    given = keras.ops.convert_to_numpy(n["generator"](inputs))
    before = [w.copy() for w in n["extractor"].get_weights()] if features else []
    figures = model.evaluate(faces_of().take(3), return_dict=True, verbose=0)
    squares = ((WEAK - given) ** 2).mean((1, 2, 3))
    assert figures == pytest.approx({"psnr": (-10 * np.log10(squares)).mean()}, rel=1e-5)
    assert fit(model, 1, faces_of())["loss"] == pytest.approx(squares[:B].mean(), rel=1e-5)
    assert fit(model, 30, faces_of())["loss"] < 0.8 * squares.mean()
    for a, b in zip(before, n["extractor"].get_weights() if features else [], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["expression", "reconstruction"])
def test_pre_training_reloads(kind, tmp_path):
    n = networks("2v2")
    model = (
        ExpressionTraining(n["classifier"], [1, 2, 3])
        if kind == "expression"
        else ReconstructionTraining(n["generator"], n["extractor"])
    )
    model.compile({name: adam() for name in model.player_names})
    fit(model, 2, faces_of())
    model.save(tmp_path / "m.keras")
    reloaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    assert fit(model, 2, faces_of()) == pytest.approx(fit(reloaded, 2, faces_of()), rel=1e-5)


def test_gray_pictures_train():
    gray = {"weak": np.full_like(WEAK, 0.5), "peak": np.repeat(PEAK[..., :1], 3, axis=-1)}
    model = system()
    assert all(np.isfinite(value) for value in fit(model, 2, stream(**gray)).values())


@pytest.mark.parametrize(
    ("mode", "arguments", "message"),
    [
        ("2v2", {"mode": "3v2"}, r"`mode` must be one of \['cnn', 'dcgan', '1v2', '2v2'\]"),
        ("2v2", {"content_loss": "l1"}, "`content_loss` must be one of .* Received: 'l1'"),
        ("2v2", {"adversarial_loss": "hinge"}, "`adversarial_loss` must be .* Received: 'hinge'"),
        ("1v2", {"content_loss": "perceptual"}, "must have an extractor.* Received: mode '1v2'"),
        ("2v2", {"extractor": None}, r"`mode` '2v2' must have .* Received: \['generator', 'd"),
        ("1v2", {"mode": "dcgan"}, r"`mode` 'dcgan' must have the networks .*'peak_discrim"),
        *[
            ("2v2", {name: value}, f"`{name}` must be at least 0. Received: {value}")
            for name in WEIGHTS
            for value in (-1.0, float("nan"))
        ],
    ],
)
def test_bad_arguments_are_named(mode, arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupGAN(**{**networks(mode), "mode": mode, **arguments})


@pytest.mark.parametrize("name", ["generator", "discriminator", "peak_discriminator"])
def test_networks_take_features_where_there_is_an_extractor_alone(name):
    conditional, plain = networks("2v2"), networks("1v2")
    with pytest.raises(ValueError, match=f"`{name}` must take faces and features, as there is an"):
        GroupGAN(**{**conditional, name: plain[name]})
    with pytest.raises(ValueError, match=f"`{name}` must take faces alone, as there is no"):
        GroupGAN(**{**plain, name: conditional[name]}, mode="1v2")
    with pytest.raises(ValueError, match="`generator` must take faces alone.* one of 2 inputs"):
        ReconstructionTraining(conditional["generator"])
    with pytest.raises(ValueError, match="`generator` must take faces and features"):
        ReconstructionTraining(plain["generator"], conditional["extractor"])
