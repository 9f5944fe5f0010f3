"""Photo in, photo out: action units of every face switched, everything else as it was."""

import dataclasses

import numpy as np

from tfface.data.alignment import add_change, transform_points
from tfface.data.detection import Face, create_detector
from tfface.data.schema import FACE_SIZE
from tfface.facs.landmarks import N_POINTS
from tfface.serving.faces import as_in_training, cut_faces, resized_matrix
from tfface.serving.loading import load_model
from tfface.synthesis.networks import values_of


@dataclasses.dataclass(frozen=True, eq=False)
class FoundFaces:
    """A photo and the n faces found in it, ready to be edited again and again.

    Attributes:
        photo: (height, width, 3) uint8.
        faces: The n faces, the largest first.
        crops: (n, size, size, 3) float32 in [0, 1], the faces as the network sees them.
        matrices: n times (2, 3), which maps the photo's pixels to the crop's.
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    crops: np.ndarray
    matrices: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class EditedPhoto:
    """A photo with the action units of its n faces switched.

    Attributes:
        photo: (height, width, 3) uint8, with the changes in place; all other pixels as they were.
        faces: The n faces, the largest first.
        crops: (n, size, size, 3) float32 in [0, 1], the faces as the network saw them.
        edited: (n, size, size, 3) float32 in [0, 1].
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    crops: np.ndarray
    edited: np.ndarray


class SynthesisPredictor:
    """Switches action units (AUs) of the faces of photos with a trained model.

    Each face is aligned and brought to the network's size as in training. What the network changed
    is added to the photo in its place, so that no other pixel changes and the photo keeps its own
    sharpness, whatever the network's size.

    Args:
        model: A LACGenerator, the path of its `.keras` file, a SavedModel's folder, or a folder of
            SavedModel versions, of which the newest is taken.
        detector: What finds faces, as `tfface.data.detection.create_detector` makes it; MTCNN if
            None.

    Attributes:
        action_units: Numbers of the AUs that the model knows.
        size: Side of the faces that the network takes, in pixels.

    Raises:
        ValueError: If `model` is no such model or file.

    Example:
        >>> predictor = SynthesisPredictor("savedmodels/synthesis")
        >>> predictor(read_photo("portrait.jpg"), {12: 1, 4: 0}).photo
    """

    def __init__(self, model, detector=None):
        self._model = load_model("synthesis", model, "edit_at", ("action_units",))
        (count,) = self._model.inputs["values"]
        self.action_units = tuple(self._model.facts["action_units"])
        if len(self.action_units) != count:
            raise ValueError(
                "`model` must name each of its action units. Received: one that names "
                f"{len(self.action_units)} of {count}."
            )
        (self.size, _, _) = self._model.inputs["image"]
        self._detector = detector or create_detector()

    def __call__(self, photo, changes, landmarks=None):
        """Switches AUs of all faces of a photo.

        Args:
            photo: (height, width, 3) uint8, RGB.
            changes: {AU: value}: 0 absent to 1 present; what lies between interpolates. AUs that
                are not named stay.
            landmarks: As in `edit`.

        Returns:
            EditedPhoto. Without a face in the photo it has none, and its photo is the one that
            came.

        Raises:
            ValueError: If the photo is no such array, or as `edit`.
        """
        return self.edit(self.find(photo), changes, landmarks)

    def find(self, photo):
        """The faces of a photo.

        Args:
            photo: (height, width, 3) uint8, RGB.

        Returns:
            FoundFaces.

        Raises:
            ValueError: If the photo is no such array.
        """
        found = self._detector.detect(photo)
        kept, cut, matrices = cut_faces(photo, found, FACE_SIZE)
        return FoundFaces(
            photo,
            tuple(found[i] for i in kept),
            as_in_training(cut, self.size),
            tuple(resized_matrix(matrix, self.size) for matrix in matrices),
        )

    def edit(self, found, changes, landmarks=None):
        """Switches AUs of faces that were found.

        Args:
            found: FoundFaces.
            changes: As in `__call__`.
            landmarks: (n, 68, 2) in pixels of the photo, or None. For points that are NaN, and
                without landmarks for all, the mean face's are taken, since faces are aligned; a
                region outside of its face's crop is not drawn.

        Returns:
            EditedPhoto.

        Raises:
            ValueError: If an AU is not the model's, a value is not from 0 to 1, or the landmarks
                are of another shape or infinite.
        """
        count = len(found.faces)
        values = np.tile(values_of(changes, self.action_units), (count, 1))
        points = np.full((count, N_POINTS, 2), np.nan, np.float32)
        if landmarks is not None:
            landmarks = np.asarray(landmarks, np.float64)
            if landmarks.shape != points.shape or np.isinf(landmarks).any():
                raise ValueError(
                    f"`landmarks` must have shape {points.shape}, each point finite or NaN. "
                    f"Received: shape {landmarks.shape}, {np.isinf(landmarks).sum()} infinite."
                )
            for i, matrix in enumerate(found.matrices):
                points[i] = transform_points(landmarks[i], matrix)
        edited = self._model(image=found.crops, values=values, landmarks=points)["edited"]
        photo = found.photo.copy()
        for crop, face, matrix in zip(found.crops, edited, found.matrices, strict=True):
            photo = add_change(photo, face - crop, matrix)
        return EditedPhoto(photo, found.faces, found.crops, edited)
