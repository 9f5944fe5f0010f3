"""Sets of posed expressions that are delivered as folders: subject, expression, number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfface.data.datasets.delivered import missing_subjects, visible
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems, named

_SUFFIXES = (".jpeg", ".jpg")


def read_posed(
    root: Path,
    subjects: Sequence[str],
    folders: Mapping[str, str],
    phases: Callable[[int], Sequence[float]],
) -> Delivery:
    """Reads the lists of a set without opening a picture.

    Args:
        root: The folder with a folder a subject, in it one an expression, in it 000.jpg and so on.
        subjects: The published subjects, sorted.
        folders: {the name of an expression's folder: the expression}, in the order of class ids.
        phases: Gives the phases of a sequence of so many pictures.

    Raises:
        ValueError: With a line for each folder or picture whose name is none of the set's.
    """
    problems, missing, frames = Problems(root), [], []
    labels = {name.lower(): (label, each) for label, (name, each) in enumerate(folders.items())}
    for subject in visible(root):
        if not subject.is_dir():
            continue
        if subject.name not in subjects:
            problems.add(f"must be a subject, {subjects[0]} to {subjects[-1]}.", subject)
            continue
        found = {folder.name.lower(): folder for folder in visible(subject) if folder.is_dir()}
        for name in sorted(set(found) - set(labels)):
            problems.add(
                f"must be one of {', '.join(folders)}. Received: {found[name].name!r}.",
                found[name],
            )
        for name, (label, expression) in labels.items():
            sequence = _sequence(found.get(name), label, phases, problems)
            if not sequence:
                missing.append(f"{subject.name}: no pictures of {expression}")
            frames += sequence
    problems.raise_all()
    if not frames:
        raise ValueError(
            f"{root}: must hold pictures such as {subjects[0]}/{next(iter(folders))}/000.jpg. "
            f"Received: {named(entry.name for entry in visible(root))}."
        )
    missing += missing_subjects((frame.subject for frame in frames), subjects)
    return Delivery(frames, (), tuple(folders.values()), missing=missing)


def _sequence(folder: Path | None, label: int, phases, problems: Problems) -> list[Frame]:
    """The frames of one performance."""
    entries = visible(folder) if folder else ()
    files = [file for file in entries if file.suffix.lower() in _SUFFIXES]
    for file in files:
        if not file.stem.isdecimal():
            problems.add("must be named by its number, as 000.jpg.", file)
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
            expression=label,
            phase=phase,
        )
        for file, phase in zip(files, phases(len(files)), strict=True)
    ]
