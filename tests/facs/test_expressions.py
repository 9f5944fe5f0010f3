import pytest

from tfface.facs import expressions
from tfface.facs.action_units import ACTION_UNITS
from tfface.facs.expressions import PROTOTYPES

SIX = {"anger", "disgust", "fear", "happiness", "sadness", "surprise"}


def test_prototypes_are_the_seven_expressions_and_neutral():
    assert set(PROTOTYPES) == SIX | {"contempt", "neutral"}
    assert PROTOTYPES["neutral"] == ()


def test_prototypes_differ_and_hold_known_action_units():
    assert len({frozenset(units) for units in PROTOTYPES.values()}) == len(PROTOTYPES)
    for units in PROTOTYPES.values():
        assert set(units) <= set(ACTION_UNITS)
        assert list(units) == sorted(set(units))


@pytest.mark.parametrize(
    ("expression", "required"),
    [
        # What CK+ demands of a frame before it accepts the label (Lucey et al., 2010, Table 1).
        ("anger", {23}),
        ("contempt", {14}),
        ("disgust", {9}),
        ("fear", {1, 2, 4}),
        ("happiness", {12}),
        ("sadness", {1, 4, 15}),
        ("surprise", {1, 2}),
    ],
)
def test_prototypes_meet_the_criteria_of_ck_plus(expression, required):
    assert required <= set(PROTOTYPES[expression])


def test_label_orders():
    # `*_emotion.txt` counts 1 anger 2 contempt 3 disgust 4 fear 5 happy 6 sadness 7 surprise.
    assert expressions.CK_PLUS_EXPRESSIONS[1 - 1] == "anger"
    assert expressions.CK_PLUS_EXPRESSIONS[2 - 1] == "contempt"
    assert expressions.CK_PLUS_EXPRESSIONS[7 - 1] == "surprise"
    # fer2013.csv counts 0 angry 1 disgust 2 fear 3 happy 4 sad 5 surprise 6 neutral.
    assert expressions.FER2013_EXPRESSIONS[3] == "happiness"
    assert expressions.FER2013_EXPRESSIONS[6] == "neutral"
    # AN DI FE HA NE SA SU.
    assert [name[:2].upper() for name in expressions.BU3DFE_EXPRESSIONS] == [
        *("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    ]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("CK_PLUS", SIX | {"contempt"}),
        ("OULU_CASIA", SIX),
        ("BU3DFE", SIX | {"neutral"}),
        ("BU4DFE", SIX),
        ("FER2013", SIX | {"neutral"}),
    ],
)
def test_classes_of_the_data_sets_have_prototypes(order, names):
    classes = getattr(expressions, f"{order}_EXPRESSIONS")
    assert len(classes) == len(names)
    assert set(classes) == names <= set(PROTOTYPES)


def test_lsemsw_has_thirteen_classes():
    assert len(set(expressions.LSEMSW_EXPRESSIONS)) == 13
