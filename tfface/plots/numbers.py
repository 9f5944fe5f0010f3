"""Figures as pictures show them: averages that leave out what is not known, and shares as text."""

import numpy as np


def mean_of_defined(values, axis=None):
    """The mean of what is not NaN; NaN, without a warning, where nothing is left.

    Args:
        values: Array of numbers.
        axis: Axis to average over; None for all.

    Returns:
        float64 array without that axis.
    """
    values = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(values)
    count = defined.sum(axis=axis)
    total = np.where(defined, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def percent(share):
    """A share of 1 as a short text: 67%, 4.3%, 0%."""
    return f"{100 * share:.0f}%" if share >= 0.1 or share == 0 else f"{100 * share:.1f}%"
