"""BU-4DFE: a folder a subject and expression, pictures from neutral to peak and back."""

from tests.layouts.faces import posed, write_picture, write_text

# Its folders, and where these expressions stand among the synthetic seven.
EXPRESSIONS = {"Angry": 0, "Disgust": 2, "Fear": 3, "Happy": 4, "Sad": 5, "Surprise": 6}


def make(folder, subjects=("F001", "M043"), frames=3):
    """`frames` pictures up to the peak and back again, beside a 3D model that nobody reads."""
    for subject in subjects:
        recorded = posed(subject, 7, frames)
        for name, number in EXPRESSIONS.items():
            rising = recorded[number]
            for position, frame in enumerate([*rising, *rising[-2::-1]]):
                path = folder / subject / name / f"{position:03d}"
                write_picture(path.with_suffix(".jpg"), frame["image"])
                write_text(path.with_suffix(".wrl"), ["#VRML V2.0 utf8"])
