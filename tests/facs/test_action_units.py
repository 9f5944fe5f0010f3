import dataclasses

import numpy as np
import pytest

from tfface.facs.action_units import (
    ACTION_UNITS,
    BP4D_AUS,
    DISFA_AUS,
    validate_action_units,
)


def test_table_holds_every_action_unit_that_the_package_needs():
    needed = {1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26}
    assert needed <= set(ACTION_UNITS)
    assert all(number == unit.number for number, unit in ACTION_UNITS.items())
    assert list(ACTION_UNITS) == sorted(ACTION_UNITS)
    names = [unit.name for unit in ACTION_UNITS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("number", "name", "muscle", "face_part"),
    [
        (1, "Inner brow raiser", "frontalis, pars medialis", "brow"),
        (5, "Upper lid raiser", "levator palpebrae superioris", "eye"),
        (6, "Cheek raiser", "orbicularis oculi, pars orbitalis", "cheek"),
        (12, "Lip corner puller", "zygomaticus major", "mouth"),
        (15, "Lip corner depressor", "depressor anguli oris", "mouth"),
        (17, "Chin raiser", "mentalis", "chin"),
    ],
)
def test_facts_of_the_table(number, name, muscle, face_part):
    assert dataclasses.astuple(ACTION_UNITS[number]) == (number, name, muscle, face_part)


def test_face_parts_are_those_documented():
    parts = {unit.face_part for unit in ACTION_UNITS.values()}
    assert parts == {"brow", "eye", "cheek", "nose", "mouth", "chin", "jaw"}


def test_scored_action_units_of_the_data_sets():
    assert BP4D_AUS == (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
    assert DISFA_AUS == (1, 2, 4, 6, 9, 12, 25, 26)


def test_an_action_unit_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ACTION_UNITS[1].name = "other"


def test_validate_keeps_order_and_gives_plain_integers():
    units = validate_action_units(np.array([12, 6]))
    assert units == (12, 6)
    assert all(type(unit) is int for unit in units)


@pytest.mark.parametrize(
    ("action_units", "message"),
    [
        ((), "at least one.*Received"),
        ((1, 3), r"must be among.*Received: \[3\]"),
        ((1, 2, 1), "twice.*Received"),
    ],
)
def test_validate_rejects(action_units, message):
    with pytest.raises(ValueError, match=message):
        validate_action_units(action_units)
