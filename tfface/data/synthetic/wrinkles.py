"""What each action unit does to the skin's relief: furrows along its lines, bulges beside them."""

# ruff: noqa: RUF005 -- `point + (dx, dy)` moves a NumPy point; nothing is concatenated.

import dataclasses

import numpy as np

from tfface.data.synthetic import fields
from tfface.data.synthetic.identity import SYNTHETIC_AUS
from tfface.facs import landmarks as scheme


@dataclasses.dataclass(frozen=True)
class Relief:
    """The depth that one AU adds at intensity 5.

    Args:
        rows: Slice of the canvas's rows that it reaches.
        columns: Slice of its columns.
        depth: (rows, columns) float32 in face units.
    """

    rows: slice
    columns: slice
    depth: np.ndarray


def build(canvas, identity, landmarks):
    """Returns a tuple of 17 `Relief`, one an AU of `SYNTHETIC_AUS`.

    Args:
        canvas: A `fields.Canvas`.
        identity: An `Identity`: old skin folds deeper, and each side moves by its own strength.
        landmarks: (68, 2) its neutral landmarks in face units.
    """
    deep = 0.75 + 0.55 * identity.age
    x, _ = canvas.axes()
    left = fields.smoothstep(0.44, 0.56, x)
    reliefs = []
    for number, (right_strength, left_strength) in zip(
        SYNTHETIC_AUS, identity.strength, strict=True
    ):
        z = np.zeros(canvas.shape, np.float32)
        _ADDERS.get(number, _add_nothing)(z, canvas, landmarks, deep)
        z *= right_strength + (left_strength - right_strength) * left
        reliefs.append(_trimmed(z))
    return tuple(reliefs)


def _trimmed(z):
    """Returns the part of a field that is not flat."""
    used = np.abs(z) > 1e-5
    if not used.any():
        return Relief(slice(0, 0), slice(0, 0), z[:0, :0])
    rows, columns = (np.flatnonzero(used.any(axis=axis)) for axis in (1, 0))
    rows, columns = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Relief(rows, columns, np.ascontiguousarray(z[rows, columns]))


def _sides(landmarks):
    """Yields (sign of the image's side, wing of the nose, mouth corner, eye center, outer eye)."""
    for side, wing, corner, eye, outer in (
        (-1, 31, 48, scheme.RIGHT_EYE, 36),
        (1, 35, 54, scheme.LEFT_EYE, 45),
    ):
        yield (
            side,
            landmarks[wing],
            landmarks[corner],
            landmarks[eye].mean(axis=0),
            landmarks[outer],
        )


def _furrow(z, canvas, points, width, deep, taper=0.45):
    """Digs a furrow with a raised lip on both sides."""
    fields.add_stroke(z, canvas, points, width, -deep, taper)
    fields.add_stroke(z, canvas, points, 2.8 * width, 0.38 * deep, taper)


def _add_inner_brow_raiser(z, canvas, landmarks, deep):
    for k, y in enumerate((0.105, 0.150, 0.195)):
        bow = [(0.37, y + 0.010), (0.44, y - 0.002), (0.5, y + 0.003), (0.56, y - 0.002),
               (0.63, y + 0.010)]  # fmt: skip
        _furrow(z, canvas, bow, 0.0075, (0.0125 - 0.001 * k) * deep)


def _add_outer_brow_raiser(z, canvas, landmarks, deep):
    for side in (-1, 1):
        for y in (0.115, 0.160, 0.205):
            bow = [(0.5 + side * 0.11, y + 0.004), (0.5 + side * 0.20, y),
                   (0.5 + side * 0.285, y + 0.022)]  # fmt: skip
            _furrow(z, canvas, bow, 0.0075, 0.0115 * deep)


def _add_brow_lowerer(z, canvas, landmarks, deep):
    y = (landmarks[21, 1] + landmarks[22, 1]) / 2
    for side in (-1, 1):
        x = 0.5 + side * 0.024
        frown = [(x + side * 0.008, y - 0.070), (x, y - 0.02), (x - side * 0.001, y + 0.035)]
        _furrow(z, canvas, frown, 0.0075, 0.0165 * deep)
        z += 0.016 * fields.blob(canvas, (0.5 + side * 0.065, y - 0.012), (0.028, 0.020))
    _furrow(z, canvas, [(0.465, y + 0.065), (0.5, y + 0.060), (0.535, y + 0.065)], 0.006, 0.006)


