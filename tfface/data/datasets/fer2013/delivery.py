"""FER-2013 as it is delivered: one table, a line a face."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np

from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems, named
from tfface.data.photos import PhotoError
from tfface.data.schema import FACE_SIZE
from tfface.facs.expressions import FER2013_EXPRESSIONS

TABLE = "fer2013.csv"
SIDE = 48
SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
N_FACES = 35_887

_COLUMNS = ("emotion", "pixels", "Usage")


@dataclasses.dataclass(frozen=True)
class Pixels:
    """A face as the table writes it, decoded when called.

    Attributes:
        place: The table's file and line, for errors.
        text: Gray values row by row, separated by blanks.
    """

    place: str
    text: str

    def __call__(self) -> np.ndarray:
        """(200, 200, 3) uint8 RGB: the face enlarged.

        Raises:
            PhotoError: If there are not 48 x 48 values from 0 to 255.
        """
        try:
            values = np.array(self.text.split(), np.int64)
        except ValueError as error:
            raise PhotoError(f"{self.place}: pixels must be whole numbers.") from error
        if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
            raise PhotoError(
                f"{self.place}: pixels must be {SIDE} x {SIDE} values from 0 to 255. "
                f"Received: {values.size} values."
            )
        gray = values.astype(np.uint8).reshape(SIDE, SIDE)
        large = cv2.resize(gray, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_CUBIC)
        return np.repeat(large[..., None], 3, axis=-1)


def read_delivery(manual_dir: Path) -> Delivery:
    """Reads FER-2013's table.

    Args:
        manual_dir: The folder with `fer2013.csv`.

    Raises:
        ValueError: With a line for each line of the table that has another class or usage.
    """
    file = manual_dir / TABLE
    problems, frames = Problems(file), []
    for line, row in _rows(file):
        if row["emotion"] not in map(str, range(len(FER2013_EXPRESSIONS))):
            problems.add(
                f"line {line}: emotion must be 0 to {len(FER2013_EXPRESSIONS) - 1}. "
                f"Received: {row['emotion']!r}."
            )
        elif row["Usage"] not in SPLITS:
            problems.add(
                f"line {line}: Usage must be one of {', '.join(SPLITS)}. "
                f"Received: {row['Usage']!r}."
            )
        else:
            frames.append(_frame(file, line, row))
    problems.raise_all()
    if not frames:
        raise ValueError(f"{file}: must hold a line a face. Received: none.")
    missing = []
    if len(frames) != N_FACES:
        missing.append(f"{TABLE}: {N_FACES} faces were published, {len(frames)} are here")
    return Delivery(frames, (), FER2013_EXPRESSIONS, missing=missing)


def _rows(file: Path):
    """(line, {column: cell}) of the table."""
    if not file.is_file():
        found = named(sorted(entry.name for entry in file.parent.iterdir()))
        raise ValueError(f"{file.parent}: must hold {TABLE}. Received: {found}.")
    csv.field_size_limit(sys.maxsize)
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError(
                f"{file}: line 1: must name the columns {', '.join(_COLUMNS)}. "
                f"Received: {named(reader.fieldnames or ())}."
            )
        for row in reader:
            yield reader.line_num, {name: (row[name] or "").strip() for name in _COLUMNS}


def _frame(file: Path, line: int, row: dict[str, str]) -> Frame:
    unknown = np.zeros(0, np.float32)
    return Frame(
        key=f"line {line}",
        photo=Pixels(f"{file}: line {line}", row["pixels"]),
        subject="",  # nobody knows who is who
        au=unknown,
        au_intensity=unknown,
        frame=line - 2,
        expression=int(row["emotion"]),
        split=SPLITS[row["Usage"]],
    )
