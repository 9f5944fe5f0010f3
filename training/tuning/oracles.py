"""Who proposes the next weights: keras-tuner's oracles, made to survive a kill.

Each oracle tries the config's own weights first, so that what it finds stands beside them in one
table. Its files are whole or not there, and a trial that a kill cut off is given out again.
"""

import json
import math
import warnings
from pathlib import Path

import keras_tuner
from configuration import UsageError
from keras_tuner import oracles
from keras_tuner.engine.trial import TrialStatus
from sklearn.exceptions import ConvergenceWarning

from tfface.atomic import written_aside

EPOCHS, PAST = "tuner/epochs", "tuner/trial_id"
"""What hyperband adds to a trial's values: how long it trains, and which trial it goes on from."""

OBJECTIVE = "objective"


class _Lasting:
    """What is added to each of keras-tuner's oracles."""

    def populate_space(self, trial_id):
        if not self.trials:
            return {"status": TrialStatus.RUNNING, "values": self.own_values()}
        return super().populate_space(trial_id)

    def own_values(self):
        """The config's own weights."""
        return {each.name: each.default for each in self.hyperparameters.space}

    @keras_tuner.synchronized
    def end_trial(self, trial):
        super().end_trial(trial)
        # A chief that came back gave out what a worker was still at: now that is done.
        self._retry_queue = [each for each in self._retry_queue if each != trial.trial_id]
        self.save()

    def save(self):
        _write(self._get_oracle_fname(), self)

    def _save_trial(self, trial):
        _write(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial)

    def open(self, folder):
        """Goes on with the search in `folder`, or begins one there."""
        self._set_project_dir(str(folder), "keras_tuner")
        if not Path(self._get_oracle_fname()).exists():
            return
        self.reload()
        # A trial whose file was written just before a kill, and the oracle's not: it never began.
        self.trials = {name: self.trials[name] for name in self.start_order}
        unfinished = (TrialStatus.RUNNING, TrialStatus.INVALID)
        cut_off = [name for name, trial in self.trials.items() if trial.status in unfinished]
        self._retry_queue = cut_off[::-1]  # its last is given out first


def _are_close(values, others):
    return all(math.isclose(value, others[name], rel_tol=0.02) for name, value in values.items())


def _write(path, stateful):
    with written_aside(path) as aside:
        aside.write_text(json.dumps(stateful.get_state()))


class _Random(_Lasting, oracles.RandomSearchOracle):
    pass


class _Bayesian(_Lasting, oracles.BayesianOptimizationOracle):
    """Draws at random where it would try again what it knows.

    A Gaussian process that is sure of the best place goes on proposing it, from which nothing more
    is learned.
    """

    def populate_space(self, trial_id):
        with warnings.catch_warnings():
            # Of the kernel, which keras-tuner chose: nobody here could heed it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            answer = super().populate_space(trial_id)
        values = answer.get("values")
        known = (trial.hyperparameters.values for trial in self.trials.values())
        if values and any(_are_close(values, other) for other in known):
            answer["values"] = self._random_values()
        return answer


class _Hyperband(_Lasting, oracles.HyperbandOracle):
    """Goes on with bracket after bracket until all trials are given out.

    The config's own weights are trained to the end, outside of the brackets: only trials of one
    length compare.
    """

    def own_values(self):
        return {**super().own_values(), EPOCHS: self.max_epochs, "tuner/initial_epoch": 0}

    def populate_space(self, trial_id):
        try:
            return super().populate_space(trial_id)
        except _NoneToSpare:
            return {"status": TrialStatus.IDLE}

    def _increment_bracket_num(self):
        """Begins no new bracket with the trials that those begun may need to end."""
        if self.ongoing_trials and self.max_trials - len(self.trials) <= self._places():
            raise _NoneToSpare
        super()._increment_bracket_num()

    def _places(self):
        return sum(
            self._get_size(bracket["bracket_num"], number) - len(entries)
            for bracket in self._brackets
            for number, entries in enumerate(bracket["rounds"])
        )

    def fewest_trials(self):
        """How many trials bring one of the first bracket to its end, the own weights' included."""
        first = self._get_num_brackets() - 1
        return 1 + sum(self._get_size(first, number) for number in range(first + 1))


class _NoneToSpare(Exception):
    pass


def make_oracle(tuner, ranges, direction, trials, seed, epochs):
    """The oracle of a search.

    Args:
        tuner: "bayesian", "hyperband" or "random".
        ranges: Dict of Range by the names of the weights.
        direction: "max" or "min".
        trials: How many trials there shall be, that of the config's own weights included.
        seed: Of what is drawn.
        epochs: Of a whole training.

    Raises:
        UsageError: If hyperband could end no trial with so few.
    """
    space = keras_tuner.HyperParameters()
    for name, each in ranges.items():
        space.Float(name, each.low, each.high, sampling="log", default=each.own)
    shared = {
        "objective": keras_tuner.Objective(OBJECTIVE, direction),
        "hyperparameters": space,
        "seed": seed + 1,  # keras-tuner takes 0 for none
        "max_consecutive_failed_trials": None,  # large weights often fail; the search goes on
    }
    if tuner == "hyperband":
        oracle = _Hyperband(max_epochs=epochs, hyperband_iterations=None, **shared)
        if trials < oracle.fewest_trials():
            raise UsageError(
                f"hyperband needs at least {oracle.fewest_trials()} trials to bring one to the end "
                f"of {epochs} epochs. Received: {trials}"
            )
        oracle.max_trials = trials
    else:
        kind = _Random if tuner == "random" else _Bayesian
        oracle = kind(max_trials=trials, **shared)
    oracle.verbose = 0
    return oracle
