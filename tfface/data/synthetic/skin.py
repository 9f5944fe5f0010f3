"""The color of a resting face: skin, lips, nostrils, brows, and the shadows that stay."""

# ruff: noqa: RUF005 -- `point + (dx, dy)` moves a NumPy point; nothing is concatenated.

import cv2
import numpy as np

from tfface.data.synthetic import fields
from tfface.data.synthetic.identity import shape_offset
from tfface.facs import landmarks as scheme


def paint(canvas, identity, landmarks, mouth_line):
    """Returns the skin's color in even light, lips and brows included.

    Args:
        canvas: A `fields.Canvas`.
        identity: An `Identity`.
        landmarks: (68, 2) its neutral landmarks in face units.
        mouth_line: (n, 2) the line where its closed lips meet.

    Returns:
        (height, width, 3) float32 sRGB, and (height, width) float32 gloss: 1 for skin, more where
        it is wet or oily, 0 for hair.
    """
    color = np.empty((*canvas.shape, 3), np.float32)
    color[:] = identity.skin_color
    gloss = np.ones(canvas.shape, np.float32)
    _tint(color, canvas, identity, landmarks)
    _mottle(color, canvas, identity)
    _paint_spots(color, canvas, identity)
    _paint_lips(color, gloss, canvas, identity, landmarks, mouth_line)
    _paint_nostrils(color, canvas, landmarks)
    _paint_beard(color, gloss, canvas, identity, landmarks)
    _paint_brows(color, gloss, canvas, identity, landmarks)
    gloss += 0.7 * fields.blob(canvas, landmarks[30], (0.03, 0.05))
    gloss += 0.5 * fields.blob(canvas, (0.5, 0.15), (0.15, 0.07))
    return np.clip(color, 0.0, 1.0), gloss


def _tint(color, canvas, identity, landmarks):
    """Blood under cheeks, nose and chin; thin dark skin around the eyes."""
    blood = np.zeros(canvas.shape, np.float32)
    for side in (-1, 1):
        blood += 0.9 * fields.blob(canvas, (0.5 + side * 0.225, 0.575), (0.085, 0.075))
    blood += 0.8 * fields.blob(canvas, landmarks[30] + (0, 0.01), (0.05, 0.045))
    blood += 0.4 * fields.blob(canvas, landmarks[8] + (0, -0.06), (0.06, 0.035))
    blood *= 0.4 + 0.6 * identity.redness
    color *= 1.0 + blood[..., None] * np.float32((0.02, -0.11, -0.10))
    for eye in (scheme.RIGHT_EYE, scheme.LEFT_EYE):
        center = landmarks[eye].mean(axis=0)
        dark = fields.blob(canvas, center + (0, 0.004), (0.075, 0.042))
        under = fields.blob(canvas, center + (0, 0.045), (0.06, 0.018))
        dark = 0.75 * dark + (0.25 + 0.5 * identity.age) * under
        color *= 1.0 - dark[..., None] * np.float32((0.16, 0.21, 0.19))


def _mottle(color, canvas, identity):
    """Uneven pigment, from patches down to pores."""
    light = np.zeros(canvas.shape, np.float32)
    for k, (wavelength, share) in enumerate(((0.11, 0.014), (0.035, 0.009), (0.011, 0.016))):
        light += share * fields.noise(canvas, (identity.seed, k), wavelength)
    warm = 0.008 * fields.noise(canvas, (identity.seed, 9), 0.07)
    color *= (1.0 + light)[..., None]
    color *= 1.0 + warm[..., None] * np.float32((0.6, -1.0, -1.0))


def _paint_spots(color, canvas, identity):
    rng = np.random.default_rng((identity.seed, 20))
    spots = np.zeros(canvas.shape, np.float32)
    for _ in range(int(120 * identity.freckles)):
        x = 0.5 + 0.17 * rng.standard_normal()
        y = 0.53 + 0.065 * rng.standard_normal()
        size, strength = rng.uniform(0.0025, 0.005), rng.uniform(0.12, 0.35)
        fields.add_stroke(spots, canvas, [(x, y), (x + 1e-3, y)], size, strength, 0)
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.9)
        size, strength = rng.uniform(0.003, 0.006), rng.uniform(0.3, 0.6)
        fields.add_stroke(spots, canvas, [(x, y), (x + 1e-3, y)], size, strength, 0)
    spots = np.clip(spots, 0.0, 0.75)
    color *= 1.0 - spots[..., None] * np.float32((0.55, 0.75, 0.85))


