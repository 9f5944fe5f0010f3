"""From identity, action units and nuisances to a picture with its landmarks.

The method is 2.5-D. What depends on the identity alone is drawn once, on a canvas a little finer
than the picture: color, depth, gloss and the fields of its muscles (`Head`). For every picture, a
coarse grid is traced back from the picture through the pose to the frontal face and through the
muscles to the resting face; color and depth are read there, eyes and the open mouth are painted
where the lids and lips leave room, and the picture is shaded from the slopes of the depth, to
which the active muscles have added their furrows and bulges. The landmarks take the same way
forward.
"""

import dataclasses
import functools

import cv2
import numpy as np

from tfface.data.synthetic import eyes, fields, head, mouth, muscles, pose, skin, surface, wrinkles
from tfface.data.synthetic.identity import SYNTHETIC_AUS, neutral_landmarks
from tfface.facs import landmarks as scheme

_COARSE = 48  # nodes of the coarse grid a face unit
_FINER = 1.3  # resolution of an identity's canvas, in that of the picture
_BELOW_LIPS = muscles.lip_layers()


@dataclasses.dataclass(frozen=True)
class Head:
    """All that one identity's pictures share; see `build_head`."""

    identity: object
    canvas: fields.Canvas
    landmarks: np.ndarray
    color: np.ndarray  # (h, w, 4): RGB and gloss
    alpha: np.ndarray  # (h, w)
    depth: np.ndarray  # (h, w)
    reliefs: tuple
    smooth_depth: np.ndarray  # on muscles.NODES
    muscles: muscles.Muscles
    eyes: tuple
    mouth: mouth.Mouth
    glasses: np.ndarray | None  # (h, w, 4) premultiplied


@functools.lru_cache(maxsize=6)
def build_head(identity, canvas):
    """Draws an identity's resting head on a canvas.

    Args:
        identity: An `Identity`.
        canvas: A `fields.Canvas`: the window of face space to cover, and its resolution.
    """
    points = neutral_landmarks(identity)
    lips = mouth.Mouth.fit(points)
    outline = surface.Outline(points)
    both_eyes = tuple(eyes.Eye.fit(points, side) for side in (0, 1))
    face, gloss = skin.paint(canvas, identity, points, lips.line())
    color, alpha, gloss = head.assemble(canvas, identity, outline, points, face, gloss)
    relaxed = surface.depth(muscles.NODES, identity, points, outline)
    return Head(
        identity=identity,
        canvas=canvas,
        landmarks=points,
        color=np.ascontiguousarray(np.concatenate([color, gloss[..., None]], -1), np.float32),
        alpha=alpha,
        depth=surface.depth(canvas, identity, points, outline),
        reliefs=wrinkles.build(canvas, identity, points),
        smooth_depth=cv2.GaussianBlur(relaxed, (0, 0), 0.018 * muscles.NODES.resolution),
        muscles=muscles.build(identity, points, lips),
        eyes=both_eyes,
        mouth=lips,
        glasses=head.glasses(canvas, identity, points),
    )


def render(identity, intensities, nuisance, size):
    """Draws one aligned face.

    Args:
        identity: An `Identity`.
        intensities: (17,) of `SYNTHETIC_AUS`, 0 (absent) to 5 (maximum).
        nuisance: A `Nuisance`.
        size: Width and height of the picture in pixels.

    Returns:
        The picture, (size, size, 3) uint8 RGB, and its landmarks, (68, 2) float32 in pixels with
        the origin at the centre of the top left pixel.

    Raises:
        ValueError: If `intensities` does not hold 17 numbers from 0 to 5.
    """
    intensities = check_intensities(intensities)
    margin = 0.16
    canvas = fields.Canvas.window(-margin, -margin, 1 + margin, 1 + margin, _FINER * size)
    window = fields.Canvas(0.0, 0.0, size, size, float(size))
    drawn = build_head(identity, canvas)
    color, alpha, landmarks = draw(drawn, intensities, nuisance, window)
    picture = pose.background(window, nuisance)
    picture += (color - picture) * alpha[..., None]
    return develop(picture, nuisance, window.resolution), window.to_pixels(landmarks)


