"""How each action unit moves the skin: displacement fields along the line of its muscle.

A field says how far a point of the resting face moves at intensity 5, in face units. Where lips
meet the face is cut: skin above the mouth's line follows the upper field, skin below it the lower
one, so lips can part. Around the corners of the mouth both are equal. The lids are no part of the
fields; `lid_motion` says how they close and open.
"""

# ruff: noqa: RUF005 -- `point + (dx, dy)` moves a NumPy point; nothing is concatenated.

import dataclasses

import numpy as np

from tfface.data.synthetic import fields
from tfface.data.synthetic.identity import SYNTHETIC_AUS

NODES = fields.Canvas.window(-0.3, -0.3, 1.3, 1.5, 64)
"""The coarse canvas that displacement fields are kept on; they are smooth."""

BELOW_LIPS = np.array([*range(3, 14), *range(55, 60), 65, 66, 67])
"""The landmarks that follow the lower field; all others follow the upper one."""

INDEX = {number: k for k, number in enumerate(SYNTHETIC_AUS)}


@dataclasses.dataclass(frozen=True)
class Muscles:
    """The displacement fields of one identity.

    Args:
        upper: (17, height, width, 2) on `NODES`: for skin above the mouth's line.
        lower: (17, height, width, 2): for skin below it.
    """

    upper: np.ndarray
    lower: np.ndarray

    def displacement(self, intensities):
        """Returns the (height, width, 2) upper and lower fields of a combination of AUs.

        Args:
            intensities: (17,) 0 to 5.
        """
        shares = np.asarray(intensities, np.float32) / np.float32(5.0)
        # Skin that one muscle has gathered leaves less for the next.
        for number, rival, loss in ((10, 12, 0.45), (9, 10, 0.30), (6, 12, 0.20)):
            shares[INDEX[number]] *= 1.0 - loss * shares[INDEX[rival]]
        upper = np.zeros(self.upper.shape[1:], np.float32)
        lower = np.zeros_like(upper)
        for k in np.flatnonzero(shares):
            upper += shares[k] * self.upper[k]
            lower += shares[k] * self.lower[k]
        return upper, lower


def build(identity, landmarks, mouth):
    """Returns the `Muscles` of an identity.

    Args:
        identity: An `Identity`: its strength and asymmetry scale each side of each field.
        landmarks: (68, 2) its neutral landmarks in face units.
        mouth: Its `mouth.Mouth`: the line where lips part.
    """
    shape = (len(SYNTHETIC_AUS), *NODES.shape, 2)
    upper, lower = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    painter = _Painter(upper, lower)
    _add_brow_actions(painter, landmarks)
    _add_cheek_and_nose_actions(painter, landmarks)
    _add_corner_actions(painter, landmarks)
    _add_lip_actions(painter, landmarks)
    _add_mouth_opening(painter, landmarks, mouth)
    x, _ = NODES.axes()
    left = fields.smoothstep(0.44, 0.56, x)
    for k, (right_strength, left_strength) in enumerate(identity.strength):
        side = (right_strength + (left_strength - right_strength) * left)[..., None]
        upper[k] *= side
        lower[k] *= side
    return Muscles(upper, lower)


class _Painter:
    """Adds pushes to the fields of AUs, on both sides of the face at once."""

    def __init__(self, upper, lower):
        self.fields = {"upper": upper, "lower": lower}

    def push(self, number, center, spread, motion, *, layer="both", paired=True):
        """Adds a Gaussian push at `center` of the subject's right side and its mirror image.

        `motion` is (outward, down): outward is away from the face's midline.
        """
        sides = (-1, 1) if paired else (1,)
        layers = ("upper", "lower") if layer == "both" else (layer,)
        for side in sides:
            x = 0.5 + side * (0.5 - center[0]) if paired else center[0]
            bump = fields.blob(NODES, (x, center[1]), spread)
            for name in layers:
                field = self.fields[name][INDEX[number]]
                field[..., 0] += np.float32(side * motion[0]) * bump
                field[..., 1] += np.float32(motion[1]) * bump

    def add(self, number, layer, dx, dy):
        """Adds whole fields."""
        field = self.fields[layer][INDEX[number]]
        field[..., 0] += dx
        field[..., 1] += dy


def _right(landmarks, right, left):
    """Returns the mean of a point and the mirror image of its twin: the right side's place."""
    a, b = landmarks[right], landmarks[left]
    return np.array([(a[0] + 1.0 - b[0]) / 2, (a[1] + b[1]) / 2])


