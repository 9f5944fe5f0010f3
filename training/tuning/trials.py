"""One trial after the other: each a whole run of the system's training script."""

import json
import shutil
import time
from pathlib import Path

import keras
from configuration import RunError
from keras_tuner.engine.trial import TrialStatus

from tfface.atomic import alone_in, written_aside
from tuning.oracles import EPOCHS, OBJECTIVE, PAST

TRIALS = "trials"
"""Where a search's folder keeps the runs."""

_PAUSE = 1.0  # seconds before an oracle that has no trial yet is asked again


def run_trials(oracle, tuner_id, run, ended=lambda: None):
    """Takes trials from an oracle, or from a chief's, until there are no more.

    Args:
        oracle: keras-tuner's Oracle or OracleClient.
        tuner_id: This process's name among those that ask.
        run: Function of a Trial that gives its figure, or None if it failed.
        ended: Called when a trial has ended.
    """
    while True:
        trial = oracle.create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED:
            return
        if trial.status == TrialStatus.IDLE:
            time.sleep(_PAUSE)
            continue
        value = run(trial)
        if value is None:
            trial.status = TrialStatus.FAILED
        else:
            oracle.update_trial(trial.trial_id, {OBJECTIVE: value})
            trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
        ended()


class TrialRunner:
    """Trains and scores a trial in its folder; goes on where it was stopped.

    Args:
        train: The training script's `train`.
        config: The user's config.
        system: The System.
        names: Names of the weights that are searched.
    """

    def __init__(self, train, config, system, names):
        self.train, self.config, self.system, self.names = train, config, system, names

    def __call__(self, trial):
        """The trial's figure on validation people; None if its training came to nothing."""
        config = self.config_of(trial)
        folder, values = Path(config.out), trial.hyperparameters.values
        weights = ", ".join(f"{name} {values[name]:.4g}" for name in self.names)
        print(f"trial {trial.trial_id}: {weights}", flush=True)
        with alone_in(folder, lambda: self._wait_for(folder)):
            if PAST in values:
                _inherit(folder.parent / values[PAST], folder)
            try:
                self.train(config)
                summary = json.loads((folder / "summary.json").read_text())
            except RunError as error:
                print(f"trial {trial.trial_id}: failed: {error}", flush=True)
                return None
            finally:
                keras.backend.clear_session()  # the next trial's networks take the place of these
        value = self.system.value(summary, config.get("variant"))
        print(f"trial {trial.trial_id}: {self.system.figure} {value}", flush=True)
        return value

    def config_of(self, trial):
        """The config of a trial: its weights, its folder, and people who test no finished run."""
        values = trial.hyperparameters.values
        config = self.config.clone()
        config.out = str(Path(self.config.out) / TRIALS / trial.trial_id)
        config.export_dir = None
        config.data.protocol = f"tuning:{config.data.protocol}"
        for name in self.names:
            config.loss[name] = values[name]
        config.training.epochs = values.get(EPOCHS, config.training.epochs)
        return config

    def _wait_for(self, folder):
        print(f"{folder}: another process is at it; waiting", flush=True)


def _inherit(past, folder):
    """Lets a trial go on from the last checkpoint of an earlier one with the same weights.

    The checkpoints come last: without them, what lies there is taken over once more.
    """
    if (folder / "checkpoints").exists():
        return
    for name in ("config.yaml", "history.csv"):
        with written_aside(folder / name) as aside:
            shutil.copyfile(past / name, aside)
    with written_aside(folder / "checkpoints") as aside:
        shutil.copytree(past / "checkpoints", aside)
