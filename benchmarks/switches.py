"""What each speed switch does to a system's step: `benchmarks train_step --system NAME --switches`.

All trainings begin with the same weights and see the same batch. Before they are timed, turn by
turn, each takes as many steps as an execution of several has; the means of its losses over them are
finite and near those of float32. Where networks drop units at random XLA draws others, and with
`accumulate` the weights have yet to move.
"""

import time

import numpy as np

from benchmarks.charts import Bars
from benchmarks.measure import table, take_turns
from benchmarks.models import make_case, make_stepper

STEPS = 4
"""Steps of one call with `steps_per_execution`, batches of one update with `accumulate`."""

PLAIN = "float32"

SWITCHES = {
    PLAIN: {},
    "mixed_bfloat16": {"precision": "mixed_bfloat16"},
    "mixed_float16": {"precision": "mixed_float16"},
    "jit_compile": {"jit_compile": True},
    "steps_per_execution": {"steps_per_execution": STEPS},
    "accumulate": {"accumulate": STEPS},
}
"""By name, what `make_case` takes."""


def measure(system, turns, name="quickstart", switches=tuple(SWITCHES)):
    """Checks, times and prints the table.

    Args:
        system: Name of the system.
        turns: Timed turns of each.
        name: Config whose sizes are taken, as `make_case` takes it.
        switches: Which of `SWITCHES`, `PLAIN` the first.

    Returns:
        List of one dict a switch: the size, its name, ms a step, times as fast as float32, seconds
        of the first call, how far its losses are from float32's.

    Raises:
        AssertionError: If a loss is not finite.
    """
    steppers, first, losses = {}, {}, {}
    for switch in switches:
        chosen = SWITCHES[switch]
        at_once = chosen.get("steps_per_execution", 1)
        step = make_stepper(*make_case(system, name, **chosen))
        began = time.perf_counter()
        found = [step()]
        first[switch] = time.perf_counter() - began
        found += [step() for _ in range(STEPS // at_once - 1)]
        losses[switch] = {name: np.mean([each[name] for each in found]) for name in found[0]}
        assert np.isfinite(list(losses[switch].values())).all(), f"{switch}: {losses[switch]}"
        print(f"{switch}: first call {first[switch]:.0f} s", flush=True)
        # As many steps for each in a turn.
        steppers[switch] = lambda step=step, calls=STEPS // at_once: [step() for _ in range(calls)]
    times = take_turns(steppers, turns, calls=1, warm_up=1)
    cases = []
    for switch in switches:
        pairs = [(losses[switch][loss], value) for loss, value in losses[PLAIN].items()]
        cases.append(
            {
                "size": name,
                "switch": switch,
                "ms": 1e3 * times.median(switch) / STEPS,
                "times_as_fast": times.ratio(PLAIN, switch),
                "first_call_s": first[switch],
                "losses_apart": max(abs(a - b) / max(abs(b), 1e-2) for a, b in pairs),
            }
        )
    header = ["switch", "ms a step", "times as fast as float32", "first call (s)"]
    header += [f"losses apart over {STEPS} steps"]
    rows = [
        [
            case["switch"],
            f"{case['ms']:.0f}",
            f"{case['times_as_fast']:.2f}",
            f"{case['first_call_s']:.0f}",
            f"{case['losses_apart']:.1%}",
        ]
        for case in cases
    ]
    print(f"{system}, sizes of its config {name}")
    print(table(header, rows))
    return cases


def bars(cases):
    """What `measure` returns, of one size or several, as panels of a chart."""
    sizes = dict.fromkeys(case["size"] for case in cases)
    return [
        Bars(size, "ms a step", {c["switch"]: c["ms"] for c in cases if c["size"] == size})
        for size in sizes
    ]
