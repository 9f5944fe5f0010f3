"""Photo in, photo out: every face of a photo found, restored and laid back in its place."""

import dataclasses

import cv2
import keras
import numpy as np
import tensorflow as tf

from tfface.data.alignment import align, paste_back
from tfface.data.detection import Face, create_detector
from tfface.facs.landmarks import anchors_from_five
from tfface.serving.savedmodel import find_model
from tfface.serving.servable import in_float32, resize_faces
from tfface.serving.signatures.restoration import (
    restoration_shape,
    restore_function,
    restore_specs,
)
from tfface.serving.systems import load_network

# Faces that go through the network at once. A group photo's hundreds would not fit in memory.
_BATCH = 32


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
        self._restore, self.low_size, self.size = _load(model)
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
        faces, crops, matrices, hidden = self._aligned(photo, mask)
        inputs, masks = self._degrade(crops, hidden)
        restored = self._restored(inputs, masks)
        result = photo
        # The largest face comes last, so that it lies above those that it covers.
        for face, matrix in list(zip(restored, matrices, strict=True))[::-1]:
            result = paste_back(result, _as_uint8(face), matrix)
        return RestoredPhoto(
            photo=result.copy() if result is photo else result,
            faces=tuple(faces),
            crops=_as_float(crops, self.size),
            inputs=inputs,
            masks=masks,
            restored=restored,
        )

    def _aligned(self, photo, mask):
        if mask is not None:
            mask = np.repeat((np.asarray(mask) != 0)[..., None], 3, axis=-1).astype(np.float32)
        faces, crops, matrices, hidden = [], [], [], []
        for face in self._detector.detect(photo):
            anchors = anchors_from_five(face.points)
            try:
                crop, matrix = align(photo, anchors, self.size)
            except ValueError:
                continue  # points that fall together: the detector saw something, but no face
            faces.append(face)
            crops.append(crop)
            matrices.append(matrix)
            if mask is None:
                hidden.append(np.zeros((self.size, self.size), bool))
            else:
                hidden.append(align(mask, anchors, self.size)[0][..., 0] >= 0.5)
        return faces, crops, matrices, hidden

    def _degrade(self, crops, hidden):
        """Aligned crops as the network saw them in training: small, hidden pixels 0."""
        block = self.size // self.low_size
        filled = [_filled(crop, hole) for crop, hole in zip(crops, hidden, strict=True)]
        low = resize_faces(_as_float(filled, self.size), self.low_size).numpy()
        holes = np.reshape(hidden, (-1, self.low_size, block, self.low_size, block))
        # A small pixel of which any part is hidden is hidden: a trace of what covers the face
        # misleads.
        masks = holes.any(axis=(2, 4))[..., None].astype(np.float32)
        return low * (1.0 - masks), masks

    def _restored(self, inputs, masks):
        batches = [
            self._restore(inputs[i : i + _BATCH], masks[i : i + _BATCH])
            for i in range(0, len(inputs), _BATCH)
        ]
        if not batches:
            return np.zeros((0, self.size, self.size, 3), np.float32)
        return np.concatenate(batches)


def _load(model):
    """A model of any kind as (function of arrays to an array, input size, output size)."""
    if isinstance(model, keras.Model):
        model = in_float32(model)
        shape = restoration_shape(model)
        function = tf.function(restore_function(model), input_signature=restore_specs(shape))

        def restore(image, mask):
            return function(image, mask)["restored"].numpy()

        return restore, shape.low_size, shape.size
    path = find_model(model)
    return _load(load_network("restoration", path)) if path.is_file() else _load_savedmodel(path)


def _load_savedmodel(folder):
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures["restore"]
        (_, low_size, _, _) = signature.structured_input_signature[1]["image"].shape
        (_, size, _, _) = signature.structured_outputs["restored"].shape
    except Exception as error:  # damaged protocol buffers, other signatures, missing variables
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"`model` must be a restoration model's SavedModel. Received: {folder} ({reason})."
        ) from error

    def restore(image, mask, keep=loaded):  # the variables live as long as `loaded`
        return signature(image=tf.constant(image), mask=tf.constant(mask))["restored"].numpy()

    return restore, low_size, size


def _filled(crop, hole):
    """A crop whose hidden part is filled from around it.

    Shrinking mixes neighbors: without this, what covers a face would tint the visible pixels beside
    it.
    """
    if not hole.any() or hole.all():
        return crop
    return cv2.inpaint(crop, hole.astype(np.uint8), 4, cv2.INPAINT_TELEA)


def _as_uint8(images):
    return np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype(np.uint8)


def _as_float(crops, size):
    return np.reshape(crops, (-1, size, size, 3)).astype(np.float32) / 255.0