def check_intensities(intensities):
    """Returns the intensities as (17,) float32, or raises."""
    intensities = np.asarray(intensities, np.float32)
    if intensities.shape != (len(SYNTHETIC_AUS),):
        raise ValueError(
            f"`intensities` must have shape ({len(SYNTHETIC_AUS)},), one number for each of "
            f"SYNTHETIC_AUS. Received: {intensities.shape}"
        )
    if not (intensities.min() >= 0 and intensities.max() <= 5):
        raise ValueError(f"`intensities` must lie in 0 to 5. Received: {intensities.tolist()}")
    return intensities


def draw(drawn, intensities, nuisance, window):
    """Draws a head into a window, without background.

    Args:
        drawn: A `Head`.
        intensities: (17,) float32.
        nuisance: A `Nuisance`.
        window: A `fields.Canvas`: the picture's window of face space.

    Returns:
        (height, width, 3) float32 color, (height, width) float32 alpha, and the (68, 2) float32
        landmarks in face units.
    """
    upper, lower = drawn.muscles.displacement(intensities)
    motions = muscles.lid_motion(drawn.identity, intensities, nuisance.droop)
    landmarks = _move_landmarks(drawn, upper, lower, motions, nuisance)
    frontal, skin_place, gap, lips_apart = _trace_back(drawn, upper, lower, nuisance, window)

    pixels = drawn.canvas.to_pixels(skin_place)
    columns, rows = np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])
    sampled = fields.sample(drawn.color, columns, rows)
    color, gloss = np.ascontiguousarray(sampled[..., :3]), sampled[..., 3].copy()
    alpha = fields.sample(drawn.alpha, columns, rows)
    depth = fields.sample(_expressed_depth(drawn, intensities), columns, rows)

    softness = 1.0 / window.resolution
    _paint_mouth(drawn, color, depth, frontal, gap, lips_apart, landmarks, lower, window)
    places = []
    for side, eye in enumerate(drawn.eyes):
        points = landmarks[scheme.RIGHT_EYE if side == 0 else scheme.LEFT_EYE]
        box = window.slices(points.min(axis=0) - 0.055, points.max(axis=0) + 0.050)
        gaze = np.float32(nuisance.gaze) * (0.016, 0.006)
        opened = eyes.paint(color[box], gloss[box], skin_place[box], eye, motions[side],
                            drawn.identity, gaze, softness)  # fmt: skip
        places.append((box, opened, eye, motions[side], gaze))

    color = _shade(color, depth, gloss, nuisance, window)
    for box, opened, eye, motion, gaze in places:
        glint = eyes.highlight(skin_place[box], eye, motion, gaze, nuisance.light)
        color[box] += (0.75 * opened * glint * nuisance.exposure)[..., None]
    if drawn.glasses is not None:
        color = _put_on_glasses(drawn, color, frontal)
    return color, alpha, landmarks


def _move_landmarks(drawn, upper, lower, motions, nuisance):
    points = drawn.landmarks.copy()
    for side, part in enumerate((scheme.RIGHT_EYE, scheme.LEFT_EYE)):
        # The scheme walks an eye's upper lid from the image's left, and back along the lower lid.
        points[part] = drawn.eyes[side].landmarks(motions[side])
    moved = muscles.moved(points, upper)
    moved[_BELOW_LIPS] = muscles.moved(points[_BELOW_LIPS], lower)
    return pose.turn(moved, muscles.sampled(moved, drawn.smooth_depth), nuisance)


