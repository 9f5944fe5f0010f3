"""The systems that can be exported: where a run keeps each one's network, and what serves it.

A system `<name>` needs its line here and a function `<name>_servable` in `signatures/<name>.py`.
Both are found by its name when they are asked for, so that `tfface export --help` answers without
TensorFlow.
"""

import importlib

NETWORKS = {
    "restoration": "generator.keras",
    "recognition": "recognizer.keras",
    "magnification": "magnifier.keras",
    "synthesis": "generator.keras",
    "regeneration": "regenerator.keras",
}
"""dict of str to str: every system that can be exported, and the file in a run's folder that holds
the network to export."""


def load_servable(system, model):
    """A run's network, ready for export.

    Args:
        system: One of `NETWORKS`.
        model: Path of the network's `.keras` file.

    Returns:
        Servable.

    Raises:
        ValueError: If the file is no Keras model, or not one that the system exports.
    """
    return make_servable(system, load_network(system, model))


def make_servable(system, network):
    """What a system's network offers.

    Args:
        system: One of `NETWORKS`.
        network: keras.Model.

    Returns:
        Servable.

    Raises:
        ValueError: If the network is not one that the system exports.
    """
    signatures = importlib.import_module(f"tfface.serving.signatures.{system}")
    return getattr(signatures, f"{system}_servable")(network)


def load_network(system, model):
    """The network that a system exports, from its `.keras` file.

    Args:
        system: One of `NETWORKS`.
        model: Path of the file, as a training run writes it.

    Returns:
        keras.Model, not compiled.

    Raises:
        ValueError: If the file is no Keras model.
    """
    import keras

    # A .keras file finds its class by registration.
    importlib.import_module(f"tfface.{system}.networks")
    try:
        return keras.saving.load_model(model, compile=False)
    except Exception as error:  # a file that is no model fails in many ways
        player = NETWORKS[system].removesuffix(".keras")
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"`model` must be a {system} {player}'s .keras file. Received: {model} ({reason})."
        ) from error
