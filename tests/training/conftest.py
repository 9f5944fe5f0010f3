import csv
import functools
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import cv2
import pytest
import yaml

from tfface.data.datasets.prepare import prepare
from tfface.data.synthetic import frames, sequences
from tfface.facs.action_units import BP4D_AUS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))  # as Python does for the script that it runs

import evaluate  # noqa: E402
from configuration import make_parser, read_config  # noqa: E402
from process import attempt  # noqa: E402

FEW_AUS = (4, 12, 17)
"""Those of image_folder/few."""
FRAMES = (0, 2, 4, 5, 6, 7, 8, 10, 11)
"""Of a synthetic sequence's twelve frames, those that the sets of sequences hold."""


@pytest.fixture(scope="session")
def faces(tmp_path_factory):
    """Prepared sets of the same 24 faces of 4 people, by what of them is labeled.

    image_folder/tiny has the AUs of BP4D, few the `FEW_AUS` alone, plain none. Returns the folder
    that all are prepared in.
    """
    delivered = tmp_path_factory.mktemp("delivered")
    rows = []
    for subject in ("A", "B", "C", "D"):
        for record in frames(0, subject, count=6, size=128, action_units=BP4D_AUS):
            labels = {
                f"AU{number:02d}_c": int(label)
                for number, label in zip(BP4D_AUS, record["au"], strict=True)
            }
            rows.append({**deliver(delivered, record, f"{len(rows)}.png"), **labels})
    data_dir = tmp_path_factory.mktemp("sets")
    for name, units in (("tiny", BP4D_AUS), ("few", FEW_AUS), ("plain", ())):
        labels = {f"AU{number:02d}_c" for number in units}
        keys = [key for key in rows[0] if key in labels or not key.startswith("AU")]
        prepare_listed(delivered, rows, keys, data_dir, name)
    return data_dir


def deliver(folder, record, path, gray=False):
    """Writes a synthetic record's picture; returns its row of labels.csv, without labels."""
    image = record["image"][..., ::-1]
    cv2.imwrite(str(folder / path), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if gray else image)
    points = {
        f"{axis}_{i}": point[k]
        for i, point in enumerate(record["landmarks"])
        for k, axis in enumerate("xy")
    }
    return {"path": path, "subject": record["subject"], **points}


def prepare_listed(folder, rows, keys, data_dir, name):
    """Prepares image_folder/<name> of the pictures in these rows."""
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, keys, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    prepare("image_folder", folder, data_dir, name)


@pytest.fixture(scope="session")
def posed(tmp_path_factory):
    """Prepared sets of sequences, in nine frames each from neutral to peak.

    image_folder/posed is of four people, A to D, each of whom shows anger, happiness and surprise;
    image_folder/alone is A by herself. image_folder/gray is of four others, E to H, in gray
    pictures: they show happiness, sadness and surprise, E alone disgust as well, and of H's sadness
    there are seven frames.

    Returns the folder that all are prepared in.
    """
    delivered, data_dir = (tmp_path_factory.mktemp(name) for name in ("posed", "posed_sets"))
    rows = []
    for subject in "ABCDEFGH":
        gray = subject > "D"
        names = ["happiness", "sadness", "surprise"] if gray else ["anger", "happiness", "surprise"]
        names += ["disgust"] if subject == "E" else []
        records = sequences(0, subject, size=64, shown=FRAMES)  # the first looks, by these names
        named = ((n, record) for n in names for record in itertools.islice(records, len(FRAMES)))
        for name, record in named:
            frame = int(record["frame"])
            if (subject, name) == ("H", "sadness") and frame > FRAMES[6]:
                continue
            row = deliver(delivered, record, f"{len(rows)}.png", gray)
            labels = {"sequence": name, "expression": name, "frame": frame}
            rows.append({**row, **labels, "phase": record["phase"]})
    for name, subjects in (("posed", "ABCD"), ("alone", "A"), ("gray", "EFGH")):
        chosen = [row for row in rows if row["subject"] in subjects]
        prepare_listed(delivered, chosen, list(rows[0]), data_dir, name)
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
def tiny_magnification(posed, tmp_path_factory):
    """A config file of magnification that trains in seconds, in all its stages."""
    values = {
        "average": 0.9,
        "extractor_rate": 0.5,
        "export_dir": None,
        "data": {
            "dataset": "image_folder/posed",
            "data_dir": str(posed),
            "protocol": "shares:0.75-0-0.25",
        },
        "pairs": {"size": 18, "crop": 16},
        "classifier": {"backbone": "fer_net"},
        "generator": {"filters": [2, 2, 4, 4], "residual": False},
        "discriminator": {"filters": [2, 4], "dense_units": 4},
        "classifier_training": {"average": 0.5, "epochs": 2, "steps_per_epoch": 2, "batch_size": 4},
        "reconstruction": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4},
        "training": {
            **{"epochs": 4, "steps_per_epoch": 2, "batch_size": 4},
            **{"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 0.005},
            **{"decay": 0.5, "decay_every": 2, "decay_stalled": 1},
        },
    }
    path = tmp_path_factory.mktemp("config") / "magnification.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="session")
