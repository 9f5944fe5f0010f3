"""Faces that calibrate: the run's own training faces, made into inputs as its training does."""

import numpy as np
import pytest
import yaml

from tfface.data.degradation import degrade
from tfface.data.folds import make_fold
from tfface.data.pairing import sequence_pairs
from tfface.serving import calibration
from tfface.serving.calibration import evenly, open_calibration
from tfface.serving.servable import Servable

PROTOCOL = "shares:0.5-0-0.5"


def servable(system, labels=(), **facts):
    return Servable(system, None, {}, None, facts, labels)


@pytest.fixture
def run_of(tmp_path, frames_source, sequences_source, monkeypatch):
    """Function of a system and what else its config says to a run's folder; its data are opened."""
    sources = {"frames": frames_source, "sequences": sequences_source}
    monkeypatch.setattr(calibration, "open_source", lambda name, data_dir: sources[name])

    def made(system, dataset="frames", **config):
        data = {"dataset": dataset, "data_dir": None, "protocol": PROTOCOL, "fold": 1}
        values = {"system": system, "seed": 3, "data": data, **config}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
        return tmp_path

    return made


def trained(source):
    """The pictures that train, in order, as floats."""
    splits = make_fold(source, PROTOCOL, 1).train
    return [
        record["image"] / np.float32(255) for record in source.records(splits).as_numpy_iterator()
    ]


def test_every_training_face_and_no_other(run_of, frames_source):
    faces = trained(frames_source)
    size = faces[0].shape[0]
    found = open_calibration(servable("recognition", size=size), run_of("recognition"))
    assert len(found.inputs) == len(faces) == 12  # two of four people, six faces each
    for inputs, face in zip(found.inputs, faces, strict=True):
        np.testing.assert_allclose(inputs["image"], face[None], atol=1e-6)
    assert found.facts == {
        **{"dataset": "frames", "protocol": PROTOCOL, "fold": 1},
        **{"part": "train", "faces": 12},
    }


def test_of_many_faces_some_from_everywhere(run_of, frames_source):
    faces = trained(frames_source)
    size = faces[0].shape[0]
    found = open_calibration(servable("recognition", size=size), run_of("recognition"), faces=3)
    assert len(found.inputs) == found.facts["faces"] == 3
    for inputs, place in zip(found.inputs, (0, 5, 11), strict=True):
        np.testing.assert_allclose(inputs["image"][0], faces[place], atol=1e-6)
    np.testing.assert_array_equal(evenly([4, 6, 9], 5), [4, 6, 9])


def test_restoration_gets_degraded_faces(run_of, frames_source):
    faces = trained(frames_source)
    size = faces[0].shape[0]
    network = servable("restoration", size=size, low_size=size // 8, mask_aware=True)
    found = open_calibration(network, run_of("restoration", hidden_area=0.25), faces=2)
    low, mask = degrade(faces[0][None], [0, 0], hidden_area=0.0)
    for inputs in found.inputs:
        assert inputs["mask"].shape == (1, size // 8, size // 8, 1)
        assert 0.2 < inputs["mask"].mean() < 0.3
        assert not np.any(inputs["image"] * inputs["mask"])
    seen = 1 - found.inputs[0]["mask"]
    np.testing.assert_allclose(found.inputs[0]["image"], low * seen, atol=1e-6)
    assert not np.any(mask)


@pytest.mark.parametrize("system", ["magnification", "regeneration"])
def test_the_middle_of_the_faces_that_are_given(run_of, sequences_source, system):
    faces, splits = trained(sequences_source), make_fold(sequences_source, PROTOCOL, 1).train
    rows = np.arange(len(faces))
    pairs = {"kind": "sequences", "weak_frames": [2, 4]}
    if system == "magnification":
        rows = sequence_pairs(sequences_source, splits, None, [2, 4]).weak
    aligned = faces[0].shape[0]
    network = servable(system, sequences_source.expressions, size=aligned - 6, aligned_size=aligned)
    found = open_calibration(network, run_of(system, "sequences", pairs=pairs), faces=1000)
    assert len(found.inputs) == len(rows)
    for inputs, row in zip(found.inputs, rows, strict=True):
        np.testing.assert_allclose(inputs["image"][0], faces[row][3:-3, 3:-3], atol=1e-6)


def test_synthesis_gets_wishes_and_places_that_are_finite(run_of, frames_source):
    splits = make_fold(frames_source, PROTOCOL, 1).train
    labels = frames_source.action_unit_labels(splits)
    size = trained(frames_source)[0].shape[0]
    found = open_calibration(servable("synthesis", size=size), run_of("synthesis"))
    values = np.concatenate([inputs["values"] for inputs in found.inputs])
    np.testing.assert_array_equal(values[:-1], labels[1:])
    np.testing.assert_array_equal(values[-1], labels[0])
    records = frames_source.records(splits).as_numpy_iterator()
    for inputs, record in zip(found.inputs, records, strict=True):
        np.testing.assert_allclose(inputs["landmarks"][0], record["landmarks"])


def test_data_that_are_not_there(tmp_path):
    network = servable("recognition", size=16)
    with pytest.raises(ValueError, match=r"config\.yaml \(it is not there\)"):
        open_calibration(network, tmp_path)
    data = {"dataset": "image_folder/gone", "data_dir": str(tmp_path / "moved")}
    config = {"system": "recognition", "seed": 0, "data": {**data, "protocol": "own", "fold": 0}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match="image_folder/gone in .*moved .*not prepared"):
        open_calibration(network, tmp_path)
    (tmp_path / "config.yaml").write_text("data: [")
    with pytest.raises(ValueError, match="`folder` must be a run's, with a config.yaml"):
        open_calibration(network, tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 1")
    with pytest.raises(ValueError, match="names no system and data"):
        open_calibration(network, tmp_path)
