"""Whether training stays as it begins: `benchmarks train_step --system NAME --steady`.

Steps are traced while they are new, once for each kind of step (restoration's discriminator learns
in every third), and never after. The memory that the process holds does not grow with the steps.
"""

import contextlib
from unittest import mock

import numpy as np
import tensorflow as tf

from benchmarks.charts import draw_over_steps
from benchmarks.measure import table
from benchmarks.models import make_case, make_stepper
from benchmarks.processes import held

STEPS, EVERY = 500, 50
"""Steps that are taken, and after how many the memory is read."""


def measure(system, sizes, steps=STEPS, every=EVERY, **making):
    """Trains for some steps at each size and prints the traces and the memory.

    Args:
        system: Its name.
        sizes: Configs whose sizes are taken, as `make_case` takes them.
        steps: How many.
        every: After how many of them the memory is read.
        **making: What else `make_case` takes.

    Returns:
        List of one dict a size: its traces at first and at the end, the steps after which memory
        was read, and the bytes held there.
    """
    cases = [watch(system, size, steps, every, making) for size in sizes]
    header = ["size", "traces at first", f"after {steps} steps"]
    header += ["MiB held at first", "at the end", "KiB more a step"]
    rows = []
    for case in cases:
        first, last = (case["held_bytes"][i] / 2**20 for i in (0, -1))
        row = [case["size"], case["traces_at_first"], case["traces"]]
        rows.append([*row, f"{first:.0f}", f"{last:.0f}", f"{case['more_a_step'] / 2**10:.2f}"])
    print(f"{system}:")
    print(table(header, rows))
    print("Target: as many traces at the end as at first, and no more memory.")
    return cases


def watch(system, size, steps, every, making):
    """The figures of one size, which `measure` describes."""
    model, batch = make_case(system, size, **making)
    with traced_functions() as functions:
        step = make_stepper(model, batch)
        for _ in range(2 * len(model.turns)):  # every kind of step twice
            step()
        at_first = traces(functions)
        after, held_bytes = [], []
        for number in range(1, steps + 1):
            step()
            if number % every == 0:
                after.append(number)
                held_bytes.append(held())
        at_last = traces(functions)
    # The slope of a line through all readings: one reading may meet a moment's more.
    more = float(np.polyfit(after, held_bytes, 1)[0]) if len(after) > 1 else 0.0
    return {
        "size": size,
        "traces_at_first": at_first,
        "traces": at_last,
        "steps": after,
        "held_bytes": held_bytes,
        "more_a_step": more,
    }


@contextlib.contextmanager
def traced_functions():
    """Gathers every `tf.function` that is made inside, in the list that it gives."""
    functions, make = [], tf.function

    def made(*args, **kwargs):
        function = make(*args, **kwargs)
        if hasattr(function, "experimental_get_tracing_count"):  # else it is a decorator
            functions.append(function)
        return function

    with mock.patch.object(tf, "function", made):
        yield functions


def traces(functions):
    """How often these have been traced together."""
    return sum(function.experimental_get_tracing_count() for function in functions)


def draw(cases, path, title):
    """Draws the memory held over the steps."""
    series = {
        case["size"]: [held_bytes / 2**20 for held_bytes in case["held_bytes"]] for case in cases
    }
    draw_over_steps(cases[0]["steps"], series, path, title, "memory that is held (MiB)")
