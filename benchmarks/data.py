"""How fast faces are drawn and sets are built, and whether batches come faster than steps take.

    python -m benchmarks data [--turns 5]
    python -m benchmarks data --system recognition [--turns 12] [--size paper]

Without a system: faces are drawn in a process that is held to one core, and a set in BP4D's layout,
with pictures of its size, is built by one worker and by two in turns. With one: its own stream of
batches, from memory and from files, against its training steps (`pipelines.py`).
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import devices
from benchmarks.charts import Bars, draw_bars
from benchmarks.measure import Timings, table
from benchmarks.results import add_out, save
from benchmarks.train_step import SIZES, SYSTEMS

SIZE, SEED, SECONDS = 128, 0, 15
BUILT_PEOPLE, BUILT_FRAMES, BUILT_SCALE = ("F001", "F002", "M001"), 80, 8
WORKERS = (1, 2)
TARGET = 200
"""Faces a second that one core is to draw, at least."""


def draw(seconds, results):
    """Draws frames of one subject after another for a while; sends faces a second of each."""
    from tfface.data import synthetic

    rates, end = [], time.perf_counter() + seconds
    list(synthetic.frames(SEED, "warm-up", 10, SIZE))
    while time.perf_counter() < end:
        wall, busy = time.perf_counter(), time.process_time()
        faces = len(list(synthetic.frames(SEED, f"subject {len(rates)}", 40, SIZE)))
        rates.append((faces / (time.perf_counter() - wall), faces / (time.process_time() - busy)))
    results.put(rates)


def drawing_speed(seconds):
    """Faces a second on one core: by the clock, and by the core's time spent on them."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=draw, args=(seconds, results))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # It is born to one core, before it has any threads.
    try:
        process.start()
    finally:
        os.sched_setaffinity(0, cores)
    rates = results.get(timeout=seconds + 120)
    process.join()
    return tuple(statistics.median(rate) for rate in zip(*rates, strict=True))


def building_turns(turns):
    """Builds a set in BP4D's layout with each number of workers; the seconds and its pictures.

    Its pictures are 960 x 1280 (BP4D's own are 1040 x 1392), come with landmarks and are all kept.
    """
    from tests.layouts import bp4d
    from tfface.data.datasets.prepare import prepare

    seconds = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as folder:
        delivered, prepared = Path(folder, "delivered"), Path(folder, "prepared")
        bp4d.make(
            delivered, BUILT_PEOPLE, ("T2",), frames=BUILT_FRAMES, uncoded=0, scale=BUILT_SCALE
        )
        for _ in range(turns):
            for workers in WORKERS:
                began = time.perf_counter()
                report = prepare("bp4d", delivered, prepared, overwrite=True, workers=workers)
                seconds[workers].append(time.perf_counter() - began)
    return Timings(seconds), report["kept"]


def measure(turns):
    """Draws and builds; returns the figures."""
    on_clock, on_core = drawing_speed(SECONDS)
    building, pictures = building_turns(turns)
    return {
        "faces_per_second": on_clock,
        "faces_per_core_second": on_core,
        "built_per_second": {workers: pictures / building.median(workers) for workers in WORKERS},
        "built_by_two_over_one": building.ratio(*WORKERS),
    }


def report(figures):
    """The figures as Markdown."""
    built = figures["built_per_second"].items()
    rows = [
        [
            f"synthetic faces a second, one core, {SIZE}x{SIZE}",
            f"{figures['faces_per_second']:.0f}",
            f"at least {TARGET}",
        ],
        ["a second of the core's own time", f"{figures['faces_per_core_second']:.0f}", ""],
        *(
            [f"pictures of a BP4D-like set built a second, workers: {workers}", f"{speed:.0f}", ""]
            for workers, speed in built
        ),
        ["two workers over one", f"{figures['built_by_two_over_one']:.2f}", ""],
    ]
    return table(["what", "measured", "target"], rows)


def bars(figures):
    """The figures as panels of a chart."""
    drawn = {
        "by the clock": figures["faces_per_second"],
        "by the core's own time": figures["faces_per_core_second"],
    }
    built = {f"workers: {workers}": speed for workers, speed in figures["built_per_second"].items()}
    return [
        Bars(f"drawn faces, {SIZE}x{SIZE}, one core", "faces a second", drawn, target=TARGET),
        Bars("a set in BP4D's layout", "pictures built a second", built),
    ]


def main(arguments=None):
    """Measures, prints the table, writes the figures and their chart."""
    parser = argparse.ArgumentParser(
        prog="benchmarks data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--system", choices=SYSTEMS, help="whose batches; default: none's")
    parser.add_argument(
        "--size", choices=sorted(SIZES), default="both", help="whose config; default: both"
    )
    parser.add_argument(
        "--turns",
        type=int,
        help="timed turns of each rival (default: 12, or 5 builds with each number of workers)",
    )
    parser.add_argument("--data_dir", help="where prepared data sets live")
    devices.add_device(parser)
    add_out(parser)
    args = parser.parse_args(arguments)
    if args.turns is not None and args.turns < 1:
        parser.error("--turns must be at least 1")
    devices.choose(args.device)
    if args.system:
        return feed(args)
    figures = measure(args.turns or 5)
    print(report(figures))
    title = "Drawing faces and building sets"
    save(args.out, "data", figures, partial(draw_bars, bars(figures), title=title))
    return 0


def feed(args):
    """Times a system's batches beside its steps."""
    import absl.logging
    import tensorflow as tf

    from benchmarks import pipelines

    # TensorFlow Datasets uses what others have come to call old.
    tf.get_logger().setLevel("ERROR")
    absl.logging.set_verbosity(absl.logging.ERROR)
    cases = pipelines.measure(args.system, SIZES[args.size], args.turns or 12, args.data_dir)
    content = {"system": args.system, "cases": cases}
    title = f"{args.system}: batches beside steps"
    draw = partial(draw_bars, pipelines.bars(cases), title=title)
    save(args.out, f"data_{args.system}", content, draw)
    return 0


if __name__ == "__main__":
    sys.exit(main())
