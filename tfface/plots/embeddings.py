"""High-dimensional features in the plane."""

import numpy as np
from matplotlib.patheffects import withStroke

from tfface.plots import canvas

_COLORS = canvas.COLORS[:-1]  # yellow letters are hard to read
_MARKERS = "osD^vP"
_SIDE = 640  # of a panel, in pixels


def embedding(panels, groups, path, title=None):
    """Draws points in the plane, one panel an embedding, colored by the group they belong to.

    Fig. 8 of the recognition paper, where a group is a subject. Its name stands at the mean of its
    points, or, where many means meet, as near as it can be read, with a line to its mean. Groups
    beyond the seventh have the colors again with another marker.

    Args:
        panels: Dict from a panel's title to its points (n, 2); NaN for what was not embedded.
        groups: The n groups' names.
        path: File to write.
        title: Title of the figure, or None.

    Raises:
        ValueError: If there is no panel, or the points of one are not (n, 2) for n groups.
    """
    groups = np.asarray([str(group) for group in groups])
    embeddings = {name: np.asarray(points, dtype=np.float64) for name, points in panels.items()}
    if not embeddings or any(points.shape != (len(groups), 2) for points in embeddings.values()):
        raise ValueError(
            f"`panels`, at least one, must each have shape ({len(groups)}, 2) for "
            f"{len(groups)} groups. "
            f"Received: shapes {[points.shape for points in embeddings.values()]}"
        )
    figure = canvas.figure(20 + (_SIDE + 10) * len(embeddings), _SIDE + 70, layout="constrained")
    looks = _looks(groups)
    row = figure.subplots(1, len(embeddings), squeeze=False)[0]
    for axes, (name, points) in zip(row, embeddings.items(), strict=True):
        known = ~np.isnan(points).any(axis=1)
        _scatter(axes, points[known], groups[known], looks)
        axes.set_title(name)
    canvas.add_title(figure, title)
    canvas.write(figure, path)


def _looks(groups):
    """Color and marker of each group, the same in all panels."""
    return {
        name: (_COLORS[i % len(_COLORS)], _MARKERS[i // len(_COLORS) % len(_MARKERS)])
        for i, name in enumerate(np.unique(groups))
    }


def _scatter(axes, points, groups, looks):
    """Points in a square of about `_SIDE` pixels, and their groups' names."""
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    if not len(points):
        return
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.53 * (np.max(high - low) or 1.0)
    x, y = (low + high) / 2
    axes.set_xlim(x - half, x + half)
    axes.set_ylim(y - half, y + half)
    means = {}
    for name, (color, marker) in looks.items():
        own = points[groups == name]
        if len(own):
            axes.scatter(*own.T, s=14, color=color, marker=marker, alpha=0.6, linewidths=0)
            means[name] = own.mean(axis=0)
    _write_names(axes, means, looks, 2 * half / _SIDE)


def _write_names(axes, means, looks, pixel):
    """Writes each group's name at its mean or near it; a pixel is so long in the points' units."""
    style = {"weight": "bold", "fontsize": 9, "ha": "center", "va": "center", "zorder": 4}
    outline = [withStroke(linewidth=3, foreground="white")]
    labels = [
        axes.text(0, 0, name, color=looks[name][0], path_effects=outline, parse_math=False, **style)
        for name in means
    ]
    sizes = [label.get_window_extent().size for label in labels]
    places = _apart(np.stack(list(means.values())), np.max(sizes, axis=0) * pixel)
    for label, mean, place in zip(labels, means.values(), places, strict=True):
        label.set_position(place)
        color = label.get_color()
        axes.plot(*np.stack([mean, place]).T, color=color, linewidth=1, zorder=3)
        axes.plot(*mean, "o", color=color, markersize=5, mec="white", zorder=3)


def _apart(centers, size):
    """Where labels of one size, (width, height), stand so that none hides another.

    Each in turn goes to the place next to its center that is free, in steps of half its size. The
    one before blocks 4 x 4 of them at most, so that there are enough in reach.
    """
    reach = 2 * int(np.ceil(np.sqrt(len(centers))))
    steps = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2) * size / 2
    offsets = offsets[np.argsort(np.hypot(*offsets.T), kind="stable")]
    places = np.empty_like(centers)
    for i, center in enumerate(centers):
        candidates = center + offsets
        distances = np.abs(candidates[:, None] - places[:i])  # (candidates, placed, 2)
        taken = np.any(np.all(distances < size, axis=-1), axis=-1)
        places[i] = candidates[taken.argmin()]
    return places