def lip_color(identity):
    """Returns the (3,) color of the lips: the skin's own, redder, or painted."""
    skin = identity.skin_color
    bare = skin * (0.90, 0.66 - 0.08 * (1 - identity.masculinity), 0.66)
    painted = 0.35 * skin + 0.65 * np.float32((0.62, 0.12, 0.16))
    return (bare + (painted - bare) * identity.lipstick).astype(np.float32)


def _paint_lips(color, gloss, canvas, identity, landmarks, mouth_line):
    upper_edge = fields.curve(landmarks[48:55], 41)
    lower_edge = fields.curve(landmarks[[54, 55, 56, 57, 58, 59, 48]], 41)
    softness = 0.005 - 0.002 * identity.lipstick
    upper = fields.filled(canvas, np.concatenate([upper_edge, mouth_line[::-1]]), softness)
    lower = fields.filled(canvas, np.concatenate([mouth_line, lower_edge]), softness)
    creases = fields.noise(canvas, (identity.seed, 30), (0.006, 0.03))
    lips = np.clip(upper + lower, 0.0, 1.0)
    tone = lip_color(identity)[None, None] * (1.0 + 0.05 * creases)[..., None]
    tone = tone * (1.0 - 0.14 * upper + 0.05 * lower)[..., None]
    color[:] = fields.mix(color, tone, (0.80 + 0.2 * identity.lipstick) * lips)
    gloss += (0.9 + 1.2 * identity.lipstick) * lower + 0.4 * upper
    dark = 0.60 * fields.stroke(canvas, mouth_line, 0.0055, 0.08)
    for corner in (landmarks[48], landmarks[54]):
        dark += 0.25 * fields.blob(canvas, corner, (0.012, 0.008))
    color *= 1.0 - np.clip(dark, 0, 0.8)[..., None] * np.float32((0.80, 0.92, 0.90))
    shadow = fields.blob(canvas, landmarks[57] + (0, 0.014), (0.055, 0.010))
    color *= (1.0 - 0.14 * shadow)[..., None]


def _paint_nostrils(color, canvas, landmarks):
    base = landmarks[scheme.NOSE_BASE]
    dark = np.zeros(canvas.shape, np.float32)
    for wing, inner, side in ((base[0], base[1], -1), (base[4], base[3], 1)):
        center = 0.35 * wing + 0.65 * inner + (0, -0.008)
        dark += 0.85 * fields.blob(canvas, center, (0.0155, 0.0075), side * -0.25)
        groove = [wing + (-side * 0.004, -0.045), wing + (side * 0.010, -0.024),
                  wing + (-side * 0.002, 0.0)]  # fmt: skip
        fields.add_stroke(dark, canvas, groove, 0.006, 0.22, 0.5)
    under = fields.blob(canvas, base[2] + (0, 0.006), (0.055, 0.011))
    dark = np.clip(dark + 0.22 * under, 0.0, 0.85)
    color *= 1.0 - dark[..., None] * np.float32((0.80, 0.90, 0.90))


