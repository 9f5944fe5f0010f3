"""Whether two ways of computing the same are told apart where they differ."""

import numpy as np
import pytest

from benchmarks.agreement import compare_losses, compare_outputs


def losses(*values, name="other"):
    return iter([{"loss": 1.0, name: value} for value in values]).__next__


def test_equal_losses_are_returned_with_how_far_they_are_apart():
    both, apart = compare_losses(losses(2.0, 2.0, 4.0), losses(2.0, 2.0, 4.002), steps=3)
    assert both == {"loss": (1.0, 1.0), "other": (4.0, 4.002)}
    assert apart == pytest.approx(0.002 / 4.002)


def test_other_losses_are_told():
    with pytest.raises(AssertionError, match=r"step 3: other is 2 and 2\.01"):
        compare_losses(losses(2.0, 2.0, 2.0), losses(2.0, 2.0, 2.01), steps=3)


def test_a_loss_that_is_left_out_is_0():
    def without():
        return {"loss": 1.0}

    both, apart = compare_losses(losses(0.0, 0.0), without, steps=2)
    assert both["other"] == (0.0, 0.0) and apart == 0
    with pytest.raises(AssertionError, match="step 1: other is 0.5 and 0"):
        compare_losses(losses(0.5), without, steps=1)
    with pytest.raises(AssertionError, match="step 1: ours has no other"):
        compare_losses(without, losses(0.0), steps=1)


def test_outputs_are_compared_by_the_largest_of_them():
    ours = {"face": np.array([0.5, 0.25]), "distances": np.array([10.0, -20.0])}
    theirs = {"face": np.array([0.50005, 0.25]), "distances": np.array([10.0, -20.001])}
    assert compare_outputs(ours, theirs) == pytest.approx({"face": 5e-5, "distances": 5e-5})


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"face": np.array([0.5, 0.2502])}, "face is 0.0002 apart"),
        ({"face": np.array([[0.5, 0.25]])}, r"face is \(2,\) and \(1, 2\)"),
        ({"faces": np.array([0.5, 0.25])}, r"outputs are \['face'\] and \['faces'\]"),
    ],
)
def test_other_outputs_are_told(theirs, message):
    with pytest.raises(AssertionError, match=message):
        compare_outputs({"face": np.array([0.5, 0.25])}, theirs)
