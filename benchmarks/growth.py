"""What a training step grows with: `benchmarks train_step --system NAME --growth`.

Time and memory of a step against the batch, the side of a face and what else a system has more or
less of: action units in synthesis, classes in regeneration, labels that are missing in recognition.
Every point trains in a process of its own, so that its memory is known; those of one curve take
turns. What a figure grows with is its exponent: the slope of the line through the points on
logarithmic axes, 1 for "twice as much takes twice as long".
"""

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from benchmarks.charts import Growth, number
from benchmarks.measure import table, take_turns
from benchmarks.models import make_case, make_stepper, read_config
from benchmarks.processes import Remote
from tfface.facs.action_units import BP4D_AUS

BATCHES, SIDES = (0.25, 0.5, 1, 2), (0.5, 0.75, 1, 1.5, 2)
"""Multiples of a config's own batch and side that are trained, of sides the least four there are:
memory grows with their square."""

LEAST_SIDE = {"recognition": 64, "magnification": 64, "regeneration": 64}
"""AlexNet, which their quickstarts have, takes no smaller faces."""

MISSING = (0.1, 0.2, 0.4, 0.8)
"""Shares of the faces without labels; a logarithmic axis has no 0."""

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

UNITS = {"time": "ms a step", "memory": "MiB"}


@dataclass(frozen=True)
class Point:
    """One training.

    Args:
        value: Where on the axis it lies.
        batch_size: Faces in a batch; None for the config's.
        overrides: As `make_case` takes them.
        missing: Share of the faces without labels; None leaves the labels as they are.
    """

    value: float
    batch_size: int | None = None
    overrides: dict = field(default_factory=dict)
    missing: float | None = None


def axes_of(system, config):
    """What a system's step may grow with.

    Args:
        system: Its name.
        config: Its config.

    Returns:
        Dict from a name of what grows to a list of Point.
    """
    batch, side = config["training"]["batch_size"], side_of(system, config)
    batches = sorted({max(1, round(part * batch)) for part in BATCHES})
    multiple, least = multiple_of(system, config), LEAST_SIDE.get(system, 0)
    sides = {multiple * max(1, round(part * side / multiple)) for part in SIDES}
    sides = sorted(each for each in sides if each >= least)[:4]
    axes = {
        "batch": [Point(count, count) for count in batches],
        "side of a face in pixels": [
            Point(side, overrides=resized(system, side)) for side in sides
        ],
    }
    if system == "synthesis":
        axes["action units"] = [
            Point(n, overrides={"action_units": BP4D_AUS[:n]}) for n in (3, 6, len(BP4D_AUS))
        ]
    elif system == "regeneration":
        axes["classes"] = [
            Point(n, overrides={"faces": {"classes": list(EXPRESSIONS[:n])}}) for n in (2, 4, 6)
        ]
    elif system == "recognition":
        axes["share of faces without labels"] = [Point(share, missing=share) for share in MISSING]
    return axes


def measure(system, sizes, turns, **making):
    """Times every point and prints a table of each axis.

    Args:
        system: Its name.
        sizes: Configs that are varied, as `make_case` takes them.
        turns: Timed turns of each point.
        **making: What else `make_case` takes.

    Returns:
        List of one dict an axis: the size, the axis, the values, and by "time" (ms) and "memory"
        (MiB) the points and their exponent.
    """
    return [
        grow(system, size, axis, points, turns, making)
        for size in sizes
        for axis, points in axes_of(system, read_config(system, size)).items()
    ]


def grow(system, size, axis, points, turns, making):
    """The figures of one axis, which `measure` describes."""
    rivals = {p.value: Remote(prepare, system, size, p, making) for p in points}
    try:
        (steps,) = {rival.step() for rival in rivals.values()}
        cycles = {value: rival.step for value, rival in rivals.items()}
        times = take_turns(cycles, turns, calls=1, warm_up=1)
        taken = {value: rival.memory() / 2**20 for value, rival in rivals.items()}
    finally:
        for rival in rivals.values():
            rival.end()
    found = {"time": {v: 1e3 * times.median(v) / steps for v in rivals}, "memory": taken}
    curves = [Growth(what, axis, UNITS[what], points) for what, points in found.items()]
    rows = [[f"{v:g}", *(number(points[v]) for points in found.values())] for v in rivals]
    rows.append(["exponent", *(f"{curve.exponent:z.2f}" for curve in curves)])
    print(f"{system}, sizes of its config {size}, against the {axis}:")
    print(table([axis, *(f"{what} ({UNITS[what]})" for what in found)], rows), flush=True)
    return {
        "size": size,
        "axis": axis,
        "values": list(rivals),
        **{
            what: {"points": list(points.values()), "exponent": curve.exponent}
            for (what, points), curve in zip(found.items(), curves, strict=True)
        },
    }


def panels(cases):
    """What `measure` returns, as panels of a chart."""
    return [
        Growth(
            f"{case['size']}: {what}",
            case["axis"],
            unit,
            dict(zip(case["values"], case[what]["points"], strict=True)),
        )
        for case in cases
        for what, unit in UNITS.items()
    ]


def prepare(system, size, point, making):
    """For a process of its own: TensorFlow is there; then the training of that point is made.

    One call takes a whole cycle of the model's turns, since who learns in a step may differ, and
    returns how many steps that are.
    """
    tf.zeros(1) + 1.0  # so that its own threads are there

    def make():
        model, batch = make_case(
            system, size, point.batch_size, overrides=point.overrides, **making
        )
        if point.missing is not None:
            batch["au"] = without_labels(batch["au"], point.missing)
        step = make_stepper(model, batch)

        def cycle():
            for _ in model.turns:
                step()
            return len(model.turns)

        return cycle

    return make


def without_labels(labels, share):
    """Labels (B, n), all known, but for that share of the faces, rounded: those have none."""
    known = np.nan_to_num(labels.numpy())
    known[: round(share * len(known))] = np.nan
    return tf.constant(known)


def side_of(system, config):
    """The side of a system's face in pixels."""
    places = {
        "restoration": lambda: config.get("size", 128),
        "recognition": lambda: config["recognizer"]["size"],
        "magnification": lambda: config["pairs"]["crop"],
        "regeneration": lambda: config["faces"].get("size", 64),
        "synthesis": lambda: config["size"],
    }
    return places[system]()


def multiple_of(system, config):
    """What the side of a system's face must be a multiple of."""
    if system == "restoration":  # so that 8 x 8 patches divide the classifier's smallest features
        stages = len(config.get("classifier", {}).get("widths", (32, 64, 128)))
        return 8 * max(config["generator"].get("scale", 8), 4 * 2 ** (stages - 1))
    if system == "regeneration":
        return 2 ** len(config["generator"]["filters"])
    return 8


def resized(system, side):
    """`make_case`'s overrides for another side."""
    return {
        "restoration": {"size": side},
        "recognition": {"recognizer": {"size": side}},
        "magnification": {"pairs": {"crop": side}},
        "regeneration": {"faces": {"size": side}},
        "synthesis": {"size": side},
    }[system]
