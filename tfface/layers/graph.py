"""PatchGraphConv2D: a convolution whose patches see each other through a graph (IGCN, Eq. 6)."""

import keras
import numpy as np
from keras import ops

from tfface.layers.patches import check_grid, merge_patches, split_patches

ADJACENCIES = ("cosine", "soft", "prior", "combined")


def cosine_similarity(patches):
    """Cosine of the angle between any two patches of a picture.

    Args:
        patches: (B, N, D), each patch flattened.

    Returns:
        (B, N, N), float32 in [-1, 1]. A patch that is all zero, such as a hidden one, is similar to
        nothing: 0.
    """
    patches = ops.cast(patches, "float32")
    squares = ops.sum(ops.square(patches), axis=-1, keepdims=True)
    unit = patches * ops.rsqrt(ops.maximum(squares, 1e-12))
    return ops.matmul(unit, ops.transpose(unit, (0, 2, 1)))


def cosine_adjacency(patches, threshold=0.5):
    """Links, 1 or 0, between patches whose cosine similarity is at least `threshold`.

    Args:
        patches: (B, N, D), each patch flattened.
        threshold: In [-1, 1].

    Returns:
        (B, N, N) float32 without self-links; no gradient flows through it.
    """
    similarity = ops.stop_gradient(cosine_similarity(patches))
    return _without_self_links(ops.cast(similarity >= threshold, "float32"))


def soft_adjacency(patches):
    """Links as strong as patches are similar: max(S, 0) with gradient, (B, N, N), no self-links."""
    return _without_self_links(ops.relu(cosine_similarity(patches)))


def normalize_adjacency(adjacency):
    """`D^-1/2 (A + I) D^-1/2`, D the row sums of A + I: every patch counts itself once.

    Args:
        adjacency: (..., N, N), symmetric, not negative, no self-links.

    Returns:
        (..., N, N) float32.

    Reference:
        Kipf and Welling, Semi-Supervised Classification with Graph Convolutional Networks, 2017,
        Eq. 2.
    """
    linked = ops.cast(adjacency, "float32") + ops.eye(adjacency.shape[-1], dtype="float32")
    scale = ops.rsqrt(ops.sum(linked, axis=-1))
    return linked * ops.expand_dims(scale, -1) * ops.expand_dims(scale, -2)


def _without_self_links(adjacency):
    return adjacency * (1.0 - ops.eye(adjacency.shape[-1], dtype="float32"))


def _check_prior(prior, grid, adjacency):
    nodes = grid * grid
    shape = None if prior is None else np.shape(prior)
    if shape != (nodes, nodes):
        raise ValueError(
            f"`prior` must be a {nodes} x {nodes} matrix for grid {grid} and adjacency "
            f"{adjacency!r}. Received: {'None' if shape is None else f'shape {shape}'}"
        )
    if not np.isin(prior, (-1, 0, 1)).all() or np.diagonal(prior).any():
        raise ValueError(
            "`prior` must hold +1, -1 and 0, and 0 on its diagonal, since every patch counts "
            f"itself anyway. Received: {np.unique(prior)}, on the diagonal "
            f"{np.unique(np.diagonal(prior))}"
        )
    one_sided = np.argwhere(np.asarray(prior) != np.transpose(prior))
    if len(one_sided):
        raise ValueError(
            "`prior` must be symmetric. "
            f"Received: entries that differ from their mirror image, first {tuple(one_sided[0])}"
        )


