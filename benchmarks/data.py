"""How fast faces are drawn, sets are built and batches are made, beside what a step consumes.

    python -m benchmarks.data [--turns 12] [--data_dir DIR] [--out data.json]

Faces are drawn in a process that is held to one core. A set in BP4D's layout, with pictures of its
size, is built by one worker and by two in turns. The pipelines and the training step (the
quickstart's, on whatever device TensorFlow has) take turns too, each with all cores.
"""

import argparse
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import yaml

from benchmarks.measure import Timings, table, write_json

SIZE, BATCH, SEED = 128, 8, 0
DATASET = "synthetic_faces/frames_small"
CONFIG = Path(__file__).parents[1] / "training/configs/restoration/quickstart.yaml"
START_UP, BATCHES_A_TURN = 8, 64
BUILT_PEOPLE, BUILT_FRAMES, BUILT_SCALE = ("F001", "F002", "M001"), 80, 8
WORKERS = (1, 2)
TARGETS = {"faces_per_second": 200, "batches_over_steps": 5.0}
"""What the project asks for, each at least."""


def draw_on_one_core(seconds, results):
    """Draws frames of one subject after another for a while; sends faces a second of each."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # before any library has started threads of its own
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
    process = context.Process(target=draw_on_one_core, args=(seconds, results))
    process.start()
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


def restoration_batches(source, cache=True):
    """The endless stream of restoration's training batches."""
    from tfface.data.pipeline import training_stream
    from tfface.restoration.data import RestorationTransform

    return training_stream(
        source,
        source.splits,
        batch_size=BATCH,
        size=SIZE,
        transform=RestorationTransform(flip=True),
        seed=SEED,
        cache=cache,
    )


def seconds_a_batch(stream):
    """Reads a stream for a while from its beginning; how long each batch took.

    Every measurement has an iterator of its own, so that no batches have been made in advance while
    something else was measured. The first few, when queues and shuffle buffer fill, do not count.
    """
    batches = iter(stream.take(START_UP + BATCHES_A_TURN))
    for _ in range(START_UP):
        next(batches)
    began = time.perf_counter()
    for _ in batches:
        pass
    return (time.perf_counter() - began) / BATCHES_A_TURN


def training_step(source):
    """A function that trains the quickstart's networks for a while; how long each step took."""
    import keras
    import tensorflow as tf

    from tfface.restoration.model import ExpressionRestorer
    from tfface.restoration.networks import (
        ActionUnitClassifier,
        RestorationDiscriminator,
        RestorationGenerator,
    )

    config = yaml.safe_load(CONFIG.read_text())
    classifier = ActionUnitClassifier(source.action_units, SIZE, **config["classifier"])
    model = ExpressionRestorer(
        RestorationGenerator(SIZE // 8, **config["generator"]),
        RestorationDiscriminator(SIZE, **config["discriminator"]),
        classifier,
        classifier.feature_extractor(),
        **config["loss"],
    )
    model.compile({name: keras.optimizers.Adam(1e-4) for name in ("generator", "discriminator")})
    model.make_train_function()
    # One batch again and again: the step's own time, with no pipeline at work beside it.
    batch = next(iter(restoration_batches(source)))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    steps = len(model.turns)

    def seconds_a_step():
        began = time.perf_counter()
        for _ in range(steps):  # as many as have one step of the discriminator among them
            logs = model.train_function(batches)
        for log in logs.values():
            float(log)  # waits until the device is done
        return (time.perf_counter() - began) / steps

    seconds_a_step()  # traces
    return seconds_a_step


def measure(args):
    """Runs everything; returns the figures."""
    from tfface.data.pipeline import open_source

    on_clock, on_core = drawing_speed(args.seconds)
    building, pictures = building_turns(args.builds)
    source = open_source(DATASET, data_dir=args.data_dir)
    began = time.perf_counter()
    from_memory = restoration_batches(source)
    loading = time.perf_counter() - began
    from_files = restoration_batches(source, cache=False)
    seconds_a_step = training_step(source)
    seconds = {"memory": [], "files": [], "step": []}
    for _ in range(args.turns):
        seconds["memory"].append(seconds_a_batch(from_memory))
        seconds["files"].append(seconds_a_batch(from_files))
        seconds["step"].append(seconds_a_step())
    times = Timings(seconds)
    return {
        "faces_per_second": on_clock,
        "faces_per_core_second": on_core,
        "built_per_second": {workers: pictures / building.median(workers) for workers in WORKERS},
        "built_by_two_over_one": building.ratio(*WORKERS),
        "faces": source.count(source.splits),
        "loading_seconds": loading,
        "batches_per_second": {name: 1 / times.median(name) for name in ("memory", "files")},
        "steps_per_second": 1 / times.median("step"),
        "batches_over_steps": {name: times.ratio("step", name) for name in ("memory", "files")},
    }


def report(figures):
    """The figures as Markdown."""
    batches, ratios = figures["batches_per_second"], figures["batches_over_steps"]
    rows = [
        [
            f"synthetic faces a second, one core, {SIZE}x{SIZE}",
            f"{figures['faces_per_second']:.0f}",
            f"at least {TARGETS['faces_per_second']}",
        ],
        [
            "the same, a second of the core's own time",
            f"{figures['faces_per_core_second']:.0f}",
            "",
        ],
        *(
            [f"pictures of a BP4D-like set built a second, workers: {workers}", f"{speed:.0f}", ""]
            for workers, speed in figures["built_per_second"].items()
        ),
        ["two workers over one", f"{figures['built_by_two_over_one']:.2f}", ""],
        [f"batches a second, faces in memory, batch {BATCH}", f"{batches['memory']:.0f}", ""],
        ["batches a second, read from files", f"{batches['files']:.0f}", ""],
        ["training steps a second, quickstart", f"{figures['steps_per_second']:.2f}", ""],
        [
            "batches for each step, faces in memory",
            f"{ratios['memory']:.1f}",
            f"at least {TARGETS['batches_over_steps']:.0f}",
        ],
        [
            "batches for each step, read from files",
            f"{ratios['files']:.1f}",
            f"at least {TARGETS['batches_over_steps']:.0f}",
        ],
        [
            f"seconds to load {figures['faces']} faces into memory",
            f"{figures['loading_seconds']:.1f}",
            "",
        ],
    ]
    return table(["what", "measured", "target"], rows)


def main(arguments=None):
    """Measures, prints the table and, where asked, writes it."""
    parser = argparse.ArgumentParser(prog="benchmarks.data", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=12, help="timed turns of each rival")
    parser.add_argument("--seconds", type=float, default=15, help="how long faces are drawn")
    parser.add_argument("--builds", type=int, default=5, help="builds with each number of workers")
    parser.add_argument("--data_dir", help="where prepared data sets live")
    parser.add_argument("--out", help="JSON file to write the figures to; the table goes beside it")
    args = parser.parse_args(arguments)

    figures = measure(args)
    print(report(figures))
    if args.out:
        import tensorflow as tf

        device = tf.config.list_physical_devices("GPU")
        machine = f"{platform.machine()}, {os.cpu_count()} cores, {len(device)} GPUs"
        content = {**figures, "versions": {"tensorflow": tf.__version__}, "machine": machine}
        write_json(args.out, content)
        Path(args.out).with_suffix(".md").write_text(report(figures) + "\n")


if __name__ == "__main__":
    main()
