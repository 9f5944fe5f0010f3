import numpy as np
import pytest

from tfface.data.schema import check, features


def record(n_action_units=2, size=20):
    return {
        "image": np.zeros((size, size, 3), np.uint8),
        "landmarks": np.full((68, 2), np.nan, np.float32),
        "subject": "F001",
        "sequence": "T1",
        "frame": 3,
        "au": np.array([1.0, np.nan][:n_action_units], np.float32),
        "au_intensity": np.array([4.5, np.nan][:n_action_units], np.float32),
        "expression": -1,
        "phase": np.nan,
    }


def test_a_whole_record_passes():
    check(record(), 2, 20)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("au", np.array([2.0, 0.0]), r"record\['au'\] must be 0, 1 or NaN. Received: 2"),
        ("au", np.array([0.5, 0.0]), "Received: 0.5"),
        ("au", np.zeros(3), r"must have shape \(2,\). Received: \(3,\)"),
        ("au_intensity", np.array([-1.0, 0.0]), "0 to 5 or NaN. Received: -1"),
        ("phase", 1.5, "0 to 1 or NaN. Received: 1.5"),
        ("expression", -2, "class id or -1. Received: -2"),
        ("image", np.zeros((20, 20, 3), np.float32), "must be uint8. Received: float32"),
        ("landmarks", np.zeros((49, 2)), r"\(68, 2\)"),
        ("subject", 7, "must be strings"),
    ],
)
def test_broken_rules_are_named(key, value, message):
    with pytest.raises(ValueError, match=message):
        check({**record(), key: value}, 2, 20)


def test_missing_and_foreign_keys_are_named():
    with pytest.raises(ValueError, match=r"must have the keys \['au',.*Received: \['au',.*'mood'"):
        check({**record(), "mood": 1}, 2, 20)


def test_features_hold_the_record():
    encoded = features(2, 20).encode_example(record())
    np.testing.assert_array_equal(encoded["au"], record()["au"])
    assert features(None)["au"].shape == (None,)
    assert features(5, 64)["image"].shape == (64, 64, 3)
