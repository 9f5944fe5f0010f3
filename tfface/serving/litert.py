"""A restoration model for phones and small boards: LiteRT (TFLite), float32 or float16.

Keras' own `model.export(format="litert")` allows TensorFlow's full operator set (SELECT_TF_OPS),
which phones do not carry, and names the signature and its inputs after the network's internals. So
the conversion is done here, along the same way (ExportArchive, SavedModel, converter), with
LiteRT's own operators only and the signature of `signatures.py`.
"""

import json
import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfface.atomic import written_aside
from tfface.serving.signatures import in_float32, restoration_shape, restore_function

PRECISIONS = ("float32", "float16")
SIGNATURE = "restore"


def export_litert(model, path, precision="float32"):
    """Writes a restoration model as a LiteRT file, with a `.json` beside it that describes it.

    The file has one signature, `restore`, for one face at a time: `image` (1, h, h, 3) in [0, 1]
    and `mask` (1, h, h, 1), 1 where hidden, to `restored` (1, H, H, 3) in [0, 1], all float32.

    Args:
        model: The generator, keras.Model of (B, h, h, 3 or 4) -> (B, H, H, 3) in [0, 1].
        path: The file to write, ending in `.tflite`; it appears whole or not at all.
        precision: "float32", or "float16": weights stored in half the space; a CPU widens them and
            computes in float32, a GPU delegate computes in float16.

    Returns:
        The path.

    Raises:
        ValueError: If the model has other inputs or outputs, the ending or the precision is
            another, or the model needs an operator that LiteRT does not have.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: {path}.")
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}. Received: {precision!r}.")
    shape = restoration_shape(model)
    content = _convert(in_float32(model), shape.low_size, precision)
    used = operators(content)
    foreign = [name for name in used if name.startswith("CUSTOM:")]
    if foreign:
        raise ValueError(
            f"`model` must need LiteRT's own operators only. Received: one that needs {foreign}."
        )
    sidecar = {
        "system": "restoration",
        "precision": precision,
        "signature": SIGNATURE,
        "inputs": {
            "image": [1, shape.low_size, shape.low_size, 3],
            "mask": [1, shape.low_size, shape.low_size, 1],
        },
        "outputs": {"restored": [1, shape.size, shape.size, 3]},
        "value_range": [0.0, 1.0],
        "mask_aware": shape.mask_aware,
        "operators": used,
        "bytes": len(content),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    with written_aside(path.with_suffix(".json")) as aside:
        aside.write_text(json.dumps(sidecar, indent=2) + "\n")
    with written_aside(path) as aside:
        aside.write_bytes(content)
    return path


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


def _convert(model, low_size, precision):
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        SIGNATURE,
        restore_function(model),
        input_signature=[
            tf.TensorSpec((1, low_size, low_size, 3), tf.float32, name="image"),
            tf.TensorSpec((1, low_size, low_size, 1), tf.float32, name="mask"),
        ],
    )
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except Exception as error:  # the converter's own class is not public
            if "op" not in str(error):
                raise
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"`model` must need LiteRT's own operators only. Received: {reason}."
            ) from error
