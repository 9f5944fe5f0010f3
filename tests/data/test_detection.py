import numpy as np
import pytest

from tfface.data import detection
from tfface.data.detection import Detector, Face, create_detector
from tfface.data.synthetic import photo
from tfface.facs.landmarks import anchors, anchors_from_five


@pytest.fixture(scope="module")
def mtcnn():
    return create_detector()


class Marks(Detector):
    """Finds one face, its points on the marked (red) pixels, in row order."""

    def __init__(self, blind_below=0):
        self.seen = []
        self._blind_below = blind_below

    def _find(self, image):
        self.seen.append(image.shape)
        if min(image.shape[:2]) < self._blind_below:
            return []
        y, x = np.nonzero(image[..., 0] > 100)
        points = np.stack([x, y], axis=-1).astype(np.float32)
        if len(points) == 0:
            return []
        left, top = points.min(axis=0)
        width, height = points.max(axis=0) - points.min(axis=0)
        five = points[np.linspace(0, len(points) - 1, 5).astype(int)]
        return [Face((left, top, width, height), five, 0.9)]


def test_every_face_of_a_scene_is_found_where_it_was_drawn(mtcnn):
    image, drawn = photo(3, faces=2)
    faces = mtcnn.detect(image)
    assert len(faces) == 2
    for face, landmarks in zip(sorted(faces, key=lambda face: face.box[0]), drawn, strict=True):
        expected = anchors(landmarks)
        eyes = np.linalg.norm(expected[1] - expected[0])
        distance = np.linalg.norm(anchors_from_five(face.points) - expected, axis=-1)
        assert distance.max() < 0.2 * eyes
        x, y, width, height = face.box
        assert x < expected[0, 0] < expected[1, 0] < x + width
        assert y < expected[0, 1] < expected[2, 1] < y + height
        assert 0.8 < face.score <= 1
        # Right and left are the subject's own: the right eye is the one on the image's left.
        assert face.points[0, 0] < face.points[1, 0]
        assert face.points[3, 0] < face.points[4, 0]


def test_faces_of_a_larger_photo_are_given_in_its_own_pixels(mtcnn):
    image, drawn = photo(3, faces=1)
    large = image.repeat(4, axis=0).repeat(4, axis=1)  # 1920 x 2560: over the searched size
    (face,) = mtcnn.detect(large)
    expected = 4 * anchors(drawn[0]) + 1.5  # x -> 4 (x + 0.5) - 0.5
    eyes = np.linalg.norm(expected[1] - expected[0])
    distance = np.linalg.norm(anchors_from_five(face.points) - expected, axis=-1)
    assert distance.max() < 0.2 * eyes


@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (19, 19), (25, 30), (240, 320)])
def test_no_face_gives_an_empty_list(mtcnn, shape):
    assert mtcnn.detect(np.full((*shape, 3), 90, np.uint8)) == []


def test_the_searched_copy_is_bounded_and_points_return_to_the_photo(monkeypatch):
    monkeypatch.setattr(detection, "MAX_SEARCHED_PIXELS", 100 * 200)
    image = np.zeros((400, 800, 3), np.uint8)
    image[80:84, 40:44] = image[80:84, 600:604] = 255  # one pixel each of the copy, 4 times smaller
    detector = Marks()
    (face,) = detector.detect(image)
    assert detector.seen == [(100, 200, 3)]
    # The middle of pixels 40 to 43 is 41.5, of 600 to 603 is 601.5, of 80 to 83 is 81.5.
    np.testing.assert_allclose(face.points[[0, -1]], [[41.5, 81.5], [601.5, 81.5]], atol=1e-3)
    np.testing.assert_allclose(face.box[:3], [41.5, 81.5, 560])


def test_a_picture_without_a_find_is_searched_again_with_a_wider_border():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10, 20] = image[30, 50] = 255
    detector = Marks(blind_below=50)
    (face,) = detector.detect(image)
    assert len(detector.seen) == 2
    np.testing.assert_array_equal(face.points[[0, -1]], [[20, 10], [50, 30]])


def test_a_find_on_the_added_border_does_not_count():
    image = np.zeros((40, 60, 3), np.uint8)
    image[0, :5] = 255  # the border repeats it far outside the picture
    assert Marks(blind_below=50).detect(image) == []


def test_the_largest_face_comes_first():
    class Two(Detector):
        def _find(self, image):
            points = np.zeros((5, 2), np.float32)
            return [Face((0, 0, 10, 10), points, 0.9), Face((0, 0, 30, 20), points, 0.8)]

    assert [face.box[2] for face in Two().detect(np.zeros((50, 50, 3), np.uint8))] == [30, 10]


def test_a_wrong_model_file_makes_opencv_say_nothing(tmp_path, capfd):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot read as a network"):
        create_detector("yunet", tmp_path / "bad.onnx")
    assert capfd.readouterr().err == ""


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"`name` must be one of mtcnn, yunet.*'haar'"):
        create_detector("haar")
    with pytest.raises(ValueError, match=r"`model_path` must name YuNet's \.onnx file"):
        create_detector("yunet")
    with pytest.raises(ValueError, match=r"missing\.onnx, no such file"):
        create_detector("yunet", tmp_path / "missing.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"bad\.onnx, which OpenCV cannot read as a network"):
        create_detector("yunet", tmp_path / "bad.onnx")
    with pytest.raises(ValueError, match="must be None for the detector 'mtcnn'"):
        create_detector("mtcnn", tmp_path / "bad.onnx")
    with pytest.raises(ValueError, match=r"`image` must be a .* uint8 array. Received: float32"):
        Marks().detect(np.zeros((20, 20, 3), np.float32))
