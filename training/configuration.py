"""The command line of every training script: keys, their meaning, and one-line errors."""

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jsonargparse
import tensorflow as tf


class UsageError(Exception):
    """What the user asked for cannot be: one line, exit code 2."""


class RunError(Exception):
    """The job failed: one line, exit code 1."""


@dataclass(kw_only=True)
class RunConfig:
    """What means the same in every training script."""

    out: str
    """Run folder. The same command again goes on where the run in it was stopped."""
    seed: int = 0
    """Seed of weights, order, draws and degradations."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Number format of the networks; losses and weights stay float32."""
    jit_compile: bool = False
    """Compile the training step with XLA."""
    strategy: Literal["auto", "single", "mirrored", "multi_worker"] = "auto"
    """Devices: auto takes multi_worker where TF_CONFIG is set, mirrored where there are several
    GPUs, else single."""
    steps_per_execution: int = 1
    """Training steps run by one call into TensorFlow."""
    deterministic: bool = False
    """Bit for bit the same result for the same seed, also after a stop; slower on a GPU."""
    export_dir: str | None = "savedmodels"
    """Where the finished model is exported as <export_dir>/<system>/<version>/; null exports
    nothing."""


@dataclass(kw_only=True)
class DataConfig:
    """The faces."""

    dataset: str = "synthetic_faces/frames_small"
    """Name of a prepared data set; synthetic_faces is made on the spot."""
    data_dir: str | None = None
    """Where prepared data sets lie; null is TensorFlow Datasets' own place."""
    manual_dir: str | None = None
    """The data set as its owner delivers it, if it has yet to be prepared."""
    protocol: str = "shares:0.7-0-0.3"
    """How subjects are dealt into training, validation and test: bp4d_3fold, disfa_3fold, kfold:K
    or shares:A-B-C."""
    fold: int = 0
    """Which fold of the protocol is the test."""
    cache: bool = True
    """Keep decoded faces in memory where they fit."""


@dataclass(kw_only=True)
class OptimizerConfig:
    """How long and how fast a network learns."""

    epochs: int = 10
    """Epochs."""
    steps_per_epoch: int | None = None
    """Steps of an epoch, after each of which there is a checkpoint and a sample; null is one pass
    over the data."""
    batch_size: int = 8
    """Faces in a (global) batch."""
    learning_rate: float = 1e-4
    """Step size of Adam."""


class _Parser(jsonargparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message, ex=None):
        sys.stderr.write(f"{self.prog}: error: {' '.join(str(message).split())} (see --help)\n")
        raise SystemExit(2)


def read_config(description, groups, argv=None):
    """Reads YAML and flags; a key that does not exist or a bad value is one line and exit code 2.

    The keys of a group are the arguments of its class: a network's constructor is itself the
    description of what can be configured, and nothing is written twice.

    Args:
        description: First lines of `--help`.
        groups: By prefix of the keys ("" for none): a class, or (class, names of arguments that are
            not the user's to give).
        argv: Command line without the program; None is the process's own.

    Returns:
        jsonargparse.Namespace: The values by key, nested by prefix.
    """
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = _Parser(prog=f"training/{Path(sys.argv[0]).name}", description=description)
    parser.add_argument("--config", action="config", help="YAML file; flags after it win over it.")
    for prefix, group in groups.items():
        cls, given = group if isinstance(group, tuple) else (group, ())
        skip = {*given, "dtype", "kwargs"} & set(inspect.signature(cls).parameters)
        parser.add_class_arguments(cls, prefix or None, as_group=bool(prefix), skip=skip)
    values = parser.parse_args(argv)
    del values["config"]
    return values


def main(description, groups, job, argv=None):
    """Runs a training script's job and turns what goes wrong into one line and an exit code.

    Args:
        description: First lines of `--help`.
        groups: As for `read_config`.
        job: Function of the config.
        argv: Command line without the program; None is the process's own.

    Returns:
        int: 0 done, 1 failed, 2 asked wrongly.
    """
    config = read_config(description, groups, argv)
    try:
        job(config)
    except UsageError as error:
        return _complain(error, 2)
    except (RunError, OSError, tf.errors.OpError) as error:
        return _complain(error, 1)
    return 0


def _complain(error, code):
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def asked(action, *args, **kwargs):
    """Calls `action`; what it refuses is the user's to mend, and becomes a UsageError."""
    try:
        return action(*args, **kwargs)
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(error) from error
