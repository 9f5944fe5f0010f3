"""The synthetic people of the layouts: pictures wider than the face, with landmarks and labels."""

import itertools

import cv2
import numpy as np

from tfface.data.detection import Face
from tfface.data.synthetic import SYNTHETIC_AUS, frames, sequences

FACE = 96
HEIGHT, WIDTH = 120, 160
_TOP, _LEFT = 16, 40


def spontaneous(subject, count, scale=1):
    """Frames of spontaneous behavior: dicts of image, landmarks and `intensity` by AU.

    `scale` enlarges the pictures to what a camera gives (8: 960 x 1280).
    """
    return [_enlarged(_photo(record), scale) for record in frames(0, subject, count, FACE)]


def posed(subject, expressions, count=12):
    """`count` frames, neutral to peak, of each of the first `expressions` of CK+'s seven."""
    places = np.linspace(0, 11, count).round().astype(int)
    records = itertools.islice(sequences(0, subject, FACE), 12 * expressions)
    taken = (_photo(record) for record in records if record["frame"] in places)
    return [list(itertools.islice(taken, count)) for _ in range(expressions)]


def _photo(record):
    """The face in the middle of a picture as a camera gives it."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[_TOP : _TOP + FACE, _LEFT : _LEFT + FACE] = record["image"]
    return {
        "image": image,
        "landmarks": record["landmarks"] + (_LEFT, _TOP),
        "intensity": dict(zip(SYNTHETIC_AUS, record["au_intensity"], strict=True)),
    }


def _enlarged(photo, scale):
    image = cv2.resize(photo["image"], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    return photo | {"image": image, "landmarks": scale * photo["landmarks"] + (scale - 1) / 2}


def write_picture(path, image, gray=False):
    """Writes RGB as the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if gray else image[..., ::-1]
    assert cv2.imwrite(str(path), image)


def write_text(path, lines):
    """Writes lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


class MiddleDetector:
    """Stands in for a face detector: finds the face where every layout puts it."""

    def detect(self, image):
        """One face, whatever the picture shows."""
        points = [[0.335, 0.40], [0.665, 0.40], [0.5, 0.6], [0.4, 0.745], [0.6, 0.745]]
        points = (np.array(points) * FACE - 0.5 + [_LEFT, _TOP]).astype(np.float32)
        return [Face((float(_LEFT), float(_TOP), float(FACE), float(FACE)), points, 0.99)]
