"""BU-3DFE: a folder a subject, BMP pictures named by class and level."""

from tests.layouts.faces import posed, write_picture, write_text

# Its codes, and where these expressions stand among the synthetic seven.
CODES = {"AN": 0, "DI": 2, "FE": 3, "HA": 4, "SA": 5, "SU": 6}


def make(folder, subjects=("F0001", "M0044")):
    """Four levels of six expressions and a neutral face, beside 3D models that nobody reads."""
    for subject in subjects:
        recorded = posed(subject, 7, 5)
        place = folder / subject
        write_picture(place / f"{subject}_NE00WH_F2D.bmp", recorded[0][0]["image"])
        for code, number in CODES.items():
            for level in range(1, 5):
                name = f"{subject}_{code}{level:02d}WH_F"
                write_picture(place / f"{name}2D.bmp", recorded[number][level]["image"])
                write_text(place / f"{name}3D.wrl", ["#VRML V2.0 utf8"])
    write_text(folder / "Readme.txt", ["about the set"])
