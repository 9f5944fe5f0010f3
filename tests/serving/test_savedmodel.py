import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.serving import savedmodel
from tfface.serving.savedmodel import export_savedmodel, newest_version, versions
from tfface.serving.servable import Endpoint, LiteSignature, Servable
from tfface.serving.signatures.synthesis import synthesis_servable

ROOT = Path(__file__).parents[2]


def test_versions_count_up_from_the_highest(tmp_path, servable):
    assert export_savedmodel(servable, tmp_path / "models") == tmp_path / "models" / "1"
    (tmp_path / "models" / "7").mkdir()
    assert export_savedmodel(servable, tmp_path / "models").name == "8"
    assert versions(tmp_path / "models") == [1, 7, 8]
    assert newest_version(tmp_path / "models").name == "8"
    (tmp_path / "models" / "11").mkdir()  # no model in it
    assert newest_version(tmp_path / "models").name == "8"
    assert newest_version(tmp_path / "absent") is None


def test_card_says_what_the_model_is(tmp_path, servable):
    folder = export_savedmodel(servable, tmp_path, {"dataset": "synthetic_faces"})
    card = json.loads((folder / "model_card.json").read_text())
    assert card["dataset"] == "synthetic_faces"
    assert (card["system"], card["size"], card["parameters"]) == ("restoration", 128, 0)
    assert card["versions"]["tensorflow"] == tf.__version__
    assert set(card["signatures"]) == {"serving_default", "restore"}
    assert "labels" not in card and not (folder / "labels.txt").exists()


def test_every_weight_is_written_once(tmp_path, editor):
    folder = export_savedmodel(synthesis_servable(editor), tmp_path)
    written = [
        shape for _, shape in tf.train.list_variables(str(folder / "variables" / "variables"))
    ]
    assert sum(math.prod(shape) for shape in written if shape) == editor.count_params()


def test_labels_lie_beside(tmp_path):
    """Of a system that there is not: the export knows none of them."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(3, kernel_initializer="ones")(inputs))
    endpoint = Endpoint(
        lambda x: {"weight": model(x)},
        (tf.TensorSpec((None, 2), tf.float32, name="x"),),
        {"x": "float32 (B, 2)"},
        {"weight": "float32 (B, 3)"},
    )
    lite = LiteSignature("weigh", endpoint.function, endpoint.specs)
    servable = Servable("weighing", model, {"weigh": endpoint}, lite, {"unit": "g"}, tuple("abc"))
    folder = export_savedmodel(servable, tmp_path)
    assert (folder / "labels.txt").read_text() == "a\nb\nc\n"
    card = json.loads((folder / "model_card.json").read_text())
    assert (card["system"], card["unit"], card["labels"]) == ("weighing", "g", ["a", "b", "c"])
    assert card["signatures"] == {
        "weigh": {"inputs": {"x": "float32 (B, 2)"}, "outputs": {"weight": "float32 (B, 3)"}}
    }
    weigh = tf.saved_model.load(str(folder)).signatures["weigh"]
    np.testing.assert_allclose(weigh(x=tf.constant([[2.0, 3.0]]))["weight"], [[5, 5, 5]])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("a bug")])
def test_interrupted_export_leaves_nothing(tmp_path, servable, monkeypatch, error):
    def interrupted(servable, folder):
        folder.mkdir()
        (folder / "saved_model.pb").write_bytes(b"half")
        raise error

    monkeypatch.setattr(savedmodel, "_write_signatures", interrupted)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        export_savedmodel(servable, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_full_folder_is_one_clear_line(tmp_path, servable, monkeypatch):
    def full(servable, folder):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore")

    monkeypatch.setattr(savedmodel, "_write_signatures", full)
    with pytest.raises(OSError, match=r"models: .*cannot be written \(No space left") as caught:
        export_savedmodel(servable, tmp_path / "models")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_folder_that_cannot_be_made(tmp_path, servable):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        export_savedmodel(servable, tmp_path / "file" / "models")


def test_killed_export_is_cleaned_up_by_the_next(tmp_path, nearest_generator, servable):
    nearest_generator.save(tmp_path / "generator.keras")
    program = """
import os, signal, sys
from tfface.serving import savedmodel
from tfface.serving.systems import load_servable
whole = savedmodel._write_signatures
def killed(*args):
    whole(*args)
    os.kill(os.getpid(), signal.SIGKILL)
savedmodel._write_signatures = killed
savedmodel.export_savedmodel(load_servable("restoration", sys.argv[1]), sys.argv[2])
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
    export_savedmodel(servable, models)
    assert [path.name for path in models.iterdir()] == ["1"]


def test_card_that_is_not_json_is_refused(tmp_path, servable):
    with pytest.raises(ValueError, match="`card` must be JSON-ready"):
        export_savedmodel(servable, tmp_path / "models", {"scores": object()})
    assert not (tmp_path / "models").exists()
