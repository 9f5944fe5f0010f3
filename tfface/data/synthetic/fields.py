"""Soft scalar fields on a canvas: what synthetic faces are drawn with.

A canvas is a window of face space, whose unit square is the aligned crop (see `MEAN_FACE` in
`facs.landmarks`), sampled at some number of pixels a unit. Everything is drawn in face units, so
one description of a face gives the same face at any resolution and in any window.
"""

import dataclasses
import functools

import cv2
import numpy as np

# Noise covers this square of face space, whatever window of it a canvas shows.
_NOISE_LOW, _NOISE_HIGH = -1.5, 2.5

_STROKE_BLOCK = 60_000  # products computed at once, which fit in a processor's cache


@dataclasses.dataclass(frozen=True)
class Canvas:
    """A window of face space and its sampling.

    Args:
        left: x of the window's left edge in face units.
        top: y of its top edge.
        width: Columns in pixels.
        height: Rows in pixels.
        resolution: Pixels a face unit.
    """

    left: float
    top: float
    width: int
    height: int
    resolution: float

    @classmethod
    def window(cls, left, top, right, bottom, resolution):
        """Returns the canvas that covers the given window of face space."""
        width = round((right - left) * resolution)
        height = round((bottom - top) * resolution)
        return cls(left, top, width, height, resolution)

    @property
    def shape(self):
        """Rows and columns."""
        return self.height, self.width

    def axes(self):
        """Returns the pixels' face coordinates: x of shape (1, width), y of shape (height, 1)."""
        return _axes(self)

    def to_pixels(self, points):
        """Returns pixel coordinates (origin at a pixel's centre) of (..., 2) face coordinates."""
        scale = np.float32(self.resolution)
        shift = np.float32([self.left, self.top]) * scale + np.float32(0.5)
        if self.left == self.top:
            shift = shift[0]  # several times faster than an array of two
        return np.asarray(points, np.float32) * scale - shift

    def slices(self, low, high):
        """Returns the (rows, columns) slices that cover the box between two face points."""
        (x0, y0), (x1, y1) = self.to_pixels(low), self.to_pixels(high)
        columns = slice(max(0, int(np.floor(x0))), max(0, min(self.width, int(np.ceil(x1)) + 1)))
        rows = slice(max(0, int(np.floor(y0))), max(0, min(self.height, int(np.ceil(y1)) + 1)))
        return rows, columns


@functools.lru_cache(maxsize=16)
def _axes(canvas):
    x = canvas.left + (np.arange(canvas.width, dtype=np.float32) + 0.5) / canvas.resolution
    y = canvas.top + (np.arange(canvas.height, dtype=np.float32) + 0.5) / canvas.resolution
    x, y = x[None, :].astype(np.float32), y[:, None].astype(np.float32)
    x.flags.writeable = y.flags.writeable = False  # everybody gets the same two
    return x, y


def blob(canvas, center, spread, angle=0.0):
    """Returns a Gaussian bump of height 1.

    Args:
        canvas: A `Canvas`.
        center: (x, y) in face units.
        spread: Standard deviation in face units, a number or (along x, along y).
        angle: Turn of the bump's axes in radians, clockwise in the image.

    Returns:
        (height, width) float32.
    """
    x, y = canvas.axes()
    x, y = x - np.float32(center[0]), y - np.float32(center[1])
    sx, sy = np.broadcast_to(np.asarray(spread, np.float32), (2,))
    if angle:
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        x, y = cosine * x + sine * y, cosine * y - sine * x
        return np.exp(-0.5 * ((x / sx) ** 2 + (y / sy) ** 2))
    return np.exp(-0.5 * (x / sx) ** 2) * np.exp(-0.5 * (y / sy) ** 2)


