"""LSEMSW: pictures, and a list of paths and labels for each split."""

from tests.layouts.faces import posed, write_picture, write_text

SPLITS = {"train": 8, "validation": 3, "test": 3}

# Names of LSEMSW for the synthetic seven, which show other expressions.
LABELS = ("angry", "arrogant", "helpless", "scared", "happy", "sad", "surprised")


def make(folder):
    """Faces of two people, none of whom is named."""
    pictures = [peak for person in ("film1", "film2") for _, peak in posed(person, 7, 2)]
    for split, count in SPLITS.items():
        lines = []
        for number in range(count):
            label = LABELS[len(pictures) % 7]
            path = f"images/{split}_{number:04d}.jpg"
            write_picture(folder / path, pictures.pop()["image"])
            lines.append(f"{path} {label}")
        write_text(folder / f"{split}.txt", lines)