def _add_upper_lid_raiser(z, canvas, landmarks, deep):
    for _, _, _, eye, _ in _sides(landmarks):
        fold = [eye + (-0.07, -0.040), eye + (0, -0.058), eye + (0.07, -0.040)]
        _furrow(z, canvas, fold, 0.006, 0.007 * deep)


def _add_cheek_raiser(z, canvas, landmarks, deep):
    for side, _, _, eye, outer in _sides(landmarks):
        z += 0.036 * fields.blob(canvas, eye + (side * 0.045, 0.125), (0.070, 0.042), side * 0.35)
        for k in (-1, 0, 1):
            start = outer + (side * 0.022, 0.014 * k + 0.002)
            crow = [start, start + (side * 0.032, 0.014 * k), start + (side * 0.062, 0.036 * k)]
            _furrow(z, canvas, crow, 0.0048, 0.0090 * deep)
        pouch = [eye + (side * 0.080, 0.048), eye + (0, 0.066), eye + (-side * 0.060, 0.046)]
        _furrow(z, canvas, pouch, 0.0070, 0.0115 * deep)


def _add_lid_tightener(z, canvas, landmarks, deep):
    for side, _, _, eye, _ in _sides(landmarks):
        roll = [eye + (side * 0.070, 0.022), eye + (0, 0.034), eye + (-side * 0.065, 0.024)]
        fields.add_stroke(z, canvas, roll, 0.0090, 0.011, 0.4)
        line = [eye + (side * 0.078, 0.036), eye + (0, 0.052), eye + (-side * 0.070, 0.036)]
        _furrow(z, canvas, line, 0.0055, 0.0095 * deep)


def _add_nose_wrinkler(z, canvas, landmarks, deep):
    for side, wing, _, _, _ in _sides(landmarks):
        for k in range(3):
            y = 0.425 + 0.032 * k
            line = [(0.5 + side * 0.012, y - 0.010), (0.5 + side * 0.050, y + 0.016)]
            _furrow(z, canvas, line, 0.0060, 0.0125 * deep, 0.4)
        fold = [wing + (side * 0.004, -0.060), wing + (side * 0.032, -0.018),
                wing + (side * 0.050, 0.030)]  # fmt: skip
        _furrow(z, canvas, fold, 0.0095, 0.0130 * deep)
        z += 0.018 * fields.blob(canvas, (wing[0] + side * 0.055, wing[1] - 0.07), (0.030, 0.035))
    _furrow(z, canvas, [(0.462, 0.392), (0.5, 0.385), (0.538, 0.392)], 0.0065, 0.0110 * deep)


def _add_upper_lip_raiser(z, canvas, landmarks, deep):
    for side, wing, corner, _, _ in _sides(landmarks):
        fold = [wing + (side * 0.018, -0.040), wing + (side * 0.050, 0.005),
                wing + (side * 0.070, 0.055), corner + (side * 0.045, -0.045)]  # fmt: skip
        _furrow(z, canvas, fold, 0.0125, 0.0150 * deep)
        z += 0.020 * fields.blob(canvas, wing + (side * 0.070, -0.045), (0.040, 0.032))


def _add_lip_corner_puller(z, canvas, landmarks, deep):
    for side, wing, corner, eye, _ in _sides(landmarks):
        fold = [wing + (side * 0.022, -0.025), wing + (side * 0.062, 0.030),
                corner + (side * 0.032, -0.035), corner + (side * 0.036, 0.030)]  # fmt: skip
        _furrow(z, canvas, fold, 0.0135, 0.0205 * deep, 0.45)
        cheek = (eye[0] + side * 0.030, (eye[1] + corner[1]) / 2 + 0.010)
        z += 0.036 * fields.blob(canvas, cheek, (0.062, 0.050), -side * 0.5)
        z -= 0.012 * fields.blob(canvas, corner + (side * 0.012, -0.002), 0.013)


def _add_dimpler(z, canvas, landmarks, deep):
    for side, _, corner, _, _ in _sides(landmarks):
        comma = [corner + (side * 0.014, -0.036), corner + (side * 0.026, -0.004),
                 corner + (side * 0.018, 0.032)]  # fmt: skip
        _furrow(z, canvas, comma, 0.0100, 0.0280 * deep, 0.5)
        z -= 0.012 * fields.blob(canvas, corner + (side * 0.018, 0), 0.014)
        z += 0.020 * fields.blob(canvas, corner + (side * 0.055, 0.004), (0.024, 0.040))


