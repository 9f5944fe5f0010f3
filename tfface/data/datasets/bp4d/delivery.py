"""BP4D as it is delivered: a folder of pictures a task, tables of AUs, tracked landmarks."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

import numpy as np

from tfface.data.datasets.bp4d.tables import read_intensity, read_presence
from tfface.data.datasets.delivered import find_folders, missing_subjects, ranges, visible
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.matfiles import tracked_points
from tfface.data.datasets.problems import Problems, named
from tfface.data.datasets.workers import in_order
from tfface.data.folds import BP4D_PARTS
from tfface.facs.action_units import BP4D_AUS
from tfface.facs.landmarks import from_49

SUBJECTS = tuple(sorted(subject for part in BP4D_PARTS for subject in part))
TASKS = tuple(f"T{number}" for number in range(1, 9))

_TABLE = re.compile(r"([FM]\d{3})_(T\d)\.csv")


@dataclasses.dataclass(frozen=True)
class _Folders:
    pictures: Path
    presence: Path
    intensity: Path
    landmarks: Path


@dataclasses.dataclass
class _Task:
    """What was read of one task of one subject."""

    frames: list[Frame] = dataclasses.field(default_factory=list)
    without_labels: int = 0
    missing: list[str] = dataclasses.field(default_factory=list)
    problem: ValueError | None = None


def read_delivery(manual_dir: Path, workers: int | None = None) -> Delivery:
    """Reads the lists, labels and landmarks of BP4D, several tasks at once.

    Only pictures that are coded are taken: about 147,000 of 368,000. The rest have no label.

    Args:
        manual_dir: The folder with `AUCoding` and `Sequences(2D+3D)` or `2D`.
        workers: Number of tasks read at once; None for one a core.

    Raises:
        ValueError: With a line for each table that is not as BP4D's are.
    """
    pictures, presence = find_folders(manual_dir, ("Sequences(2D+3D)", "2D"), "AUCoding/AU_OCC")
    folders = _Folders(
        pictures, presence, manual_dir / "AUCoding" / "AU_INT", manual_dir / "2DFeatures"
    )
    problems = Problems(manual_dir)
    names = _task_names(folders, problems)
    frames, without_labels, missing = [], {}, _missing_folders(folders)
    for name, task in zip(
        names, in_order(functools.partial(_read_task, folders), names, workers), strict=True
    ):
        if task.problem:
            problems.include(task.problem)
        frames += task.frames
        missing += task.missing
        if task.without_labels:
            without_labels["_".join(name)] = task.without_labels
    problems.raise_all()
    if not frames:
        raise ValueError(
            f"{presence}: must hold tables such as F001_T1.csv, of pictures in {pictures}. "
            f"Received: {named(entry.name for entry in visible(presence))}."
        )
    missing += missing_subjects((frame.subject for frame in frames), SUBJECTS)
    return Delivery(frames, BP4D_AUS, (), without_labels, missing)


def _task_names(folders: _Folders, problems: Problems) -> list[tuple[str, str]]:
    """(subject, task) of every table, and of every folder of pictures of those subjects."""
    names = set()
    for file in visible(folders.presence):
        if match := _TABLE.fullmatch(file.name):
            names.add((match[1], match[2]))
        elif file.suffix.lower() == ".csv":
            problems.add("must be named by subject and task, as F001_T1.csv.", file)
    for subject in visible(folders.pictures):
        if subject.is_dir() and subject.name in SUBJECTS:
            names |= {(subject.name, task.name) for task in visible(subject) if task.name in TASKS}
    subjects = {subject for subject, _ in names}
    names |= {(subject, task) for subject in subjects for task in TASKS}
    return sorted(names)


def _missing_folders(folders: _Folders) -> list[str]:
    consequences = {
        folders.intensity: "no intensity is known",
        folders.landmarks: "the detector finds the faces",
    }
    return [
        f"{folder.name}: no such folder, so {consequence}"
        for folder, consequence in consequences.items()
        if not folder.is_dir()
    ]


def _read_task(folders: _Folders, name: tuple[str, str]) -> _Task:
    """Reads one task; what is wrong with its tables is its `problem`."""
    task, (subject, label) = _Task(), name
    sequence = f"{subject}_{label}"
    pictures = _pictures(folders.pictures / subject / label)
    table = folders.presence / f"{sequence}.csv"
    absent = [
        what
        for what, is_there in (
            (f"pictures in {folders.pictures.name}/{subject}/{label}", pictures),
            (f"table {table.name} in {folders.presence.name}", table.is_file()),
        )
        if not is_there
    ]
    if absent:
        task.missing.append(f"{sequence}: no {' and no '.join(absent)}")
    if not table.is_file():
        task.without_labels = len(pictures)
        return task
    try:
        numbers, presence = read_presence(table)
        intensity = _intensities(folders.intensity, sequence, numbers, task)
        landmarks = _landmarks(folders.landmarks, sequence, list(pictures), task)
    except ValueError as error:
        task.problem = error
        return task
    for number, au, au_intensity in zip(numbers, presence, intensity, strict=True):
        picture = pictures.get(number)
        if picture is not None and np.isfinite(au).any():
            task.frames.append(
                Frame(
                    key=f"{subject}/{label}/{picture.stem}",
                    photo=picture,
                    subject=subject,
                    au=au,
                    au_intensity=au_intensity,
                    sequence=sequence,
                    frame=number,
                    landmarks=landmarks.get(number),
                )
            )
    gone = [number for number in numbers if number not in pictures]
    if gone and pictures:
        task.missing.append(f"{sequence}: pictures of coded frames {ranges(gone)}")
    task.without_labels = len(pictures) - len(task.frames)
    return task


def _pictures(folder: Path) -> dict[int, Path]:
    """The pictures by their number; how many digits a name has differs from task to task."""
    if not folder.is_dir():
        return {}
    files = [
        file
        for file in visible(folder)
        if file.suffix.lower() in (".jpg", ".jpeg") and file.stem.isdecimal()
    ]
    return {int(file.stem): file for file in sorted(files, key=lambda file: int(file.stem))}


def _intensities(folder: Path, sequence: str, numbers: list[int], task: _Task) -> np.ndarray:
    """(frames, 12), NaN where an AU's intensity was not coded."""
    values = np.full((len(numbers), len(BP4D_AUS)), np.nan, np.float32)
    if not folder.is_dir():
        return values
    row_of = {number: row for row, number in enumerate(numbers)}
    for place, unit in enumerate(BP4D_AUS):
        if not (folder / f"AU{unit:02d}").is_dir():
            continue  # five of the 12 AUs have intensities
        file = folder / f"AU{unit:02d}" / f"{sequence}_AU{unit:02d}.csv"
        if not file.is_file():
            task.missing.append(f"{sequence}: no intensities of AU{unit} in {folder.name}")
            continue
        for number, value in read_intensity(file).items():
            if number in row_of:
                values[row_of[number], place] = value
    return values


def _landmarks(
    folder: Path, sequence: str, numbers: list[int], task: _Task
) -> dict[int, np.ndarray]:
    """By picture number, the 68-point landmarks of those pictures whose face was tracked."""
    file = folder / f"{sequence}.mat"
    if not numbers or not folder.is_dir():
        return {}
    if not file.is_file():
        task.missing.append(f"{sequence}: no landmarks {file.name} in {folder.name}")
        return {}
    points = tracked_points(file)
    if len(points) < len(numbers):
        task.missing.append(
            f"{sequence}: landmarks of {len(numbers) - len(points)} of {len(numbers)} pictures"
        )
    if len(points) > len(numbers):
        # The j-th points are the j-th picture's: with pictures missing, nobody knows which.
        task.missing.append(
            f"{sequence}: {len(points) - len(numbers)} pictures that landmarks are there for, so "
            "that none can be assigned and the detector finds the faces"
        )
        return {}
    try:
        return {
            number: from_49(each)
            for number, each in zip(numbers, points, strict=False)
            if each is not None
        }
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
