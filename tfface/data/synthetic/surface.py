"""The resting face as a surface: the head's outline and its depth toward the viewer.

Depth z is in face units and grows toward the viewer, so a face unit of x, y and z is the same
length (about 190 mm). `Outline` measures how far out of the face a point lies; `depth` is the
relief of a resting face, from the skull down to the lips.
"""

# ruff: noqa: RUF005 -- `point + (dx, dy)` moves a NumPy point; nothing is concatenated.

import numpy as np

from tfface.data.synthetic import fields
from tfface.data.synthetic.identity import shape_offset
from tfface.facs import landmarks as scheme

HEAD_DEPTH = 0.36
CENTER = np.array([0.5, 0.44], np.float32)
SKULL_TOP = -0.22
_ANGLES = 512


class Outline:
    """The outline of the bare head, as a radius in every direction from its center.

    Args:
        landmarks: (68, 2) neutral landmarks in face units: the jaw gives the lower half.
    """

    def __init__(self, landmarks):
        jaw = np.asarray(landmarks[scheme.JAW], np.float32)
        left, right = jaw[0], jaw[-1]
        turn = np.linspace(0.0, np.pi, 33)[1:-1]
        middle, half = (left[0] + right[0]) / 2, (right[0] - left[0]) / 2
        rim = (left[1] + right[1]) / 2
        # The skull is widest above the temples, and its crown is round.
        wide = half * (1.0 + 0.09 * np.sin(turn))
        x = middle + wide * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.82
        y = rim - (rim - SKULL_TOP) * np.sin(turn) ** 0.9
        points = np.concatenate([fields.curve(jaw, 65), np.stack([x, y], -1)])
        offset = points - CENTER
        angle = np.arctan2(offset[:, 1], offset[:, 0])
        order = np.argsort(angle)
        grid = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
        radius = np.interp(grid, angle[order], np.hypot(*offset.T)[order], period=2 * np.pi)
        kernel = np.hanning(23)
        kernel /= kernel.sum()
        spread = np.concatenate([radius[-11:], radius, radius[:11]])
        self._radius = np.convolve(spread, kernel, "valid")
        self._angle = grid

    def gauge(self, x, y):
        """Returns 0 at the head's center, 1 on its outline, more outside."""
        dx, dy = np.broadcast_arrays(x - CENTER[0], y - CENTER[1])
        angle = np.arctan2(dy, dx)
        radius = np.interp(angle, self._angle, self._radius, period=2 * np.pi)
        return (np.hypot(dx, dy) / radius).astype(np.float32)


def skull(canvas, outline):
    """Returns the smooth depth of head, hair and neck without features: (height, width)."""
    gauge = outline.gauge(*canvas.axes())
    inside = np.sqrt(1.0 - 0.93 * np.clip(gauge, 0.0, 1.0) ** 2.3)
    outside = np.maximum(0.2646 - 1.1 * (gauge - 1.0), -0.3)
    return (HEAD_DEPTH * np.where(gauge < 1.0, inside, outside)).astype(np.float32)


def depth(canvas, identity, landmarks, outline):
    """Returns the resting face's depth.

    Args:
        canvas: A `fields.Canvas`.
        identity: An `Identity`.
        landmarks: (68, 2) its neutral landmarks in face units.
        outline: Its `Outline`.

    Returns:
        (height, width) float32.
    """
    z = skull(canvas, outline)
    _add_brows_and_sockets(z, canvas, identity, landmarks)
    _add_cheeks_and_temples(z, canvas, identity, landmarks)
    _add_nose(z, canvas, identity, landmarks)
    _add_mouth_and_chin(z, canvas, identity, landmarks)
    _add_lines_of_age(z, canvas, identity, landmarks)
    return z


def _add_brows_and_sockets(z, canvas, identity, landmarks):
    ridge = 0.018 + 0.022 * identity.masculinity
    for brow, eye, inner in (
        (scheme.RIGHT_BROW, scheme.RIGHT_EYE, 39),
        (scheme.LEFT_BROW, scheme.LEFT_EYE, 42),
    ):
        center = landmarks[eye].mean(axis=0)
        z -= 0.050 * fields.blob(canvas, center + (0, -0.004), (0.070, 0.038))
        # Deepest beside the bridge of the nose.
        z -= 0.030 * fields.blob(canvas, landmarks[inner] * (0.85, 1) + (0.075, -0.012), 0.028)
        z += 0.032 * fields.blob(canvas, center, (0.052, 0.030))
        fields.add_stroke(z, canvas, landmarks[brow] + (0, 0.006), 0.024, ridge, 0.4)
    z += 0.012 * fields.blob(canvas, (0.5, 0.16), (0.17, 0.08))


def _add_cheeks_and_temples(z, canvas, identity, landmarks):
    bones = 0.022 * (1.0 + shape_offset(identity, "cheekbones"))
    for side in (-1, 1):
        z += bones * fields.blob(canvas, (0.5 + side * 0.235, 0.535), (0.070, 0.045), side * 0.4)
        z -= 0.016 * fields.blob(canvas, (0.5 + side * 0.235, 0.70), (0.06, 0.07))
        z -= 0.014 * fields.blob(canvas, (0.5 + side * 0.335, 0.30), (0.035, 0.08))