def _add_lip_corner_depressor(z, canvas, landmarks, deep):
    for side, _, corner, _, _ in _sides(landmarks):
        droop = [corner + (side * 0.012, 0.004), corner + (side * 0.026, 0.040),
                 corner + (side * 0.022, 0.085)]  # fmt: skip
        _furrow(z, canvas, droop, 0.0085, 0.0185 * deep)
        z += 0.016 * fields.blob(canvas, corner + (-side * 0.012, 0.052), (0.024, 0.026))


def _add_chin_raiser(z, canvas, landmarks, deep):
    chin, lip = landmarks[8], landmarks[57]
    z += 0.026 * fields.blob(canvas, (0.5, chin[1] - 0.068), (0.050, 0.032))
    arc = [(0.425, lip[1] + 0.052), (0.46, lip[1] + 0.026), (0.5, lip[1] + 0.019),
           (0.54, lip[1] + 0.026), (0.575, lip[1] + 0.052)]  # fmt: skip
    _furrow(z, canvas, arc, 0.0090, 0.0175 * deep)
    # The orange-peel dimples of a tensed chin.
    peel = fields.noise(canvas, 17, 0.017)
    z += 0.0042 * deep * peel * fields.blob(canvas, (0.5, chin[1] - 0.062), (0.048, 0.028))


def _add_lip_stretcher(z, canvas, landmarks, deep):
    for side, _, corner, _, _ in _sides(landmarks):
        for shift in (0.030, 0.060):
            line = [corner + (side * shift, -0.050), corner + (side * (shift + 0.016), 0.004),
                    corner + (side * (shift - 0.004), 0.060)]  # fmt: skip
            _furrow(z, canvas, line, 0.0080, 0.0130 * deep)
    z -= 0.014 * fields.blob(canvas, landmarks[57] + (0, -0.01), (0.08, 0.02))


def _add_lip_tightener(z, canvas, landmarks, deep):
    top, bottom = landmarks[51, 1], landmarks[57, 1]
    for x in (-0.06, -0.03, 0.03, 0.06):
        line = [(0.5 + 1.15 * x, top - 0.040), (0.5 + x, top - 0.004)]
        fields.add_stroke(z, canvas, line, 0.0050, -0.0100 * deep, 0.3)
        line = [(0.5 + x, bottom + 0.004), (0.5 + 1.1 * x, bottom + 0.026)]
        fields.add_stroke(z, canvas, line, 0.0050, -0.0060 * deep, 0.3)
    for side, _, corner, _, _ in _sides(landmarks):
        z -= 0.008 * fields.blob(canvas, corner + (side * 0.006, 0.0), 0.012)


def _add_lip_presser(z, canvas, landmarks, deep):
    corners = landmarks[[48, 54]]
    top, bottom = landmarks[51, 1], landmarks[57, 1]
    for y, height in ((top - 0.010, 0.014), (bottom + 0.010, 0.017)):
        roll = [
            corners[0] + (0.015, y - corners[0, 1]),
            (0.5, y),
            corners[1] + (-0.015, y - corners[1, 1]),
        ]
        fields.add_stroke(z, canvas, roll, 0.0130, height, 0.4)
    for side, _, corner, _, _ in _sides(landmarks):
        pit = [corner + (side * 0.006, -0.018), corner + (side * 0.012, 0.020)]
        _furrow(z, canvas, pit, 0.0075, 0.0130 * deep)


def _add_lips_part(z, canvas, landmarks, deep):
    z += 0.006 * fields.blob(canvas, landmarks[57], (0.05, 0.012))


def _add_jaw_drop(z, canvas, landmarks, deep):
    for side, _, corner, _, _ in _sides(landmarks):
        z -= 0.018 * fields.blob(canvas, corner + (side * 0.075, -0.02), (0.045, 0.08))
        line = [corner + (side * 0.030, -0.055), corner + (side * 0.042, 0.01)]
        fields.add_stroke(z, canvas, line, 0.010, -0.008 * deep, 0.5)


def _add_nothing(z, canvas, landmarks, deep):
    pass


_ADDERS = {
    1: _add_inner_brow_raiser,
    2: _add_outer_brow_raiser,
    4: _add_brow_lowerer,
    5: _add_upper_lid_raiser,
    6: _add_cheek_raiser,
    7: _add_lid_tightener,
    9: _add_nose_wrinkler,
    10: _add_upper_lip_raiser,
    12: _add_lip_corner_puller,
    14: _add_dimpler,
    15: _add_lip_corner_depressor,
    17: _add_chin_raiser,
    20: _add_lip_stretcher,
    23: _add_lip_tightener,
    24: _add_lip_presser,
    25: _add_lips_part,
    26: _add_jaw_drop,
}
