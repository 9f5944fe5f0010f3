"""The Sketchy Database as it is delivered: a folder of rendered sketches a class."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from tfface.data.datasets.delivered import find_folders, phases, visible
from tfface.data.datasets.frames import Delivery, Frame
from tfface.data.datasets.problems import Problems, named
from tfface.data.photos import read_photo
from tfface.data.schema import FACE_SIZE
from tfface.data.sketches import slash

SKETCHES = "sketch/tx_000000000000"

N_CLASSES = 125

_TEST_EVERY = 4

_SKETCH = re.compile(r"(.+)-\d+\.png")


def read_delivery(manual_dir: Path, count: int, seed: int) -> Delivery:
    """Chooses sketches of the Sketchy Database and says how each is destroyed.

    The paper chooses 1,000 sketches and says no more (Sec. 4.6). Choice: as many of every class as
    can be, drawn at random; of the photos that a class's sketches were drawn from, a quarter are
    for tests, so that no photo is in both splits.

    Args:
        manual_dir: The folder with `sketch`.
        count: Number of sketches.
        seed: Which sketches, which tests and which slashes. The same names give the same draw.

    Returns:
        Two frames of every sketch: the destroyed copy and the whole sketch.

    Raises:
        ValueError: With a line for each sketch that is not named as Sketchy's are, or if there is
            none.
    """
    (root,) = find_folders(manual_dir, SKETCHES)
    sketches, missing = _read_names(root)
    if len(sketches) != N_CLASSES:
        missing.append(f"classes: {N_CLASSES} were published, {len(sketches)} are here")
    chosen = _choose(sketches, count, seed)
    found = sum(map(len, chosen.values()))
    if found < count:
        missing.append(f"sketches: {count} were asked for, {found} are here")
    draw = functools.partial(_draw, seed)
    frames = []
    for label, files in enumerate(chosen.values()):
        photos = sorted({_subject(file) for file in files}, key=draw)
        tests = set(photos[: len(photos) // _TEST_EVERY])
        for file in files:
            frames += _frames(file, label, "test" if _subject(file) in tests else "train", seed)
    return Delivery(frames, (), tuple(chosen), missing=missing)


def read_sketch(file: Path) -> np.ndarray:
    """A sketch, (200, 200, 3) uint8; one that is not square is stretched.

    Raises:
        PhotoError: If it cannot be read.
    """
    return cv2.resize(read_photo(file), (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA)


def read_destroyed(file: Path, seed: int) -> np.ndarray:
    """The sketch with slashes drawn over it, which depend on its name and the seed alone."""
    return slash(read_sketch(file), (seed, *_draw(seed, _name(file))))


def _read_names(root: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """The sketches of each class that has any, and a line for each class that has none."""
    problems, missing, sketches = Problems(root), [], {}
    for folder in visible(root):
        if not folder.is_dir():
            continue
        files = [file for file in visible(folder) if file.suffix == ".png"]
        for file in files:
            if not _SKETCH.fullmatch(file.name):
                problems.add("must be named <photo>-<number>.png.", file)
        if files:
            sketches[folder.name] = files
        else:
            missing.append(f"{folder.name}: no sketches in {folder}")
    if not sketches:
        problems.add(
            "must hold sketches such as airplane/n02691156_10151-1.png. "
            f"Received: {named(entry.name for entry in visible(root))}."
        )
    problems.raise_all()
    return sketches, missing


def _choose(sketches: Mapping[str, Sequence[Path]], count: int, seed: int) -> dict[str, list[Path]]:
    """Up to `count` sketches: the classes take turns, each in a drawn order."""
    orders = [
        sorted(files, key=lambda file: _draw(seed, _name(file))) for files in sketches.values()
    ]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*orders))
    chosen: dict[str, list[Path]] = {}
    for file in itertools.islice(filter(None, turns), count):
        chosen.setdefault(file.parent.name, []).append(file)
    return chosen


def _frames(file: Path, expression: int, split: str, seed: int) -> list[Frame]:
    """The destroyed copy and the whole sketch, a sequence from weak to peak."""
    unknown = np.zeros(0, np.float32)
    pictures = {
        "destroyed": functools.partial(read_destroyed, file, seed),
        "whole": functools.partial(read_sketch, file),
    }
    return [
        Frame(
            key=f"{_name(file)}/{kind}",
            photo=picture,
            subject=_subject(file),
            au=unknown,
            au_intensity=unknown,
            sequence=_name(file),
            frame=number,
            expression=expression,
            phase=phase,
            split=split,
        )
        for number, phase, (kind, picture) in zip((1, 2), phases(2), pictures.items(), strict=True)
    ]


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def _subject(file: Path) -> str:
    """The photo that a sketch was drawn from: its sketches show the same object."""
    return f"{file.parent.name}/{_SKETCH.fullmatch(file.name)[1]}"


def _draw(seed: int, name: str) -> bytes:
    """By which names are sorted at random, the same on every machine."""
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
