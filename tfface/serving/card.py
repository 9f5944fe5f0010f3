"""What an exported model says of itself: what it is, its data and figures, limits and license."""

import datetime
import importlib.metadata
import json

import keras
import tensorflow as tf

MODEL_CARD = "model_card.json"
"""str: the card's name, beside the model."""

LIMITS = (
    "For one upright face a picture, aligned as in training; nothing was measured of others.",
    "Not for decisions about people.",
)
"""tuple of str: what holds for every system's models."""

DRAWN_LIMIT = "Trained and measured on drawn faces: nothing is known of photographs."
"""str: what holds for those of a data set that tfface draws."""


def card_text(servable, run=None):
    """A model's card.

    Args:
        servable: Servable.
        run: What else a user of the model should know, JSON-ready. Of a training run it has
            `training`, with the name of its data set as `dataset` and its figures as `metrics`.

    Returns:
        JSON text: `run`, and what the servable and this installation say.

    Raises:
        ValueError: If `run` is not JSON-ready.
    """
    run = run or {}
    facts = {
        **servable.all_facts(),
        "about": servable.about,
        "parameters": servable.model.count_params(),
        "signatures": {
            name: {"inputs": endpoint.inputs, "outputs": endpoint.outputs}
            for name, endpoint in servable.endpoints.items()
        },
        **_limits_and_license(servable, run.get("training", {}).get("dataset")),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__, **_own_version()},
    }
    try:
        return json.dumps({**run, **facts}, indent=2) + "\n"
    except TypeError as error:
        raise ValueError(f"`card` must be JSON-ready. Received: {run!r}.") from error


def _limits_and_license(servable, dataset):
    drawn = dataset is not None and dataset.startswith("synthetic_")
    terms = f"Whatever the terms of {dataset or 'their training data'} allow."
    return {
        "limits": [*servable.limits, *LIMITS, *((DRAWN_LIMIT,) if drawn else ())],
        "license": {"code": "Apache-2.0", "weights": "Apache-2.0" if drawn else terms},
    }


def _own_version():
    try:
        return {"tfface": importlib.metadata.version("tfface")}
    except importlib.metadata.PackageNotFoundError:  # runs from a checkout that is not installed
        return {}
