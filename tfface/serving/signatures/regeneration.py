"""What an exported regeneration model computes: a face's expressions, distances and class."""

import tensorflow as tf

from tfface.data.augmentation import to_gray
from tfface.regeneration.networks import ExpressionRegenerator
from tfface.serving.pictures import ERROR, decode_faces, encode_faces, middle, with_error
from tfface.serving.servable import Endpoint, LiteSignature, Servable, in_float32


def regeneration_servable(model):
    """What a regenerator offers when it is exported.

    `serving_default` takes and gives files, `regenerate` float arrays; LiteRT's `regenerate` takes
    one face at a time. Pictures are RGB on both sides, whatever the networks take. The labels are
    the classes' names.

    Args:
        model: ExpressionRegenerator.

    Returns:
        Servable.

    Raises:
        ValueError: If the model is of another kind.
    """
    if not isinstance(model, ExpressionRegenerator):
        raise ValueError(
            f"`model` must be an ExpressionRegenerator. Received: {type(model).__name__}."
        )
    model = in_float32(model)
    size, aligned_size, count = model.size, model.aligned_size, len(model.classes)

    def regenerate(image):
        found = model(to_gray(image) if model.channels == 1 else image, training=False)
        regenerated = found["regenerated"]
        if model.channels == 1:
            regenerated = tf.concat([regenerated] * 3, axis=-1)
        return {
            "regenerated": regenerated,
            "distances": found["distances"],
            # Eq. 8; Keras' own `argmin` needs an operator that LiteRT lacks.
            "class_id": tf.argmin(found["distances"], axis=-1, output_type=tf.int32),
            "probabilities": tf.nn.softmax(found["logits"]),
        }

    def serve(image_bytes):
        faces, error = decode_faces(image_bytes, aligned_size)
        answer = regenerate(middle(faces, size))
        files = encode_faces(tf.reshape(answer["regenerated"], (-1, size, size, 3)))
        files = tf.reshape(files, (-1, count))
        return with_error({"regenerated_bytes": files, **answer}, error)

    outputs = {
        "regenerated": f"float32 (B, {count}, {size}, {size}, 3), in the labels' order",
        "distances": f"float32 (B, {count}), of the face's features to each one's",
        "class_id": "int32 (B,), the nearest: a number in the labels' order, from 0",
        "probabilities": f"float32 (B, {count}), the CNN's own of the face as it is",
    }
    return Servable(
        system="regeneration",
        model=model,
        endpoints={
            "serving_default": Endpoint(
                serve,
                (tf.TensorSpec((None,), tf.string, name="image_bytes"),),
                {"image_bytes": "string (B,), JPEG or PNG files of aligned faces"},
                {"regenerated_bytes": f"string (B, {count}), PNG files", **outputs, **ERROR},
            ),
            "regenerate": Endpoint(
                regenerate,
                (tf.TensorSpec((None, size, size, 3), tf.float32, name="image"),),
                {
                    "image": f"float32 (B, {size}, {size}, 3), the middle of aligned faces of "
                    f"{aligned_size}x{aligned_size}"
                },
                outputs,
            ),
        },
        lite=LiteSignature(
            "regenerate", regenerate, (tf.TensorSpec((1, size, size, 3), tf.float32, name="image"),)
        ),
        facts={"size": size, "aligned_size": aligned_size, "value_range": [0.0, 1.0]},
        labels=model.classes,
        about="Draws a face with each expression, and classifies it by the nearest of them.",
        limits=("The drawn faces are invented: nobody looked so.",),
    )
