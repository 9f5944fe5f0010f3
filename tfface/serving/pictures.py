"""Pictures' files on their way into an exported model and out of it.

All of it is TensorFlow operators, so that it goes into the SavedModel. A server merges the requests
of several clients into one batch, and an error in it fails them all. So nothing here fails for a
bad picture: its row gets an `error`, and its other outputs say that there is no answer.

TensorFlow has no operator that tells whether a file can be decoded; decoding one that cannot fails
the whole graph. Only `tf.data` lets an element fail by itself (`ignore_errors`), so a batch is read
through a data set, whose missing rows are the bad ones.
"""

import tensorflow as tf

MAX_PIXELS = 4096 * 4096
"""Pixels that a picture may have: a file of few bytes may declare billions."""

ERROR = {
    "error": 'string (B,), "" where all is well, else what is wrong with the picture: its other '
    "outputs are then NaN, false, -1 or empty"
}
"""dict: the output that every signature for files has, as an Endpoint describes it."""

_RULE = f"`image_bytes` must be a whole JPEG or PNG file of at most {MAX_PIXELS} pixels. Received: "
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

# Pictures decoded at once. One of the most pixels takes about 250 MB on its way.
_PARALLEL = 4


def decode_faces(image_bytes, size):
    """Pictures' files as the faces that a network takes.

    Args:
        image_bytes: (B,) strings, each a JPEG or PNG file of one aligned face of any size up to
            `MAX_PIXELS`. GIF, BMP and WebP, which TensorFlow could decode, are refused: a client
            may rely on what is promised alone.
        size: Side that the network takes, in pixels.

    Returns:
        Two tensors: (B, size, size, 3) float32 in [0, 1], as `resize_faces` makes them, zeros where
        a file is bad; (B,) strings, what is wrong with each file, "" where nothing is.
    """
    count = tf.shape(image_bytes, out_type=tf.int64)[0]
    known = (tf.strings.substr(image_bytes, 0, len(_PNG)) == _PNG) | _is_jpeg(image_bytes)
    blank = tf.zeros((size, size, 3))

    def read(row):
        encoded = image_bytes[row]
        height, width = _declared_size(encoded)
        fits = height * width <= MAX_PIXELS

        def decode():
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            return resize_faces(tf.image.convert_image_dtype(image, tf.float32), size)

        face = tf.cond(fits, decode, lambda: blank)
        pixels = tf.strings.format("{} x {} pixels.", (width, height))
        return row, face, tf.where(fits, "", _RULE + pixels)

    rows = tf.data.Dataset.from_tensor_slices(tf.where(known)[:, 0])
    rows = rows.map(read, num_parallel_calls=_PARALLEL).ignore_errors()
    # One more row than there are pictures, for where not one of them could be read.
    rows = rows.concatenate(tf.data.Dataset.from_tensors((count, blank, "")))
    row, faces, error = rows.batch(count + 1).get_single_element()
    row = row[:-1, None]
    faces = tf.scatter_nd(row, faces[:-1], tf.stack([count, size, size, 3]))
    error = tf.tensor_scatter_nd_update(_unreadable(image_bytes, known), row, error[:-1])
    return tf.ensure_shape(faces, (None, size, size, 3)), error


def with_error(outputs, error):
    """What a model answers of files: nothing where a file was bad.

    Args:
        outputs: Name to tensor (B, ...), as computed of the faces of `decode_faces`.
        error: (B,) strings, from there too.

    Returns:
        The outputs, where `error` is not "" NaN, or -1, false or empty as their type has it, and
        `error` itself.
    """

    def answered(values):
        if values.dtype.is_floating:
            nothing = float("nan")
        else:
            nothing = {tf.string: "", tf.bool: False}.get(values.dtype, -1)
        shape = tf.concat([tf.shape(error), tf.ones(values.shape.rank - 1, tf.int32)], axis=0)
        return tf.where(tf.reshape(error == "", shape), values, tf.cast(nothing, values.dtype))

    return {**{name: answered(values) for name, values in outputs.items()}, "error": error}


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


def _is_jpeg(encoded):
    return tf.strings.substr(encoded, 0, len(_JPEG)) == _JPEG


def _declared_size(encoded):
    """Height and width that a JPEG's or PNG's header declares, read before anything is decoded."""

    def of_png():  # in its first chunk, width first
        declared = tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, False)
        return tf.reverse(tf.ensure_shape(declared, (2,)), [0])

    size = tf.cond(_is_jpeg(encoded), lambda: tf.io.extract_jpeg_shape(encoded)[:2], of_png)
    return tf.unstack(tf.cast(size, tf.int64), num=2)


def _unreadable(image_bytes, known):
    length = tf.strings.length(image_bytes)
    what = tf.where(known, " bytes, damaged or cut short.", " bytes of another kind.")
    return tf.where(length == 0, _RULE + "nothing.", _RULE + tf.strings.as_string(length) + what)
