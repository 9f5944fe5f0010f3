"""Detectors of action units (AUs) from outside: faces written for them, their predictions read.

`write_faces` writes both test sets of Table 1 as pictures with their labels. Whoever has another
detector runs it on the two folders, and `examine_outside` makes of its csv files what
`examination.examine` makes of tfface's own recognizer.
"""

import csv
import re
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tfface.atomic import written_aside
from tfface.data.photos import write_photo
from tfface.scores import Predictions, score
from tfface.synthesis.examination import Examined, editor

FOLDERS = ("real", "synthesis")
"""The folders of pictures, each with a `labels.csv`."""


def write_faces(folder, generator, batches, targets, action_units):
    """Writes both sets of test faces as `<folder>/{real,synthesis}/<n>.png`, n from 1.

    Beside the pictures of each set lies its `labels.csv`: file, subject, and a column `AU<nn>_c` an
    AU, as OpenFace names them, empty where it is unknown.

    Args:
        folder: Where to write.
        generator: As in `examination.examine`, and so the others.
        batches: As in `examination.examine`.
        targets: As in `examination.examine`.
        action_units: As in `examination.examine`.
    """
    folder, edit, number = Path(folder), editor(generator), 0
    columns = [list(action_units).index(unit) for unit in generator.action_units]
    rows = {name: [] for name in FOLDERS}
    for batch in tqdm(batches, desc="faces", unit="batch", disable=None):
        count = len(batch["au"])
        wanted = targets[number : number + count]
        edited, _ = edit(batch["face"], batch["landmarks"], wanted[:, columns])
        sets = {"real": (batch["face"], batch["au"]), "synthesis": (edited, wanted)}
        subjects = [subject.decode() for subject in batch["subject"].numpy()]
        for name, (faces, labels) in sets.items():
            levels = np.rint(np.clip(faces, 0, 1) * 255).astype(np.uint8)
            for i, (face, label) in enumerate(zip(levels, np.asarray(labels), strict=True)):
                file = f"{number + i + 1:06d}.png"
                write_photo(folder / name / file, face)
                known = ["" if np.isnan(value) else f"{value:g}" for value in label]
                rows[name].append([file, subjects[i], *known])
        number += count
    header = ["file", "subject", *(f"AU{unit:02d}_c" for unit in action_units)]
    for name, lines in rows.items():
        with (
            written_aside(folder / name / "labels.csv") as aside,
            aside.open("w", newline="") as stream,
        ):
            csv.writer(stream, lineterminator="\n").writerows([header, *lines])


def read_decisions(path, action_units, count):
    """Reads what a detector decided of the pictures of one folder, in OpenFace's column names.

    A row is of the picture that its `file` names (`000012.png`), or without such a column of its
    `frame`, which counts from 1 as OpenFace does over a folder. A picture without a row, or with
    `success` 0, was not read: its decisions are NaN. Of several rows (faces) of a picture the first
    counts.

    Args:
        path: The csv file.
        action_units: AUs to read.
        count: Number of the pictures.

    Returns:
        The AUs that the file has, in the order of `action_units`, and (count, AUs) float32, 1
        present, 0 absent, NaN not read.

    Raises:
        ValueError: If the file cannot be read, has no such column, or a row is not as said.
    """
    try:
        with open(path, newline="") as stream:
            rows = list(csv.reader(stream, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"`path` must be a csv file. Received: {path} ({error})") from error
    header = [name.strip() for name in rows[0]] if rows else []
    units = tuple(unit for unit in action_units if f"AU{unit:02d}_c" in header)
    key = next((name for name in ("file", "frame") if name in header), None)
    if not units or key is None:
        raise ValueError(
            "`path` must have a column `file` or `frame` and one of `AU<nn>_c`, as OpenFace names "
            f"them. Received: {path} with {', '.join(header[:8]) or 'nothing'}"
        )
    decisions, taken = np.full((count, len(units)), np.nan, np.float32), set()
    for line, row in enumerate(rows[1:], start=2):
        values = dict(zip(header, row, strict=False))
        number = re.search(r"(\d+)(\.\w+)?$", values.get(key, ""))
        place = int(number[1]) if number else 0
        if not 1 <= place <= count:
            raise ValueError(
                f"`path` must have rows of the pictures 1 to {count}. "
                f"Received: {path}, line {line}: {key} {values.get(key)!r}"
            )
        if place in taken or values.get("success", "1").strip() in ("0", "0.0"):
            continue
        taken.add(place)
        try:
            decided = [float(values[f"AU{unit:02d}_c"]) for unit in units]
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"`path` must have a number for each AU. Received: {path}, line {line}: {error}"
            ) from error
        decisions[place - 1] = np.asarray(decided) >= 0.5
    return units, decisions


def examine_outside(files, labels, targets, action_units):
    """What a detector from outside reads in both sets.

    Args:
        files: Its csv files of the real and of the synthetic faces.
        labels: (faces, n) of the real faces, NaN where unknown.
        targets: (faces, n) of the synthetic ones.
        action_units: The AUs of these columns.

    Returns:
        Examined without changes, of the AUs that both files have; and by set the number of faces
        that the detector did not read, which are not scored.

    Raises:
        ValueError: As `read_decisions`, or if the files have no AU in common.
    """
    read = [read_decisions(path, action_units, len(labels)) for path in files]
    units = tuple(unit for unit in read[0][0] if unit in read[1][0])
    if not units:
        raise ValueError("`files` must have an AU in common. Received: two without")
    scores, missed = {}, {}
    columns = [list(action_units).index(unit) for unit in units]
    for name, (own, decisions), truth in zip(FOLDERS, read, (labels, targets), strict=True):
        decisions = decisions[:, [own.index(unit) for unit in units]]
        unread = np.isnan(decisions)
        truth = np.where(unread, np.nan, np.asarray(truth)[:, columns])
        found = Predictions(units, truth, np.nan_to_num(decisions), np.array([]))
        scores[name], missed[name] = score(found), int(unread.all(axis=1).sum())
    return Examined(units, scores, None, None, None), missed
