"""What every training script shares: configuration, strategy, run folder, resuming.

A run folder holds `config.yaml`, `history.csv`, TensorBoard logs in `logs/`,
`checkpoints/<stage>/`, `samples/`, the networks as `.keras`, `evaluation/` and, once all is done,
`summary.json`. The same command again goes on at the last whole epoch; with `--deterministic` it
ends with the very weights that it would have had without the stop.
"""

import csv
import hashlib
import json
import math
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import yaml
from configuration import RunError, UsageError, asked
from devices import is_chief, make_strategy, wait_for_all
from optimizers import learning_rate, make_optimizer

from tfface.atomic import written_aside
from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source, steps_per_epoch
from tfface.serving.savedmodel import MODEL_CARD, export_savedmodel, versions

PARTS = "parts"
"""Where the run of a series keeps the runs that it is made of."""

EXTENDABLE = {"out", "training.epochs"}
"""Keys that may differ when a run goes on: where the folder now lies, and how long it trains."""

MOVED_ALONG = {"classifier_training.path"}
"""Keys of files that another part of a series made: they may now lie elsewhere as the run does."""

ON_THE_CARD = ("dataset", "variant", "steps", "seed", "metrics")
"""What of a run's summary its exported model's card says; `tfface export` keeps the same."""


class Run:
    """One training run: its folder, its strategy, its stages.

    Args:
        config: The script's config, from `read_config`.
        system: Name of the system.

    Raises:
        UsageError: If the folder holds a run of another system or of another config, or this
            machine does not have the devices asked for.
    """

    def __init__(self, config, system):
        self.config, self.system = config, system
        self.folder = Path(config.out)
        self.started = time.time()
        self._check_folder()
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        keras.config.set_dtype_policy(config.precision)
        self.strategy = make_strategy(config.strategy)
        replicas = self.strategy.num_replicas_in_sync
        if config.jit_compile and replicas > 1:
            raise UsageError(f"jit_compile works on one device. Received: {replicas} replicas")
        self.is_chief = is_chief(self.strategy)

    def _check_folder(self):
        # Before its first checkpoint a run has nothing to lose, and a wrong flag can be mended.
        if not any(self.folder.glob("checkpoints/*/checkpoint")):
            return
        before = read_run_config(self.folder)
        if before["system"] != self.system:
            raise UsageError(
                f"{self.folder} holds a run of {before['system']}, not of {self.system}"
            )
        old, new = flatten(before), flatten(self._own_config())
        for key in sorted((old.keys() | new.keys()) - EXTENDABLE):
            if old.get(key) != new.get(key) and not _moved_along(key, old, new):
                raise UsageError(
                    f"{self.folder} holds a run with {key}={old.get(key)!r}, "
                    f"not {new.get(key)!r}; name another --out, or take the run's own config"
                )

    def _own_config(self):
        return {"system": self.system, **self.config.as_dict()}

    def _write_config(self):
        with written_aside(self.folder / "config.yaml") as aside:
            aside.write_text(yaml.safe_dump(self._own_config(), sort_keys=False))

    def done(self, steps):
        """Whether this run was finished before, with that many steps; says so.

        Raises:
            UsageError: If the folder holds not one run but a series of them.
        """
        if (self.folder / PARTS).is_dir():
            raise UsageError(f"{self.folder} holds a series of runs; name another --out")
        if not self.summary_path.exists():
            return False
        finished = json.loads(self.summary_path.read_text())["steps"] >= steps
        if finished:
            self.say(f"{self.folder}: finished already, see {self.summary_path}")
        return finished

    def optimizers(self, averaged, *others):
        """An optimizer for every player, as `training` says.

        Args:
            averaged: Name of the player of whose weights a moving average is kept, if the config
                gives its momentum (`average`).
            others: Names of the other players.
        """
        plan = self.config.training
        return {
            averaged: make_optimizer(plan, self.config.average),
            **{name: make_optimizer(plan) for name in others},
        }

    def switches(self, plan):
        """What `AdversarialModel.compile` takes of the config, and of a stage's plan."""
        return {
            "jit_compile": self.config.jit_compile,
            "steps_per_execution": self.config.steps_per_execution,
            "accumulate": plan.accumulate,
        }

    def say(self, text):
        """One line for the person who waits."""
        if self.is_chief:
            print(text, flush=True)

    @property
    def summary_path(self):
        """`summary.json`, there once the run is done."""
        return self.folder / "summary.json"

    def scope(self, stage):
        """The strategy's scope, random numbers set to what this stage starts from."""
        keras.utils.set_random_seed(self.config.seed + sum(stage.encode()))
        return self.strategy.scope()

    def open_data(self, further=None):
        """The config's data set, made or read, and the fold of it that this run uses.

        Args:
            further: Name of another data set, a prepared one, to open in its place.

        Returns:
            tuple: FaceSource, Fold.
        """
        data = self.config.data
        self.say(f"data: {further or data.dataset}")
        manual_dir = None if further else data.manual_dir
        source = asked(open_source, further or data.dataset, data.data_dir, manual_dir)
        fold = asked(make_fold, source, data.protocol, data.fold)
        for part in ("train", "test"):
            if not getattr(fold, part):
                of = f" of {further}" if further else ""
                raise UsageError(f"data.protocol {data.protocol!r} leaves no faces{of} to {part}")
        parts = ((name, getattr(fold, name)) for name in ("train", "validation", "test"))
        self.say(
            "data: " + ", ".join(f"{source.count(part)} faces {n}" for n, part in parts if part)
        )
        return source, fold

    def fit(self, stage, model, stream, plan, samples=None, validation=None):
        """Trains `model` to the end of `plan`, going on from the stage's last checkpoint.

        Args:
            stage: Name of the stage, such as "classifier".
            model: A compiled AdversarialModel.
            stream: Function of a step: the infinite `tf.data.Dataset` from that step on.
            plan: Values of OptimizerConfig, `steps_per_epoch` set.
            samples: Function of (model, path) that draws a picture after each epoch.
            validation: Finite dataset that the model is scored on after each epoch, or None.
        """
        replicas = self.strategy.num_replicas_in_sync
        if plan.batch_size % replicas:
            raise UsageError(
                f"batch_size must be shared out evenly among {replicas} devices. "
                f"Received: {plan.batch_size}"
            )
        if self.is_chief:
            self._write_config()
        book = _Bookkeeper(self, stage, model, plan, samples)
        first = book.restore()
        if first >= plan.epochs:
            self.say(f"{stage}: trained already ({first} epochs)")
            return
        if first:
            self.say(f"{stage}: going on after epoch {first} of {plan.epochs}")
        callbacks = [book]
        if self.is_chief:
            logs = self.folder / "logs" / stage
            callbacks.append(keras.callbacks.TensorBoard(logs, write_graph=False, profile_batch=0))
        model.fit(
            stream(first * plan.steps_per_epoch),
            initial_epoch=first,
            epochs=plan.epochs,
            steps_per_epoch=plan.steps_per_epoch,
            callbacks=callbacks,
            validation_data=validation,
            shuffle=False,
            verbose=1 if self.is_chief and sys.stdout.isatty() else 0,
        )

    def save(self, network, name):
        """Writes a network to the run folder, in float32, as `<name>.keras`."""
        if self.is_chief:
            with written_aside(self.folder / f"{name}.keras") as aside:
                network.in_float32().save(aside)

    def finish(self, figures, servable=None):
        """Exports the finished model and writes `summary.json`: the run is done, in all processes.

        Args:
            figures: What the system adds: variant, steps, metrics, ...
            servable: The Servable to export; None for a series, whose parts hold the models.
        """
        if self.is_chief:
            self._write_summary(figures, servable)
        wait_for_all(self.strategy)

    def _write_summary(self, figures, servable):
        self._write_config()  # that of a series, which trains nothing itself
        about = {
            "system": self.system,
            "dataset": self.config.data.dataset,
            **figures,
            "seed": self.config.seed,
        }
        exported = servable and self._export(servable, about)
        folders = [self.folder, *self.folder.glob(f"{PARTS}/*")]
        trained = sum(float(row["seconds"]) for folder in folders for row in read_history(folder))
        summary = {
            **about,
            "exported": exported,
            "training_time_s": round(trained, 1),
            "wall_time_s": round(time.time() - self.started, 1),
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
            },
        }
        with written_aside(self.summary_path) as aside:
            aside.write_text(json.dumps(summary, indent=2) + "\n")

    def _export(self, servable, about):
        """Exports as the config says; returns where the model lies, or None.

        A run that was killed between its export and its summary finds its own version again, by
        the weights' digest on the card.
        """
        if self.config.export_dir is None:
            return None
        self.say("export: writing the SavedModel")
        directory = Path(self.config.export_dir) / self.system
        weights = servable.model.get_weights()
        digest = hashlib.sha256(b"".join(weight.tobytes() for weight in weights))
        card = {
            "run": str(self.folder),
            "training": {key: about[key] for key in ON_THE_CARD},
            "weights_sha256": digest.hexdigest(),
        }
        path = _version_of(card, directory) or export_savedmodel(servable, directory, card)
        self.say(f"export: {path}")
        return str(path)


