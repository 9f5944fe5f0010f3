"""labels.csv: the list of pictures and labels of an `image_folder`, in OpenFace's column names."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import math
import os
import re
from pathlib import Path

import numpy as np

from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems
from tfface.data.schema import N_LANDMARKS

LABELS_NAME = "labels.csv"

OWN_SPLITS = ("train", "validation", "test")

_AU_COLUMN = re.compile(r"AU(\d{1,2})_([cr])")

_LANDMARK_COLUMNS = [[f"{axis}_{index}" for axis in "xy"] for index in range(N_LANDMARKS)]


def read_labels(folder: str | os.PathLike) -> Delivery:
    """Reads and checks the whole of a folder's labels.csv, without opening a picture.

    Columns: `path` (relative to the folder) and `subject`; optional `sequence`, `frame`, `phase`
    (0 to 1), `expression` (a name), `AU01_c` ... (1, 0 or empty), `AU01_r` ... (0 to 5 or empty),
    `x_0` ... `x_67` and `y_0` ... `y_67` (pixels of that picture), `split` (train, validation or
    test: the set's own splits). Other columns, such as OpenFace's pose and gaze, are passed over,
    and so are the blanks that OpenFace puts before its names. An empty cell is an unknown label;
    nothing is guessed: an AU of which only the intensity is given has no presence.

    A picture without `sequence` is a sequence of its own; a sequence without `frame` is numbered in
    the file's order.

    Args:
        folder: The folder with labels.csv and the pictures.

    Returns:
        The frames in the file's order; the AUs of the header, ascending; the expressions' names
        that occur, in lower case and alphabetical order.

    Raises:
        ValueError: With one line for each problem (the first 20), naming file, line, column and
            rule.
    """
    file = Path(folder) / LABELS_NAME
    if not file.is_file():
        found = "a folder" if file.is_dir() else "no such file"
        raise ValueError(f"{file}: must be a file. Received: {found}.")
    header, rows = _read_table(file)
    return _Reader(file, header).read(rows)


def _read_table(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and (line number, cells) of each row that is not blank."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            text = stream.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: must be UTF-8 text ({error.reason}).") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{file}: line {line}: must be text. Received: a NUL character.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except csv.Error as error:
        raise ValueError(f"{file}: line {reader.line_num}: must be CSV ({error}).") from error
    if not rows:
        raise ValueError(
            f"{file}: must have a header and at least one row. Received: {len(rows)} rows."
        )
    return header, rows


class _Reader:
    """Reads rows under a header, collecting what is wrong instead of stopping at the first."""

    def __init__(self, file: Path, header: list[str]):
        self._file = file
        self._problems = Problems(file)
        self._columns = {name: index for index, name in enumerate(header)}
        self._au_columns = self._find_au_columns(header)
        self._check_header(header)
        self._problems.raise_all()
        self._has_landmarks = "x_0" in self._columns
        self._places: dict[str, list[tuple[int, str]]] = collections.defaultdict(list)
        self._split_of: dict[str, tuple[str, int]] = {}
        self._positions: collections.Counter = collections.Counter()

    def read(self, rows: list[tuple[int, list[str]]]) -> Delivery:
        action_units = tuple(sorted({number for number, _ in self._au_columns}))
        names = []
        frames = []
        for line, cells in rows:
            if len(cells) != len(self._columns):
                self._problems.add(
                    f"line {line}: must have {len(self._columns)} cells, as the header. "
                    f"Received: {len(cells)}."
                )
                continue
            frame, name = self._frame(line, cells, action_units)
            frames.append(frame)
            names.append(name)
        self._problems.raise_all()
        expressions = tuple(sorted(set(names) - {""}))
        ids = {"": -1, **{name: index for index, name in enumerate(expressions)}}
        frames = [
            dataclasses.replace(frame, expression=ids[name])
            for frame, name in zip(frames, names, strict=True)
        ]
        return Delivery(frames, action_units, expressions)

    def _find_au_columns(self, header: list[str]) -> dict[tuple[int, str], int]:
        columns: dict[tuple[int, str], int] = {}
        for index, name in enumerate(header):
            if match := _AU_COLUMN.fullmatch(name):
                key = int(match[1]), match[2]
                if key in columns and header[columns[key]] != name:
                    self._problems.add(
                        f"header: columns {header[columns[key]]} and {name} are the same."
                    )
                columns[key] = index
            elif _AU_COLUMN.fullmatch(name.upper().replace("_C", "_c").replace("_R", "_r")):
                # Labels that are passed over in silence would be missed much later.
                self._problems.add(
                    f"header: column must be AU<number>_c or _r. Received: {name!r}."
                )
        return columns

    def _check_header(self, header: list[str]) -> None:
        for name, count in collections.Counter(header).items():
            if count > 1:
                self._problems.add(
                    f"header: column {name!r} must stand once. Received: {count} times."
                )
        for name in ("path", "subject"):
            if name not in self._columns:
                self._problems.add(
                    f"header: column {name!r} is missing. Received: {_shortened(header)}."
                )
        landmark_columns = [name for pair in _LANDMARK_COLUMNS for name in pair]
        missing = [name for name in landmark_columns if name not in self._columns]
        if 0 < len(missing) < len(landmark_columns):
            self._problems.add(
                "header: landmarks need all of x_0 ... x_67 and y_0 ... y_67. "
                f"Missing: {_shortened(missing)}."
            )

    def _frame(
        self, line: int, cells: list[str], action_units: tuple[int, ...]
    ) -> tuple[Frame, str]:
        """One row as a frame, and its expression's name."""
        path = self._cell(cells, "path")
        path = path and os.path.normpath(path)  # "./a.png" is "a.png", and must not stand twice
        subject = self._cell(cells, "subject")
        if not subject:
            self._problems.add(f"line {line}, column subject: must not be empty.")
        landmarks = self._landmarks(line, cells)
        key = self._check_path(line, path, subject, landmarks is not None)
        sequence = self._cell(cells, "sequence") or path
        phase = self._number(line, cells, "phase", "0 to 1 or empty", lambda v: 0 <= v <= 1)
        frame = Frame(
            key=key,
            photo=self._file.parent / path,
            subject=subject,
            au=self._au_values(line, cells, action_units, "c"),
            au_intensity=self._au_values(line, cells, action_units, "r"),
            sequence=sequence,
            frame=self._position(line, cells, subject, sequence),
            phase=phase,
            landmarks=landmarks,
            split=self._split(line, cells, subject),
        )
        return frame, self._cell(cells, "expression").lower()

    def _check_path(self, line: int, path: str, subject: str, has_landmarks: bool) -> str:
        """Checks that the picture is there and named once a person; gives the frame's key."""
        where = f"line {line}, column path"
        if not path or Path(path).is_absolute() or ".." in Path(path).parts:
            self._problems.add(
                f"{where}: must be a path inside {self._file.parent}. Received: {path!r}."
            )
        elif not os.path.isfile(self._file.parent / path):  # false for too long a name as well
            self._problems.add(f"{where}: must be a file. Received: {path!r}, which is not there.")
        earlier = self._places[path]
        for other_line, other_subject in earlier:
            # One photo may show two people, but only landmarks can tell which face is whose.
            if other_subject == subject or not has_landmarks:
                self._problems.add(
                    f"{where}: must stand once, or once a subject with landmarks. "
                    f"Received: {path!r}, also on line {other_line}."
                )
                break
        earlier.append((line, subject))
        return path if len(earlier) == 1 else f"{path} ({subject})"

    def _au_values(
        self, line: int, cells: list[str], action_units: tuple[int, ...], kind: str
    ) -> np.ndarray:
        values = np.full(len(action_units), np.nan, np.float32)
        for place, number in enumerate(action_units):
            if (number, kind) in self._au_columns:
                column = f"AU{number:02d}_{kind}"
                text = cells[self._au_columns[number, kind]]
                if kind == "c":
                    values[place] = self._parsed(
                        line, column, text, "1, 0 or empty", (0, 1).__contains__
                    )
                else:
                    values[place] = self._parsed(
                        line, column, text, "0 to 5 or empty", lambda value: 0 <= value <= 5
                    )
        return values

    def _landmarks(self, line: int, cells: list[str]) -> np.ndarray | None:
        if not self._has_landmarks:
            return None
        points = [
            [
                self._number(line, cells, name, "a number of pixels or empty", math.isfinite)
                for name in pair
            ]
            for pair in _LANDMARK_COLUMNS
        ]
        points = np.array(points, np.float32)
        return None if np.isnan(points).all() else points

    def _position(self, line: int, cells: list[str], subject: str, sequence: str) -> int:
        """The frame's number: the cell's, else the count of this sequence's rows so far."""
        text = self._cell(cells, "frame")
        if not text:
            position = self._positions[subject, sequence]
            self._positions[subject, sequence] += 1
            return position
        if not re.fullmatch(r"\d{1,9}", text):
            self._problems.add(
                f"line {line}, column frame: must be a whole number from 0. Received: {text!r}."
            )
            return 0
        return int(text)

    def _split(self, line: int, cells: list[str], subject: str) -> str | None:
        if "split" not in self._columns:
            return None
        split = self._cell(cells, "split")
        if split not in OWN_SPLITS:
            self._problems.add(
                f"line {line}, column split: must be one of {', '.join(OWN_SPLITS)}. "
                f"Received: {split!r}."
            )
            return split
        other, other_line = self._split_of.setdefault(subject, (split, line))
        if other != split:
            self._problems.add(
                f"line {line}, column split: a subject must stand in one split. "
                f"Received: {subject!r} in {split!r}, and on line {other_line} in {other!r}."
            )
        return split

    def _cell(self, cells: list[str], column: str) -> str:
        return cells[self._columns[column]] if column in self._columns else ""

    def _number(self, line: int, cells: list[str], column: str, rule: str, holds) -> float:
        return self._parsed(line, column, self._cell(cells, column), rule, holds)

    def _parsed(self, line: int, column: str, text: str, rule: str, holds) -> float:
        """A cell's number, NaN if it is empty; a problem if it breaks the rule."""
        if not text:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not holds(value):
            self._problems.add(f"line {line}, column {column}: must be {rule}. Received: {text!r}.")
            return math.nan
        return value


def _shortened(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
