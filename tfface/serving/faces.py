"""The faces of a photo: cut out as a network takes them, and laid back in their place."""

import numpy as np

from tfface.data.alignment import align, paste_back
from tfface.data.schema import FACE_SIZE
from tfface.facs.landmarks import anchors_from_five
from tfface.serving.pictures import resize_faces


def cut_faces(photo, faces, size):
    """Aligns the faces that a detector found.

    Args:
        photo: (height, width, 3) uint8, RGB.
        faces: List of `tfface.data.detection.Face`.
        size: Side of the crops in pixels.

    Returns:
        Three lists: positions in `faces` of those that are faces, which leaves out any whose points
        fall together; their crops, (size, size, 3) uint8; the (2, 3) matrices that map the photo's
        pixels to these crops'.
    """
    kept, crops, matrices = [], [], []
    for i, face in enumerate(faces):
        try:
            crop, matrix = align(photo, anchors_from_five(face.points), size)
        except ValueError:
            continue  # the detector saw something, but no face
        kept.append(i)
        crops.append(crop)
        matrices.append(matrix)
    return kept, crops, matrices


def as_in_training(crops, size):
    """Crops brought to a network's size on the way that they took in training, in 8 bits.

    Training reads faces of `FACE_SIZE` pixels: cut from the photo at once, a face would be sharper
    or softer.

    Args:
        crops: n crops (FACE_SIZE, FACE_SIZE, 3) uint8; there may be none.
        size: Side in pixels.

    Returns:
        (n, size, size, 3) float32 in [0, 1].
    """
    faces = as_floats(crops, FACE_SIZE)
    return np.rint(resize_faces(faces, size).numpy() * 255.0) / np.float32(255.0)


def as_floats(crops, size):
    """Crops (size, size, 3) uint8, n of them or none, as (n, size, size, 3) float32 in [0, 1]."""
    return np.reshape(crops, (-1, size, size, 3)).astype(np.float32) / 255.0


def lay_back(photo, faces, matrices):
    """Pastes faces into the photo that they were cut from.

    Args:
        photo: (height, width, 3) uint8, RGB.
        faces: (n, size, size, 3) float32 in [0, 1], the largest face of the photo first: it is laid
            above those that it covers.
        matrices: Matrix of each, as `cut_faces` gives them.

    Returns:
        A new photo.
    """
    result = photo.copy()
    for face, matrix in list(zip(faces, matrices, strict=True))[::-1]:
        levels = np.rint(np.clip(face, 0.0, 1.0) * 255.0).astype(np.uint8)
        result = paste_back(result, levels, matrix)
    return result


def resized_matrix(matrix, size):
    """From a photo's pixels to those of an aligned face of another size.

    Args:
        matrix: (2, 3), to the pixels of a face of `FACE_SIZE`.
        size: Side of the other in pixels.

    Returns:
        (2, 3).
    """
    scale = size / FACE_SIZE
    moved = matrix * scale
    moved[:, 2] += 0.5 * scale - 0.5  # pixel centers: those of the finer raster lie around 0.5
    return moved
