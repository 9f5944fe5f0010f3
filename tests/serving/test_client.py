"""The client example over REST and gRPC, against real servers (`servers.py`) and real models."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.serving.servers import grpc_server, rest_server
from tfface.serving.systems import NETWORKS

CLIENT = Path(__file__).parents[2] / "savedmodels" / "client.py"


@pytest.fixture(scope="module")
def client(exported_models):
    """The program, in a folder with labels beside it, as a user has it."""
    copy = shutil.copy(CLIENT, exported_models)
    spec = importlib.util.spec_from_file_location("client", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def models(exported_models):
    return {s: tf.saved_model.load(str(exported_models / s / "1")) for s in NETWORKS}


@pytest.fixture(scope="module")
def servers(models):
    with rest_server(models) as url, grpc_server(models) as address:
        yield {"--rest": url, "--grpc": address}


@pytest.fixture
def face(tmp_path, picture):
    file = tmp_path / "face.jpg"
    Image.fromarray(picture(0, 60, 50)).save(file)
    return file


@pytest.mark.parametrize("way", ["--rest", "--grpc"])
def test_every_system_answers(client, models, servers, face, tmp_path, capsys, way):
    assert set(client.SYSTEMS) == set(NETWORKS)
    for system, model in models.items():
        values = {"values": [[1.0, -1.0, 0.5]]} if system == "synthesis" else {}
        flags = ["--values", "1", "-1", "0.5"] if values else []
        folder = tmp_path / system
        arguments = [system, str(face), way, servers[way], "-o", str(folder), *flags]
        assert client.main(arguments) == 0, capsys.readouterr().err
        said = capsys.readouterr().out

        inputs = {"image_bytes": [face.read_bytes()], **values}
        serve = model.signatures["serving_default"]
        expected = serve(**{name: tf.constant(value) for name, value in inputs.items()})
        made = [n for n in expected if n.endswith("_bytes")]
        files = [file for name in made for file in np.ravel(expected[name].numpy())]
        written = [Path(line) for line in said.splitlines() if line.endswith(".png")]
        assert [file.read_bytes() for file in written] == files
        labels = client.labels_of(system)
        if system in ("recognition", "magnification", "regeneration"):
            assert labels and all(label in said for label in labels)
        if system == "recognition":
            (numbers,) = expected["probabilities"].numpy()
            for label, number in zip(labels, numbers, strict=True):
                assert f"  {number:.4f}  {label}" in said
        if system == "regeneration":
            assert f"class_id: {labels[int(expected['class_id'][0])]}" in said.splitlines()


@pytest.mark.parametrize("way", ["--rest", "--grpc"])
def test_what_goes_wrong_is_one_clear_line(client, models, servers, face, tmp_path, capsys, way):
    def error_of(*arguments):
        assert client.main([str(a) for a in arguments]) == 1
        printed = capsys.readouterr()
        assert not printed.out and printed.err.count("\n") == 1
        return printed.err

    there = (way, servers[way])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(face.read_bytes()[:500])
    assert "text.jpg: `image_bytes` must be a whole JPEG" in error_of("recognition", text, *there)
    assert "500 bytes, damaged or cut short." in error_of("restoration", cut, *there)
    assert "absent.jpg" in error_of("restoration", tmp_path / "absent.jpg", *there)
    kept = models.pop("restoration")
    try:
        assert "Servable not found" in error_of("restoration", face, *there)
    finally:
        models["restoration"] = kept
    assert "values of shape (1, 1) does not fit" in error_of(
        "synthesis", face, *there, "--values", "1"
    )


def test_nobody_there(client, face, capsys):
    for way, where in (("--rest", "http://localhost:1"), ("--grpc", "localhost:1")):
        assert client.main(["recognition", str(face), way, where]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {where}: ") and error.count("\n") == 1


def test_values_are_for_synthesis_alone(client, face, capsys):
    for arguments in (["synthesis", str(face)], ["recognition", str(face), "--values", "1"]):
        with pytest.raises(SystemExit) as end:
            client.main(arguments)
        assert end.value.code == 2
        assert "--values must be given for synthesis" in capsys.readouterr().err


def test_rest_needs_nothing_but_python(servers, face, tmp_path):
    """As a program, with neither TensorFlow nor anything else that is installed."""
    command = [sys.executable, "-I", "-S", CLIENT, "restoration", face, "--rest", servers["--rest"]]
    done = subprocess.run([*command, "-o", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "face_restored.png") as restored:
        assert restored.size == (128, 128)
