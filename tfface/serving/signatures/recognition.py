"""What an exported recognition model computes: the action units of aligned faces."""

import tensorflow as tf

from tfface.facs.action_units import ACTION_UNITS, validate_action_units
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.serving.pictures import ERROR, decode_faces, with_error
from tfface.serving.servable import Endpoint, LiteSignature, Servable, in_float32

THRESHOLD = 0.5
"""Probability from which on an action unit counts as present, as in the paper's tables."""


def recognition_servable(model):
    """What a recognizer offers when it is exported.

    `serving_default` takes files, `recognize` float arrays, LiteRT's `recognize` one face at a
    time; all answer with `probabilities`, the first two with the decision `present` too.

    Args:
        model: ActionUnitRecognizer.

    Returns:
        Servable.

    Raises:
        ValueError: If the model is of another kind, or knows an action unit that FACS does not.
    """
    if not isinstance(model, ActionUnitRecognizer):
        raise ValueError(
            f"`model` must be an ActionUnitRecognizer. Received: {type(model).__name__}."
        )
    action_units = validate_action_units(model.action_units)
    size = model.size
    model = in_float32(model)

    def estimate(image):
        return {"probabilities": tf.sigmoid(model(image, training=False))}

    def recognize(image):
        probabilities = estimate(image)["probabilities"]
        return {"probabilities": probabilities, "present": probabilities >= THRESHOLD}

    def serve(image_bytes):
        faces, error = decode_faces(image_bytes, size)
        return with_error(recognize(faces), error)

    outputs = {
        "probabilities": f"float32 (B, {len(action_units)}), in [0, 1], in the labels' order",
        "present": f"bool (B, {len(action_units)}), probability at least {THRESHOLD}",
    }
    return Servable(
        system="recognition",
        model=model,
        endpoints={
            "serving_default": Endpoint(
                serve,
                (tf.TensorSpec((None,), tf.string, name="image_bytes"),),
                {"image_bytes": "string (B,), JPEG or PNG files of aligned faces"},
                {**outputs, **ERROR},
            ),
            "recognize": Endpoint(
                recognize,
                (tf.TensorSpec((None, size, size, 3), tf.float32, name="image"),),
                {"image": f"float32 (B, {size}, {size}, 3), aligned faces"},
                outputs,
            ),
        },
        lite=LiteSignature(
            "recognize",
            estimate,
            (tf.TensorSpec((1, size, size, 3), tf.float32, name="image"),),
        ),
        facts={
            "action_units": list(action_units),
            "size": size,
            "threshold": THRESHOLD,
            "value_range": [0.0, 1.0],
        },
        labels=tuple(f"AU{number:02d} {ACTION_UNITS[number].name}" for number in action_units),
        about=f"Tells which of {len(action_units)} action units an aligned face shows.",
        limits=(
            "An action unit is a movement of the face, not a feeling or an intention.",
            "The probabilities are not calibrated.",
        ),
    )
