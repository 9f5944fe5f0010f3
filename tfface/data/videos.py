"""Videos on disk, whatever their container, frame by frame as RGB arrays.

A video is read as a stream: memory holds a frame or two, however long the video is.
`open_video` turns phone clips, screen recordings and half-copied files into the same thing, upright
`(height, width, 3)` uint8 RGB frames with their times, or says in one line why it cannot. OpenCV
decodes, with the FFmpeg inside its wheel.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

# Containers that FFmpeg may open, by its own names. Beside videos it opens text as pictures of a
# terminal, and playlists and scripts that make it fetch further files, from the network too.
_CONTAINERS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "avi", "matroska", "webm", "mpegts", "mpeg",
    "mpegvideo", "flv", "asf", "ogg",
)  # fmt: skip

SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mpg",
    ".mpeg", ".flv", ".wmv", ".asf", ".ogv",
)  # fmt: skip

# Frames a second of a video whose container gives none, or one that no camera reaches (a clock's
# rate, as containers without a frame rate have it).
_USUAL_FPS, _MOST_FPS = 25.0, 1000.0

# A decoder fails at a damaged frame as it does at the end of the file, and only asking on tells
# which it was. So many failures in a row are the end.
_MOST_FAILURES = 1000

_OPENING = threading.Lock()


class VideoError(ValueError):
    """A video that cannot be read; the message is one line: file, rule, reason."""


@dataclasses.dataclass(frozen=True, eq=False)
class VideoFrame:
    """One picture of a video.

    Attributes:
        index: Its number among the frames that could be read, from 0.
        timestamp: When it is shown, in seconds from the video's start; grows from frame to frame.
        image: (height, width, 3) uint8, RGB, upright, own memory.
    """

    index: int
    timestamp: float
    image: np.ndarray


class Video:
    """A video that is being read, made by `open_video`: an iterator over its frames, once.

    A context manager, which closes the file at the end of its block.

    Attributes:
        path: The file.
        fps: Frames a second by the container's account, of a video with a variable rate their mean;
            25 where it has none.
        frame_count: How many frames the container announces; None if it does not. Only MP4, MOV and
            AVI count their frames. For other containers this is length times rate: an estimate.
        size: (height, width) of a frame, in pixels.
        frames_read: How many frames were given so far.
    """

    def __init__(self, path: Path, capture: cv2.VideoCapture, counted: bool, max_pixels: int):
        self.path = path
        self._capture, self._counted = capture, counted
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if 0 < fps <= _MOST_FPS else _USUAL_FPS
        announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_count = int(announced) if announced >= 1 else None
        width, height = (
            int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if width * height > max_pixels:
            raise VideoError(
                f"{path}: must have at most {max_pixels} pixels a frame. "
                f"Received: {width} x {height} = {width * height}."
            )
        self.frames_read = 0
        self._ended = False
        self._timestamp = -math.inf
        # The first frame is read ahead, so that a file without any is refused before work begins.
        self._next = self._decoded()
        if self._next is None:
            received = "no frames"
            if self.frame_count is not None:
                received = f"{self.frame_count} announced, but damaged or cut off"
            raise VideoError(
                f"{path}: must be a video with frames that can be read. Received: {received}."
            )
        self.size = self._next.image.shape[:2]

    @property
    def missing(self) -> int:
        """How many announced frames did not come; 0 until the last frame was given.

        Of a container that counts its frames, those that are damaged, cut off or hidden by an edit.
        Of another, what lacks at the end, if that is a second or more: its length is that of the
        sound too.
        """
        if not self._ended or self.frame_count is None:
            return 0
        if self._counted:
            return max(0, self.frame_count - self.frames_read)
        lacking = self.frame_count - 1 - round(self._timestamp * self.fps)
        return lacking if lacking >= self.fps else 0

    def close(self) -> None:
        """Closes the file; no frame comes after."""
        self._capture.release()
        self._next = None

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        return self

    def __next__(self) -> VideoFrame:
        frame = self._next
        if frame is None:
            raise StopIteration
        self.frames_read += 1
        self._next = self._decoded()
        self._ended = self._next is None
        return frame

    def _decoded(self) -> VideoFrame | None:
        """The next frame that can be decoded; damaged ones are passed over."""
        with _silent_opencv():
            for _ in range(_MOST_FAILURES):
                found, image = self._capture.read()
                if found:
                    break
            else:
                return None
            seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        self._timestamp = self._time(seconds)
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return VideoFrame(self.frames_read, self._timestamp, image)

    def _time(self, seconds: float) -> float:
        """The container's time of a frame if it has a sane one, else one frame after the last."""
        if math.isfinite(seconds) and seconds >= 0 and seconds > self._timestamp:
            return seconds
        return max(0.0, self._timestamp + 1 / self.fps)


