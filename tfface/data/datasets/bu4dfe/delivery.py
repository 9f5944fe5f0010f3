"""BU-4DFE as it is delivered: a folder of texture pictures a subject and expression."""

from __future__ import annotations

from pathlib import Path

from tfface.data.datasets.delivered import visible
from tfface.data.datasets.frames import Delivery
from tfface.data.datasets.posed import read_posed
from tfface.data.datasets.problems import named
from tfface.facs.expressions import BU4DFE_EXPRESSIONS

SUBJECTS = (
    *(f"F{number:03d}" for number in range(1, 59)),
    *(f"M{number:03d}" for number in range(1, 44)),
)

FOLDERS = dict(
    zip(("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise"), BU4DFE_EXPRESSIONS, strict=True)
)


def read_delivery(manual_dir: Path) -> Delivery:
    """Reads the lists of BU-4DFE.

    Args:
        manual_dir: The folder with a folder a subject, `F001` to `F058` and `M001` to `M043`.

    Raises:
        ValueError: With a line for each folder or picture whose name is none of the set's.
    """
    if not any((manual_dir / subject).is_dir() for subject in SUBJECTS):
        raise ValueError(
            f"{manual_dir}: must hold a folder a subject, F001 to F058 and M001 to M043. "
            f"Received: {named(entry.name for entry in visible(manual_dir))}."
        )
    return read_posed(manual_dir, SUBJECTS, FOLDERS, there_and_back)


def there_and_back(count: int) -> list[float]:
    """Phases of a sequence that rises from neutral to its peak and falls back to neutral.

    The set does not say where the peak is. Choice: in the middle.
    """
    if count == 1:
        return [1.0]
    return [1.0 - abs(2.0 * position / (count - 1) - 1.0) for position in range(count)]
