"""The configuration of every training script: keys, their meaning, and one-line errors."""

import inspect
import sys
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jsonargparse
from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
    restricted_number_type,
)

Seed = restricted_number_type("Seed", int, [(">=", 0), ("<", 2**31)], docstring="A 31-bit number")


class UsageError(Exception):
    """What the user asked for cannot be: one line, exit code 2."""


class RunError(Exception):
    """The job failed: one line, exit code 1."""


@dataclass(kw_only=True)
class RunConfig:
    """What means the same in every training script."""

    out: str
    """Run folder. The same command again goes on where the run in it was stopped."""
    seed: Seed = 0
    """Seed of weights, order, draws and degradations."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Number format of the networks; losses and weights stay float32."""
    jit_compile: bool = False
    """Compile the training step with XLA; on one device only."""
    strategy: Literal["auto", "single", "mirrored", "multi_worker"] = "auto"
    """Devices: auto takes multi_worker where TF_CONFIG is set or SLURM started several tasks,
    mirrored where there are several GPUs, else single."""
    steps_per_execution: PositiveInt = 1
    """Training steps run by one call into TensorFlow; must divide the steps of an epoch."""
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
    """How subjects are dealt into training, validation and test: bp4d_3fold, bp4d_development,
    disfa_3fold, kfold:K, shares:A-B-C, or own for a set that comes dealt; tuning:PROTOCOL tests on
    some of PROTOCOL's training people instead."""
    fold: NonNegativeInt = 0
    """Which fold of the protocol is the test."""
    cache: bool = True
    """Keep decoded faces in memory where they fit."""


@dataclass(kw_only=True)
class OptimizerConfig:
    """How long and how fast a network learns."""

    epochs: PositiveInt = 10
    """Epochs."""
    steps_per_epoch: PositiveInt | None = None
    """Steps of an epoch, after each of which there is a checkpoint and a sample; null is one pass
    over the data."""
    batch_size: PositiveInt = 8
    """Faces in a (global) batch."""
    accumulate: PositiveInt = 1
    """Batches whose mean gradient makes one update, where one as large does not fit in memory; must
    divide the steps of an epoch."""
    learning_rate: PositiveFloat = 1e-4
    """Learning rate of the first epoch."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """sgd is stochastic gradient descent with momentum."""
    momentum: ClosedUnitInterval = 0.9
    """Of sgd."""
    weight_decay: NonNegativeFloat = 0.0
    """Share of each weight that a step takes away, times the learning rate."""
    decay: OpenUnitInterval = 0.1
    """What the learning rate is multiplied by, where one of the next two says when."""
    decay_every: PositiveInt | None = None
    """Epochs after which the learning rate falls, again and again."""
    decay_stalled: PositiveInt | None = None
    """Epochs without a lower training loss after which the learning rate falls."""
    least_rate: NonNegativeFloat = 0.0
    """What the learning rate does not fall below."""


class Parser(jsonargparse.ArgumentParser):
    """A parser that is named after the script and whose errors are one line."""

    def __init__(self, **kwargs):
        defaults = {"prog": f"training/{Path(sys.argv[0]).name}", "allow_abbrev": False}
        super().__init__(**{**defaults, **kwargs})
        self.key_groups, self.never_null = [], set()

    def error(self, message, ex=None):
        sys.stderr.write(f"{self.prog}: error: {' '.join(str(message).split())} (see --help)\n")
        raise SystemExit(2)


def make_parser(description, groups):
    """The parser of a training script's flags and YAML files.

    The keys of a group are the arguments of its class: a network's constructor is itself the
    description of what can be configured, and nothing is written twice.

    Args:
        description: First lines of `--help`.
        groups: By prefix of the keys ("" for none): a class, or (class, names of arguments that are
            not the user's to give).

    Returns:
        Parser.
    """
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = Parser(description=description)
    parser.add_argument("--config", action="config", help="YAML file; flags after it win over it.")
    for prefix, group in groups.items():
        add_keys(parser, prefix, group)
    return parser


def add_keys(parser, prefix, group):
    """Adds one of `make_parser`'s groups to a parser."""
    cls, given = group if isinstance(group, tuple) else (group, ())
    skip = {*given, "dtype", "kwargs"} & set(inspect.signature(cls).parameters)
    parser.add_class_arguments(cls, prefix or None, as_group=bool(prefix), skip=skip)
    hints = typing.get_type_hints(cls.__init__)
    parser.never_null |= {
        f"{prefix}.{name}".lstrip(".")
        for name, hint in hints.items()
        if type(None) not in (hint, *typing.get_args(hint))
    }
    parser.key_groups += [prefix] if prefix else []


def read_config(parser, argv=None):
    """Reads YAML and flags; a key that does not exist or a bad value is one line and exit code 2.

    Args:
        parser: From `make_parser`.
        argv: Command line without the program; None is the process's own.

    Returns:
        jsonargparse.Namespace: The values by key, nested by prefix.
    """
    values = parser.parse_args(argv)
    del values["config"]
    # jsonargparse takes anything for a whole group, and null for every key.
    for prefix in parser.key_groups:
        if not isinstance(values[prefix], jsonargparse.Namespace):
            parser.error(f'Key "{prefix}" must hold keys of its own. Got value: {values[prefix]}')
    for key, value in list(values.items()):
        if value is None and key in parser.never_null:
            parser.error(f'Key "{key}" must have a value. Got value: null')
        # YAML knows no tuples: a run's own config must be equal to what it was made from.
        several = isinstance(value, (list, tuple))
        values[key] = [_plain(v) for v in value] if several else _plain(value)
    return values


def _plain(value):
    """A checked number, which has a type of its own, as a number that YAML and Keras can write."""
    for plain in (int, float):
        if isinstance(value, plain) and not isinstance(value, bool):
            return plain(value)
    return value


def asked(action, *args, **kwargs):
    """Calls `action`; what it refuses is the user's to mend, and becomes a UsageError."""
    try:
        return action(*args, **kwargs)
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(error) from error
