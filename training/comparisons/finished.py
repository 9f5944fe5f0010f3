"""A training run that ended: its folder, its config, and what runs of one table must share."""

import functools
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

from configuration import UsageError
from run import read_run_config

from tfface.atomic import written_aside


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended.

    Args:
        folder: Its folder as the user named it.
        config: The values in its `config.yaml`, nested.
    """

    folder: Path
    config: dict

    @classmethod
    def open(cls, folder, systems):
        """Opens a run's folder; UsageError if it holds none of these systems, or an unended one."""
        config = read_run_config(folder)
        if config["system"] not in systems:
            raise UsageError(
                f"{folder} holds a run of {config['system']}, not of {' or '.join(systems)}"
            )
        if not (Path(folder) / "summary.json").is_file():
            raise UsageError(f"{folder} is not finished; run its training command again")
        return cls(Path(folder), config)

    def value(self, key):
        """A value of the config, by its key with dots."""
        try:
            return functools.reduce(lambda values, name: values[name], key.split("."), self.config)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{self.folder}/config.yaml has no {key}") from error

    def scores(self, kind, key="variant"):
        """What the run scored on its own test faces.

        Args:
            kind: The class that reads it by its `from_dict`.
            key: Key of the config that says by which name.
        """
        path = self.folder / "evaluation" / "scores.json"
        try:
            return kind.from_dict(json.loads(path.read_text())["scores"][self.value(key)])
        except (OSError, ValueError, LookupError) as error:
            raise UsageError(
                f"{path} must hold the scores of one run (of a series, name its parts). "
                f"Received: {type(error).__name__}: {error}"
            ) from error


def write_comparison(out, runs, names, content):
    """Writes `comparison.json`: which run has which name, and what they were found to be.

    Args:
        out: Folder to write to.
        runs: FinishedRun each.
        names: Their names in the tables.
        content: What was tested, and the metrics.
    """
    of = {name: str(run.folder) for name, run in zip(names, runs, strict=True)}
    with written_aside(out / "comparison.json") as aside:
        aside.write_text(json.dumps({"runs": of, **content}, indent=2) + "\n")


def check_shared(runs, keys):
    """Raises UsageError if the runs differ in one of these keys of their configs."""
    first = runs[0]
    for run, key in itertools.product(runs[1:], keys):
        if (value := run.value(key)) != first.value(key):
            raise UsageError(
                f"Runs must share {key}. Received: {first.value(key)!r} in {first.folder}, "
                f"{value!r} in {run.folder}"
            )


def columns(runs, taken=(), key="variant"):
    """The runs' names in tables: their variants, or their folders if two share a variant.

    Args:
        runs: FinishedRun each.
        taken: Names that mean something else in the table.
        key: Key of the config that says the variant.
    """
    variants = [run.value(key) for run in runs]
    folders = [run.folder.resolve().name for run in runs]
    if len(set(variants)) == len(runs):
        return variants
    clear = len(set(folders)) == len(runs) and not set(folders) & set(taken)
    return folders if clear else [str(run.folder) for run in runs]
