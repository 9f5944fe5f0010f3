"""Photo in, photo out: every face of a photo found, restored and laid back in its place."""

import dataclasses

import cv2
import numpy as np

from tfface.data.alignment import align
from tfface.data.detection import Face, create_detector
from tfface.facs.landmarks import anchors_from_five
from tfface.serving.faces import as_floats, cut_faces, lay_back
from tfface.serving.loading import load_model
from tfface.serving.pictures import resize_faces


@dataclasses.dataclass(frozen=True)
class RestoredPhoto:
    """A photo with its n faces restored, and all that led there.

    H is the side of what the network gives, h of what it takes.

    Attributes:
        photo: (height, width, 3) uint8, the photo with the restored faces in place.
        faces: The n faces, the largest first.
        crops: (n, H, H, 3) float32 in [0, 1], the faces as they were, aligned.
        inputs: (n, h, h, 3) float32 in [0, 1], what the network saw; hidden pixels are 0.
        masks: (n, h, h, 1) float32, 1 where a pixel was hidden.
        restored: (n, H, H, 3) float32 in [0, 1].
    """

    photo: np.ndarray
    faces: tuple[Face, ...]
    crops: np.ndarray
    inputs: np.ndarray
    masks: np.ndarray
    restored: np.ndarray


class RestorationPredictor:
    """Restores the faces of photos with a trained model.

    Each face is aligned as in training, shrunk to the network's input size, restored and pasted
    back with a feathered edge; the rest of the photo is not touched.

    Args:
        model: A generator (keras.Model), the path of its `.keras` file, a SavedModel's folder, or a
            folder of SavedModel versions, of which the newest is taken.
        detector: What finds faces, as `tfface.data.detection.create_detector` makes it; MTCNN if
            None.

    Raises:
        ValueError: If `model` is no such model or file.
    """

    def __init__(self, model, detector=None):
        self._model = load_model("restoration", model, "restore")
        (self.low_size, _, _) = self._model.inputs["image"]
        (self.size, _, _) = self._model.outputs["restored"]
        self._detector = detector or create_detector()

    def __call__(self, photo, mask=None):
        """Restores a photo's faces.

        Args:
            photo: (height, width, 3) uint8, RGB.
            mask: (height, width) array, nonzero where the photo hides a face (a scarf, a scratch, a
                logo) and the network must not look; None hides nothing.

        Returns:
            RestoredPhoto. Without a face in the photo it has none, and its photo is the one that
            came.

        Raises:
            ValueError: If the photo is no such array, or the mask has another size.
        """
        if mask is not None and np.shape(mask) != photo.shape[:2]:
            raise ValueError(
                f"`mask` must have the photo's height and width, {photo.shape[:2]}. "
                f"Received: {np.shape(mask)}."
            )
        found = self._detector.detect(photo)
        kept, crops, matrices = cut_faces(photo, found, self.size)
        faces = tuple(found[i] for i in kept)
        inputs, masks = self._degrade(crops, self._hidden(faces, mask))
        restored = self._model(image=inputs, mask=masks)["restored"]
        return RestoredPhoto(
            photo=lay_back(photo, restored, matrices),
            faces=faces,
            crops=as_floats(crops, self.size),
            inputs=inputs,
            masks=masks,
            restored=restored,
        )

    def _hidden(self, faces, mask):
        """What the mask hides of each aligned face, (size, size) bool."""
        if mask is None:
            return [np.zeros((self.size, self.size), bool) for _ in faces]
        mask = np.repeat((np.asarray(mask) != 0)[..., None], 3, axis=-1).astype(np.float32)
        return [
            align(mask, anchors_from_five(face.points), self.size)[0][..., 0] >= 0.5
            for face in faces
        ]

    def _degrade(self, crops, hidden):
        """Aligned crops as the network saw them in training: small, hidden pixels 0."""
        block = self.size // self.low_size
        filled = [_filled(crop, hole) for crop, hole in zip(crops, hidden, strict=True)]
        low = resize_faces(as_floats(filled, self.size), self.low_size).numpy()
        holes = np.reshape(hidden, (-1, self.low_size, block, self.low_size, block))
        # A small pixel of which any part is hidden is hidden: a trace of what covers the face
        # misleads.
        masks = holes.any(axis=(2, 4))[..., None].astype(np.float32)
        return low * (1.0 - masks), masks


def _filled(crop, hole):
    """A crop whose hidden part is filled from around it.

    Shrinking mixes neighbors: without this, what covers a face would tint the visible pixels beside
    it.
    """
    if not hole.any() or hole.all():
        return crop
    return cv2.inpaint(crop, hole.astype(np.uint8), 4, cv2.INPAINT_TELEA)
