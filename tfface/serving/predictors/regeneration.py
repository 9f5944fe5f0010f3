"""Photo in, expressions out: each face as it would look with every expression, and its class."""

import dataclasses

import numpy as np

from tfface.data.detection import Face, create_detector
from tfface.data.schema import FACE_SIZE
from tfface.serving.faces import as_in_training, cut_faces
from tfface.serving.loading import load_model
from tfface.serving.pictures import middle


@dataclasses.dataclass(frozen=True, eq=False)
class RegeneratedFaces:
    """The n faces of a photo with all their expressions.

    Attributes:
        faces: The n faces, the largest first.
        crops: (n, size, size, 3) float32 in [0, 1], the faces as the networks saw them; gray ones
            are still in color here.
        regenerated: (n, classes, size, size, 3) float32 in [0, 1].
        distances: (n, classes) float32, from the face's features to those of its regenerated faces.
        class_ids: (n,) int32, the nearest (Eq. 8).
        probabilities: (n, classes) float32, what the CNN by itself says of the face.
    """

    faces: tuple[Face, ...]
    crops: np.ndarray
    regenerated: np.ndarray
    distances: np.ndarray
    class_ids: np.ndarray
    probabilities: np.ndarray


class RegenerationPredictor:
    """Regenerates the expressions of the faces of photos, and recognizes by the nearest.

    Each face is aligned and brought to the networks' size as in training; all faces of a photo go
    through the model in one call.

    Args:
        model: An ExpressionRegenerator, the path of its `.keras` file, a SavedModel's folder, or a
            folder of SavedModel versions, of which the newest is taken.
        detector: What finds faces, as `tfface.data.detection.create_detector` makes it; MTCNN if
            None.

    Attributes:
        classes: Names of the classes, in the order of the distances.
        size: Side of the faces that the networks take, in pixels.

    Raises:
        ValueError: If `model` is no such model or file.

    Example:
        >>> predictor = RegenerationPredictor("savedmodels/regeneration")
        >>> result = predictor(read_photo("portrait.jpg"))
        >>> predictor.classes[result.class_ids[0]]
    """

    def __init__(self, model, detector=None):
        facts = ("labels", "aligned_size")
        self._model = load_model("regeneration", model, "regenerate", facts)
        self.classes = self._model.names("labels", "distances")
        self._aligned_size = self._model.facts["aligned_size"]
        (self.size, _, _) = self._model.inputs["image"]
        self._detector = detector or create_detector()

    def __call__(self, photo: np.ndarray) -> RegeneratedFaces:
        """Regenerates the expressions of a photo's faces.

        Args:
            photo: (height, width, 3) uint8, RGB.

        Returns:
            RegeneratedFaces, of which there may be none.

        Raises:
            ValueError: If the photo is no such array, or what the networks answer is not finite.
        """
        found = self._detector.detect(photo)
        kept, cut, _ = cut_faces(photo, found, FACE_SIZE)
        crops = middle(as_in_training(cut, self._aligned_size), self.size)
        answer = self._model(image=crops)
        return RegeneratedFaces(
            faces=tuple(found[i] for i in kept),
            crops=crops,
            regenerated=answer["regenerated"],
            distances=answer["distances"],
            class_ids=answer["class_id"],
            probabilities=answer["probabilities"],
        )
