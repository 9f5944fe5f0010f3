"""The 68-point landmark scheme, its smaller relatives, and the canonical mean face.

The scheme is that of Multi-PIE and iBUG 300-W (Sagonas et al., "300 Faces in-the-Wild", 2013),
counted from 0. Points run from the subject's right to the subject's left, which in a picture that
is not mirrored is from the image's left to its right:

    0-16 jaw, 17-21 right brow, 22-26 left brow, 27-30 nose bridge, 31-35 nose base,
    36-41 right eye, 42-47 left eye, 48-59 outer lips, 60-67 inner lips.

The 66-point scheme (DISFA's) is the same without the two inner lip corners, 60 and 64; the
49-point scheme (BP4D's) lacks these and the jaw. Points are (x, y) in pixels, with the origin at
the centre of the top left pixel. Functions take any leading batch axes. An unknown point is NaN.
"""

import numpy as np

N_POINTS = 68

JAW = slice(0, 17)
RIGHT_BROW = slice(17, 22)
LEFT_BROW = slice(22, 27)
NOSE_BRIDGE = slice(27, 31)
NOSE_BASE = slice(31, 36)
RIGHT_EYE = slice(36, 42)
LEFT_EYE = slice(42, 48)
OUTER_LIPS = slice(48, 60)
INNER_LIPS = slice(60, 68)

RIGHT_MOUTH_CORNER = 48
LEFT_MOUTH_CORNER = 54

# Place in the 68-point scheme of each point of the smaller schemes.
POINTS_66 = np.delete(np.arange(N_POINTS), (60, 64))
POINTS_49 = POINTS_66[17:]

# MIRRORED[i] is the point on the other side of the face from point i.
MIRRORED = np.array(
    [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31),  # nose bridge
        *range(35, 30, -1),  # nose base
        *(45, 44, 43, 42, 47, 46),  # right eye, from the left eye
        *(39, 38, 37, 36, 41, 40),  # left eye, from the right eye
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
    ]
)

# The subject's right half of the mean face and its midline, in the unit square of the aligned
# crop. Proportions follow adult anthropometry in units of the distance between the eye centers
# (0.33 here, about 63 mm): eye fissure 0.45, gap between the eyes 0.55, mouth 0.79, nose base 0.48,
# face width at the ears 2.2, mouth to chin 0.63.
_RIGHT_HALF = {
    # Jaw, from beside the eye down to the chin.
    0: (0.135, 0.415),
    1: (0.139, 0.500),
    2: (0.150, 0.584),
    3: (0.171, 0.666),
    4: (0.206, 0.743),
    5: (0.256, 0.813),
    6: (0.320, 0.877),
    7: (0.402, 0.930),
    8: (0.500, 0.952),
    # Brow, outer end to inner end.
    17: (0.192, 0.327),
    18: (0.243, 0.295),
    19: (0.305, 0.285),
    20: (0.368, 0.293),
    21: (0.428, 0.311),
    # Nose bridge and tip, then the right wing to the base of the septum.
    27: (0.500, 0.390),
    28: (0.500, 0.450),
    29: (0.500, 0.510),
    30: (0.500, 0.570),
    31: (0.421, 0.614),
    32: (0.458, 0.627),
    33: (0.500, 0.635),
    # Eye: outer corner, upper lid, inner corner, lower lid. The mean is exactly (0.335, 0.4).
    36: (0.260, 0.403),
    37: (0.308, 0.373),
    38: (0.360, 0.373),
    39: (0.410, 0.405),
    40: (0.361, 0.423),
    41: (0.311, 0.423),
    # Outer lips: corner, upper lip to the middle of the bow, then the lower lip.
    48: (0.370, 0.745),
    49: (0.416, 0.719),
    50: (0.468, 0.704),
    51: (0.500, 0.711),
    57: (0.500, 0.798),
    58: (0.458, 0.792),
    59: (0.413, 0.773),
    # Inner lips, parted by a hair so that upper and lower lip are told apart.
    60: (0.390, 0.746),
    61: (0.463, 0.739),
    62: (0.500, 0.742),
    66: (0.500, 0.750),
    67: (0.461, 0.749),
}


def _symmetric_face(right_half):
    """Returns the (68, 2) face whose left half mirrors the given right half about x = 0.5."""
    face = np.empty((N_POINTS, 2))
    for index, (x, y) in right_half.items():
        face[index] = x, y
        face[MIRRORED[index]] = 1.0 - x, y
    return face.astype(np.float32)