def _version_of(card, directory):
    """The newest version in `directory` of the same run and weights as `card` says, or None."""
    for version in reversed(versions(directory)):
        path = directory / str(version)
        try:
            known = json.loads((path / MODEL_CARD).read_text())
        except (OSError, ValueError):
            continue
        if all(known.get(key) == card[key] for key in ("run", "weights_sha256")):
            return path
    return None


def whole_plan(plan, faces, steps_per_execution=1):
    """`plan` with `steps_per_epoch` filled in: as many as one pass over that many faces takes.

    Raises:
        UsageError: If a batch is larger than that, or an epoch is not whole executions or updates.
    """
    plan = plan.clone()
    one_pass = asked(steps_per_epoch, faces, plan.batch_size)
    if plan.steps_per_epoch is None:
        whole = math.lcm(steps_per_execution, plan.accumulate)
        plan.steps_per_epoch = max(one_pass - one_pass % whole, min(one_pass, whole))
    divisors = {"steps_per_execution": steps_per_execution, "accumulate": plan.accumulate}
    for name, number in divisors.items():
        if plan.steps_per_epoch % number:
            raise UsageError(
                f"`{name}` must divide the steps of an epoch, {plan.steps_per_epoch}. "
                f"Received: {number}"
            )
    return plan


def load_network(path, kind):
    """The network of class `kind` in a `.keras` file.

    Raises:
        UsageError: If there is none.
    """
    network = asked(keras.saving.load_model, path)
    if not isinstance(network, kind):
        raise UsageError(
            f"{path} must hold one {kind.__name__}. Received: one {type(network).__name__}"
        )
    return network


