"""What a training step takes.

    python -m benchmarks train_step --system synthesis               beside PyTorch, and the limit
    python -m benchmarks train_step --system synthesis --growth      against batch, size, AUs
    python -m benchmarks train_step --system synthesis --steady      retracing, memory in 500 steps
    python -m benchmarks train_step --system synthesis --profile DIR which operations take the time
    python -m benchmarks train_step --system synthesis --switches    mixed precision, XLA, and so on
    python -m benchmarks train_step --system magnification --algorithm   what sharing fakes saves
    python -m benchmarks train_step --system synthesis --algorithm   windows against whole faces

Without another word our step and our answer are timed beside the same system written plainly in
PyTorch (`beside.py`), at the sizes of the paper's config and of the quickstart's.
"""

import argparse
import importlib.util
import os
import sys
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import devices
from benchmarks.charts import draw_bars, draw_growth
from benchmarks.results import add_out, save

SYSTEMS = ("restoration", "recognition", "magnification", "regeneration", "synthesis")
WITH_ALGORITHM = ("magnification", "synthesis")
SIZES = {"paper": ("paper",), "quickstart": ("quickstart",), "both": ("paper", "quickstart")}


def make_parser():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks train_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--growth",
        action="store_true",
        help="time and memory against the batch, the size, and what else the system grows with",
    )
    kinds.add_argument(
        "--steady",
        action="store_true",
        help="how often steps are traced, and the memory held over 500 of them",
    )
    kinds.add_argument(
        "--profile", metavar="DIR", help="profile ten steps into DIR, and print what takes the time"
    )
    kinds.add_argument(
        "--switches",
        action="store_true",
        help="mixed precision, XLA, several steps an execution and accumulation",
    )
    kinds.add_argument(
        "--algorithm",
        action="store_true",
        help="the step as its paper writes it: magnification's Algorithm 1, synthesis' whole faces",
    )
    parser.add_argument(
        "--size",
        choices=sorted(SIZES),
        help="whose config (default: both beside PyTorch, else quickstart)",
    )
    parser.add_argument("--turns", type=int, default=10, help="timed turns of each rival")
    parser.add_argument("--jit_compile", action="store_true", help="compile our steps with XLA")
    devices.add_device(parser)
    add_out(parser)
    return parser


def main(arguments=None):
    """Measures, prints the tables, writes the figures and their chart."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    kind = next(
        (k for k in ("growth", "steady", "profile", "switches", "algorithm") if getattr(args, k)),
        "beside",
    )
    if args.turns < 1:
        parser.error("--turns must be at least 1")
    if kind == "algorithm" and args.system not in WITH_ALGORITHM:
        parser.error(f"--algorithm is of {' and '.join(WITH_ALGORITHM)}")
    if kind == "algorithm" and args.size:
        parser.error("--algorithm has sizes of its own")
    if kind == "switches" and args.jit_compile:
        parser.error("--jit_compile is one of the --switches")
    if kind == "beside" and importlib.util.find_spec("torch") is None:
        return devices.stop(
            "PyTorch is not installed: pip install torch (the extra [bench]); --growth, --steady, "
            "--profile, --switches and --algorithm do without"
        )
    devices.choose(args.device)
    sizes = SIZES[args.size or ("both" if kind == "beside" else "quickstart")]
    cases, draw = KINDS[kind](args, sizes)
    name = f"train_step_{args.system}" + (f"_{kind}" if kind != "beside" else "")
    content = {"system": args.system, "kind": kind, "jit_compile": args.jit_compile, "cases": cases}
    save(args.out, name, content, draw)
    return 0


def _beside(args, sizes):
    from benchmarks import beside

    cases = beside.measure(args.system, sizes, args.turns, jit_compile=args.jit_compile)
    title = f"{args.system}: ours beside PyTorch"
    return cases, partial(draw_bars, beside.bars(cases), title=title)


def _growth(args, sizes):
    from benchmarks import growth

    cases = growth.measure(args.system, sizes, args.turns, jit_compile=args.jit_compile)
    title = f"{args.system}: what a training step grows with"
    return cases, partial(draw_growth, growth.panels(cases), title=title)


def _steady(args, sizes):
    from benchmarks import steady

    cases = steady.measure(args.system, sizes, jit_compile=args.jit_compile)
    return cases, partial(steady.draw, cases, title=f"{args.system}: memory over the steps")


def _profile(args, sizes):
    from benchmarks import profiles

    cases = profiles.measure(args.system, sizes, args.profile, jit_compile=args.jit_compile)
    title = f"{args.system}: what takes the time of a training step"
    return cases, partial(draw_bars, profiles.bars(cases), title=title)


def _switches(args, sizes):
    from benchmarks import switches

    cases = [each for size in sizes for each in switches.measure(args.system, args.turns, size)]
    title = f"{args.system}: a training step under each speed switch"
    return cases, partial(draw_bars, switches.bars(cases), title=title)


def _algorithm(args, sizes):
    from benchmarks import algorithm, regional_step

    module = {"magnification": algorithm, "synthesis": regional_step}[args.system]
    cases = module.measure(args.turns, args.jit_compile)
    title = f"{args.system}: our step beside the algorithm's own"
    return cases, partial(draw_bars, module.bars(cases), title=title)


KINDS = {
    "beside": _beside,
    "growth": _growth,
    "steady": _steady,
    "profile": _profile,
    "switches": _switches,
    "algorithm": _algorithm,
}

if __name__ == "__main__":
    sys.exit(main())
