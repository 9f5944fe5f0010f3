"""Strategy, plan and run folder of every training script."""

import json
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from configuration import (
    DataConfig,
    OptimizerConfig,
    RunConfig,
    RunError,
    UsageError,
    make_parser,
    read_config,
)
from run import Run, _Bookkeeper, load_network, read_run_config, whole_plan

from tfface.commands import export
from tfface.serving.savedmodel import versions
from tfface.serving.signatures.restoration import restoration_servable


def plan(**values):
    flags = [f"--{key}={value}" for key, value in values.items()]
    return read_config(make_parser("", {"": OptimizerConfig}), flags)


@pytest.mark.parametrize(
    ("steps_per_epoch", "steps_per_execution", "expected"),
    [("null", 1, 6), ("null", 4, 4), ("null", 6, 6), (9, 3, 9), (40, 1, 40)],
)
def test_an_epoch_is_one_pass_in_whole_executions(steps_per_epoch, steps_per_execution, expected):
    """24 faces in batches of 4 are 6 steps."""
    given = plan(steps_per_epoch=steps_per_epoch, batch_size=4)
    whole = whole_plan(given, 24, steps_per_execution)
    assert whole.steps_per_epoch == expected
    assert whole.batch_size == 4


@pytest.mark.parametrize(
    ("values", "steps_per_execution", "message"),
    [
        ({"steps_per_epoch": 5}, 2, "must divide the steps of an epoch, 5. Received: 2"),
        ({}, 7, "must divide the steps of an epoch, 3. Received: 7"),
        ({"batch_size": 25}, 1, "`batch_size` must be from 1 to .* 24. Received: 25"),
        ({"batch_size": 25, "steps_per_epoch": 3}, 1, "`batch_size`"),
    ],
)
def test_a_plan_that_cannot_be(values, steps_per_execution, message):
    with pytest.raises(UsageError, match=message):
        whole_plan(plan(**values), 24, steps_per_execution)


def test_a_batch_is_shared_out_evenly():
    """Replicas whose shares differ would take another step than one device."""
    run = SimpleNamespace(strategy=SimpleNamespace(num_replicas_in_sync=2))
    with pytest.raises(UsageError, match="evenly among 2 devices. Received: 3"):
        Run.fit(run, "stage", None, None, plan(batch_size=3))


def test_numbers_are_plain_in_every_config():
    """So that YAML and Keras can write them."""
    parser = make_parser("", {"": RunConfig, "plan": OptimizerConfig})
    values = read_config(parser, ["--out", "x", "--seed=3"])
    kinds = {key: type(value) for key, value in values.items()}
    assert kinds["seed"] is kinds["steps_per_execution"] is kinds["plan.epochs"] is int
    assert kinds["plan.learning_rate"] is float
    assert kinds["jit_compile"] is bool


@pytest.fixture
def ended(tmp_path):
    """A run that has trained and is about to export, and what it found."""
    parser = make_parser("", {"": RunConfig, "data": DataConfig})
    flags = ["--out", str(tmp_path / "run"), "--export_dir", str(tmp_path / "models")]
    run = Run(read_config(parser, flags), "restoration")
    return run, {"variant": "ours", "steps": 6, "metrics": {"psnr": {"ours": 20.5}}}


def test_a_run_killed_after_its_export_does_not_export_again(
    ended, mask_aware_generator, nearest_generator
):
    run, figures = ended
    run.finish(figures, restoration_servable(mask_aware_generator))
    run.summary_path.unlink()  # as if killed before it was written
    run.finish(figures, restoration_servable(mask_aware_generator))
    models = run.folder.parent / "models" / "restoration"
    assert versions(models) == [1]
    assert json.loads(run.summary_path.read_text())["exported"] == str(models / "1")
    run.finish(figures, restoration_servable(nearest_generator))  # Other weights: another model.
    assert versions(models) == [1, 2]


