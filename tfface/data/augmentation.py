"""What the papers do to training images.

Random changes are drawn for each image by itself and are a function of the seed alone. Images are
float32 (B, H, W, C) in [0, 1]; landmarks, where a change moves them, are (B, 68, 2) in pixels, and
an unknown point stays NaN. (AU labels do not name a side of the face, so a flip leaves them alone.)
"""

import math

import tensorflow as tf

from tfface.facs.landmarks import MIRRORED

# Luma of ITU-R BT.601, as gray pictures are made from RGB.
_LUMA = (0.299, 0.587, 0.114)


def random_flip(images, landmarks, seed):
    """Flips each image left to right with probability one half.

    Args:
        images: (B, H, W, C).
        landmarks: (B, 68, 2). In a flipped face the subject's right eye becomes the left one, so
            the points change places as well.
        seed: int32 (2,).

    Returns:
        images and landmarks, of the same shapes.
    """
    images, landmarks = tf.convert_to_tensor(images), tf.convert_to_tensor(landmarks)
    flipped = tf.random.stateless_uniform((tf.shape(images)[0],), seed) < 0.5
    x, y = tf.unstack(tf.gather(landmarks, MIRRORED, axis=1), axis=-1)
    mirrored = tf.stack([images.shape[2] - 1.0 - x, y], axis=-1)
    return (
        tf.where(flipped[:, None, None, None], images[:, :, ::-1], images),
        tf.where(flipped[:, None, None], mirrored, landmarks),
    )


def random_crop(images, landmarks, seed, size):
    """Cuts a square out of each image, anywhere with equal probability.

    Args:
        images: (B, H, W, C).
        landmarks: (B, 68, 2).
        seed: int32 (2,).
        size: Side of the square in pixels.

    Returns:
        images (B, size, size, C), and landmarks moved along.

    Raises:
        ValueError: If the square does not fit.
    """
    images, landmarks = tf.convert_to_tensor(images), tf.convert_to_tensor(landmarks)
    height, width = images.shape[1:3]
    if not 1 <= size <= min(height, width):
        raise ValueError(
            f"`size` must be from 1 to the images' shorter side, {min(height, width)}. "
            f"Received: {size}."
        )
    count = tf.shape(images)[0]
    left, top = (
        tf.random.stateless_uniform((count, 1), each, maxval=room + 1, dtype=tf.int32)
        for each, room in zip(
            tf.unstack(tf.random.split(seed, 2)), (width - size, height - size), strict=True
        )
    )
    inside = tf.range(size)
    images = tf.gather(images, top + inside, axis=1, batch_dims=1)
    images = tf.gather(images, left + inside, axis=2, batch_dims=1)
    corner = tf.cast(tf.stack([left, top], axis=-1), landmarks.dtype)  # (B, 1, 2)
    return images, landmarks - corner


def random_rotation(images, landmarks, seed, degrees=15.0):
    """Rotates each image by an angle between -`degrees` and `degrees`, evenly drawn.

    Args:
        images: (B, H, W, C).
        landmarks: (B, 68, 2).
        seed: int32 (2,).
        degrees: The largest angle.

    Returns:
        images and landmarks, of the same shapes.
    """
    images = tf.convert_to_tensor(images)
    drawn = tf.random.stateless_uniform((tf.shape(images)[0],), seed, -degrees, degrees)
    return rotate(images, landmarks, drawn)


