"""Our step and our answer beside PyTorch's: `benchmarks train_step --system NAME`.

The rival is the same system written plainly in PyTorch (`benchmarks.peers`), with our weights, on
our batch. Outputs and the losses of a few steps must agree. Then both answer, and both train, in
turns in one process, each with all cores; the memory of a training is that of a process of its own.
Beside it stands what share of this machine's limit our step reaches (`limit.py`).
"""

import os

import tensorflow as tf

from benchmarks import limit
from benchmarks.agreement import STEPS, compare_losses, compare_outputs
from benchmarks.charts import Bars, number
from benchmarks.devices import has_gpu
from benchmarks.measure import table, take_turns
from benchmarks.models import make_answer, make_case, make_stepper
from benchmarks.processes import memory_of

OURS, THEIRS = "ours", "PyTorch"

TARGET = 1.0
"""How many times as long as PyTorch's our step may take."""

RATE = 1e-6
"""Learning rate of both. Adam's first steps go by the signs of gradients, some of which are those
of rounding: at 1e-4 two steps of a VGG13 part for no other reason."""

WORKS = {"answer": "ms", "train step": "ms", "memory of a training": "MiB"}
"""What is compared, and in what unit the tables give it."""


def measure(system, sizes, turns, **making):
    """Compares, times and prints the table.

    Args:
        system: Name of the system.
        sizes: Configs whose sizes are taken, as `make_case` takes them.
        turns: Timed turns of each.
        **making: What else `make_case` takes for our model.

    Returns:
        List of one dict a size: the figures.

    Raises:
        AssertionError: If outputs or losses differ.
    """
    print(f"Threads: TensorFlow {tensorflow_threads()}, PyTorch {load_torch().get_num_threads()}")
    making = {"rate": RATE, **making}
    cases = [compare(system, size, turns, making) for size in sizes]
    header = ["size", "work", OURS, THEIRS, f"{OURS} / {THEIRS}"]
    header += ["GFLOP", "GFLOP/s", "limit here", "share of the limit"]
    print(f"{system}:")
    print(table(header, [row for case in cases for row in _rows(case)]))
    print(f"Target: a train step of at most {TARGET} of PyTorch's.")
    return cases


def compare(system, size, turns, making):
    """The figures of one size, which `measure` describes."""
    from benchmarks.peers import make_peer

    model, batch = make_case(system, size, **making)
    name = f"{size}, batch {next(iter(batch.values())).shape[0]}"
    peer = make_peer(system, model, batch)
    answer, step = make_answer(system, model, batch), make_stepper(model, batch)
    agreed = check(name, answer, step, peer)
    # Reading the results waits until a device is done.
    answers = {
        OURS: lambda: [value.numpy() for value in answer().values()],
        THEIRS: lambda: [value.cpu() for value in peer.answer().values()],
    }
    answering = take_turns(answers, turns, calls=3, warm_up=2)
    measures = limit.measures()
    steps = {OURS: step, THEIRS: lambda: peer.losses(peer.train_step())}
    rivals = steps | {each: function for each, (function, _) in measures.items()}
    # A turn is a whole cycle of steps: who learns may differ from one to the next.
    training = take_turns(rivals, turns, calls=len(model.turns), warm_up=len(model.turns))
    memory = {
        rival: memory_of(prepare, system, size, making, steps=2 * len(model.turns))
        for rival, prepare in ((OURS, prepare_ours), (THEIRS, prepare_theirs))
    }
    times = dict(zip(WORKS, (answering, training), strict=False))
    ratios = {work: each.ratio(OURS, THEIRS) for work, each in times.items()}
    operations = limit.step_operations(model, batch)
    limits = {each: count for each, (_, count) in measures.items()}
    rate, highest, share = limit.share(training, OURS, operations, limits)
    return {
        "name": name,
        "ms": {w: {rival: 1e3 * t.median(rival) for rival in steps} for w, t in times.items()},
        "memory_bytes": memory,
        "ratio": {**ratios, "memory of a training": memory[OURS] / memory[THEIRS]},
        "operations": operations,
        "operations_per_second": rate,
        "limit_per_second": highest,
        "share_of_limit": share,
        **agreed,
    }


def check(name, answer, step, peer):
    """Compares outputs and losses, and prints them; returns how far they are apart."""
    given = {output: value.numpy() for output, value in answer().items()}
    outputs_apart = compare_outputs(given, peer.forward())
    losses, losses_apart = compare_losses(step, lambda: peer.losses(peer.train_step()))
    largest = max(outputs_apart.values())
    print(f"{name}: outputs at most {largest:.0e} apart; losses of step {STEPS}, ours and theirs:")
    for loss, (a, b) in losses.items():
        print(f"  {loss} {a:.6f} {b:.6f}", flush=True)
    return {"outputs_apart": outputs_apart, "losses": losses, "losses_apart": losses_apart}


def figures(case):
    """What `compare` returns as numbers in the units of `WORKS`: work to rival to figure."""
    mib = {name: taken / 2**20 for name, taken in case["memory_bytes"].items()}
    return {**case["ms"], "memory of a training": mib}


def bars(cases):
    """What `measure` returns, as panels of a chart."""
    return [
        Bars(f"{case['name']}: {work}", WORKS[work], found)
        for case in cases
        for work, found in figures(case).items()
    ]


def prepare_ours(system, size, making):
    """For a process of its own: TensorFlow is there; then our training is made."""
    tf.zeros(1) + 1.0  # so that its own threads are there

    return lambda: make_stepper(*make_case(system, size, **making))


def prepare_theirs(system, size, making):
    """For a process of its own: the model that weights come from is there; then the rival's."""
    from benchmarks.peers import make_peer

    model, batch = make_case(system, size, **making)
    torch = load_torch()
    torch.zeros(1) + 1.0

    def make():
        peer = make_peer(system, model, batch)
        return lambda: peer.losses(peer.train_step())

    return make


def load_torch():
    """PyTorch, which works on the GPU where TensorFlow does."""
    import torch

    if has_gpu():
        torch.set_default_device("cuda")
        torch.backends.cudnn.allow_tf32 = False  # as in `devices.choose`
    return torch


def tensorflow_threads():
    """How many threads share one operation of TensorFlow."""
    return tf.config.threading.get_intra_op_parallelism_threads() or len(os.sched_getaffinity(0))


def _rows(case):
    """A row of the table for each work; the share of the limit is the train step's."""
    counted = [
        f"{case['operations'] / 1e9:.4g}",
        f"{case['operations_per_second'] / 1e9:.4g}",
        f"{case['limit_per_second'] / 1e9:.4g}",
        f"{case['share_of_limit']:.0%}",
    ]
    return [
        [
            case["name"],
            f"{work} ({WORKS[work]})",
            *(number(value) for value in found.values()),
            f"{case['ratio'][work]:.2f}",
            *(counted if work == "train step" else ["-"] * 4),
        ]
        for work, found in figures(case).items()
    ]
