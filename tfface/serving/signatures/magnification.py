"""What an exported magnification model computes: weak faces' peaks, and both faces' classes."""

import tensorflow as tf

from tfface.magnification.networks import ExpressionMagnifier
from tfface.serving.pictures import ERROR, decode_faces, encode_faces, middle, with_error
from tfface.serving.servable import Endpoint, LiteSignature, Servable, in_float32


def magnification_servable(model):
    """What a magnifier offers when it is exported.

    `serving_default` takes and gives files, `magnify` float arrays; LiteRT's `magnify` takes one
    face at a time. The labels are the classes' names.

    Args:
        model: ExpressionMagnifier.

    Returns:
        Servable.

    Raises:
        ValueError: If the model is of another kind.
    """
    if not isinstance(model, ExpressionMagnifier):
        raise ValueError(
            f"`model` must be an ExpressionMagnifier. Received: {type(model).__name__}."
        )
    model = in_float32(model)
    size, aligned_size, count = model.size, model.aligned_size, len(model.classes)

    def magnify(image):
        found = model(image, training=False)
        return {
            "magnified": found["magnified"],
            "heat_map": found["heat_map"],
            "probabilities_before": tf.nn.softmax(found["logits_before"]),
            "probabilities_after": tf.nn.softmax(found["logits_after"]),
        }

    def serve(image_bytes):
        faces, error = decode_faces(image_bytes, aligned_size)
        answer = magnify(middle(faces, size))
        return with_error({"magnified_bytes": encode_faces(answer["magnified"]), **answer}, error)

    outputs = {
        "magnified": f"float32 (B, {size}, {size}, 3)",
        "heat_map": f"float32 (B, {size}, {size}), sum over colors of the squared change",
        "probabilities_before": f"float32 (B, {count}), of the face, in the labels' order",
        "probabilities_after": f"float32 (B, {count}), of the magnified face",
    }
    return Servable(
        system="magnification",
        model=model,
        endpoints={
            "serving_default": Endpoint(
                serve,
                (tf.TensorSpec((None,), tf.string, name="image_bytes"),),
                {"image_bytes": "string (B,), JPEG or PNG files of aligned faces"},
                {"magnified_bytes": "string (B,), PNG files", **outputs, **ERROR},
            ),
            "magnify": Endpoint(
                magnify,
                (tf.TensorSpec((None, size, size, 3), tf.float32, name="image"),),
                {
                    "image": f"float32 (B, {size}, {size}, 3), the middle of aligned faces of "
                    f"{aligned_size}x{aligned_size}"
                },
                outputs,
            ),
        },
        lite=LiteSignature(
            "magnify", magnify, (tf.TensorSpec((1, size, size, 3), tf.float32, name="image"),)
        ),
        facts={"size": size, "aligned_size": aligned_size, "value_range": [0.0, 1.0]},
        labels=model.classes,
        about="Turns a weak expression into its peak, and reads the class off both faces.",
        limits=("The magnified face is what the model expects, not what somebody feels.",),
    )
