"""The regions of action units in PyTorch: where they show, how they move, and back into the face.

As `tfface.layers.regional` has it, with the AUs in the first axis: (n, B, channels, h, w).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tfface.facs.landmarks import mean_face
from tfface.facs.regions import INNER_EYE_CORNERS, STACKED, center_points


class Regions(nn.Module):
    """Cuts the regions out of a face, and puts them back (Eq. 1 and 2).

    Args:
        layer: `RegionalAttention`, of whole faces, or `RegionalWindows`, of two windows an AU side
            by side.
    """

    def __init__(self, layer):
        super().__init__()
        self.size, self.reach = layer.size, float(layer.reach)
        self.slope = layer.decay / (layer.extent * layer.size)
        self.window = getattr(layer, "window", None)
        self.count = len(layer.action_units)
        points, shifts = center_points(layer.action_units)
        for name, value in (
            ("points", torch.tensor(points)),  # (n, 2, 6)
            ("shifts", torch.tensor(shifts)),  # (n,)
            ("mean_face", torch.tensor(mean_face(layer.size), dtype=torch.float32)),
            ("pixels", torch.arange(self.window or layer.size, dtype=torch.float32)),
        ):
            self.register_buffer(name, value, persistent=False)

    @torch.no_grad()
    def forward(self, face, landmarks):
        """The regions' pixels and attention, and what `compose` needs to put them back.

        Args:
            face: (B, 3, H, W).
            landmarks: (B, 68, 2), NaN where unknown.

        Returns:
            pixels (n, B, 3, h, w), or (1, B, 3, H, W) where all AUs see the whole face; attention
            (n, B, 1, h, w); and the windows' places in the face, (B, n h w), or None.
        """
        centers = self._centers(landmarks)
        if self.window is None:
            each = self._attention(self.pixels, self.pixels, centers)  # (n, B, 2, H, W)
            return face[None], each.amax(2)[:, :, None], None
        attention, places = self._windows(centers)
        places = places.transpose(0, 1).flatten(1)  # (B, n h w)
        pixels = face.flatten(2).gather(2, places[:, None].expand(-1, 3, -1))
        pixels = pixels.unflatten(2, (self.count, self.window, 2 * self.window))
        return pixels.transpose(1, 2).transpose(0, 1).contiguous(), attention[:, :, None], places

    def compose(self, face, regions, attention, asked, places):
        """The face with its regions as they were drawn: Eq. 2, as `RegionalComposition` has it.

        Args:
            face: (B, 3, H, W).
            regions: (n, B, 3, h, w), attention times what was drawn.
            attention: (n, B, 1, h, w).
            asked: (n, B), 1 for an AU that takes part, else 0.
            places: From `forward`.
        """
        asked = asked[:, :, None, None, None]
        total = self._added(asked * regions, places)
        covered = self._added(asked * attention, places)
        edited = face + (total - covered * face) / covered.clamp(min=1.0)
        return torch.where(covered > 0, edited.clamp(0.0, 1.0), face)

    def _added(self, pictures, places):
        """The sum of all AUs' pictures, each at its place: (n, B, C, h, w) to (B, C, H, W)."""
        if places is None:
            return pictures.sum(0)
        pictures = pictures.permute(1, 2, 0, 3, 4).flatten(2)  # (B, C, n h w)
        empty = pictures.new_zeros(*pictures.shape[:2], self.size**2)
        places = places[:, None].expand_as(pictures)
        return empty.scatter_add(2, places, pictures).unflatten(2, (self.size, self.size))

    def _centers(self, landmarks):
        """(n, B, 2, 2): the two centers of each AU, (x, y)."""
        known = landmarks.isfinite().all(-1, keepdim=True)
        landmarks = torch.where(known, landmarks, self.mean_face)
        centers = landmarks[:, self.points].mean(3)  # (B, n, 2, 2)
        right, left = INNER_EYE_CORNERS
        scale = (landmarks[:, left] - landmarks[:, right]).norm(dim=-1)  # (B,)
        centers[..., 1] += (scale[:, None] * self.shifts)[:, :, None]
        return centers.transpose(0, 1).contiguous()

    def _attention(self, x, y, centers):
        """Of each center by itself, (n, B, 2, h, w), for pixels of columns x and rows y."""
        dx = (x - centers[..., :1]).abs()  # (n, B, 2, w)
        dy = (y - centers[..., 1:]).abs()
        value = F.relu(1.0 - self.slope * (dy[..., :, None] + dx[..., None, :]))
        return value * (dy <= self.reach)[..., :, None] * (dx <= self.reach)[..., None, :]

    def _windows(self, centers):
        """Attention and places, (n, B, window, 2 window) each, both windows side by side."""
        corners = (centers - self.reach).floor()
        x, y = corners[..., :1] + self.pixels, corners[..., 1:] + self.pixels
        own, other = (self._attention(x, y, c) for c in (centers, centers.flip(2)))
        # Where the two squares overlap, each window has its part of the attention.
        attention = torch.maximum(own, other) * own / (own + other).clamp(min=1e-6)
        last = self.size - 1
        inside_x, inside_y = ((p >= 0) & (p <= last) for p in (x, y))
        attention = attention * inside_y[..., :, None] * inside_x[..., None, :]
        x, y = (p.clamp(0, last).long() for p in (x, y))
        places = y[..., :, None] * self.size + x[..., None, :]
        return [p.transpose(2, 3).flatten(3) for p in (attention, places)]


