"""The folder of a data set while it is made: one maker at a time, and nothing unfinished is left.

TFDS writes into a folder beside the final one and renames it. What it does not do is done here: a
second maker waits instead of failing at the end, what a killed build left is removed, a set that is
made anew survives until its successor is there, and a failed build leaves no empty folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tfface.atomic import alone_in

# TFDS's file about a data set's configs, written before anything else.
_CONFIGS = ".config"


@contextlib.contextmanager
def sole_maker(folder: str | os.PathLike, when_busy: Callable[[], None]) -> Iterator[None]:
    """Keeps other makers of a data set waiting, and cleans up before and after a build.

    Args:
        folder: The set's folder, <data_dir>/<name>/<config>/<version>.
        when_busy: Called if another process is making it.

    Raises:
        OSError: If the folder's parents cannot be made.
    """
    folder = Path(folder)
    made = [parent for parent in folder.parents if not parent.exists()]  # the deepest first
    try:
        with alone_in(folder.parent, when_busy):
            for unfinished in folder.parent.glob(f"incomplete.*_{folder.name}"):
                shutil.rmtree(unfinished)
            _settle(folder)
            yield
    finally:
        if made and not folder.exists():
            _remove_empty(made, folder.parent.parent)


@contextlib.contextmanager
def replacing(folder: str | os.PathLike) -> Iterator[None]:
    """Moves a prepared set aside; it comes back if the block leaves no successor."""
    folder = Path(folder)
    if folder.exists():
        folder.rename(_replaced(folder))
    try:
        yield
    finally:
        _settle(folder)


def _replaced(folder: Path) -> Path:
    return folder.with_name(f".replaced.{folder.name}")


def _settle(folder: Path) -> None:
    """Ends a replacement, in whatever state it was left."""
    before = _replaced(folder)
    if folder.exists():
        shutil.rmtree(before, ignore_errors=True)
    elif before.exists():
        before.rename(folder)


def _remove_empty(folders: list[Path], of_name: Path) -> None:
    """Removes those folders that hold nothing; TFDS's file of configs, left alone, is nothing."""
    for folder in folders:
        with contextlib.suppress(OSError):
            if folder == of_name and os.listdir(folder) == [_CONFIGS]:
                shutil.rmtree(folder / _CONFIGS)
            folder.rmdir()
