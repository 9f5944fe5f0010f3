"""What a user of recognition may ask wrongly, and what may go wrong: one line each."""

import re

import keras
import pytest
import recognition
import yaml
from configuration import read_config


@pytest.fixture
def run(job, tiny_recognition):
    """Function that runs the script in this process; returns its exit code and error line."""

    def ran(*flags):
        code, lines = job(recognition, "--config", tiny_recognition, *flags)
        assert len(lines) == 1, lines
        return code, lines[0]

    return ran


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--missing_rate", "1.5"], "missing_rate"),
        (["--missing_rate", "-0.1"], "missing_rate"),
        (["--missing_rate", "x"], "missing_rate"),
        (["--missing_rate", "nan"], "missing_rate"),
        (["--missing_rates", "[0,1.5]"], "missing_rates"),
        (["--missing_rates", "0.5"], "missing_rates"),
        (["--missing_rates", "null"], "missing_rates"),
        (["--alphas", "[-1]"], "alphas"),
        (["--missing", "per_face"], "per_face"),
        (["--variant", "theirs"], "theirs"),
        (["--folds", "2"], "folds"),
        (["--action_units", "[0]"], "action_units"),
        (["--action_units", "smile"], "action_units"),
        (["--labeled_in_batch", "0"], "labeled_in_batch"),
        (["--label_noise", "0.5"], "label_noise"),
        (["--label_noise", "-0.1"], "label_noise"),
        (["--average", "1"], "average"),
        (["--recognizer.action_units", "[1]"], "recognizer.action_units"),
    ],
)
def test_a_flag_that_cannot_be(run, tmp_path, flags, named):
    code, line = run("--out", tmp_path / "run", *flags)
    assert code == 2
    assert named in line
    assert not (tmp_path / "run").exists()


KNOWN = r"\[1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24\]"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--missing_rate", "1"], "must leave at least one label known. Received: 1.0 of 18"),
        (["--loss.adversarial_weight", "1"], r"`adversarial_weight` .* Received: 1.0"),
        (["--loss.adversarial_weight", "-1"], r"`adversarial_weight` .* Received: -1.0"),
        (["--loss.discriminator_updates", "0"], "`discriminator_updates` and .* at least 1"),
        (["--labeled_in_batch", "5"], "`labeled_in_batch` must leave room in a batch of 4"),
        (["--labeled_in_batch", "4"], "`labeled_in_batch` must leave room in a batch of 4"),
        (["--training.batch_size", "19"], "`batch_size` must be from 1 to .* 18"),
        (["--folds", "all"], "a number of folds to run them all; shares .*'shares:0.75-0-0.25'"),
        (["--folds", "all", "--data.protocol", "kfold:0"], "`protocol` must be .*'kfold:0'"),
        (["--folds", "all", "--data.protocol", "kfold:9"], "the number of groups, 4"),
        (["--data.protocol", "kfold:2", "--data.fold", "2"], "must be from 0 to 1"),
        (
            ["--missing", "per_label", "--missing_rate", "0.9"],
            "faces with all their labels, of which this draw leaves none.*--variant o_wlc",
        ),
        (["--action_units", "[9]"], rf"image_folder/tiny has labels of, {KNOWN}. Received: \[9\]"),
        (["--action_units", "[1,99]"], r"action_units must be some that .* Received: \[1, 99\]"),
        (["--action_units", "[1,1]"], r"`action_units` must not name one twice"),
        (
            ["--data.dataset", "image_folder/plain"],
            r"has labels of, which are none. Received: \[\]",
        ),
        (["--data.dataset", "no_such_set"], "no_such_set"),
        (["--augmentation.gray", "2"], "`gray` must be from 0 to 1. Received: 2"),
        (["--augmentation.zoom", "-1"], "`zoom` must be from 0 to 1. Received: -1"),
        (["--alphas", "[0,0.01]", "--missing_rates", "[0,0.5]"], "over missing_rates or over"),
        (["--alphas", "[0.01,0.01]"], "alphas must not repeat a value"),
        (["--alphas", "[0,1]"], "alphas"),
        (["--missing_rates", "[0.5,1]"], "missing_rates"),
        (["--unlabeled_dataset", "no_such_set"], "no_such_set"),
        (["--unlabeled_dataset", "image_folder/absent"], "image_folder/absent is not prepared"),
        (["--unlabeled_dataset", "image_folder/tiny"], "hold people who test or validate"),
        (["--recognizer.backbone", "lenet"], r"one of \['alexnet', .*'lenet'"),
        (["--recognizer.backbone", "alexnet"], "alexnet must be at least 63 pixels"),
        (["--recognizer.size", "15"], "fer_net must be at least 16 pixels"),
        (["--recognizer.weights", "/no/such.h5"], "/no/such.h5"),
        (["--recognizer.weights", "imagenet"], "exist for .* for others give a path"),
        (["--recognizer.pooling", "sum"], "`pooling` must be 'avg', 'max' or 'flatten'"),
        (["--recognizer.dropout", "1"], r"`dropout` must be in \[0, 1\)"),
        (["--alphas", "[0,0.01]", "--variant", "both"], "alphas are ours"),
        (["--alphas", "[0,0.01]", "--variant", "o_wlc"], "alphas are ours"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    job, tiny_recognition, tmp_path, flags, said
):
    code, lines = job(recognition, "--config", tiny_recognition, "--out", tmp_path / "run", *flags)
    assert code == 2
    assert len(lines) == 1
    assert re.search(said, lines[0]), lines[0]
    assert not (tmp_path / "run").exists()


