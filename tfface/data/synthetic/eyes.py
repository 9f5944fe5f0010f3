"""Eyes: lids that open and close over an eyeball with iris, pupil and highlight."""

import dataclasses

import numpy as np

from tfface.data.synthetic import fields
from tfface.facs import landmarks as scheme

IRIS_RADIUS = 0.0315


@dataclasses.dataclass(frozen=True)
class Eye:
    """One eye of a resting face, in its own axes: along the fissure and across it.

    Along the fissure t runs from -1 at the image-left corner to 1 at the image-right one; across
    it s grows downward, in face units.

    Args:
        center: (2,) between the corners.
        axis: (2,) from the center to the corner on the image's right.
        upper: Height of the upper lid's edge above the axis at its middle.
        lower: Depth of the lower lid's edge below the axis at its middle.
        skew: How far the lids' peaks lean toward the nose.
        nasal: 1 where the nose is toward t = 1, -1 where it is toward t = -1.
    """

    center: np.ndarray
    axis: np.ndarray
    upper: float
    lower: float
    skew: float
    nasal: int

    @classmethod
    def fit(cls, landmarks, side):
        """Returns the subject's right (side 0) or left (side 1) eye of neutral landmarks."""
        points = landmarks[scheme.RIGHT_EYE if side == 0 else scheme.LEFT_EYE].astype(np.float64)
        center = (points[0] + points[3]) / 2
        axis = (points[3] - points[0]) / 2
        eye = cls(center, axis, 1.0, 1.0, 0.06, 1 if side == 0 else -1)
        t, s = eye.to_axes(points)
        upper = float(np.mean(-s[[1, 2]] / eye.profile(t[[1, 2]], 1)))
        lower = float(np.mean(s[[4, 5]] / eye.profile(t[[4, 5]], -1)))
        return dataclasses.replace(eye, upper=upper, lower=lower)

    def to_axes(self, points):
        """Returns (t, s) of (..., 2) face points."""
        offset = points - self.center.astype(points.dtype)
        ax, ay = self.axis.astype(points.dtype)
        square = ax * ax + ay * ay
        t = (offset[..., 0] * ax + offset[..., 1] * ay) / square
        s = (offset[..., 1] * ax - offset[..., 0] * ay) / np.sqrt(square)
        return t, s

    def profile(self, t, direction):
        """Returns a lid's shape: 0 at the corners, about 1 at the middle."""
        lean = self.skew * self.nasal * direction
        return np.clip(1.0 - t * t, 0.0, None) * (1.0 + 0.18 * t * t) * (1.0 + lean * t)

    def landmarks(self, motion):
        """Returns the eye's (6, 2) landmarks with its lids moved, before the skin moves."""
        t = np.array([-1.0, -0.36, 0.34, 1.0, 0.34, -0.36])
        s = np.array([0.0, -1, -1, 0, 1, 1])
        upper = self.upper * motion.upper * self.profile(t, 1)
        lower = self.lower * motion.lower * self.profile(t, -1)
        s = np.where(s < 0, -upper, np.where(s > 0, lower, 0.0))
        length = np.hypot(*self.axis)
        normal = np.array([-self.axis[1], self.axis[0]]) / length
        return self.center + t[:, None] * self.axis + s[:, None] * normal


def paint(color, gloss, place, eye, motion, identity, gaze, softness):
    """Paints one eye into a picture, in place.

    Args:
        color: (h, w, 3) float32 picture around the eye, in even light.
        gloss: (h, w) its gloss.
        place: (h, w, 2) float32: where on the resting face each pixel's skin comes from.
        eye: An `Eye`.
        motion: Its `muscles.LidMotion`.
        identity: An `Identity`.
        gaze: (2,) shift of the iris in face units.
        softness: Width of a pixel in face units.

    Returns:
        (h, w) float32 in [0, 1]: how much of a pixel is eyeball.
    """
    t, s = eye.to_axes(place)
    soft = np.float32(1.0 / softness)
    body = np.clip(1.0 - t * t, 0.0, 1.0)
    up = -np.float32(eye.upper * motion.upper) * eye.profile(t, 1)
    low = np.float32(eye.lower * motion.lower) * eye.profile(t, -1)
    opened = np.clip((s - up) * soft + 0.5, 0, 1) * np.clip((low - s) * soft + 0.5, 0, 1)
    opened *= np.clip((1.0 - np.abs(t)) * 12.0, 0, 1)
    ball = _eyeball(t, s, up, low, body, eye, identity, gaze, soft)
    _paint_lids(color, t, s, up, low, body, eye, identity, motion)
    color += (ball - color) * opened[..., None]
    gloss += (0.3 - gloss) * opened
    _paint_lashes(color, t, s, up, low, eye, identity)
    return opened


