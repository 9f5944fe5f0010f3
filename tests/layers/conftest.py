import keras
import numpy as np
import pytest

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


@pytest.fixture
def check_layer(tmp_path):
    """What every layer must do: `check_layer(cls, arguments, input_shape, output_shape, weights)`.

    `weights` is (trainable, not trainable), counted in variables.
    """

    def check(cls, arguments, input_shape, output_shape, weights=(0, 0)):
        keras.utils.set_random_seed(0)
        x = np.random.default_rng(0).uniform(-1, 1, (4, *input_shape)).astype("float32")
        _comes_back_from_its_config(cls, arguments)
        layer = cls(**arguments)
        assert layer.compute_output_shape((None, *input_shape)) == (None, *output_shape)
        out = layer(x)
        assert out.shape == (4, *output_shape)
        assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == weights
        for policy in POLICIES:
            _computes_in(policy, cls, arguments, x, keras.ops.convert_to_numpy(out))
            _learns_and_reloads(cls(**arguments, dtype=policy), x, tmp_path / f"{policy}.keras")

    return check


def _comes_back_from_its_config(cls, arguments):
    layer = cls(**arguments, name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is cls and copy.get_config() == layer.get_config()
    assert keras.saving.get_registered_name(cls) == f"tfface>{cls.__name__}"
    for name in arguments:
        assert name in layer.get_config()


def _computes_in(policy, cls, arguments, x, expected):
    keras.utils.set_random_seed(0)
    layer = cls(**arguments, dtype=policy)
    layer.build(x.shape)
    whole = cls(**arguments)
    whole.build(x.shape)
    whole.set_weights(layer.get_weights())
    out = layer(x)
    assert keras.backend.standardize_dtype(out.dtype) == layer.compute_dtype
    for weight in layer.weights:
        assert weight.dtype == "float32" or "seed" in weight.name
    out, expected = (
        keras.ops.convert_to_numpy(keras.ops.cast(o, "float32")) for o in (out, whole(x))
    )
    # A few units in the last place of the shorter type.
    loose = {"float32": 1e-6, "float16": 1e-2, "bfloat16": 8e-2}[layer.compute_dtype]
    np.testing.assert_allclose(out, expected, atol=loose * max(1, np.abs(expected).max()))


def _learns_and_reloads(layer, x, path):
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    if layer.trainable_weights:
        _learns(model, x)
    model.save(path)
    reloaded = keras.saving.load_model(path, safe_mode=True)
    assert reloaded.layers[-1].dtype_policy.name == layer.dtype_policy.name
    np.testing.assert_allclose(
        reloaded.predict(x, verbose=0).astype("float32"),
        model.predict(x, verbose=0).astype("float32"),
        atol=1e-6,
    )


def _learns(model, x):
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(0.01), "mse")
    target = np.ones((len(x), *model.output_shape[1:]), "float32")
    assert np.isfinite(model.fit(x, target, verbose=0).history["loss"][0])
    for old, weight in zip(before, model.trainable_weights, strict=True):
        new = keras.ops.convert_to_numpy(weight)
        assert np.all(np.isfinite(new)) and not np.array_equal(old, new), weight.path


@pytest.fixture
def convolve():
    """`convolve(image, kernel, bias, stride)`: the 'same' convolution of one image, in NumPy."""
    return _convolve


def _convolve(image, kernel, bias, stride=1):
    """As TensorFlow pads: so much that ceil(size / stride) outputs fit, the odd row at the end."""
    size, filters = kernel.shape[0], kernel.shape[-1]
    shape = [-(-side // stride) for side in image.shape[:2]]
    missing = [
        max((out - 1) * stride + size - side, 0)
        for out, side in zip(shape, image.shape[:2], strict=True)
    ]
    pads = [(total // 2, total - total // 2) for total in missing]
    padded = np.pad(image, [*pads, (0, 0)])
    out = np.zeros((*shape, filters))
    for y in range(shape[0]):
        for x in range(shape[1]):
            window = padded[y * stride : y * stride + size, x * stride : x * stride + size]
            out[y, x] = np.einsum("ijc,ijcf->f", window, kernel) + bias
    return out
