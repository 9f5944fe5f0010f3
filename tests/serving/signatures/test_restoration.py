import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.restoration.networks import RestorationGenerator
from tfface.serving.litert import export_litert
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.restoration import restoration_servable


def test_card_says_what_the_model_is(tmp_path, mask_aware_generator):
    folder = export_savedmodel(restoration_servable(mask_aware_generator), tmp_path)
    card = json.loads((folder / "model_card.json").read_text())
    assert card["system"] == "restoration"
    assert (card["low_size"], card["size"], card["mask_aware"]) == (16, 128, True)
    assert card["parameters"] == 4 * 3 + 3
    assert set(card["signatures"]) == {"serving_default", "restore"}


def test_files_in_files_out_without_tfface_or_keras(tmp_path, servable, picture_files, bicubic):
    folder = export_savedmodel(servable, tmp_path / "models")
    files, pictures = picture_files
    program = """
import sys
sys.modules["tfface"] = sys.modules["keras"] = None  # an import of either fails
import numpy as np, tensorflow as tf
folder, answer, *files = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
outputs = serve(image_bytes=tf.constant([open(file, "rb").read() for file in files]))
decoded = [tf.io.decode_png(file).numpy() for file in outputs["restored_bytes"].numpy()]
np.savez(answer, restored=outputs["restored"].numpy(), decoded=np.stack(decoded))
"""
    answer = tmp_path / "answer.npz"
    command = [sys.executable, "-c", program, folder, answer, *files]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    with np.load(answer) as arrays:
        restored, decoded = arrays["restored"], arrays["decoded"]
    assert restored.shape == decoded.shape == (3, 128, 128, 3)
    for i, tolerance in enumerate([1e-4, 1e-4, 0.02]):  # JPEG decoders differ a little
        expected = bicubic(pictures[i], 16).repeat(8, axis=0).repeat(8, axis=1)
        np.testing.assert_allclose(restored[i], expected, atol=tolerance)
    np.testing.assert_allclose(decoded, restored * 255, atol=0.51)


def test_restore_hides_and_tells_the_mask(tmp_path, mask_aware_generator):
    folder = export_savedmodel(restoration_servable(mask_aware_generator), tmp_path)
    restore = tf.saved_model.load(str(folder)).signatures["restore"]
    image = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    mask = np.zeros((2, 16, 16, 1), np.float32)
    mask[0, 4:12, 2:10] = 1
    restored = restore(image=tf.constant(image), mask=tf.constant(mask))["restored"].numpy()
    expected = np.where(mask == 1, 0.25, 0.5 * image).repeat(8, axis=1).repeat(8, axis=2)
    np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_network_of_mixed_precision_is_exported_in_float32(tmp_path):
    keras.utils.set_random_seed(0)
    network = RestorationGenerator(filters=4, blocks=1, dtype="mixed_float16")
    folder = export_savedmodel(restoration_servable(network), tmp_path)
    restore = tf.saved_model.load(str(folder)).signatures["restore"]
    low = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    restored = restore(image=tf.constant(low), mask=tf.zeros((2, 16, 16, 1)))["restored"]
    assert restored.dtype == tf.float32
    np.testing.assert_allclose(restored, network.in_float32()(low), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"block": "region_relation", "adjacency": "combined", "mask_aware": True},
        {"block": "region_relation", "adjacency": "soft"},
        {"block": "residual"},
        {"block": "region_relation", "dtype": "mixed_float16"},
    ],
    ids=["combined", "soft", "residual", "mixed"],
)
def test_restoration_generators_need_no_foreign_operator(tmp_path, options):
    keras.utils.set_random_seed(0)
    network = RestorationGenerator(filters=8, blocks=1, **options)
    path = export_litert(restoration_servable(network), tmp_path / "generator.tflite")
    image = np.random.default_rng(2).random((1, 16, 16, 3), np.float32)
    mask = np.zeros((1, 16, 16, 1), np.float32)
    mask[:, 8:, 8:] = 1
    low = np.concatenate([image * (1 - mask), mask], axis=-1)[..., : 3 + network.mask_aware]
    restored = Interpreter(str(path)).get_signature_runner("restore")(image=image, mask=mask)
    expected = network.in_float32().predict(low, verbose=0)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(restored["restored"], expected, atol=1e-4)


def test_model_of_another_kind_is_refused():
    inputs = keras.Input((16, 16, 1))
    model = keras.Model(inputs, keras.layers.UpSampling2D(8)(inputs))
    with pytest.raises(ValueError, match=r"`model` must map .*Received: .*\(None, 16, 16, 1\)"):
        restoration_servable(model)
    with pytest.raises(ValueError, match="Received: str"):
        restoration_servable("generator.keras")
