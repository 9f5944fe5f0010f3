"""Where action units show on a face, and how edited regions go back into it.

Each action unit (AU) has two centers, right and left or above and below, and a square of attention
around each. Two ways to give them to networks:

- **full**: `RegionalAttention` makes a map of each AU, as large as the face;
- **crop**: `RegionalWindows` makes the two squares alone, side by side, and says where they are.
  Outside of them attention is 0, so nothing is lost, and they hold a twentieth of the pixels. They
  are as large as the squares are, so that a face of whatever shape fits.

`RegionalComposition` takes either back into the face; `MovedPixels` shifts what is in them.
Pictures of n AUs stand in the channels: (B, h, w, 3 n), the first AU's colors first.

A point that is not finite (NaN where unknown) is taken from the canonical mean face. A center
outside of the picture is where it is: what of its square lies inside counts, maybe nothing.

References:
    1. Liu et al., "Region Based Adversarial Synthesis of Facial Action Units", 2020 (LAC-GAN).
    2. Li et al., "EAC-Net", 2018, and Shao et al., "JAA-Net", 2018, for the attention.
"""

import keras
import numpy as np
from keras import ops

from tfface.facs.action_units import validate_action_units
from tfface.facs.landmarks import N_POINTS, mean_face
from tfface.facs.regions import INNER_EYE_CORNERS, center_points

_FARTHEST = 1e6  # pixels; no point of a picture is there


def region_centers(landmarks, action_units, size):
    """The two centers of each AU: `tfface.facs.regions.au_centers` for networks.

    Args:
        landmarks: (B, 68, 2) in pixels; points that are not finite are the mean face's.
        action_units: n FACS numbers.
        size: Side of the face in pixels.

    Returns:
        (B, 2 n, 2) float32, (x, y): both centers of the first AU, then those of the next.
    """
    points, shifts = center_points(action_units)
    landmarks = ops.cast(landmarks, "float32")
    # A NaN is not near either. LiteRT has no operator for "is not finite".
    near = ops.cast(ops.abs(landmarks) < _FARTHEST, "float32")
    known = ops.min(near, axis=-1, keepdims=True) > 0.5
    landmarks = ops.where(known, landmarks, mean_face(size))
    found = ops.take(landmarks, points.reshape(-1), axis=1)  # (B, 12 n, 2)
    centers = ops.mean(ops.reshape(found, (-1, 2 * len(shifts), points.shape[-1], 2)), axis=2)
    right, left = INNER_EYE_CORNERS
    apart = ops.square(landmarks[:, left] - landmarks[:, right])
    scale = ops.sqrt(ops.sum(apart, axis=-1, keepdims=True))  # (B, 1)
    downward = scale * np.repeat(shifts, 2)
    return centers + ops.stack([ops.zeros_like(downward), downward], axis=-1)


class _Regional(keras.layers.Layer):
    """What attention layers share: the table of centers, and the shape of a square."""

    def __init__(self, action_units, size, decay=0.56, extent=0.14, **kwargs):
        # Half precision would move the regions.
        super().__init__(autocast=False, **kwargs)
        for name, value in (("size", size), ("decay", decay), ("extent", extent)):
            if not value > 0:
                raise ValueError(f"`{name}` must be positive. Received: {value}")
        self.action_units = validate_action_units(action_units)
        self.size, self.decay, self.extent = int(size), float(decay), float(extent)
        self.reach = np.float32(extent / 2 * size)

    def _attention(self, x, y, centers):
        """A of each center by itself: (B, 2 n, H, W), for pixels of columns x and rows y."""
        dx = ops.abs(x - centers[..., :1])  # (B, 2 n, W)
        dy = ops.abs(y - centers[..., 1:])
        distance = ops.expand_dims(dy, 3) + ops.expand_dims(dx, 2)
        value = ops.relu(1.0 - self.decay / (self.extent * self.size) * distance)
        near = [ops.cast(d <= self.reach, "float32") for d in (dx, dy)]
        return value * ops.expand_dims(near[1], 3) * ops.expand_dims(near[0], 2)

    def _check(self, shape):
        if tuple(shape[1:]) != (N_POINTS, 2):
            raise ValueError(
                f"`landmarks` must have shape (B, {N_POINTS}, 2). Received: {tuple(shape)}"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "action_units": list(self.action_units),
            "size": self.size,
            "decay": self.decay,
            "extent": self.extent,
        }


