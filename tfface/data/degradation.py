"""What restoration undoes: faces made small, with a square hidden.

The restoration paper's input is a 16x16 face made from a 128x128 one by bicubic down-sampling, with
a random square hidden whose area is a quarter of it (8x8 pixels). Faces come in batches, float32 in
[0, 1]; every draw is a function of the seed alone.
"""

import math

import tensorflow as tf


def degrade(faces, seed, scale=8, hidden_area=0.25):
    """Makes faces small and hides a square of each.

    Down-sampling is bicubic (Keys' kernel, a = -0.5) and anti-aliased: the kernel is widened by
    `scale`, so that every pixel of the face counts; what overshoots is clipped to [0, 1]. The
    square lies anywhere in the small face with equal probability, drawn for each face by itself.

    Args:
        faces: (B, H, W, 3) in [0, 1]; `scale` divides H and W.
        seed: int32 (2,), tensor or not.
        scale: Down-sampling factor, a whole number.
        hidden_area: Share of the small face's area that is hidden, 0 to 1. The square's side is
            rounded to whole pixels and no longer than the face's shorter side.

    Returns:
        low: (B, H / scale, W / scale, 3) in [0, 1], 0 where hidden.
        mask: (B, H / scale, W / scale, 1), 1 where hidden and 0 elsewhere.

    Raises:
        ValueError: If `scale` does not divide the faces' sides, or `hidden_area` is not a share.
    """
    faces = tf.convert_to_tensor(faces)
    height, width = faces.shape[1:3]
    if not isinstance(scale, int) or scale < 1 or height % scale or width % scale:
        raise ValueError(
            "`scale` must be a whole number that divides the height and width of `faces`. "
            f"Received: scale={scale}, height={height}, width={width}."
        )
    if not 0 <= hidden_area <= 1:
        raise ValueError(f"`hidden_area` must be from 0 to 1. Received: {hidden_area}.")
    size = (height // scale, width // scale)
    low = tf.image.resize(faces, size, method="bicubic", antialias=True)
    mask = _hidden_square(tf.shape(faces)[0], size, hidden_area, seed)
    return tf.clip_by_value(low, 0.0, 1.0) * (1.0 - mask), mask


def _hidden_square(count, size, area, seed):
    """Returns (count, h, w, 1): 1 in a square of a share of the area, at a random place in each."""
    height, width = size
    side = min(round(math.sqrt(area * height * width)), height, width)
    seeds = tf.random.split(seed, 2)

    def inside(length, seed):
        # (count, length): 1 where the square lies along one axis
        start = tf.random.stateless_uniform(
            (count, 1), seed, maxval=length - side + 1, dtype=tf.int32
        )
        place = tf.range(length)
        return tf.cast((place >= start) & (place < start + side), tf.float32)

    rows, columns = inside(height, seeds[0]), inside(width, seeds[1])
    return rows[:, :, None, None] * columns[:, None, :, None]


def upsample_bicubic(low, scale=8):
    """Enlarges small faces bicubically, which is what restoration has to beat.

    Args:
        low: (B, h, w, C) in [0, 1].
        scale: Factor, a whole number.

    Returns:
        (B, h * scale, w * scale, C), clipped to [0, 1].
    """
    low = tf.convert_to_tensor(low)
    height, width = low.shape[1:3]
    large = tf.image.resize(low, (height * scale, width * scale), method="bicubic")
    return tf.clip_by_value(large, 0.0, 1.0)


def fill_hidden(low, mask):
    """Fills hidden pixels from what is visible around them, without any knowledge of faces.

    The fair rival of a learned restoration: bicubic enlargement of a hole is a black hole. Visible
    color diffuses into the hole: every iteration replaces each hidden pixel by the mean of the
    known among the 3x3 pixels about it, and the iterations that follow the one which reaches the
    farthest pixel smooth what was filled.

    Args:
        low: (B, h, w, C); hidden pixels may hold anything.
        mask: (B, h, w, 1), 1 where hidden and 0 elsewhere.

    Returns:
        (B, h, w, C): visible pixels as they are, hidden ones filled; 0 in a face without any
        visible pixel.
    """
    low, mask = tf.convert_to_tensor(low), tf.convert_to_tensor(mask)
    hidden = mask > 0.5
    known = tf.cast(~hidden, low.dtype)
    filled = tf.where(hidden, tf.zeros_like(low), low)
    # max(h, w) - 1 iterations reach the farthest pixel; as many again smooth.
    for _ in range(2 * max(low.shape[1:3])):
        total, share = (tf.nn.avg_pool2d(x, 3, 1, "SAME") for x in (filled, known))
        filled = tf.where(hidden, tf.math.divide_no_nan(total, share), low)
        known = tf.cast(share > 0, low.dtype)
    return filled