class Mover(nn.Module):
    """Moves a region's pixels as a CARG says, smoothly and alike on both sides of the face.

    Args:
        layer: `Regions`' layer.
        reach: The farthest that a pixel moves, in pixels.
        smooth: Side of the squares that movements are averaged over, three times.
        height: Of a region.
        width: Of a region.
    """

    def __init__(self, layer, reach, smooth, height, width):
        super().__init__()
        self.reach, self.smooth = reach, smooth
        self.parts = 2 if hasattr(layer, "window") else 1
        side = width // self.parts
        stacked = self.parts == 2 and np.isin(layer.action_units, list(STACKED))
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, side)
        places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)  # (h, side, 2)
        for name, value in (
            ("places", places),
            ("pixel", 2.0 / torch.tensor([side - 1.0, height - 1.0])),
            ("stacked", torch.tensor(stacked).view(-1, 1, 1, 1, 1)),
            ("mirror", torch.tensor([-1.0, 1.0]).view(2, 1, 1)),
        ):
            self.register_buffer(name, value, persistent=False)

    def forward(self, pixels, drawn):
        """The moved pixels, (n, B, 3, h, w).

        Args:
            pixels: (n or 1, B, 3, h, w).
            drawn: (n, B, 2, h, w), the CARGs' say: along x and y.
        """
        x = drawn.flatten(0, 1)
        for _ in range(3):
            x = F.avg_pool2d(x, self.smooth, 1, self.smooth // 2, count_include_pad=False)
        x = x.view_as(drawn)
        mirrored = x.flip(-1)
        if self.parts == 2:  # Windows one above the other are mirrored each in itself.
            each = self._windows(x).flip(-1).flatten(-2)
            mirrored = torch.where(self.stacked, each, mirrored)
        movement = self.reach * torch.tanh(0.1 * (x + mirrored * self.mirror) / 2)

        n, count = drawn.shape[:2]
        pixels = pixels.expand(n, -1, -1, -1, -1)
        grid = self._windows(movement).permute(0, 1, 4, 3, 5, 2).flatten(0, 2)  # (N, h, side, 2)
        windows = self._windows(pixels).permute(0, 1, 4, 2, 3, 5).flatten(0, 2)  # (N, 3, h, side)
        moved = F.grid_sample(
            windows, self.places + self.pixel * grid, padding_mode="border", align_corners=True
        )
        moved = moved.unflatten(0, (n, count, self.parts)).permute(0, 1, 3, 4, 2, 5)
        return moved.flatten(-2)

    def _windows(self, pictures):
        """(n, B, C, h, w) to (n, B, C, h, parts, side)."""
        return pictures.unflatten(-1, (self.parts, -1))
