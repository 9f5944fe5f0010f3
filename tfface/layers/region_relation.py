"""RegionRelationBlock: patch graphs of several grids, added up (RRMB)."""

import keras
from keras import ops

from tfface.layers.graph import PatchGraphConv2D


@keras.saving.register_keras_serializable("tfface")
class RegionRelationBlock(keras.layers.Layer):
    """The pixel-wise sum of `PatchGraphConv2D`s with different grids on the same input.

    Grid 1 sees the face as a picture, grid 2 its quarters, grid 8 small regions that belong
    together, such as both eyes.

    The block stands on a skip in a trunk without normalization, `x + RRMB(x)` sixteen times over.
    With He's weights each block makes its input 2.5 times as large, 10^6 times in all: more than
    float16 holds and a saturated output. So the weights start a tenth as large, as ESRGAN's do.

    Args:
        filters: Output channels.
        grids: Patches along each side, one entry a graph.
        adjacency: Which patches are related, as in `PatchGraphConv2D`.
        priors: {grid: (N, N) matrix} for adjacencies "prior" and "combined".
        threshold: Cosine similarity from which two patches are linked.
        kernel_initializer: Of each graph's kernel; None is He's at a tenth.

    Input:
        (B, H, W, C), H and W multiples of every grid.

    Output:
        (B, H, W, filters).

    Raises:
        ValueError: As `PatchGraphConv2D`, or if `grids` is empty or names a grid twice.

    Reference:
        Liu et al., Facial Expression Restoration Based on Improved Graph Convolutional Networks,
        2019, Sec. 3.3 and Fig. 3 (right); Wang et al., ESRGAN, 2018, Sec. 3.1 (smaller
        initialization).
    """

    def __init__(
        self,
        filters,
        grids=(1, 2, 8),
        adjacency="cosine",
        priors=None,
        threshold=0.5,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not grids or len(set(grids)) < len(grids):
            raise ValueError(f"`grids` must be one or more different numbers. Received: {grids}")
        if kernel_initializer is None:
            kernel_initializer = keras.initializers.VarianceScaling(0.1**2 * 2.0, "fan_in")
        self.filters, self.adjacency, self.threshold = filters, adjacency, threshold
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.graphs = [
            PatchGraphConv2D(
                filters,
                grid,
                adjacency=adjacency,
                threshold=threshold,
                # JSON knows text keys only.
                prior=(priors or {}).get(grid, (priors or {}).get(str(grid))),
                # A clone each: one initializer would draw the same kernel for all.
                kernel_initializer=self.kernel_initializer.clone(),
                dtype=self.dtype_policy,
                name=f"grid_{grid}",
            )
            for grid in grids
        ]

    def build(self, input_shape):
        for graph in self.graphs:
            graph.build(input_shape)
        self.built = True

    def call(self, features):
        total = self.graphs[0](features)
        for graph in self.graphs[1:]:
            total = ops.add(total, graph(features))
        return total

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "grids": [graph.grid for graph in self.graphs],
            "adjacency": self.adjacency,
            "priors": {
                str(graph.grid): graph.prior.tolist()
                for graph in self.graphs
                if graph.prior is not None
            },
            "threshold": self.threshold,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
