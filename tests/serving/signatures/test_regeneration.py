import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.regeneration.features import FerNet
from tfface.regeneration.networks import ExpressionRegenerator, RegenerationGenerator
from tfface.serving.litert import export_litert
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.regeneration import regeneration_servable

OUTPUTS = {"regenerated", "distances", "class_id", "probabilities"}
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def answers(network, faces):
    """What Keras says of faces, generator by generator, and NumPy's own arithmetic."""
    given = faces if network.channels == 3 else (faces @ LUMA)[..., None].astype(np.float32)
    made = [np.asarray(generator(given)) for generator in network.generators]
    logits, features = (
        np.asarray(v, np.float64) for v in network.classifier.with_features()(given)
    )
    others = [np.asarray(network.classifier.with_features()(face)[1], np.float64) for face in made]
    distances = np.stack([np.linalg.norm(features - other, axis=1) for other in others], axis=1)
    odds = np.exp(logits)
    regenerated = np.stack(made, axis=1)
    return {
        "regenerated": np.broadcast_to(regenerated, (*regenerated.shape[:-1], 3)),
        "distances": distances,
        "class_id": distances.argmin(axis=1),
        "probabilities": odds / odds.sum(axis=1, keepdims=True),
    }


def noise(count, size=16):
    return np.random.default_rng(0).random((count, size, size, 3), np.float32)


def assert_close(found, expected, atol):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == (np.int32 if name == "class_id" else np.float32)
        scale = max(1, np.abs(values).max())
        np.testing.assert_allclose(found[name], values, atol=atol * scale, err_msg=name)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, regenerator):
    return export_savedmodel(regeneration_servable(regenerator), tmp_path_factory.mktemp("models"))


def test_card_and_labels_say_what_the_model_is(exported, regenerator):
    card = json.loads((exported / "model_card.json").read_text())
    assert (card["system"], card["size"], card["aligned_size"]) == ("regeneration", 16, 22)
    assert card["labels"] == ["joy", "anger", "fear"]
    assert (exported / "labels.txt").read_text() == "joy\nanger\nfear\n"
    assert card["parameters"] == regenerator.count_params()
    signatures = card["signatures"]
    assert set(signatures["regenerate"]["outputs"]) == OUTPUTS
    assert set(signatures["serving_default"]["outputs"]) == OUTPUTS | {"regenerated_bytes", "error"}


def test_files_in_files_out_without_tfface_or_keras(
    tmp_path, exported, regenerator, picture_files, bicubic
):
    files, pictures = picture_files
    program = """
import sys
sys.modules["tfface"] = sys.modules["keras"] = None  # an import of either fails
import numpy as np, tensorflow as tf
folder, answer, *files = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
outputs = serve(image_bytes=tf.constant([open(file, "rb").read() for file in files]))
assert (outputs.pop("error").numpy() == b"").all()
made = outputs.pop("regenerated_bytes").numpy()
decoded = [[tf.io.decode_png(file).numpy() for file in row] for row in made]
arrays = {name: value.numpy() for name, value in outputs.items()}
np.savez(answer, decoded=np.array(decoded), **arrays)
"""
    answer = tmp_path / "answer.npz"
    command = [sys.executable, "-c", program, exported, answer, *files]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    faces = np.stack([bicubic(image, 22)[3:19, 3:19] for image in pictures]).astype(np.float32)
    expected = answers(regenerator, faces)
    with np.load(answer) as arrays:
        found = dict(arrays)
    decoded = found.pop("decoded")
    assert decoded.shape == (3, 3, 16, 16, 3) and decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded, found["regenerated"] * 255, atol=0.51)
    part, of = ({name: v[:2] for name, v in a.items()} for a in (found, expected))
    assert_close(part, of, 1e-4)  # the third is a JPEG, whose decoders differ a little
    np.testing.assert_allclose(found["regenerated"][2], expected["regenerated"][2], atol=0.05)


def test_regenerate_agrees_with_keras(exported, regenerator):
    regenerate = tf.saved_model.load(str(exported)).signatures["regenerate"]
    faces = noise(8)
    expected = answers(regenerator, faces)
    assert np.ptp(expected["distances"], axis=1).min() > 1e-3  # no tie that rounding decides
    found = regenerate(image=tf.constant(faces))
    assert_close({name: v.numpy() for name, v in found.items()}, expected, 1e-4)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float16", 1e-2)])
def test_litert_agrees_with_keras(tmp_path, regenerator, precision, tolerance):
    path = export_litert(regeneration_servable(regenerator), tmp_path / "m.tflite", precision)
    regenerate = Interpreter(str(path)).get_signature_runner("regenerate")
    faces = noise(3)
    runs = [regenerate(image=face[None]) for face in faces]
    found = {name: np.concatenate([run[name] for run in runs]) for name in OUTPUTS}
    assert_close(found, answers(regenerator, faces), tolerance)
    card = json.loads((tmp_path / "m.json").read_text())
    assert card["inputs"] == {"image": [1, 16, 16, 3]} and set(card["outputs"]) == OUTPUTS
    assert not [name for name in card["operators"] if name.startswith(("CUSTOM", "FLEX"))]
    assert (tmp_path / "m_labels.txt").read_text() == "joy\nanger\nfear\n"


def test_networks_of_colors_and_of_mixed_precision_are_exported_in_float32():
    keras.utils.set_random_seed(0)
    classes = ("joy", "anger")
    generators = [
        RegenerationGenerator(name, 16, 3, (2, 3), dtype="mixed_float16") for name in classes
    ]
    classifier = FerNet(classes, 16, 3, dtype="mixed_float16")
    network = ExpressionRegenerator(generators, classifier, dtype="mixed_float16")
    servable = regeneration_servable(network)
    found = servable.endpoints["regenerate"].function(noise(2))
    expected = answers(network.in_float32(), noise(2))
    assert_close({name: v.numpy() for name, v in found.items()}, expected, 1e-5)


def test_model_of_another_kind_is_refused(nearest_generator):
    with pytest.raises(ValueError, match="`model` must be an ExpressionRegenerator.*Functional"):
        regeneration_servable(nearest_generator)
