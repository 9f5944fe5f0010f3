"""Fair timing on a machine that has other work: rivals take turns, ratios are made turn by turn."""

import statistics
import time
from dataclasses import dataclass

from tfface.tables import markdown


@dataclass(frozen=True)
class Timings:
    """Seconds a call of each rival, turn by turn.

    Args:
        seconds: By rival, one figure a turn; the same turn of two rivals ran side by side in time.
    """

    seconds: dict

    def median(self, name):
        """Seconds a call of `name`, the median over turns."""
        return statistics.median(self.seconds[name])

    def ratio(self, name, rival):
        """How many times as long as `rival` it took `name`: the median of the turns' ratios."""
        pairs = zip(self.seconds[name], self.seconds[rival], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


def take_turns(rivals, turns=30, calls=3, warm_up=3):
    """Times `rivals` in turns, so that a busy moment of the machine meets all of them alike.

    Args:
        rivals: By name, a function without arguments that returns when its work is done.
        turns: How often each has its turn. The order rotates, so that none always follows the same.
        calls: Calls in a row that a turn averages.
        warm_up: Calls of each before anything is timed: traces, allocations, caches.

    Returns:
        Timings.
    """
    for function in rivals.values():
        for _ in range(warm_up):
            function()
    names = list(rivals)
    seconds = {name: [] for name in names}
    for turn in range(turns):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            function = rivals[name]
            began = time.perf_counter()
            for _ in range(calls):
                function()
            seconds[name].append((time.perf_counter() - began) / calls)
    return Timings(seconds)


def table(header, rows):
    """Rows of text in aligned columns, as Markdown."""
    return "\n".join(markdown(header, rows))