def add_stroke(field, canvas, points, spread, height, taper=0.5):
    """Adds a soft line of Gaussian cross-section to a field, in place.

    Args:
        field: (height, width) float32 of the canvas.
        canvas: A `Canvas`.
        points: (n, 2) control points in face units; a smooth curve runs through them.
        spread: Standard deviation of the cross-section in face units.
        height: What the line's crest adds; negative digs a furrow.
        taper: Share of the line's length over which it fades at each end, 0 to 0.5.
    """
    points = np.asarray(points, np.float32)
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    count = int(np.clip(np.ceil(length / (0.5 * spread)) + 1, 3, 400))
    samples = curve(points, count)
    along = np.linspace(0.0, 1.0, count)
    ends = np.minimum(along, 1.0 - along)
    weights = np.ones(count) if taper == 0 else np.clip((ends + 0.02) / taper, 0.0, 1.0)
    reach = 3.2 * spread
    rows, columns = canvas.slices(samples.min(axis=0) - reach, samples.max(axis=0) + reach)
    x, y = (axis.ravel() for axis in canvas.axes())
    x, y = x[columns], y[rows]
    if x.size == 0 or y.size == 0:
        return
    factor = np.float32(-0.5 / spread**2)
    # exp is separable: one outer product a sample, of many samples at once where they are small.
    across = np.exp(factor * (samples[:, 0:1] - x[None]) ** 2)
    down = np.exp(factor * (samples[:, 1:2] - y[None]) ** 2) * weights[:, None].astype(np.float32)
    crest = np.zeros((y.size, x.size), np.float32)
    step = max(1, _STROKE_BLOCK // crest.size)
    for k in range(0, count, step):
        block = down[k : k + step, :, None] * across[k : k + step, None, :]
        np.maximum(crest, block.max(axis=0), out=crest)
    field[rows, columns] += np.float32(height) * crest


def stroke(canvas, points, spread, taper=0.5):
    """Returns a soft line of height 1 on an empty field; see `add_stroke`."""
    field = np.zeros(canvas.shape, np.float32)
    add_stroke(field, canvas, points, spread, 1.0, taper)
    return field


def filled(canvas, polygon, softness):
    """Returns the area inside a polygon with a soft edge.

    Args:
        canvas: A `Canvas`.
        polygon: (n, 2) corners in face units.
        softness: Standard deviation of the edge's blur in face units.

    Returns:
        (height, width) float32 in [0, 1].
    """
    mask = np.zeros(canvas.shape, np.uint8)
    shift = 4
    corners = np.round(canvas.to_pixels(polygon) * 2**shift).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, shift)
    mask = mask.astype(np.float32) / 255.0
    sigma = softness * canvas.resolution
    return cv2.GaussianBlur(mask, (0, 0), sigma) if sigma > 0.3 else mask


def curve(points, count):
    """Returns `count` points on a Catmull-Rom curve through the given (n, 2) points."""
    points = np.asarray(points, np.float32)
    return _curve_weights(len(points), count) @ points


@functools.lru_cache(maxsize=1024)
def _curve_weights(n, count):
    """Returns the (count, n) weights of n control points in each point of a curve."""
    ends = np.zeros((n + 2, n))  # the curve begins and ends as straight as its first and last part
    ends[1:-1] = np.eye(n)
    ends[0, :2], ends[-1, -2:] = (2, -1), (-1, 2)
    position = np.linspace(0.0, n - 1.0, count)
    start = np.minimum(position.astype(int), n - 2)
    t = (position - start)[:, None]
    a, b, c, d = (ends[start + k] for k in range(4))
    weights = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return weights.astype(np.float32)


def noise(canvas, seed, wavelength):
    """Returns smooth random noise of about unit variance.

    It is fixed to face space: another window or resolution shows the same noise.

    Args:
        canvas: A `Canvas`.
        seed: Seed of the noise, an integer or a sequence of integers.
        wavelength: Spacing of the noise's nodes in face units, a number or (along x, along y).

    Returns:
        (height, width) float32.
    """
    wx, wy = np.broadcast_to(np.asarray(wavelength, np.float64), (2,))
    span = _NOISE_HIGH - _NOISE_LOW
    shape = (int(span / wy) + 1, int(span / wx) + 1)
    nodes = np.random.default_rng(seed).standard_normal(shape, np.float32)
    x, y = canvas.axes()
    columns = np.broadcast_to((x - np.float32(_NOISE_LOW)) / np.float32(wx), canvas.shape)
    rows = np.broadcast_to((y - np.float32(_NOISE_LOW)) / np.float32(wy), canvas.shape)
    return sample(nodes, columns, rows, cv2.INTER_CUBIC) * np.float32(1.3)


def sample(image, columns, rows, interpolation=cv2.INTER_LINEAR):
    """Reads an image at fractional pixel positions, its border repeated outward."""
    columns = np.ascontiguousarray(columns, np.float32)
    rows = np.ascontiguousarray(rows, np.float32)
    return cv2.remap(image, columns, rows, interpolation, borderMode=cv2.BORDER_REPLICATE)


def sample_at(canvas, image, places):
    """Reads an image of a canvas at (h, w, 2) float32 face points, its border repeated outward."""
    return cv2.remap(
        image, canvas.to_pixels(places), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def smoothstep(low, high, value):
    """Returns 0 below `low`, 1 above `high` and a smooth ramp between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(a, b, weight):
    """Returns `a` where `weight` is 0 and `b` where it is 1; (H, W) weights suit (H, W, 3)."""
    weight = np.asarray(weight, np.float32)
    if weight.ndim == 2 and np.ndim(a) == 3:
        weight = weight[..., None]
    return a + (b - a) * weight