@keras.saving.register_keras_serializable("tfface")
class RegionalAttention(_Regional):
    """Each AU's attention map of the whole face: the A_i of Eq. 1.

    With d the Manhattan distance to a center, A is the larger of the two centers' values of

        max(0, 1 - decay d / (extent size)),

    and 0 farther than extent / 2 size from the center in x or in y.

    Args:
        action_units: n FACS numbers.
        size: Side of the face in pixels.
        decay: How fast attention falls from 1, in 1 / (extent size).
        extent: Side of a square as a share of the face's.

    Input:
        landmarks (B, 68, 2) in pixels of the face, NaN where unknown.

    Output:
        (B, size, size, n) float32, in [0, 1].

    Raises:
        ValueError: If an AU is unknown or named twice, or a number is not positive.
    """

    def call(self, landmarks):
        self._check(landmarks.shape)
        centers = region_centers(landmarks, self.action_units, self.size)
        pixels = np.arange(self.size, dtype="float32")
        each = self._attention(pixels, pixels, centers)  # (B, 2 n, size, size)
        n, area = len(self.action_units), self.size**2
        maps = ops.max(ops.reshape(each, (-1, n, 2, area)), axis=2)
        return ops.reshape(ops.transpose(maps, (0, 2, 1)), (-1, self.size, self.size, n))

    def compute_output_spec(self, landmarks):
        self._check(landmarks.shape)
        shape = (landmarks.shape[0], self.size, self.size, len(self.action_units))
        return keras.KerasTensor(shape, "float32")


@keras.saving.register_keras_serializable("tfface")
class RegionalWindows(_Regional):
    """The same attention on two windows an AU, one around each center, side by side.

    Where the two squares of an AU overlap, as those of the upper and the lower lip do, each window
    gets its part of A, a_1 A / (a_1 + a_2) with a_1 and a_2 the two centers' values. So what both
    windows hold adds up to A at every pixel of the picture, and the border between them is soft.

    Args:
        action_units: As in `RegionalAttention`, and so the others.
        size: Side of the face in pixels.
        decay: As in `RegionalAttention`.
        extent: As in `RegionalAttention`.

    Input:
        landmarks (B, 68, 2) in pixels of the face, NaN where unknown.

    Output:
        attention (B, window, 2 window, n) float32, in [0, 1], 0 outside of the picture, and corners
        (B, 2 n, 2) float32, the whole (x, y) of each window's top left pixel. `window` pixels hold
        a square wherever its center lies between pixels.
    """

    @property
    def window(self):
        """Side of a window in pixels."""
        return int(2 * self.reach) + 2

    def call(self, landmarks):
        self._check(landmarks.shape)
        n = len(self.action_units)
        centers = region_centers(landmarks, self.action_units, self.size)
        corners = ops.floor(centers - self.reach)
        inside = np.arange(self.window, dtype="float32")
        x, y = corners[..., :1] + inside, corners[..., 1:] + inside  # (B, 2 n, window)
        own = self._attention(x, y, centers)
        swapped = np.arange(2 * n).reshape(n, 2)[:, ::-1].reshape(-1)
        other = self._attention(x, y, ops.take(centers, swapped, axis=1))
        # Not 1e-12, which is 0 in float16.
        attention = ops.maximum(own, other) * own / ops.maximum(own + other, 1e-6)
        in_picture = [
            ops.cast(ops.logical_and(p >= 0, p <= self.size - 1), "float32") for p in (x, y)
        ]
        attention *= ops.expand_dims(in_picture[1], 3) * ops.expand_dims(in_picture[0], 2)
        return _side_by_side(attention), corners

    def compute_output_spec(self, landmarks):
        self._check(landmarks.shape)
        batch, n, side = landmarks.shape[0], len(self.action_units), self.window
        return (
            keras.KerasTensor((batch, side, 2 * side, n), "float32"),
            keras.KerasTensor((batch, 2 * n, 2), "float32"),
        )


