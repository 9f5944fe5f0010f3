import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.recognition.networks import ActionUnitRecognizer
from tfface.serving.litert import export_litert
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.recognition import recognition_servable

LABELS = ["AU01 Inner brow raiser", "AU12 Lip corner puller", "AU25 Lips part"]


def probabilities(network, faces):
    """What Keras says of faces, through NumPy's own sigmoid."""
    return 1 / (1 + np.exp(-network.predict(faces, verbose=0).astype(np.float64)))


def noise(count, size=16):
    return np.random.default_rng(0).random((count, size, size, 3), np.float32)


def test_card_and_labels_say_what_the_numbers_mean(tmp_path, recognizer):
    folder = export_savedmodel(recognition_servable(recognizer), tmp_path)
    card = json.loads((folder / "model_card.json").read_text())
    assert (card["system"], card["size"], card["threshold"]) == ("recognition", 16, 0.5)
    assert card["action_units"] == [1, 12, 25]
    assert card["labels"] == LABELS
    assert (folder / "labels.txt").read_text().splitlines() == LABELS
    assert set(card["signatures"]) == {"serving_default", "recognize"}


def test_files_in_action_units_out_without_tfface_or_keras(
    tmp_path, recognizer, picture_files, bicubic
):
    folder = export_savedmodel(recognition_servable(recognizer), tmp_path / "models")
    files, pictures = picture_files
    program = """
import sys
sys.modules["tfface"] = sys.modules["keras"] = None  # an import of either fails
import numpy as np, tensorflow as tf
folder, answer, *files = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
outputs = serve(image_bytes=tf.constant([open(file, "rb").read() for file in files]))
assert (outputs.pop("error").numpy() == b"").all()
np.savez(answer, **{name: value.numpy() for name, value in outputs.items()})
"""
    answer = tmp_path / "answer.npz"
    command = [sys.executable, "-c", program, folder, answer, *files]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    faces = np.stack([bicubic(image, 16) for image in pictures])
    expected = probabilities(recognizer, faces)
    with np.load(answer) as outputs:
        assert outputs["probabilities"].dtype == np.float32 and outputs["present"].dtype == bool
        np.testing.assert_allclose(outputs["probabilities"][:2], expected[:2], atol=1e-4)
        np.testing.assert_allclose(outputs["probabilities"][2], expected[2], atol=0.02)  # JPEG
        np.testing.assert_array_equal(outputs["present"], outputs["probabilities"] >= 0.5)


def test_recognize_agrees_with_keras(tmp_path, recognizer):
    folder = export_savedmodel(recognition_servable(recognizer), tmp_path)
    recognize = tf.saved_model.load(str(folder)).signatures["recognize"]
    faces = noise(8)
    outputs = recognize(image=tf.constant(faces))
    expected = probabilities(recognizer, faces)
    assert (expected > 0.6).any() and (expected < 0.4).any()
    assert np.ptp(expected, axis=0).min() > 0.1  # no face is as another
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-4)
    np.testing.assert_array_equal(outputs["present"], expected >= 0.5)


def test_what_is_as_likely_as_not_is_present(recognizer):
    head = recognizer.get_layer("logits")
    head.set_weights([np.zeros((256, 3)), np.array([0.0, 1e-3, -1e-3])])
    recognize = recognition_servable(recognizer).endpoints["recognize"].function
    np.testing.assert_array_equal(recognize(noise(1))["present"], [[True, True, False]])


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float16", 5e-3)])
def test_litert_agrees_with_keras(tmp_path, recognizer, precision, tolerance):
    path = export_litert(recognition_servable(recognizer), tmp_path / "au.tflite", precision)
    recognize = Interpreter(str(path)).get_signature_runner("recognize")
    faces = noise(3)
    found = np.concatenate([recognize(image=face[None])["probabilities"] for face in faces])
    assert found.dtype == np.float32 and found.shape == (3, 3)
    np.testing.assert_allclose(found, probabilities(recognizer, faces), atol=tolerance)
    card = json.loads((tmp_path / "au.json").read_text())
    assert (card["inputs"], card["outputs"]) == (
        {"image": [1, 16, 16, 3]},
        {"probabilities": [1, 3]},
    )
    assert card["action_units"] == [1, 12, 25] and card["labels"] == LABELS
    assert (tmp_path / "au_labels.txt").read_text().splitlines() == LABELS


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["alexnet", "resnet50"])
def test_backbones_need_no_foreign_operator(tmp_path, backbone):
    keras.utils.set_random_seed(0)
    network = ActionUnitRecognizer((1, 12, 25), 64, backbone)
    path = export_litert(recognition_servable(network), tmp_path / "au.tflite")
    recognize = Interpreter(str(path)).get_signature_runner("recognize")
    face = noise(1, 64)
    expected = probabilities(network, face)
    np.testing.assert_allclose(recognize(image=face)["probabilities"], expected, atol=1e-4)


def test_network_of_mixed_precision_is_exported_in_float32(tmp_path):
    keras.utils.set_random_seed(0)
    network = ActionUnitRecognizer((1, 12), 16, "fer_net", dtype="mixed_float16")
    servable = recognition_servable(network)
    found = servable.endpoints["recognize"].function(noise(2))["probabilities"]
    np.testing.assert_allclose(found, probabilities(network.in_float32(), noise(2)), atol=1e-5)


def test_model_of_another_kind_is_refused(nearest_generator):
    with pytest.raises(ValueError, match="`model` must be an ActionUnitRecognizer.*Functional"):
        recognition_servable(nearest_generator)
    unknown = ActionUnitRecognizer((1, 99), 16, "fer_net")
    with pytest.raises(ValueError, match=r"`action_units` must be among .*\[99\]"):
        recognition_servable(unknown)
