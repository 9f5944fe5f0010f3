import numpy as np
import pytest

from tfface.plots.numbers import mean_of_defined, percent

NAN = float("nan")


def test_mean_leaves_out_what_is_not_known():
    assert mean_of_defined([1.0, NAN, 4.0]) == 2.5
    assert np.isnan(mean_of_defined([NAN, NAN]))
    values = [[1.0, NAN, NAN], [3.0, 5.0, NAN]]
    np.testing.assert_array_equal(mean_of_defined(values, axis=0), [2.0, 5.0, NAN])


@pytest.mark.parametrize(
    "share, text",
    [(0, "0%"), (0.004, "0.4%"), (0.0432, "4.3%"), (0.1, "10%"), (2 / 3, "67%"), (1, "100%")],
)
def test_percent(share, text):
    assert percent(share) == text
