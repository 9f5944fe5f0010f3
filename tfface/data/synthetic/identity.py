"""Who a synthetic face is: one seeded vector of looks, and of ways to move, a subject."""

import dataclasses
import hashlib

import numpy as np

from tfface.facs import landmarks as scheme

SYNTHETIC_AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)
"""The action units that a synthetic face shows, in the order of its intensities."""

HAIR_STYLES = ("short", "long", "fringe", "receding", "bald", "curly")

# Lightest to darkest, sRGB: the Monk skin tone scale (Monk, 2019), its darkest three lightened to
# what a camera that exposes for the face shows of them.
_SKIN_TONES = np.array(
    [
        (246, 237, 228), (243, 231, 219), (247, 234, 208), (234, 218, 186), (215, 189, 150),
        (160, 126, 86), (130, 92, 67), (102, 70, 54), (80, 55, 44), (66, 46, 38),
    ],
    np.float32,
) / 255.0  # fmt: skip

_HAIR_COLORS = {
    "black": (0.07, 0.06, 0.06),
    "dark brown": (0.16, 0.10, 0.07),
    "brown": (0.30, 0.19, 0.12),
    "light brown": (0.44, 0.31, 0.20),
    "blond": (0.68, 0.54, 0.34),
    "red": (0.50, 0.24, 0.11),
    "gray": (0.56, 0.55, 0.54),
}

_IRIS_COLORS = {
    "dark brown": (0.16, 0.09, 0.06),
    "brown": (0.30, 0.18, 0.10),
    "hazel": (0.40, 0.31, 0.17),
    "green": (0.34, 0.42, 0.30),
    "blue": (0.36, 0.49, 0.62),
    "gray": (0.45, 0.50, 0.53),
}


@dataclasses.dataclass(frozen=True)
class Identity:
    """What stays the same in all pictures of one subject. Offsets are 0 for the average face.

    Args:
        seed: Seed of everything random in the skin: pores, freckles, hairs.
        skin_tone: 0 (lightest) to 1 (darkest) along the Monk scale.
        redness: How ruddy cheeks and nose are, 0 to 1.
        age: 0 (young) to 1 (old): lines, bags under the eyes, gray hair.
        masculinity: 0 to 1: jaw, brow ridge, brows, lips, lashes.
        shape: Offsets of the geometry (see `_SHAPE_SPREAD`) in standard deviations, one a name.
        jitter: (68, 2) offsets of the landmarks in face units: the face's own irregularity.
        hair_style: One of `HAIR_STYLES`.
        hairline: Height of the hairline's middle in face units (the crop's top is 0).
        hair_color: RGB in [0, 1].
        brow_color: RGB in [0, 1].
        iris_color: RGB in [0, 1].
        shirt_color: RGB in [0, 1].
        freckles: Density, 0 (none) to 1.
        stubble: Shadow of a shaven beard, 0 to 1.
        beard: 0 (none) to 1 (full beard).
        mustache: 0 (none) to 1.
        lipstick: 0 (none) to 1.
        glasses: "none", "thin" or "thick".
        strength: (17, 2) factor on each AU of the subject's right and left side: the own style of
            moving; side by side it is the AU's asymmetry.
        mood: (17,) offset of each AU's log-odds: what this subject shows more or less often.
    """

    seed: int
    skin_tone: float
    redness: float
    age: float
    masculinity: float
    shape: tuple
    jitter: tuple
    hair_style: str
    hairline: float
    hair_color: tuple
    brow_color: tuple
    iris_color: tuple
    shirt_color: tuple
    freckles: float
    stubble: float
    beard: float
    mustache: float
    lipstick: float
    glasses: str
    strength: tuple
    mood: tuple

    @property
    def skin_color(self):
        """(3,) float32 sRGB of the skin in even light."""
        place = self.skin_tone * (len(_SKIN_TONES) - 1)
        steps = np.arange(len(_SKIN_TONES))
        tone = np.array([np.interp(place, steps, channel) for channel in _SKIN_TONES.T])
        # Monk's swatches are of skin in full light: a face is a little darker and redder.
        return (tone * (0.89, 0.77, 0.69)).astype(np.float32)


# One standard deviation of each offset of the geometry, in face units or as a share.
_SHAPE_SPREAD = {
    "face_width": 0.045,
    "jaw_width": 0.07,
    "jaw_square": 0.02,
    "chin_length": 0.022,
    "eye_spacing": 0.011,
    "eye_size": 0.09,
    "eye_opening": 0.11,
    "eye_tilt": 0.05,
    "brow_height": 0.009,
    "brow_arch": 0.007,
    "brow_tilt": 0.008,
    "brow_spacing": 0.010,
    "brow_thickness": 0.22,
    "nose_width": 0.11,
    "nose_length": 0.018,
    "nose_bridge": 0.25,
    "mouth_width": 0.08,
    "mouth_height": 0.010,
    "upper_lip": 0.22,
    "lower_lip": 0.20,
    "cheekbones": 0.35,
}


