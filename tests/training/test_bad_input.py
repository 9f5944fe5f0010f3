"""What a user may ask wrongly, and what may go wrong: one line each, no traceback."""

import contextlib
import re
import resource

import keras
import pytest
import restoration
import yaml
from configuration import make_parser, read_config
from process import attempt


@pytest.fixture(scope="module")
def parser():
    return make_parser("", restoration.GROUPS)


@pytest.fixture
def run(parser, tiny_config, capsys):
    """Function that runs the script in this process; returns its exit code and error line."""

    def ran(*flags, config=tiny_config):
        capsys.readouterr()
        arguments = ["--config", str(config), *map(str, flags)]
        try:
            code = attempt(restoration.train, read_config(parser, arguments))
        except SystemExit as stop:
            code = stop.code
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        return code, lines[0]

    return ran


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--no_such_key", "3"], "no_such_key"),
        (["--training.epoch", "3"], "training.epoch"),
        (["--generator.low_size", "8"], "generator.low_size"),
        (["--variant", "theirs"], "theirs"),
        (["--precision", "float8"], "precision"),
        (["--training.learning_rate", "fast"], "training.learning_rate"),
        (["--training.learning_rate", "0"], "training.learning_rate"),
        (["--training.epochs", "0"], "training.epochs"),
        (["--training.steps_per_epoch", "-1"], "training.steps_per_epoch"),
        (["--classifier_training.batch_size", "0"], "classifier_training.batch_size"),
        (["--steps_per_execution", "0"], "steps_per_execution"),
        (["--seed", "-1"], "seed"),
        (["--seed", str(2**31)], "seed"),
        (["--hidden_area", "1.5"], "hidden_area"),
        (["--average", "1"], "average"),
        (["--data.fold", "-1"], "data.fold"),
        (["--classifier.widths", "wide"], "classifier.widths"),
    ],
)
def test_a_flag_that_cannot_be(run, tmp_path, flags, named):
    code, line = run("--out", tmp_path / "run", *flags)
    assert code == 2
    assert named in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no_such_key: 1", "no_such_key"),
        ("data: {datasets: bp4d}", "datasets"),
        ("training: {epochs: many}", "training.epochs"),
        ("training: 3", "training"),
        ("data: null", "data"),
        ("data: {fold: null}", "data.fold"),
        ("loss: {adversarial_weight: null}", "loss.adversarial_weight"),
        ("", "config"),
        ("variant: [", "config"),
    ],
)
def test_a_config_file_that_cannot_be(run, tmp_path, text, named):
    config = tmp_path / "bad.yaml"
    config.write_text(text)
    code, line = run("--out", tmp_path / "run", config=config)
    assert code == 2
    assert named in line


def test_a_config_file_that_is_not_there(run, tmp_path):
    code, line = run("--out", tmp_path / "run", config=tmp_path / "absent.yaml")
    assert code == 2
    assert "absent.yaml" in line


