"""The two ways of regenerating that are timed against each other find the same."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import inference
from tfface.regeneration.features import FerNet
from tfface.regeneration.networks import ExpressionRegenerator, RegenerationGenerator


@pytest.fixture(scope="module", params=[1, 3])
def network(request):
    keras.utils.set_random_seed(0)
    classes, channels = ("joy", "anger"), request.param
    generators = [RegenerationGenerator(name, 16, channels, (2, 3)) for name in classes]
    return ExpressionRegenerator(generators, FerNet(classes, 16, channels))


def test_both_ways_find_the_distances_of_keras(network):
    faces = np.random.default_rng(0).random((3, 16, 16, 3), np.float32)
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    given = faces if network.channels == 3 else (faces @ luma)[..., None]
    expected = np.asarray(network(given, training=False)["distances"])
    assert expected.shape == (3, 2) and expected.min() > 0.01
    for name, way in inference.ways_of_regenerating(network).items():
        np.testing.assert_allclose(way(tf.constant(faces)), expected, rtol=1e-4, err_msg=name)


def test_faces_a_second_are_written_down(network, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(inference, "FACES", (1, 2))
    monkeypatch.setattr(inference, "regenerator", lambda path: network)
    monkeypatch.setattr(inference, "take_turns", lambda ways, **_: Known(ways))
    arguments = ["--system", "regeneration", "--out", str(tmp_path / "t.json")]
    monkeypatch.setattr(sys, "argv", ["inference", *arguments])
    inference.main()
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert rows == [[1, "10", "2", "5.00"], [2, "20", "4", "5.00"]]
    assert "2 generators, faces of 16 pixels" in capsys.readouterr().out


class Known:
    """Timings that are known: a tenth of a second against half of one."""

    def __init__(self, ways):
        assert list(ways) == ["one call", "one by one"]

    def median(self, name):
        return {"one call": 0.1, "one by one": 0.5}[name]

    def ratio(self, name, rival):
        return self.median(name) / self.median(rival)
