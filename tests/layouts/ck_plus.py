"""CK+: pictures, emotions, FACS codes and landmarks, each in a tree of its own."""

from tests.layouts.faces import posed, write_picture, write_text

# A label of CK+ (1 to 7) for each of the synthetic expressions, which are CK+'s in its order.
EXPRESSIONS = 7


def make(folder, subjects=("S005", "S010", "S506"), expressions=2, frames=3):
    """Sequences 001, 002, ... of every subject; the last of them has no emotion."""
    for subject in subjects:
        for number, sequence in enumerate(posed(subject, expressions, frames), 1):
            place = f"{subject}/{number:03d}"
            for position, frame in enumerate(sequence, 1):
                name = f"{place}/{subject}_{number:03d}_{position:08d}"
                write_picture(folder / f"cohn-kanade-images/{name}.png", frame["image"], gray=True)
                points = [f"   {x:.7e}   {y:.7e}" for x, y in frame["landmarks"]]
                write_text(folder / f"Landmarks/{name}_landmarks.txt", points)
            codes = [
                f"   {unit:.7e}   {round(float(value)):.7e}"
                for unit, value in frame["intensity"].items()
                if value >= 1
            ]
            write_text(folder / f"FACS/{name}_facs.txt", [*codes, f"   {64:.7e}   {0:.7e}"])
            (folder / "Emotion" / place).mkdir(parents=True)
            if number < expressions or expressions == EXPRESSIONS:
                write_text(folder / f"Emotion/{name}_emotion.txt", [f"   {number:.7e}"])
    write_text(folder / "cohn-kanade-images/.DS_Store", ["as unpacked on a Mac"])
