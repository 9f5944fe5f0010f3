"""Where action units (AUs) show: their centers, attention maps, and relations between patches."""

import numpy as np

from tfface.facs.action_units import validate_action_units
from tfface.facs.landmarks import LEFT_EYE, RIGHT_EYE, fill_unknown, mean_face

INNER_EYE_CORNERS = (39, 42)
"""The right and the left one; the distance between them is the `scale` of the centers below."""

_RIGHT_EYE_POINTS = tuple(range(RIGHT_EYE.start, RIGHT_EYE.stop))
_LEFT_EYE_POINTS = tuple(range(LEFT_EYE.start, LEFT_EYE.stop))
_LIP_CORNERS = ((48,), (54,))
_LIP_MIDDLES = ((51,), (57,))

AU_CENTERS = {
    1: ((21,), (22,), -1 / 2),  # above the inner brow
    2: ((18,), (25,), -1 / 3),  # above the outer brow
    4: ((19,), (24,), 1 / 3),  # below the brow's center
    5: ((37, 38), (43, 44), 0.0),  # upper eyelid
    6: ((40, 41), (46, 47), 1.0),  # below the eye's bottom
    7: (_RIGHT_EYE_POINTS, _LEFT_EYE_POINTS, 0.0),  # the eye
    9: ((31,), (35,), -1 / 2),  # above the nose wings
    10: ((50,), (52,), 0.0),  # upper lip, either side
    11: ((31, 48), (35, 54), 0.0),  # between nose wing and lip corner, where the fold runs
    12: (*_LIP_CORNERS, 0.0),
    13: (*_LIP_CORNERS, 0.0),
    14: (*_LIP_CORNERS, 0.0),
    15: (*_LIP_CORNERS, 0.0),
    16: ((58,), (56,), 0.0),  # lower lip, either side
    17: ((58,), (56,), 1 / 2),  # below the lip
    18: (*_LIP_MIDDLES, 0.0),
    20: (*_LIP_CORNERS, 0.0),
    22: (*_LIP_MIDDLES, 0.0),
    23: (*_LIP_MIDDLES, 0.0),
    24: (*_LIP_MIDDLES, 0.0),
    25: (*_LIP_MIDDLES, 0.0),
    26: ((58,), (56,), 1 / 2),  # below the lip
    27: ((58,), (56,), 1 / 2),
    28: (*_LIP_MIDDLES, 0.0),
    43: (_RIGHT_EYE_POINTS, _LEFT_EYE_POINTS, 0.0),
    45: (_RIGHT_EYE_POINTS, _LEFT_EYE_POINTS, 0.0),
}
"""dict of AU to (points, points, shift): where its two centers lie.

Each center is the mean of its points of the 68-point scheme, moved by `shift` times the distance
between the inner eye corners, downward where positive. The first center is on the subject's right
and the second on the left; where the centers are lip middles, the upper lip is first. "Up" is the
image's: faces are aligned.

Source: the table of EAC-Net (Li et al., "EAC-Net: Deep Nets with Enhancing and Cropping for Facial
Action Unit Detection", 2018), which LAC-GAN follows; 20, 25 and 26 as in its successors, JAA-Net
(Shao et al., 2018) first. Choices: which of the points stands for a part that the table names in
words; the upper eyelid for 5; and 11, 13, 16, 18, 22, 27, 28, 43 and 45, which neither covers,
where FACS says that they show.
"""

STACKED = frozenset(au for au, (*centers, _) in AU_CENTERS.items() if centers == [*_LIP_MIDDLES])
"""AUs whose two centers lie one above the other; those of all others lie side by side."""

# Every center has 1, 2 or 6 points; repeated up to 6 they fit one index array, and the mean stays.
_N_CENTER_POINTS = 6


def center_points(action_units):
    """The table above as arrays, for whoever computes centers: a fixed linear map.

    Args:
        action_units: n FACS numbers.

    Returns:
        points, (n, 2, 6) int: which landmarks each center is the mean of, some of them repeated.
        shifts, (n,) float32: how many scales downward the centers lie from there.
    """
    points = np.array(
        [[np.resize(side, _N_CENTER_POINTS) for side in AU_CENTERS[au][:2]] for au in action_units]
    )
    return points, np.array([AU_CENTERS[au][2] for au in action_units], np.float32)


def au_centers(landmarks, action_units):
    """Returns the two centers of each action unit.

    Args:
        landmarks: (..., 68, 2) in pixels of an aligned face, or in any other unit.
        action_units: n FACS numbers.

    Returns:
        (..., n, 2, 2) float32, (x, y) of the two centers as `AU_CENTERS` says, in the unit of the
        landmarks. A center is NaN where a point that it needs is NaN (`fill_unknown` in
        `landmarks` supplies such points).

    Raises:
        ValueError: If `landmarks` does not end in (68, 2), or an action unit is unknown.
    """
    action_units = validate_action_units(action_units)
    landmarks = np.asarray(landmarks, np.float32)
    if landmarks.shape[-2:] != (68, 2):
        raise ValueError(f"`landmarks` must have shape (..., 68, 2). Received: {landmarks.shape}")
    points, shifts = center_points(action_units)
    centers = landmarks[..., points, :].mean(axis=-2)  # (..., n, 2, 2)
    right, left = INNER_EYE_CORNERS
    scale = np.linalg.norm(landmarks[..., left, :] - landmarks[..., right, :], axis=-1)
    centers[..., 1] += scale[..., None, None] * shifts[:, None]
    return centers


