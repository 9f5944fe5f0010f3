import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.facs.landmarks import mean_face
from tfface.layers.regional import RegionalAttention
from tfface.serving.litert import export_litert
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.synthesis import synthesis_servable

NAN = np.nan
VALUES = np.array([[1, NAN, 0], [NAN, 0.25, NAN], [NAN, NAN, NAN]], np.float32)


def noise(count, size=24):
    return np.random.default_rng(0).random((count, size, size, 3), np.float32)


def points(count, size=24):
    moved = np.random.default_rng(1).normal(0, 1, (count, 68, 2)).astype(np.float32)
    moved[0, 30:60] = NAN
    return mean_face(size) + moved


@pytest.fixture(scope="module")
def exported(tmp_path_factory, editor):
    return export_savedmodel(synthesis_servable(editor), tmp_path_factory.mktemp("models"))


def test_card_and_labels_say_what_the_model_is(exported, editor):
    card = json.loads((exported / "model_card.json").read_text())
    assert (card["system"], card["size"]) == ("synthesis", 24)
    assert card["action_units"] == [1, 12, 23]
    labels = (exported / "labels.txt").read_text().splitlines()
    assert labels == ["AU01 Inner brow raiser", "AU12 Lip corner puller", "AU23 Lip tightener"]
    assert card["parameters"] == editor.count_params()
    assert set(card["signatures"]["edit_at"]["inputs"]) == {"image", "values", "landmarks"}


def test_arrays_agree_with_keras_and_unasked_pixels_stay(exported, editor):
    signatures = tf.saved_model.load(str(exported)).signatures
    faces, given = noise(3), points(3)
    for name, landmarks in (("edit", None), ("edit_at", given)):
        more = {} if landmarks is None else {"landmarks": tf.constant(landmarks)}
        arrays = {"image": tf.constant(faces), "values": tf.constant(VALUES), **more}
        found = signatures[name](**arrays)["edited"].numpy()
        expected = np.asarray(editor.edit(faces, VALUES, landmarks))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_array_equal(found[2], faces[2])
        changed = (expected != faces).any(-1)
        np.testing.assert_array_equal((found != faces).any(-1), changed)
        assert changed[:2].any((1, 2)).all() and changed.mean() < 0.5


def test_values_out_of_range_have_a_meaning(exported, editor):
    """Below 0 as NaN, which JSON lacks; above 1 as 1."""
    edit = tf.saved_model.load(str(exported)).signatures["edit"]
    faces = noise(1)

    def edited(*values):
        return edit(image=tf.constant(faces), values=tf.constant([values]))["edited"].numpy()

    np.testing.assert_array_equal(edited(1.0, NAN, 0.5), edited(7.0, -1.0, 0.5))


def test_files_in_files_out_without_tfface_or_keras(
    tmp_path, exported, editor, picture_files, bicubic
):
    files, pictures = picture_files
    program = """
import sys
sys.modules["tfface"] = sys.modules["keras"] = None  # an import of either fails
import numpy as np, tensorflow as tf
folder, answer, *files = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
values = tf.constant([[1.0, -1.0, 0.0]] * len(files))
images = tf.constant([open(file, "rb").read() for file in files])
outputs = serve(image_bytes=images, values=values)
decoded = [tf.io.decode_png(file).numpy() for file in outputs["edited_bytes"].numpy()]
np.savez(answer, decoded=np.stack(decoded), edited=outputs["edited"].numpy())
"""
    answer = tmp_path / "answer.npz"
    command = [sys.executable, "-c", program, exported, answer, *files]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    faces = np.stack([bicubic(image, 24) for image in pictures]).astype(np.float32)
    wish = np.tile(np.array([[1, NAN, 0]], np.float32), (3, 1))
    expected = np.asarray(editor.edit(faces, wish))
    with np.load(answer) as arrays:
        found = dict(arrays)
    np.testing.assert_allclose(found["decoded"], found["edited"] * 255, atol=0.51)
    for rows, tolerance in ((slice(2), 1e-4), (slice(2, 3), 0.05)):  # JPEG decoders differ a little
        np.testing.assert_allclose(found["edited"][rows], expected[rows], atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float16", 1e-2)])
def test_litert_agrees_with_keras(tmp_path, editor, precision, tolerance):
    path = export_litert(synthesis_servable(editor), tmp_path / "m.tflite", precision)
    edit = Interpreter(str(path)).get_signature_runner("edit_at")
    faces, given = noise(3), points(3)
    expected = np.asarray(editor.edit(faces, VALUES, given))
    attention = np.asarray(RegionalAttention(editor.action_units, 24)(given))
    untouched = ~(attention * (VALUES >= 0)[:, None, None] > 0).any(-1)
    for i in range(3):
        found = edit(image=faces[i : i + 1], values=VALUES[i : i + 1], landmarks=given[i : i + 1])[
            "edited"
        ]
        np.testing.assert_allclose(found[0], expected[i], atol=tolerance)
        np.testing.assert_array_equal(found[0][untouched[i]], faces[i][untouched[i]])
    assert 0.5 < untouched.mean() < 0.99
    card = json.loads((tmp_path / "m.json").read_text())
    assert card["inputs"]["landmarks"] == [1, 68, 2]
    assert not [name for name in card["operators"] if name.startswith(("CUSTOM", "FLEX"))]


def test_model_of_another_kind_is_refused(nearest_generator):
    with pytest.raises(ValueError, match="`model` must be a LACGenerator. Received: Functional"):
        synthesis_servable(nearest_generator)
