"""From a photo to the canonical crop of a face, and back into the photo.

A face is brought to the same place, size and tilt by a similarity transform (turn, scale, shift:
the face's own proportions are kept) that carries three anchors, the two eye centers and the mouth
center, onto those of the mean face. `paste_back` undoes it.

Transforms are (2, 3) matrices `[A | t]` that map a photo's pixel coordinates to the crop's;
coordinates are (x, y) with the origin at the center of the top left pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

from tfface.facs.landmarks import MEAN_FACE, anchors

# Beyond this many samples a pixel and axis, a finer average no longer shows but costs its square.
_MAX_SUPERSAMPLING = 16


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The turn, scale and shift that bring `source` nearest to `target` in the least squares sense.

    Never a reflection: a face is not mirrored, however bad its points are.

    Args:
        source: (n, 2) points, n >= 2.
        target: (n, 2) points.

    Returns:
        (2, 3) float64 matrix; `transform_points(source, matrix)` is nearest to `target`.

    Raises:
        ValueError: If the shapes differ or are not (n, 2), a coordinate is not finite, or all
            points of one side fall together.

    Reference:
        Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
        PAMI 1991, Eqs. 38 to 42. In two dimensions the rotation has the closed form used here.
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(
            "`source` and `target` must both have shape (n, 2), n >= 2. "
            f"Received: {source.shape} and {target.shape}."
        )
    for name, points in (("source", source), ("target", target)):
        if not np.isfinite(points).all():
            raise ValueError(f"`{name}` must be finite. Received: {points.tolist()}.")
        if np.ptp(points, axis=0).max() < 1e-6:
            raise ValueError(f"`{name}` must not fall on one point. Received: {points.tolist()}.")
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    x, y = (source - source_mean).T
    u, v = (target - target_mean).T
    # With z = x + iy and w = u + iv, the least squares similarity w = c z is c = sum(w conj(z)) /
    # sum|z|^2.
    variance = np.sum(x * x + y * y)
    cosine = np.sum(u * x + v * y) / variance
    sine = np.sum(v * x - u * y) / variance
    linear = np.array([[cosine, -sine], [sine, cosine]])
    if cosine * cosine + sine * sine < 1e-12:
        raise ValueError(
            f"`source` must not be squeezed onto one point. Received: {source.tolist()}."
        )
    return np.column_stack([linear, target_mean - linear @ source_mean])


def invert_transform(matrix: np.ndarray) -> np.ndarray:
    """The (2, 3) transform that undoes `matrix`."""
    linear = np.linalg.inv(np.asarray(matrix, np.float64)[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Moves (..., 2) points by a (2, 3) transform; NaN stays NaN."""
    points = np.asarray(points)
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved.astype(points.dtype) if points.dtype.kind == "f" else moved


