"""Joins finished restoration runs into the paper's Tables 1 to 3 and Figs. 4 and 5.

Every run restores the same degraded test faces, and one frozen AU classifier judges them all. The
runs must have been made on the same data set, protocol and fold.
"""

import functools
import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from tfface.commands.startup import load_tensorflow

load_tensorflow()  # before the imports below load it with all that it has to say

from configuration import Parser, UsageError, asked, attempt
from run import load_network, read_run_config

from tfface.atomic import written_aside
from tfface.data.folds import make_fold
from tfface.data.pipeline import evaluation_batches, open_source
from tfface.restoration.data import RestorationTransform
from tfface.restoration.evaluation import TITLES, draw_labels, evaluate
from tfface.restoration.networks import ActionUnitClassifier, RestorationGenerator

SHARED = ("data.dataset", "data.protocol", "data.fold", "generator.scale", "hidden_area")
"""Keys that must not differ between runs: which faces are restored, and from what."""


@dataclass(frozen=True)
class FinishedRun:
    """A restoration run that ended: its folder as the user named it, its config, its generator."""

    folder: Path
    config: dict
    generator: RestorationGenerator

    @classmethod
    def load(cls, folder):
        """Loads a run; UsageError if the folder holds none, or it has not ended."""
        config = read_run_config(folder)
        if config["system"] != "restoration":
            raise UsageError(f"{folder} holds a run of {config['system']}, not of restoration")
        if not (folder / "summary.json").is_file():
            raise UsageError(f"{folder} is not finished; run its training command again")
        network = load_network(folder / "generator.keras", RestorationGenerator)
        return cls(folder, config, network)

    def value(self, key):
        """A value of the config, by its key with dots."""
        try:
            return functools.reduce(lambda values, name: values[name], key.split("."), self.config)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{self.folder}/config.yaml has no {key}") from error


def compare(config):
    """The whole job."""
    out = Path(config.out) if config.out else Path(config.runs[0]).parent / "evaluation"
    out.mkdir(parents=True, exist_ok=True)
    runs = [FinishedRun.load(Path(folder)) for folder in config.runs]
    first = runs[0]
    for run, key in itertools.product(runs[1:], SHARED):
        if (value := run.value(key)) != first.value(key):
            raise UsageError(
                f"Runs must share {key}. Received: {first.value(key)!r} in {first.folder}, "
                f"{value!r} in {run.folder}"
            )
    data = first.value("data")
    source = asked(open_source, data["dataset"], data["data_dir"], data["manual_dir"])
    fold = asked(make_fold, source, data["protocol"], data["fold"])
    path, classifier = find_classifier(config, runs, source)
    judge = f"action units by {path}" if path else "no action units"
    print(f"evaluation: {source.count(fold.test)} test faces, {judge}", flush=True)
    transform = RestorationTransform(first.value("generator.scale"), first.value("hidden_area"))
    batches = evaluation_batches(
        source,
        fold.test,
        batch_size=first.value("training.batch_size"),  # so that it sees the faces of its own table
        size=first.generator.output_shape[1],
        transform=transform,
        seed=first.value("seed"),
    )
    named = dict(zip(columns(runs), runs, strict=True))
    evaluation = evaluate(
        {name: run.generator for name, run in named.items()},
        classifier,
        batches,
        source.count(fold.test),
        source.action_units,
    )
    evaluation.write(out)
    draw_labels(source, fold, out / "labels.png")
    with written_aside(out / "comparison.json") as aside:
        content = {
            "runs": {name: str(run.folder) for name, run in named.items()},
            "classifier": path and str(path),
            "data": {key: data[key] for key in ("dataset", "protocol", "fold")},
            "test_faces": evaluation.faces,
            "metrics": evaluation.metrics(),
        }
        aside.write_text(json.dumps(content, indent=2) + "\n")
    print("\n".join(evaluation.quality_lines()))
    print(f"evaluation: tables and pictures in {out}")


def find_classifier(config, runs, source):
    """The path and the network of the classifier that judges; None twice where there is none."""
    places = [r.value("classifier_training.path") or r.folder / "classifier.keras" for r in runs]
    path = config.classifier or next((path for path in places if Path(path).is_file()), None)
    if path is None or not source.action_units:
        return None, None
    return path, load_network(path, ActionUnitClassifier)


def columns(runs):
    """The runs' names in tables: their variants, or their folders if two share a variant."""
    variants = [run.value("variant") for run in runs]
    folders = [run.folder.resolve().name for run in runs]
    if len(set(variants)) == len(runs):
        return variants
    clear = len(set(folders)) == len(runs) and not set(folders) & set(TITLES)
    return folders if clear else [str(run.folder) for run in runs]


if __name__ == "__main__":
    parser = Parser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="Run folders, in table order.")
    parser.add_argument("--out", help="Where tables and pictures go; evaluation/ beside the first.")
    parser.add_argument("--classifier", help="A classifier.keras; that of the first run with one.")
    sys.exit(attempt(compare, parser.parse_args()))
