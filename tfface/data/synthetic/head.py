"""What surrounds the face: ears, neck, shoulders, hair; and glasses in front of it."""

# ruff: noqa: RUF005 -- `point + (dx, dy)` moves a NumPy point; nothing is concatenated.

import cv2
import numpy as np

from tfface.data.synthetic import fields
from tfface.facs import landmarks as scheme


def assemble(canvas, identity, outline, landmarks, face, gloss):
    """Sets the face into a whole head.

    Args:
        canvas: A `fields.Canvas`.
        identity: An `Identity`.
        outline: The head's `surface.Outline`.
        landmarks: (68, 2) its neutral landmarks in face units.
        face: (height, width, 3) the face's color.
        gloss: (height, width) the face's gloss.

    Returns:
        (height, width, 3) color, (height, width) alpha, (height, width) gloss, and (height, width)
        cover of the hair in front, all float32.
    """
    gauge = outline.gauge(*canvas.axes())
    soft = 0.6 / canvas.resolution + 0.004
    skin = 1.0 - fields.smoothstep(1.0 - 3 * soft, 1.0 + 3 * soft, gauge)
    color, alpha = _shoulders(canvas, identity, landmarks)
    back = _back_hair(canvas, identity, gauge)
    strands = _strands(canvas, identity)
    color, alpha = _over(color, alpha, 0.55 * strands, back)
    color, alpha = _over(color, alpha, *_neck(canvas, identity, landmarks))
    color, alpha = _over(color, alpha, *_ears(canvas, identity, landmarks))
    color, alpha = _over(color, alpha, face, skin)
    front = _front_hair(canvas, identity, gauge)
    # Hair throws a shadow on the skin that it borders.
    shadow = _lowered(canvas, cv2.GaussianBlur(front, (0, 0), 0.012 * canvas.resolution), 0.018)
    shadow = 0.34 * fields.smoothstep(0.0, 1.0, shadow) * (1.0 - front)
    color = color * (1.0 - shadow)[..., None]
    color, alpha = _over(color, alpha, strands, front)
    gloss = gloss * skin * (1.0 - front) + 0.25 * front
    return tuple(part.astype(np.float32) for part in (color, alpha, gloss, front))


def _over(color, alpha, new_color, cover):
    """Lays a new layer over what is there; where nothing is there, the new color alone counts."""
    total = alpha + (1.0 - alpha) * cover
    weight = np.where(total > 1e-4, cover / np.maximum(total, 1e-4), 1.0)
    return fields.mix(color, new_color, weight), total


def _lowered(canvas, field, distance):
    rows = max(1, round(distance * canvas.resolution))
    lowered = np.zeros_like(field)
    lowered[rows:] = field[:-rows]
    return lowered


def _shoulders(canvas, identity, landmarks):
    chin = landmarks[8, 1]
    points = [(-0.62, 2.6), (-0.56, chin + 0.62), (-0.32, chin + 0.39), (0.06, chin + 0.25),
              (0.26, chin + 0.14), (0.5, chin + 0.19), (0.74, chin + 0.14), (0.94, chin + 0.25),
              (1.32, chin + 0.39), (1.56, chin + 0.62), (1.62, 2.6)]  # fmt: skip
    cover = fields.filled(canvas, fields.curve(points, 60), 0.006)
    folds = 1.0 + 0.10 * fields.noise(canvas, (identity.seed, 60), (0.14, 0.3))
    color = np.float32(identity.shirt_color)[None, None] * folds[..., None]
    return np.clip(color, 0, 1).astype(np.float32), cover


def _neck(canvas, identity, landmarks):
    jaw, chin = landmarks[scheme.JAW], landmarks[8, 1]
    half = 0.76 * (jaw[13, 0] - jaw[3, 0]) / 2 * (0.92 + 0.16 * identity.masculinity)
    middle = jaw[8, 0]
    points = [(middle - half, 0.62), (middle - 0.94 * half, chin + 0.08),
              (middle - 1.02 * half, chin + 0.20), (middle - 0.6 * half, chin + 0.27),
              (middle, chin + 0.33), (middle + 0.6 * half, chin + 0.27),
              (middle + 1.02 * half, chin + 0.20), (middle + 0.94 * half, chin + 0.08),
              (middle + half, 0.62)]  # fmt: skip
    cover = fields.filled(canvas, points, 0.006)
    x, y = canvas.axes()
    # The jaw keeps light off the neck; the cords of the neck catch some.
    under = 1.0 - 0.45 * np.exp(-np.clip(y - chin + 0.02 + 0.5 * (x - middle) ** 2, 0, 9) / 0.10)
    around = 1.0 - 0.42 * np.clip(np.abs(x - middle) / (1.05 * half), 0, 1) ** 3
    color = identity.skin_color[None, None] * np.float32((0.94, 0.90, 0.89))
    return (color * (under * around)[..., None]).astype(np.float32), cover


