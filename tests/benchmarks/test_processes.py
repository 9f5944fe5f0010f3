"""A rival in a process of its own: its steps, its memory, its end."""

import numpy as np
import pytest

from benchmarks import processes
from benchmarks.processes import Remote, memory_of
from tests.benchmarks import remotes
from tests.benchmarks.remotes import MIB


@pytest.mark.slow
def test_memory_is_what_making_and_steps_take_at_most():
    remote = Remote(remotes.prepare, 64, 40, 80)
    try:
        before = remote.memory() / MIB
        taken = [remote.step(), remote.step()]
        after = remote.memory() / MIB
    finally:
        remote.end()
    assert taken == [80, 80]
    # What it held before is not counted, and each step gave back what it took.
    assert before == pytest.approx(40, abs=6) and after == pytest.approx(120, abs=6)


def test_a_few_steps_are_taken_and_the_process_is_ended(monkeypatch):
    asked = []

    class Known:
        def __init__(self, prepare, *arguments):
            asked.append(arguments)

        def step(self):
            asked.append("step")
            if len(asked) > 5:
                raise EOFError

        def memory(self):
            return 7

        def end(self):
            asked.append("end")

    monkeypatch.setattr(processes, "Remote", Known)
    assert memory_of(remotes.prepare, 1, 2, steps=3) == 7
    assert asked == [(1, 2), "step", "step", "step", "end"]
    with pytest.raises(EOFError):
        memory_of(remotes.prepare, steps=9)
    assert asked[-1] == "end"


@pytest.mark.slow
def test_a_process_that_dies_does_not_hang():
    remote = Remote(remotes.fail)
    with pytest.raises(EOFError):
        remote.step()
    remote.end()


def test_the_peak_is_counted_anew():
    freed = b"\1" * (300 * MIB)
    del freed
    before = processes.count_from_here()
    assert processes.peak() - before < 50 * MIB
    kept = np.ones(100 * MIB // 8)
    assert processes.held() - before > 80 * MIB
    del kept
    assert 80 * MIB < processes.peak() - before < 150 * MIB