def _paint_beard(color, gloss, canvas, identity, landmarks):
    if not (identity.stubble or identity.beard or identity.mustache):
        return
    x, y = canvas.axes()
    corners = landmarks[[48, 54]]
    wide = np.abs(x - 0.5)
    # Below a line from the sideburns to the mouth; free around the lower lip.
    edge = 0.735 - 0.75 * np.clip(wide - 0.20, 0.0, 0.2) + 0.02 * np.cos(40 * x)
    jaw = fields.smoothstep(edge - 0.02, edge + 0.05, y)
    jaw = jaw * fields.smoothstep(0.0, 0.05, wide + np.clip(y - 0.79, -0.03, 0.06))
    top = 0.5 * (landmarks[33, 1] + landmarks[51, 1])
    lip = [corners[0] + (-0.012, 0.01), (0.42, top + 0.014), (0.5, top + 0.004),
           (0.58, top + 0.014), corners[1] + (0.012, 0.01)]  # fmt: skip
    lip = np.clip(1.6 * fields.stroke(canvas, lip, 0.020, 0.1), 0.0, 1.0)
    outline = np.concatenate(
        [fields.curve(landmarks[48:55], 21), fields.curve(landmarks[[54, 55, 57, 59, 48]], 21)]
    )
    lips = fields.filled(canvas, outline, 0.004)
    grain = fields.noise(canvas, (identity.seed, 40), (0.0045, 0.012))
    hairs = np.clip(0.90 + 0.12 * grain, 0.0, 1.0)
    stubble = identity.stubble * (1.0 - lips) * np.clip(jaw + lip, 0, 1) * (0.8 + 0.2 * grain)
    bluish = identity.skin_color * np.float32((0.66, 0.70, 0.76))
    color[:] = fields.mix(color, bluish[None, None], 0.55 * np.clip(stubble, 0, 1))
    full = np.maximum(identity.beard * jaw, identity.mustache * lip) * (1.0 - lips)
    cover = fields.smoothstep(0.12, 0.75, full) * np.clip(hairs + (full - 0.5), 0.0, 1.0)
    dark = np.float32(identity.hair_color) * (0.88 + 0.14 * grain)[..., None]
    color[:] = fields.mix(color, np.clip(dark, 0.02, 1.0), 0.92 * cover)
    gloss *= 1.0 - 0.9 * cover


def _paint_brows(color, gloss, canvas, identity, landmarks):
    """Draws the brows hair by hair over a soft shadow."""
    rng = np.random.default_rng((identity.seed, 50))
    thick = 0.0135 * (1.0 + shape_offset(identity, "brow_thickness"))
    cover = np.zeros(canvas.shape, np.float32)
    for points, side in (
        (landmarks[scheme.RIGHT_BROW], -1),
        (landmarks[scheme.LEFT_BROW][::-1], 1),
    ):
        # From the outer end to the inner one.
        spine = fields.curve(points, 60)
        fields.add_stroke(cover, canvas, spine + (0, 0.002), 0.62 * thick, 0.42, 0.25)
        cover += _hairs(canvas, spine, side, thick, rng)
    cover = np.clip(cover, 0.0, 0.95)
    color[:] = fields.mix(color, np.float32(identity.brow_color)[None, None], cover)
    gloss *= 1.0 - 0.8 * cover


def _hairs(canvas, spine, side, thick, rng, count=190):
    scale = 3
    rows, columns = canvas.slices(spine.min(axis=0) - 0.06, spine.max(axis=0) + 0.06)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    ink = np.zeros((shape[0] * scale, shape[1] * scale), np.uint8)
    t = rng.uniform(0.0, 1.0, count)
    across = rng.normal(0.0, 0.42, count).clip(-1, 1)
    lengths = rng.uniform(0.018, 0.034, count) * (1.15 - 0.4 * t)
    tone = rng.integers(85, 209, count)
    # Hairs stand up at the inner end and lie along the brow at the outer one.
    lean = 0.25 + t**2.5 + 0.12 * rng.standard_normal(count)
    direction = np.stack([side * np.cos(lean), -np.sin(lean)], axis=-1) * lengths[:, None]
    starts = spine[(t * 59).astype(int)].astype(np.float64)
    width = thick * (0.35 + 0.65 * np.sin(np.pi * np.clip(0.12 + 0.72 * t, 0, 1)))
    starts[:, 1] += across * width
    ends = canvas.to_pixels(np.stack([starts - 0.4 * direction, starts + 0.6 * direction], axis=1))
    ends = (ends - (columns.start, rows.start) + 0.5) * scale - 0.5
    ends = np.round(ends * 16).astype(int).tolist()
    thickness = max(1, round(0.0035 * canvas.resolution * scale))
    for k in np.argsort(tone):  # the strongest lie on top
        cv2.line(ink, ends[k][0], ends[k][1], int(tone[k]), thickness, cv2.LINE_AA, 4)
    hairs = np.zeros(canvas.shape, np.float32)
    ink = cv2.resize(ink, shape[::-1], interpolation=cv2.INTER_AREA)
    hairs[rows, columns] = ink.astype(np.float32) / 255.0
    return hairs
