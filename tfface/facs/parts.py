"""Which part of the face a pixel belongs to: what is asked of a heat map, part by part."""

import numpy as np

from tfface.facs.landmarks import (
    INNER_LIPS,
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    MEAN_FACE,
    NOSE_BASE,
    NOSE_BRIDGE,
    OUTER_LIPS,
    RIGHT_BROW,
    RIGHT_EYE,
)
from tfface.facs.regions import au_centers

FACE_PARTS = ("forehead", "brow", "eye", "nose", "cheek", "mouth", "chin", "background")
"""The parts of the aligned face, from above; the last is what lies outside of the face."""

_CHIN = slice(6, 11)  # of the jaw's points
_BROW_TO_FOREHEAD = (0.08, 0.16, 0.24)
_FOREHEAD_HEIGHT = 0.37  # from the ears' height to the hairline; both in units of the crop


def part_masks(size):
    """Returns which pixels of an aligned face are of which part.

    The canonical mean face stands for all. A pixel inside its outline, the jaw and a half ellipse
    over it, is of the part whose points are nearest: brows, eyes, nose and lips have points of
    their own in the 68-point scheme; the chin has the lowest five of the jaw and the centers of
    AU17, the cheeks the rest of the jaw and the centers of AU6 and AU11, the forehead the brows'
    points moved up. How the face is divided is a choice.

    Args:
        size: Width and height of the aligned face in pixels.

    Returns:
        dict of each of `FACE_PARTS` to (size, size) bool, indexed by row and column. Each pixel is
        of exactly one part.

    Raises:
        ValueError: If `size` is not positive.
    """
    if size < 1:
        raise ValueError(f"`size` must be positive. Received: {size}")
    ticks = (np.arange(size) + 0.5) / size
    pixels = np.stack(np.meshgrid(ticks, ticks), axis=-1)  # (row, column, x and y)
    seeds = _seeds()
    distances = [
        np.linalg.norm(pixels[:, :, None] - points, axis=-1).min(axis=-1)
        for points in seeds.values()
    ]
    nearest = np.argmin(distances, axis=0)
    inside = _inside_outline(pixels)
    masks = {name: inside & (nearest == number) for number, name in enumerate(seeds)}
    return {**masks, "background": ~inside}


def _seeds():
    """The points of each part but the background, in the unit square."""
    face = MEAN_FACE
    brows = np.concatenate([face[RIGHT_BROW], face[LEFT_BROW]])
    jaw = face[JAW]
    raiser, deepener, chin_raiser = au_centers(face, (6, 11, 17))
    return {
        "forehead": np.concatenate([brows - (0, rise) for rise in _BROW_TO_FOREHEAD]),
        "brow": brows,
        "eye": np.concatenate([face[RIGHT_EYE], face[LEFT_EYE]]),
        "nose": np.concatenate([face[NOSE_BRIDGE], face[NOSE_BASE]]),
        "cheek": np.concatenate([jaw[: _CHIN.start], jaw[_CHIN.stop :], raiser, deepener]),
        "mouth": np.concatenate([face[OUTER_LIPS], face[INNER_LIPS]]),
        "chin": np.concatenate([jaw[_CHIN], chin_raiser]),
    }


def _inside_outline(pixels):
    """Whether each of (..., 2) points lies within the mean face."""
    jaw = MEAN_FACE[JAW].astype(np.float64)
    below = np.ones(pixels.shape[:-1], bool)
    # The jaw is convex: inside is on the same side of each line from one point to the next.
    for start, end in zip(jaw, [*jaw[1:], jaw[0]], strict=True):
        (dx, dy), (x, y) = end - start, np.moveaxis(pixels - start, -1, 0)
        below &= dx * y - dy * x <= 0
    center, radius = (jaw[0] + jaw[-1]) / 2, (jaw[-1, 0] - jaw[0, 0]) / 2
    x, y = np.moveaxis(pixels - center, -1, 0)
    return below | ((y < 0) & ((x / radius) ** 2 + (y / _FOREHEAD_HEIGHT) ** 2 <= 1))
