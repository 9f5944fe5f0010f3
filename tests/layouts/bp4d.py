"""BP4D: pictures by task, tables of AUs with the code 9, tracked landmarks in .mat files."""

import h5py
import numpy as np
import scipy.io

from tests.layouts.faces import spontaneous, write_picture, write_text
from tfface.facs.action_units import BP4D_AUS

# The AUs of a real table's header; of those that no synthetic face shows, all is unknown.
HEADER = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 27, 28)
INTENSITIES = (6, 10, 12, 14, 17)
FIRST = 2440
"""Number of the first picture of a task."""


def make(
    folder,
    subjects=("F001", "M002"),
    tasks=("T1", "T2"),
    frames=3,
    uncoded=1,
    new=True,
    scale=1,
):
    """Tasks of `frames` coded pictures with `uncoded` ones behind them.

    The last coded picture of T1 has AU 9s alone; landmarks are of version 7.3 if `new`, else 5.
    `scale` enlarges the pictures; BP4D's own are about as large as 8 gives.
    """
    for subject in subjects:
        pictures = iter(spontaneous(subject, len(tasks) * (frames + uncoded), scale))
        for task in tasks:
            taken = [next(pictures) for _ in range(frames + uncoded)]
            numbers = range(FIRST, FIRST + len(taken))
            for number, frame in zip(numbers, taken, strict=True):
                path = folder / f"Sequences(2D+3D)/{subject}/{task}/{number:04d}.jpg"
                write_picture(path, frame["image"])
            coded = list(zip(numbers, taken, strict=True))[:frames]
            _write_presence(folder, subject, task, coded)
            for unit in INTENSITIES:
                lines = [f"{number},{_level(frame, unit)}" for number, frame in coded]
                name = f"AU{unit:02d}/{subject}_{task}_AU{unit:02d}.csv"
                write_text(folder / "AUCoding/AU_INT" / name, lines)
            points = [_inner(frame["landmarks"]) for frame in taken]
            path = folder / f"2DFeatures/{subject}_{task}.mat"
            (write_new_mat if new else write_old_mat)(path, points)


def _write_presence(folder, subject, task, coded):
    lines = [",".join(map(str, (0, *HEADER)))]
    for number, frame in coded:
        unknown = task == "T1" and number == coded[-1][0]
        cells = [9 if unknown else _presence(frame, unit) for unit in HEADER]
        lines.append(",".join(map(str, (number, *cells))))
    write_text(folder / f"AUCoding/AU_OCC/{subject}_{task}.csv", lines)


def _presence(frame, unit):
    return int(frame["intensity"][unit] >= 1) if unit in BP4D_AUS else 9


def _level(frame, unit):
    return round(float(frame["intensity"][unit]))


def _inner(landmarks):
    """The 49 points: those of 68 without the jaw and the inner lip corners, 60 and 64."""
    return np.delete(landmarks, [*range(17), 60, 64], axis=0)


def write_old_mat(path, points):
    """A struct array `fit` with `pred`, version 5; None is an empty matrix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fit = np.zeros((1, len(points)), [("frame", object), ("pred", object)])
    for index, each in enumerate(points):
        fit[0, index] = (index + 1, np.zeros((0, 0)) if each is None else each)
    scipy.io.savemat(path, {"fit": fit})


def write_new_mat(path, points):
    """The same as MATLAB writes it in version 7.3: HDF5 behind a header of 512 bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        pred = file.create_dataset("fit/pred", (len(points), 1), h5py.ref_dtype)
        for index, each in enumerate(points):
            if each is None:
                value = file.create_dataset(f"#refs#/{index}", data=np.zeros(2, np.uint64))
                value.attrs["MATLAB_empty"] = np.uint8(1)
            else:
                value = file.create_dataset(f"#refs#/{index}", data=each.astype(np.float64).T)
            pred[index, 0] = value.ref
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")
