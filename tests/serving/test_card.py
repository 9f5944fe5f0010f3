import json

import pytest

from tfface.serving.card import DRAWN_LIMIT, LIMITS, card_text


@pytest.mark.parametrize(
    ("run", "drawn", "weights"),
    [
        (None, False, "Whatever the terms of their training data allow."),
        ({"training": {"dataset": "bp4d"}}, False, "Whatever the terms of bp4d allow."),
        ({"training": {"dataset": "synthetic_faces/frames"}}, True, "Apache-2.0"),
    ],
)
def test_limits_and_license_follow_the_data(servable, run, drawn, weights):
    card = json.loads(card_text(servable, run))
    assert card["about"] == "Restores a face of 16x16 pixels at 128x128."
    assert set(servable.limits) | set(LIMITS) <= set(card["limits"])
    assert (DRAWN_LIMIT in card["limits"]) == drawn
    assert card["license"] == {"code": "Apache-2.0", "weights": weights}


def test_data_and_figures_of_the_run_are_on_it(servable):
    training = {"dataset": "disfa", "metrics": {"psnr": 20.5}}
    card = json.loads(card_text(servable, {"run": "runs/a", "training": training}))
    assert (card["run"], card["training"]) == ("runs/a", training)