MEAN_FACE = _symmetric_face(_RIGHT_HALF)
"""(68, 2) float32: the canonical neutral face in the unit square of the aligned crop.

Symmetric about x = 0.5. Its anchors are the right eye center (0.335, 0.40), the left eye center
(0.665, 0.40) and the mouth center (0.5, 0.745), which alignment maps every face onto. In a crop of
`size` pixels its points are `MEAN_FACE * size - 0.5` (see `mean_face`).
"""
MEAN_FACE.flags.writeable = False


def mean_face(size):
    """Returns the canonical mean face in pixels of an aligned crop.

    Args:
        size: Width and height of the crop in pixels.

    Returns:
        (68, 2) float32.
    """
    return MEAN_FACE * np.float32(size) - np.float32(0.5)


def from_49(points):
    """Places the points of the 49-point scheme in the 68-point scheme.

    Args:
        points: (..., 49, 2) array, BP4D's `2DFeatures` for instance.

    Returns:
        (..., 68, 2) float32, NaN for the jaw and the two inner lip corners.

    Raises:
        ValueError: If `points` does not end in (49, 2).
    """
    return _scatter(points, POINTS_49)


def from_66(points):
    """Places the points of the 66-point scheme in the 68-point scheme.

    Args:
        points: (..., 66, 2) array, DISFA's `Landmark_Points` for instance.

    Returns:
        (..., 68, 2) float32, NaN for the two inner lip corners.

    Raises:
        ValueError: If `points` does not end in (66, 2).
    """
    return _scatter(points, POINTS_66)


def _scatter(points, places):
    points = _checked(points, "points", len(places))
    landmarks = np.full((*points.shape[:-2], N_POINTS, 2), np.nan, np.float32)
    landmarks[..., places, :] = points
    return landmarks


def mirror(landmarks, width):
    """Returns the landmarks of the picture flipped left to right.

    A flip turns the subject's right eye into a left eye, so the points change places as well.

    Args:
        landmarks: (..., 68, 2) in pixels of the picture.
        width: The picture's width in pixels.

    Returns:
        (..., 68, 2) float32. Mirroring twice gives the landmarks back.

    Raises:
        ValueError: If `landmarks` does not end in (68, 2).
    """
    mirrored = _checked(landmarks, "landmarks", N_POINTS)[..., MIRRORED, :]
    mirrored[..., 0] = (width - 1) - mirrored[..., 0]
    return mirrored


def fill_unknown(landmarks, size):
    """Replaces unknown points of an aligned face by the canonical mean face's.

    Args:
        landmarks: (..., 68, 2) in pixels of the aligned crop, NaN where unknown. A point of which
            one coordinate is NaN is unknown.
        size: Width and height of the crop in pixels.

    Returns:
        (..., 68, 2) float32 without NaN.

    Raises:
        ValueError: If `landmarks` does not end in (68, 2).
    """
    landmarks = _checked(landmarks, "landmarks", N_POINTS)
    unknown = np.isnan(landmarks).any(axis=-1, keepdims=True)
    return np.where(unknown, mean_face(size), landmarks)


def anchors(landmarks):
    """Returns the three points that alignment holds in place.

    Args:
        landmarks: (..., 68, 2).

    Returns:
        (..., 3, 2) float32: the subject's right eye center and left eye center (each the mean of
        its six points), and the mouth center (the mean of the two outer corners). NaN where one
        of the points needed is NaN.

    Raises:
        ValueError: If `landmarks` does not end in (68, 2).
    """
    landmarks = _checked(landmarks, "landmarks", N_POINTS)
    return np.stack(
        [
            landmarks[..., RIGHT_EYE, :].mean(axis=-2),
            landmarks[..., LEFT_EYE, :].mean(axis=-2),
            landmarks[..., [RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER], :].mean(axis=-2),
        ],
        axis=-2,
    )


def anchors_from_five(points):
    """Returns the three alignment anchors from a face detector's five points.

    Args:
        points: (..., 5, 2): the subject's right eye, left eye, nose tip, right mouth corner and
            left mouth corner.

    Returns:
        (..., 3, 2) float32: right eye, left eye, mouth center, as `anchors`.

    Raises:
        ValueError: If `points` does not end in (5, 2).
    """
    points = _checked(points, "points", 5)
    mouth = points[..., 3:5, :].mean(axis=-2, keepdims=True)
    return np.concatenate([points[..., 0:2, :], mouth], axis=-2)


def _checked(points, name, count):
    """Returns `points` as float32 (..., count, 2), or raises."""
    points = np.asarray(points, np.float32)
    if points.shape[-2:] != (count, 2):
        raise ValueError(f"`{name}` must have shape (..., {count}, 2). Received: {points.shape}")
    return points
