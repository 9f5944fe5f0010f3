"""Batches beside steps: `benchmarks data --system NAME`.

Every system's own stream of training batches, as its script makes it, against the steps that it
feeds. The faces are drawn ones, those of the quickstart; how they are cut, changed and joined to
batches is what the config says whose sizes are asked for. Stream and step take turns, each with all
cores.
"""

import time

from benchmarks.charts import Bars, number
from benchmarks.measure import Timings, table
from benchmarks.models import make_case, make_stepper, read_config
from tfface.data.folds import make_fold
from tfface.data.pipeline import open_source, training_stream

START_UP = 8
"""Batches that are made before any is timed: queues and shuffle buffers fill."""

BATCHES = {"quickstart": 64, "paper": 16}
"""Batches of a turn."""

TARGETS = {"quickstart": 5.0, "paper": 2.0}
"""How many batches are to be made in the time of a step, at least."""

SOURCES = {"memory": True, "files": False}
"""Where the faces are read from, and whether the stream may keep them in memory."""


def measure(system, sizes, turns, data_dir=None, **making):
    """Times batches and steps and prints the table.

    Args:
        system: Its name.
        sizes: Configs whose sizes are taken, of those in `TARGETS`.
        turns: Timed turns of each.
        data_dir: As `open_faces` takes it.
        **making: What else `make_case` takes for the model that steps.

    Returns:
        List of one dict a size: its name, batches a second from memory and from files, steps a
        second, and how many batches are made in the time of a step.
    """
    source, splits = open_faces(system, data_dir)
    cases = [feed(system, size, source, splits, turns, making) for size in sizes]
    header = ["size", "batches a second, in memory", "read from files", "steps a second"]
    header += ["batches for each step, in memory", "read from files", "target"]
    rows = [
        [
            case["name"],
            *(number(case["batches_per_second"][where]) for where in SOURCES),
            number(case["steps_per_second"]),
            *(f"{case['batches_over_steps'][where]:.1f}" for where in SOURCES),
            f"at least {case['target']:g}",
        ]
        for case in cases
    ]
    print(f"{system}, {source.count(splits)} training faces:")
    print(table(header, rows))
    return cases


def feed(system, size, source, splits, turns, making):
    """The figures of one size, which `measure` describes."""
    streams = {
        where: make_stream(system, size, source, splits, cache) for where, cache in SOURCES.items()
    }
    model, batch = make_case(system, size, **making)
    step, cycle = make_stepper(model, batch), len(model.turns)
    for _ in range(2 * cycle):  # traces
        step()
    seconds = {name: [] for name in (*SOURCES, "step")}
    for _ in range(turns):
        for where, stream in streams.items():
            seconds[where].append(seconds_a_batch(stream, BATCHES[size]))
        began = time.perf_counter()
        for _ in range(cycle):  # who learns may differ from one step to the next
            step()
        seconds["step"].append((time.perf_counter() - began) / cycle)
    times = Timings(seconds)
    return {
        "name": f"{size}, batch {next(iter(batch.values())).shape[0]}",
        "target": TARGETS[size],
        "batches_per_second": {where: 1 / times.median(where) for where in SOURCES},
        "steps_per_second": 1 / times.median("step"),
        "batches_over_steps": {where: times.ratio("step", where) for where in SOURCES},
    }


def seconds_a_batch(stream, count):
    """Reads a stream for a while from its beginning; how long each of `count` batches took.

    Every measurement has an iterator of its own, so that no batches have been made in advance while
    something else was measured.
    """
    batches = iter(stream.take(START_UP + count))
    for _ in range(START_UP):
        next(batches)
    began = time.perf_counter()
    for _ in batches:
        pass
    return (time.perf_counter() - began) / count


def bars(cases):
    """What `measure` returns, as panels of a chart."""
    titles = {"memory": "faces in memory", "files": "read from files"}
    return [
        Bars(
            case["name"],
            "batches for each step",
            {titles[where]: found for where, found in case["batches_over_steps"].items()},
            target=case["target"],
        )
        for case in cases
    ]


def open_faces(system, data_dir=None):
    """The faces of a system's quickstart, drawn if they have not been yet.

    Args:
        system: Its name.
        data_dir: Where prepared data sets live; None for TensorFlow Datasets' own place.

    Returns:
        FaceSource, and its splits that train.
    """
    data = read_config(system, "quickstart")["data"]
    source = open_source(data["dataset"], data_dir=data_dir)
    return source, make_fold(source, data["protocol"], data["fold"]).train


def make_stream(system, name, source, splits, cache=True):
    """The endless stream of a system's training batches.

    Args:
        system: Its name.
        name: Config whose sizes are taken, as `read_config` takes it.
        source: FaceSource.
        splits: Its splits that train.
        cache: Whether faces may be kept in memory.

    Returns:
        Infinite dataset of dicts.
    """
    config = read_config(system, name)
    batch_size = config["training"]["batch_size"]
    stream = _STREAMS[system]
    return stream(config, source, splits, batch_size=batch_size, seed=0, cache=cache)


def _restoration(config, source, splits, **how):
    from tfface.restoration.data import RestorationTransform

    transform = RestorationTransform(
        config["generator"].get("scale", 8), config.get("hidden_area", 0.25), flip=True
    )
    return training_stream(source, splits, size=128, transform=transform, **how)


def _recognition(config, source, splits, **how):
    from tfface.recognition.data import Augmentation, TrainingFaces, miss_labels, training_batches

    labels = miss_labels(source.action_unit_labels(splits), config.get("missing_rate", 0.0))
    faces = [TrainingFaces(source, splits, labels)]
    augmentation = Augmentation(**config.get("augmentation", {}))
    size = config["recognizer"]["size"]
    return training_batches(faces, size=size, augmentation=augmentation, **how)


def _magnification(config, source, splits, **how):
    from tfface.data.pairing import sequence_pairs
    from tfface.magnification.data import training_batches

    # Which frames are weak is a matter of how many of a sequence were drawn.
    weak_frames = read_config("magnification", "quickstart")["pairs"]["weak_frames"]
    pairs = sequence_pairs(source, splits, weak_frames=weak_frames)
    cut = {key: config["pairs"][key] for key in ("size", "crop")}
    return training_batches([pairs], **cut, **how)


def _regeneration(config, source, splits, **how):
    from tfface.data.targets import expression_targets
    from tfface.regeneration.data import training_batches

    faces = config["faces"]
    targets = expression_targets(source, splits, faces["classes"], faces["frames"])
    cut = {key: faces[key] for key in ("size", "channels", "augment") if key in faces}
    return training_batches(targets, **cut, **how)


def _synthesis(config, source, splits, **how):
    from tfface.synthesis.data import training_batches

    jitter = config.get("jitter", 0.0)
    latent_size = config["generator"].get("latent_size", 60)
    size = config["size"]
    return training_batches(
        source, splits, size=size, latent_size=latent_size, jitter=jitter, **how
    )


_STREAMS = {
    "restoration": _restoration,
    "recognition": _recognition,
    "magnification": _magnification,
    "regeneration": _regeneration,
    "synthesis": _synthesis,
}
