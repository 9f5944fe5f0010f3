"""Any system's model for phones and small boards: LiteRT (TFLite), float32 or float16.

Keras' own `model.export(format="litert")` allows TensorFlow's full operator set (SELECT_TF_OPS),
which phones do not carry, and names the signature and its inputs after the network's internals. So
the conversion is done here, along the same way (ExportArchive, SavedModel, converter), with
LiteRT's own operators only and the signature that the system's servable names.
"""

import json
import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfface.atomic import written_aside

PRECISIONS = ("float32", "float16")


def export_litert(servable, path, precision="float32"):
    """Writes a model as a LiteRT file, with a `.json` beside it that describes it.

    The file has one signature, the servable's `lite`, for one face at a time. Where its outputs
    have labels they lie beside it too, in `<name>_labels.txt`.

    Args:
        servable: Servable, as `signatures/` makes it of a system's network.
        path: The file to write, ending in `.tflite`; it appears whole or not at all, after what
            describes it.
        precision: "float32", or "float16": weights stored in half the space; a CPU widens them and
            computes in float32, a GPU delegate computes in float16.

    Returns:
        The path.

    Raises:
        ValueError: If the ending or the precision is another, or the model needs an operator that
            LiteRT does not have.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: {path}.")
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}. Received: {precision!r}.")
    content, outputs = _convert(servable, precision)
    used = operators(content)
    foreign = [name for name in used if name.startswith("CUSTOM:")]
    if foreign:
        raise ValueError(
            f"`servable` must need LiteRT's own operators only. Received: one that needs {foreign}."
        )
    sidecar = {
        **servable.all_facts(),
        "precision": precision,
        "signature": servable.lite.name,
        "inputs": {spec.name: spec.shape.as_list() for spec in servable.lite.specs},
        "outputs": {name: spec.shape.as_list() for name, spec in outputs.items()},
        "operators": used,
        "bytes": len(content),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    _write(path.with_suffix(".json"), (json.dumps(sidecar, indent=2) + "\n").encode())
    if servable.labels:
        _write(path.with_name(f"{path.stem}_labels.txt"), servable.labels_text().encode())
    _write(path, content)
    return path


def _write(path, content):
    with written_aside(path) as aside:
        aside.write_bytes(content)


def operators(content):
    """Names of the operators that a LiteRT file uses, sorted; foreign ones read `CUSTOM:<name>`.

    Args:
        content: The file's bytes.
    """
    names = {
        value: name
        for name, value in vars(schema.BuiltinOperator).items()
        if not name.startswith("_")
    }
    model = schema.Model.GetRootAs(content, 0)
    used = set()
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        # Files of before 2020 keep the code in the deprecated field; the larger of the two is
        # meant.
        value = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = value == schema.BuiltinOperator.CUSTOM
        used.add(f"CUSTOM:{code.CustomCode().decode()}" if custom else names[value])
    return sorted(used)


def _convert(servable, precision):
    """The LiteRT file's bytes, and its outputs: name to tf.TensorSpec."""
    name = servable.lite.name
    archive = keras.export.ExportArchive()
    archive.track(servable.model)
    function = archive.add_endpoint(
        name, servable.lite.function, input_signature=list(servable.lite.specs)
    )
    outputs = function.get_concrete_function().structured_outputs
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert(), outputs
        except Exception as error:  # the converter's own class is not public
            if "op" not in str(error):
                raise
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"`servable` must need LiteRT's own operators only. Received: {reason}."
            ) from error