def attention_maps(landmarks, action_units, size, decay=0.56, extent=0.14):
    """Returns each action unit's attention map (LAC-GAN Sec. 3.1, after EAC-Net and JAA-Net).

    With d the Manhattan distance to a center, a map is the larger of its two centers' values of

        max(0, 1 - decay d / (extent size)),

    and 0 farther than extent / 2 size from the center in x or in y.

    Args:
        landmarks: (..., 68, 2) in pixels of the aligned face, NaN where unknown. An unknown point
            is taken from the canonical mean face, and `None` takes all of them from there.
        action_units: n FACS numbers.
        size: Width and height of the aligned face, and of the maps, in pixels.
        decay: How fast a map falls from 1, in 1 / (extent size).
        extent: Width of a region as a share of the face's.

    Returns:
        (..., n, size, size) float32 in [0, 1], indexed by row and column.

    Raises:
        ValueError: If `landmarks` does not end in (68, 2), an action unit is unknown, or `size`,
            `decay` or `extent` is not positive.
    """
    for name, value in (("size", size), ("decay", decay), ("extent", extent)):
        if value <= 0:
            raise ValueError(f"`{name}` must be positive. Received: {value}")
    centers = au_centers(_known_landmarks(landmarks, size), action_units)
    pixels = np.arange(size, dtype=np.float32)
    dx = np.abs(pixels - centers[..., 0, None])  # (..., n, 2, size)
    dy = np.abs(pixels - centers[..., 1, None])
    reach = np.float32(extent / 2 * size)
    distance = dy[..., :, None] + dx[..., None, :]  # (..., n, 2, size, size)
    near = (dy <= reach)[..., :, None] & (dx <= reach)[..., None, :]
    values = np.maximum(0, 1 - np.float32(decay / (extent * size)) * distance)
    return np.where(near, values, np.float32(0)).max(axis=-3)


def patch_adjacency(grid, landmarks, relations, size=None):
    """Returns which patches of a face belong together, from its action units' relations.

    This is the prior of the restoration paper's patch graph (Sec. 3.2): two patches are linked
    where they hold centers of two AUs that co-exist, and cut where they hold centers of two AUs
    that exclude each other. Where both are the case the exclusion counts, save between patches that
    hold the two sides of one AU: left and right mouth corner stay linked although one AU pulls them
    up and another down. A center outside of the image lies in no patch, and one on the line between
    patches lies in each of them, so that a symmetric face gives a symmetric graph.

    Args:
        grid: The image is split into grid x grid patches.
        landmarks: (68, 2) in pixels of the aligned face, NaN where unknown. An unknown point is
            taken from the canonical mean face, and `None` takes all of them from there.
        relations: `AURelations` of the action units to place.
        size: Width and height of the aligned face in pixels. Needed with `landmarks` only: relative
            to the image the mean face is the same at any size.

    Returns:
        (grid^2, grid^2) int8 in row-major patch order: +1 linked, -1 cut, 0 nothing known.
        Symmetric, with a diagonal of 0.

    Raises:
        ValueError: If `grid` or `size` is not positive, `size` is missing, or `landmarks` is not
            of shape (68, 2).
    """
    if grid <= 0:
        raise ValueError(f"`grid` must be positive. Received: {grid}")
    if size is None:
        if landmarks is not None:
            raise ValueError("`size` must be given with `landmarks`. Received: None")
        size = 1
    elif size <= 0:
        raise ValueError(f"`size` must be positive. Received: {size}")
    if landmarks is not None and np.shape(landmarks) != (68, 2):
        raise ValueError(f"`landmarks` must have shape (68, 2). Received: {np.shape(landmarks)}")

    centers = au_centers(_known_landmarks(landmarks, size), relations.action_units)
    holds = _held_by_patches(centers, grid, size).astype(np.int64)  # (n, N)
    linked = holds.T @ relations.coexisting @ holds > 0
    same = holds.T @ holds > 0
    cut = (holds.T @ relations.exclusive @ holds > 0) & ~same
    adjacency = np.where(cut, -1, linked).astype(np.int8)
    np.fill_diagonal(adjacency, 0)
    return adjacency


def _held_by_patches(centers, grid, size, tolerance=1e-3):
    """Returns (n, grid^2) bool: whether the patch holds one of the AU's two centers.

    `tolerance`, in patches, makes a center on a line between patches lie in both of them whatever
    its rounding.
    """
    position = (centers + 0.5) * (grid / size)  # pixel centers to patches: image is [0, grid]
    first = np.arange(grid)
    inside = (position[..., None] >= first - tolerance) & (
        position[..., None] <= first + 1 + tolerance
    )  # (n, 2 centers, x and y, grid)
    columns, rows = inside[:, :, 0], inside[:, :, 1]
    held = (rows[..., :, None] & columns[..., None, :]).any(axis=1)  # (n, grid, grid)
    return held.reshape(len(centers), grid * grid)


def _known_landmarks(landmarks, size):
    """Returns (..., 68, 2) landmarks in which the mean face stands in for what is unknown."""
    return mean_face(size) if landmarks is None else fill_unknown(landmarks, size)
