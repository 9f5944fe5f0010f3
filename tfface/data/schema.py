"""The one record of every data set: any system trains on any set that has its labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

FACE_SIZE = 200

N_LANDMARKS = 68


def features(n_action_units: int | None, size: int = FACE_SIZE) -> tfds.features.FeaturesDict:
    """The record as TFDS stores it.

    | key | shape, type | meaning |
    |---|---|---|
    | `image` | (size, size, 3) uint8 | aligned face, stored without loss |
    | `landmarks` | (68, 2) float32 | x, y in pixels of `image`; NaN where unknown |
    | `subject` | string | the person; folds never split one |
    | `sequence`, `frame` | string, int32 | the video and the position in it |
    | `au` | (n_au,) float32 | 1 present, 0 absent, NaN not coded |
    | `au_intensity` | (n_au,) float32 | 0 to 5, NaN not coded |
    | `expression` | int64 | class id, -1 not labeled |
    | `phase` | float32 | 0 neutral to 1 peak, NaN unknown |

    Args:
        n_action_units: Number of AUs coded, or None for a set that learns it only from its files
            (its `info.metadata["action_units"]` then says how many there are).
        size: Side of the aligned face in pixels.

    Returns:
        A `tfds.features.FeaturesDict`.
    """
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            "landmarks": tfds.features.Tensor(shape=(N_LANDMARKS, 2), dtype=np.float32),
            "subject": tfds.features.Text(),
            "sequence": tfds.features.Text(),
            "frame": tfds.features.Scalar(np.int32),
            "au": tfds.features.Tensor(shape=(n_action_units,), dtype=np.float32),
            "au_intensity": tfds.features.Tensor(shape=(n_action_units,), dtype=np.float32),
            "expression": tfds.features.Scalar(np.int64),
            "phase": tfds.features.Scalar(np.float32),
        }
    )


def check(record: Mapping[str, Any], n_action_units: int, size: int = FACE_SIZE) -> None:
    """Checks that a record is one that `features` can hold and that its labels keep their ranges.

    Args:
        record: The keys of `features`; `image` as an array.
        n_action_units: Number of AUs that the set codes.
        size: Side of the aligned face in pixels.

    Raises:
        ValueError: Naming the key, the rule and what was received.
    """
    expected = set(features(n_action_units, size))
    if set(record) != expected:
        raise ValueError(
            f"`record` must have the keys {sorted(expected)}. Received: {sorted(record)}."
        )
    shapes = {
        "image": (size, size, 3),
        "landmarks": (N_LANDMARKS, 2),
        "au": (n_action_units,),
        "au_intensity": (n_action_units,),
        "frame": (),
        "expression": (),
        "phase": (),
    }
    for key, shape in shapes.items():
        if np.shape(record[key]) != shape:
            raise ValueError(
                f"record[{key!r}] must have shape {shape}. Received: {np.shape(record[key])}."
            )
    if np.asarray(record["image"]).dtype != np.uint8:
        raise ValueError(
            f"record['image'] must be uint8. Received: {np.asarray(record['image']).dtype}."
        )
    if not isinstance(record["subject"], str) or not isinstance(record["sequence"], str):
        raise ValueError(
            "record['subject'] and record['sequence'] must be strings. "
            f"Received: {record['subject']!r}, {record['sequence']!r}."
        )
    _check_range("au", record["au"], (0.0, 1.0), whole=True)
    _check_range("au_intensity", record["au_intensity"], (0.0, 5.0))
    _check_range("phase", record["phase"], (0.0, 1.0))
    if record["expression"] < -1:
        raise ValueError(
            f"record['expression'] must be a class id or -1. Received: {record['expression']}."
        )


def _check_range(key: str, values: Any, bounds: tuple[float, float], whole: bool = False) -> None:
    """Raises unless every known value lies in `bounds` (and, if `whole`, on one of them)."""
    values = np.asarray(values, np.float64)
    known = values[~np.isnan(values)]
    allowed = np.isin(known, bounds) if whole else (known >= bounds[0]) & (known <= bounds[1])
    if not allowed.all():
        rule = "0, 1 or NaN" if whole else f"{bounds[0]:g} to {bounds[1]:g} or NaN"
        raise ValueError(f"record[{key!r}] must be {rule}. Received: {known[~allowed][0]:g}.")