def _add_brow_actions(painter, landmarks):
    inner, middle, outer = (_right(landmarks, *pair) for pair in ((21, 22), (19, 24), (17, 26)))
    # 1: frontalis, inner part: the inner brows rise and drag the middle of the forehead.
    painter.push(1, inner + (0.004, -0.01), (0.048, 0.060), (0.004, -0.050))
    painter.push(1, inner + (-0.05, -0.13), (0.06, 0.06), (0.0, -0.020))
    # 2: frontalis, outer part.
    painter.push(2, (outer + middle) / 2 + (0, -0.01), (0.066, 0.065), (0.0, -0.052))
    painter.push(2, outer + (0.01, -0.10), (0.05, 0.05), (0.0, -0.022))
    # 4: corrugator and depressor supercilii: brows down and together.
    painter.push(4, inner + (0.0, 0.0), (0.052, 0.045), (-0.026, 0.038))
    painter.push(4, middle, (0.055, 0.040), (-0.010, 0.026))
    # 5: levator palpebrae: the lid (see `lid_motion`) and the fold above it.
    eye = _right(landmarks, 37, 44) * 0.5 + _right(landmarks, 38, 43) * 0.5
    painter.push(5, eye + (0, -0.035), (0.055, 0.018), (0.0, -0.012))
    # 7: orbicularis oculi, lid part: skin draws toward the inner corner.
    lower = _right(landmarks, 41, 46) * 0.5 + _right(landmarks, 40, 47) * 0.5
    painter.push(7, lower + (0, 0.022), (0.055, 0.018), (-0.006, -0.012))
    painter.push(7, eye + (-0.01, -0.030), (0.05, 0.016), (0.0, 0.009))


def _add_cheek_and_nose_actions(painter, landmarks):
    outer_eye = _right(landmarks, 36, 45)
    lower = _right(landmarks, 41, 46) * 0.5 + _right(landmarks, 40, 47) * 0.5
    wing, inner_brow = _right(landmarks, 31, 35), _right(landmarks, 21, 22)
    # 6: orbicularis oculi, outer ring: cheeks up, skin gathers toward the eye.
    painter.push(6, lower + (-0.02, 0.09), (0.070, 0.050), (-0.004, -0.038))
    painter.push(6, outer_eye + (-0.04, 0.04), (0.035, 0.045), (-0.014, -0.010))
    painter.push(6, outer_eye + (-0.01, -0.075), (0.045, 0.025), (0.0, 0.008))
    # 9: levator labii superioris alaeque nasi: the nose's sides rise and wrinkle.
    painter.push(9, wing + (0.006, -0.01), (0.034, 0.036), (0.006, -0.034))
    painter.push(9, (0.5, wing[1] - 0.03), (0.028, 0.030), (0.0, -0.014), paired=False)
    painter.push(9, inner_brow + (0.01, 0.01), (0.045, 0.040), (-0.012, 0.026))
    painter.push(9, wing + (-0.05, -0.055), (0.045, 0.045), (-0.008, -0.020))
    painter.push(9, (0.453, wing[1] + 0.075), (0.030, 0.030), (0.0, -0.018))
    # 10: levator labii superioris: the upper lip rises, most beside its middle.
    lip = _right(landmarks, 50, 52)
    painter.push(10, lip + (-0.022, -0.004), (0.036, 0.034), (0.0, -0.042))
    painter.push(10, (0.5, lip[1]), (0.030, 0.030), (0.0, -0.014), paired=False)
    painter.push(10, wing + (-0.035, -0.02), (0.045, 0.045), (0.004, -0.022))


def _add_corner_actions(painter, landmarks):
    corner = _right(landmarks, 48, 54)
    # 12: zygomaticus major: corners up and out, the cheeks' apples with them.
    painter.push(12, corner + (-0.006, -0.004), (0.070, 0.055), (0.050, -0.046))
    painter.push(12, corner + (-0.075, -0.12), (0.065, 0.055), (0.012, -0.028))
    painter.push(12, (0.5, corner[1]), (0.045, 0.050), (0.0, 0.008), paired=False)
    # 14: buccinator: corners drawn in against the teeth.
    painter.push(14, corner + (-0.004, 0.0), (0.036, 0.034), (0.026, -0.012))
    painter.push(14, corner + (-0.065, 0.0), (0.035, 0.055), (-0.018, 0.0))
    # 15: depressor anguli oris: corners down.
    painter.push(15, corner + (0.002, 0.002), (0.042, 0.034), (0.006, 0.042))
    painter.push(15, corner + (-0.012, 0.055), (0.045, 0.040), (0.004, 0.018))
    painter.push(15, (0.5, corner[1]), (0.040, 0.036), (0.0, -0.006), paired=False)
    # 20: risorius: corners straight outward.
    painter.push(20, corner + (-0.004, 0.0), (0.062, 0.046), (0.060, 0.006))
    painter.push(20, corner + (0.02, 0.075), (0.06, 0.045), (0.024, 0.006))


