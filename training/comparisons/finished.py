"""A training run that ended: its folder, its config, and what runs of one table must share."""

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path

from configuration import UsageError
from run import read_run_config


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


def check_shared(runs, keys):
    """Raises UsageError if the runs differ in one of these keys of their configs."""
    first = runs[0]
    for run, key in itertools.product(runs[1:], keys):
        if (value := run.value(key)) != first.value(key):
            raise UsageError(
                f"Runs must share {key}. Received: {first.value(key)!r} in {first.folder}, "
                f"{value!r} in {run.folder}"
            )


def columns(runs, taken=()):
    """The runs' names in tables: their variants, or their folders if two share a variant.

    Args:
        runs: FinishedRun each.
        taken: Names that mean something else in the table.
    """
    variants = [run.value("variant") for run in runs]
    folders = [run.folder.resolve().name for run in runs]
    if len(set(variants)) == len(runs):
        return variants
    clear = len(set(folders)) == len(runs) and not set(folders) & set(taken)
    return folders if clear else [str(run.folder) for run in runs]