def test_no_run_folder_is_named(run):
    code, line = run()
    assert code == 2
    assert "out" in line


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data.dataset", "no_such_set"], "no_such_set"),
        (["--data.dataset", "synthetic_faces/huge"], "synthetic_faces/huge"),
        (["--data.dataset", "image_folder/absent"], "image_folder/absent is not prepared"),
        (["--data.data_dir", "/no/such/folder"], "is not prepared in /no/such/folder"),
        (
            ["--data.dataset", "image_folder/new", "--data.manual_dir", "/no/such/folder"],
            "/no/such/folder",
        ),
        (["--data.protocol", "bp4d_3fold"], "bp4d_3fold"),
        (["--data.protocol", "kfold:9"], "between 2 and the number of groups, 4"),
        (["--data.protocol", "halves"], "halves"),
        (["--data.protocol", "kfold:2", "--data.fold", "2"], "must be from 0 to 1"),
        (["--data.protocol", "shares:1-0-0"], "leaves no faces to test"),
        (["--training.batch_size", "19"], "`batch_size` must be from 1 to .* 18"),
        (["--classifier_training.batch_size", "19"], "`batch_size` must be from 1 to .* 18"),
        (["--steps_per_execution", "2"], "`steps_per_execution` must divide"),
        (["--generator.scale", "3"], "`scale` must be a power of two"),
        (["--generator.scale", "32"], "grid"),
        (["--generator.adjacency", "near"], "adjacency"),
        (["--classifier.adjacency", "near"], "adjacency"),
        (["--loss.adversarial_loss", "angry"], "angry"),
        (["--loss.expression_weight", "-1"], "expression_weight"),
        (["--loss.discriminator_period", "0"], "period"),
        (["--classifier_training.path", "/no/such.keras"], "/no/such.keras"),
        (["--classifier_training.dataset", "no_such_set"], "no_such_set"),
        (["--data.dataset", "image_folder/plain"], "classifier_training.path"),
        (["--strategy", "multi_worker"], "TF_CONFIG"),
        (["--strategy", "mirrored", "--jit_compile", "true"], "jit_compile works on one device"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(run, tmp_path, monkeypatch, flags, said):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    code, line = run("--out", tmp_path / "run", *flags)
    assert code == 2
    assert re.search(said, line), line
    assert not (tmp_path / "run").exists()


def test_vgg_that_cannot_be_had(run, tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on https://storage.googleapis.com")  # as Keras does

    monkeypatch.setattr(keras.utils, "get_file", offline)
    for weights in ("imagenet", tmp_path / "absent.h5"):
        code, line = run(
            *("--out", tmp_path / "run", "--perceptual_network", "vgg19"),
            *("--perceptual_weights", weights),
        )
        assert code == 2
        assert str(weights) in line
        assert "--perceptual_weights PATH" in line
        assert "--perceptual_network classifier" in line
        assert not (tmp_path / "run").exists()


@pytest.fixture
def begun(parser, tiny_config, tmp_path):
    """A run folder as it is after its first checkpoint, and its config to change."""
    folder = tmp_path / "run"
    flags = ["--config", str(tiny_config), "--out", str(folder)]
    values = {"system": "restoration", **read_config(parser, flags).as_dict()}
    state = folder / "checkpoints" / "classifier" / "checkpoint"
    state.parent.mkdir(parents=True)
    state.touch()

    def written(change):
        change(values)
        (folder / "config.yaml").write_text(yaml.safe_dump(values))
        return folder

    return written


def test_a_run_folder_of_another_config(run, begun):
    folder = begun(lambda values: values["generator"].update(filters=99))
    code, line = run("--out", folder)
    assert code == 2
    assert line == (
        f"error: {folder} holds a run with generator.filters=99, not 4; "
        "name another --out, or take the run's own config"
    )


def test_a_run_folder_of_another_system(run, begun):
    folder = begun(lambda values: values.update(system="synthesis"))
    code, line = run("--out", folder)
    assert code == 2
    assert line == f"error: {folder} holds a run of synthesis, not of restoration"


def test_a_run_folder_without_its_config(run, begun):
    folder = begun(lambda values: None)
    (folder / "config.yaml").unlink()
    code, line = run("--out", folder)
    assert code == 2
    assert line == f"error: {folder} is not a run folder: it has no config.yaml"


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    code, line = run("--out", tmp_path / "file" / "run")
    assert code == 1
    assert str(tmp_path / "file") in line


@contextlib.contextmanager
def largest_file(size):
    """Makes the kernel refuse larger files, as a full disk refuses all.

    Not a moment longer than needed: pytest's own report may go to a file too.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [200, 4000, 300_000])
def test_a_full_disk(run, tmp_path, size):
    """The config, the classifier's checkpoint and its .keras are the first not to fit."""
    with largest_file(size):
        code, line = run("--out", tmp_path / "run")
    assert code == 1
    assert "File too large" in line
    assert not (tmp_path / "run" / "classifier.keras").exists()
    assert not list((tmp_path / "run").rglob(".*"))  # nothing half-written


def test_a_loss_that_is_not_a_number(run, tmp_path):
    code, line = run("--out", tmp_path / "run", "--classifier_training.learning_rate", "1e38")
    assert code == 1
    assert "classifier: loss is not a number after epoch" in line
    assert "smaller learning rate" in line