def test_imagenet_weights_that_cannot_be_had(run, tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on https://storage.googleapis.com")  # as Keras does

    monkeypatch.setattr(keras.utils, "get_file", offline)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    code, line = run(
        *("--out", tmp_path / "run", "--recognizer.backbone", "resnet50"),
        *("--recognizer.weights", "imagenet", "--recognizer.size", "32"),
    )
    assert code == 2
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in line
    assert f"which is not in {tmp_path / 'keras' / 'models'} and cannot be downloaded" in line
    assert "give a path" in line
    assert not (tmp_path / "run").exists()


@pytest.fixture
def begun(parser_of, tiny_recognition, tmp_path):
    """Function that makes a run folder as it is after its first checkpoint, with a change."""
    folder = tmp_path / "run"
    flags = ["--config", str(tiny_recognition), "--out", str(folder)]
    values = {"system": "recognition", **read_config(parser_of(recognition), flags).as_dict()}
    state = folder / "checkpoints" / "recognition" / "checkpoint"
    state.parent.mkdir(parents=True)
    state.touch()

    def written(**changes):
        (folder / "config.yaml").write_text(yaml.safe_dump({**values, **changes}))
        return folder

    return written


def test_a_run_folder_of_restoration(run, begun):
    folder = begun(system="restoration")
    code, line = run("--out", folder)
    assert code == 2
    assert line == f"error: {folder} holds a run of restoration, not of recognition"


@pytest.mark.parametrize("flags", [[], ["--missing_rates", "[0,0.5]"]], ids=["run", "series"])
def test_a_run_folder_of_another_config(run, begun, flags):
    folder = begun(missing_rate=0.25)
    code, line = run("--out", folder, *flags)
    assert code == 2
    assert line == (
        f"error: {folder} holds a run with missing_rate=0.25, not 0.5; "
        "name another --out, or take the run's own config"
    )


def test_a_folder_that_cannot_be_written(job, tiny_recognition, tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "run"
    code, lines = job(recognition, "--config", tiny_recognition, "--out", folder)
    assert code == 1
    assert len(lines) == 1 and str(tmp_path / "file") in lines[0]


def test_a_loss_that_is_not_a_number(run, tmp_path):
    code, line = run(
        "--out", tmp_path / "run", "--training.learning_rate", "1e38", "--training.epochs", "1"
    )
    assert code == 1
    assert re.search("recognition: .* is not a number after epoch 1; .*smaller learning", line)
