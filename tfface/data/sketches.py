"""Simple line drawings with known classes, and their destruction by slashes.

They stand in for hand-drawn sketches of objects (the Sketchy Database) where those are not at hand:
the GroupGAN paper (Sec. 4.6) draws slashes over sketches and learns to take them away. Everything
is a function of a seed.
"""

import cv2
import numpy as np

_TURN = np.linspace(0.0, 2.0 * np.pi, 49)


def _arc(x, y, width, height, start=0.0, end=1.0):
    """Part of an ellipse, from and to shares of a turn that starts at the right and goes down."""
    angles = _TURN[round(48 * start) : round(48 * end) + 1]
    return np.stack([x + width * np.cos(angles), y + height * np.sin(angles)], axis=1)


def _line(*points):
    return np.array(points, np.float64)


def _sun():
    rays = [
        np.outer((0.5, 0.9), (np.cos(angle), np.sin(angle))) for angle in np.arange(8) * (np.pi / 4)
    ]
    return [_arc(0, 0, 0.4, 0.4), *rays]


def _flower():
    angles = np.arange(5) * (2 * np.pi / 5)
    petals = [_arc(0.3 * np.cos(a), 0.3 * np.sin(a) - 0.4, 0.2, 0.2) for a in angles]
    return [_arc(0, -0.4, 0.13, 0.13), *petals, _line((0, 0), (0, 0.9)), _arc(0.2, 0.5, 0.2, 0.1)]


def _star():
    angles = np.arange(6) * (4 * np.pi / 5) - np.pi / 2
    return [0.9 * np.stack([np.cos(angles), np.sin(angles)], axis=1)]


# Strokes of each object in a square from -1 to 1, y pointing down.
_OBJECTS = {
    "boat": lambda: [
        _line((-0.9, 0.3), (0.9, 0.3), (0.5, 0.8), (-0.5, 0.8), (-0.9, 0.3)),
        _line((0, 0.3), (0, -0.9), (0.7, 0.1), (0, 0.1)),
    ],
    "cup": lambda: [
        _line((-0.6, -0.6), (-0.4, 0.8), (0.4, 0.8), (0.6, -0.6)),
        _arc(0, -0.6, 0.6, 0.15),
        _arc(0.5, 0, 0.35, 0.35, 0.75, 1.0),
        _arc(0.5, 0, 0.35, 0.35, 0.0, 0.25),
    ],
    "fish": lambda: [
        _arc(-0.15, 0, 0.6, 0.4),
        _line((0.4, 0), (0.9, -0.4), (0.9, 0.4), (0.4, 0)),
        _arc(-0.45, -0.1, 0.05, 0.05),
    ],
    "flower": _flower,
    "house": lambda: [
        _line((-0.6, 0.8), (-0.6, -0.1), (0.6, -0.1), (0.6, 0.8), (-0.6, 0.8)),
        _line((-0.75, -0.1), (0, -0.9), (0.75, -0.1)),
        _line((-0.15, 0.8), (-0.15, 0.3), (0.15, 0.3), (0.15, 0.8)),
    ],
    "star": _star,
    "sun": _sun,
    "tree": lambda: [
        _arc(0, -0.35, 0.6, 0.5),
        _line((-0.12, 0.13), (-0.12, 0.9), (0.12, 0.9), (0.12, 0.13)),
    ],
}

SKETCH_CLASSES = tuple(_OBJECTS)
"""The objects drawn, in the order of their class IDs."""


def draw_sketch(label, size=144, seed=0):
    """Draws an object in black lines on white, by an unsteady hand.

    Place, size, proportions, slant and each point of a stroke vary.

    Args:
        label: Class ID, a position in `SKETCH_CLASSES`.
        size: Side of the picture in pixels, at least 16.
        seed: Which draw: a number from 0, or several.

    Returns:
        (size, size, 3) uint8.

    Raises:
        ValueError: If there is no such class or `size` is below 16.
    """
    if not 0 <= label < len(SKETCH_CLASSES):
        raise ValueError(f"`label` must be from 0 to {len(SKETCH_CLASSES) - 1}. Received: {label}")
    if size < 16:
        raise ValueError(f"`size` must be at least 16. Received: {size}")
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 255, np.uint8)
    slant = rng.uniform(-0.15, 0.15)
    turn = np.array([[np.cos(slant), np.sin(slant)], [-np.sin(slant), np.cos(slant)]])
    scale, shift = rng.uniform(0.6, 0.8, 2), rng.uniform(-0.15, 0.15, 2)
    for points in _OBJECTS[SKETCH_CLASSES[label]]():
        unsteady = points + rng.normal(0, 0.012, points.shape)
        _stroke(image, unsteady * scale @ turn + shift)
    return image


def slash(image, seed=0, slashes=(4, 8)):
    """Destroys a sketch by straight strokes drawn over it, in a sketch's own black.

    The paper says no more of them than that they are slashes. Choice: their number, place, length
    (0.3 to 0.9 of the side) and direction vary.

    Args:
        image: (size, size, 3) uint8, dark lines on light.
        seed: Which draw: a number from 0, or several. Another one than that of `draw_sketch` is
            drawn of the same seed.
        slashes: Fewest and most slashes.

    Returns:
        The destroyed copy.

    Raises:
        ValueError: If `slashes` are not from 1 up.
    """
    fewest, most = slashes
    if not 1 <= fewest <= most:
        raise ValueError(f"`slashes` must be fewest and most, from 1 up. Received: {slashes}")
    rng = np.random.default_rng([*np.ravel(seed), 1])
    destroyed = np.array(image)
    for _ in range(rng.integers(fewest, most + 1)):
        middle, angle = rng.uniform(-0.6, 0.6, 2), rng.uniform(0, np.pi)
        half = rng.uniform(0.3, 0.9) * np.array([np.cos(angle), np.sin(angle)])
        _stroke(destroyed, np.stack([middle - half, middle + half]))
    return destroyed


def _stroke(image, points):
    """Draws through points of the square from -1 to 1, about a fiftieth of the side thick."""
    size = len(image)
    pixels = np.rint((points + 1) / 2 * (size - 1) * 8).astype(np.int32)  # in eighths of a pixel
    cv2.polylines(image, [pixels], False, (0, 0, 0), max(1, size // 64), cv2.LINE_AA, shift=3)
