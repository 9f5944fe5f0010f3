"""LSEMSW as it is delivered: pictures, and a list of paths and labels for each split."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tfface.data.datasets.delivered import visible
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems, named
from tfface.facs.expressions import LSEMSW_EXPRESSIONS

LISTS = {
    "train": ("train.txt",),
    "validation": ("validation.txt", "val.txt"),
    "test": ("test.txt",),
}

CLASSES = "classes.txt"


def read_delivery(manual_dir: Path) -> Delivery:
    """Reads LSEMSW's lists: lines of a picture's path and its label.

    A label is the name of one of the 13 expressions, or a number into `classes.txt`. Numbers alone
    are refused: their order is not known, and a guess would give wrong classes without a word.

    Args:
        manual_dir: The folder with the lists and the pictures.

    Raises:
        ValueError: With a line for each line of a list that names no class, or a picture that is in
            two lists.
    """
    files = _lists(manual_dir)
    problems, missing, frames = Problems(manual_dir), [], []
    names = _names(manual_dir / CLASSES, problems)
    split_of: dict[str, str] = {}
    for split, file in files.items():
        absent = []
        for line, text in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
            if not text.strip():
                continue
            path, _, label = text.strip().rpartition(" ")
            path, name = os.path.normpath(path.strip()), names.get(label.lower())
            if name is None:
                problems.add(
                    f"line {line}: label must be one of {', '.join(LSEMSW_EXPRESSIONS)}, or a "
                    f"number into {CLASSES}. Received: {label!r}.",
                    file,
                )
            elif split_of.setdefault(path, split) != split:
                problems.add(f"line {line}: {path} is in {split_of[path]} as well.", file)
            elif not (manual_dir / path).is_file():
                absent.append(path)
            else:
                frames.append(_frame(manual_dir, path, name, split))
        if absent:
            missing.append(f"{file.name}: {len(absent)} pictures are not there: {named(absent)}")
    problems.raise_all()
    if not frames:
        raise ValueError(f"{manual_dir}: must hold the pictures of its lists. Received: none.")
    return Delivery(frames, (), LSEMSW_EXPRESSIONS, missing=missing)


def _lists(manual_dir: Path) -> dict[str, Path]:
    found = {
        split: next((manual_dir / name for name in names if (manual_dir / name).is_file()), None)
        for split, names in LISTS.items()
    }
    missing = [" or ".join(LISTS[split]) for split, file in found.items() if file is None]
    if missing:
        raise ValueError(
            f"{manual_dir}: must hold a list for each split. Missing: {', '.join(missing)}. "
            f"Received: {named(entry.name for entry in visible(manual_dir))}."
        )
    return found


def _names(file: Path, problems: Problems) -> dict[str, str]:
    """{label as written, in lower case: expression}."""
    names = {name: name for name in LSEMSW_EXPRESSIONS}
    if file.is_file():
        classes = [line.strip().lower() for line in file.read_text().splitlines() if line.strip()]
        if sorted(classes) != sorted(LSEMSW_EXPRESSIONS):
            problems.add(f"must name each of {', '.join(LSEMSW_EXPRESSIONS)} once.", file)
        names.update({str(number): name for number, name in enumerate(classes)})
    return names


def _frame(manual_dir: Path, path: str, name: str, split: str) -> Frame:
    unknown = np.zeros(0, np.float32)
    return Frame(
        key=path,
        photo=manual_dir / path,
        subject="",  # nobody knows who is who
        au=unknown,
        au_intensity=unknown,
        sequence=path,
        expression=LSEMSW_EXPRESSIONS.index(name),
        split=split,
    )
