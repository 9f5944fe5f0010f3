"""What patch graphs cost beside plain convolutions, and what one product for all patches saves.

    python -m benchmarks layers [--turns 30] [--jit_compile]

All rivals see the same tensors in the same run and take turns. A step is the forward and the
backward pass, to the input and to the weights, as one traced function.
"""

import argparse
import os
import sys
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks import devices
from benchmarks.charts import Bars, draw_bars
from benchmarks.measure import table, take_turns
from benchmarks.results import add_out, save
from tfface.facs.action_units import BP4D_AUS
from tfface.facs.regions import patch_adjacency
from tfface.facs.relations import prior_relations
from tfface.layers.graph import (
    ADJACENCIES,
    PatchGraphConv2D,
    cosine_adjacency,
    normalize_adjacency,
)
from tfface.layers.region_relation import RegionRelationBlock

BATCH, SIZE, CHANNELS, FILTERS, GRID, GRIDS = 8, 16, 64, 64, 8, (1, 2, 8)
TARGETS = {"over_convolution": 1.3, "loop_over_ours": 6.0}
"""What the project asks of PatchGraphConv2D: at most the one, at least the other."""


class PatchLoop(PatchGraphConv2D):
    """The obvious way to PatchGraphConv2D: one convolution call a patch, one sum a patch."""

    def call(self, features):
        _, height, width, _ = features.shape
        h, w = height // self.grid, width // self.grid
        patches = [
            features[:, row : row + h, column : column + w]
            for row in range(0, height, h)
            for column in range(0, width, w)
        ]
        flat = tf.stack([tf.reshape(patch, (-1, h * w * patch.shape[-1])) for patch in patches], 1)
        mixing = normalize_adjacency(cosine_adjacency(flat, self.threshold))
        convolved = [
            tf.nn.relu(tf.nn.conv2d(patch, self.kernel, 1, "SAME") + self.bias) for patch in patches
        ]
        stacked = tf.stack(convolved, axis=1)  # (B, N, h, w, F)
        mixed = [
            tf.reduce_sum(mixing[:, i, :, None, None, None] * stacked, axis=1)
            for i in range(len(patches))
        ]
        rows = [tf.concat(mixed[i : i + self.grid], 2) for i in range(0, len(mixed), self.grid)]
        return tf.concat(rows, axis=1)


class SummedConvolutions(keras.layers.Layer):
    """The convolutions of a RegionRelationBlock alone: no patches, no graph."""

    def __init__(self, filters, count, **kwargs):
        super().__init__(**kwargs)
        self.convolutions = [
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(count)
        ]

    def build(self, input_shape):
        for convolution in self.convolutions:
            convolution.build(input_shape)

    def call(self, features):
        return sum(convolution(features) for convolution in self.convolutions)


def step_of(layer, features, jit_compile):
    """A function that runs `layer` forward and backward on `features` and waits for the result."""
    layer.build(features.shape)
    target = tf.random.stateless_normal(features.shape, (3, 4))

    @tf.function(jit_compile=jit_compile)
    def step(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = layer(features)
        weights = [variable.value for variable in layer.trainable_variables]
        return tape.gradient(outputs, [features, *weights], output_gradients=target)

    step = step.get_concrete_function(features)
    return lambda: step(features)[0].numpy()


def make_layers():
    """The rivals by name."""
    relations = prior_relations(BP4D_AUS)
    priors = {grid: patch_adjacency(grid, None, relations) for grid in GRIDS if grid > 1}
    graphs = {
        f"PatchGraphConv2D {adjacency}": PatchGraphConv2D(
            FILTERS, GRID, adjacency=adjacency, prior=priors[GRID]
        )
        for adjacency in ADJACENCIES
    }
    return {
        "Conv2D + ReLU": keras.layers.Conv2D(FILTERS, 3, padding="same", activation="relu"),
        **graphs,
        "loop over patches": PatchLoop(FILTERS, GRID),
        "3 x (Conv2D + ReLU)": SummedConvolutions(FILTERS, len(GRIDS)),
        "RegionRelationBlock cosine": RegionRelationBlock(FILTERS, GRIDS),
        "RegionRelationBlock combined": RegionRelationBlock(
            FILTERS, GRIDS, adjacency="combined", priors=priors
        ),
    }


def main(arguments=None):
    """Measures, prints the table, writes the figures and their chart."""
    parser = argparse.ArgumentParser(prog="benchmarks layers", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=30, help="timed turns of each rival")
    parser.add_argument("--jit_compile", action="store_true", help="compile every rival with XLA")
    devices.add_device(parser)
    add_out(parser)
    args = parser.parse_args(arguments)
    devices.choose(args.device)

    keras.utils.set_random_seed(0)
    # As features are after a ReLU: not negative, so that many patches are alike.
    features = tf.nn.relu(tf.random.stateless_normal((BATCH, SIZE, SIZE, CHANNELS), (1, 2)))
    layers = make_layers()
    ours, loop = layers["PatchGraphConv2D cosine"], layers["loop over patches"]
    steps = {name: step_of(layer, features, args.jit_compile) for name, layer in layers.items()}
    loop.set_weights(ours.get_weights())
    np.testing.assert_allclose(loop(features), ours(features), atol=1e-4)

    times = take_turns(steps, turns=args.turns)
    rows = []
    for name in layers:
        alone = "3 x (Conv2D + ReLU)" if name.startswith("Region") else "Conv2D + ReLU"
        rows.append([name, f"{1e3 * times.median(name):.2f}", f"{times.ratio(name, alone):.2f}"])
    print(f"Forward and backward, float32, batch {BATCH}, {SIZE}x{SIZE}x{CHANNELS}, grid {GRID}:")
    print(table(["layer", "ms a step", "times its convolutions"], rows))
    figures = {
        "over_convolution": times.ratio("PatchGraphConv2D cosine", "Conv2D + ReLU"),
        "loop_over_ours": times.ratio("loop over patches", "PatchGraphConv2D cosine"),
        "block_over_convolutions": times.ratio("RegionRelationBlock cosine", "3 x (Conv2D + ReLU)"),
    }
    print(
        f"A patch graph takes {figures['over_convolution']:.2f} times a plain convolution "
        f"(target: at most {TARGETS['over_convolution']})."
    )
    print(
        f"The loop takes {figures['loop_over_ours']:.1f} times the patch graph "
        f"(target: at least {TARGETS['loop_over_ours']:.0f})."
    )
    print(
        f"A region relation block takes {figures['block_over_convolutions']:.2f} times "
        "its three convolutions alone."
    )
    ms = {name: 1e3 * times.median(name) for name in layers}
    content = {**figures, "ms": ms, "jit_compile": args.jit_compile}
    panels = [Bars(f"forward and backward, batch {BATCH}", "ms a step", ms)]
    save(args.out, "layers", content, partial(draw_bars, panels, title="Layers"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
