import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfface.data.degradation import degrade
from tfface.restoration.networks import RestorationGenerator
from tfface.serving import savedmodel
from tfface.serving.savedmodel import export_savedmodel, newest_version, versions
from tfface.serving.signatures import shrink_faces

ROOT = Path(__file__).parents[2]


def bicubic(image, size):
    """Pillow's bicubic, which averages when it shrinks, channel by channel in float."""
    channels = [
        Image.fromarray(image[..., i].astype(np.float32) / 255).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for i in range(3)
    ]
    return np.clip(np.stack(channels, axis=-1), 0, 1)


def picture(seed, height, width):
    """Smooth colors with hard edges in them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return coarse.repeat(10, axis=0).repeat(10, axis=1)


def test_versions_count_up_from_the_highest(tmp_path, nearest_generator):
    assert export_savedmodel(nearest_generator, tmp_path / "models") == tmp_path / "models" / "1"
    (tmp_path / "models" / "7").mkdir()
    assert export_savedmodel(nearest_generator, tmp_path / "models").name == "8"
    assert versions(tmp_path / "models") == [1, 7, 8]
    assert newest_version(tmp_path / "models").name == "8"
    (tmp_path / "models" / "11").mkdir()  # no model in it
    assert newest_version(tmp_path / "models").name == "8"
    assert newest_version(tmp_path / "absent") is None


def test_card_says_what_the_model_is(tmp_path, mask_aware_generator):
    folder = export_savedmodel(mask_aware_generator, tmp_path, {"dataset": "synthetic_faces"})
    card = json.loads((folder / "model_card.json").read_text())
    assert card["dataset"] == "synthetic_faces"
    assert (card["low_size"], card["size"], card["mask_aware"]) == (16, 128, True)
    assert card["parameters"] == 4 * 3 + 3
    assert card["versions"]["tensorflow"] == tf.__version__
    assert set(card["signatures"]) == {"serving_default", "restore"}


def test_files_in_files_out_without_tfface_or_keras(tmp_path, nearest_generator):
    folder = export_savedmodel(nearest_generator, tmp_path / "models")
    pictures = [picture(0, 128, 128), picture(1, 200, 160), picture(2, 40, 350)]
    files = [tmp_path / name for name in ("a.png", "b.png", "c.jpg")]
    for image, file in zip(pictures, files, strict=True):
        Image.fromarray(image).save(file)
    with Image.open(files[2]) as image:
        pictures[2] = np.array(image)
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


def test_faces_are_shrunk_as_in_training():
    faces = np.stack([picture(seed, 130, 130)[:128, :128] / np.float32(255) for seed in range(3)])
    low, _ = degrade(faces, (0, 0), scale=8, hidden_area=0)
    np.testing.assert_allclose(shrink_faces(faces, 16), low, atol=1e-6)


def test_restore_hides_and_tells_the_mask(tmp_path, mask_aware_generator):
    folder = export_savedmodel(mask_aware_generator, tmp_path)
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
    folder = export_savedmodel(network, tmp_path)
    restore = tf.saved_model.load(str(folder)).signatures["restore"]
    low = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    restored = restore(image=tf.constant(low), mask=tf.zeros((2, 16, 16, 1)))["restored"]
    assert restored.dtype == tf.float32
    np.testing.assert_allclose(restored, network.in_float32()(low), atol=1e-5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("a bug")])
def test_interrupted_export_leaves_nothing(tmp_path, nearest_generator, monkeypatch, error):
    def interrupted(model, shape, folder):
        folder.mkdir()
        (folder / "saved_model.pb").write_bytes(b"half")
        raise error

    monkeypatch.setattr(savedmodel, "_write_signatures", interrupted)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        export_savedmodel(nearest_generator, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_full_folder_is_one_clear_line(tmp_path, nearest_generator, monkeypatch):
    def full(model, shape, folder):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore")

    monkeypatch.setattr(savedmodel, "_write_signatures", full)
    with pytest.raises(OSError, match=r"models: .*cannot be written \(No space left") as caught:
        export_savedmodel(nearest_generator, tmp_path / "models")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_folder_that_cannot_be_made(tmp_path, nearest_generator):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        export_savedmodel(nearest_generator, tmp_path / "file" / "models")


def test_killed_export_is_cleaned_up_by_the_next(tmp_path, nearest_generator):
    nearest_generator.save(tmp_path / "generator.keras")
    program = """
import os, signal, sys
import keras
from tfface.data.degradation import degrade
from tfface.restoration.networks import RestorationGenerator
from tfface.serving import savedmodel
whole = savedmodel._write_signatures
def killed(*args):
    whole(*args)
    os.kill(os.getpid(), signal.SIGKILL)
savedmodel._write_signatures = killed
savedmodel.export_savedmodel(keras.saving.load_model(sys.argv[1]), sys.argv[2])
"""
    models = tmp_path / "models"
    killed = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "generator.keras", models],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (left,) = models.iterdir()
    assert left.name.startswith(".") and (left / "1" / "saved_model.pb").exists()
    assert newest_version(models) is None
    export_savedmodel(nearest_generator, models)
    assert [path.name for path in models.iterdir()] == ["1"]


def test_model_of_another_kind_is_refused(tmp_path):
    inputs = keras.Input((16, 16, 1))
    model = keras.Model(inputs, keras.layers.UpSampling2D(8)(inputs))
    with pytest.raises(ValueError, match=r"`model` must map .*Received: .*\(None, 16, 16, 1\)"):
        export_savedmodel(model, tmp_path / "models")
    with pytest.raises(ValueError, match="Received: str"):
        export_savedmodel("generator.keras", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_card_that_is_not_json_is_refused(tmp_path, nearest_generator):
    with pytest.raises(ValueError, match="`card` must be JSON-ready"):
        export_savedmodel(nearest_generator, tmp_path / "models", {"scores": object()})
    assert not (tmp_path / "models").exists()
