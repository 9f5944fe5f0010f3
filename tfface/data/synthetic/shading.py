"""Light and camera: a surface is lit from the slopes of its depth, and the picture developed."""

import functools

import cv2
import numpy as np

from tfface.data.synthetic import pose

_GRAIN = 512


def shade(color, depth, gloss, nuisance, resolution):
    """Lights a surface: key light, light from all around, hollows, cast shadow and shine.

    Args:
        color: (h, w, 3) float32 color in even light.
        depth: (h, w) float32 depth toward the viewer in face units.
        gloss: (h, w) float32, 1 for skin.
        nuisance: A `pose.Nuisance`.
        resolution: Pixels a face unit.

    Returns:
        (h, w, 3) float32.
    """
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
    # A camera's shoulder: bright skin keeps its color instead of clipping.
    return np.minimum(lit, 0.45 * lit + np.float32(0.41))


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
    longest = round(0.11 * resolution) + 1
    padded = cv2.copyMakeBorder(depth, *(4 * [longest]), cv2.BORDER_REPLICATE)
    height, width = depth.shape
    for reach in (0.03, 0.065, 0.11):
        column, row = (longest + round(reach * resolution * part / side) for part in (lx, ly))
        toward = padded[row : row + height, column : column + width]
        rise = toward - depth - np.float32(reach * lz / side)
        np.maximum(shadow, np.clip(rise * np.float32(0.9 / reach), 0.0, 1.0), out=shadow)
    return cv2.GaussianBlur(shadow, (0, 0), 0.010 * resolution)


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
        grain = _grain()
        if max(height, width) > _GRAIN:
            grain = np.tile(grain, (-(-height // _GRAIN), -(-width // _GRAIN), 1))
        top = rng.integers(grain.shape[0] - height + 1)
        left = rng.integers(grain.shape[1] - width + 1)
        grain = grain[top : top + height, left : left + width]
        picture = picture + np.float32(nuisance.noise) * grain
    return (np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
