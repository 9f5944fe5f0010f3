"""The Sketchy Database's rendered sketches, a folder a class."""

from tests.layouts.faces import write_picture
from tfface.data.sketches import SKETCH_CLASSES, draw_sketch


def make(folder, classes=3, photos=4, sketches=2):
    """The first drawn objects, as sketches of some photos each."""
    for label, name in enumerate(SKETCH_CLASSES[:classes]):
        for photo in range(photos):
            for number in range(sketches):
                image = draw_sketch(label, 256, (label, photo, number))
                path = f"{name}/n{label + 1:08d}_{photo}-{number + 1}.png"
                write_picture(folder / "sketch/tx_000000000000" / path, image)