def _ears(canvas, identity, landmarks):
    cover = np.zeros(canvas.shape, np.float32)
    light = np.ones(canvas.shape, np.float32)
    for side, index in ((-1, 1), (1, 15)):
        x, y = landmarks[index] + (side * 0.006, -0.005)
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        lobe = np.where(np.sin(turn) > 0, 0.80, 1.0)
        ear = np.stack([x - side * 0.002 + 0.040 * lobe * np.cos(turn) + side * 0.020
                        - side * 0.018 * np.sin(turn), y + 0.115 * np.sin(turn)], -1)  # fmt: skip
        cover = np.maximum(cover, fields.filled(canvas, ear, 0.004))
        fold = [(x + side * 0.012, y + 0.05), (x + side * 0.030, y), (x + side * 0.042, y - 0.07)]
        light -= 0.40 * fields.stroke(canvas, fold, 0.010, 0.3)
        light -= 0.28 * fields.blob(canvas, (x + side * 0.004, y + 0.02), (0.014, 0.04))
    color = identity.skin_color[None, None] * np.float32((0.93, 0.85, 0.83))
    return color * np.clip(light, 0.3, 1.0)[..., None], cover


def _strands(canvas, identity):
    """Returns the color of hair that runs from the crown outward and then down."""
    x, y = canvas.axes()
    style = identity.hair_style
    bend = 0.025 * fields.noise(canvas, (identity.seed, 70), 0.22)
    if style == "curly":
        grain = 0.5 * fields.noise(canvas, (identity.seed, 71), 0.016)
        grain += 0.6 * fields.noise(canvas, (identity.seed, 72), 0.045)
    else:
        crown_x, crown_y = 0.5 + 0.06 * ((identity.seed % 7) / 3.0 - 1.0), -0.32
        across, down = x - crown_x, y - crown_y
        angle = np.arctan2(across, np.maximum(down, 0.02) + 0.10)
        # Around the crown strands fan out by angle; further down they hang.
        hang = fields.smoothstep(0.35, 0.75, down)
        place = (1.0 - hang) * angle + hang * 1.15 * across + bend
        length = 0.45 * np.hypot(across, down)
        rng = np.random.default_rng((identity.seed, 73))
        grain = np.zeros(canvas.shape, np.float32)
        for wide, share in ((0.006, 0.45), (0.016, 0.5), (0.05, 0.35)):
            nodes = rng.standard_normal((24, int(4.0 / wide)), np.float32)
            grain += share * fields.sample(nodes, (place + 2.0) / wide, length / 0.09)
    bright = sum(identity.hair_color) / 3
    light = np.exp((0.32 - 0.25 * bright) * grain)
    # The crown's rounding reflects a soft band.
    band = np.exp(-0.5 * ((y + 0.10 + 0.5 * (x - 0.5) ** 2) / 0.06) ** 2)
    light = light * (0.86 + 0.35 * band) * (1.0 - 0.25 * fields.smoothstep(0.2, 1.2, y))
    color = np.float32(identity.hair_color)[None, None] * light[..., None]
    return np.clip(color + 0.015 * band[..., None], 0.01, 1.0).astype(np.float32)


def _is_long(identity):
    return identity.hair_style == "long" or (
        identity.hair_style == "fringe" and identity.masculinity < 0.5
    )


def _mane(canvas, identity):
    """Returns the outline of long hair, from the crown down to its ends."""
    rng = np.random.default_rng((identity.seed, 74))
    end = rng.uniform(0.85, 1.45)
    full = rng.uniform(0.92, 1.10)
    y = np.array([-0.28, -0.22, -0.08, 0.12, 0.35, 0.60, 0.85, 1.1, 1.3])
    half = full * np.array([0.10, 0.26, 0.40, 0.450, 0.465, 0.475, 0.480, 0.470, 0.44])
    y, half = np.append(y[y < end], end), np.append(half[y < end], full * 0.34)
    sides = [
        np.stack([0.5 + side * (half + 0.010 * rng.standard_normal(half.size)), y], -1)
        for side in (-1, 1)
    ]
    outline = fields.curve(np.concatenate([sides[0][::-1], sides[1]]), 160)
    cover = fields.filled(canvas, outline, 0.020)
    # Single locks stand out and fall short.
    locks = fields.noise(canvas, (identity.seed, 75), (0.018, 0.14))
    fine = fields.noise(canvas, (identity.seed, 79), (0.007, 0.09))
    edge = 4.0 * cover * (1.0 - cover)
    return fields.smoothstep(0.2, 0.7, cover + edge * (0.16 * locks + 0.12 * fine))


def _back_hair(canvas, identity, gauge):
    """Hair seen behind head and neck."""
    _, y = canvas.axes()
    if _is_long(identity):
        return _mane(canvas, identity)
    if identity.hair_style == "curly":
        big = 1.27 - 0.12 * identity.masculinity
        reach = gauge + 0.03 * fields.noise(canvas, (identity.seed, 75), 0.04)
        reach = reach + 0.02 * fields.noise(canvas, (identity.seed, 79), 0.015)
        return fields.smoothstep(big + 0.04, big - 0.04, reach) * fields.smoothstep(0.62, 0.42, y)
    return np.zeros(canvas.shape, np.float32)


