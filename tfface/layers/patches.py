"""A face as a grid of patches, and back."""

import keras
from keras import ops


def check_grid(height, width, grid):
    """Refuses a picture that `grid` does not divide.

    Raises:
        ValueError: Naming height, width and grid.
    """
    if height is None or width is None:
        raise ValueError(
            f"Height and width must be known. Received: height={height}, width={width}"
        )
    if height % grid or width % grid:
        raise ValueError(
            "`grid` must divide height and width. "
            f"Received: grid={grid}, height={height}, width={width}"
        )


def split_patches(features, grid):
    """(B, H, W, C) to (B, N, h, w, C): patches in reading order, N = grid squared, h = H / grid.

    Two axes at a time, so that no tensor has more than four of them on the way: what LiteRT's
    transpose takes.
    """
    _, height, width, channels = features.shape
    check_grid(height, width, grid)
    h, w = height // grid, width // grid
    x = ops.reshape(features, (-1, h, grid, w * channels))  # (B g, h, g, w C)
    x = ops.transpose(x, (0, 2, 1, 3))  # (B g, g, h, w C)
    return ops.reshape(x, (-1, grid * grid, h, w, channels))


def merge_patches(patches, grid):
    """(B, N, h, w, C) to (B, H, W, C): the inverse of `split_patches`."""
    _, count, h, w, channels = patches.shape
    if count != grid * grid:
        raise ValueError(
            f"`grid` squared must be the number of patches. Received: grid={grid}, patches={count}"
        )
    x = ops.reshape(patches, (-1, grid, h, w * channels))  # (B g, g, h, w C)
    x = ops.transpose(x, (0, 2, 1, 3))  # (B g, h, g, w C)
    return ops.reshape(x, (-1, grid * h, grid * w, channels))


class _GridLayer(keras.layers.Layer):
    def __init__(self, grid, **kwargs):
        super().__init__(**kwargs)
        if grid < 1:
            raise ValueError(f"`grid` must be at least 1. Received: {grid}")
        self.grid = grid

    def get_config(self):
        return {**super().get_config(), "grid": self.grid}


@keras.saving.register_keras_serializable("tfface")
class SplitPatches(_GridLayer):
    """Cuts feature maps into `grid` x `grid` patches.

    Args:
        grid: Patches along each side.

    Input:
        (B, H, W, C), H and W multiples of `grid`.

    Output:
        (B, grid * grid, H / grid, W / grid, C), patches in reading order.

    Raises:
        ValueError: If `grid` does not divide H and W; it names the three numbers.
    """

    def call(self, features):
        return split_patches(features, self.grid)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        check_grid(height, width, self.grid)
        return (batch, self.grid**2, height // self.grid, width // self.grid, channels)


@keras.saving.register_keras_serializable("tfface")
class MergePatches(_GridLayer):
    """Puts the patches of `SplitPatches` back in their places.

    Args:
        grid: Patches along each side.

    Input:
        (B, grid * grid, h, w, C).

    Output:
        (B, grid * h, grid * w, C).
    """

    def call(self, patches):
        return merge_patches(patches, self.grid)

    def compute_output_shape(self, input_shape):
        batch, _, height, width, channels = input_shape
        return (batch, self.grid * height, self.grid * width, channels)
