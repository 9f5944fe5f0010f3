"""Any system's model in the folders that TensorFlow Serving reads, each whole or not there."""

import re
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from tfface.atomic import alone_in, written_aside
from tfface.serving.card import MODEL_CARD, card_text
from tfface.serving.warmup import write_warmup

LABELS = "labels.txt"

# How `written_aside` names what a killed export leaves of a version.
_UNFINISHED = re.compile(r"\.\d+\.\w+")


def export_savedmodel(servable, directory, card=None):
    """Writes the next version of a model.

    The version is written to a hidden folder beside its place and renamed when it is whole, so that
    a server that watches `directory` never loads half a model. What a killed export left behind is
    removed by the next one. The SavedModel needs TensorFlow alone to run, neither tfface nor Keras.

    Beside the model lie its `model_card.json`, where its outputs have labels `labels.txt`, and the
    server's warm-up requests.

    Args:
        servable: Servable, as `signatures/` makes it of a system's network.
        directory: Folder of the system's versions, such as `savedmodels/restoration`; made if it is
            not there.
        card: What else a user of the model should know (data set, figures ...), as
            `card.card_text` takes it.

    Returns:
        Path of the new version's folder. Its number is one above the highest that is there.

    Raises:
        ValueError: If `card` is not JSON-ready.
        OSError: If `directory` cannot be written to; nothing is left behind.
    """
    directory = Path(directory)
    text = card_text(servable, card)
    with alone_in(directory):  # the number is free, and what lies unfinished is nobody's
        for stale in directory.glob(".*"):
            if _UNFINISHED.fullmatch(stale.name):
                shutil.rmtree(stale)
        version = directory / str(max(versions(directory), default=0) + 1)
        with written_aside(version) as unfinished:
            try:
                _write_signatures(servable, unfinished)
                write_warmup(servable, unfinished)
            except tf.errors.OpError as error:
                # TensorFlow has errors of its own for a full or read-only folder.
                reason = (error.message or "").splitlines() or [type(error).__name__]
                raise OSError(f"{directory}: the model cannot be written ({reason[0]})") from error
            (unfinished / MODEL_CARD).write_text(text)
            if servable.labels:
                (unfinished / LABELS).write_text(servable.labels_text())
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


def find_model(path):
    """What a path that names a model leads to.

    Args:
        path: A `.keras` file, a SavedModel's folder, or a folder of its versions, of which the
            newest is taken.

    Returns:
        Path of the `.keras` file or of the SavedModel's folder.

    Raises:
        ValueError: If there is no such thing.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".keras":
        return path
    if path.is_dir():
        folder = path if (path / "saved_model.pb").is_file() else newest_version(path)
        if folder is not None:
            return folder
    raise ValueError(
        "`model` must be a .keras file, a SavedModel's folder or a folder of its versions. "
        f"Received: {path}{'' if path.exists() else ', which is not there'}."
    )


def _write_signatures(servable, folder):
    # Keras finds the weights in the endpoints; told of the model as well (`track`), it writes each
    # of them twice.
    archive = keras.export.ExportArchive()
    for name, endpoint in servable.endpoints.items():
        archive.add_endpoint(name, endpoint.function, input_signature=list(endpoint.specs))
    archive.write_out(folder, verbose=False)