def _front_hair(canvas, identity, gauge):
    """Hair in front of the skin: everything on the skull outside a window around the face."""
    style = identity.hair_style
    x, y = canvas.axes()
    rng = np.random.default_rng((identity.seed, 76))
    part = rng.uniform(-0.12, 0.12)
    wide = np.abs(x - 0.5 - (part * 0.4 if style == "long" else 0.0))
    fine = fields.noise(canvas, (identity.seed, 77), (0.007, 0.035))
    locks = fields.noise(canvas, (identity.seed, 78), (0.05, 0.10))
    ragged = 0.0055 * fine + 0.010 * locks
    line, temple, power = {
        "short": (identity.hairline, 0.345, 3.2),
        "long": (identity.hairline + 0.01, 0.335, 2.4),
        "fringe": (0.175 + 0.5 * identity.hairline, 0.345, 5.0),
        "receding": (identity.hairline - 0.10, 0.350, 2.6),
        "bald": (-0.6, 0.365, 2.0),
        "curly": (identity.hairline, 0.340, 3.0),
    }[style]
    if style == "receding":
        line = line + 0.07 * np.exp(-(((x - 0.5) / 0.07) ** 2))
    # The window's edge as a height: the hairline in the middle, falling toward the temples.
    edge = line + ragged + (0.42 - line) * np.clip(wide / temple, 0, 1.3) ** power
    soft = 0.021
    cover = fields.smoothstep(soft, -soft, y - edge)
    burns = 0.46 + 0.05 * identity.masculinity
    if style == "bald":
        cover = cover * fields.smoothstep(0.10, 0.22, y) * 0.7
    if _is_long(identity):
        parted = 0.355 + 0.9 * ragged - 0.02 * np.clip(y - 0.45, 0, 1)
        curtain = fields.smoothstep(-0.014, 0.014, wide - parted)
        cover = np.maximum(cover * fields.smoothstep(0.5, 0.4, y), curtain * (y > 0.30))
        return (cover * _mane(canvas, identity)).astype(np.float32)
    cover = cover * fields.smoothstep(burns + 0.03, burns - 0.04, y + 2 * ragged)
    rim = {"short": 1.12, "fringe": 1.14, "receding": 1.06, "bald": 1.01, "curly": 1.25}[style]
    sides = fields.smoothstep(0.05, 0.45, y)
    rim = rim - (rim - 1.015) * sides
    return (cover * fields.smoothstep(rim + 0.025, rim - 0.015, gauge + ragged)).astype(np.float32)


def glasses(canvas, identity, landmarks):
    """Returns the glasses' premultiplied color and cover, (height, width, 4), or None.

    They sit on the nose: they follow the head, not the skin.
    """
    if identity.glasses == "none":
        return None
    thick = identity.glasses == "thick"
    line = 0.0065 if thick else 0.0032
    cover = np.zeros(canvas.shape, np.float32)
    eyes = [landmarks[eye].mean(axis=0) for eye in (scheme.RIGHT_EYE, scheme.LEFT_EYE)]
    turn = np.linspace(0, 2 * np.pi, 49)
    lens = np.zeros(canvas.shape, np.float32)
    for side, center in zip((-1, 1), eyes, strict=True):
        power = 0.75 if thick else 0.9
        across = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
        down = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
        rim = np.stack([0.122 * across, 0.090 * down + 0.022], -1) + center + (side * 0.004, 0)
        fields.add_stroke(cover, canvas, rim, line, 1.0, 0)
        lens = np.maximum(lens, fields.filled(canvas, rim, 0.003))
        hinge = center + (side * 0.126, -0.03)
        arm = [hinge, hinge + (side * 0.07, 0.0), (0.5 + side * 0.40, hinge[1] + 0.02)]
        fields.add_stroke(cover, canvas, arm, line, 0.9, 0)
    inner = [eyes[0] + (0.122, 0.005), eyes[1] + (-0.122, 0.005)]
    arch = [inner[0], (0.5, inner[0][1] - 0.014), inner[1]]
    fields.add_stroke(cover, canvas, arch, line, 1.0, 0)
    cover = np.clip(1.25 * cover, 0, 1)
    x, y = canvas.axes()
    glare = lens * np.exp(-0.5 * (((x + 0.5 * y) % 0.33 - 0.16) / 0.022) ** 2) * 0.10
    rng = np.random.default_rng((identity.seed, 80))
    dark = np.float32([0.06, 0.05, 0.05] if rng.random() < 0.6 else [0.25, 0.13, 0.07])
    frame = dark[None, None] * cover[..., None]
    glint = (glare * (1 - cover))[..., None]
    return np.concatenate([frame + glint, np.maximum(cover, glare)[..., None]], -1).astype(
        np.float32
    )