def test_a_run_is_done_when_it_has_the_steps_that_are_asked_for(ended, capsys):
    run, figures = ended
    assert not run.done(6)
    run.finish(figures)  # 6 steps
    capsys.readouterr()
    assert run.done(6) and run.done(5)
    said = f"{run.folder}: finished already, see {run.summary_path}"
    assert capsys.readouterr().out.splitlines() == [said, said]
    assert not run.done(7)  # More epochs were asked for: it goes on.
    assert capsys.readouterr().out == ""


def test_training_and_tfface_export_say_the_same_of_a_run(ended, nearest_generator):
    run, figures = ended
    run.finish(figures, restoration_servable(nearest_generator))
    exported = json.loads(run.summary_path.read_text())["exported"]
    by_training = json.loads((Path(exported) / "model_card.json").read_text())
    by_command = export._card(run.folder)
    assert by_command["training"]["metrics"] == {"psnr": {"ours": 20.5}}
    assert by_command.items() <= by_training.items()


@pytest.mark.parametrize("before", [{"other": [1.0]}, {"player": [1.0]}, {"player": [[1.0], 2.0]}])
def test_a_checkpoint_of_other_networks_is_one_line(tmp_path, before):
    """Such as of an earlier version, which kept fewer of their variables."""

    def checkpoint(**values):
        variables = {name: [tf.Variable(v) for v in several] for name, several in values.items()}
        return tf.train.Checkpoint(step=tf.Variable(4, dtype=tf.int64), **variables)

    tf.train.CheckpointManager(
        checkpoint(**before), tmp_path / "checkpoints" / "game", max_to_keep=2
    ).save()
    model = SimpleNamespace(
        trackers=[SimpleNamespace(name="loss")],
        checkpoint=lambda: checkpoint(player=[1.0, 2.0]),
    )
    run = SimpleNamespace(folder=tmp_path, is_chief=True)
    book = _Bookkeeper(run, "game", model, SimpleNamespace(steps_per_epoch=2), None)
    with pytest.raises(RunError, match="ckpt-1 holds other networks than these, or is of an earl"):
        book.restore()


@pytest.fixture
def bookkeeper(tmp_path):
    """Of a model without variables that has just begun its first epoch."""
    model = SimpleNamespace(trackers=[SimpleNamespace(name="loss")], checkpoint=tf.train.Checkpoint)
    run = SimpleNamespace(folder=tmp_path, is_chief=True, say=print)
    book = _Bookkeeper(run, "game", model, SimpleNamespace(steps_per_epoch=2, epochs=3), None)
    book.on_epoch_begin(0)
    return book


@pytest.mark.parametrize("figures", [{"loss": np.inf}, {"loss": np.nan}, {"val_psnr": np.nan}])
def test_a_figure_that_is_no_number_ends_the_training(bookkeeper, figures):
    (name,) = figures
    with pytest.raises(RunError, match=f"game: {name} is not a number after epoch 1; try a sm"):
        bookkeeper.on_epoch_end(0, figures)


def test_the_psnr_of_equal_pictures_ends_no_training(bookkeeper):
    bookkeeper.on_epoch_end(0, {"loss": 0.5, "val_psnr": np.inf})
    assert "0.5,inf" in (bookkeeper.run.folder / "history.csv").read_text()


@pytest.mark.parametrize("text", ["{", "- a list", "variant: ours", "\tx: 1"])
def test_a_config_that_no_script_wrote(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"config\.yaml"):
        read_run_config(tmp_path)


def test_a_network_of_another_kind(tmp_path):
    path = tmp_path / "n.keras"
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.save(path)
    loaded = load_network(path, keras.Sequential)
    np.testing.assert_array_equal(loaded.get_weights()[0], network.get_weights()[0])
    with pytest.raises(UsageError, match="must hold one Dense. Received: one Sequential"):
        load_network(path, keras.layers.Dense)
    path.write_bytes(b"no network")
    with pytest.raises(UsageError, match=r"n\.keras"):
        load_network(path, keras.Sequential)
