"""All benchmarks as one program: `python -m benchmarks`."""

import argparse
import importlib
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

BENCHMARKS = ("layers", "data", "train_step", "inference", "quality")

HELP = """\
How fast tfface is, and how good, beside what you would use instead.

  layers       patch graphs beside plain convolutions and beside the obvious loop; a minute
  data         how fast faces are drawn and sets are built; with --system whether batches come
               faster than training takes them; minutes
  train_step   a system's training step and answer beside the same in PyTorch, its share of what
               this machine can do, what it grows with, what takes its time; minutes at the
               quickstart's sizes, longer at the paper's
  inference    exported models: videos, many faces, SavedModel and LiteRT beside Keras; minutes
  quality      what the papers claim, trained several times and measured; hours

Begin with these; each prints a table, and writes its figures and a chart to runs/benchmarks/:

  python -m benchmarks layers
  python -m benchmarks train_step --system recognition --size quickstart
  python -m benchmarks data --system recognition --size quickstart

Systems: restoration, recognition, magnification, regeneration, synthesis. What a benchmark can
be told says its own help: python -m benchmarks train_step --help. On a machine with other work
only ratios count: rivals take turns in one run. PyTorch is the extra [bench]: pip install torch.
What was measured, on what, and by which command: benchmarks/README.md.
"""


def main(arguments=None):
    """Runs the benchmark that the first word names, or prints what there is.

    Args:
        arguments: Command line without the program; None is the process's own.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", add_help=False)
    parser.usage = f"python -m benchmarks {{{'|'.join(BENCHMARKS)}}} [--help] ..."
    parser.add_argument("benchmark", nargs="?", choices=BENCHMARKS)
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0
    name = parser.parse_args(arguments[:1]).benchmark
    return importlib.import_module(f"benchmarks.{name}").main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
