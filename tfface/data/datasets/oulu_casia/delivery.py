"""Oulu-CASIA as it is delivered: the folders of its original images."""

from __future__ import annotations

from pathlib import Path

from tfface.data.datasets.delivered import find_folders, phases
from tfface.data.datasets.frames import Delivery
from tfface.data.datasets.posed import read_posed
from tfface.facs.expressions import OULU_CASIA_EXPRESSIONS

CAMERAS = ("VL", "NI")
LIGHTS = ("Strong", "Weak", "Dark")

SUBJECTS = tuple(f"P{number:03d}" for number in range(1, 81))


def read_delivery(manual_dir: Path, camera: str, light: str) -> Delivery:
    """Reads the lists of one recording of Oulu-CASIA.

    Args:
        manual_dir: The folder with `VL` and `NI`.
        camera: One of `CAMERAS`.
        light: One of `LIGHTS`.

    Raises:
        ValueError: With a line for each folder or picture whose name is none of the set's.
    """
    (root,) = find_folders(manual_dir, f"{camera}/{light}")
    folders = {name.capitalize(): name for name in OULU_CASIA_EXPRESSIONS}
    return read_posed(root, SUBJECTS, folders, phases)
