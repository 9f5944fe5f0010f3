"""A restoration model in the folders that TensorFlow Serving reads, each whole or not there."""

import datetime
import importlib.metadata
import json
import re
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from tfface.atomic import alone_in, written_aside
from tfface.serving.signatures import (
    in_float32,
    restoration_shape,
    restore_bytes_function,
    restore_function,
)

MODEL_CARD = "model_card.json"

# How `written_aside` names what a killed export leaves of a version.
_UNFINISHED = re.compile(r"\.\d+\.\w+")


def export_savedmodel(model, directory, card=None):
    """Writes the next version of a restoration model.

    The version is written to a hidden folder beside its place and renamed when it is whole, so that
    a server that watches `directory` never loads half a model. What a killed export left behind is
    removed by the next one. The SavedModel needs TensorFlow alone to run, neither tfface nor Keras.

    Signatures: `serving_default` takes encoded pictures (`image_bytes`), `restore` takes float
    arrays (`image`, `mask`); `signatures.py` says what they compute.

    Args:
        model: The generator, keras.Model of (B, h, h, 3 or 4) -> (B, H, H, 3) in [0, 1].
        directory: Folder of the system's versions, such as `savedmodels/restoration`; made if it is
            not there.
        card: What else a user of the model should know (data set, figures ...), JSON-ready; it
            joins the sizes, signatures and versions in the model's `model_card.json`.

    Returns:
        Path of the new version's folder. Its number is one above the highest that is there.

    Raises:
        ValueError: If the model has other inputs or outputs, or `card` is not JSON-ready.
        OSError: If `directory` cannot be written to; nothing is left behind.
    """
    directory = Path(directory)
    shape = restoration_shape(model)
    text = _card_text(model, shape, card)
    with alone_in(directory):  # the number is free, and what lies unfinished is nobody's
        for stale in directory.glob(".*"):
            if _UNFINISHED.fullmatch(stale.name):
                shutil.rmtree(stale)
        version = directory / str(max(versions(directory), default=0) + 1)
        with written_aside(version) as unfinished:
            try:
                _write_signatures(in_float32(model), shape, unfinished)
            except tf.errors.OpError as error:
                # TensorFlow has errors of its own for a full or read-only folder.
                reason = (error.message or "").splitlines() or [type(error).__name__]
                raise OSError(f"{directory}: the model cannot be written ({reason[0]})") from error
            (unfinished / MODEL_CARD).write_text(text)
    return version


def versions(directory):
    """Numbers of the versions in a system's folder, ascending; none if the folder is not there."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal())


def newest_version(directory):
    """Folder of the newest version that holds a SavedModel, or None if there is none."""
    for version in reversed(versions(directory)):
        folder = Path(directory) / str(version)
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def _write_signatures(model, shape, folder):
    low = (None, shape.low_size, shape.low_size)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        restore_bytes_function(model),
        input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")],
    )
    archive.add_endpoint(
        "restore",
        restore_function(model),
        input_signature=[
            tf.TensorSpec((*low, 3), tf.float32, name="image"),
            tf.TensorSpec((*low, 1), tf.float32, name="mask"),
        ],
    )
    archive.write_out(folder, verbose=False)


def _card_text(model, shape, card):
    facts = {
        "system": "restoration",
        "low_size": shape.low_size,
        "size": shape.size,
        "mask_aware": shape.mask_aware,
        "value_range": [0.0, 1.0],
        "parameters": model.count_params(),
        "signatures": {
            "serving_default": {
                "inputs": {"image_bytes": "string (B,), JPEG or PNG files of aligned faces"},
                "outputs": {
                    "restored_bytes": "string (B,), PNG files",
                    "restored": f"float32 (B, {shape.size}, {shape.size}, 3)",
                },
            },
            "restore": {
                "inputs": {
                    "image": f"float32 (B, {shape.low_size}, {shape.low_size}, 3)",
                    "mask": f"float32 (B, {shape.low_size}, {shape.low_size}, 1), 1 hidden",
                },
                "outputs": {"restored": f"float32 (B, {shape.size}, {shape.size}, 3)"},
            },
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__, **_own_version()},
    }
    try:
        return json.dumps({**(card or {}), **facts}, indent=2) + "\n"
    except TypeError as error:
        raise ValueError(f"`card` must be JSON-ready. Received: {card!r}.") from error


def _own_version():
    try:
        return {"tfface": importlib.metadata.version("tfface")}
    except importlib.metadata.PackageNotFoundError:  # runs from a checkout that is not installed
        return {}
