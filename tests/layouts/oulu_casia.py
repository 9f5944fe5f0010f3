"""Oulu-CASIA's original images: camera, light, subject, expression, number."""

from tests.layouts.faces import posed, write_picture

# Its folders, in the order of the synthetic expressions without contempt.
EXPRESSIONS = {"Anger": 0, "Disgust": 2, "Fear": 3, "Happiness": 4, "Sadness": 5, "Surprise": 6}


def make(folder, subjects=("P001", "P002"), places=("VL/Strong", "NI/Dark"), frames=2):
    """Every expression of every subject; the recordings differ in brightness."""
    for subject in subjects:
        recorded = posed(subject, 7, frames)
        for dimmed, place in enumerate(places):
            for name, number in EXPRESSIONS.items():
                for position, frame in enumerate(recorded[number]):
                    path = folder / place / subject / name / f"{position:03d}.jpeg"
                    write_picture(path, frame["image"] // (dimmed + 1))