def _add_lip_actions(painter, landmarks):
    chin = landmarks[8]
    line = (landmarks[62, 1] + landmarks[48, 1] + landmarks[54, 1]) / 3
    half = abs(landmarks[54, 0] - landmarks[48, 0]) / 2
    # 17: mentalis: the chin's boss rises and pushes the lower lip up.
    painter.push(17, (0.5, chin[1] - 0.065), (0.080, 0.050), (0.0, -0.036), paired=False)
    painter.push(17, (0.5, line + 0.022), (0.072, 0.030), (0.0, -0.022), paired=False)
    painter.push(17, (0.5, line - 0.02), (0.06, 0.030), (0.0, -0.006), paired=False)
    painter.push(17, (0.405, line + 0.012), (0.025, 0.025), (0.0, 0.012))
    # 23 and 24: orbicularis oris: rims roll in; 24 presses, 23 also narrows.
    x, y = NODES.axes()
    for number, squeeze, narrow in ((23, 0.45, 0.26), (24, 0.70, 0.05)):
        near = np.exp(-0.5 * (((x - 0.5) / (0.95 * half)) ** 4 + ((y - line) / 0.050) ** 2))
        dx, dy = -narrow * (x - 0.5) * near, -squeeze * (y - line) * near
        for layer in ("upper", "lower"):
            painter.add(number, layer, dx, dy)


def _add_mouth_opening(painter, landmarks, mouth):
    x, y = NODES.axes()
    middle, half = mouth.center[0], mouth.half
    t2 = np.clip(((x - middle) / half) ** 2, 0.0, 1.0)
    gap = (1.0 - t2) ** 0.6  # how fully the lips part at this x
    line = mouth.line_at(x)
    above, below = np.clip(line - y, 0, None), np.clip(y - line, 0, None)
    wide = np.exp(-0.5 * ((x - middle) / 0.14) ** 2)
    # 25: the lips part, the lower one most.
    painter.add(25, "upper", 0.0, -0.013 * gap * np.exp(-0.5 * (above / 0.045) ** 2))
    painter.add(25, "lower", 0.0, 0.030 * gap * np.exp(-0.5 * (below / 0.060) ** 2))
    # 26: the jaw turns about its hinge below the ears: everything under it goes down.
    hinge, chin = 0.56, landmarks[8, 1]
    drop = np.clip((y - hinge) / (chin - hinge), 0.0, 1.0) ** 1.15
    drop = drop * np.exp(-np.clip(y - chin - 0.03, 0, None) / 0.18)
    side = np.exp(-0.5 * (np.clip(np.abs(x - middle) - 0.13, 0, None) / 0.11) ** 2)
    skin = drop * side
    jaw = np.where(y < chin, 1.0, drop) * side
    fall = np.exp(-np.clip(y - chin - 0.03, 0, None) / 0.18)
    opened = jaw * fall
    upper = skin * (1.0 - gap * wide**0.25)
    lower = skin + (opened - skin) * gap
    for layer, share in (("upper", upper), ("lower", lower)):
        painter.add(26, layer, np.float32(-0.06) * (x - middle) * share, 0.105 * share)


@dataclasses.dataclass(frozen=True)
class LidMotion:
    """How far the lids of one eye stand: factors of their resting distance from the eye's axis."""

    upper: float
    lower: float


# AU: what it does at intensity 5 to (upper lid, lower lid) as a share of the resting opening.
_LID_EFFECTS = {
    5: (0.62, 0.06),
    6: (-0.08, -0.30),
    7: (-0.32, -0.62),
    4: (-0.10, 0.0),
    9: (-0.12, -0.20),
    12: (-0.04, -0.14),
    1: (0.10, 0.0),
    2: (0.08, 0.0),
}


def lid_motion(identity, intensities, droop=0.0):
    """Returns the `LidMotion` of the subject's right and left eye.

    Args:
        identity: An `Identity`.
        intensities: (17,) 0 to 5.
        droop: 0 for lids at rest to 1 for closed ones (a blink).
    """
    motions = []
    for side in range(2):
        upper, lower = 1.0, 1.0
        for number, (lift, drop) in _LID_EFFECTS.items():
            k = INDEX[number]
            share = intensities[k] / 5.0 * identity.strength[k][side]
            upper += lift * share
            lower += drop * share
        upper = max(upper, 0.34) * (1.0 - droop) - 0.6 * droop * max(lower, 0.12)
        motions.append(LidMotion(upper, max(lower, 0.12)))
    return motions


def moved(points, field):
    """Returns (n, 2) face points moved by a (height, width, 2) displacement field on `NODES`."""
    return points + sampled(points, field)


def sampled(points, field):
    """Returns the field's values (n, 2) at (n, 2) face points."""
    return fields.sample_at(NODES, field, np.asarray(points, np.float32)[None])[0]
