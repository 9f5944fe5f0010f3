"""Any system's model for phones and small boards: LiteRT (TFLite), in floats or in 8 bits.

Keras' own `model.export(format="litert")` allows TensorFlow's full operator set (SELECT_TF_OPS),
which phones do not carry, and names the signature and its inputs after the network's internals. So
the conversion is done here, along the same way (ExportArchive, SavedModel, converter), with
LiteRT's own operators only and the signature that the system's servable names.

**Precisions.** "float32" is the network as it is. "float16" stores weights in half the space; a CPU
widens them and computes in float32, a GPU delegate computes in float16. "int8_dynamic" stores the
weights of layers in 8 bits and computes these layers in 8 bits too, each time with the range that
its input happens to have. "int8" has a fixed range for every tensor, found on real faces
(`calibration.py`), so that activations stay in 8 bits from layer to layer. Inputs and outputs are
float32 in all of them, so that whoever calls one can call the others.
"""

import contextlib
import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfface.atomic import written_aside

PRECISIONS = ("float32", "float16", "int8_dynamic", "int8")

WEIGHTED = ("BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
"""Operators of layers with weights, where a network's size and its work are."""


@dataclass(frozen=True)
class LiteArchive:
    """A SavedModel of a LiteRT signature alone, which every precision is converted from.

    Args:
        folder: Where it lies.
        outputs: Name to tf.TensorSpec.
    """

    folder: str
    outputs: dict


@contextlib.contextmanager
def lite_archive(servable):
    """Writes a servable's LiteArchive, which takes longer than to convert it; gone at the end."""
    archive = keras.export.ExportArchive()
    function = archive.add_endpoint(
        servable.lite.name, servable.lite.function, input_signature=list(servable.lite.specs)
    )
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        yield LiteArchive(folder, function.get_concrete_function().structured_outputs)


def export_litert(servable, path, precision="float32", calibration=None, archive=None):
    """Writes a model as a LiteRT file, with a `.json` beside it that describes it.

    The file has one signature, the servable's `lite`, for one face at a time. Where its outputs
    have labels they lie beside it too, in `<name>_labels.txt`.

    Args:
        servable: Servable, as `signatures/` makes it of a system's network.
        path: The file to write, ending in `.tflite`; it appears whole or not at all, after what
            describes it.
        precision: One of `PRECISIONS`.
        calibration: Calibration, for "int8" alone.
        archive: The servable's LiteArchive, where several precisions are written; None makes one.

    Returns:
        The path.

    Raises:
        ValueError: If the ending or the precision is another, "int8" comes without a face to
            calibrate it or another precision with one, or the model needs an operator that LiteRT
            does not have.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: {path}.")
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {PRECISIONS}. Received: {precision!r}.")
    if (precision == "int8") != bool(calibration and calibration.inputs):
        raise ValueError(
            "`calibration` must hold faces for int8, and be None for another precision. "
            f"Received: {calibration and len(calibration.inputs)} for {precision}."
        )
    with contextlib.nullcontext(archive) if archive else lite_archive(servable) as archive:
        content = _convert(servable.lite, archive, precision, calibration)
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
        "outputs": {name: spec.shape.as_list() for name, spec in archive.outputs.items()},
        "operators": used,
        **_of_int8(content, calibration),
        "bytes": len(content),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    _write(path.with_suffix(".json"), (json.dumps(sidecar, indent=2) + "\n").encode())
    if servable.labels:
        _write(path.with_name(f"{path.stem}_labels.txt"), servable.labels_text().encode())
    _write(path, content)
    return path


def _of_int8(content, calibration):
    """What the description of a full int8 file says beside that of others."""
    if calibration is None:
        return {}
    return {"float_operators": float_operators(content), "calibration": calibration.facts}


def _write(path, content):
    with written_aside(path) as aside:
        aside.write_bytes(content)


def operators(content):
    """Names of the operators that a LiteRT file uses, sorted; foreign ones read `CUSTOM:<name>`.

    Args:
        content: The file's bytes.
    """
    model = schema.Model.GetRootAs(content, 0)
    return sorted({_name(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())})


def float_operators(content):
    """Names of the operators that compute in floats, sorted: those without a kernel of 8 bits.

    Args:
        content: The bytes of a full int8 file.
    """
    model = schema.Model.GetRootAs(content, 0)
    found = set()
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            tensors = {*operator.InputsAsNumpy(), *operator.OutputsAsNumpy()} - {-1}  # -1: no bias
            if schema.TensorType.FLOAT32 in {graph.Tensors(i).Type() for i in tensors}:
                found.add(_name(model.OperatorCodes(operator.OpcodeIndex())))
    return sorted(found - {"QUANTIZE", "DEQUANTIZE"})  # the ways into 8 bits and back


_BUILTIN = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}


def _name(code):
    # Files of before 2020 keep the code in the deprecated field; the larger of the two is meant.
    value = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    custom = value == schema.BuiltinOperator.CUSTOM
    return f"CUSTOM:{code.CustomCode().decode()}" if custom else _BUILTIN[value]


def _convert(signature, archive, precision, calibration):
    """The LiteRT file's bytes."""
    converter = tf.lite.TFLiteConverter.from_saved_model(
        archive.folder, signature_keys=[signature.name]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        if precision == "int8":
            return _in_8_bits(converter, signature, calibration)
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
    except Exception as error:  # the converter's own class is not public
        if "op" not in str(error):
            raise
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"`servable` must need LiteRT's own operators only. Received: {reason}."
        ) from error


def _in_8_bits(converter, signature, calibration):
    """The bytes of a full int8 file; operators that have no kernel of 8 bits stay float."""
    kept = ["CONCATENATION"]
    if signature.exact:
        kept = [name for name in operators(converter.convert()) if name not in WEIGHTED]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        (signature.name, inputs) for inputs in calibration.inputs
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        tf.lite.OpsSet.TFLITE_BUILTINS,
    ]
    with warnings.catch_warnings():
        # What calibrates is TensorFlow's own interpreter, which warns of itself.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        if not signature.exact:
            try:
                return converter.convert()
            except RuntimeError:
                # What is joined must be of one range, and of some networks the converter gives the
                # parts several ("violate the same scale constraint"): then joining stays float.
                pass
        # The one public way to keep operators float; nothing is debugged.
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=converter.representative_dataset,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=kept),
        )
        return debugger.get_nondebug_quantized_model()