def align(image: np.ndarray, face_anchors: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a face out of a photo, upright and centerd.

    Where the crop reaches over the photo's edge, the edge's pixels are repeated. A face larger than
    the crop is averaged down, not sampled, so that no false patterns arise.

    Args:
        image: (height, width, 3) photo, uint8, or float32 in [0, 1].
        face_anchors: (3, 2) pixels of the photo: the subject's right eye center, left eye center
            and mouth center (`tfface.facs.landmarks.anchors`).
        size: Side of the crop in pixels.

    Returns:
        The face, (size, size, 3) of the photo's type, and the (2, 3) matrix that maps photo pixels
        to crop pixels.

    Raises:
        ValueError: If the image or the anchors are not as said, or the anchors are not finite or
            fall together.
    """
    _check_image("image", image)
    face_anchors = np.asarray(face_anchors, np.float64)
    if face_anchors.shape != (3, 2):
        raise ValueError(f"`face_anchors` must have shape (3, 2). Received: {face_anchors.shape}.")
    target = anchors(np.asarray(MEAN_FACE, np.float64)) * size - 0.5
    matrix = similarity_transform(face_anchors, target)
    # Only the part of the photo that the crop sees is handed on: OpenCV's warps take no picture
    # wider than 32,767 pixels.
    left, top, right, bottom = _seen_box(invert_transform(matrix), (size, size), image.shape)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (left, top)
    face = _warp(image[top:bottom, left:right], shifted, (size, size))
    return face, matrix


def paste_back(
    photo: np.ndarray, face: np.ndarray, matrix: np.ndarray, feather: float = 0.12
) -> np.ndarray:
    """Lays an aligned face back over the photo that it came from.

    The face fades in over a strip along the crop's edge, so that no seam shows. Pixels outside the
    crop keep their values exactly.

    Args:
        photo: (height, width, 3) uint8, or float32 in [0, 1].
        face: (size, size, 3) of the photo's type.
        matrix: (2, 3), as `align` returned it for a crop of this size.
        feather: Width of the strip as a share of the crop's side, 0 (hard edge) to 0.5.

    Returns:
        A new photo; the one handed in is not changed.

    Raises:
        ValueError: If types or shapes do not fit, or `feather` is out of range.
    """
    _check_image("photo", photo)
    _check_image("face", face)
    if face.dtype != photo.dtype or face.shape[0] != face.shape[1]:
        raise ValueError(
            f"`face` must be square and {photo.dtype}, as the photo. "
            f"Received: {face.shape} {face.dtype}."
        )
    if not 0 <= feather <= 0.5:
        raise ValueError(f"`feather` must be from 0 to 0.5. Received: {feather}.")
    size = face.shape[0]
    left, top, right, bottom = _crop_box(invert_transform(matrix), size, photo.shape)
    result = photo.copy()
    if left >= right or top >= bottom:
        return result
    to_region = invert_transform(matrix)
    to_region[:, 2] -= (left, top)
    region = result[top:bottom, left:right]
    pasted = _warp(face, to_region, (right - left, bottom - top))
    weight = _feathered_weight(matrix, size, feather, (left, top, right, bottom))
    # Two-dimensional blending in float32; where the weight is 0 the old value comes back unrounded.
    blended = region + weight[..., None] * (pasted.astype(np.float32) - region)
    if photo.dtype == np.uint8:
        blended = np.rint(blended)
    region[:] = np.where(weight[..., None] > 0, blended, region).astype(photo.dtype)
    return result


def add_change(photo: np.ndarray, change: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Adds to a photo what was changed in an aligned face.

    The photo keeps its own detail, which an aligned face may be too small to hold; and where the
    face was not changed, the photo's pixels keep their values exactly.

    Args:
        photo: (height, width, 3) uint8.
        change: (size, size, 3) float32, the changed face minus the face, in units of 1 for the
            whole range from black to white.
        matrix: (2, 3), which maps the photo's pixels to the face's.

    Returns:
        A new photo; the one handed in is not changed.

    Raises:
        ValueError: If types or shapes do not fit.
    """
    _check_image("photo", photo)
    if photo.dtype != np.uint8 or change.ndim != 3 or change.shape[0] != change.shape[1]:
        raise ValueError(
            "`photo` must be uint8 and `change` square. "
            f"Received: {photo.dtype} and {change.shape}."
        )
    result, inverse = photo.copy(), invert_transform(matrix)
    left, top, right, bottom = _crop_box(inverse, change.shape[0], photo.shape)
    if left >= right or top >= bottom:
        return result
    inverse[:, 2] -= (left, top)
    # Linear, not cubic: a pixel between unchanged ones stays unchanged.
    laid = cv2.warpAffine(
        change, inverse, (right - left, bottom - top), flags=cv2.INTER_LINEAR, borderValue=0
    )
    region = result[top:bottom, left:right]
    region[:] = np.clip(np.rint(region + 255.0 * laid), 0, 255).astype(np.uint8)
    return result


def _crop_box(inverse: np.ndarray, size: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of a photo in which a crop lies: left, top, right, bottom; maybe nothing."""
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]]) - 0.5
    corners = transform_points(corners, inverse)
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    return int(left), int(top), int(min(right, shape[1])), int(min(bottom, shape[0]))


def _feathered_weight(
    matrix: np.ndarray, size: int, feather: float, box: tuple[int, int, int, int]
) -> np.ndarray:
    """Share of the face in each pixel of a photo's box: 0 outside the crop, 1 well inside it."""
    left, top, right, bottom = box
    x, y = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    crop = transform_points(np.stack([x, y], axis=-1).astype(np.float64), matrix)
    to_edge = np.minimum(crop + 0.5, size - 0.5 - crop).min(axis=-1)
    if feather == 0:
        return (to_edge > 0).astype(np.float32)
    ramp = np.clip(to_edge / (feather * size), 0.0, 1.0)
    return (ramp * ramp * (3.0 - 2.0 * ramp)).astype(np.float32)  # smooth at both ends


def _seen_box(
    inverse: np.ndarray, crop: tuple[int, int], shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """The part of the photo, at least a pixel, that a warp to a crop of (width, height) reads."""
    width, height = crop
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    corners = transform_points(corners, inverse)
    margin = 4  # reach of the cubic kernel
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(corners.min(axis=0)).astype(np.int64) - margin, 0, limit - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(np.int64) + margin + 1, low + 1, limit)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Warps to (width, height) with the border repeated; averages where the picture shrinks."""
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    times = int(np.clip(np.rint(1.0 / scale), 1, _MAX_SUPERSAMPLING))
    # The warp is made `times` finer, near the picture's own resolution, and then averaged.
    finer = matrix * times
    finer[:, 2] += 0.5 * (times - 1)
    warped = cv2.warpAffine(
        image,
        finer,
        (size[0] * times, size[1] * times),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times > 1:
        warped = cv2.resize(warped, size, interpolation=cv2.INTER_AREA)
    return warped if image.dtype == np.uint8 else np.clip(warped, 0.0, 1.0)


def _check_image(name: str, image: np.ndarray) -> None:
    if (
        not isinstance(image, np.ndarray)
        or image.ndim != 3
        or image.shape[2] != 3
        or 0 in image.shape
        or image.dtype not in (np.uint8, np.float32)
    ):
        received = (
            f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else f"{type(image)}"
        )
        raise ValueError(
            f"`{name}` must be a (height, width, 3) array, uint8 or float32. Received: {received}."
        )