def _trace_back(drawn, upper, lower, nuisance, window):
    """Finds where on the resting face each pixel's skin comes from.

    Returns:
        Frontal place (h, w, 2), place on the resting face (h, w, 2), the share of each pixel that
        lies between parted lips (h, w), and the distances to the lips above and below.
    """
    nodes = _coarse_nodes(window)
    frontal = pose.unturn(nodes, lambda p: _read(drawn.smooth_depth, p), nuisance)
    above, below = frontal.copy(), frontal.copy()
    for _ in range(6):
        above = frontal - _read(upper, above)
        below = frontal - _read(lower, below)
    frontal, above, below = (_refine(grid, window) for grid in (frontal, above, below))
    over = drawn.mouth.line_at(above[..., 0]) - above[..., 1]
    under = below[..., 1] - drawn.mouth.line_at(below[..., 0])
    resolution = np.float32(window.resolution)
    cover = np.clip(over * resolution + 0.5, 0, 1) + np.clip(under * resolution + 0.5, 0, 1)
    place = np.where((over >= 0)[..., None], above, below)
    return frontal, place, np.clip(1.0 - cover, 0.0, 1.0), (-over, -under)


def _coarse_nodes(window):
    columns = int(np.ceil(window.width / window.resolution * _COARSE)) + 5
    rows = int(np.ceil(window.height / window.resolution * _COARSE)) + 5
    x = window.left + (np.arange(columns, dtype=np.float32) - 2) / _COARSE
    y = window.top + (np.arange(rows, dtype=np.float32) - 2) / _COARSE
    return np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _interpolation(pixels, resolution):
    """Returns the (pixels, nodes) matrix of Catmull-Rom interpolation between coarse nodes."""
    nodes = int(np.ceil(pixels / resolution * _COARSE)) + 5
    place = (np.arange(pixels) + 0.5) / resolution * _COARSE + 2
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
    matrix = np.zeros((pixels, nodes), np.float32)
    for k in range(4):
        matrix[np.arange(pixels), start + k - 1] += weights[k]
    return matrix


def _refine(grid, window):
    """Interpolates a coarse (rows, columns, 2) grid at the window's pixels."""
    down = _interpolation(window.height, window.resolution)
    across = _interpolation(window.width, window.resolution).T
    return np.stack([down @ (grid[..., k] @ across) for k in range(2)], axis=-1)


def _read(field, places):
    pixels = muscles.NODES.to_pixels(places)
    return fields.sample(field, pixels[..., 0], pixels[..., 1])


def _expressed_depth(drawn, intensities):
    depth = drawn.depth.copy()
    for k in np.flatnonzero(intensities):
        relief = drawn.reliefs[k]
        depth[relief.rows, relief.columns] += np.float32(intensities[k] / 5.0) * relief.depth
    return depth


def _paint_mouth(drawn, color, depth, frontal, gap, lips_apart, landmarks, lower, window):
    points = landmarks[scheme.INNER_LIPS]
    box = window.slices(points.min(axis=0) - 0.03, points.max(axis=0) + 0.03)
    cover = gap[box]
    if cover.size == 0 or cover.max() < 1e-3:
        return
    chin = muscles.sampled(drawn.landmarks[57:58], lower)[0, 1]
    jaw = float(max(0.0, chin - 0.02))
    apart = tuple(part[box] for part in lips_apart)
    mouth.paint_cavity(color[box], cover, frontal[box], apart, drawn.mouth, jaw,
                       1.0 / window.resolution)  # fmt: skip
    depth[box] -= 0.035 * cover