def open_video(path: str | os.PathLike, max_pixels: int = 40_000_000) -> Video:
    """Opens a video of any common container and codec.

    The display rotation that phones write is applied. A frame that is damaged or cut off is left
    out, and counted by `Video.missing`; what a codec draws onto the rest of a picture whose
    predecessor was lost cannot be told from a picture.

    Args:
        path: The file.
        max_pixels: Most pixels (width x height) of a frame. The default has room for 8K.

    Returns:
        The video, to be closed (or used in a `with`) and iterated once.

    Raises:
        VideoError: If the file is not there, is empty, is no video, is damaged so that no frame can
            be read, or has frames of more than `max_pixels` pixels.

    Example:
        >>> with open_video("clip.mp4") as video:
        ...     for frame in video:
        ...         print(frame.index, frame.timestamp, frame.image.shape)
    """
    path = Path(path)
    if not os.path.isfile(path):  # Path.is_file raises where a name is too long
        received = "a folder" if os.path.isdir(path) else "no such file"
        raise VideoError(f"{path}: must be a video file. Received: {received}.")
    try:
        with open(path, "rb") as file:
            head = file.read(12)
            if not head:
                raise VideoError(f"{path}: must be a video. Received: an empty file (0 bytes).")
            # By its number: FFmpeg takes some names for protocols or for numbered pictures, and
            # OpenCV crashes at one that is not UTF-8.
            capture = _captured(f"/proc/self/fd/{file.fileno()}")
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror or error}).") from error
    try:
        if not capture.isOpened():
            raise VideoError(
                f"{path}: must be a video (MP4, MOV, AVI, MKV, WebM, ...). "
                "Received: none, or a damaged one."
            )
        counted = head[4:8] == b"ftyp" or head[:4] == b"RIFF"
        return Video(path, capture, counted, max_pixels)
    except VideoError:
        capture.release()
        raise


def is_video_name(path: str | os.PathLike) -> bool:
    """Whether a file's name ends as videos do that `open_video` reads (.mp4, .MOV ...)."""
    return Path(path).suffix.lower() in SUFFIXES


def _captured(path: str) -> cv2.VideoCapture:
    """Opens a file with FFmpeg, told to be silent and to keep to this one file.

    OpenCV takes both from the environment alone: the options whenever it opens a file, the log
    level when the process uses FFmpeg for the first time (who did that before hears FFmpeg on).
    """
    options = {
        "fflags": "discardcorrupt",  # else the half of a picture that ends the file is filled up
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(_CONTAINERS),
    }
    settings = {
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": "|".join(f"{k};{v}" for k, v in options.items()),
        "OPENCV_FFMPEG_LOGLEVEL": os.environ.get("OPENCV_FFMPEG_LOGLEVEL", "-8"),  # AV_LOG_QUIET
    }
    with _OPENING, _silent_opencv():
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            return cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@contextlib.contextmanager
def _silent_opencv() -> Iterator[None]:
    """Keeps OpenCV's own log, which repeats what is raised here, off the terminal."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
