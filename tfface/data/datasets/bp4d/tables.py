"""BP4D's tables of action units: presence of all in one, intensities in one an AU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfface.data.datasets.delivered import read_numbers
from tfface.data.datasets.problems import named
from tfface.facs.action_units import BP4D_AUS

_NOT_CODED = 9


def read_presence(file: Path) -> tuple[list[int], np.ndarray]:
    """Reads a table of `AU_OCC`: AU numbers in the first row, frame numbers in the first column.

    Returns:
        The frames' numbers, and (frames, 12) float32 of `BP4D_AUS`: 1, 0, NaN for the code 9.

    Raises:
        ValueError: If an AU is missing, or a value is none of 0, 1 and 9, naming file and line.
    """
    header, *rows = _rows(file)
    missing = [unit for unit in BP4D_AUS if unit not in header[1:]]
    if missing:
        raise ValueError(
            f"{file}: line 1: must name the AUs {named(BP4D_AUS, 12)}. "
            f"Missing: {named(missing, 12)}. Received: {named(f'{unit:g}' for unit in header[1:])}."
        )
    columns = [header.index(unit, 1) for unit in BP4D_AUS]
    values = np.array([[row[column] for column in columns] for row in rows], np.float32)
    values = values.reshape(len(rows), len(BP4D_AUS))
    _check(file, values, (0, 1, _NOT_CODED), "0, 1 or 9", first_line=2)
    values[values == _NOT_CODED] = np.nan
    return _numbers(file, rows, first_line=2), values


def read_intensity(file: Path) -> dict[int, float]:
    """Reads a table of `AU_INT`: lines of frame number and intensity, without a header.

    Returns:
        {frame: 0 to 5, NaN for the code 9}.

    Raises:
        ValueError: If a line is not of that form, naming file and line.
    """
    rows = _rows(file)
    if len(rows[0]) != 2:
        raise ValueError(
            f"{file}: line 1: must be a frame and an intensity. Received: {len(rows[0])} numbers."
        )
    values = np.array([row[1] for row in rows], np.float32)
    _check(file, values[:, None], (0, 1, 2, 3, 4, 5, _NOT_CODED), "0 to 5 or 9", first_line=1)
    values[values == _NOT_CODED] = np.nan
    return dict(zip(_numbers(file, rows, first_line=1), values.tolist(), strict=True))


def _rows(file: Path) -> list[list[float]]:
    """The rows of a table, all of the same length."""
    rows = read_numbers(file, ",")
    if not rows:
        raise ValueError(f"{file}: must hold a table. Received: no line.")
    for line, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{file}: line {line}: must have {len(rows[0])} cells, as the first. "
                f"Received: {len(row)}."
            )
    return rows


def _numbers(file: Path, rows: list[list[float]], first_line: int) -> list[int]:
    numbers = [row[0] for row in rows]
    for line, number in enumerate(numbers, first_line):
        if number % 1 or number < 0:
            raise ValueError(
                f"{file}: line {line}: must begin with a frame's number. Received: {number:g}."
            )
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{file}: must hold each frame once.")
    return [int(number) for number in numbers]


def _check(file: Path, values: np.ndarray, allowed: tuple, rule: str, first_line: int) -> None:
    wrong = np.argwhere(~np.isin(values, allowed))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{file}: line {row + first_line}: must hold {rule}. Received: {values[row, column]:g}."
        )
