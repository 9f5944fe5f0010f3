"""Photo in, photo out: of every face the peak of its expression, and the class before and after."""

import dataclasses

import numpy as np

from tfface.data.detection import Face, create_detector
from tfface.data.schema import FACE_SIZE
from tfface.serving.faces import as_in_training, cut_faces, lay_back
from tfface.serving.loading import load_model
from tfface.serving.pictures import middle


@dataclasses.dataclass(frozen=True, eq=False)
class MagnifiedPhoto:
    """A photo with the expressions of its n faces magnified, and what was read off them.

    Attributes:
        photo: (height, width, 3) uint8, the photo with the magnified faces in place.
        faces: The n faces, the largest first.
        crops: (n, size, size, 3) float32 in [0, 1], the faces as the networks saw them.
        magnified: (n, size, size, 3) float32 in [0, 1].
        heat_maps: (n, size, size) float32, from 0 to 3: the sum over colors of the squared change
            (Eq. 22).
        before: (n, classes) float32, probabilities of the face as it was.
        after: (n, classes) float32, probabilities of the magnified face.
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    crops: np.ndarray
    magnified: np.ndarray
    heat_maps: np.ndarray
    before: np.ndarray
    after: np.ndarray


class MagnificationPredictor:
    """Magnifies the expressions of the faces of photos, and reads their classes, with a model.

    Each face is aligned and brought to the networks' size as in training, magnified, and pasted
    back with a feathered edge; the rest of the photo is not touched.

    Args:
        model: An ExpressionMagnifier, the path of its `.keras` file, a SavedModel's folder, or a
            folder of SavedModel versions, of which the newest is taken.
        detector: What finds faces, as `tfface.data.detection.create_detector` makes it; MTCNN if
            None.

    Attributes:
        classes: Names of the classes, in the order of the probabilities.
        size: Side of the faces that the networks take, in pixels.

    Raises:
        ValueError: If `model` is no such model or file.

    Example:
        >>> predictor = MagnificationPredictor("savedmodels/magnification")
        >>> result = predictor(read_photo("portrait.jpg"))
        >>> dict(zip(predictor.classes, result.after[0]))
    """

    def __init__(self, model, detector=None):
        facts = ("labels", "aligned_size")
        self._model = load_model("magnification", model, "magnify", facts)
        self.classes = self._model.names("labels", "probabilities_after")
        self._aligned_size = self._model.facts["aligned_size"]
        (self.size, _, _) = self._model.inputs["image"]
        self._detector = detector or create_detector()

    def __call__(self, photo: np.ndarray) -> MagnifiedPhoto:
        """Magnifies the expressions of a photo's faces.

        Args:
            photo: (height, width, 3) uint8, RGB.

        Returns:
            MagnifiedPhoto. Without a face in the photo it has none, and its photo is the one that
            came.

        Raises:
            ValueError: If the photo is no such array, or what the networks answer is not finite.
        """
        found = self._detector.detect(photo)
        kept, cut, matrices = cut_faces(photo, found, FACE_SIZE)
        crops = middle(as_in_training(cut, self._aligned_size), self.size)
        answer = self._model(image=crops)
        to_middle = [self._to_middle(matrix) for matrix in matrices]
        return MagnifiedPhoto(
            photo=lay_back(photo, answer["magnified"], to_middle),
            faces=tuple(found[i] for i in kept),
            crops=crops,
            magnified=answer["magnified"],
            heat_maps=answer["heat_map"],
            before=answer["probabilities_before"],
            after=answer["probabilities_after"],
        )

    def _to_middle(self, matrix):
        """From a photo's pixels to those that the networks see, given those of the aligned face."""
        scale = self._aligned_size / FACE_SIZE
        moved = matrix * scale
        # Pixel centers: those of the finer raster lie around 0.5, not around 0.
        moved[:, 2] += 0.5 * scale - 0.5 - (self._aligned_size - self.size) // 2
        return moved
