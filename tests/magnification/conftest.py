import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.magnification.examination import examine
from tfface.magnification.networks import ExpressionMagnifier

CLASSES = ("anger", "fear", "happiness", "sadness")
SIZE, FEATURES = 16, 24


def dense(units, activation, seed):
    return keras.layers.Dense(
        units,
        activation,
        kernel_initializer=keras.initializers.RandomNormal(0, 0.08, seed),
        bias_initializer=keras.initializers.RandomNormal(0, 0.3, seed + 100),
    )


def make_classifier(seed):
    """As an ExpressionNet of few weights: one layer to the features, one to the logits."""
    face = keras.Input((SIZE, SIZE, 3))
    feature = dense(FEATURES, "relu", seed)(keras.layers.Flatten()(face))
    logits = dense(len(CLASSES), None, seed + 1)(feature)
    network = keras.Model(face, logits)
    network.with_features = lambda: keras.Model(face, [logits, feature])
    return network


def make_generator(seed, feature):
    face = keras.Input((SIZE, SIZE, 3))
    inputs, x = face, keras.layers.Flatten()(face)
    if feature:
        inputs = [face, keras.Input((feature,))]
        x = keras.layers.Concatenate()([x, inputs[1]])
    x = dense(SIZE * SIZE * 3, "sigmoid", seed)(x)
    return keras.Model(inputs, keras.layers.Reshape((SIZE, SIZE, 3))(x))


def make_extractor(seed):
    face = keras.Input((SIZE, SIZE, 3))
    return keras.Model(face, dense(5, "tanh", seed)(keras.layers.Flatten()(face)))


@pytest.fixture(scope="session")
def magnifier_of():
    """Function of a mode and a seed to what a run keeps, of four classes and 16 pixels."""

    def made(mode, seed=0):
        generator = extractor = None
        if mode != "cnn":
            generator = make_generator(seed + 2, 5 if mode == "2v2" else 0)
        if mode == "2v2":
            extractor = make_extractor(seed + 3)
        return ExpressionMagnifier(generator, extractor, make_classifier(seed), CLASSES, 20)

    return made


@pytest.fixture(scope="session")
def pairs():
    """Arrays of 22 test pairs; nobody is sad."""
    rng = np.random.default_rng(3)
    faces = rng.uniform(0.1, 0.9, (22, SIZE, SIZE, 3))
    change = rng.uniform(-0.1, 0.1, (22, SIZE, SIZE, 3))
    images = {"weak": faces, "peak": faces + change, "neutral": faces - 0.5 * change}
    images = {name: values.astype("float32") for name, values in images.items()}
    return {**images, "label": rng.integers(0, 3, 22)}


@pytest.fixture(scope="session")
def batches_of():
    """Function of arrays to batches of eight and a rest."""
    return lambda arrays: tf.data.Dataset.from_tensor_slices(arrays).batch(8)


@pytest.fixture(scope="session")
def examined(magnifier_of, pairs, batches_of):
    """By mode, what was examined on the same pairs."""
    return {
        mode: examine(magnifier_of(mode, 10 * number), batches_of(pairs))
        for number, mode in enumerate(("cnn", "1v2", "2v2"))
    }