def _eyeball(t, s, up, low, body, eye, identity, gaze, soft):
    length = np.float32(np.hypot(*eye.axis))
    ball = np.empty((*t.shape, 3), np.float32)
    ball[:] = np.float32((0.78, 0.75, 0.73)) - 0.05 * np.float32(identity.age)
    # The pink corner beside the nose.
    nasal = t * eye.nasal
    pink = fields.smoothstep(0.70, 0.92, nasal)
    ball = fields.mix(ball, np.float32((0.66, 0.42, 0.38)), 0.8 * pink)
    ball *= (0.52 + 0.48 * body**0.6)[..., None]
    dx = (t * length - np.float32(gaze[0])) / IRIS_RADIUS
    dy = (s + np.float32(0.0055 - gaze[1])) / IRIS_RADIUS
    r = np.sqrt(dx * dx + dy * dy)
    iris = np.clip((1.0 - r) * IRIS_RADIUS * soft + 0.5, 0, 1)
    ring = 0.62 + 0.55 * fields.smoothstep(0.95, 0.45, r)
    # Light that enters above brightens the iris below the pupil.
    ring = ring * (1.0 + 0.28 * dy)
    tone = np.float32(identity.iris_color) * ring[..., None]
    tone *= 1.0 - 0.55 * fields.smoothstep(0.78, 1.0, r)[..., None]
    pupil = np.clip((0.40 - r) * IRIS_RADIUS * soft + 0.5, 0, 1)
    tone = fields.mix(tone, np.float32((0.02, 0.018, 0.02)), pupil)
    ball = fields.mix(ball, tone, iris)
    # The upper lid and its lashes shade the ball.
    shade = 1.0 - 0.62 * np.exp(-np.clip(s - up, 0, None) / 0.010)
    shade *= 1.0 - 0.18 * np.exp(-np.clip(low - s, 0, None) / 0.006)
    return ball * shade[..., None]


def _paint_lids(color, t, s, up, low, body, eye, identity, motion):
    wide = np.clip(1.12 - np.abs(t), 0.0, 1.0) ** 0.5
    # The fold above the upper lid, and the lid's own roundness below it.
    gap = 0.020 + 0.006 * (1.0 - identity.masculinity) - 0.006 * (motion.upper - 1.0)
    fold = up - gap * (0.35 + 0.65 * body)
    line = np.exp(-0.5 * ((s - fold) / 0.0050) ** 2) * wide
    rim = np.exp(-0.5 * ((s - low - 0.006) / 0.005) ** 2) * wide
    under = np.exp(-0.5 * ((s - low - 0.020) / 0.0075) ** 2) * wide * (0.35 + 0.4 * identity.age)
    closed = max(0.0, 0.9 - motion.lower)
    light = 1.0 - 0.36 * line + 0.05 * rim - (0.14 + 0.30 * closed) * under
    color *= light[..., None]


def _paint_lashes(color, t, s, up, low, eye, identity):
    away = -t * eye.nasal  # 1 at the temple's corner
    reach = fields.smoothstep(1.16, 1.0, away) * fields.smoothstep(-1.05, -0.75, away)
    flick = 0.010 * np.clip(away - 0.85, 0.0, None) * 10.0
    strength = 0.62 + 0.30 * (1.0 - identity.masculinity)
    width = 0.0046 + 0.0024 * (1.0 - identity.masculinity)
    upper = strength * np.exp(-0.5 * ((s - up + 0.0025 + 0.3 * flick) / width) ** 2) * reach
    lower = 0.30 * np.exp(-0.5 * ((s - low - 0.001) / 0.0032) ** 2)
    lower *= fields.smoothstep(1.0, 0.8, np.abs(t))
    cover = np.clip(upper + lower, 0.0, 0.92)
    color *= 1.0 - cover[..., None] * np.float32((0.86, 0.90, 0.92))


def highlight(place, eye, motion, gaze, light):
    """Returns the (h, w) glint of the light on the cornea, 0 to 1.

    `light` is (x, y): where the light stands, to the image's right and downward.
    """
    t, s = eye.to_axes(place)
    length = np.float32(np.hypot(*eye.axis))
    dx = t * length - np.float32(gaze[0] + 0.011 * light[0])
    dy = s + np.float32(0.0055 - gaze[1] - 0.011 * light[1])
    glint = np.exp(-0.5 * (dx * dx + dy * dy) / np.float32(0.0042**2))
    return glint * np.float32(motion.upper > 0.35)
