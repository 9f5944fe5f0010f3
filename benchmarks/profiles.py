"""Which operations take the time: `benchmarks train_step --system NAME --profile DIR`.

TensorFlow's profiler writes a trace of ten steps, which TensorBoard shows with its profile plugin;
here it is read as TensorFlow ships it. An operation's self time is what it takes on its thread
without the operations within it. What several threads do for one operation together counts once.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from benchmarks.charts import Bars
from benchmarks.measure import table
from benchmarks.models import make_case, make_stepper

STEPS, ROWS = 10, 15
"""Steps in a profile, and the operations that are printed."""


@dataclass
class Kind:
    """All operations of one type.

    Args:
        seconds: Their self time.
        calls: How often they ran.
        single: Seconds by the name of each.
    """

    seconds: float
    calls: int
    single: dict


def measure(system, sizes, folder, **making):
    """Profiles some steps at each size and prints what takes the time.

    Args:
        system: Its name.
        sizes: Configs whose sizes are taken, as `make_case` takes them.
        folder: Where the traces go, each size's in a folder of its name.
        **making: What else `make_case` takes.

    Returns:
        List of one dict a size: its name, the folder of its trace, milliseconds of all operations
        a step, and those that take most of them.
    """
    return [profile(system, size, Path(folder) / size, making) for size in sizes]


def profile(system, size, folder, making):
    """The figures of one size, which `measure` describes."""
    model, batch = make_case(system, size, **making)
    step = make_stepper(model, batch)
    for _ in range(2 * len(model.turns)):  # traces
        step()
    tf.profiler.experimental.start(str(folder))
    for number in range(STEPS):
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            step()
    tf.profiler.experimental.stop()
    whole, operations = most(kinds_of(read_trace(folder)))
    header = ["operation", "ms a step", "share", "calls a step", "the largest of them", "its share"]
    rows = [
        [
            each["operation"],
            f"{each['ms']:.2f}",
            f"{each['share']:.1%}",
            f"{each['calls']:g}",
            each["largest"],
            f"{each['largest_share']:.1%}",
        ]
        for each in operations
    ]
    print(f"{system}, sizes of its config {size}: {whole:.0f} ms of operations a step")
    print(table(header, rows))
    print(f"The trace is in {folder}: tensorboard --logdir {folder}", flush=True)
    return {"size": size, "folder": str(folder), "ms": whole, "operations": operations}


def most(kinds):
    """The types of operations that take the most time.

    Args:
        kinds: As from `kinds_of`, of `STEPS` steps.

    Returns:
        Milliseconds that all operations take a step, and a list of one dict for each of the `ROWS`
        types: its milliseconds, share and calls a step, and the operation that takes the most.
    """
    whole = sum(kind.seconds for kind in kinds.values())
    found = []
    for name in sorted(kinds, key=lambda name: kinds[name].seconds, reverse=True)[:ROWS]:
        kind = kinds[name]
        largest = max(kind.single, key=kind.single.get)
        found.append(
            {
                "operation": name,
                "ms": 1e3 * kind.seconds / STEPS,
                "share": kind.seconds / whole,
                "calls": kind.calls / STEPS,
                "largest": largest,
                "largest_share": kind.single[largest] / whole,
            }
        )
    return 1e3 * whole / STEPS, found


def read_trace(folder):
    """The newest trace in a profile's folder, as the profiler's XSpace message.

    Raises:
        FileNotFoundError: If there is none.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    paths = sorted(Path(folder).glob("plugins/profile/*/*.xplane.pb"))
    if not paths:
        raise FileNotFoundError(f"`folder` must hold a profile. Received: {folder}")
    space = xplane_pb2.XSpace()
    space.ParseFromString(paths[-1].read_bytes())
    return space


def kinds_of(space):
    """Self time by type of operation.

    Args:
        space: XSpace message.

    Returns:
        Dict from a type to its Kind.
    """
    found = defaultdict(lambda: Kind(0.0, 0, defaultdict(float)))
    for thread in _threads(space):
        for (name, kind), picoseconds in self_times(thread):
            found[kind].seconds += picoseconds / 1e12
            found[kind].calls += 1
            found[kind].single[name] += picoseconds / 1e12
    return dict(found)


def self_times(events):
    """What each of a thread's events takes without those within it.

    Args:
        events: List of (label, beginning, duration), of which any two follow each other or lie one
            in the other.

    Yields:
        Label and self time of each.
    """
    open_events = []  # [label, end, self time], each within the one before it
    for label, begin, duration in sorted(events, key=lambda event: (event[1], -event[2])):
        while open_events and open_events[-1][1] <= begin:
            label_, _, left = open_events.pop()
            yield label_, left
        if open_events:
            open_events[-1][2] -= duration
        open_events.append([label, begin + duration, duration])
    for label, _, left in open_events:
        yield label, left


def bars(cases):
    """What `measure` returns, as panels of a chart."""
    return [
        Bars(
            case["size"],
            "ms a step",
            {each["operation"]: each["ms"] for each in case["operations"]},
        )
        for case in cases
    ]


def _threads(space):
    """The operations of each thread: ((name, type), beginning, picoseconds).

    They are a GPU's kernels where there is one, else what the processor's executor ran: events
    named "name:Type".
    """
    gpus = [plane for plane in space.planes if plane.name.startswith("/device:GPU")]
    for plane in gpus or [plane for plane in space.planes if plane.name == "/host:CPU"]:
        names = {key: data.name for key, data in plane.event_metadata.items()}
        for line in plane.lines:
            if gpus and not line.name.startswith("Stream"):
                continue
            labels = {k: (n, n) if gpus else _operation(n) for k, n in names.items()}
            yield [
                (labels[event.metadata_id], event.offset_ps, event.duration_ps)
                for event in line.events
                if labels[event.metadata_id]
            ]


def _operation(name):
    """The name, without the step's own, and the type of an operation; None of another event."""
    found = re.fullmatch(r"(?:StatefulPartitionedCall/)?([\w./>\-]+):(\w+)", name)
    return found.groups() if found else None