def tiny_regeneration(posed, tmp_path_factory):
    """A config file that trains in seconds: 3 people train, 1 tests, networks of a few filters."""
    values = {
        "average": 0.9,
        "export_dir": None,
        "data": {
            "dataset": "image_folder/posed",
            "data_dir": str(posed),
            "protocol": "shares:0.75-0-0.25",
        },
        "faces": {"size": 16, "frames": 2},
        "generator": {"filters": [2, 4]},
        "discriminator": {"filters": [2, 4]},
        "classifier_training": {
            **{"epochs": 2, "steps_per_epoch": 2, "batch_size": 4},
            "average": 0.5,
        },
        "training": {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4},
    }
    path = tmp_path_factory.mktemp("config") / "regeneration.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="session")
def tiny_synthesis(faces, tmp_path_factory):
    """A config file that trains in seconds, in all its stages: 3 people train, 1 tests."""
    plan = {"steps_per_epoch": 2, "batch_size": 4}
    values = {
        "size": 32,
        "average": 0.9,
        "export_dir": None,
        "data": {
            "dataset": "image_folder/few",
            "data_dir": str(faces),
            "protocol": "shares:0.75-0-0.25",
        },
        "generator": {"filters": [2, 2, 3, 3, 4], "latent_size": 4},
        "region_discriminator": {"filters": [2, 2, 3, 3]},
        "latent_discriminator": {"units": [4, 3, 2]},
        "face_discriminator": {"filters": [2, 3]},
        "subject_classifier": {"filters": [2, 3]},
        "recognizer": {"backbone": "fer_net", "pooling": "avg"},
        "subject_training": {"epochs": 1, **plan},
        "region_training": {"epochs": 1, **plan},
        "recognizer_training": {"epochs": 2, **plan},
        "enrichment": {"share": 0.5},
        "training": {"epochs": 2, **plan},
    }
    path = tmp_path_factory.mktemp("config") / "synthesis.yaml"
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


@pytest.fixture
def free_port():
    """A port of this machine that nobody listens at."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return finder.getsockname()[1]


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
def finished_run_of(start, tmp_path_factory):
    """Function of a script and its config to a run that nobody stopped.

    That is its folder, where it was exported to, and what it said.
    """

    def finished(script, config):
        place = tmp_path_factory.mktemp(script)
        process = start(
            script,
            *("--config", config),
            *("--out", place / "run"),
            *("--export_dir", place / "models"),
            "--deterministic=true",
        )
        said, complaints = process.communicate(timeout=600)
        assert process.returncode == 0, complaints
        return place / "run", place / "models", said

    return finished


@pytest.fixture(scope="session")
def finished(finished_run_of, tiny_config):
    """A run of restoration that nobody stopped, see `finished_run_of`."""
    return finished_run_of("restoration", tiny_config)


@pytest.fixture(scope="session")
def finished_recognition(finished_run_of, tiny_recognition):
    """The same of recognition."""
    return finished_run_of("recognition", tiny_recognition)


@pytest.fixture(scope="session")
def finished_magnification(finished_run_of, tiny_magnification):
    """The same of magnification."""
    return finished_run_of("magnification", tiny_magnification)
