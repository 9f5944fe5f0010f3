"""The line where lips meet, and what shows between them when they part."""

import dataclasses

import numpy as np

from tfface.data.synthetic import fields


@dataclasses.dataclass(frozen=True)
class Mouth:
    """The closed mouth of a resting face, in face units.

    Args:
        center: (x, y) between the inner corners.
        half: Half the distance between the inner corners.
        coefficients: (5,) the line's y as a polynomial in (x - center) / half, lowest power first.
    """

    center: tuple
    half: float
    coefficients: tuple

    @classmethod
    def fit(cls, landmarks):
        """Returns the mouth of (68, 2) neutral landmarks."""
        points = landmarks[[48, 60, 61, 62, 63, 64, 54]].astype(np.float64)
        center = (landmarks[60] + landmarks[64]) / 2
        half = float(landmarks[64, 0] - landmarks[60, 0]) / 2
        t = (points[:, 0] - center[0]) / half
        coefficients = np.polynomial.polynomial.polyfit(t, points[:, 1], 4)
        return cls(tuple(center.tolist()), half, tuple(coefficients.tolist()))

    def line_at(self, x):
        """Returns the line's y at any x; it runs on level outside the corners."""
        t = np.clip((x - np.float32(self.center[0])) / np.float32(self.half), -1.25, 1.25)
        a, b, c, d, e = (np.float32(value) for value in self.coefficients)
        return a + t * (b + t * (c + t * (d + t * e)))

    def line(self, count=41):
        """Returns (count, 2) points along the line, from corner to corner."""
        x = np.linspace(-1.1, 1.1, count) * self.half + self.center[0]
        return np.stack([x, self.line_at(x)], axis=-1).astype(np.float32)


def paint_cavity(color, cover, place, openness, mouth, jaw, softness):
    """Paints teeth, tongue and the dark of the mouth where lips leave a gap, in place.

    Args:
        color: (h, w, 3) float32 picture around the mouth.
        cover: (h, w) how much of a pixel is gap, 0 to 1.
        place: (h, w, 2) face coordinates of the pixels, after the skin moved.
        openness: (h, w) distances to the lips above and below, (upper, lower), in face units.
        mouth: The `Mouth`.
        jaw: How far the jaw went down, in face units: the lower teeth ride on it.
        softness: Width of a pixel in face units.
    """
    x, y = place[..., 0], place[..., 1]
    upper, lower = openness
    t = (x - np.float32(mouth.center[0])) / np.float32(mouth.half)
    round_off = np.clip(1.0 - 0.8 * t * t, 0.0, 1.0)
    dark = np.float32((0.17, 0.055, 0.05))
    inside = np.empty_like(color)
    inside[:] = dark
    # Tongue: a low red mound behind the lower teeth.
    mound = np.float32(mouth.center[1] + 0.030) + np.float32(0.75 * jaw) + 0.02 * t * t
    tongue = fields.smoothstep(-0.010, 0.022, y - mound) * np.clip(jaw / 0.03, 0, 1)
    inside = fields.mix(inside, np.float32((0.55, 0.24, 0.23)), 0.85 * tongue * round_off)
    edge = np.float32(mouth.center[1] + 0.015) - 0.012 * t * t
    biting = np.float32(mouth.center[1] + 0.020 + jaw) - 0.004 * t * t
    front = 1.0 - np.clip(np.abs(t) - 0.35, 0, 1) * 0.75
    seam = (x - np.float32(mouth.center[0])) / np.float32(0.036)
    seam = 1.0 - 0.18 * np.exp(-(((seam - np.round(seam)) / 0.06) ** 2))
    enamel = np.float32((0.90, 0.87, 0.80)) * (front * round_off**0.5 * seam)[..., None]
    for teeth in (
        np.clip((edge - y) / softness + 0.5, 0.0, 1.0),
        0.75 * np.clip((y - biting) / softness + 0.5, 0.0, 1.0) * (jaw > 0.004),
    ):
        inside = fields.mix(inside, enamel, teeth)
    # Lips shade what lies behind them.
    shade = 1.0 - 0.55 * np.exp(-np.clip(upper, 0, None) / 0.010)
    shade *= 1.0 - 0.30 * np.exp(-np.clip(lower, 0, None) / 0.008)
    inside *= (shade * (0.45 + 0.55 * round_off))[..., None]
    color += (inside - color) * cover[..., None]
