"""What one exported model offers, whatever the system: the one thing that every export takes.

`signatures/<system>.py` makes a `Servable` of a system's network; `savedmodel.py` and `litert.py`
write any of them. What systems share on the way from a picture's file to a network is here too.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from tfface.network import Network


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One signature of a SavedModel.

    Attributes:
        function: From tensors, one a spec and in their order, to a dict of named tensors.
        specs: tf.TensorSpec of each input, with its name; the batch is None.
        inputs: What each input is, for the model's card: name to type, shape and meaning.
        outputs: The same of each output.
    """

    function: Callable
    specs: tuple[tf.TensorSpec, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclasses.dataclass(frozen=True)
class LiteSignature:
    """The one signature of a LiteRT file.

    Attributes:
        name: What a phone asks for.
        function: As in `Endpoint`, and of nothing but what LiteRT has operators for: it decodes no
            files.
        specs: tf.TensorSpec of each input, with its name; the batch is 1.
        exact: Whether an int8 file computes in 8 bits no more than layers with weights: where other
            operators find places in the picture, or take NaN, which 8 bits cannot hold.
    """

    name: str
    function: Callable
    specs: tuple[tf.TensorSpec, ...]
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class Servable:
    """A model and all that its export needs to know of it.

    Attributes:
        system: Name of the system.
        model: The keras.Model that holds the weights, computing in float32.
        endpoints: Name to Endpoint. `serving_default`, which a client gets that names none, takes
            encoded pictures.
        lite: What goes into a LiteRT file.
        facts: What a user of the model must know to call it (sizes, value range ...), JSON-ready;
            on the SavedModel's card and in the LiteRT file's description.
        labels: What each number of an output's last axis stands for, in their order; empty where
            outputs are pictures. Both exports write them as a text file too, one a line.
    """

    system: str
    model: keras.Model
    endpoints: dict[str, Endpoint]
    lite: LiteSignature
    facts: dict
    labels: tuple[str, ...] = ()

    def all_facts(self):
        """What every description of this model says: system, facts, and labels if it has any."""
        labels = {"labels": list(self.labels)} if self.labels else {}
        return {"system": self.system, **self.facts, **labels}

    def labels_text(self):
        """The labels as a text file holds them."""
        return "".join(f"{label}\n" for label in self.labels)


def in_float32(model):
    """The model as it is exported: a network trained in mixed precision computes in float32."""
    return model.in_float32() if isinstance(model, Network) else model


def decode_faces(image_bytes, size):
    """Pictures' files as the faces that a network takes.

    Args:
        image_bytes: (B,) strings, each a JPEG or PNG file of one aligned face of any size.
        size: Side that the network takes, in pixels.

    Returns:
        (B, size, size, 3) float32 in [0, 1], as `resize_faces` makes them.
    """

    def decode(encoded):
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        return resize_faces(tf.image.convert_image_dtype(image, tf.float32), size)

    spec = tf.TensorSpec((size, size, 3), tf.float32)
    return tf.map_fn(decode, image_bytes, fn_output_signature=spec)


def encode_faces(faces):
    """Faces as pictures' files.

    Args:
        faces: (B, height, width, 3) float32 in [0, 1].

    Returns:
        (B,) strings, PNG files.
    """

    def encode(image):
        # Rounded to the nearest; `tf.image.convert_image_dtype` rounds down.
        levels = tf.round(tf.clip_by_value(image, 0.0, 1.0) * 255.0)
        return tf.io.encode_png(tf.cast(levels, tf.uint8))

    return tf.map_fn(encode, faces, fn_output_signature=tf.TensorSpec((), tf.string))


def resize_faces(faces, size):
    """Faces brought to the side that a network takes, as in training: bicubic, anti-aliased.

    Args:
        faces: (..., height, width, 3) floats in [0, 1].
        size: Side in pixels.

    Returns:
        (..., size, size, 3) float32 in [0, 1].
    """
    resized = tf.image.resize(faces, (size, size), method="bicubic", antialias=True)
    return tf.clip_by_value(resized, 0.0, 1.0)


def middle(faces, size):
    """The middle of faces, which is what some networks see of them.

    Args:
        faces: (B, aligned_size, aligned_size, 3).
        size: Side in pixels, at most `aligned_size`.

    Returns:
        (B, size, size, 3).
    """
    edge = (faces.shape[1] - size) // 2
    return faces[:, edge : edge + size, edge : edge + size]
