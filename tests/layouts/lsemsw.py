"""LSEMSW: pictures, and a list of paths and labels for each split."""

from tests.layouts.faces import posed, write_picture, write_text

SPLITS = {"train": 8, "validation": 3, "test": 3}

# LSEMSW's names for 13 of 14 looks, which show other expressions: the synthetic seven, each half
# way to its peak and at it.
LABELS = (
    *("angry", "suspicious", "arrogant", "indifferent", "questioning", "helpless", "hesitant"),
    *("scared", "thinking", "happy", "anxious", "sad", "surprised"),
)


def make(folder, splits=None):
    """Lists of so many faces, each of people who are in no other and whom nobody names."""
    for split, count in (splits or SPLITS).items():
        lines = []
        for number in range(count):
            person, look = divmod(number, len(LABELS))
            if look == 0:
                looks = [face for shown in posed(f"{split}{person}", 7, 3) for face in shown[1:]]
            path = f"images/{split}_{number:04d}.jpg"
            write_picture(folder / path, looks[look]["image"])
            lines.append(f"{path} {LABELS[look]}")
        write_text(folder / f"{split}.txt", lines)
