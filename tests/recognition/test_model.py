"""The recognizer's steps against plain NumPy, who learns when, two devices, and a stop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.recognition.model import AdversarialAURecognizer
from tfface.recognition.networks import ActionUnitDiscriminator, ActionUnitRecognizer

RNG = np.random.default_rng(0)
N_AU, M = 3, 4  # a batch holds four faces
FACES = RNG.uniform(size=(5 * M, 4, 4, 3)).astype("float32")
WHOLE = (RNG.uniform(size=(5 * M, N_AU)) < 0.5).astype("float32")
REAL = (RNG.uniform(size=(5 * M, N_AU)) < 0.3).astype("float32")
UNLABELED = np.arange(5 * M) % 2 == 1
PER_IMAGE = np.where(UNLABELED[:, None], np.float32(np.nan), WHOLE)
PER_LABEL = np.where(RNG.uniform(size=WHOLE.shape) < 0.4, np.float32(np.nan), WHOLE)
NONE = np.full_like(WHOLE, np.nan)
PLAYERS = ("recognizer", "discriminator")


def linear(shape, outputs, seed, name):
    """A linear network, so that NumPy can follow it."""
    inputs = keras.Input(shape)
    dense = keras.layers.Dense(
        outputs,
        kernel_initializer=keras.initializers.RandomNormal(0, 0.5, seed),
        bias_initializer=keras.initializers.RandomNormal(0, 0.5, seed + 10),
    )
    return keras.Model(inputs, dense(keras.layers.Flatten()(inputs)), name=name)


def system(recognizer=None, discriminator=None, optimizer=None, jit_compile=False, **kwargs):
    keras.utils.set_random_seed(3)
    model = AdversarialAURecognizer(
        recognizer or linear((4, 4, 3), N_AU, 1, "recognizer"),
        discriminator or linear((N_AU,), 1, 2, "discriminator"),
        **{"adversarial_weight": 0.3, **kwargs},
    )
    optimizer = optimizer or (lambda: keras.optimizers.SGD(0.5))
    model.compile({name: optimizer() for name in PLAYERS}, jit_compile=jit_compile)
    return model


def stream(labels=PER_IMAGE, faces=FACES, real=REAL, batch_size=M):
    batch = {"face": faces, "au": labels, "real": real}
    return tf.data.Dataset.from_tensor_slices(batch).batch(batch_size, drop_remainder=True).repeat()


def fit(model, steps, batches=None):
    batches = stream() if batches is None else batches
    history = model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return {name: values[-1] for name, values in history.items()}


def weights_of(model):
    return [w for name in PLAYERS for w in getattr(model, name).get_weights()]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


def by_hand(steps, labels, real=REAL, alpha=0.3, h_d=1, h_r=1, class_weights=1.0):
    """Algorithm 1 with the gradients of Eq. 3 to 5 derived by hand; the mean of each figure."""
    w, b, u, c = (v.astype("float64") for v in weights_of(system()))
    cycle = ["d"] * (h_d - 1) + ["dr"] + ["r"] * (h_r - 1)
    figures = {}
    for step in range(steps):
        rows = slice(M * step, M * step + M)
        x = FACES[rows].reshape(M, -1).astype("float64")
        y, y_r = (v[rows].astype("float64") for v in (labels, real))
        z = x @ w + b
        p = sigmoid(z)  # R(x)
        step_figures = {}
        if alpha and "d" in cycle[step % len(cycle)]:
            r, s = y_r @ u + c, p @ u + c
            step_figures["discriminator_loss"] = (softplus(-r) + softplus(s)).mean()
            step_figures["real_score"] = sigmoid(r).mean()
            step_figures["predicted_score"] = sigmoid(s).mean()
            d_r, d_s = -sigmoid(-r) / M, sigmoid(s) / M
            u = u - 0.5 * (y_r.T @ d_r + p.T @ d_s)
            c = c - 0.5 * (d_r + d_s).sum(0)
        if "r" in cycle[step % len(cycle)]:
            known = ~np.isnan(y)
            t, count = np.where(known, y, 0), max(known.sum(), 1)
            entropy = t * class_weights * softplus(-z) + (1 - t) * softplus(z)
            step_figures["supervised_loss"] = (known * entropy).sum() / count
            d_entropy = -t * class_weights * sigmoid(-z) + (1 - t) * sigmoid(z)
            d_z = (1 - alpha) * known * d_entropy / count
            if alpha:
                s = p @ u + c  # D has learned in this step
                step_figures["adversarial_loss"] = softplus(-s).mean()
                d_z += alpha * (-sigmoid(-s) / M) @ u.T * p * (1 - p)
            w, b = w - 0.5 * x.T @ d_z, b - 0.5 * d_z.sum(0)
        for name, value in step_figures.items():
            figures.setdefault(name, []).append(value)
    return [w, b, u, c], {name: np.mean(values) for name, values in figures.items()}


def assert_as_by_hand(labels, steps=3, real=REAL, alpha=0.3, h_d=1, h_r=1, class_weights=None):
    model = system(
        adversarial_weight=alpha,
        discriminator_updates=h_d,
        recognizer_updates=h_r,
        class_weights=class_weights,
    )
    figures = fit(model, steps, stream(labels, real=real))
    factors = 1.0 if class_weights is None else np.array(class_weights)
    weights, expected = by_hand(steps, labels, real, alpha, h_d, h_r, factors)
    for value, reference in zip(weights_of(model), weights, strict=True):
        np.testing.assert_allclose(value, reference, atol=3e-6)
    assert figures == pytest.approx({**dict.fromkeys(figures, 0), **expected}, rel=1e-5)
    return model, figures


@pytest.mark.parametrize(
    "labels", [PER_IMAGE, PER_LABEL, WHOLE], ids=["per_image", "per_label", "whole"]
)
def test_steps_are_those_done_by_hand(labels):
    _, figures = assert_as_by_hand(labels)
    assert set(figures) == {
        "supervised_loss",
        "adversarial_loss",
        "discriminator_loss",
        "real_score",
        "predicted_score",
    }
    assert all(value > 0 for value in figures.values())


@pytest.mark.parametrize(("h_d", "h_r"), [(2, 3), (3, 1)])
def test_steps_of_any_numbers_of_updates_are_those_done_by_hand(h_d, h_r):
    assert_as_by_hand(PER_LABEL, steps=5, h_d=h_d, h_r=h_r)


def test_class_weights_weigh_what_is_present():
    assert_as_by_hand(PER_LABEL, class_weights=[2.0, 0.5, 7.0])


def test_without_a_weight_the_discriminator_never_plays():
    """The paper's O-wlc; there may be no whole label vector at all then."""
    model, figures = assert_as_by_hand(PER_LABEL, real=NONE, alpha=0.0)
    assert figures.pop("supervised_loss") > 0 and set(figures.values()) == {0.0}
    for a, b in zip(
        model.discriminator.get_weights(), system().discriminator.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_without_a_label_the_recognizer_learns_from_the_discriminator():
    model, figures = assert_as_by_hand(NONE)
    assert figures["supervised_loss"] == 0
    for a, b in zip(weights_of(model), weights_of(system()), strict=True):
        assert np.isfinite(a).all() and np.any(a != b)


def test_label_vectors_weigh_as_in_algorithm_1():
    """(1 / m1) sum of Ls over labeled faces, of Eq. 5 with its sum over AUs, is n_au times ours."""
    logits = RNG.normal(size=(5 * M, N_AU)).astype("float32")
    r, y = sigmoid(logits[~UNLABELED].astype("float64")), WHOLE[~UNLABELED]
    eq_5 = -(y * np.log(r) + (1 - y) * np.log(1 - r)).sum(1)
    loss = float(system().supervised_loss(PER_IMAGE, keras.ops.convert_to_tensor(logits)))
    assert loss * N_AU == pytest.approx(eq_5.mean(), rel=1e-5)


def test_discriminator_updates_come_first_and_share_one_step_with_the_recognizer():
    """H_D = 2, H_R = 3: D; D and R; R; R; and again."""
    model = system(discriminator_updates=2, recognizer_updates=3)
    learned = []
    for _ in range(6):
        before = {name: getattr(model, name).get_weights() for name in PLAYERS}
        fit(model, 1)
        after = {name: getattr(model, name).get_weights() for name in PLAYERS}
        learned.append({n for n in PLAYERS if np.any(before[n][0] != after[n][0])})
    r, d = {"recognizer"}, {"discriminator"}
    assert learned == [d, r | d, r, r, d, r | d]


def test_xla_gives_the_same_steps():
    plain, compiled = system(), system(jit_compile=True)
    fit(plain, 3)
    fit(compiled, 3)
    for a, b in zip(weights_of(plain), weights_of(compiled), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


LARGE = {
    "faces": RNG.uniform(size=(8, 16, 16, 3)).astype("float32"),
    # All labels of the first replica's faces, one label of the second's.
    "labels": np.array(
        [[1, 0, 1]] * 3 + [[0, 1, 0]] + [[np.nan] * 3] * 3 + [[1, np.nan, np.nan]], np.float32
    ),
    "real": REAL[:8],
    "batch_size": 8,
}


def networks(dtype=None):
    """R and D as they are trained, but without what two replicas draw each for itself."""
    keras.utils.set_random_seed(3)
    recognizer = ActionUnitRecognizer((1, 12, 25), 16, "fer_net", dtype=dtype)
    recognizer.get_layer("dropout").rate = 0
    return recognizer, ActionUnitDiscriminator(N_AU, dtype=dtype)


def test_one_step_on_two_devices_is_one_on_one(two_devices):
    one = system(*networks())
    with two_devices.scope():
        two = system(*networks())
    start = weights_of(one)
    figures = [fit(model, 1, stream(**LARGE)) for model in (one, two)]
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)
    for a, b, before in zip(weights_of(one), weights_of(two), start, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert np.any(a != before)
    scores = [model.evaluate(stream(**LARGE).take(1), verbose=0) for model in (one, two)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_step_in_half_precision_is_near_float32(policy):
    half, full = system(*networks(policy)), system(*networks())
    figures = [fit(model, 1, stream(**LARGE)) for model in (half, full)]
    assert figures[0] == pytest.approx(figures[1], rel=0.05)
    assert all(np.isfinite(w).all() for w in weights_of(half))
    scaled = isinstance(half.optimizers["recognizer"], keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_evaluation_is_f1_over_known_labels():
    model = system()
    figures = model.evaluate(stream(PER_LABEL).take(5), return_dict=True, verbose=0)
    w, b = model.recognizer.get_weights()
    predicted = FACES.reshape(5 * M, -1) @ w + b >= 0
    known, present = ~np.isnan(PER_LABEL), PER_LABEL == 1
    hits = (known & predicted & present).sum(0)
    wrong = (known & (predicted != present)).sum(0)
    assert figures == {"f1": pytest.approx((2 * hits / (2 * hits + wrong)).mean(), rel=1e-6)}


def test_it_recognizes_as_its_recognizer_does():
    model = system()
    np.testing.assert_array_equal(model(FACES), model.recognizer(FACES))


def adam():
    return keras.optimizers.Adam(0.01)


def test_reload_goes_on_as_if_never_saved(tmp_path):
    settings = {
        "adversarial_weight": 0.2,
        "discriminator_updates": 2,
        "recognizer_updates": 1,
        "class_weights": np.array([1.0, 2.0, 0.5], np.float32),
    }
    model = system(optimizer=adam, **settings)
    fit(model, 3)
    model.save(tmp_path / "m.keras")
    reloaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    config = reloaded.get_config()
    assert config["class_weights"] == [1.0, 2.0, 0.5]
    assert [config[name] for name in list(settings)[:3]] == [0.2, 2, 1]
    assert {type(optimizer) for optimizer in reloaded.optimizers.values()} == {
        keras.optimizers.Adam
    }
    expected, figures = fit(model, 2), fit(reloaded, 2)
    assert figures == pytest.approx(expected, rel=1e-6)
    for a, b in zip(weights_of(model), weights_of(reloaded), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_checkpoint_resumes_exactly_within_a_cycle_of_updates(tmp_path):
    kind = {"optimizer": adam, "discriminator_updates": 2, "recognizer_updates": 2}
    whole, first = system(**kind), system(**kind)
    fit(whole, 5)
    fit(first, 2)
    path = first.checkpoint().save(tmp_path / "c")
    second = system(**kind)
    second.checkpoint().restore(path).assert_existing_objects_matched()
    fit(second, 3, stream().skip(2))
    assert int(second.step.numpy()) == 5
    for a, b in zip(weights_of(whole), weights_of(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"adversarial_weight": -0.1}, r"`adversarial_weight` must be in \[0, 1\). Received: -0.1"),
        ({"adversarial_weight": 1.0}, r"`adversarial_weight` must be in \[0, 1\). Received: 1.0"),
        (
            {"adversarial_weight": float("nan")},
            r"`adversarial_weight` must be in \[0, 1\). Received: nan",
        ),
        ({"discriminator_updates": 0}, r"must be at least 1. Received: \(0, 1\)"),
        ({"recognizer_updates": 0}, r"must be at least 1. Received: \(1, 0\)"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        system(**arguments)


def test_class_weights_of_another_number_of_action_units_are_refused():
    with pytest.raises(ValueError, match="`class_weights` must hold one number for each of 3"):
        fit(system(class_weights=[1.0, 2.0]), 1)
