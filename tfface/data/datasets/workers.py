"""Work on many things at once whose results come in order."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that may wait for a slower one before them, for each worker.
_WAITING = 4


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """Maps with several threads and bounded memory: few results wait for the slowest before them.

    Decoding, warping and encoding pictures leave Python's lock, so that threads use all cores.

    Args:
        work: Called in a worker for each item.
        items: Read in the caller's own thread, a little ahead of the results.
        workers: Number of threads; None for one a core.

    Yields:
        Results in the order of the items. An exception of `work` is raised at its item's turn, and
        ends the rest.

    Raises:
        ValueError: If `workers` is below 1.
    """
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: {workers}.")
    pool = ThreadPoolExecutor(workers)
    waiting: collections.deque = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= _WAITING * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
