"""CK+ as it is delivered: pictures, emotion labels, FACS codes and landmarks of its sequences."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tfface.data.datasets.delivered import (
    TextLandmarks,
    find_folders,
    phases,
    read_numbers,
    visible,
)
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS

CODED_AUS = (
    1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 23, 24, 25, 26, 27, 28, 43,
)  # fmt: skip
"""The AUs of CK+'s own table (Lucey et al., 2010, Table 1) that the package knows."""

N_SUBJECTS = 123

_PICTURE = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.png")


def read_delivery(manual_dir: Path) -> Delivery:
    """Reads the lists and labels of CK+.

    A sequence's emotion is the class of all its frames, whose phase runs from 0 to 1. Its FACS
    codes are the last frame's alone: the others' AUs are unknown. Of a sequence without an emotion
    only that last frame has a label, and the others are left out.

    Args:
        manual_dir: The folder with `cohn-kanade-images`, `Emotion`, `FACS` and `Landmarks`.

    Raises:
        ValueError: With a line for each thing that is wrong in names or labels.
    """
    images, emotions = find_folders(manual_dir, "cohn-kanade-images", "Emotion")
    reader = _Reader(manual_dir, emotions)
    for subject in visible(images):
        for sequence in visible(subject) if subject.is_dir() else ():
            if sequence.is_dir():
                reader.add_sequence(sequence)
    return reader.delivery()


class _Reader:
    def __init__(self, manual_dir: Path, emotions: Path):
        self._emotions = emotions
        self._facs, self._landmarks = manual_dir / "FACS", manual_dir / "Landmarks"
        self._problems = Problems(manual_dir)
        self._frames: list[Frame] = []
        self._without_labels: dict[str, int] = {}
        self._missing = [
            f"{folder.name}: no such folder, so {without}"
            for folder, without in (
                (self._facs, "no AU is known"),
                (self._landmarks, "the detector finds the faces"),
            )
            if not folder.is_dir()
        ]

    def add_sequence(self, folder: Path) -> None:
        """Reads one sequence, a folder of pictures."""
        subject, name = folder.parent.name, f"{folder.parent.name}_{folder.name}"
        pictures = self._pictures(folder, name)
        if not pictures:
            self._missing.append(f"{name}: no pictures in {folder}")
            return
        expression = self._emotion(subject, folder.name)
        peak = pictures[-1]
        unknown = np.full(len(CODED_AUS), np.nan, np.float32)
        presence, intensity = self._codes(subject, folder.name, peak.stem)
        points = self._landmarks / subject / folder.name
        without_points = 0
        for picture, phase in zip(pictures, phases(len(pictures)), strict=True):
            at_peak = picture is peak
            if expression < 0 and not (at_peak and np.isfinite(presence).any()):
                self._without_labels[name] = self._without_labels.get(name, 0) + 1
                continue
            file = points / f"{picture.stem}_landmarks.txt"
            has_points = file.is_file()
            without_points += not has_points
            self._frames.append(
                Frame(
                    key=picture.stem,
                    photo=picture,
                    subject=subject,
                    au=presence if at_peak else unknown,
                    au_intensity=intensity if at_peak else unknown,
                    sequence=name,
                    frame=int(picture.stem.rpartition("_")[2]),
                    expression=expression,
                    phase=phase,
                    landmarks=TextLandmarks(file) if has_points else None,
                )
            )
        if without_points and self._landmarks.is_dir():
            self._missing.append(
                f"{name}: landmarks of {without_points} of {len(pictures)} pictures"
            )

    def delivery(self) -> Delivery:
        """All sequences read so far; raises if something was wrong in one."""
        found = {frame.subject for frame in self._frames}
        if not found:
            self._problems.add("must hold pictures in cohn-kanade-images/S005/001 and the like.")
        self._problems.raise_all()
        if len(found) != N_SUBJECTS:
            self._missing.append(f"subjects: {N_SUBJECTS} were published, {len(found)} are here")
        return Delivery(
            self._frames, CODED_AUS, CK_PLUS_EXPRESSIONS, self._without_labels, self._missing
        )

    def _pictures(self, folder: Path, name: str) -> list[Path]:
        pictures = [file for file in visible(folder) if file.suffix.lower() == ".png"]
        for file in pictures:
            match = _PICTURE.fullmatch(file.name)
            if not match or f"{match[1]}_{match[2]}" != name:
                self._problems.add(
                    f"must be named {name}_<8 digits>.png. Received: {file.name}.", file
                )
                return []
        return pictures

    def _emotion(self, subject: str, sequence: str) -> int:
        """The sequence's class id, -1 if it has no emotion."""
        for file in self._labels(self._emotions, subject, sequence, "_emotion.txt"):
            rows = self._numbers(file)
            if len(rows) == 1 and rows[0][0] in range(len(CK_PLUS_EXPRESSIONS) + 1):
                return int(rows[0][0]) - 1  # 0 would be neutral, which is no class of CK+
            self._problems.add(
                f"must be one number from 0 to {len(CK_PLUS_EXPRESSIONS)}. Received: {rows}.", file
            )
        return -1

    def _codes(self, subject: str, sequence: str, peak: str) -> tuple[np.ndarray, np.ndarray]:
        """The peak's AUs: presence, and intensity where one was given (0 means that none was)."""
        presence = np.full(len(CODED_AUS), np.nan, np.float32)
        intensity = presence.copy()
        for file in self._labels(self._facs, subject, sequence, "_facs.txt"):
            if file.name != f"{peak}_facs.txt":
                self._problems.add(f"must code the last picture, {peak}.", file)
            presence[:], intensity[:] = 0, 0
            for row in self._numbers(file):
                if len(row) != 2 or row[0] % 1 or row[0] < 1 or not 0 <= row[1] <= 5:
                    self._problems.add(
                        f"must be lines of an AU and its intensity, 0 to 5. Received: {row}.", file
                    )
                elif row[0] in CODED_AUS:
                    place = CODED_AUS.index(row[0])
                    presence[place], intensity[place] = 1, row[1] or np.nan
        return presence, intensity

    def _labels(self, root: Path, subject: str, sequence: str, ending: str) -> list[Path]:
        folder = root / subject / sequence
        entries = visible(folder) if folder.is_dir() else ()
        files = [file for file in entries if file.name.endswith(ending)]
        if len(files) > 1:
            self._problems.add(f"must hold one *{ending}. Received: {len(files)}.", folder)
        return files[:1]

    def _numbers(self, file: Path) -> list[list[float]]:
        try:
            return read_numbers(file)
        except ValueError as error:
            self._problems.include(error)
            return []
