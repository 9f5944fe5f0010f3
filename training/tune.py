"""Searches a system's loss weights: --system NAME --help lists its script's flags too.

Each trial is a run of the training script with other weights, in <out>/trials/. The config's own
weights are the first. Trials are judged by people that the config's protocol keeps for validation,
or by some of its training people (data.protocol tuning:...), never by those who test. The same
command goes on where it was stopped. With KERASTUNER_TUNER_ID (chief, or a worker's own name),
KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT in the environment, several processes share the
trials: one of them, the chief, gives them out. A worker that was killed goes on under its name.
"""

import importlib
import os
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Literal

from tfface.commands.startup import load_tensorflow

load_tensorflow(wake=False)  # before the imports below load it with all that it has to say

import yaml
from configuration import UsageError, add_keys, make_parser, read_config
from devices import in_cluster
from jsonargparse.typing import PositiveInt, restricted_number_type
from process import attempt
from run import flatten
from tuning.cluster import answered, ask_chief, read_place, serve
from tuning.oracles import make_oracle
from tuning.results import Results
from tuning.space import SYSTEMS, check_one_run, ranges_of
from tuning.trials import TrialRunner, run_trials

from tfface.atomic import alone_in, written_aside

AboveOne = restricted_number_type("AboveOne", float, [(">", 1)], docstring="Above 1")

EXTENDABLE = {"out", "trials", "apply", "export_dir"}
"""Keys that may differ when a search goes on."""


@dataclass(kw_only=True)
class SearchConfig:
    """What is searched, and how."""

    system: Literal[tuple(SYSTEMS)]
    """Whose loss weights."""
    tuner: Literal["bayesian", "hyperband", "random"] = "bayesian"
    """Who proposes weights. hyperband trains many for a few epochs and goes on with the best."""
    trials: PositiveInt = 20
    """How many trials there shall be, that of the config's own weights included; may be raised when
    a search goes on."""
    weights: str | None = None
    """Names of the weights, such as adversarial_weight,expression_weight; null is all that play a
    part and are not 0."""
    range: AboveOne = 30.0
    """Weights are looked for from the config's own divided by this to the own times this."""
    apply: str | None = None
    """Write the config with the best weights to this file; null writes none."""


def tune(search, config):
    """The whole job, in whichever place this process has.

    Args:
        search: Values of SearchConfig.
        config: The system's config.
    """
    place = read_place(os.environ)
    system = SYSTEMS[search.system]
    check(search, config)
    ranges = ranges_of(search.system, config, search.weights, search.range)
    oracle = make_oracle(
        search.tuner, ranges, system.direction, search.trials, config.seed, config.training.epochs
    )
    script = importlib.import_module(search.system)
    runner = TrialRunner(script.train, config, system, list(ranges))
    folder = Path(config.out)
    if place and not place.is_chief:
        with answered(place):
            chief = ask_chief(oracle, place)
            if not check_folder(folder, search, config):
                raise UsageError(f"every worker must see the chief's folder. Received: {folder}")
            run_trials(chief, place.name, runner)
        print(f"{place.name}: no more trials", flush=True)
        return
    with alone_in(folder, partial(_refuse, folder)):
        if not check_folder(folder, search, config):
            with written_aside(folder / "search.yaml") as aside:
                aside.write_text(yaml.safe_dump(described(search, config), sort_keys=False))
        oracle.open(folder)
        say_space(ranges, search, system)

        def write():
            Results(oracle, config, system, ranges).write()

        if place:
            serve(oracle, place, write)
        else:
            run_trials(oracle, "alone", runner, write)
        report(Results(oracle, config, system, ranges), search.apply)


def check(search, config):
    """Raises UsageError if a trial cannot be one run in this process, or `apply` no file."""
    check_one_run(search.system, config)
    if config.strategy == "multi_worker" or (config.strategy == "auto" and in_cluster()):
        raise UsageError("a trial runs in one process: strategy must not be multi_worker")
    if search.apply and Path(search.apply).is_dir():
        raise UsageError(f"apply must be a file. Received: the folder {search.apply}")


def described(search, config):
    """What a search is, as `search.yaml` holds it."""
    return {**vars(search), **config.as_dict()}


def check_folder(folder, search, config):
    """Whether the folder holds this search.

    Raises:
        UsageError: If it holds another, or a run.
    """
    path = folder / "search.yaml"
    if not path.exists():
        if (folder / "config.yaml").exists():
            raise UsageError(f"{folder} holds a run, not a search; name another --out")
        return False
    before, now = flatten(yaml.safe_load(path.read_text())), flatten(described(search, config))
    for key in sorted((before.keys() | now.keys()) - EXTENDABLE):
        if before.get(key) != now.get(key):
            raise UsageError(
                f"{folder} holds a search with {key}={before.get(key)!r}, not {now.get(key)!r}; "
                "name another --out"
            )
    return True


def say_space(ranges, search, system):
    """Says what is searched."""
    for name, each in ranges.items():
        where = f"from {each.low:.3g} to {each.high:.3g}, own {each.own:.3g}"
        print(f"search: loss.{name} ({each.symbol}) {where}")
    goal = "highest" if system.direction == "max" else "lowest"
    print(f"search: {search.trials} trials, {search.tuner}; {goal} {system.figure}", flush=True)


def report(results, apply):
    """Writes and says what was found."""
    results.write()
    results.draw()
    print("\n".join(results.lines()))
    print(f"search: table and picture in {results.folder}/trials.csv, .md and .png")
    if apply:
        results.apply(apply)
        print(f"search: the config with the best weights is {apply}")


def _refuse(folder):
    raise UsageError(
        f"{folder}: another process searches there; for several set KERASTUNER_TUNER_ID and its kin"
    )


def search_parser(system):
    """The parser of a search's keys and of the system's own; None for those of a search alone."""
    parser = make_parser(__doc__, {"": SearchConfig})
    groups = importlib.import_module(system).GROUPS if system else {}
    for prefix, group in groups.items():
        add_keys(parser, prefix, group)
    return parser


def main(argv):
    """Reads the command line of the system that it names, and searches."""
    finder = ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--system", nargs="?")
    name = finder.parse_known_args(argv)[0].system
    parser = search_parser(name if name in SYSTEMS else None)
    if name not in SYSTEMS and not {"-h", "--help"} & set(argv):
        parser.error(f"--system must be one of {', '.join(SYSTEMS)}. Received: {name}")
    config = read_config(parser, argv)
    search = Namespace(**{field.name: config.pop(field.name) for field in fields(SearchConfig)})
    return attempt(partial(tune, search), config)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
