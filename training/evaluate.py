"""Joins finished runs of one system into its paper's tables and figures.

Runs of restoration restore the same degraded test faces, judged by one AU classifier; runs of
recognition, magnification and regeneration are joined by their scores, those of recognition also
tested on all faces of another data set; runs of synthesis edit the same test faces, read by one AU
recognizer or by a detector from outside. The runs must have been made on the same data set,
protocol and fold.
"""

import importlib
import sys
from pathlib import Path

from tfface.commands.startup import load_tensorflow

load_tensorflow()  # before the imports below load it with all that it has to say

from comparisons.finished import FinishedRun
from configuration import Parser, UsageError
from process import attempt

SYSTEMS = ("magnification", "recognition", "regeneration", "restoration", "synthesis")

OUTSIDE = ("faces", "predictions")
"""Options of synthesis alone: what goes to a detector from outside, and what comes back."""


def compare(config):
    """The whole job."""
    runs = [FinishedRun.open(config.runs[0], SYSTEMS)]
    system = runs[0].config["system"]
    runs += [FinishedRun.open(folder, [system]) for folder in config.runs[1:]]
    if config.data_dir is not None and config.dataset is None:
        raise UsageError("--data_dir says where --dataset lies; there is no --dataset")
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UsageError("--runs must not name a folder twice")
    out = Path(config.out) if config.out else runs[0].folder.parent / "evaluation"
    out.mkdir(parents=True, exist_ok=True)
    comparison = importlib.import_module(f"comparisons.{system}")
    outside = {name: value for name in OUTSIDE if (value := getattr(config, name, None))}
    if outside and system != "synthesis":
        raise UsageError(f"--{' and --'.join(outside)} are for runs of synthesis")
    given = config.classifier, config.dataset, config.data_dir
    lines = comparison.compare(runs, out, *given, **outside)
    print("\n".join(lines))
    print(f"evaluation: tables and pictures in {out}")


if __name__ == "__main__":
    parser = Parser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="Run folders, in table order.")
    parser.add_argument("--out", help="Where tables and pictures go; evaluation/ beside the first.")
    parser.add_argument(
        "--classifier",
        help="Restoration: a classifier.keras; that of the first run with one. Synthesis: a "
        "recognizer.keras; that of the first run.",
    )
    parser.add_argument(
        "--dataset", help="Recognition: test on all faces of this prepared data set instead."
    )
    parser.add_argument("--data_dir", help="Recognition: where that data set lies.")
    parser.add_argument(
        "--faces", help="Synthesis: write real and synthetic test faces here, and score nothing."
    )
    parser.add_argument(
        "--predictions",
        nargs=2,
        metavar=("REAL.csv", "SYNTHESIS.csv"),
        help="Synthesis: score what another detector found in those faces, as OpenFace writes it.",
    )
    sys.exit(attempt(compare, parser.parse_args()))