def _shade(color, depth, gloss, nuisance, window):
    """Lights the surface: key light, light from all around, hollows, shadow and shine."""
    resolution = window.resolution
    slope_x = cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=resolution / 8.0)
    slope_y = cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=resolution / 8.0)
    nz = 1.0 / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    lx, ly, lz = pose.light_on_face(nuisance)
    facing = nz * (lz - lx * slope_x - ly * slope_y)
    wrap = np.float32(0.22)
    key = np.clip((facing + wrap) / (1 + wrap), 0.0, None)
    key *= 1.0 - 0.55 * _cast_shadow(depth, (lx, ly, lz), resolution)
    around = 0.62 + 0.22 * nz + 0.16 * nz * slope_y
    contrast = np.float32(nuisance.contrast)
    light = contrast * key + (1.0 - contrast) * around
    hollow = _hollows(depth, resolution)
    light *= hollow
    light *= np.float32(1.08 * nuisance.exposure**2)
    tone = np.sqrt(np.maximum(light, 0.004))
    # Light that goes through skin comes out red: shadows' edges are warm.
    glow = 0.10 * np.clip(1.0 - tone, 0.0, 1.0)
    half = np.sqrt(lx * lx + ly * ly + (lz + 1.0) ** 2)
    shine = np.clip(nz * ((lz + 1.0) - lx * slope_x - ly * slope_y) / half, 0.0, 1.0)
    shine = shine**2
    shine = shine**2
    shine = shine**2
    shine = 0.115 * contrast * gloss * shine * shine * hollow * nuisance.exposure
    lit = np.empty_like(color)
    for channel, warm in enumerate((1.0, -0.2, -0.45)):
        factor = np.float32(nuisance.light_color[channel])
        lit[..., channel] = (color[..., channel] * tone * (1.0 + warm * glow) + shine) * factor
    return lit


def _hollows(depth, resolution):
    """Returns how much of the light around reaches a point: less in furrows and sockets."""
    light = np.ones_like(depth)
    for sigma, strength in ((0.011, 34.0), (0.040, 7.0)):
        hollow = cv2.GaussianBlur(depth, (0, 0), sigma * resolution) - depth
        light -= np.clip(strength * hollow, -0.10, 0.45)
    return np.clip(light, 0.25, 1.2)


def _cast_shadow(depth, light, resolution):
    """Returns how deep in the shadow of the surface toward the light each point lies, 0 to 1."""
    lx, ly, lz = light
    side = float(np.hypot(lx, ly))
    shadow = np.zeros_like(depth)
    if side < 0.15:
        return shadow
    for reach in (0.03, 0.065, 0.11):
        shift = np.round(reach * resolution * np.array([lx, ly]) / side).astype(int)
        toward = _shifted(depth, shift)
        rise = toward - depth - np.float32(reach * lz / side)
        np.maximum(shadow, np.clip(rise * (0.9 / reach), 0.0, 1.0), out=shadow)
    return cv2.GaussianBlur(shadow, (0, 0), 0.010 * resolution)


def _shifted(field, shift):
    """Returns the field read `shift` = (columns, rows) further on, borders repeated."""
    height, width = field.shape
    columns = np.clip(np.arange(width) + shift[0], 0, width - 1)
    rows = np.clip(np.arange(height) + shift[1], 0, height - 1)
    return field[rows[:, None], columns[None, :]]


def _put_on_glasses(drawn, color, frontal):
    pixels = drawn.canvas.to_pixels(frontal)
    layer = fields.sample(drawn.glasses, pixels[..., 0], pixels[..., 1])
    return color * (1.0 - layer[..., 3:]) + layer[..., :3]


_GRAIN = 512


@functools.lru_cache(maxsize=1)
def _grain():
    """A tile of sensor noise; pictures read it at random places, as drawing it anew is slow."""
    return np.random.default_rng(1).standard_normal((_GRAIN, _GRAIN, 3), np.float32)


def develop(picture, nuisance, resolution):
    """Returns the camera's (height, width, 3) uint8 picture of a float one: blur and noise."""
    if nuisance.blur * resolution > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), nuisance.blur * resolution)
    if nuisance.noise:
        rng = np.random.default_rng((nuisance.seed, 2))
        height, width = picture.shape[:2]
        rows = (np.arange(height) + rng.integers(_GRAIN)) % _GRAIN
        columns = (np.arange(width) + rng.integers(_GRAIN)) % _GRAIN
        picture = picture + np.float32(nuisance.noise) * _grain()[rows[:, None], columns[None, :]]
    return (np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
