"""From the picture back to the resting face: where each pixel's skin comes from.

Displacements are smooth, so they are undone on a coarse grid, by fixed-point iteration, and
interpolated at the pixels.
"""

import dataclasses
import functools

import numpy as np

from tfface.data.synthetic import fields, muscles, pose

_NODES = 48  # nodes of the coarse grid a face unit
_MARGIN = 2  # nodes outside the window, for the interpolation at its border


@dataclasses.dataclass(frozen=True)
class Trace:
    """Where the pixels of a window come from.

    Args:
        place: (h, w, 2) place on the resting face, in face units.
        gap: (h, w) share of a pixel that lies between parted lips, 0 to 1.
        upper_lip: (h, w) distance below the upper lip's edge, in units of the resting face.
        lower_lip: (h, w) distance above the lower lip's edge.
        window: The `fields.Canvas`.
        nodes: (rows, columns, 2) the coarse grid's places on the frontal face.
    """

    place: np.ndarray
    gap: np.ndarray
    upper_lip: np.ndarray
    lower_lip: np.ndarray
    window: fields.Canvas
    nodes: np.ndarray

    def frontal(self, box=(slice(None), slice(None))):
        """Returns the (rows, columns, 2) places on the frontal, expressing face of some pixels."""
        return _refine(self.nodes, self.window, box)


def trace_back(smooth_depth, mouth, upper, lower, nuisance, window):
    """Traces a window's pixels back through the pose and the muscles.

    Args:
        smooth_depth: Depth of the face on `muscles.NODES`.
        mouth: Its `mouth.Mouth`: above its line skin follows `upper`, below it `lower`.
        upper: (height, width, 2) displacement on `muscles.NODES`.
        lower: (height, width, 2) displacement on `muscles.NODES`.
        nuisance: A `pose.Nuisance`.
        window: A `fields.Canvas`.

    Returns:
        A `Trace`.
    """
    frontal = pose.unturn(_coarse_nodes(window), lambda p: _read(smooth_depth, p), nuisance)
    above, below = frontal, frontal
    for _ in range(6):
        above = frontal - _read(upper, above)
        below = frontal - _read(lower, below)
    both = _refine(np.concatenate([above, below], axis=-1), window)
    above, below = both[..., :2], both[..., 2:]
    over = mouth.line_at(above[..., 0]) - above[..., 1]
    under = below[..., 1] - mouth.line_at(below[..., 0])
    resolution = np.float32(window.resolution)
    cover = np.clip(over * resolution + 0.5, 0, 1) + np.clip(under * resolution + 0.5, 0, 1)
    place = np.where((over >= 0)[..., None], above, below)
    return Trace(place, np.clip(1.0 - cover, 0.0, 1.0), -over, -under, window, frontal)


def _coarse_nodes(window):
    columns, rows = (_node_count(n, window.resolution) for n in (window.width, window.height))
    x = window.left + (np.arange(columns, dtype=np.float32) - _MARGIN) / _NODES
    y = window.top + (np.arange(rows, dtype=np.float32) - _MARGIN) / _NODES
    return np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)


def _node_count(pixels, resolution):
    return int(np.ceil(pixels / resolution * _NODES)) + 2 * _MARGIN + 1


@functools.lru_cache(maxsize=64)
def _taps(pixels, resolution):
    """Returns, for Catmull-Rom interpolation between nodes, (4, pixels) nodes and weights."""
    place = (np.arange(pixels) + 0.5) / resolution * _NODES + _MARGIN
    start = np.floor(place).astype(int)
    t = place - start
    weights = np.stack(
        [
            -0.5 * t**3 + t**2 - 0.5 * t,
            1.5 * t**3 - 2.5 * t**2 + 1.0,
            -1.5 * t**3 + 2.0 * t**2 + 0.5 * t,
            0.5 * t**3 - 0.5 * t**2,
        ]
    )
    return start + np.arange(-1, 3)[:, None], weights.astype(np.float32)


def _refine(grid, window, box=(slice(None), slice(None))):
    """Interpolates a coarse (rows, columns, channels) grid at the window's pixels, or in a box.

    Four taps an axis instead of a matrix product: BLAS would start its threads for so little.
    """
    nodes, weights = _taps(window.width, window.resolution)
    nodes, weights = nodes[:, box[1]], weights[:, box[1], None]
    across = sum(np.take(grid, nodes[k], axis=1) * weights[k] for k in range(4))
    nodes, weights = _taps(window.height, window.resolution)
    nodes, weights = nodes[:, box[0]], weights[:, box[0], None, None]
    return sum(np.take(across, nodes[k], axis=0) * weights[k] for k in range(4))


def _read(field, places):
    return fields.sample_at(muscles.NODES, field, places)
