"""Photo or video in, action units out: of every face, how likely each is."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from tfface.data.detection import Face, create_detector
from tfface.data.schema import FACE_SIZE
from tfface.data.tracking import FaceTracker, TrackedFace
from tfface.data.videos import VideoFrame
from tfface.facs.action_units import validate_action_units
from tfface.serving.faces import as_in_training, cut_faces
from tfface.serving.loading import BATCH, load_model

# Most frames of a video that wait until there are faces for a batch: where faces are rare the first
# of them should not wait long.
_MOST_WAITING = 64


@dataclasses.dataclass(frozen=True, eq=False)
class RecognizedPhoto:
    """The n faces of a photo and their action units.

    Attributes:
        faces: The n faces, the largest first.
        crops: (n, size, size, 3) float32 in [0, 1], the faces as the network saw them.
        probabilities: (n, n_au) float32, in the order of the predictor's `action_units`.
    """

    faces: tuple[Face, ...]
    crops: np.ndarray
    probabilities: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class RecognizedFrame:
    """The n faces of a video's frame and their action units.

    Attributes:
        index: The frame's number, from 0.
        timestamp: When it is shown, in seconds.
        faces: The n faces, in the order of their numbers, which hold for the whole video.
        probabilities: (n, n_au) float32, in the order of the predictor's `action_units`.
    """

    index: int
    timestamp: float
    faces: tuple[TrackedFace, ...]
    probabilities: np.ndarray


class RecognitionPredictor:
    """Recognizes the action units of the faces of photos and videos with a trained model.

    Each face is aligned and brought to the network's size on the very way that it took in training,
    over a crop of 200 pixels: cut from the photo at once, it would be sharper or softer.

    Args:
        model: An ActionUnitRecognizer, the path of its `.keras` file, a SavedModel's folder, or a
            folder of SavedModel versions, of which the newest is taken.
        detector: What finds faces, as `tfface.data.detection.create_detector` makes it; MTCNN if
            None.

    Attributes:
        action_units: Numbers of the AUs, in the order of the probabilities.
        size: Side of the faces that the network takes, in pixels.

    Raises:
        ValueError: If `model` is no such model or file.

    Example:
        >>> predictor = RecognitionPredictor("savedmodels/recognition")
        >>> result = predictor(read_photo("portrait.jpg"))
        >>> dict(zip(predictor.action_units, result.probabilities[0]))
    """

    def __init__(self, model, detector=None):
        self._model = load_model("recognition", model, "recognize", facts=("action_units",))
        names = self._model.names("action_units", "probabilities")
        self.action_units = validate_action_units(names)
        (self.size, _, _) = self._model.inputs["image"]
        self._detector = detector or create_detector()

    def __call__(self, photo: np.ndarray) -> RecognizedPhoto:
        """Recognizes the action units of a photo's faces.

        Args:
            photo: (height, width, 3) uint8, RGB.

        Returns:
            RecognizedPhoto, without a face if the photo has none.

        Raises:
            ValueError: If the photo is no such array, or as `recognize` does.
        """
        found = self._detector.detect(photo)
        kept, cut, _ = cut_faces(photo, found, FACE_SIZE)
        crops = as_in_training(cut, self.size)
        return RecognizedPhoto(tuple(found[i] for i in kept), crops, self.recognize(crops))

    def frames(self, video: Iterable[VideoFrame], every: int = 1) -> Iterator[RecognizedFrame]:
        """Recognizes the action units of a video's faces, as a stream.

        Memory holds the faces of one batch, however long the video is; faces of several frames go
        through the network together.

        Args:
            video: Its frames in order, as `tfface.data.videos.open_video` gives them.
            every: Frames from one search for faces to the next, as in `FaceTracker`.

        Yields:
            RecognizedFrame for each frame in order, without a face where there is none.

        Raises:
            ValueError: If `every` is below 1, or as `recognize` does.
        """
        track = FaceTracker(self._detector, every)
        waiting, crops = [], []
        for frame in video:
            found = track(frame.image)
            kept, cut, _ = cut_faces(frame.image, [tracked.face for tracked in found], FACE_SIZE)
            if waiting and (len(crops) + len(cut) > BATCH or len(waiting) == _MOST_WAITING):
                yield from self._finished(waiting, crops)
                waiting, crops = [], []
            waiting.append((frame.index, frame.timestamp, tuple(found[i] for i in kept)))
            crops += cut
        yield from self._finished(waiting, crops)

    def recognize(self, crops: np.ndarray) -> np.ndarray:
        """Recognizes the action units of aligned faces.

        Args:
            crops: (n, size, size, 3) float32 in [0, 1].

        Returns:
            (n, n_au) float32: each action unit's probability.

        Raises:
            ValueError: If `crops` has another shape, or what the network answers is not finite.
        """
        crops = np.asarray(crops, np.float32)
        if crops.ndim != 4 or crops.shape[1:] != (self.size, self.size, 3):
            raise ValueError(
                f"`crops` must have shape (n, {self.size}, {self.size}, 3). "
                f"Received: {crops.shape}."
            )
        return self._model(image=crops)["probabilities"]

    def _finished(self, waiting, crops):
        probabilities = self.recognize(as_in_training(crops, self.size))
        start = 0
        for index, timestamp, faces in waiting:
            stop = start + len(faces)
            yield RecognizedFrame(index, timestamp, faces, probabilities[start:stop])
            start = stop
