"""What is wrong in the lists and labels of a set, told at once instead of one after the other."""

from __future__ import annotations

import os

# A set with a systematic mistake has one in every file; nobody reads thousands of them.
_MOST_TOLD = 20


class Problems:
    """Collects problems, a line each.

    Args:
        place: The file or folder that problems are in unless said otherwise.
    """

    def __init__(self, place: str | os.PathLike):
        self._place = place
        self._lines: list[str] = []

    def add(self, text: str, place: str | os.PathLike | None = None) -> None:
        """Takes in one problem: what must hold, and what was received."""
        self._lines.append(f"{place or self._place}: {text}")

    def include(self, error: ValueError) -> None:
        """Takes in the lines of an error that names its place itself."""
        self._lines += str(error).splitlines()

    def raise_all(self) -> None:
        """Raises a ValueError with a line for each problem (the first 20), if there is any."""
        if not self._lines:
            return
        lines = self._lines[:_MOST_TOLD]
        if len(self._lines) > len(lines):
            lines.append(f"{self._place}: and {len(self._lines) - len(lines)} problems more.")
        raise ValueError("\n".join(lines))


def named(names, most: int = 8) -> str:
    """The first names, and how many more there are."""
    names = [str(name) for name in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
