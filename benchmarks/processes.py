"""Work in a process of its own, so that its memory is known: its steps are asked for one by one."""

import contextlib
import ctypes
import gc
import multiprocessing
import re
import sys
from pathlib import Path


class Remote:
    """A rival in a process of its own.

    Args:
        prepare: Function that an import finds, called there. It loads and makes what does not count
            and returns a function that makes the rest: a function without arguments that takes one
            step and returns when it is done.
        arguments: Of `prepare`.
    """

    def __init__(self, prepare, *arguments):
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, prepare, arguments), daemon=True
        )
        self._process.start()
        theirs.close()

    def step(self):
        """Takes one step; returns what it returns."""
        return self._asked("step")

    def memory(self):
        """Bytes that making it and its steps have taken at most."""
        return self._asked("memory")

    def end(self):
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):  # it has died
            self._ours.send("end")
        self._process.join()

    def _asked(self, what):
        self._ours.send(what)
        return self._ours.recv()  # EOFError if the process has died


def memory_of(prepare, *arguments, steps=2):
    """Bytes that something and a few of its steps take at most, in a process of its own.

    Args:
        prepare: As `Remote` takes it.
        *arguments: Of `prepare`.
        steps: How many; the first of a training traces, and makes what optimizers keep.
    """
    remote = Remote(prepare, *arguments)
    try:
        for _ in range(steps):
            remote.step()
        return remote.memory()
    finally:
        remote.end()


def held():
    """Bytes of memory that this process holds now."""
    return _status("VmRSS")


def count_from_here():
    """Begins to count the peak anew; returns what is held now."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # What was freed before could be taken without being seen.
    if library := _on_gpu():
        return library.restart()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak():
    """The most bytes since `count_from_here`: the GPU's where there is one."""
    if library := _on_gpu():
        return library.peak()
    # Not getrusage's ru_maxrss, which begins with the peak of the process that started this one.
    return _status("VmHWM")


class _TensorFlowOnGPU:
    @staticmethod
    def restart():
        import tensorflow as tf

        tf.config.experimental.reset_memory_stats("GPU:0")
        return tf.config.experimental.get_memory_info("GPU:0")["current"]

    @staticmethod
    def peak():
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"]


class _TorchOnGPU:
    @staticmethod
    def restart():
        import torch

        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()

    @staticmethod
    def peak():
        import torch

        return torch.cuda.max_memory_allocated()


def _on_gpu():
    """Who counts the GPU's memory in this process: PyTorch where it is loaded; None without one."""
    from benchmarks.devices import has_gpu

    if not has_gpu():
        return None
    return _TorchOnGPU if "torch" in sys.modules else _TensorFlowOnGPU


def _serve(connection, prepare, arguments):
    """Makes the rival and does as it is asked."""
    from benchmarks import devices

    devices.choose(None)  # what the process that started this one hides is hidden here as well
    make = prepare(*arguments)
    before = count_from_here()
    step = make()
    while (what := connection.recv()) != "end":
        connection.send(step() if what == "step" else peak() - before)


def _status(name):
    (kib,) = re.findall(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    return 1024 * int(kib)
