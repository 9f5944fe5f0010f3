"""Faces in any photo: a box, five points and a score each.

MTCNN (Zhang et al., "Joint face detection and alignment using multi-task cascaded convolutional
networks", 2016) is the default: its weights ship in its wheel, and the papers use it. YuNet,
through `cv2.FaceDetectorYN`, is several times faster for whoever has its model file.
"""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import cv2
import numpy as np

DETECTORS = ("mtcnn", "yunet")

# A photo is searched on a copy of at most this many pixels: a face that fills a 50-megapixel photo
# is found as well on a hundredth of it.
MAX_SEARCHED_PIXELS = 1_000_000

# MTCNN proposes no face under this side, and its pyramid is empty for a smaller picture.
_MTCNN_SMALLEST = 20


@dataclasses.dataclass(frozen=True)
class Face:
    """A face found in a photo.

    Attributes:
        box: (x, y, width, height) in the photo's pixels; may reach over the photo's edge.
        points: (5, 2) float32, in the photo's pixels: right eye, left eye, nose tip, right mouth
            corner, left mouth corner (the subject's own right and left).
        score: The detector's confidence, 0 to 1.
    """

    box: tuple[float, float, float, float]
    points: np.ndarray
    score: float


class Detector:
    """Finds faces on a bounded copy of a photo; subclasses say how. Threads may share one."""

    def detect(self, image: np.ndarray) -> list[Face]:
        """Finds every face in a photo.

        A face that fills the picture lies beyond a detector's largest window: a picture in which
        nothing was found is searched once more with its border widened.

        Args:
            image: (height, width, 3) uint8, RGB.

        Returns:
            The faces, the largest first; empty if there is none.

        Raises:
            ValueError: If `image` is no such array.
        """
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] != 3
        ):
            received = (
                f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
            )
            raise ValueError(
                f"`image` must be a (height, width, 3) uint8 array. Received: {received}."
            )
        height, width = image.shape[:2]
        scale = min(1.0, float(np.sqrt(MAX_SEARCHED_PIXELS / (height * width))))
        if scale < 1.0:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            searched = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        else:
            searched = image
        faces = self._find(searched)
        if not faces:
            pad = max(searched.shape[:2]) // 4 + _MTCNN_SMALLEST
            widened = cv2.copyMakeBorder(searched, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
            faces = [_moved(face, shift=-pad) for face in self._find(widened)]
            faces = [face for face in faces if _inside(face, searched.shape)]
        zoom = np.array([width / searched.shape[1], height / searched.shape[0]])
        faces = [_zoomed(face, zoom) for face in faces]
        return sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)

    def _find(self, image: np.ndarray) -> list[Face]:
        """Faces of one picture, in its own pixels and in any order."""
        raise NotImplementedError


class MTCNNDetector(Detector):
    """MTCNN as the `mtcnn` package ships it, with its three networks compiled."""

    def __init__(self):
        # TensorFlow is loaded only by who detects with it.
        import tensorflow as tf
        from mtcnn import MTCNN

        self._mtcnn = MTCNN()
        for stage, side in zip(self._mtcnn.stages, (None, 24, 48), strict=True):
            # The package calls its Keras models eagerly, layer by layer; one graph, traced once for
            # pictures of every size, is three times as fast.
            signature = [tf.TensorSpec((None, side, side, 3), tf.float32)]
            stage._model = tf.function(stage.model, input_signature=signature)

    def _find(self, image: np.ndarray) -> list[Face]:
        if min(image.shape[:2]) < _MTCNN_SMALLEST:
            return []
        # The numpy output keeps the fractions of a pixel that the package's json rounds away.
        rows = self._mtcnn.detect_faces(image, fit_to_image=False, output_type="numpy")
        return [
            Face(
                box=tuple(float(value) for value in row[1:5]),
                # Five x, then five y; the package's "left" is the picture's left, the subject's
                # right.
                points=np.stack([row[6:11], row[11:16]], axis=-1).astype(np.float32),
                score=float(row[5]),
            )
            for row in rows
        ]


class YuNetDetector(Detector):
    """YuNet through OpenCV, from the model file that OpenCV Zoo publishes."""

    def __init__(self, model_path: str | Path, threshold: float = 0.7):
        model_path = Path(model_path)
        if not model_path.is_file():
            raise ValueError(
                f"`model_path` must be YuNet's .onnx file. Received: {model_path}, no such file."
            )
        talk = cv2.utils.logging.getLogLevel()
        # OpenCV 5 warns of a default of its own, and prints what the exception says as well.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(model_path), "", (320, 320), score_threshold=threshold
            )
        except cv2.error as error:
            raise ValueError(
                f"`model_path` must be YuNet's .onnx file. Received: {model_path}, "
                "which OpenCV cannot read as a network."
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(talk)
        # The network keeps the size of the picture it is about to see: one caller at a time.
        self._lock = threading.Lock()

    def _find(self, image: np.ndarray) -> list[Face]:
        height, width = image.shape[:2]
        with self._lock:
            self._net.setInputSize((width, height))
            _, rows = self._net.detect(np.ascontiguousarray(image[..., ::-1]))  # BGR
        return [
            Face(
                box=tuple(float(value) for value in row[:4]),
                points=row[4:14].reshape(5, 2).astype(np.float32),
                score=float(row[14]),
            )
            for row in ([] if rows is None else rows)
        ]


def create_detector(name: str = "mtcnn", model_path: str | Path | None = None) -> Detector:
    """Makes a face detector.

    Args:
        name: "mtcnn" or "yunet".
        model_path: YuNet's model file; MTCNN has its weights in its package.

    Returns:
        A detector whose `detect(image)` gives the faces of a photo, the largest first.

    Raises:
        ValueError: If the name is unknown, "yunet" comes without a model file or "mtcnn" with one.
    """
    if name == "mtcnn":
        if model_path is not None:
            raise ValueError(
                f"`model_path` must be None for the detector 'mtcnn'. Received: {model_path}."
            )
        return MTCNNDetector()
    if name == "yunet":
        if model_path is None:
            raise ValueError("`model_path` must name YuNet's .onnx file. Received: None.")
        return YuNetDetector(model_path)
    raise ValueError(f"`name` must be one of {', '.join(DETECTORS)}. Received: {name!r}.")


def _moved(face: Face, shift: float) -> Face:
    x, y, width, height = face.box
    return Face((x + shift, y + shift, width, height), face.points + np.float32(shift), face.score)


def _inside(face: Face, shape: tuple[int, ...]) -> bool:
    """Whether the face's points lie on the picture and not on the border that was added to it."""
    limit = np.array([shape[1], shape[0]])
    return bool(((face.points > -0.5) & (face.points < limit - 0.5)).all())


def _zoomed(face: Face, zoom: np.ndarray) -> Face:
    """A face in the pixels of a picture that is `zoom` (x, y) times as large."""
    x, y, width, height = face.box
    corner = (np.array([x, y]) + 0.5) * zoom - 0.5
    points = ((face.points + 0.5) * zoom - 0.5).astype(np.float32)
    box = (*corner.tolist(), float(width * zoom[0]), float(height * zoom[1]))
    return Face(box, points, face.score)
