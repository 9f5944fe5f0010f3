"""The restorer's losses against plain NumPy, its variants, its steps, and two devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.restoration.model import ActionUnitTraining, ExpressionRestorer
from tfface.restoration.networks import RestorationGenerator

RNG = np.random.default_rng(0)
FACES = RNG.uniform(size=(8, 32, 32, 3)).astype("float32")
LOW = RNG.uniform(size=(8, 16, 16, 3)).astype("float32")
MASK = (RNG.uniform(size=(8, 16, 16, 1)) < 0.25).astype("float32")
AU = np.array([[1, 0], [0, np.nan]] * 4, "float32")


def linear(outputs, seed, name):
    """A linear network on faces, so that NumPy can follow it."""
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(
        outputs, kernel_initializer=keras.initializers.RandomNormal(0, 0.01, seed)
    )(x)
    return keras.Model(inputs, x, name=name)


def features():
    inputs = keras.Input((32, 32, 3))
    first = keras.layers.AveragePooling2D(2)(inputs)
    return keras.Model(inputs, [first, keras.layers.AveragePooling2D(2)(first)], name="features")


def restorer(generator=None, learning_rate=0.1, jit_compile=False, **kwargs):
    keras.utils.set_random_seed(3)
    generator = generator or RestorationGenerator(16, 2, filters=4, blocks=1)
    arguments = {
        "classifier": linear(2, 1, "classifier"),
        "perceptual_network": features(),
        **kwargs,
    }
    model = ExpressionRestorer(generator, linear(1, 2, "discriminator"), **arguments)
    optimizers = {n: keras.optimizers.SGD(learning_rate) for n in ("generator", "discriminator")}
    model.compile(optimizers, jit_compile=jit_compile)
    return model


def stream(batch_size=4):
    batch = {"low": LOW, "mask": MASK, "face": FACES, "au": AU}
    return tf.data.Dataset.from_tensor_slices(batch).batch(batch_size, drop_remainder=True).repeat()


def one_epoch(model, steps=3):
    return model.fit(stream(), steps_per_epoch=steps, shuffle=False, verbose=0).history


def test_losses_are_the_equations():
    model = restorer()
    restored = keras.ops.convert_to_numpy(model.generator(LOW))
    flat = (FACES - restored).reshape(8, -1).astype("float64")

    assert float(model.pixel_loss(FACES, restored)) == pytest.approx((flat**2).mean(), rel=1e-5)

    kernel = model.classifier.get_weights()[0].astype("float64")
    expected = ((flat @ kernel) ** 2).sum(1).mean()
    assert float(model.expression_loss(FACES, restored)) == pytest.approx(expected, rel=1e-4)

    difference = (FACES - restored).astype("float64")
    halves = difference.reshape(8, 16, 2, 16, 2, 3).mean((2, 4))
    quarters = difference.reshape(8, 8, 4, 8, 4, 3).mean((2, 4))
    expected = (halves**2).mean() + (quarters**2).mean()
    assert float(model.perceptual_loss(FACES, restored)) == pytest.approx(expected, rel=1e-4)

    kernel, bias = (w.astype("float64") for w in model.discriminator.get_weights())
    real, fake = (x.reshape(8, -1).astype("float64") @ kernel + bias for x in (FACES, restored))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    expected = -(np.log(sigmoid(real)) + np.log(1 - sigmoid(fake))).mean()
    assert float(model.discriminator_loss(FACES, restored)) == pytest.approx(expected, rel=1e-5)


def test_a_step_goes_down_the_weighted_sum():
    """One SGD step of the generator is that of Eq. 5, taken with a plain tape."""
    weights = {"adversarial_weight": 0.2, "expression_weight": 0.3, "perceptual_weight": 0.4}
    stepped, plain = restorer(**weights), restorer(**weights)
    one_epoch(stepped, steps=1)
    low, face = LOW[:4], FACES[:4]
    with tf.GradientTape() as tape:
        out = plain.generator(low, training=True)
        pixel = tf.reduce_mean((face - out) ** 2)
        logits = plain.discriminator(out)
        adversarial = tf.reduce_mean(-tf.math.log_sigmoid(logits))
        distance = plain.classifier(face) - plain.classifier(out)
        expression = tf.reduce_mean(tf.reduce_sum(distance**2, -1))
        pairs = zip(plain.perceptual_network(face), plain.perceptual_network(out), strict=True)
        perceptual = sum(tf.reduce_mean((a - b) ** 2) for a, b in pairs)
        loss = pixel + 0.2 * adversarial + 0.3 * expression + 0.4 * perceptual
    gradients = tape.gradient(loss, plain.generator.trainable_variables)
    for variable, before, gradient in zip(
        stepped.generator.trainable_variables,
        plain.generator.trainable_variables,
        gradients,
        strict=True,
    ):
        expected = before.numpy() - 0.1 * gradient.numpy()
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-6)


def test_the_discriminator_learns_once_for_three_generator_steps():
    model = restorer()
    start = model.discriminator.get_weights()[0]
    one_epoch(model, steps=2)
    np.testing.assert_array_equal(model.discriminator.get_weights()[0], start)
    one_epoch(model, steps=1)
    assert np.any(model.discriminator.get_weights()[0] != start)


def test_frozen_networks_stay():
    model = restorer()
    before = model.classifier.get_weights()
    one_epoch(model)
    for a, b in zip(model.classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["hinge", "lsgan", "wgan-gp"])
def test_every_adversarial_loss_trains(kind):
    history = one_epoch(restorer(adversarial_loss=kind, learning_rate=1e-3))
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["discriminator_loss"][0] != 0


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_stays_near_float32(policy):
    full = one_epoch(restorer(learning_rate=1e-3))
    keras.config.set_dtype_policy(policy)
    try:
        half = one_epoch(restorer(learning_rate=1e-3))
    finally:
        keras.config.set_dtype_policy("float32")
    for name, values in full.items():
        np.testing.assert_allclose(half[name], values, rtol=0.05)


@pytest.mark.slow
def test_xla_gives_the_same_steps():
    plain, compiled = restorer(), restorer(jit_compile=True)
    for a, b in zip(*(one_epoch(m).values() for m in (plain, compiled)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_weight_zero_leaves_a_network_out():
    model = restorer(
        classifier=None, perceptual_network=None, expression_weight=0, perceptual_weight=0
    )
    history = one_epoch(model)
    assert history["expression_loss"] == [0] and history["pixel_loss"][0] > 0


def test_a_mask_aware_generator_sees_the_mask():
    model = restorer(RestorationGenerator(16, 2, filters=4, blocks=1, mask_aware=True))
    batch = {"low": LOW, "mask": MASK}
    seen = keras.ops.convert_to_numpy(model.generator_input(batch))
    np.testing.assert_array_equal(seen, np.concatenate([LOW, MASK], -1))
    one_epoch(model)


def test_evaluate_is_the_mean_over_faces():
    model = restorer()
    figures = model.evaluate(stream().take(2), return_dict=True, verbose=0)
    restored = keras.ops.convert_to_numpy(model.generator(LOW))
    psnr = -10 * np.log10(((FACES - restored) ** 2).mean((1, 2, 3)))
    assert figures["psnr"] == pytest.approx(psnr.mean(), rel=1e-4)
    assert set(figures) == {"psnr", "ssim"}


def test_reload_goes_on_as_if_never_saved(tmp_path):
    model = restorer()
    one_epoch(model)
    model.save(tmp_path / "r.keras")
    reloaded = keras.saving.load_model(tmp_path / "r.keras", safe_mode=True)
    one_epoch(model)
    one_epoch(reloaded)
    for a, b in zip(model.generator.weights, reloaded.generator.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


def test_two_devices_equal_one(two_devices):
    one = restorer()
    one_epoch(one)
    with two_devices.scope():
        two = restorer()
    one_epoch(two)
    for name in ("generator", "discriminator"):
        pairs = zip(getattr(one, name).weights, getattr(two, name).weights, strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_the_classifier_learns_and_skips_missing_labels():
    model = ActionUnitTraining(linear(2, 5, "c"), class_weights=[2.0, 1.0])
    model.compile({"classifier": keras.optimizers.SGD(0.01)})
    first = one_epoch(model, 2)["loss"][0]
    for _ in range(5):
        last = one_epoch(model, 2)["loss"][0]
    assert np.isfinite(last) and last < first


def test_two_devices_weigh_known_labels_alike(two_devices):
    """One device of the two has three of four faces' labels missing."""
    labels = np.array([[1, 0], [0, 1], [np.nan, 1], [np.nan, np.nan]], "float32")
    batches = tf.data.Dataset.from_tensors({"face": FACES[:4], "au": labels}).repeat()

    def trained(batches):
        model = ActionUnitTraining(linear(2, 5, "c"))
        model.compile({"classifier": keras.optimizers.SGD(0.01)})
        history = model.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0).history
        return [history["loss"][0], *(w.numpy() for w in model.classifier.weights)]

    one = trained(batches)
    with two_devices.scope():
        two = trained(batches)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"`expression_weight` above 0 needs a `classifier`"):
        restorer(classifier=None)
    with pytest.raises(ValueError, match=r"`perceptual_weight` above 0 needs"):
        restorer(perceptual_network=None)
    with pytest.raises(ValueError, match=r"`adversarial_weight` must be at least 0"):
        restorer(adversarial_weight=-1.0)
    with pytest.raises(ValueError, match="vanilla"):
        restorer(adversarial_loss="vanilla")
