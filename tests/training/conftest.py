import csv
import functools
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import cv2
import pytest
import yaml

from tfface.data.datasets.prepare import prepare
from tfface.data.synthetic import frames
from tfface.facs.action_units import BP4D_AUS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))  # as Python does for the script that it runs

import evaluate  # noqa: E402
from configuration import attempt, make_parser, read_config  # noqa: E402


@pytest.fixture(scope="session")
def faces(tmp_path_factory):
    """Two prepared sets of 24 faces of 4 people: image_folder/tiny has AU labels, plain has none.

    Returns the folder that both are prepared in.
    """
    delivered = tmp_path_factory.mktemp("delivered")
    rows = []
    for subject in ("A", "B", "C", "D"):
        for record in frames(0, subject, count=6, size=128, action_units=BP4D_AUS):
            path = f"{len(rows)}.png"
            cv2.imwrite(str(delivered / path), record["image"][..., ::-1])
            points = {
                f"{axis}_{i}": point[k]
                for i, point in enumerate(record["landmarks"])
                for k, axis in enumerate("xy")
            }
            labels = {
                f"AU{number:02d}_c": int(label)
                for number, label in zip(BP4D_AUS, record["au"], strict=True)
            }
            rows.append({"path": path, "subject": subject, **points, **labels})
    data_dir = tmp_path_factory.mktemp("sets")
    for name in ("tiny", "plain"):
        keys = [key for key in rows[0] if name == "tiny" or not key.startswith("AU")]
        with (delivered / "labels.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, keys, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        prepare("image_folder", delivered, data_dir, name)
    return data_dir


@pytest.fixture(scope="session")
def tiny_config(faces, tmp_path_factory):
    """A config file that trains in seconds: 3 people train, 1 tests, networks of a few filters."""
    values = {
        "perceptual_network": "classifier",
        "export_dir": None,
        "data": {
            "dataset": "image_folder/tiny",
            "data_dir": str(faces),
            "protocol": "shares:0.75-0-0.25",
        },
        "generator": {"filters": 4, "blocks": 1},
        "discriminator": {"filters": 2, "dense_units": 4},
        "classifier": {"widths": [4, 4]},
        "classifier_training": {"epochs": 3, "steps_per_epoch": 3, "batch_size": 4},
        "training": {"epochs": 2, "steps_per_epoch": 3, "batch_size": 4},
    }
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="session")
def tiny_recognition(faces, tmp_path_factory):
    """A config file of recognition that trains in seconds: of 18 faces, 9 have their labels."""
    values = {
        "missing_rate": 0.5,
        "label_noise": 0.1,
        "average": 0.9,
        "export_dir": None,
        "data": {
            "dataset": "image_folder/tiny",
            "data_dir": str(faces),
            "protocol": "shares:0.75-0-0.25",
        },
        "recognizer": {"backbone": "fer_net", "size": 16},
        "discriminator": {"units": [8, 4]},
        "training": {"epochs": 2, "steps_per_epoch": 3, "batch_size": 4},
    }
    path = tmp_path_factory.mktemp("config") / "recognition.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="session")
def parser_of():
    """Function that gives a training script's parser, the same one each time."""
    return functools.cache(lambda script: make_parser("", script.GROUPS))


@pytest.fixture
def job(parser_of, capsys):
    """Function that runs a training script in this process; returns its exit code and its lines.

    The lines are those of an error if there is one, else what the script said.
    """

    def ran(script, *flags):
        capsys.readouterr()
        try:
            code = attempt(script.train, read_config(parser_of(script), list(map(str, flags))))
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, (said.err if code else said.out).splitlines()

    return ran


@pytest.fixture
def compare(tmp_path, capsys):
    """Function that joins runs into `joined`; returns the exit code and the lines that were said.

    The lines are those of an error if there is one.
    """

    def compared(*runs, classifier=None, dataset=None, data_dir=None):
        capsys.readouterr()
        config = Namespace(
            runs=[str(run) for run in runs],
            out=str(tmp_path / "joined"),
            classifier=classifier and str(classifier),
            dataset=dataset,
            data_dir=data_dir and str(data_dir),
        )
        code = attempt(evaluate.compare, config)
        said = capsys.readouterr()
        return code, (said.err if code else said.out).splitlines()

    return compared


@pytest.fixture(scope="session")
def start():
    """Function that starts a training script as a user does, in a process group of its own."""

    def started(script, *arguments, environment=None):
        return subprocess.Popen(
            [sys.executable, f"training/{script}.py", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return started


@pytest.fixture(scope="session")
def kill_when():
    """Function that kills a run with all its processes, the instant that `moment()` is true."""

    def killed(process, moment):
        try:
            while not moment():
                assert process.poll() is None, process.communicate()
                time.sleep(0.002)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    return killed


@pytest.fixture(scope="session")
def finished(start, tiny_config, tmp_path_factory):
    """A run that nobody stopped: its folder, where it was exported to, and what it said."""
    place = tmp_path_factory.mktemp("finished")
    process = start(
        "restoration",
        *("--config", tiny_config),
        *("--out", place / "run"),
        *("--export_dir", place / "models"),
        "--deterministic=true",
    )
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    return place / "run", place / "models", said


@pytest.fixture(scope="session")
def finished_recognition(start, tiny_recognition, tmp_path_factory):
    """The same of recognition."""
    place = tmp_path_factory.mktemp("recognition")
    process = start(
        "recognition",
        *("--config", tiny_recognition),
        *("--out", place / "run"),
        *("--export_dir", place / "models"),
        "--deterministic=true",
    )
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    return place / "run", place / "models", said
