"""What a search found: a table of its trials, a picture, and a config with the best weights."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import yaml
from configuration import RunError
from keras_tuner.engine.trial import TrialStatus

from tfface.atomic import written_aside
from tfface.plots.searches import search_panels
from tfface.tables import markdown, write_table
from tuning.oracles import EPOCHS, PAST
from tuning.trials import TRIALS


@dataclass(frozen=True)
class Found:
    """One trial.

    Args:
        name: Its number, as its folder has it; the first is that of the config's own weights.
        status: "completed", "failed" or "running".
        weights: By name, their values.
        figure: What it reached, NaN if it has not.
        epochs: How long it was trained.
        past: The trial that it went on from, or "".
        seconds: How long that took, with what it went on from; NaN if it is not known.
        folder: Its run's.
    """

    name: str
    status: str
    weights: dict
    figure: float
    epochs: int
    past: str
    seconds: float
    folder: Path


class Results:
    """The trials of a search so far.

    Args:
        oracle: Its oracle.
        config: The user's config.
        system: The System.
        ranges: Dict of Range by the names of the weights.
    """

    def __init__(self, oracle, config, system, ranges):
        self.config, self.system, self.ranges = config, system, ranges
        self.folder = Path(config.out)
        trials = sorted(list(oracle.trials.values()), key=lambda trial: int(trial.trial_id))
        self.trials = [self._found(trial) for trial in trials]

    def _found(self, trial):
        values, folder = trial.hyperparameters.values, self.folder / TRIALS / trial.trial_id
        # A chief looks while its server may be at the end of a trial, whose score comes last.
        done = trial.status == TrialStatus.COMPLETED and trial.score is not None
        summary = json.loads((folder / "summary.json").read_text()) if done else {}
        return Found(
            trial.trial_id,
            trial.status.lower(),
            {name: values[name] for name in self.ranges},
            trial.score if done else math.nan,
            values.get(EPOCHS, self.config.training.epochs),
            values.get(PAST, ""),
            summary.get("training_time_s", math.nan),
            folder,
        )

    @property
    def own(self):
        """The trial of the config's own weights."""
        return self.trials[0]

    @property
    def best(self):
        """The best of the trials that were trained to the end.

        Raises:
            RunError: If none was.
        """
        whole = [
            trial
            for trial in self.trials
            if trial.status == "completed" and trial.epochs == self.config.training.epochs
        ]
        if not whole:
            raise RunError(f"no trial in {self.folder} came to its end")
        sign = 1 if self.system.direction == "max" else -1
        return max(whole, key=lambda trial: sign * trial.figure)

    def write(self):
        """Writes all trials as `trials.csv` and `trials.md`."""
        header = ["trial", "status", *self.ranges, self.system.figure]
        header += ["epochs", "went on from", "seconds", "folder"]
        rows = [
            [
                *(trial.name, trial.status),
                *(f"{value:.6g}" for value in trial.weights.values()),
                *(_show(trial.figure, ".6g"), trial.epochs, trial.past),
                *(_show(trial.seconds, ".1f"), trial.folder),
            ]
            for trial in self.trials
        ]
        write_table(self.folder / "trials", header, rows)

    def draw(self):
        """Draws the figure against each weight as `trials.png`."""
        search_panels(
            {
                f"{name} ({each.symbol})": [trial.weights[name] for trial in self.trials]
                for name, each in self.ranges.items()
            },
            [trial.figure for trial in self.trials],
            self.folder / "trials.png",
            own=0,
            best=self.trials.index(self.best),
            y_label=self.system.figure,
            title=f"{len(self.trials)} trials of {self.config.data.dataset}, validation people",
            short=[trial.epochs < self.config.training.epochs for trial in self.trials],
        )

    def lines(self):
        """The own weights beside the best found, as lines of text."""
        best, own = self.best, self.own
        rows = [
            [
                f"{title} (trial {trial.name})",
                *(f"{value:.4g}" for value in trial.weights.values()),
                _show(trial.figure, ".4f") or trial.status,
            ]
            for title, trial in (("the config's own", own), ("best", best))
        ]
        names = [f"{name} ({each.symbol})" for name, each in self.ranges.items()]
        lines = markdown(["weights", *names, self.system.figure], rows)
        if best is own:
            lines.append("no trial was better than the config's own weights")
        return lines

    def apply(self, path):
        """Writes the user's config, with the best weights in it, as a file for `--config`."""
        best, own = self.best, self.own
        values = self.config.as_dict()
        del values["out"]  # where a run lies is for its command to say
        values["loss"].update(best.weights)
        title = (
            f"# Loss weights of trial {best.name} in {self.folder}: {self.system.figure} "
            f"{_show(best.figure, '.4f')} on validation people,\n"
            f"# {_show(own.figure, '.4f')} with the weights searched around.\n"
        )
        with written_aside(path) as aside:
            aside.write_text(title + yaml.safe_dump(values, sort_keys=False))


def _show(value, shape):
    return "" if math.isnan(value) else format(value, shape)
