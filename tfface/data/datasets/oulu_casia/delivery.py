"""Oulu-CASIA as it is delivered: the folders of its original images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfface.data.datasets.delivered import find_folders, missing_subjects, phases, visible
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems, named
from tfface.facs.expressions import OULU_CASIA_EXPRESSIONS

CAMERAS = ("VL", "NI")
LIGHTS = ("Strong", "Weak", "Dark")

SUBJECTS = tuple(f"P{number:03d}" for number in range(1, 81))

_SUFFIXES = (".jpeg", ".jpg")


def read_delivery(manual_dir: Path, camera: str, light: str) -> Delivery:
    """Reads the lists of one recording of Oulu-CASIA: a folder a subject, in it one an expression.

    Args:
        manual_dir: The folder with `VL` and `NI`.
        camera: One of `CAMERAS`.
        light: One of `LIGHTS`.

    Raises:
        ValueError: With a line for each folder or picture whose name is none of the set's.
    """
    (root,) = find_folders(manual_dir, f"{camera}/{light}")
    problems, missing, frames = Problems(root), [], []
    for subject in visible(root):
        if not subject.is_dir():
            continue
        if subject.name not in SUBJECTS:
            problems.add("must be a subject, P001 to P080.", subject)
            continue
        folders = {folder.name.lower(): folder for folder in visible(subject) if folder.is_dir()}
        for name in sorted(set(folders) - set(OULU_CASIA_EXPRESSIONS)):
            problems.add(
                f"must be one of {', '.join(OULU_CASIA_EXPRESSIONS)}. "
                f"Received: {folders[name].name!r}.",
                folders[name],
            )
        for expression, name in enumerate(OULU_CASIA_EXPRESSIONS):
            sequence = _sequence(folders.get(name), expression, problems)
            if not sequence:
                missing.append(f"{subject.name}: no pictures of {name}")
            frames += sequence
    if not frames:
        problems.add(
            "must hold pictures such as P001/Anger/000.jpeg. "
            f"Received: {named(entry.name for entry in visible(root))}."
        )
    problems.raise_all()
    missing += missing_subjects((frame.subject for frame in frames), SUBJECTS)
    return Delivery(frames, (), OULU_CASIA_EXPRESSIONS, missing=missing)


def _sequence(folder: Path | None, expression: int, problems: Problems) -> list[Frame]:
    """The frames of one performance, neutral to peak."""
    entries = visible(folder) if folder else ()
    files = [file for file in entries if file.suffix.lower() in _SUFFIXES]
    for file in files:
        if not file.stem.isdecimal():
            problems.add("must be named by its number, as 000.jpeg.", file)
            return []
    unknown = np.zeros(0, np.float32)
    files.sort(key=lambda file: int(file.stem))
    return [
        Frame(
            key="/".join(file.with_suffix("").parts[-3:]),
            photo=file,
            subject=folder.parent.name,
            au=unknown,
            au_intensity=unknown,
            sequence=f"{folder.parent.name}_{folder.name}",
            frame=int(file.stem),
            expression=expression,
            phase=phase,
        )
        for file, phase in zip(files, phases(len(files)), strict=True)
    ]
