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


def draw_sketches(count, size=144, seed=0):
    """Draws objects in black lines on white, each by an unsteady hand.

    Classes take turns, so that any `count` from the number of classes on has all of them. Place,
    size, proportions, slant and each point of a stroke vary.

    Args:
        count: Number of sketches.
        size: Side of the pictures in pixels, at least 16.
        seed: Which draw; a sketch depends on it and on its own position alone.

    Returns:
        images (count, size, size, 3) uint8 and labels (count,) int64, positions in
        `SKETCH_CLASSES`.

    Raises:
        ValueError: If `count` is below 1 or `size` below 16.
    """
    if count < 1:
        raise ValueError(f"`count` must be at least 1. Received: {count}")
    if size < 16:
        raise ValueError(f"`size` must be at least 16. Received: {size}")
    labels = np.arange(count) % len(SKETCH_CLASSES)
    images = [
        _sketch(SKETCH_CLASSES[label], size, np.random.default_rng((seed, position)))
        for position, label in enumerate(labels)
    ]
    return np.stack(images), labels


def slash(images, seed=0, slashes=(4, 8)):
    """Destroys sketches by straight strokes drawn over them, in the sketches' own black.

    Args:
        images: (n, size, size, 3) uint8, dark lines on light.
        seed: Which draw; a picture's slashes depend on it and on its own position alone.
        slashes: Fewest and most slashes a picture.

    Returns:
        Destroyed copies, of the same shape.

    Raises:
        ValueError: If `slashes` are not from 1 up.
    """
    fewest, most = slashes
    if not 1 <= fewest <= most:
        raise ValueError(f"`slashes` must be fewest and most, from 1 up. Received: {slashes}")
    destroyed = np.array(images)
    for position, image in enumerate(destroyed):
        rng = np.random.default_rng((seed, position, 1))
        for _ in range(rng.integers(fewest, most + 1)):
            middle, angle = rng.uniform(-0.6, 0.6, 2), rng.uniform(0, np.pi)
            half = rng.uniform(0.3, 0.9) * np.array([np.cos(angle), np.sin(angle)])
            _stroke(image, np.stack([middle - half, middle + half]))
    return destroyed


def _sketch(name, size, rng):
    image = np.full((size, size, 3), 255, np.uint8)
    slant = rng.uniform(-0.15, 0.15)
    turn = np.array([[np.cos(slant), np.sin(slant)], [-np.sin(slant), np.cos(slant)]])
    scale, shift = rng.uniform(0.6, 0.8, 2), rng.uniform(-0.15, 0.15, 2)
    for points in _OBJECTS[name]():
        unsteady = points + rng.normal(0, 0.012, points.shape)
        _stroke(image, unsteady * scale @ turn + shift)
    return image


def _stroke(image, points):
    """Draws through points of the square from -1 to 1, about a fiftieth of the side thick."""
    size = len(image)
    pixels = np.rint((points + 1) / 2 * (size - 1) * 8).astype(np.int32)  # in eighths of a pixel
    cv2.polylines(image, [pixels], False, (0, 0, 0), max(1, size // 64), cv2.LINE_AA, shift=3)