@keras.saving.register_keras_serializable("tfface")
class PatchGraphConv2D(keras.layers.Layer):
    """Convolves each patch of a face by itself, then mixes patches along a graph.

    `F_upd = A : ReLU(W * F + b)` (Eq. 6): one convolution with shared weights on every patch, whose
    border is padded so that nothing leaks over; ReLU; a weighted sum over related patches. With one
    patch it is a convolution with ReLU.

    All patches go through one product and the mixing is another. A patch of p pixels costs a
    convolution p times the kernel's area, much of it spent on padding, and a dense matrix laid out
    from the kernel p squared: patches no larger than the kernel take the matrix.

    Args:
        filters: Output channels.
        grid: Patches along each side.
        adjacency: Which patches are related. "cosine": those of this input whose cosine similarity
            reaches `threshold`, without gradient. "soft": all, as strongly as they are alike, with
            gradient. "prior": those that `prior` links. "combined" (the paper): cosine links and
            the prior's, save those that the prior cuts.
        kernel_size: Side of the kernel, odd.
        threshold: Cosine similarity from which two patches are linked.
        prior: (N, N), symmetric, of +1 linked, -1 cut, 0 open and on its diagonal, as
            `facs.regions.patch_adjacency` gives; needed by "prior" and "combined" where `grid` is
            above 1.
        kernel_initializer: Of the kernel; He's, since a ReLU follows.

    Input:
        (B, H, W, C), H and W multiples of `grid`.

    Output:
        (B, H, W, filters).

    Raises:
        ValueError: If `grid` does not divide H and W, `adjacency` is unknown, `kernel_size` is even
            or `prior` is missing, of the wrong shape, of other values or not symmetric.

    Reference:
        Liu et al., Facial Expression Restoration Based on Improved Graph Convolutional Networks,
        2019, Sec. 3.2, Eq. 6 and Fig. 3.
    """

    def __init__(
        self,
        filters,
        grid,
        adjacency="cosine",
        kernel_size=3,
        threshold=0.5,
        prior=None,
        kernel_initializer="he_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if adjacency not in ADJACENCIES:
            raise ValueError(
                f"`adjacency` must be one of {', '.join(ADJACENCIES)}. Received: {adjacency!r}"
            )
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd. Received: {kernel_size}")
        if grid < 1:
            raise ValueError(f"`grid` must be at least 1. Received: {grid}")
        if adjacency in ("prior", "combined") and grid > 1:
            _check_prior(prior, grid, adjacency)
        self.filters, self.grid, self.adjacency = filters, grid, adjacency
        self.kernel_size, self.threshold = kernel_size, threshold
        self.prior = None if prior is None else np.asarray(prior, "int8")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        _, height, width, channels = input_shape
        check_grid(height, width, self.grid)
        size = self.kernel_size
        self.kernel = self.add_weight(
            shape=(size, size, channels, self.filters),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.patch_height, self.patch_width = height // self.grid, width // self.grid
        self.built = True

    def call(self, features):
        if self.grid == 1:  # One patch, related to itself alone: A_hat is 1.
            return ops.relu(ops.conv(features, self.kernel, padding="same") + self.bias)
        patches = split_patches(features, self.grid)  # (B, N, h, w, C)
        h, w = self.patch_height, self.patch_width
        flat = ops.reshape(patches, (-1, self.grid**2, h * w * features.shape[-1]))
        if h * w <= self.kernel_size**2:
            x = ops.matmul(flat, self._dense_kernel()) + ops.tile(self.bias, h * w)
            x = ops.relu(x)  # (B, N, h w F)
        else:
            x = ops.reshape(patches, (-1, h, w, features.shape[-1]))  # (B N, h, w, C)
            x = ops.relu(ops.conv(x, self.kernel, padding="same") + self.bias)
            x = ops.reshape(x, (-1, self.grid**2, h * w * self.filters))
        mixing = ops.cast(normalize_adjacency(self._links(flat)), x.dtype)
        x = ops.matmul(mixing, x)  # (B, N, h w F)
        x = ops.reshape(x, (-1, self.grid**2, h, w, self.filters))
        return merge_patches(x, self.grid)

    def _links(self, flat):
        """A: (B, N, N), or (N, N) where it does not depend on the input."""
        if self.adjacency == "soft":
            return soft_adjacency(flat)
        if self.adjacency == "cosine":
            return cosine_adjacency(flat, self.threshold)
        linked = ops.convert_to_tensor((self.prior > 0).astype("float32"))
        if self.adjacency == "prior":
            return linked
        cut = ops.convert_to_tensor((self.prior < 0).astype("float32"))
        return ops.maximum(cosine_adjacency(flat, self.threshold), linked) * (1.0 - cut)

    def _dense_kernel(self):
        """The kernel as the matrix (h w C, h w F) that convolves a flattened patch."""
        h, w, size = self.patch_height, self.patch_width, self.kernel_size
        channels = self.kernel.shape[2]
        rows, columns = np.divmod(np.arange(h * w), w)
        down = rows[:, None] - rows[None] + size // 2  # [input pixel, output pixel]
        right = columns[:, None] - columns[None] + size // 2
        inside = (down >= 0) & (down < size) & (right >= 0) & (right < size)
        taps = np.zeros((h * w, h * w, size * size), "float32")
        source, target = np.nonzero(inside)
        taps[source, target, (down * size + right)[inside]] = 1.0
        taps = ops.cast(taps.reshape(-1, size * size), self.compute_dtype)
        matrix = ops.matmul(taps, ops.reshape(self.kernel, (size * size, channels * self.filters)))
        matrix = ops.reshape(matrix, (h * w, h * w, channels, self.filters))
        matrix = ops.transpose(matrix, (0, 2, 1, 3))
        return ops.reshape(matrix, (h * w * channels, h * w * self.filters))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "grid": self.grid,
            "adjacency": self.adjacency,
            "kernel_size": self.kernel_size,
            "threshold": self.threshold,
            "prior": None if self.prior is None else self.prior.tolist(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
