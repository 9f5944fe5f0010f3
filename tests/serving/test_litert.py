import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.serving.calibration import Calibration
from tfface.serving.litert import export_litert, operators
from tfface.serving.servable import LiteSignature, Servable
from tfface.serving.signatures.restoration import restoration_servable


def convolutional_generator():
    """Small, with the operators that real generators are made of."""
    low = keras.Input((16, 16, 4))
    x = keras.layers.Conv2D(24, 9, padding="same")(low)
    x = keras.layers.PReLU(shared_axes=(1, 2))(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.UpSampling2D(8, interpolation="bilinear")(x)
    return keras.Model(low, keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid")(x))


@keras.saving.register_keras_serializable("tests")
class Spectrum(keras.layers.Layer):
    """Something that LiteRT has no operator for."""

    def call(self, x):
        brightness = 1 + keras.ops.mean(x)
        return x * keras.ops.cholesky(brightness * keras.ops.eye(3))[0, 0]


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float16", 5e-3)])
def test_agrees_with_keras(tmp_path, precision, tolerance):
    keras.utils.set_random_seed(0)
    model = convolutional_generator()
    path = export_litert(restoration_servable(model), tmp_path / "new" / "small.tflite", precision)
    rng = np.random.default_rng(1)
    image = rng.random((1, 16, 16, 3), np.float32)
    mask = np.zeros((1, 16, 16, 1), np.float32)
    mask[:, 3:11, 5:13] = 1
    expected = model.predict(np.concatenate([image * (1 - mask), mask], axis=-1), verbose=0)

    restore = Interpreter(str(path)).get_signature_runner("restore")
    restored = restore(image=image, mask=mask)["restored"]
    assert restored.dtype == np.float32 and restored.shape == (1, 128, 128, 3)
    np.testing.assert_allclose(restored, expected, atol=tolerance)
    # What is hidden has no influence.
    other = restore(image=np.where(mask == 1, 0.7, image).astype(np.float32), mask=mask)
    np.testing.assert_array_equal(other["restored"], restored)


def test_float16_halves_the_weights(tmp_path):
    servable = restoration_servable(convolutional_generator())
    whole = export_litert(servable, tmp_path / "a.tflite", "float32").stat().st_size
    half = export_litert(servable, tmp_path / "b.tflite", "float16").stat().st_size
    weights = 4 * servable.model.count_params()
    assert 0.4 * weights < whole - half < 0.6 * weights


def test_sidecar_and_operators(tmp_path):
    path = export_litert(restoration_servable(convolutional_generator()), tmp_path / "small.tflite")
    card = json.loads(path.with_suffix(".json").read_text())
    assert (card["system"], card["signature"], card["mask_aware"]) == (
        "restoration",
        "restore",
        True,
    )
    assert card["inputs"] == {"image": [1, 16, 16, 3], "mask": [1, 16, 16, 1]}
    assert card["outputs"] == {"restored": [1, 128, 128, 3]}
    assert card["bytes"] == path.stat().st_size
    assert card["operators"] == operators(path.read_bytes())
    assert {"CONV_2D", "PRELU", "RESIZE_BILINEAR"} <= set(card["operators"])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["small.json", "small.tflite"]


def test_labels_lie_beside(tmp_path):
    """Of a system that there is not: the export knows none of them."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(3, kernel_initializer="ones")(inputs))
    lite = LiteSignature(
        "weigh", lambda x: {"weight": model(x)}, (tf.TensorSpec((1, 2), tf.float32, name="x"),)
    )
    servable = Servable("weighing", model, {}, lite, {"unit": "g"}, ("one", "two", "three"))
    path = export_litert(servable, tmp_path / "scale.tflite")
    assert (tmp_path / "scale_labels.txt").read_text() == "one\ntwo\nthree\n"
    card = json.loads((tmp_path / "scale.json").read_text())
    assert (card["system"], card["unit"]) == ("weighing", "g")
    assert card["labels"] == ["one", "two", "three"]
    assert (card["inputs"], card["outputs"]) == ({"x": [1, 2]}, {"weight": [1, 3]})
    weigh = Interpreter(str(path)).get_signature_runner("weigh")
    weight = weigh(x=np.array([[2, 3]], np.float32))["weight"]
    np.testing.assert_allclose(weight, [[5, 5, 5]], atol=1e-6)


def test_operator_that_a_phone_lacks_is_refused(tmp_path):
    low = keras.Input((16, 16, 3))
    model = keras.Model(low, keras.layers.UpSampling2D(8)(Spectrum()(low)))
    with pytest.raises(ValueError, match="LiteRT's own operators only.*Cholesky"):
        export_litert(restoration_servable(model), tmp_path / "foreign.tflite")
    assert list(tmp_path.iterdir()) == []


def test_foreign_operator_is_named():
    @tf.function(input_signature=[tf.TensorSpec((3, 3), tf.float32)])
    def factor(x):
        return tf.linalg.cholesky(x)

    module = tf.Module()
    module.factor = factor
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [factor.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    assert "CUSTOM:FlexCholesky" in operators(converter.convert())


def test_wrong_arguments(tmp_path, servable):
    with pytest.raises(ValueError, match=r"`path` must end in \.tflite.*model\.lite"):
        export_litert(servable, tmp_path / "model.lite")
    with pytest.raises(ValueError, match="`precision` must be one of .*'int4'"):
        export_litert(servable, tmp_path / "model.tflite", "int4")
    with pytest.raises(ValueError, match="must hold faces for int8.*None for int8"):
        export_litert(servable, tmp_path / "model.tflite", "int8")
    with pytest.raises(ValueError, match="must hold faces for int8.*0 for int8"):
        export_litert(servable, tmp_path / "model.tflite", "int8", Calibration([], {}))
    with pytest.raises(ValueError, match="None for another precision.*1 for float16"):
        export_litert(servable, tmp_path / "model.tflite", "float16", Calibration([{}], {}))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        export_litert(servable, tmp_path / "file" / "model.tflite")
