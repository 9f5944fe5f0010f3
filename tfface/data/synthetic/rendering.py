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
from tfface.data.synthetic.shading import develop, shade
from tfface.data.synthetic.tracing import trace_back
from tfface.facs import landmarks as scheme

_FINER = 1.3  # resolution of an identity's canvas, in that of the picture


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
    color, alpha, gloss, hair = head.assemble(canvas, identity, outline, points, face, gloss)
    depth = surface.depth(canvas, identity, points, outline)
    # Hair bridges the edge of the skull.
    bridged = cv2.GaussianBlur(depth, (0, 0), 0.05 * canvas.resolution)
    relaxed = surface.depth(muscles.NODES, identity, points, outline)
    return Head(
        identity=identity,
        canvas=canvas,
        landmarks=points,
        color=np.ascontiguousarray(np.concatenate([color, gloss[..., None]], -1), np.float32),
        alpha=alpha,
        depth=fields.mix(depth, bridged, hair),
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
    # The camera exposes for the face: a little longer for dark skin.
    exposure = nuisance.exposure * (0.96 + 0.22 * drawn.identity.skin_tone)
    nuisance = dataclasses.replace(nuisance, exposure=exposure)
    upper, lower = drawn.muscles.displacement(intensities)
    motions = muscles.lid_motion(drawn.identity, intensities, nuisance.droop)
    landmarks = _move_landmarks(drawn, upper, lower, motions, nuisance)
    trace = trace_back(drawn.smooth_depth, drawn.mouth, upper, lower, nuisance, window)

    sampled = fields.sample_at(drawn.canvas, drawn.color, trace.place)
    # OpenCV takes channels apart several times faster than NumPy.
    color, gloss = cv2.cvtColor(sampled, cv2.COLOR_RGBA2RGB), cv2.extractChannel(sampled, 3)
    alpha = fields.sample_at(drawn.canvas, drawn.alpha, trace.place)
    relief = _expressed_depth(drawn, intensities)
    depth = fields.sample_at(drawn.canvas, relief, trace.place)

    softness = 1.0 / window.resolution
    _paint_mouth(drawn, color, depth, trace, landmarks, lower)
    places = []
    for side, eye in enumerate(drawn.eyes):
        points = landmarks[scheme.RIGHT_EYE if side == 0 else scheme.LEFT_EYE]
        box = window.slices(points.min(axis=0) - 0.055, points.max(axis=0) + 0.050)
        gaze = np.float32(nuisance.gaze) * (0.016, 0.006)
        opened = eyes.paint(color[box], gloss[box], trace.place[box], eye, motions[side],
                            drawn.identity, gaze, softness)  # fmt: skip
        places.append((box, opened, eye, motions[side], gaze))

    color = shade(color, depth, gloss, nuisance, window.resolution)
    for box, opened, eye, motion, gaze in places:
        glint = eyes.highlight(trace.place[box], eye, motion, gaze, nuisance.light)
        color[box] += (0.75 * opened * glint * nuisance.exposure)[..., None]
    if drawn.glasses is not None:
        color = _put_on_glasses(drawn, color, trace.frontal())
    return color, alpha, landmarks


def _move_landmarks(drawn, upper, lower, motions, nuisance):
    points = drawn.landmarks.copy()
    for side, part in enumerate((scheme.RIGHT_EYE, scheme.LEFT_EYE)):
        # The scheme walks an eye's upper lid from the image's left, and back along the lower lid.
        points[part] = drawn.eyes[side].landmarks(motions[side])
    moved = muscles.moved(points, upper)
    moved[muscles.BELOW_LIPS] = muscles.moved(points[muscles.BELOW_LIPS], lower)
    return pose.turn(moved, muscles.sampled(moved, drawn.smooth_depth), nuisance)


def _expressed_depth(drawn, intensities):
    depth = drawn.depth.copy()
    for k in np.flatnonzero(intensities):
        relief = drawn.reliefs[k]
        depth[relief.rows, relief.columns] += np.float32(intensities[k] / 5.0) * relief.depth
    return depth


def _paint_mouth(drawn, color, depth, trace, landmarks, lower):
    points = landmarks[scheme.INNER_LIPS]
    box = trace.window.slices(points.min(axis=0) - 0.03, points.max(axis=0) + 0.03)
    cover = trace.gap[box]
    if cover.size == 0 or cover.max() < 1e-3:
        return
    chin = muscles.sampled(drawn.landmarks[57:58], lower)[0, 1]
    jaw = float(max(0.0, chin - 0.02))
    apart = (trace.upper_lip[box], trace.lower_lip[box])
    softness = 1.0 / trace.window.resolution
    place = trace.frontal(box)
    mouth.paint_cavity(color[box], cover, place, apart, drawn.mouth, jaw, softness)
    depth[box] -= 0.035 * cover


def _put_on_glasses(drawn, color, frontal):
    layer = fields.sample_at(drawn.canvas, drawn.glasses, frontal)
    return color * (1.0 - layer[..., 3:]) + layer[..., :3]
