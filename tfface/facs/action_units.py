"""The action units (AUs) of the Facial Action Coding System, as data.

Source: P. Ekman, W. V. Friesen, J. C. Hager, "Facial Action Coding System: The Manual", 2002, main
codes (and P. Ekman, W. V. Friesen, 1978, for the muscles). Left out are head and eye movements, and
codes that no data set of this package uses.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ActionUnit:
    """One action unit.

    Attributes:
        number: FACS number.
        name: FACS name.
        muscle: The muscle or muscles that move the face.
        face_part: Where the movement mainly shows: one of "brow", "eye", "cheek", "nose", "mouth",
            "chin" and "jaw".
    """

    number: int
    name: str
    muscle: str
    face_part: str


_TABLE = (
    ActionUnit(1, "Inner brow raiser", "frontalis, pars medialis", "brow"),
    ActionUnit(2, "Outer brow raiser", "frontalis, pars lateralis", "brow"),
    ActionUnit(4, "Brow lowerer", "corrugator supercilii, depressor supercilii, procerus", "brow"),
    ActionUnit(5, "Upper lid raiser", "levator palpebrae superioris", "eye"),
    ActionUnit(6, "Cheek raiser", "orbicularis oculi, pars orbitalis", "cheek"),
    ActionUnit(7, "Lid tightener", "orbicularis oculi, pars palpebralis", "eye"),
    ActionUnit(9, "Nose wrinkler", "levator labii superioris alaeque nasi", "nose"),
    ActionUnit(10, "Upper lip raiser", "levator labii superioris", "mouth"),
    ActionUnit(11, "Nasolabial deepener", "zygomaticus minor", "cheek"),
    ActionUnit(12, "Lip corner puller", "zygomaticus major", "mouth"),
    ActionUnit(13, "Sharp lip puller", "levator anguli oris", "mouth"),
    ActionUnit(14, "Dimpler", "buccinator", "mouth"),
    ActionUnit(15, "Lip corner depressor", "depressor anguli oris", "mouth"),
    ActionUnit(16, "Lower lip depressor", "depressor labii inferioris", "mouth"),
    ActionUnit(17, "Chin raiser", "mentalis", "chin"),
    ActionUnit(18, "Lip pucker", "incisivus labii superioris and inferioris", "mouth"),
    ActionUnit(20, "Lip stretcher", "risorius, platysma", "mouth"),
    ActionUnit(22, "Lip funneler", "orbicularis oris", "mouth"),
    ActionUnit(23, "Lip tightener", "orbicularis oris", "mouth"),
    ActionUnit(24, "Lip pressor", "orbicularis oris", "mouth"),
    ActionUnit(25, "Lips part", "depressor labii inferioris, or mentalis relaxed", "mouth"),
    ActionUnit(26, "Jaw drop", "masseter, temporalis and medial pterygoid relaxed", "jaw"),
    ActionUnit(27, "Mouth stretch", "pterygoids, digastric", "jaw"),
    ActionUnit(28, "Lip suck", "orbicularis oris", "mouth"),
    ActionUnit(43, "Eyes closed", "levator palpebrae superioris relaxed", "eye"),
    ActionUnit(45, "Blink", "levator palpebrae relaxed, orbicularis oculi", "eye"),
)

ACTION_UNITS = {unit.number: unit for unit in _TABLE}
"""dict of int to ActionUnit: every action unit that the package knows, by FACS number."""

BP4D_AUS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
"""The 12 action units scored on BP4D (Zhang et al., 2014), in the papers' order."""

DISFA_AUS = (1, 2, 4, 6, 9, 12, 25, 26)
"""The 8 action units scored on DISFA (Mavadati et al., 2013), in the papers' order."""


def validate_action_units(action_units):
    """Returns action units as a tuple of int, or raises.

    Args:
        action_units: Iterable of FACS numbers.

    Returns:
        Tuple of int in the same order.

    Raises:
        ValueError: If there is none, one is not in `ACTION_UNITS`, or one comes twice.
    """
    units = tuple(action_units)
    if not units:
        raise ValueError(f"`action_units` must name at least one action unit. Received: {units}")
    unknown = [unit for unit in units if unit not in ACTION_UNITS]
    if unknown:
        raise ValueError(
            f"`action_units` must be among {sorted(ACTION_UNITS)}. Received: {unknown}"
        )
    if len(set(units)) != len(units):
        raise ValueError(f"`action_units` must not name one twice. Received: {units}")
    return tuple(int(unit) for unit in units)
