"""The table of formats: every one is there, and scored as its system is."""

import json
import sys

import keras
import numpy as np
import pytest
import yaml
from sklearn.metrics import f1_score

from benchmarks import formats, inference
from tfface.data.folds import make_fold
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.serving import calibration

NAMES = ("Keras", "SavedModel", *(f"LiteRT {p}" for p in formats.PRECISIONS))
PROTOCOL = "shares:0.5-0-0.5"


class Known:
    """Timings that are known: four faces in 8 ms."""

    def median(self, name):
        assert name in NAMES
        return 0.008


@pytest.fixture
def run(tmp_path, frames_source, monkeypatch):
    """A run's folder with a network of two AUs, whose data are opened."""
    monkeypatch.setattr(calibration, "open_source", lambda name, data_dir: frames_source)
    monkeypatch.setattr(formats, "take_turns", lambda ways, *_, **__: Known())
    keras.utils.set_random_seed(0)
    units = frames_source.action_units[2:4]
    ActionUnitRecognizer(units, 16, "fer_net").save(tmp_path / "recognizer.keras")
    data = {"dataset": "frames", "data_dir": None, "protocol": PROTOCOL, "fold": 0}
    config = {"system": "recognition", "seed": 0, "data": data}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.mark.slow
def test_every_format_has_its_line(run, frames_source, monkeypatch, capsys):
    arguments = ["--formats", str(run), "--faces", "5", "--out", str(run / "found.json")]
    monkeypatch.setattr(sys, "argv", ["inference", *arguments])
    inference.main()
    (found,) = json.loads((run / "found.json").read_text())["tables"]
    assert (found["system"], found["faces"]) == ("recognition", 5)
    assert found["header"][3] == "F1"
    rows = {row[0]: row[1:] for row in found["rows"]}
    assert tuple(rows) == NAMES and {row[1] for row in rows.values()} == {"2.0"}
    for name in NAMES[2:]:
        path = run / "litert" / f"recognition_{name.removeprefix('LiteRT ')}.tflite"
        assert rows[name][0] == f"{path.stat().st_size / 1e6:.2f}"
    assert float(rows["LiteRT float32"][3]) < 1e-4 < float(rows["LiteRT int8"][3]) < 0.1
    assert "recognition: 5 test faces" in capsys.readouterr().out

    # What Keras says of the five faces, scored by scikit-learn.
    splits = make_fold(frames_source, PROTOCOL, 0).test
    places = [0, 2, 5, 8, 11]
    network = keras.saving.load_model(run / "recognizer.keras")
    servable = formats.load_servable("recognition", run / "recognizer.keras")
    config = {"seed": 0}
    inputs = calibration.lite_inputs(servable, frames_source, splits, np.array(places), config)
    logits = np.concatenate([network(each["image"]).numpy() for each in inputs])
    labels = frames_source.action_unit_labels(splits)[places][:, 2:4]
    known = [f1_score(labels[:, i], logits[:, i] > 0, zero_division=np.nan) for i in range(2)]
    assert rows["Keras"][2] == f"{np.nanmean(known):.3f}"
