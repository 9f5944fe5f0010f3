"""Landmarks in MATLAB's files, of version 5 and of version 7.3 (which is HDF5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import scipy.io


@dataclasses.dataclass(frozen=True)
class MatLandmarks:
    """The landmarks of one picture in a file of their own, read when called.

    Attributes:
        file: The .mat file.
        name: The variable, (points, 2).
        place: Maps (points, 2) onto the 68-point scheme, `facs.landmarks.from_66` for instance.
    """

    file: Path
    name: str
    place: Callable[[np.ndarray], np.ndarray]

    def __call__(self) -> np.ndarray:
        """(68, 2) float32.

        Raises:
            ValueError: If the file cannot be read, or holds no such points.
        """
        try:
            return self.place(np.asarray(_variable(self.file, self.name), np.float32))
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error


def tracked_points(file: Path) -> list[np.ndarray | None]:
    """The points of each picture of a sequence, from a file with a struct array `fit`.

    Such are BP4D's `2DFeatures`: a struct a picture, whose field `pred` is (points, 2), or empty
    where the tracker lost the face.

    Returns:
        By picture, (points, 2) float32 or None.

    Raises:
        ValueError: If the file cannot be read, or holds no such struct.
    """
    try:
        fields = _variable(file, "fit", "pred")
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    points = [np.asarray(each, np.float32) for each in fields]
    return [each if each.size else None for each in points]


def _variable(file: Path, name: str, field: str | None = None):
    """A variable, or the list of a field over a struct array."""
    try:
        content = scipy.io.loadmat(file, variable_names=[name])
    except NotImplementedError:  # what SciPy says of version 7.3
        return _variable_of_hdf5(file, name, field)
    except Exception as error:  # of a damaged file it raises whatever it stumbles over
        raise ValueError(f"cannot be read as a .mat file ({error}).") from error
    if name not in content:
        raise ValueError(f"must hold a variable {name!r}. Received: none.")
    value = content[name]
    if field is None:
        return value
    if value.dtype.names is None or field not in value.dtype.names:
        raise ValueError(f"must hold a struct {name!r} with a field {field!r}.")
    return list(value[field].ravel())


def _variable_of_hdf5(file: Path, name: str, field: str | None):
    """The same from version 7.3, which stores every array transposed."""
    try:
        with h5py.File(file) as content:
            value = content[name] if field is None else content[name][field]
            if field is None:
                return value[()].T
            if h5py.check_ref_dtype(value.dtype) is None:  # a struct of one element is bare
                return [_array(value)]
            return [_array(content[reference]) for reference in value[()].ravel()]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot be read as a .mat file of version 7.3 ({error}).") from error


def _array(dataset) -> np.ndarray:
    # MATLAB writes an empty array as its shape, with a mark beside it.
    return np.zeros((0, 2)) if "MATLAB_empty" in dataset.attrs else dataset[()].T
