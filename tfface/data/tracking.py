"""Faces through a video: who is who from frame to frame, with a detector run only now and then.

On a frame that is not searched, the five points of each face are carried on by pyramidal
Lucas-Kanade optical flow, at a small part of a detection's cost. Flow is checked at each step: a
face that it loses is looked for at once.

Reference:
    Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker", 2000.
    Kalal et al., "Forward-backward error: automatic detection of tracking failures", ICPR 2010.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from tfface.data.alignment import similarity_transform, transform_points
from tfface.data.detection import Detector, Face

# Least overlap (intersection over union) of a track's box and a detection's to be one face.
_LEAST_OVERLAP = 0.3

# Flow sees a face at this many pixels, and half as much again on each side of it: so its cost and
# its limits, in pixels of this view, are the same for small faces and large ones.
_FACE_SIDE = 96
_FLOW = {"winSize": (21, 21), "maxLevel": 3}

# Flow is right only if each point, carried back, comes to within this distance of its start ...
_MOST_RETURN = 1.0
# ... if the points move as one to within this distance (lips and lids have their own ways) ...
_MOST_DISTORTION = 2.5
# ... and if the face looks the same, by correlation: nearly as one frame ago (scene cuts show here)
# and at all as when it was detected (dissolves show here, each step of which looks like the last).
_LEAST_LIKENESS_TO_LAST, _LEAST_LIKENESS_TO_DETECTED = 0.8, 0.5

# Where looks are compared: a square of this side, and where in it the five points are laid.
_LOOK_SIDE = 48
_LOOK_POINTS = _LOOK_SIDE * np.array(
    [[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]]
)


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face of one frame of a video, and which of the video's faces it is.

    Attributes:
        face_id: The face's number in this video, from 0 in the order of appearance.
        face: Box and points in this frame; the score is that of the last detection.
        detected: Whether the detector found it in this frame; else flow carried it here.
    """

    face_id: int
    face: Face
    detected: bool


class FaceTracker:
    """Finds the faces of a video and knows them again; one tracker a video.

    Call it once for every frame, in order. What it keeps is bounded: a small gray picture for each
    face that was seen not longer than `patience` ago. It knows a face again by its place alone: of
    two people who take turns at one place it makes one.

    Args:
        detector: What finds faces in a picture.
        every: Frames from one search to the next, at least 1 (every frame is searched). Between two
            searches known faces are carried by flow; when one is lost, the frame is searched at
            once. While no face is known, nothing is found until the next search.
        patience: For how many frames a face may be away, at least 0: found again after them where
            it was last seen, it is the same face. The default is a second at 25 frames a second.

    Raises:
        ValueError: If `every` or `patience` is no such number.
    """

    def __init__(self, detector: Detector, every: int = 1, patience: int = 25):
        for name, value, least in (("every", every, 1), ("patience", patience, 0)):
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f"`{name}` must be an integer of at least {least}. Received: {value!r}."
                )
        self._detector, self._every, self._patience = detector, every, patience
        self._tracks: list[_Track] = []
        self._frame = -1  # the number of the frame at hand
        self._next_search = 0
        self._next_id = 0

    def __call__(self, image: np.ndarray) -> list[TrackedFace]:
        """Finds the faces of the next frame.

        Args:
            image: (height, width, 3) uint8, RGB.

        Returns:
            The faces, in the order of their numbers; empty if there is none.

        Raises:
            ValueError: If `image` is no such array.
        """
        self._frame += 1
        detected = self._frame >= self._next_search or not self._carry(image)
        if detected:
            self._search(image)
        visible = [track for track in self._tracks if track.seen == self._frame]
        if self._every > 1:
            for track in visible:
                track.remember(image, detected)
        return [TrackedFace(track.face_id, track.face, detected) for track in visible]

    def _carry(self, image: np.ndarray) -> bool:
        """Carries the faces of the last frame into this one by flow; False if one is lost."""
        current = [track for track in self._tracks if track.seen == self._frame - 1]
        carried = [track.carried(image) for track in current]
        if any(face is None for face in carried):
            return False
        for track, face in zip(current, carried, strict=True):
            track.see(face, self._frame)
        return True

    def _search(self, image: np.ndarray) -> None:
        """Detects the faces of this frame and gives each its number."""
        faces = self._detector.detect(image)
        self._next_search = self._frame + self._every
        self._tracks = [
            track for track in self._tracks if self._frame - track.seen - 1 <= self._patience
        ]
        # Faces of the last frame come first: one that was lost at the same place must not take the
        # detection of one that is still there.
        current = [track for track in self._tracks if track.seen == self._frame - 1]
        lost = [track for track in self._tracks if track.seen < self._frame - 1]
        for tracks, boxes in (
            (current, [track.expected for track in current]),
            (lost, [track.face.box for track in lost]),
        ):
            pairs = _matched(boxes, [face.box for face in faces])
            for row, column in pairs:
                tracks[row].see(faces[column], self._frame)
            taken = {column for _, column in pairs}
            faces = [face for column, face in enumerate(faces) if column not in taken]
        for face in faces:
            self._tracks.append(_Track(self._next_id, face, self._frame))
            self._next_id += 1


