"""What an exported restoration model computes: small, partly hidden faces restored.

SavedModel and LiteRT share one interface: small faces and masks in, restored faces out. The mask is
an input of every model, so that a caller need not know whether the generator inside was trained to
see it.
"""

import dataclasses

import keras
import tensorflow as tf

from tfface.serving.pictures import ERROR, decode_faces, encode_faces, with_error
from tfface.serving.servable import Endpoint, LiteSignature, Servable, in_float32


def restoration_servable(model):
    """What a generator offers when it is exported.

    `serving_default` takes and gives files, `restore` float arrays; LiteRT has `restore` for one
    face at a time.

    Args:
        model: As `restoration_shape` takes it.

    Returns:
        Servable.

    Raises:
        ValueError: If the model has other inputs or outputs.
    """
    shape = restoration_shape(model)
    model = in_float32(model)
    low_size, size = shape.low_size, shape.size
    restore = restore_function(model)
    restored = {"restored": f"float32 (B, {size}, {size}, 3)"}
    return Servable(
        system="restoration",
        model=model,
        endpoints={
            "serving_default": Endpoint(
                restore_bytes_function(model),
                (tf.TensorSpec((None,), tf.string, name="image_bytes"),),
                {"image_bytes": "string (B,), JPEG or PNG files of aligned faces"},
                {"restored_bytes": "string (B,), PNG files", **restored, **ERROR},
            ),
            "restore": Endpoint(
                restore,
                restore_specs(shape),
                {
                    "image": f"float32 (B, {low_size}, {low_size}, 3)",
                    "mask": f"float32 (B, {low_size}, {low_size}, 1), 1 hidden",
                },
                restored,
            ),
        },
        lite=LiteSignature("restore", restore, restore_specs(shape, batch=1)),
        facts={**dataclasses.asdict(shape), "value_range": [0.0, 1.0]},
        about=f"Restores a face of {low_size}x{low_size} pixels at {size}x{size}.",
        limits=("What is restored is likely, not what was there: it proves nothing of anybody.",),
    )


@dataclasses.dataclass(frozen=True)
class RestorationShape:
    """The sizes of a restoration generator.

    Attributes:
        low_size: Side of its input in pixels.
        size: Side of its output in pixels.
        mask_aware: Whether its input has the mask as fourth channel.
    """

    low_size: int
    size: int
    mask_aware: bool


def restoration_shape(model):
    """Reads a generator's sizes off it.

    Args:
        model: keras.Model, (B, h, h, 3 or 4) -> (B, H, H, 3).

    Returns:
        RestorationShape.

    Raises:
        ValueError: If the model has other inputs or outputs.
    """
    rule = "`model` must map (batch, h, h, 3 or 4) to (batch, H, H, 3) with fixed h and H. "
    if not isinstance(model, keras.Model):
        raise ValueError(f"{rule}Received: {type(model).__name__}.")
    inputs, outputs = model.inputs or [], model.outputs or []
    shapes = [tuple(tensor.shape) for tensor in [*inputs, *outputs]]
    received = f"Received: inputs and outputs of shapes {shapes}."
    if len(inputs) != 1 or len(outputs) != 1 or any(len(shape) != 4 for shape in shapes):
        raise ValueError(rule + received)
    (_, height, width, channels), (_, out_height, out_width, colors) = shapes
    square = height == width and out_height == out_width
    if not square or None in (height, out_height) or channels not in (3, 4) or colors != 3:
        raise ValueError(rule + received)
    return RestorationShape(height, out_height, channels == 4)


def restore_function(model):
    """The arrays' signature of a generator.

    Args:
        model: As `restoration_shape` takes it.

    Returns:
        Function of `image` (B, h, h, 3) in [0, 1] and `mask` (B, h, h, 1), 1 where hidden, to
        `{"restored": (B, H, H, 3)}` in [0, 1]. Hidden pixels are set to 0, whatever they hold.
    """
    mask_aware = restoration_shape(model).mask_aware

    def restore(image, mask):
        low = image * (1.0 - mask)
        if mask_aware:
            low = tf.concat([low, mask], axis=-1)
        return {"restored": tf.cast(model(low, training=False), tf.float32)}

    return restore


def restore_specs(shape, batch=None):
    """The inputs of `restore_function`.

    Args:
        shape: The generator's RestorationShape.
        batch: Faces at once; None is any number.

    Returns:
        tuple of tf.TensorSpec.
    """
    low = (batch, shape.low_size, shape.low_size)
    return (
        tf.TensorSpec((*low, 3), tf.float32, name="image"),
        tf.TensorSpec((*low, 1), tf.float32, name="mask"),
    )


def restore_bytes_function(model):
    """The files' signature of a generator.

    Args:
        model: As `restoration_shape` takes it.

    Returns:
        Function of `image_bytes`, (B,) strings, each a JPEG or PNG file of one aligned face of any
        size, to `{"restored": (B, H, H, 3) in [0, 1], "restored_bytes": (B,) strings, PNG files,
        "error": (B,) strings}`. Nothing is hidden.
    """
    low_size = restoration_shape(model).low_size
    restore = restore_function(model)

    def serve(image_bytes):
        low, error = decode_faces(image_bytes, low_size)
        restored = restore(low, tf.zeros_like(low[..., :1]))["restored"]
        return with_error({"restored": restored, "restored_bytes": encode_faces(restored)}, error)

    return serve