def random_similarity(images, landmarks, seed, degrees=10.0, shift=0.05, zoom=0.05):
    """Turns, shifts and scales each image a little: what a detector's points leave uncertain.

    Args:
        images: (B, H, W, C).
        landmarks: (B, 68, 2).
        seed: int32 (2,).
        degrees: The largest angle, to either side.
        shift: The largest shift along each axis, as a share of the side.
        zoom: The largest change of scale: factors are drawn from `1 / (1 + zoom)` to `1 + zoom`.

    Returns:
        images and landmarks, of the same shapes. Pixels are interpolated bilinearly; the image's
        border is continued outward.
    """
    images, landmarks = tf.convert_to_tensor(images), tf.convert_to_tensor(landmarks)
    height, width = images.shape[1:3]
    drawn = tf.random.stateless_uniform((4, tf.shape(images)[0], 1), seed, -1.0, 1.0)
    angle = drawn[0] * (degrees * math.pi / 180)
    scale = tf.exp(drawn[1] * math.log1p(zoom))
    center = tf.constant([(width - 1) / 2, (height - 1) / 2])
    offset = tf.concat([drawn[2] * (shift * width), drawn[3] * (shift * height)], axis=1)  # (B, 2)
    # A point p goes to scale R (p - center) + center + offset; y points down.
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)  # (B, 1)
    x, y = tf.unstack(landmarks - center, axis=-1)
    moved = tf.stack([x * cos + y * sin, y * cos - x * sin], axis=-1)
    moved += (center + offset)[:, None]
    # The operation wants the way back, from a pixel of the result to its source.
    back_cos, back_sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    to_x, to_y = tf.split(center + offset, 2, axis=1)
    shift_x = center[0] - back_cos * to_x + back_sin * to_y
    shift_y = center[1] - back_sin * to_x - back_cos * to_y
    zero = tf.zeros_like(cos)
    rows = [back_cos, -back_sin, shift_x, back_sin, back_cos, shift_y, zero, zero]
    return _projected(images, tf.concat(rows, axis=1)), moved


def rotate(images, landmarks, degrees):
    """Rotates images about their centers, counterclockwise as one sees it.

    Pixels are interpolated bilinearly; the image's border is continued outward to fill what turns
    into view.

    Args:
        images: (B, H, W, C).
        landmarks: (B, 68, 2).
        degrees: (B,), one angle an image.

    Returns:
        images and landmarks, of the same shapes.
    """
    landmarks = tf.convert_to_tensor(landmarks)
    images = tf.convert_to_tensor(images)
    height, width = images.shape[1:3]
    center = tf.constant([(width - 1) / 2, (height - 1) / 2])
    angle = tf.cast(degrees, tf.float32) * (math.pi / 180)
    cos, sin = tf.cos(angle)[:, None], tf.sin(angle)[:, None]  # (B, 1)
    x, y = tf.unstack(landmarks - center, axis=-1)
    # y points down, so a turn to the left takes (x, y) to (x cos + y sin, -x sin + y cos).
    moved = tf.stack([x * cos + y * sin, y * cos - x * sin], axis=-1) + center
    return _rotated(images, cos, sin, center), moved


def _rotated(images, cos, sin, center):
    """Rotates images (B, H, W, C) by angles whose cosines and sines are (B, 1)."""
    # The operation wants the way back, from a pixel of the result to its source.
    shift_x = center[0] - cos * center[0] + sin * center[1]
    shift_y = center[1] - sin * center[0] - cos * center[1]
    zero = tf.zeros_like(cos)
    rows = [cos, -sin, shift_x, sin, cos, shift_y, zero, zero]
    return _projected(images, tf.concat(rows, axis=1))


def _projected(images, transforms):
    """Images whose pixels come from where `transforms` (B, 8) say, borders continued outward."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def random_color(images, seed, brightness=0.1, contrast=0.1, saturation=0.1):
    """Changes brightness, contrast and saturation of each image a little.

    Args:
        images: (B, H, W, 3) in [0, 1].
        seed: int32 (2,).
        brightness: What is added lies between plus and minus this.
        contrast: Distances from the image's mean color are scaled by 1 plus or minus up to this.
        saturation: Distances from the pixel's gray are scaled by 1 plus or minus up to this.

    Returns:
        (B, H, W, 3), clipped to [0, 1].
    """
    images = tf.convert_to_tensor(images)
    drawn = tf.random.stateless_uniform((3, tf.shape(images)[0], 1, 1, 1), seed, -1.0, 1.0)
    gray = to_gray(images)
    images = gray + (images - gray) * (1 + saturation * drawn[0])
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    images = mean + (images - mean) * (1 + contrast * drawn[1])
    return tf.clip_by_value(images + brightness * drawn[2], 0.0, 1.0)


def to_gray(images):
    """The luma of images.

    Args:
        images: (..., 3), RGB.

    Returns:
        (..., 1).
    """
    return tf.reduce_sum(images * _LUMA, axis=-1, keepdims=True)


def random_gray(images, seed, share=0.5):
    """Takes the color from some images, so that what is learned of them holds for gray ones too.

    Args:
        images: (B, H, W, 3) in [0, 1].
        seed: int32 (2,).
        share: How likely each image is to lose its color, 0 to 1.

    Returns:
        (B, H, W, 3); a gray image has its luma in all three channels.
    """
    images = tf.convert_to_tensor(images)
    drawn = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed) < share
    return tf.where(drawn, to_gray(images), images)


DEGREES_110 = tuple(range(-15, 16, 3))
"""The eleven rotations of IA-gen's training faces, counterclockwise."""

