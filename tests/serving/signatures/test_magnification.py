import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.magnification.networks import (
    ExpressionMagnifier,
    ExpressionNet,
    MagnificationGenerator,
)
from tfface.serving.litert import export_litert
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.magnification import magnification_servable

OUTPUTS = {"magnified", "heat_map", "probabilities_before", "probabilities_after"}


def answers(network, faces):
    """What Keras says of faces, through the networks one by one and NumPy's own arithmetic."""

    def softmax(logits):
        odds = np.exp(np.asarray(logits, np.float64))
        return odds / odds.sum(axis=-1, keepdims=True)

    given = [faces] if network.extractor is None else [faces, np.asarray(network.extractor(faces))]
    magnified = np.asarray(network.generator(given if len(given) > 1 else faces))
    return {
        "magnified": magnified,
        "heat_map": ((magnified - faces) ** 2).sum(axis=-1),
        "probabilities_before": softmax(network.classifier(faces)),
        "probabilities_after": softmax(network.classifier(magnified)),
    }


def noise(count, size=16):
    return np.random.default_rng(0).random((count, size, size, 3), np.float32)


def assert_close(found, expected, atol):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, atol=atol, err_msg=name)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, magnifier):
    return export_savedmodel(magnification_servable(magnifier), tmp_path_factory.mktemp("models"))


def test_card_and_labels_say_what_the_model_is(exported, magnifier):
    card = json.loads((exported / "model_card.json").read_text())
    assert (card["system"], card["size"], card["aligned_size"]) == ("magnification", 16, 18)
    assert card["labels"] == ["joy", "anger", "fear"]
    assert (exported / "labels.txt").read_text() == "joy\nanger\nfear\n"
    assert card["parameters"] == magnifier.count_params()
    signatures = card["signatures"]
    assert set(signatures["magnify"]["outputs"]) == OUTPUTS
    assert set(signatures["serving_default"]["outputs"]) == OUTPUTS | {"magnified_bytes", "error"}


def test_files_in_files_out_without_tfface_or_keras(
    tmp_path, exported, magnifier, picture_files, bicubic
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
decoded = [tf.io.decode_png(file).numpy() for file in outputs.pop("magnified_bytes").numpy()]
arrays = {name: value.numpy() for name, value in outputs.items()}
np.savez(answer, decoded=np.stack(decoded), **arrays)
"""
    answer = tmp_path / "answer.npz"
    command = [sys.executable, "-c", program, exported, answer, *files]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    faces = np.stack([bicubic(image, 18)[1:17, 1:17] for image in pictures]).astype(np.float32)
    expected = answers(magnifier, faces)
    with np.load(answer) as arrays:
        found = dict(arrays)
    decoded = found.pop("decoded")
    assert decoded.shape == (3, 16, 16, 3) and decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded, found["magnified"] * 255, atol=0.51)
    for rows, tolerance in ((slice(2), 1e-4), (slice(2, 3), 0.05)):  # JPEG decoders differ a little
        part, of = ({name: v[rows] for name, v in a.items()} for a in (found, expected))
        assert_close(part, of, tolerance)


def test_magnify_agrees_with_keras(exported, magnifier):
    magnify = tf.saved_model.load(str(exported)).signatures["magnify"]
    faces = noise(8)
    expected = answers(magnifier, faces)
    before, after = expected["probabilities_before"], expected["probabilities_after"]
    assert np.abs(after - before).max() > 0.1 and np.ptp(after, axis=0).min() > 0.01
    assert expected["heat_map"].max() > 0.1
    found = magnify(image=tf.constant(faces))
    assert_close({name: v.numpy() for name, v in found.items()}, expected, 1e-4)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float16", 1e-2)])
def test_litert_agrees_with_keras(tmp_path, magnifier, precision, tolerance):
    path = export_litert(magnification_servable(magnifier), tmp_path / "m.tflite", precision)
    magnify = Interpreter(str(path)).get_signature_runner("magnify")
    faces = noise(3)
    runs = [magnify(image=face[None]) for face in faces]
    found = {name: np.concatenate([run[name] for run in runs]) for name in OUTPUTS}
    assert_close(found, answers(magnifier, faces), tolerance)
    card = json.loads((tmp_path / "m.json").read_text())
    assert card["inputs"] == {"image": [1, 16, 16, 3]} and set(card["outputs"]) == OUTPUTS
    assert not [name for name in card["operators"] if name.startswith(("CUSTOM", "FLEX"))]
    assert (tmp_path / "m_labels.txt").read_text() == "joy\nanger\nfear\n"


@pytest.mark.slow
def test_networks_of_the_paper_need_no_foreign_operator(tmp_path):
    keras.utils.set_random_seed(0)
    classifier = ExpressionNet(3, 64, "resnet18")
    generator = MagnificationGenerator(64, (4, 8, 8, 8))
    kernel, bias = generator.get_layer("change").get_weights()
    generator.get_layer("change").set_weights([kernel + 0.05, bias])
    network = ExpressionMagnifier(generator, classifier.extractor(), classifier, "abc")
    path = export_litert(magnification_servable(network), tmp_path / "m.tflite")
    face = noise(1, 64)
    found = Interpreter(str(path)).get_signature_runner("magnify")(image=face)
    expected = answers(network, face)
    assert expected["heat_map"].max() > 1e-3
    assert_close(found, expected, 1e-4)


def test_network_without_an_extractor_and_of_mixed_precision_is_exported_in_float32():
    keras.utils.set_random_seed(0)
    generator = MagnificationGenerator(16, (2, 3, 4, 5), 0, False, dtype="mixed_float16")
    classifier = ExpressionNet(3, 16, "fer_net", dtype="mixed_float16")
    network = ExpressionMagnifier(generator, None, classifier, "abc")
    servable = magnification_servable(network)
    found = servable.endpoints["magnify"].function(noise(2))
    expected = answers(network.in_float32(), noise(2))
    assert_close({name: v.numpy() for name, v in found.items()}, expected, 1e-5)


def test_model_of_another_kind_is_refused(nearest_generator):
    with pytest.raises(ValueError, match="`model` must be an ExpressionMagnifier.*Functional"):
        magnification_servable(nearest_generator)
