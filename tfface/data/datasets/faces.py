"""From delivered photographs to aligned faces: each picture is opened once, several at a time."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from tfface.data.alignment import align, transform_points
from tfface.data.datasets.frames import Frame, VideoReader
from tfface.data.datasets.workers import in_order
from tfface.data.detection import Detector
from tfface.data.photos import PhotoError, read_photo
from tfface.data.schema import FACE_SIZE, N_LANDMARKS
from tfface.facs.landmarks import anchors, anchors_from_five


@dataclasses.dataclass(frozen=True)
class AlignedFace:
    """What became of a frame: an encoded face and its landmarks, or why there is none."""

    face: bytes = b""
    landmarks: np.ndarray | None = None
    reason: str | None = None  # None: kept; "": no face in the picture


Cut = Callable[[Frame, np.ndarray | PhotoError | None], AlignedFace]
"""What makes a face of a frame and, if it comes from a video, of its picture."""


class FaceStore:
    """Aligned faces on their way from photographs to records, kept in a nameless file.

    All faces are found before the first record is written, because which subjects have a usable
    picture, and so which splits there are, is known only then. The faces wait on disk, encoded as
    they will be stored; the file has no name and vanishes with the process. A store is a context
    manager that closes it.

    Args:
        folder: Where the nameless file may grow.

    Attributes:
        kept: Frames with a face, in the order given.
        without_face: Keys of the frames in which no face was found.
        unreadable: {"frame": key, "reason": line} of each frame that could not be used.
    """

    def __init__(self, folder: str | os.PathLike):
        self.kept: list[Frame] = []
        self.without_face: list[str] = []
        self.unreadable: list[dict[str, str]] = []
        self._places: list[tuple[int, int]] = []
        self._landmarks: list[np.ndarray | None] = []
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (lives as long as the store)

    def __enter__(self) -> FaceStore:
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def add(self, frame: Frame, aligned: AlignedFace) -> None:
        """Takes in what became of a frame."""
        if aligned.reason is None:
            self._places.append((self._file.tell(), len(aligned.face)))
            self._file.write(aligned.face)
            self._landmarks.append(aligned.landmarks)
            self.kept.append(frame)
        elif aligned.reason:
            self.unreadable.append({"frame": frame.key, "reason": aligned.reason})
        else:
            self.without_face.append(frame.key)

    def record(self, index: int) -> dict[str, Any]:
        """The one record of `kept[index]`; its image is encoded as PNG."""
        frame = self.kept[index]
        start, length = self._places[index]
        self._file.seek(start)
        landmarks = self._landmarks[index]
        if landmarks is None:
            landmarks = np.full((N_LANDMARKS, 2), np.nan, np.float32)
        return {
            "image": self._file.read(length),
            "landmarks": landmarks,
            "subject": frame.subject,
            "sequence": frame.sequence,
            "frame": frame.frame,
            "au": frame.au,
            "au_intensity": frame.au_intensity,
            "expression": frame.expression,
            "phase": frame.phase,
        }


def cut_frames(
    frames: Sequence[Frame],
    cut: Cut,
    store: FaceStore,
    *,
    workers: int | None = None,
    description: str = "faces",
) -> None:
    """Opens every picture and cuts its face out, under a progress bar.

    Args:
        frames: The frames; those of a video together and in its order, so that it is read once.
        cut: A `FaceCutter`, or a `PictureKeeper` for sets whose pictures are cut already.
        store: Takes the faces, and the frames that gave none.
        workers: Number of pictures worked on at once; None for one a core.
        description: The progress bar's title.
    """
    # disable=None: a bar on a terminal, nothing elsewhere.
    progress = tqdm(None, description, len(frames), unit=" pictures", disable=None)
    with VideoReader() as videos, progress:
        # A video's pictures are read here, in its order; everything else is the workers'.
        jobs = ((frame, videos.given(frame)) for frame in frames)
        results = in_order(lambda job: cut(*job), jobs, workers)
        for frame, aligned in zip(frames, results, strict=True):
            store.add(frame, aligned)
            progress.update()


class FaceCutter:
    """Turns a frame into an aligned face; shared by the threads.

    The face is where the frame's landmarks are; without usable landmarks it is the largest one that
    the detector finds.

    Args:
        make_detector: Called once, at the first frame that has no usable landmarks.
        size: Side of the aligned face in pixels.
    """

    def __init__(self, make_detector: Callable[[], Detector], size: int = FACE_SIZE):
        self._make_detector = make_detector
        self._size = size
        self._detector: Detector | None = None
        self._lock = threading.Lock()

    def __call__(self, frame: Frame, picture: np.ndarray | PhotoError | None = None) -> AlignedFace:
        """The face of a frame; its picture is opened unless it, or why there is none, is given."""
        try:
            image = _opened(frame, picture)
            landmarks = frame.landmarks() if callable(frame.landmarks) else frame.landmarks
            where = None if landmarks is None else _checked_anchors(landmarks, image)
            if where is None or not _usable(where):
                # OpenFace writes zeros where it lost the face: as good as no landmarks.
                landmarks = None
                faces = self._detect(image)
                if not faces:
                    return AlignedFace(reason="")
                where = anchors_from_five(faces[0].points)
            face, matrix = align(image, where, self._size)
        except ValueError as error:
            return AlignedFace(reason=" ".join(str(error).split()))
        if landmarks is not None:
            landmarks = transform_points(landmarks, matrix)
        return AlignedFace(_encoded(face), landmarks)

    def _detect(self, image):
        with self._lock:
            if self._detector is None:
                self._detector = self._make_detector()
        return self._detector.detect(image)


class PictureKeeper:
    """Takes a frame's whole picture, for sets whose pictures are cut already or show no face.

    Args:
        size: Side of the picture in pixels; one of another size is stretched.
    """

    def __init__(self, size: int = FACE_SIZE):
        self._size = size

    def __call__(self, frame: Frame, picture: np.ndarray | PhotoError | None = None) -> AlignedFace:
        """The picture of a frame; it is opened unless it, or why there is none, is given."""
        try:
            image = _opened(frame, picture)
        except PhotoError as error:
            return AlignedFace(reason=str(error))
        if image.shape[:2] != (self._size, self._size):
            image = cv2.resize(image, (self._size, self._size), interpolation=cv2.INTER_AREA)
        return AlignedFace(_encoded(image))


def _encoded(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()  # OpenCV encodes BGR


def _opened(frame: Frame, picture: np.ndarray | PhotoError | None) -> np.ndarray:
    if isinstance(picture, PhotoError):
        raise picture
    if picture is not None:
        return picture
    return read_photo(frame.photo) if isinstance(frame.photo, Path) else frame.photo()


def _checked_anchors(landmarks: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The anchors, NaN where unknown; raises if one lies off the picture."""
    where = anchors(landmarks)
    height, width = image.shape[:2]
    if ((where < -0.5) | (where > np.array([width, height]) - 0.5)).any():
        raise ValueError(
            f"landmarks must lie on the picture ({width} x {height}). "
            f"Received: eyes and mouth at {np.round(where).tolist()}."
        )
    return where


def _usable(where: np.ndarray) -> bool:
    """Whether three anchors are known and span a face of at least a pixel."""
    return bool(np.isfinite(where).all() and np.ptp(where, axis=0).max() >= 1.0)
