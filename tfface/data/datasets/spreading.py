"""The faces of a large set, cut on the workers of an Apache Beam runner.

Beam does what `faces.cut_frames` does with threads: it opens the pictures, finds the faces and
aligns them. What comes of a group of frames is one file beside the records to be, which every
worker must be able to write (on several machines: a shared disk under the same path); this process
then writes the records, so that a set is the same whichever way it was made.

Apache Beam is an extra (`pip install "tfface[tfds]"`), imported only here and when asked for.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tfface.atomic import written_aside
from tfface.data.datasets.faces import AlignedFace, Cut, FaceStore
from tfface.data.datasets.frames import Frame, VideoPicture, VideoReader
from tfface.data.schema import N_LANDMARKS

# Pictures that one worker takes at a time; a video's are taken together, as it is read in order.
_GROUP = 64


def beam_options(text: str | None):
    """Beam's options from `tfds build`'s notation, such as "runner=DirectRunner,num_workers=2".

    Returns:
        apache_beam PipelineOptions, or None if `text` is None.

    Raises:
        ValueError: If Beam is not installed, or the text is not of that form.
    """
    if text is None:
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise ValueError('Beam options need Apache Beam: pip install "tfface[tfds]".') from error
    parts = text.split(",")
    if not all(part.partition("=")[0].strip() for part in parts):
        raise ValueError(
            f"Beam options must be NAME=VALUE or NAME, separated by commas. Received: {text!r}."
        )
    return PipelineOptions(flags=[f"--{part.strip()}" for part in parts])


def cut_frames_on_beam(
    frames: Sequence[Frame],
    make_cut: Callable[[], Cut],
    store: FaceStore,
    *,
    folder: str | os.PathLike,
    options=None,
    runner=None,
) -> None:
    """Does what `cut_frames` does, on a Beam runner.

    Args:
        frames: The frames; those of a video together and in its order.
        make_cut: Called in each worker, makes its `FaceCutter` or `PictureKeeper`.
        store: Takes the faces, and the frames that gave none.
        folder: Where the workers' files wait until they are taken in.
        options: Beam's PipelineOptions, or None for its defaults.
        runner: Beam's runner or its name, or None for the options' own.
    """
    import apache_beam as beam

    workplace = Path(tempfile.mkdtemp(prefix="faces-", dir=folder))
    groups = list(_groups(frames))
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            _ = (
                pipeline
                | beam.Create(list(enumerate(groups)))
                | beam.Reshuffle()
                | beam.Map(_GroupCutter(make_cut, workplace))
            )
        for number, group in enumerate(groups):
            file = _file(workplace, number)
            for frame, aligned in zip(group, _read(file), strict=True):
                store.add(frame, aligned)
            file.unlink()
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _groups(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    for video, together in itertools.groupby(frames, _video):
        together = list(together)
        step = _GROUP if video is None else len(together)
        for first in range(0, len(together), step):
            yield together[first : first + step]


def _video(frame: Frame) -> Path | None:
    return frame.photo.path if isinstance(frame.photo, VideoPicture) else None


class _GroupCutter:
    """Cuts the faces of a numbered group of frames and writes them into its file."""

    def __init__(self, make_cut: Callable[[], Cut], workplace: Path):
        self._make_cut = make_cut
        self._workplace = workplace
        self._cut: Cut | None = None

    def __getstate__(self):
        # A cutter may hold a detector and a lock; a worker makes its own.
        return {**self.__dict__, "_cut": None}

    def __call__(self, numbered: tuple[int, list[Frame]]) -> None:
        number, frames = numbered
        if self._cut is None:
            self._cut = self._make_cut()
        with VideoReader() as videos:
            faces = [self._cut(frame, videos.given(frame)) for frame in frames]
        _write(_file(self._workplace, number), faces)


def _file(workplace: Path, number: int) -> Path:
    return workplace / f"{number:06d}.npz"


def _write(file: Path, faces: Sequence[AlignedFace]) -> None:
    """Whole or not at all: a runner may try a group again, or twice at once."""
    unknown = np.full((N_LANDMARKS, 2), np.nan, np.float32)
    with written_aside(file) as aside:
        np.savez(
            aside,
            bytes=np.frombuffer(b"".join(face.face for face in faces), np.uint8),
            lengths=np.array([len(face.face) for face in faces], np.int64),
            landmarks=np.stack(
                [unknown if face.landmarks is None else face.landmarks for face in faces]
            ),
            kept=np.array([face.reason is None for face in faces]),
            reasons=np.array([face.reason or "" for face in faces]),
        )


def _read(file: Path) -> Iterator[AlignedFace]:
    with np.load(file) as content:
        stored = {name: content[name] for name in content.files}
    ends = np.cumsum(stored["lengths"])
    for end, length, landmarks, kept, reason in zip(
        ends, stored["lengths"], stored["landmarks"], stored["kept"], stored["reasons"], strict=True
    ):
        face = stored["bytes"][end - length : end].tobytes()
        known = None if np.isnan(landmarks).all() else landmarks
        yield AlignedFace(face, known, None if kept else str(reason))
