"""What the builders of delivered sets share: finding folders, reading numbers, naming gaps."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tfface.data.datasets.problems import named
from tfface.facs.landmarks import N_POINTS


def visible(folder: Path) -> list[Path]:
    """What is in a folder by name, without hidden files (.DS_Store and the like)."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def find_folders(manual_dir: Path, *wanted: str | tuple[str, ...]) -> list[Path]:
    """The folders that a delivered set must have.

    Args:
        manual_dir: The folder that was given.
        *wanted: Paths in it; of a tuple any one will do, the first that is there.

    Raises:
        ValueError: If one is not there, with what is there instead, and where it is if it is in one
            of the folders in `manual_dir`.
    """
    choices = [(each,) if isinstance(each, str) else each for each in wanted]
    found = _present(manual_dir, choices)
    missing = [" or ".join(each) for each, path in zip(choices, found, strict=True) if path is None]
    if not missing:
        return found
    deeper = next(
        (
            entry
            for entry in visible(manual_dir)
            if entry.is_dir() and all(_present(entry, choices))
        ),
        None,
    )
    received = named(entry.name for entry in visible(manual_dir))
    hint = f"; they are in {deeper}" if deeper else ""
    raise ValueError(
        f"{manual_dir}: must hold {', '.join(' or '.join(each) for each in choices)}. "
        f"Missing: {', '.join(missing)}. Received: {received}{hint}."
    )


def _present(folder: Path, choices: Sequence[tuple[str, ...]]) -> list[Path | None]:
    return [
        next((folder / name for name in names if (folder / name).is_dir()), None)
        for names in choices
    ]


def read_numbers(file: Path, delimiter: str | None = None) -> list[list[float]]:
    """The rows of a text file of numbers; blank lines are passed over.

    Raises:
        ValueError: If the file cannot be read or holds something else, naming the line.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot be read ({error}).") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append([float(cell) for cell in line.split(delimiter)])
            except ValueError:
                raise ValueError(
                    f"{file}: line {number}: must be numbers. Received: {line.strip()[:40]!r}."
                ) from None
    return rows


@dataclasses.dataclass(frozen=True)
class TextLandmarks:
    """Landmarks in a text file of a point a line, read when called.

    Attributes:
        file: The file.
    """

    file: Path

    def __call__(self) -> np.ndarray:
        """(68, 2) float32.

        Raises:
            ValueError: If the file does not hold 68 points.
        """
        rows = read_numbers(self.file)
        if len(rows) != N_POINTS or any(len(row) != 2 for row in rows):
            raise ValueError(
                f"{self.file}: must hold {N_POINTS} lines of x and y. Received: {len(rows)} lines."
            )
        return np.array(rows, np.float32)


def phases(count: int) -> list[float]:
    """0 to 1 in equal steps, for a sequence from neutral to peak; a single frame is the peak."""
    return [position / (count - 1) if count > 1 else 1.0 for position in range(count)]


def missing_subjects(found: Iterable[str], published: Sequence[str]) -> list[str]:
    """A line naming published subjects that are not there, neighbors as ranges; or none."""
    found = set(found)
    runs = itertools.groupby(published, lambda name: (name.rstrip("0123456789"), name in found))
    missing = [_run(list(names)) for (_, there), names in runs if not there]
    return [f"subjects missing: {', '.join(missing)}"] if missing else []


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers as ranges, "3-7, 9"."""
    runs = itertools.groupby(enumerate(sorted(set(numbers))), lambda pair: pair[1] - pair[0])
    return ", ".join(_run([number for _, number in run]) for _, run in runs)


def _run(names: Sequence) -> str:
    return str(names[0]) if len(names) == 1 else f"{names[0]}-{names[-1]}"


def digest(manual_dir: Path, *patterns: str, content: bool = True) -> str:
    """A digest of the names, and the contents, of the files that patterns match."""
    total = hashlib.sha256()
    for file in sorted(itertools.chain.from_iterable(manual_dir.glob(each) for each in patterns)):
        total.update(os.fsencode(file.relative_to(manual_dir)))
        if content:
            total.update(file.read_bytes())
    return total.hexdigest()
