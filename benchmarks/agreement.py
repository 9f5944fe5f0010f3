"""Whether two ways of computing the same give the same, before they are timed."""

import numpy as np

STEPS, TOLERANCE = 3, 1e-3
"""Steps whose losses are compared, and how far they may be apart, relative to the larger."""

OUTPUT_TOLERANCE = 1e-4
"""How far outputs may be apart, relative to the largest of them where that is above 1."""


def compare_losses(ours, theirs, steps=STEPS):
    """Takes a few steps with both and checks that each loss is the same in each.

    Args:
        ours: Function that takes a step and returns its losses by name.
        theirs: The other's; a loss that it leaves out, as that of who does not learn in a step,
            is 0.
        steps: How many; the later ones have the earlier updates in them.

    Returns:
        Losses of the last step by name: (ours, theirs), and the largest relative difference.

    Raises:
        AssertionError: If two losses differ by more than `TOLERANCE`, or only they have one.
    """
    largest = 0.0
    for number in range(1, steps + 1):
        first, second = ours(), theirs()
        unknown = set(second) - set(first)
        assert not unknown, f"step {number}: ours has no {', '.join(sorted(unknown))}"
        both = {name: (loss, second.get(name, 0.0)) for name, loss in first.items()}
        for name, (a, b) in both.items():
            apart = abs(a - b) / max(abs(a), abs(b), 1e-6)
            assert apart <= TOLERANCE, f"step {number}: {name} is {a:g} and {b:g}"
            largest = max(largest, apart)
    return both, largest


def compare_outputs(ours, theirs):
    """Checks that all outputs are the same.

    Args:
        ours: Dict from an output's name to its array.
        theirs: The other's, of the same names and shapes.

    Returns:
        Dict from an output's name to the largest difference, relative to the largest number in it
        where that is above 1.

    Raises:
        AssertionError: If names or shapes differ, or a difference is above `OUTPUT_TOLERANCE`.
    """
    assert set(ours) == set(theirs), f"outputs are {sorted(ours)} and {sorted(theirs)}"
    apart = {}
    for name, values in ours.items():
        others = theirs[name]
        assert values.shape == others.shape, f"{name} is {values.shape} and {others.shape}"
        apart[name] = float(np.abs(values - others).max() / max(1.0, np.abs(values).max()))
        assert apart[name] <= OUTPUT_TOLERANCE, f"{name} is {apart[name]:g} apart"
    return apart