def read_run_config(folder):
    """The values in a run's `config.yaml`, nested, `system` among them.

    Raises:
        UsageError: If the folder holds no run.
    """
    path = Path(folder) / "config.yaml"
    if not path.is_file():
        raise UsageError(f"{folder} is not a run folder: it has no config.yaml")
    try:
        values = yaml.safe_load(path.read_text())
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict) or "system" not in values:
        raise UsageError(f"{path} must be as a training script wrote it, with a system")
    return values


def flatten(values, prefix=""):
    """A nested config as one dict, by keys with dots."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _moved_along(key, old, new):
    """Whether a path in two flat configs is the same as seen from each one's run folder."""
    if key not in MOVED_ALONG or None in (old.get(key), new.get(key)):
        return False
    before, now = (os.path.relpath(flat[key], flat["out"]) for flat in (old, new))
    return before == now


def read_history(folder):
    """The rows of a run's `history.csv` as dicts of text; none before the first epoch's end."""
    path = Path(folder) / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class _Bookkeeper(keras.callbacks.Callback):
    """Each epoch's line, history and sample, and last, since it says "done", its checkpoint."""

    def __init__(self, run, stage, model, plan, samples):
        super().__init__()
        self.run, self.stage, self.plan, self.samples = run, stage, plan, samples
        self.watched, self.losses = model.trackers[0].name, []
        self.checkpoint = model.checkpoint()
        folder = run.folder / "checkpoints" / stage
        if not run.is_chief:  # Every worker must save, the chief's files alone count.
            self.aside = tempfile.TemporaryDirectory(prefix="tfface-worker-")
            folder = self.aside.name
        self.manager = tf.train.CheckpointManager(self.checkpoint, folder, max_to_keep=2)
        self.latest = tf.train.latest_checkpoint(run.folder / "checkpoints" / stage)

    def restore(self):
        """Restores the last checkpoint and returns how many epochs are behind it.

        Raises:
            RunError: If the checkpoint holds other networks, or is of an earlier version.
        """
        if self.latest is None:
            return 0
        try:
            self.checkpoint.restore(self.latest).assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            raise RunError(
                f"{self.latest} holds other networks than these, or is of an earlier version of "
                "tfface; begin in a new folder"
            ) from error
        step = int(keras.ops.convert_to_numpy(self.checkpoint.step))
        epochs = step // self.plan.steps_per_epoch
        rows = [row for row in read_history(self.run.folder) if row["stage"] == self.stage]
        self.losses = [
            float(row.get(self.watched) or "nan") for row in rows if int(row["epoch"]) <= epochs
        ]
        return epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.time()
        if self.losses:  # Players' rates keep their proportion.
            before, now = (
                learning_rate(self.plan, past) for past in (self.losses[:-1], self.losses)
            )
            for optimizer in self.model.optimizers.values() if now != before else ():
                optimizer.learning_rate = optimizer.learning_rate * (now / before)

    def on_epoch_end(self, epoch, logs=None):
        figures = {name: float(value) for name, value in (logs or {}).items()}
        seconds = time.time() - self.begun
        broken = [
            name
            for name, value in figures.items()
            if not np.isfinite(value) and (np.isnan(value) or "psnr" not in name)
        ]  # PSNR of equal pictures, such as two frames of a still face, is infinite.
        if broken:
            raise RunError(
                f"{self.stage}: {broken[0]} is not a number after epoch {epoch + 1}; "
                "try a smaller learning rate"
            )
        if not sys.stdout.isatty():
            text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self.run.say(f"{self.stage} {epoch + 1}/{self.plan.epochs}  {seconds:.0f} s  {text}")
        self.losses.append(figures.get(self.watched, math.nan))
        if self.run.is_chief:
            self._write_history(epoch + 1, seconds, figures)
            if self.samples is not None:
                self.samples(
                    self.model, self.run.folder / "samples" / f"{self.stage}_{epoch + 1:04d}.png"
                )
        self.manager.save(checkpoint_number=epoch + 1)

    def _write_history(self, epoch, seconds, figures):
        # Rows at or past this epoch are of a life that was killed before its checkpoint.
        rows = [
            row
            for row in read_history(self.run.folder)
            if row["stage"] != self.stage or int(row["epoch"]) < epoch
        ]
        rows.append({"stage": self.stage, "epoch": epoch, "seconds": f"{seconds:.2f}", **figures})
        names = list(dict.fromkeys(name for row in rows for name in row))
        with (
            written_aside(self.run.folder / "history.csv") as aside,
            aside.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(rows)
