import numpy as np
import pytest

from tfface.data.detection import Face
from tfface.data.tracking import TrackedFace
from tfface.serving.predictors.recognition import RecognizedFrame


@pytest.fixture
def frame():
    """Function of a frame's number and each face's number and probabilities to the frame."""

    def made(index, faces, box=(10.25, -2.5, 30.0, 40.0), fps=25):
        return RecognizedFrame(
            index,
            index / fps,
            tuple(
                TrackedFace(face_id, Face(box, np.zeros((5, 2), np.float32), 0.987654), False)
                for face_id in faces
            ),
            np.array(list(faces.values()) or np.zeros((0, 1)), np.float32),
        )

    return made