class _Track:
    """What is known of one face: its number, where it was last, where it goes, how it looks."""

    def __init__(self, face_id: int, face: Face, frame: int):
        self.face_id, self.face = face_id, face
        self.seen = frame  # the last frame that showed it
        self.expected = face.box  # in the frame after that
        self._glimpse: _Glimpse | None = None
        self._look_when_detected: np.ndarray | None = None

    def see(self, face: Face, frame: int) -> None:
        """Notes where the face is in a frame."""
        self.expected = face.box
        if frame == self.seen + 1:
            # On as fast as before: two people who pass each other would else swap numbers.
            step = _center(face.box) - _center(self.face.box)
            self.expected = (face.box[0] + step[0], face.box[1] + step[1], *face.box[2:])
        self.face, self.seen = face, frame

    def remember(self, image: np.ndarray, detected: bool) -> None:
        """Keeps what flow needs of the frame that was seen."""
        self._glimpse = _Glimpse(self.face, image)
        if detected:
            self._look_when_detected = self._glimpse.look

    def carried(self, image: np.ndarray) -> Face | None:
        """The face in the next frame by flow; None if flow loses it."""
        return self._glimpse.carried(image, self._look_when_detected)


class _Glimpse:
    """A face in one frame as flow needs it: a gray view of its surroundings, and its look.

    Args:
        face: The face.
        image: The frame, (height, width, 3) uint8, RGB; no part of it is kept.
    """

    def __init__(self, face: Face, image: np.ndarray):
        self._face, self._frame_shape = face, image.shape
        last = np.array([image.shape[1] - 1, image.shape[0] - 1])
        side = max(*face.box[2:], 1.0)
        low = np.floor(_center(face.box) - side).astype(int).clip(0, last)
        size = np.ceil(_center(face.box) + side).astype(int).clip(0, last) + 1 - low
        self._corner = low
        self._region = slice(low[1], low[1] + size[1]), slice(low[0], low[0] + size[0])
        self._view_size = np.maximum(1, np.round(size * _FACE_SIDE / side)).astype(int)
        self._zoom = self._view_size / size
        self._view = self._viewed(image)
        self._points = ((face.points - low + 0.5) * self._zoom - 0.5).astype(np.float32)
        self.look = _look(self._view, self._points)

    def carried(self, image: np.ndarray, look_when_detected: np.ndarray) -> Face | None:
        """The face in the next frame by flow; None if that cannot be relied on."""
        if image.shape != self._frame_shape or image.dtype != np.uint8:
            return None
        view = self._viewed(image)
        points, found, _ = cv2.calcOpticalFlowPyrLK(self._view, view, self._points, None, **_FLOW)
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(view, self._view, points, None, **_FLOW)
        if not (found.all() and found_back.all()):
            return None
        if np.linalg.norm(back - self._points, axis=-1).max() > _MOST_RETURN:
            return None
        look = _look(view, points)
        if (
            np.sum(look * self.look) < _LEAST_LIKENESS_TO_LAST
            or np.sum(look * look_when_detected) < _LEAST_LIKENESS_TO_DETECTED
        ):
            return None
        points = ((points + 0.5) / self._zoom - 0.5 + self._corner).astype(np.float32)
        motion = similarity_transform(self._face.points, points)
        apart = (transform_points(self._face.points, motion) - points) * self._zoom
        if np.linalg.norm(apart, axis=-1).max() > _MOST_DISTORTION:
            return None
        size = np.hypot(*motion[:, 0]) * np.array(self._face.box[2:])
        corner = transform_points(_center(self._face.box), motion) - size / 2
        return Face((*corner.tolist(), *size.tolist()), points, self._face.score)

    def _viewed(self, image: np.ndarray) -> np.ndarray:
        """This glimpse's part of a frame, gray."""
        shrinks = (self._zoom < 1).all()
        part = cv2.resize(
            image[self._region],
            self._view_size.tolist(),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
        return cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)


def _look(view: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A face brought to one place and normalized: two looks' products sum to their correlation."""
    look = np.zeros((_LOOK_SIDE, _LOOK_SIDE), np.float32)
    if np.ptp(points, axis=0).max() < 1:  # no face: like nothing, not even itself
        return look
    matrix = similarity_transform(points, _LOOK_POINTS)
    look += cv2.warpAffine(view, matrix, look.shape, borderMode=cv2.BORDER_REPLICATE)
    look -= look.mean()
    return look / max(np.linalg.norm(look), 1.0)


def _matched(boxes: list[tuple], others: list[tuple]) -> list[tuple[int, int]]:
    """Pairs of indices of the boxes that are one face: those that overlap most find first."""
    overlaps = [
        (_overlap(box, other), i, j)
        for i, box in enumerate(boxes)
        for j, other in enumerate(others)
    ]
    pairs = []
    for overlap, i, j in sorted(overlaps, reverse=True):
        if overlap >= _LEAST_OVERLAP and not any(i == k or j == m for k, m in pairs):
            pairs.append((i, j))
    return pairs


def _overlap(a: tuple, b: tuple) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    either = a[2] * a[3] + b[2] * b[3] - both
    return both / either if either > 0 else 0.0


def _center(box: tuple) -> np.ndarray:
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])
