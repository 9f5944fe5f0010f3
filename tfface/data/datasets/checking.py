"""A look at a delivered set before hours are spent on it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from tfface.data.datasets.base import PhotoDatasetBuilder
from tfface.data.datasets.frames import Frame, VideoPicture, VideoReader
from tfface.data.datasets.request import (
    RequestError,
    available,
    builder_class_of,
    requested_builder,
)
from tfface.data.photos import read_photo

# Pictures that are opened, evenly over the set: seconds, and a disk half copied shows.
_OPENED = 200


@dataclasses.dataclass(frozen=True)
class Look:
    """What a look at a delivered set found.

    Attributes:
        subjects: Number of people.
        sequences: Number of sequences with labeled pictures.
        frames: Number of pictures that faces would be taken from.
        with_landmarks: Number of these that come with landmarks; the others need the detector.
        without_labels: Number of pictures that would be left out because they have no labels.
        missing: One line for each thing that should be there and is not.
        opened: Number of pictures opened as a sample.
        unreadable: One line for each of those that could not be read.
    """

    subjects: int
    sequences: int
    frames: int
    with_landmarks: int
    without_labels: int
    missing: Sequence[str]
    opened: int
    unreadable: Sequence[str]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing and all that was opened could be read."""
        return bool(self.frames) and not self.missing and not self.unreadable


def look_at(name: str, manual_dir: str | os.PathLike, config_name: str | None = None) -> Look:
    """Reads all lists and labels of a delivered set, and opens a few of its pictures.

    Args:
        name: A data set that is delivered as photographs or videos.
        manual_dir: Its folder as it was delivered.
        config_name: The set's variant, the first if None.

    Raises:
        RequestError: If there is no such data set, variant or folder.
        ValueError: For anything wrong in the lists and labels that would stop a build: a line for
            each.
    """
    if name in available() and not issubclass(builder_class_of(name), PhotoDatasetBuilder):
        raise RequestError(f"{name!r} is made on the spot: there is nothing to check.")
    builder, manual_dir = requested_builder(name, manual_dir, config_name=config_name)
    delivered = builder.delivery(manual_dir)
    sample = _sample(delivered.frames)
    return Look(
        subjects=len({frame.subject for frame in delivered.frames} - {""}),
        sequences=len({(each.subject, each.sequence) for each in delivered.frames} - {("", "")}),
        frames=len(delivered.frames),
        with_landmarks=sum(frame.landmarks is not None for frame in delivered.frames),
        without_labels=sum(delivered.without_labels.values()),
        missing=tuple(delivered.missing),
        opened=len(sample),
        unreadable=_unreadable(sample),
    )


def _sample(frames: Sequence[Frame]) -> list[Frame]:
    """Frames evenly over the set; of each video one, its first, as a later one costs all before."""
    videos = {}
    for frame in frames:
        if isinstance(frame.photo, VideoPicture):
            videos.setdefault(frame.photo.path, frame)
    pictures = [frame for frame in frames if not isinstance(frame.photo, VideoPicture)]
    return [*videos.values(), *pictures[:: max(1, -(-len(pictures) // _OPENED))]]


def _unreadable(frames: Sequence[Frame]) -> list[str]:
    lines = []
    with VideoReader() as videos:
        for frame in frames:
            try:
                if isinstance(frame.photo, VideoPicture):
                    videos.read(frame.photo)
                elif callable(frame.photo):
                    frame.photo()
                else:
                    read_photo(frame.photo)
                if callable(frame.landmarks):
                    frame.landmarks()
            except ValueError as error:
                lines.append(" ".join(str(error).split()))
    return lines
