"""What a delivered set holds, before a picture is opened: its frames, labels and gaps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfface.data.photos import PhotoError
from tfface.data.videos import VideoError, open_video


@dataclasses.dataclass(frozen=True)
class VideoPicture:
    """One picture of a video.

    Attributes:
        path: The video.
        number: Its position, from 0, by the video's own clock: a damaged frame before it does not
            move it.
    """

    path: Path
    number: int


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture of one face as a data set delivers it, with its labels.

    Attributes:
        key: Name within the set: unique, and what the report calls the frame.
        photo: The picture's file, a video's picture, or a function that returns it as (height,
            width, 3) uint8 RGB or raises `PhotoError`.
        subject: The person.
        au: (n_au,) float32, 1 present, 0 absent, NaN not coded.
        au_intensity: (n_au,) float32, 0 to 5, NaN not coded.
        sequence: The video.
        frame: The position in it.
        expression: Class id, -1 not labeled.
        phase: 0 neutral to 1 peak, NaN unknown.
        landmarks: (68, 2) float32 in pixels of the picture, NaN where unknown; or a function that
            reads them when the picture is opened, and raises ValueError where they are damaged; or
            None.
        split: The set's own split, or None where splits are made by subject.
    """

    key: str
    photo: Path | VideoPicture | Callable[[], np.ndarray]
    subject: str
    au: np.ndarray
    au_intensity: np.ndarray
    sequence: str = ""
    frame: int = 0
    expression: int = -1
    phase: float = float("nan")
    landmarks: np.ndarray | Callable[[], np.ndarray] | None = None
    split: str | None = None


@dataclasses.dataclass(frozen=True)
class Delivery:
    """What the lists and labels of a delivered set say.

    Attributes:
        frames: The pictures to take faces from.
        action_units: The AUs in the order of `Frame.au`.
        expressions: The expressions' names in the order of their class ids.
        without_labels: By sequence, how many of its pictures are left out because neither an AU nor
            an expression is known of them.
        missing: One line for each thing that should be there and is not, beginning with its place.
    """

    frames: Sequence[Frame]
    action_units: tuple[int, ...]
    expressions: tuple[str, ...] = ()
    without_labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    missing: Sequence[str] = ()


class VideoReader:
    """Gives pictures of videos; those asked for in rising order take one pass over their video."""

    def __init__(self):
        self._path: Path | None = None
        self._video = None
        self._failure: str | None = None
        self._frames = None
        self._next = None
        self._last = -1

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exception) -> None:
        self._close()

    def read(self, picture: VideoPicture) -> np.ndarray:
        """The picture as (height, width, 3) uint8 RGB.

        Raises:
            PhotoError: If the video cannot be read, ends before, or is damaged there.
        """
        if picture.path != self._path or picture.number <= self._last:
            self._open(picture.path)
        if self._failure:
            raise PhotoError(self._failure)
        self._last = picture.number
        while self._next is not None and self._number(self._next) < picture.number:
            self._next = next(self._frames, None)
        if self._next is None:
            raise PhotoError(
                f"{picture.path}: must have a frame {picture.number + 1}. "
                f"Received: a video that ends after {self._video.frames_read} frames."
            )
        if self._number(self._next) > picture.number:
            raise PhotoError(f"{picture.path}: frame {picture.number + 1} is damaged.")
        return self._next.image

    def given(self, frame: Frame) -> np.ndarray | PhotoError | None:
        """A frame's picture or why there is none, if it comes from a video; else None."""
        if not isinstance(frame.photo, VideoPicture):
            return None
        try:
            return self.read(frame.photo)
        except PhotoError as error:
            return error

    def _number(self, frame) -> int:
        """A frame's place by its time: frames that were too damaged to be read count as well."""
        return math.floor(frame.timestamp * self._video.fps + 0.5)

    def _open(self, path: Path) -> None:
        self._close()
        self._path, self._last, self._failure = path, -1, None
        try:
            self._video = open_video(path)
        except VideoError as error:
            self._failure = str(error)
            return
        self._frames = iter(self._video)
        self._next = next(self._frames, None)

    def _close(self) -> None:
        if self._video is not None:
            self._video.close()
        self._video = self._frames = self._next = None
