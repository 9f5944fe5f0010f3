"""What an exported synthesis model computes: faces whose action units were switched as asked."""

import tensorflow as tf

from tfface.facs.action_units import ACTION_UNITS
from tfface.facs.landmarks import N_POINTS
from tfface.serving.pictures import ERROR, decode_faces, encode_faces, with_error
from tfface.serving.servable import Endpoint, LiteSignature, Servable, in_float32
from tfface.synthesis.networks import LACGenerator


def synthesis_servable(model):
    """What a generator offers when it is exported.

    `serving_default` takes and gives files, `edit` float arrays; both place the action units (AUs)
    where the mean face has them, since faces are aligned. `edit_at`, LiteRT's too, also takes
    landmarks. The labels are the AUs.

    Args:
        model: LACGenerator.

    Returns:
        Servable.

    Raises:
        ValueError: If the model is of another kind.
    """
    if not isinstance(model, LACGenerator):
        raise ValueError(f"`model` must be a LACGenerator. Received: {type(model).__name__}.")
    model = in_float32(model)
    size, count = model.size, len(model.action_units)

    def edit_at(image, values, landmarks):
        return {"edited": model([image, tf.minimum(values, 1.0), landmarks], training=False)}

    def edit(image, values):
        unknown = tf.fill((tf.shape(image)[0], N_POINTS, 2), float("nan"))
        return edit_at(image, values, unknown)

    def serve(image_bytes, values):
        faces, error = decode_faces(image_bytes, size)
        answer = edit(faces, values)
        return with_error({"edited_bytes": encode_faces(answer["edited"]), **answer}, error)

    def specs(batch):
        return {
            "image": tf.TensorSpec((batch, size, size, 3), tf.float32, name="image"),
            "values": tf.TensorSpec((batch, count), tf.float32, name="values"),
            "landmarks": tf.TensorSpec((batch, N_POINTS, 2), tf.float32, name="landmarks"),
        }

    inputs = {
        "image": f"float32 (B, {size}, {size}, 3), aligned faces",
        "values": f"float32 (B, {count}), what each AU shall be, in the labels' order: 0 absent to "
        "1 present; NaN or below 0: it stays; above 1 counts as 1",
        "landmarks": f"float32 (B, {N_POINTS}, 2), (x, y) in pixels of the face, NaN where unknown",
    }
    files = {"image_bytes": "string (B,), JPEG or PNG files of aligned faces"}
    outputs = {"edited": f"float32 (B, {size}, {size}, 3); unasked regions as they came"}
    named, file_spec = specs(None), tf.TensorSpec((None,), tf.string, name="image_bytes")
    return Servable(
        system="synthesis",
        model=model,
        endpoints={
            "serving_default": Endpoint(
                serve,
                (file_spec, named["values"]),
                {**files, "values": inputs["values"]},
                {"edited_bytes": "string (B,), PNG files", **outputs, **ERROR},
            ),
            "edit": Endpoint(
                edit,
                (named["image"], named["values"]),
                {name: inputs[name] for name in ("image", "values")},
                outputs,
            ),
            "edit_at": Endpoint(edit_at, tuple(named.values()), inputs, outputs),
        },
        lite=LiteSignature("edit_at", edit_at, tuple(specs(1).values()), exact=True),
        facts={"action_units": list(model.action_units), "size": size, "value_range": [0.0, 1.0]},
        labels=tuple(f"AU{n:02d} {ACTION_UNITS[n].name}" for n in model.action_units),
        about=f"Switches {count} action units of a face on or off and leaves the rest as it is.",
        limits=("The edited faces are invented: nobody looked so.",),
    )