def shape_offset(identity, name):
    """Returns one offset of the identity's geometry, in the units of `_SHAPE_SPREAD`."""
    return dict(identity.shape)[name] * _SHAPE_SPREAD[name]


def subject_seed(seed, subject):
    """Returns the integer seed of one subject, the same in every process."""
    digest = hashlib.sha256(f"{seed}/{subject}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def sample_identity(seed, subject):
    """Draws one subject.

    Args:
        seed: Seed of the whole data set, an integer.
        subject: The subject's number or name; another one is another person.

    Returns:
        An `Identity`. The same arguments give the same one.
    """
    own_seed = subject_seed(seed, subject)
    rng = np.random.default_rng(own_seed)
    skin_tone = float(0.98 * rng.beta(1.0, 1.35))
    age = float(rng.beta(1.3, 1.6))
    masculine = rng.random() < 0.5
    masculinity = float(np.clip((0.78 if masculine else 0.22) + 0.1 * rng.standard_normal(), 0, 1))
    shape = _sample_shape(rng, masculinity)
    hair_style = _sample_hair_style(rng, masculine, age, skin_tone)
    hair_color = _sample_hair_color(rng, skin_tone, age)
    darker = np.array(hair_color) * (0.68 if sum(hair_color) > 0.9 else 1.0)
    jitter = 0.0022 * rng.standard_normal((scheme.N_POINTS, 2))
    beard = float(rng.uniform(0.6, 1.0)) if masculine and rng.random() < 0.25 else 0.0
    mustache = beard if beard else float(masculine and rng.random() < 0.12) * 0.9
    glasses = str(rng.choice(["none", "thin", "thick"], p=[0.8, 0.1, 0.1]))
    strength = np.exp(0.16 * rng.standard_normal((len(SYNTHETIC_AUS), 1)))
    strength = strength * np.exp(0.09 * rng.standard_normal((len(SYNTHETIC_AUS), 2)))
    return Identity(
        seed=own_seed,
        skin_tone=skin_tone,
        redness=float(rng.uniform(0.1, 1.0)),
        age=age,
        masculinity=masculinity,
        shape=shape,
        jitter=tuple(map(tuple, jitter.tolist())),
        hair_style=hair_style,
        hairline=float(rng.normal(0.035, 0.025)),
        hair_color=hair_color,
        brow_color=tuple(darker.tolist()),
        iris_color=_sample_iris_color(rng, skin_tone),
        shirt_color=_sample_cloth(rng),
        freckles=float(rng.uniform(0.4, 1.0)) if rng.random() < 0.3 and skin_tone < 0.5 else 0.0,
        stubble=float(rng.uniform(0.2, 0.9)) if masculine else 0.0,
        beard=beard,
        mustache=mustache,
        lipstick=0.0 if masculine else float(rng.choice([0.0, rng.uniform(0.2, 0.8)])),
        glasses=glasses,
        strength=tuple(map(tuple, np.clip(strength, 0.65, 1.45).tolist())),
        mood=tuple((0.5 * rng.standard_normal(len(SYNTHETIC_AUS))).tolist()),
    )


def _sample_shape(rng, masculinity):
    """Draws the offsets of the geometry: independent but for what goes with sex."""
    offsets = {name: float(np.clip(rng.standard_normal(), -2.2, 2.2)) for name in _SHAPE_SPREAD}
    lean = 2.0 * masculinity - 1.0
    for name, share in (
        ("jaw_width", 0.8), ("jaw_square", 0.8), ("chin_length", 0.5), ("brow_height", -0.7),
        ("brow_thickness", 0.9), ("brow_arch", -0.7), ("nose_width", 0.4), ("eye_opening", -0.6),
        ("upper_lip", -0.6), ("lower_lip", -0.5),
    ):  # fmt: skip
        offsets[name] += share * lean
    return tuple(offsets.items())


def _sample_cloth(rng):
    color = rng.uniform(0.08, 0.8) + 0.12 * rng.standard_normal(3)
    return tuple(np.clip(color, 0.04, 0.9).tolist())


def _sample_hair_style(rng, masculine, age, skin_tone):
    curly = 0.3 if skin_tone > 0.6 else 0.07
    if masculine:
        bald = 0.04 + 0.16 * age
        odds = {"short": 0.6, "fringe": 0.1, "receding": 0.1 + 0.2 * age, "bald": bald,
                "long": 0.04, "curly": curly}  # fmt: skip
    else:
        odds = {"long": 0.6, "fringe": 0.2, "short": 0.12, "curly": curly}
    weights = np.array(list(odds.values()))
    return str(rng.choice(list(odds), p=weights / weights.sum()))


def _sample_hair_color(rng, skin_tone, age):
    if rng.random() < 0.75 * max(0.0, age - 0.45) / 0.55:
        name = "gray"
    elif skin_tone > 0.5:
        name = rng.choice(["black", "dark brown"], p=[0.8, 0.2])
    else:
        name = rng.choice(
            ["black", "dark brown", "brown", "light brown", "blond", "red"],
            p=[0.2, 0.22, 0.22, 0.14, 0.15, 0.07],
        )
    color = np.array(_HAIR_COLORS[str(name)]) * rng.uniform(0.8, 1.2) * rng.uniform(0.97, 1.03, 3)
    return tuple(color.tolist())


def _sample_iris_color(rng, skin_tone):
    odds = [0.7, 0.3, 0, 0, 0, 0] if skin_tone > 0.5 else [0.12, 0.28, 0.14, 0.12, 0.24, 0.1]
    return _IRIS_COLORS[str(rng.choice(list(_IRIS_COLORS), p=odds))]


def neutral_landmarks(identity):
    """Returns the identity's 68 points at rest, mouth closed, in face units.

    The average layout is `facs.landmarks.MEAN_FACE`. The face is placed as alignment places it: its
    anchors (eye centers and mouth center) fit those of the average as well as a similarity can.

    Args:
        identity: An `Identity`.

    Returns:
        (68, 2) float32; multiply by the crop's size and subtract 0.5 for its pixels.
    """
    points = scheme.MEAN_FACE.astype(np.float64)
    _shape_jaw(points, identity)
    _shape_eyes_and_brows(points, identity)
    _shape_nose(points, identity)
    _shape_mouth(points, identity)
    points += np.array(identity.jitter)
    # A closed mouth: the inner lips meet.
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        points[[upper, lower]] = points[[upper, lower]].mean(axis=0)
    return _aligned(points).astype(np.float32)


def _shape_jaw(points, identity):
    x, y = points[scheme.JAW].T
    below_ears = np.clip((y - 0.42) / 0.53, 0.0, 1.0)
    wide = 1.0 + shape_offset(identity, "face_width")
    wide = wide + shape_offset(identity, "jaw_width") * np.sin(np.pi * below_ears**0.8)
    points[scheme.JAW, 0] = 0.5 + (x - 0.5) * wide
    corner = np.exp(-(((np.abs(np.arange(17) - 8) - 4.0) / 1.6) ** 2))
    points[scheme.JAW, 1] += shape_offset(identity, "chin_length") * below_ears**1.5
    points[scheme.JAW, 1] += shape_offset(identity, "jaw_square") * corner


def _shape_eyes_and_brows(points, identity):
    for side, eye, brow in ((-1, scheme.RIGHT_EYE, scheme.RIGHT_BROW),
                            (1, scheme.LEFT_EYE, scheme.LEFT_BROW)):  # fmt: skip
        center = points[eye].mean(axis=0)
        offset = points[eye] - center
        offset *= 1.0 + shape_offset(identity, "eye_size")
        offset[:, 1] *= 0.93 + shape_offset(identity, "eye_opening")
        offset[:, 1] -= side * shape_offset(identity, "eye_tilt") * offset[:, 0]
        center[0] += side * shape_offset(identity, "eye_spacing")
        points[eye] = center + offset
        outward = side * (points[brow, 0] - 0.5) / 0.31  # about 0.23 to 1
        arch = np.array([0.0, 0.75, 1.0, 0.55, 0.0])[::-side]
        points[brow, 0] += side * shape_offset(identity, "brow_spacing") * (1.2 - outward)
        points[brow, 1] -= shape_offset(identity, "brow_height")
        points[brow, 1] -= shape_offset(identity, "brow_arch") * arch
        points[brow, 1] -= shape_offset(identity, "brow_tilt") * (outward - 0.6)


def _shape_nose(points, identity):
    base = points[scheme.NOSE_BASE]
    base[:, 0] = 0.5 + (base[:, 0] - 0.5) * (1.0 + shape_offset(identity, "nose_width"))
    nose = slice(scheme.NOSE_BRIDGE.start, scheme.NOSE_BASE.stop)
    down = (points[nose, 1] - 0.39) / 0.245
    points[nose, 1] += shape_offset(identity, "nose_length") * down


def _shape_mouth(points, identity):
    mouth = slice(scheme.OUTER_LIPS.start, scheme.INNER_LIPS.stop)
    lips = points[mouth]
    line = 0.745
    lips[:, 0] = 0.5 + (lips[:, 0] - 0.5) * (1.0 + shape_offset(identity, "mouth_width"))
    height = lips[:, 1] - line
    thick = np.where(height < 0, shape_offset(identity, "upper_lip"),
                     shape_offset(identity, "lower_lip"))  # fmt: skip
    lips[:, 1] = line + height * (1.0 + thick) + shape_offset(identity, "mouth_height")


def _aligned(points):
    """Fits the anchors to the canonical ones by a least-squares similarity."""
    source = scheme.anchors(points).astype(np.float64)
    target = scheme.anchors(scheme.MEAN_FACE).astype(np.float64)
    # In the complex plane a similarity is one multiplication and one addition.
    z, w = source @ (1, 1j), target @ (1, 1j)
    centered = z - z.mean()
    factor = np.vdot(centered, w - w.mean()) / np.vdot(centered, centered)
    moved = (points @ (1, 1j) - z.mean()) * factor + w.mean()
    return np.stack([moved.real, moved.imag], axis=-1)
