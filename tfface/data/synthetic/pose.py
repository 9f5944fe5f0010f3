"""How a picture is taken: pose, light, camera; and the geometry of the pose."""

import dataclasses

import cv2
import numpy as np

_PIVOT = np.array([0.5, 0.5], np.float32)
_PIVOT_DEPTH = 0.28


@dataclasses.dataclass(frozen=True)
class Nuisance:
    """Everything in a picture that is neither who the face is nor what it expresses.

    The defaults are a frontal face in soft even light, without blur or noise.

    Args:
        seed: Seed of the sensor's noise.
        background_seed: Seed of the background's pattern.
        roll: In-plane turn in radians, clockwise in the image.
        yaw: Turn to the image's right in radians.
        pitch: Nod downward in radians.
        scale: Size factor.
        shift: (x, y) in face units.
        light: (x, y) where the key light stands seen from the face, to the image's right and
            downward, as a share: (0, 0) is the camera, length 1 is a light beside the face.
        contrast: Share of the key light in all light, 0 to 1.
        light_color: RGB factors around 1.
        exposure: Factor of the whole picture's brightness.
        gaze: (x, y) where the eyes look, -1 to 1.
        droop: How far the lids hang, 0 to 1 (closed).
        background: Two RGB colors in [0, 1].
        blur: Standard deviation of the lens's blur in face units.
        noise: Standard deviation of the sensor's noise, in [0, 1] of the image's range.
    """

    seed: int = 0
    background_seed: int = 0
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    scale: float = 1.0
    shift: tuple = (0.0, 0.0)
    light: tuple = (-0.25, -0.40)
    contrast: float = 0.55
    light_color: tuple = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    gaze: tuple = (0.0, 0.0)
    droop: float = 0.0
    background: tuple = ((0.55, 0.56, 0.58), (0.42, 0.43, 0.46))
    blur: float = 0.0
    noise: float = 0.0


def sample_nuisance(rng):
    """Draws the circumstances of one picture.

    Args:
        rng: A `numpy.random.Generator`.

    Returns:
        A `Nuisance`.
    """
    angle = rng.uniform(-np.pi, 0.0)  # from above, from either side
    slant = rng.uniform(0.1, 0.85)
    warmth = 0.02 + 0.04 * rng.standard_normal()
    base = rng.uniform(0.1, 0.85) + 0.055 * rng.standard_normal(3)
    other = base + 0.12 * rng.standard_normal() + 0.05 * rng.standard_normal(3)
    return Nuisance(
        seed=int(rng.integers(2**31)),
        background_seed=int(rng.integers(2**31)),
        roll=float(np.clip(0.045 * rng.standard_normal(), -0.12, 0.12)),
        yaw=float(np.clip(0.12 * rng.standard_normal(), -0.30, 0.30)),
        pitch=float(np.clip(0.07 * rng.standard_normal(), -0.18, 0.18)),
        scale=float(np.clip(1.0 + 0.025 * rng.standard_normal(), 0.93, 1.07)),
        shift=tuple(np.clip(0.010 * rng.standard_normal(2), -0.03, 0.03).tolist()),
        light=(float(slant * np.cos(angle)), float(0.75 * slant * np.sin(angle))),
        contrast=float(rng.uniform(0.30, 0.75)),
        light_color=(1.0 + warmth, 1.0, 1.0 - 1.3 * warmth),
        exposure=float(np.exp(0.12 * rng.standard_normal())),
        gaze=tuple(np.clip(0.35 * rng.standard_normal(2), -1, 1).tolist()),
        droop=float(0.12 * rng.beta(1.0, 3.0)),
        background=tuple(tuple(np.clip(c, 0.03, 0.97).tolist()) for c in (base, other)),
        blur=float(0.0045 * rng.beta(1.2, 2.5)),
        noise=float(0.004 + 0.020 * rng.beta(1.2, 3.0)),
    )


def turn(points, depth, nuisance):
    """Moves points of the frontal face to where the pose shows them.

    Args:
        points: (..., 2) face coordinates.
        depth: (...) their depths in face units.
        nuisance: A `Nuisance`.

    Returns:
        (..., 2) face coordinates in the picture.
    """
    x, y = points[..., 0] - _PIVOT[0], points[..., 1] - _PIVOT[1]
    z = depth - _PIVOT_DEPTH
    cy, sy = np.cos(nuisance.yaw), np.sin(nuisance.yaw)
    cp, sp = np.cos(nuisance.pitch), np.sin(nuisance.pitch)
    x, z = cy * x + sy * z, cy * z - sy * x
    y = cp * y + sp * z
    cr, sr = np.cos(nuisance.roll) * nuisance.scale, np.sin(nuisance.roll) * nuisance.scale
    x, y = cr * x - sr * y, sr * x + cr * y
    return np.stack(
        [x + _PIVOT[0] + nuisance.shift[0], y + _PIVOT[1] + nuisance.shift[1]], axis=-1
    ).astype(np.float32)


def unturn(points, depth_at, nuisance, rounds=5):
    """Inverts `turn`: which points of the frontal face the pose brings to the given places.

    Args:
        points: (..., 2) float32 face coordinates in the picture.
        depth_at: Function from (..., 2) frontal face coordinates to their depths.
        nuisance: A `Nuisance`.
        rounds: Steps of the fixed-point iteration.
    """
    x = points[..., 0] - np.float32(_PIVOT[0] + nuisance.shift[0])
    y = points[..., 1] - np.float32(_PIVOT[1] + nuisance.shift[1])
    cr = np.float32(np.cos(nuisance.roll) / nuisance.scale)
    sr = np.float32(np.sin(nuisance.roll) / nuisance.scale)
    x, y = cr * x + sr * y, cr * y - sr * x
    cy, sy = np.float32(np.cos(nuisance.yaw)), np.float32(np.sin(nuisance.yaw))
    cp, sp = np.float32(np.cos(nuisance.pitch)), np.float32(np.sin(nuisance.pitch))
    frontal = np.empty(points.shape, np.float32)
    u, v = x, y
    frontal[..., 0], frontal[..., 1] = u + _PIVOT[0], v + _PIVOT[1]
    if nuisance.yaw == 0 and nuisance.pitch == 0:
        return frontal
    for _ in range(rounds):
        z = depth_at(frontal) - np.float32(_PIVOT_DEPTH)
        u = (x - sy * z) / cy
        v = (y - sp * (cy * z - sy * u)) / cp
        frontal[..., 0], frontal[..., 1] = u + _PIVOT[0], v + _PIVOT[1]
    return frontal


def light_on_face(nuisance):
    """Returns the unit vector from the face to the key light, in the face's own axes."""
    lx, ly = nuisance.light
    light = np.array([lx, ly, np.sqrt(max(0.05, 1.0 - lx * lx - ly * ly))])
    cy, sy = np.cos(nuisance.yaw), np.sin(nuisance.yaw)
    cp, sp = np.cos(nuisance.pitch), np.sin(nuisance.pitch)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    light = (pitch @ yaw).T @ light
    return (light / np.linalg.norm(light)).astype(np.float32)


def background(canvas, nuisance):
    """Returns the (height, width, 3) blurred scene behind the head."""
    rng = np.random.default_rng((nuisance.background_seed, 1))
    first, second = np.float32(nuisance.background)
    nodes = rng.random((7, 7, 1), np.float32)
    nodes = first + (second - first) * nodes
    height, width = canvas.shape
    return cv2.resize(nodes, (width, height), interpolation=cv2.INTER_LINEAR)