def _add_nose(z, canvas, identity, landmarks):
    bridge, base = landmarks[scheme.NOSE_BRIDGE], landmarks[scheme.NOSE_BASE]
    tip = bridge[-1]
    tall = 1.0 + 0.5 * shape_offset(identity, "nose_bridge")
    steps = fields.curve(bridge, 36)
    nose = np.zeros(canvas.shape, np.float32)
    for k, point in enumerate(steps):
        t = k / (len(steps) - 1)
        height = tall * (0.028 + 0.075 * t**1.3)
        width = 0.019 + 0.013 * t
        np.maximum(nose, height * fields.blob(canvas, point, (width, 0.030)), out=nose)
    half = abs(base[4, 0] - base[0, 0]) / 2
    np.maximum(nose, 0.118 * tall * fields.blob(canvas, tip + (0, 0.014), (0.030, 0.026)), out=nose)
    wings = np.zeros(canvas.shape, np.float32)
    for side, index in ((-1, 0), (1, 4)):
        wing = base[index] + (-side * 0.016, -0.022)
        wings += 0.052 * fields.blob(canvas, wing, (0.34 * half, 0.024))
    z += np.sqrt(nose**2 + wings**2)
    z += 0.030 * fields.blob(canvas, (tip[0], tip[1] + 0.03), (half, 0.035))
    for side, index in ((-1, 0), (1, 4)):
        # The groove behind the wing.
        x, y = base[index]
        groove = [(x - side * 0.014, y - 0.052), (x + side * 0.009, y - 0.030), (x, y - 0.004)]
        fields.add_stroke(z, canvas, groove, 0.007, -0.010, 0.4)


def _add_mouth_and_chin(z, canvas, identity, landmarks):
    corners = landmarks[[48, 54]]
    center = corners.mean(axis=0)
    half = abs(corners[1, 0] - corners[0, 0]) / 2
    z += 0.040 * fields.blob(canvas, center, (0.115, 0.085))
    top = landmarks[51, 1]
    for side in (-1, 1):
        ridge = [(0.5 + side * 0.016, 0.655), (0.5 + side * 0.019, top)]
        fields.add_stroke(z, canvas, ridge, 0.009, 0.005, 0.2)
        z -= 0.010 * fields.blob(canvas, corners[(side + 1) // 2] + (side * 0.008, 0.0), 0.014)
    upper = (landmarks[49:54] + landmarks[[60, 61, 62, 63, 64]]) / 2
    lower = (landmarks[55:60][::-1] + landmarks[[60, 67, 66, 65, 64]]) / 2
    fields.add_stroke(z, canvas, upper, 0.011, 0.014, 0.35)
    fields.add_stroke(z, canvas, lower + (0, 0.002), 0.014, 0.020, 0.45)
    line = landmarks[[60, 61, 62, 63, 64]]
    fields.add_stroke(z, canvas, line, 0.005, -0.012, 0.15)
    below, chin = landmarks[57, 1], landmarks[8]
    z -= 0.022 * fields.blob(canvas, (center[0], below + 0.020), (0.6 * half, 0.016))
    z += 0.034 * fields.blob(canvas, (chin[0], chin[1] - 0.062), (0.062, 0.040))


def _add_lines_of_age(z, canvas, identity, landmarks):
    age = identity.age
    base, corners = landmarks[scheme.NOSE_BASE], landmarks[[48, 54]]
    lines = np.zeros(canvas.shape, np.float32)
    for side, wing, corner in ((-1, base[0], corners[0]), (1, base[4], corners[1])):
        fold = [wing + (side * 0.020, -0.03), wing + (side * 0.05, 0.035),
                corner + (side * 0.035, -0.012)]  # fmt: skip
        fields.add_stroke(lines, canvas, fold, 0.011, -(0.003 + 0.007 * age), 0.4)
        droop = [corner + (side * 0.012, 0.012), corner + (side * 0.026, 0.065)]
        fields.add_stroke(lines, canvas, droop, 0.009, -0.006 * age**1.5, 0.5)
        eye = landmarks[scheme.RIGHT_EYE if side < 0 else scheme.LEFT_EYE].mean(axis=0)
        bag = [eye + (side * 0.065, 0.040), eye + (0, 0.062), eye + (-side * 0.068, 0.034)]
        fields.add_stroke(lines, canvas, bag, 0.007, -(0.0012 + 0.006 * age**1.5), 0.5)
        for k in (-1, 0, 1):
            start = eye + (side * 0.098, 0.016 * k)
            crow = [start, start + (side * 0.045, 0.022 * k)]
            fields.add_stroke(lines, canvas, crow, 0.004, -0.0035 * age**2, 0.4)
    for k, y in enumerate((0.095, 0.145, 0.19)):
        forehead = [(0.30, y + 0.012), (0.42, y), (0.58, y + 0.002), (0.70, y + 0.013)]
        fields.add_stroke(lines, canvas, forehead, 0.0055, -(0.0040 - 0.0004 * k) * age**2, 0.4)
    z += lines
