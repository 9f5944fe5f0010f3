"""DISFA as it is delivered: a video a subject, a file of intensities an AU, landmarks a frame."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

import numpy as np

from tfface.data.datasets.delivered import (
    find_folders,
    missing_subjects,
    ranges,
    read_numbers,
    visible,
)
from tfface.data.datasets.frames import Delivery, Frame, VideoPicture
from tfface.data.datasets.matfiles import MatLandmarks
from tfface.data.datasets.problems import Problems, named
from tfface.data.datasets.workers import in_order
from tfface.data.folds import DISFA_PARTS
from tfface.data.videos import VideoError, open_video
from tfface.facs.action_units import DISFA_AUS
from tfface.facs.landmarks import from_66

SUBJECTS = tuple(sorted(subject for part in DISFA_PARTS for subject in part))

CODED_AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
"""The AUs whose intensity DISFA codes; presence is made of the papers' eight, `DISFA_AUS`."""

PRESENT_FROM = 2
"""The intensity from which the papers take an AU as present."""

_POINTS = re.compile(r"(l|SN\d{3}_)(\d+)_lm\.mat")


@dataclasses.dataclass(frozen=True)
class _Folders:
    videos: Path
    labels: Path
    landmarks: Path


@dataclasses.dataclass
class _Recording:
    """What was read of one subject."""

    frames: list[Frame] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    problem: ValueError | None = None


def read_delivery(manual_dir: Path, workers: int | None = None) -> Delivery:
    """Reads the lists and labels of DISFA, several subjects at once.

    Args:
        manual_dir: The folder with `Videos_LeftCamera` and `ActionUnit_Labels`.
        workers: Number of subjects read at once; None for one a core.

    Raises:
        ValueError: With a line for each label file that is missing or not as DISFA's are.
    """
    videos, labels = find_folders(manual_dir, "Videos_LeftCamera", "ActionUnit_Labels")
    folders = _Folders(videos, labels, manual_dir / "Landmark_Points")
    problems = Problems(manual_dir)
    missing = []
    if not folders.landmarks.is_dir():
        missing.append("Landmark_Points: no such folder, so the detector finds the faces")
    subjects = [folder.name for folder in visible(labels) if folder.is_dir()]
    for name in sorted(set(subjects) - set(SUBJECTS)):
        problems.add(f"must be a subject of DISFA. Received: {name!r}.", labels / name)
    subjects = [name for name in subjects if name in SUBJECTS]
    frames = []
    for recording in in_order(functools.partial(_read_subject, folders), subjects, workers):
        if recording.problem:
            problems.include(recording.problem)
        frames += recording.frames
        missing += recording.missing
    if not subjects:
        problems.add(
            "must hold a folder a subject, SN001 and so on. "
            f"Received: {named(entry.name for entry in visible(labels))}.",
            labels,
        )
    problems.raise_all()
    missing += missing_subjects((frame.subject for frame in frames), SUBJECTS)
    return Delivery(frames, CODED_AUS, (), missing=missing)


def _read_subject(folders: _Folders, subject: str) -> _Recording:
    """Reads one subject; what is wrong with the labels is the recording's `problem`."""
    recording = _Recording()
    video = folders.videos / f"LeftVideo{subject}_comp.avi"
    if not video.is_file():
        recording.missing.append(f"{subject}: no {video.name} in {video.parent.name}")
        return recording
    try:
        numbers, intensity = _intensities(folders.labels / subject, subject)
    except ValueError as error:
        recording.problem = error
        return recording
    recording.missing += _short_video(video, numbers)
    landmarks = _landmarks(folders.landmarks / subject)
    without = [number for number in numbers if number not in landmarks]
    if without and folders.landmarks.is_dir():
        recording.missing.append(f"{subject}: landmarks of frames {ranges(without)}")
    presence = np.where(
        np.isin(CODED_AUS, DISFA_AUS), (intensity >= PRESENT_FROM).astype(np.float32), np.nan
    ).astype(np.float32)
    for number, au, au_intensity in zip(numbers, presence, intensity, strict=True):
        recording.frames.append(
            Frame(
                key=f"{subject}/{number:04d}",
                photo=VideoPicture(video, number - 1),
                subject=subject,
                au=au,
                au_intensity=au_intensity,
                sequence=subject,
                frame=number,
                landmarks=landmarks.get(number),
            )
        )
    return recording


def _intensities(folder: Path, subject: str) -> tuple[list[int], np.ndarray]:
    """The frames' numbers, from 1, and (frames, 12) intensities."""
    columns, numbers = [], []
    for unit in CODED_AUS:
        file = folder / f"{subject}_au{unit}.txt"
        if not file.is_file():
            raise ValueError(
                f"{folder}: must hold {subject}_au<N>.txt for the AUs {named(CODED_AUS, 12)}. "
                f"Received: none for AU{unit}."
            )
        rows = read_numbers(file, ",")
        for line, row in enumerate(rows, 1):
            if len(row) != 2 or row[0] % 1 or row[0] < 1 or row[1] not in range(6):
                raise ValueError(
                    f"{file}: line {line}: must be a frame from 1 on and an intensity from 0 to "
                    f"5. Received: {row}."
                )
        columns.append([row[1] for row in rows])
        numbers.append([int(row[0]) for row in rows])
        if not rows or numbers[-1] != numbers[0]:
            raise ValueError(
                f"{file}: must label the same frames as {subject}_au{CODED_AUS[0]}.txt, "
                f"{len(numbers[0])}. Received: {len(rows)}."
            )
    return numbers[0], np.array(columns, np.float32).T


def _short_video(file: Path, numbers: list[int]) -> list[str]:
    """A line if the video announces fewer frames than are labeled, or cannot be opened."""
    try:
        with open_video(file) as video:
            count = video.frame_count
    except VideoError as error:
        return [str(error)]
    if count is None or count >= max(numbers):
        return []
    return [
        f"{file.name}: {max(numbers) - count} frames; {count} are there for {len(numbers)} labels"
    ]


def _landmarks(folder: Path) -> dict[int, MatLandmarks]:
    """The landmarks' files by the number of their frame, from 1.

    Most subjects' files are numbered from 0 (SN001_0000_lm.mat is frame 1's). Those that are named
    `l00001_lm.mat` count as the frames do, and have one more, of frame 0.
    """
    files = {}
    for file in sorted(folder.rglob("*_lm.mat")) if folder.is_dir() else ():
        if match := _POINTS.fullmatch(file.name):
            number = int(match[2]) + (match[1] != "l")
            files[number] = MatLandmarks(file, "pts", from_66)
    return files
