"""Every system's own batches are those that its step takes, and are timed against it."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import data, pipelines
from benchmarks.models import PAPERS, make_case, read_config
from benchmarks.pipelines import make_stream, seconds_a_batch

SEQUENCES = ("magnification", "regeneration")


@pytest.fixture
def faces(request):
    """Function of a system to drawn faces of the kind that its quickstart has."""

    def open_faces(system):
        kind = "sequences_source" if system in SEQUENCES else "frames_source"
        source = request.getfixturevalue(kind)
        return source, source.splits

    return open_faces


def expected(system, config):
    """The shapes of a batch that a step takes, as the configs have them."""
    count = config["training"]["batch_size"]
    shapes = {
        "restoration": lambda: {
            "low": (count, 16, 16, 3),
            "mask": (count, 16, 16, 1),
            "face": (count, 128, 128, 3),
        },
        "recognition": lambda: {
            "face": (count, config["recognizer"]["size"], config["recognizer"]["size"], 3),
            "au": (count, 12),
            "real": (count, 12),
        },
        "magnification": lambda: {
            **dict.fromkeys(
                ("weak", "peak"), (count, config["pairs"]["crop"], config["pairs"]["crop"], 3)
            ),
            "label": (count,),
        },
        "regeneration": lambda: {
            "face": (count, 64, 64, 1),
            "target": (count, 6, 64, 64, 1),
            "known": (count, 6),
        },
        "synthesis": lambda: {
            "face": (count, config["size"], config["size"], 3),
            "landmarks": (count, 68, 2),
            **dict.fromkeys(("au", "target"), (count, 12)),
            "prior": (count, 12, 60),
        },
    }
    return shapes[system]()


@pytest.mark.parametrize("system", PAPERS)
@pytest.mark.parametrize("cache", [True, False])
def test_batches_are_what_the_quickstarts_step_takes(system, cache, faces):
    stream = make_stream(system, "quickstart", *faces(system), cache)
    shapes = expected(system, read_config(system, "quickstart"))
    spec = {name: tuple(value.shape) for name, value in stream.element_spec.items()}
    assert {name: spec[name] for name in shapes} == shapes
    batch = next(iter(stream))
    for name in ("face", "weak", "peak", "target"):
        if name in batch and system != "recognition":
            values = batch[name].numpy()
            assert 0 <= np.nanmin(values) < np.nanmax(values) <= 1


def test_batches_at_the_papers_sizes_are_the_papers(faces):
    stream = make_stream("synthesis", "paper", *faces("synthesis"))
    assert tuple(stream.element_spec["face"].shape) == (8, 200, 200, 3)
    stream = make_stream("magnification", "paper", *faces("magnification"))
    assert tuple(stream.element_spec["weak"].shape) == (4, 128, 128, 3)


def test_recognition_loses_the_labels_that_its_config_says(faces):
    stream = make_stream("recognition", "quickstart", *faces("recognition"))
    labels = next(iter(stream))["au"].numpy()
    assert np.isnan(labels).all(axis=1).mean() == pytest.approx(0.5, abs=0.1)


def test_so_many_batches_are_read_after_the_first_few():
    read = []

    def made(number):
        read.append(int(number))
        return number

    numbers = tf.data.Dataset.range(1000)
    stream = numbers.map(lambda n: tf.py_function(made, [n], tf.int64))
    assert seconds_a_batch(stream, 5) > 0
    assert max(read) == pipelines.START_UP + 5 - 1


def test_batches_and_steps_take_turns_and_are_written(faces, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(pipelines, "open_faces", lambda system, data_dir: faces(system))
    monkeypatch.setattr(pipelines, "BATCHES", {"quickstart": 2})
    tiny = {"recognizer": {"backbone": "compact", "size": 32}}
    monkeypatch.setattr(
        pipelines, "make_case", lambda system, size: make_case(system, size, overrides=tiny)
    )
    out = tmp_path / "data.json"
    arguments = ["--system", "recognition", "--size", "quickstart", "--turns", "2"]
    assert data.main([*arguments, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "recognition, 24 training faces:" in said and "at least 5" in said
    assert out.exists() and out.with_suffix(".png").stat().st_size > 5000


def test_the_table_has_batches_for_each_step(faces, monkeypatch, capsys):
    case = {
        "name": "paper, batch 8",
        "target": 2.0,
        "batches_per_second": {"memory": 303.0, "files": 21.0},
        "steps_per_second": 5.75,
        "batches_over_steps": {"memory": 52.7, "files": 3.65},
    }
    monkeypatch.setattr(pipelines, "open_faces", lambda system, data_dir: faces(system))
    monkeypatch.setattr(pipelines, "feed", lambda *arguments: case)
    assert pipelines.measure("synthesis", ["paper"], turns=2) == [case]
    row = capsys.readouterr().out.splitlines()[-1]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells == ["paper, batch 8", "303", "21", "5.75", "52.7", "3.6", "at least 2"]
    (panel,) = pipelines.bars([case])
    assert panel.target == 2 and panel.values["read from files"] == 3.65