CUT_110 = 6
"""By how many pixels its five crops are smaller: 64x64 of 70x70 in the paper."""

_CORNERS_110 = ((0, 0), (6, 0), (0, 6), (6, 6), (3, 3))  # top left pixels (x, y) of the crops


def expand_110(images):
    """Makes of each face the 110 that IA-gen trains on.

    Eleven rotations, from -15 to 15 degrees in steps of 3; of each, five crops: the corners (top
    left, top right, bottom left, bottom right) and the center; of each, the crop and its mirror
    image. Crops are 64x64 of 70x70 in the paper, 6 pixels smaller than the image in general.

    Args:
        images: (B, H, W, C), H and W above 6.

    Returns:
        (B, 110, H - 6, W - 6, C), in the order above: the mirror changes fastest.
    """
    images = tf.convert_to_tensor(images)
    height, width, channels = images.shape[1:]
    count, angles = tf.shape(images)[0], len(DEGREES_110)
    turned = _turned(tf.repeat(images, angles, axis=0), tf.tile(DEGREES_110, [count]))
    inside = height - CUT_110, width - CUT_110
    crops = tf.stack(
        [turned[:, y : y + inside[0], x : x + inside[1]] for x, y in _CORNERS_110], axis=1
    )
    both = tf.stack([crops, crops[:, :, :, ::-1]], axis=2)
    return tf.reshape(both, (count, angles * len(_CORNERS_110) * 2, *inside, channels))


def random_110(images, seed):
    """Makes of each face one of the 110 that `expand_110` makes, each equally likely.

    Args:
        images: (B, H, W, C), H and W above 6. Faces that shall be changed alike are given as
            channels of one image.
        seed: int32 (2,).

    Returns:
        (B, H - 6, W - 6, C).
    """
    images = tf.convert_to_tensor(images)
    height, width = images.shape[1:3]
    count = tf.shape(images)[0]
    kinds = len(DEGREES_110), len(_CORNERS_110), 2
    drawn = tf.random.stateless_uniform((count,), seed, maxval=math.prod(kinds), dtype=tf.int32)
    angle, corner, mirrored = tf.unstack(tf.unravel_index(drawn, kinds))
    images = _turned(images, tf.gather(DEGREES_110, angle))
    x, y = tf.unstack(tf.gather(_CORNERS_110, corner)[..., None], axis=1)  # (B, 1)
    images = tf.gather(images, y + tf.range(height - CUT_110), axis=1, batch_dims=1)
    images = tf.gather(images, x + tf.range(width - CUT_110), axis=2, batch_dims=1)
    return tf.where(mirrored[:, None, None, None] == 1, images[:, :, ::-1], images)


def _turned(images, degrees):
    """Rotates images (B, H, W, C) about their centers by (B,) degrees, counterclockwise."""
    height, width = images.shape[1:3]
    angle = tf.cast(degrees, tf.float32)[:, None] * (math.pi / 180)
    center = tf.constant([(width - 1) / 2, (height - 1) / 2])
    return _rotated(images, tf.cos(angle), tf.sin(angle), center)