@keras.saving.register_keras_serializable("tfface")
class WindowPixels(keras.layers.Layer):
    """What windows show of a face.

    Args:
        window: Side of a window in pixels.

    Input:
        face (B, H, W, C) and corners (B, 2 n, 2), see `RegionalWindows`.

    Output:
        (B, window, 2 window, C n): both windows of an AU side by side, the first AU's channels
        first. Outside of the picture, where attention is 0, its nearest pixel goes on.
    """

    def __init__(self, window, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.window = window

    def call(self, face, corners):
        _, height, width, channels = face.shape
        places = _places(corners, self.window, height, width)
        pixels = ops.take(ops.reshape(face, (-1, channels)), places, axis=0)
        return ops.reshape(pixels, (-1, self.window, 2 * self.window, channels * places.shape[-1]))

    def compute_output_spec(self, face, corners):
        channels = face.shape[-1] * corners.shape[1] // 2
        shape = (face.shape[0], self.window, 2 * self.window, channels)
        return keras.KerasTensor(shape, face.dtype)

    def get_config(self):
        return {**super().get_config(), "window": self.window}


@keras.saving.register_keras_serializable("tfface")
class MovedPixels(keras.layers.Layer):
    """Pictures whose pixels have moved: what stands at a pixel is taken from so far away.

    Between pixels the four around are mixed by their distances (bilinear); beyond a window's border
    its nearest pixel goes on.

    Args:
        parts: Number of windows side by side in a picture: 2, or 1 for a whole face.

    Input:
        pixels (B, h, w, 3 n), and movement (B, h, w, 2 n): for each AU how far in x and y, in
        pixels, what is to be shown lies from where it is shown.

    Output:
        (B, h, w, 3 n) float32.
    """

    def __init__(self, parts=1, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.parts = parts

    def call(self, pixels, movement):
        pixels, movement = (ops.cast(x, "float32") for x in (pixels, movement))
        _, height, width, channels = pixels.shape
        n, side, area = channels // 3, width // self.parts, height * width
        row, column = (a.reshape(-1, 1) for a in np.indices((height, width), np.int32))  # (h w, 1)
        first = column // side * side  # of the own window
        movement = ops.reshape(movement, (-1, area, n, 2))
        x = ops.clip(movement[..., 0], first - column, first + side - 1 - column) + column
        y = ops.clip(movement[..., 1], -row, height - 1 - row) + row
        left, top = ops.floor(x), ops.floor(y)
        across, down = ops.expand_dims(x - left, -1), ops.expand_dims(y - top, -1)
        left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
        right, bottom = ops.minimum(left + 1, first + side - 1), ops.minimum(top + 1, height - 1)

        count = ops.shape(pixels)[0]
        picture = ops.reshape(ops.arange(count, dtype="int32") * area, (-1, 1, 1))
        flat = ops.reshape(pixels, (-1, 3))  # (B h w n, 3)

        def at(row, column):
            places = (picture + row * width + column) * n + np.arange(n, dtype="int32")
            return ops.take(flat, places, axis=0)  # (B, h w, n, 3)

        upper = at(top, left) * (1.0 - across) + at(top, right) * across
        lower = at(bottom, left) * (1.0 - across) + at(bottom, right) * across
        return ops.reshape(upper * (1.0 - down) + lower * down, (-1, height, width, channels))

    def compute_output_spec(self, pixels, movement):
        return keras.KerasTensor(pixels.shape, "float32")

    def get_config(self):
        return {**super().get_config(), "parts": self.parts}


@keras.saving.register_keras_serializable("tfface")
class RegionalComposition(keras.layers.Layer):
    """The face with its regions as they were drawn, and everything else as it was (Eq. 2).

    `X^t = sum_i G_i / s + (1 - sum_i A_i / s) X` over the AUs that take part. Eq. 2 has no s; but
    regions overlap, and so s = max(1, sum_i A_i), with which the weights never exceed 1 in sum.
    A pixel that no attention reaches is the face's own, bit for bit.

    Input:
        face (B, H, W, 3), regions (B, h, w, 3 n), the G_i, which are A_i times what was drawn,
        attention (B, h, w, n), asked (B, n), 1 for an AU that takes part and 0 for others, and,
        where h and w are those of windows, their corners (B, 2 n, 2).

    Output:
        (B, H, W, 3) float32.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, face, regions, attention, asked, corners=None):
        face, regions, attention, asked = (
            ops.cast(x, "float32") for x in (face, regions, attention, asked)
        )
        _, side, width, n = attention.shape
        # The three colors and, as the fourth, attention: (B, h w, n, 4).
        drawn = ops.concatenate(
            [
                ops.reshape(regions, (-1, side * width, n, 3)),
                ops.reshape(attention, (-1, side * width, n, 1)),
            ],
            axis=-1,
        ) * ops.reshape(asked, (-1, 1, n, 1))
        if corners is None:
            drawn = ops.sum(drawn, axis=2)
        else:  # Windows at their places, added up. What lies outside of the picture is 0.
            count, (height, width) = ops.shape(face)[0], face.shape[1:3]
            places = ops.reshape(_places(corners, side, height, width), (-1, 1))
            drawn = ops.scatter(places, ops.reshape(drawn, (-1, 4)), (count * (height * width), 4))
        drawn = ops.reshape(drawn, (-1, *face.shape[1:3], 4))
        total, covered = drawn[..., :3], drawn[..., 3:]
        edited = face + (total - covered * face) / ops.maximum(covered, 1.0)
        return ops.where(covered > 0, ops.clip(edited, 0.0, 1.0), face)

    def compute_output_spec(self, face, regions, attention, asked, corners=None):
        return keras.KerasTensor(face.shape, "float32")


def masked(pictures, attention):
    """Each AU's picture times its attention: Eq. 1, and the way from what is drawn to G_i.

    Args:
        pictures: (B, h, w, 3 n).
        attention: (B, h, w, n).

    Returns:
        (B, h, w, 3 n) float32.
    """
    _, height, width, n = attention.shape
    area = height * width
    product = ops.reshape(ops.cast(pictures, "float32"), (-1, area, n, 3)) * ops.reshape(
        attention, (-1, area, n, 1)
    )
    return ops.reshape(product, (-1, height, width, 3 * n))


def _side_by_side(windows):
    """(B, 2 n, t, t) to (B, t, 2 t, n), four axes at a time, as LiteRT's transpose takes."""
    _, count, side, _ = windows.shape
    x = ops.reshape(windows, (-1, 2, side, side))  # (B n, 2, t, t)
    x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, count // 2, side * 2 * side))
    return ops.reshape(ops.transpose(x, (0, 2, 1)), (-1, side, 2 * side, count // 2))


def _places(corners, side, height, width):
    """Which pixels of a batch of pictures, laid end to end, the windows' pixels are.

    Args:
        corners: (B, 2 n, 2).
        side: Of a window.
        height: Of a picture.
        width: Of a picture.

    Returns:
        (B, side, 2 side, n) int32; for a pixel outside of the picture its nearest one.
    """
    corners = ops.cast(ops.clip(corners, -_FARTHEST, _FARTHEST), "int32")
    inside = np.arange(side, dtype="int32")
    x = ops.clip(corners[..., :1] + inside, 0, width - 1)  # (B, 2 n, side)
    y = ops.clip(corners[..., 1:] + inside, 0, height - 1)
    places = _side_by_side(ops.expand_dims(y * width, 3) + ops.expand_dims(x, 2))
    first = ops.arange(ops.shape(corners)[0], dtype="int32") * (height * width)
    return places + ops.reshape(first, (-1, 1, 1, 1))
