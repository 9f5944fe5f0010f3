"""BU-3DFE as it is delivered: a folder a subject, with a picture a class and level."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tfface.data.datasets.delivered import missing_subjects, visible
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems, named
from tfface.facs.expressions import BU3DFE_EXPRESSIONS

SUBJECTS = (
    *(f"F{number:04d}" for number in range(1, 57)),
    *(f"M{number:04d}" for number in range(1, 45)),
)

CODES = dict(zip(("AN", "DI", "FE", "HA", "NE", "SA", "SU"), BU3DFE_EXPRESSIONS, strict=True))

LEVELS = 4

_PICTURE = re.compile(r"([FM]\d{4})_([A-Z]{2})(\d{2})([A-Z]{2})_F2D\.bmp")

# 24 pictures of an expression and level, and a neutral one.
_A_SUBJECT = 25


def read_delivery(manual_dir: Path) -> Delivery:
    """Reads the lists of BU-3DFE's frontal textures.

    Args:
        manual_dir: The folder with a folder a subject, `F0001` to `F0056` and `M0001` to `M0044`.

    Raises:
        ValueError: With a line for each picture whose name is none of the set's.
    """
    problems, missing, frames = Problems(manual_dir), [], []
    for subject in visible(manual_dir):
        if subject.name not in SUBJECTS:
            continue  # the set's own documents
        files = [file for file in visible(subject) if file.name.endswith("_F2D.bmp")]
        taken = [frame for frame in (_frame(file, problems) for file in files) if frame]
        if 0 < len(taken) < _A_SUBJECT:
            missing.append(f"{subject.name}: {_A_SUBJECT - len(taken)} of {_A_SUBJECT} pictures")
        frames += taken
    problems.raise_all()
    if not frames:
        raise ValueError(
            f"{manual_dir}: must hold pictures such as F0001/F0001_AN01WH_F2D.bmp. "
            f"Received: {named(entry.name for entry in visible(manual_dir))}."
        )
    missing += missing_subjects((frame.subject for frame in frames), SUBJECTS)
    return Delivery(frames, (), BU3DFE_EXPRESSIONS, missing=missing)


def _frame(file: Path, problems: Problems) -> Frame | None:
    """A picture, whose name says it all."""
    match = _PICTURE.fullmatch(file.name)
    level = int(match[3]) if match else -1
    expected = {0} if match and match[2] == "NE" else set(range(1, LEVELS + 1))
    if not match or match[1] != file.parent.name or match[2] not in CODES or level not in expected:
        problems.add(
            f"must be named {file.parent.name}_<class><level><2 letters>_F2D.bmp, the class one of "
            f"{', '.join(CODES)}, the level 01 to 04 (NE: 00).",
            file,
        )
        return None
    unknown = np.zeros(0, np.float32)
    return Frame(
        key=file.stem,
        photo=file,
        subject=match[1],
        au=unknown,
        au_intensity=unknown,
        sequence=f"{match[1]}_{match[2]}",
        frame=level,
        expression=list(CODES).index(match[2]),
        phase=level / LEVELS,
    )
