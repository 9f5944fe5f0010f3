"""What `tfface recognize` finds as csv and as JSON, written frame by frame: nothing is kept."""

import csv
import dataclasses
import json

from tfface.commands.files import as_text


@dataclasses.dataclass(frozen=True)
class Source:
    """One picture or video that is read.

    Attributes:
        file: Its name as the user gave it.
        is_video: Whether it is a video.
        fps: A video's frames a second; None for a picture.
    """

    file: str
    is_video: bool = False
    fps: float | None = None


class Writer:
    """Where the frames of pictures and videos go, one after another: by itself, nowhere."""

    def begin(self, source):
        """Turns to the next Source."""

    def add(self, frame):
        """Writes its next RecognizedFrame."""

    def end(self, missing):
        """Ends it, with the number of its frames that could not be read; None if that is open."""

    def close(self):
        """Ends the output."""


class CsvWriter(Writer):
    """Rows in OpenFace's names: one a face, or one a frame that has none, with success 0.

    As in OpenFace, frames count from 1, faces from 0, and the time is in seconds from 0. A picture
    is frame 1 at 0 seconds.

    Args:
        stream: Text stream to write to.
        action_units: Numbers of the AUs, in the order of the probabilities.
        threshold: Probability from which on an AU is present.
        several: Whether a first column names the file.
    """

    def __init__(self, stream, action_units, threshold, several=False):
        self._rows = csv.writer(stream, lineterminator="\n")
        self._threshold, self._several = threshold, several
        self._file = []
        self._empty = [""] * (4 + 2 * len(action_units))
        names = au_names(action_units)
        self._rows.writerow(
            [
                *(["file"] if several else []),
                *("frame", "face_id", "timestamp", "confidence", "success"),
                *("x", "y", "width", "height"),
                *(f"{name}_c" for name in names),
                *(f"{name}_p" for name in names),
            ]
        )

    def begin(self, source):
        self._file = [as_text(source.file)] if self._several else []

    def add(self, frame):
        time = f"{frame.timestamp:.3f}"
        if not frame.faces:
            self._rows.writerow([*self._file, frame.index + 1, "", time, "", 0, *self._empty])
        for tracked, probabilities in zip(frame.faces, frame.probabilities, strict=True):
            self._rows.writerow(
                [
                    *self._file,
                    *(frame.index + 1, tracked.face_id, time, f"{tracked.face.score:.2f}", 1),
                    *(f"{value:.1f}" for value in tracked.face.box),
                    *(int(value >= self._threshold) for value in probabilities),
                    *(f"{value:.4f}" for value in probabilities),
                ]
            )


class JsonWriter(Writer):
    """One JSON object for each picture or video; several are the elements of one array.

    A video's frames stand in lines of their own, so that long ones can be read by line too. What is
    written stays valid JSON when a video is left in its middle.

    Args:
        stream: Text stream to write to.
        action_units: Numbers of the AUs, in the order of the probabilities.
        threshold: Probability from which on an AU is present.
        several: Whether the output is an array.
    """

    def __init__(self, stream, action_units, threshold, several=False):
        self._stream, self._threshold, self._several = stream, threshold, several
        self._names = au_names(action_units)
        self._sources = self._frames = 0
        self._is_video = False
        if several:
            stream.write("[")

    def begin(self, source):
        head = {"file": as_text(source.file), "kind": "video" if source.is_video else "picture"}
        if source.is_video:
            head["fps"] = round(source.fps, 3)
        head |= {"threshold": self._threshold, "action_units": self._names}
        if self._several:
            self._stream.write(",\n" if self._sources else "\n")
        # All but the closing brace.
        self._stream.write(json.dumps(head)[:-1] + (', "frames": [' if source.is_video else ""))
        self._sources += 1
        self._frames, self._is_video = 0, source.is_video

    def add(self, frame):
        faces = [
            self._face(tracked, probabilities)
            for tracked, probabilities in zip(frame.faces, frame.probabilities, strict=True)
        ]
        if not self._is_video:
            self._stream.write(', "faces": ' + json.dumps(faces))
            return
        entry = {"frame": frame.index + 1, "timestamp": round(frame.timestamp, 3), "faces": faces}
        self._stream.write((",\n" if self._frames else "\n") + json.dumps(entry))
        self._frames += 1

    def end(self, missing):
        tail = '\n], "missing_frames": ' + json.dumps(missing) if self._is_video else ""
        self._stream.write(tail + ("}" if self._several else "}\n"))

    def close(self):
        if self._several:
            self._stream.write("\n]\n")

    def _face(self, tracked, probabilities):
        present = probabilities >= self._threshold
        box = zip(("x", "y", "width", "height"), tracked.face.box, strict=True)
        return {
            "face_id": tracked.face_id,
            "confidence": round(float(tracked.face.score), 4),
            "detected": tracked.detected,
            "box": {key: round(float(value), 1) for key, value in box},
            "probabilities": {
                name: round(float(value), 4)
                for name, value in zip(self._names, probabilities, strict=True)
            },
            "present": [name for name, is_ in zip(self._names, present, strict=True) if is_],
        }


def au_names(action_units):
    """Names of action units as OpenFace writes them: AU01, AU12."""
    return [f"AU{number:02d}" for number in action_units]
