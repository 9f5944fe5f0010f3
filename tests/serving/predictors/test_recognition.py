import json

import numpy as np
import pytest

from tfface.data.detection import Face
from tfface.data.videos import VideoFrame
from tfface.facs.landmarks import MEAN_FACE, anchors
from tfface.serving.predictors.recognition import RecognitionPredictor
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.recognition import recognition_servable

SIZE = 16  # of the recognizer


class KnownFaces:
    """A detector that was told where the faces are; a frame's first value says how many."""

    def __init__(self, *faces, counted=False):
        self.faces, self.counted = list(faces), counted

    def detect(self, image):
        return self.faces[: image[0, 0, 0]] if self.counted else self.faces


def face_at(left, top, scale=1.0):
    """A face whose crop of 200 is the photo's square at (left, top), `scale` times as large."""
    right_eye, left_eye, mouth = anchors(MEAN_FACE) * 200 * scale - 0.5 + (left, top)
    shift = np.array([12.0 * scale, 0])
    points = [right_eye, left_eye, (right_eye + left_eye + mouth) / 3, mouth - shift, mouth + shift]
    box = (left, top, 200 * scale, 200 * scale)
    return Face(box, np.array(points, np.float32), 0.99)


def apart(count):
    """Faces that do not touch, so that a tracker does not confuse them."""
    return [face_at(40 * (i % 10), 40 * (i // 10), 0.15) for i in range(count)]


def frames_of(counts, picture):
    """Frames with so many faces each, counted out for `KnownFaces`."""
    scene = picture(0, 240, 420)
    for index, count in enumerate(counts):
        image = scene.copy()
        image[0, 0, 0] = count
        yield VideoFrame(index, index / 25, image)


def expected_probabilities(recognizer, crops):
    return 1 / (1 + np.exp(-np.asarray(recognizer(np.asarray(crops)), np.float64)))


def test_faces_are_seen_as_in_training(recognizer, picture, bicubic):
    scene = picture(0, 300, 500)
    kept = scene.copy()
    predictor = RecognitionPredictor(recognizer, KnownFaces(face_at(10, 20), face_at(260, 70)))
    assert (predictor.action_units, predictor.size) == ((1, 12, 25), SIZE)
    result = predictor(scene)
    np.testing.assert_array_equal(scene, kept)
    assert [face.box[:2] for face in result.faces] == [(10, 20), (260, 70)]
    for crop, (left, top) in zip(result.crops, [(10, 20), (260, 70)], strict=True):
        as_recorded = scene[top : top + 200, left : left + 200]
        np.testing.assert_allclose(crop, bicubic(as_recorded, SIZE), atol=1.01 / 255)
        np.testing.assert_allclose(crop * 255, np.rint(crop * 255), atol=1e-4)  # in 8 bits
    assert result.probabilities.dtype == np.float32
    np.testing.assert_allclose(
        result.probabilities, expected_probabilities(recognizer, result.crops), atol=1e-5
    )
    assert np.ptp(result.probabilities, axis=0).max() > 0.01  # the faces differ


def test_photo_without_a_face(recognizer, picture):
    result = RecognitionPredictor(recognizer, KnownFaces())(picture(0, 60, 60))
    assert result.faces == ()
    assert result.crops.shape == (0, SIZE, SIZE, 3) and result.probabilities.shape == (0, 3)


def test_points_that_are_no_face_are_left_out(recognizer, picture):
    nowhere = Face((0, 0, 9, 9), np.full((5, 2), 50, np.float32), 0.9)
    predictor = RecognitionPredictor(recognizer, KnownFaces(nowhere, face_at(20, 30)))
    scene = picture(0, 300, 300)
    result = predictor(scene)
    assert [face.box[0] for face in result.faces] == [20] and len(result.probabilities) == 1
    (frame,) = predictor.frames([VideoFrame(0, 0.0, scene)])
    assert [tracked.face_id for tracked in frame.faces] == [1] and len(frame.probabilities) == 1


def test_many_crops_go_in_batches(recognizer):
    crops = np.random.default_rng(0).random((70, SIZE, SIZE, 3), np.float32)
    probabilities = RecognitionPredictor(recognizer, KnownFaces()).recognize(crops)
    np.testing.assert_allclose(probabilities, expected_probabilities(recognizer, crops), atol=1e-5)


def test_frames_of_a_video_keep_order_and_faces(recognizer, picture):
    counts = [0, 2, 1, 0, *[3] * 20, 40, 0]  # 40 faces are more than a batch
    faces = apart(40)
    predictor = RecognitionPredictor(recognizer, KnownFaces(*faces, counted=True))
    frames = list(predictor.frames(frames_of(counts, picture)))
    assert [frame.index for frame in frames] == list(range(len(counts)))
    assert [frame.timestamp for frame in frames] == [index / 25 for index in range(len(counts))]
    for frame, count, image in zip(frames, counts, frames_of(counts, picture), strict=True):
        assert [tracked.face_id for tracked in frame.faces] == list(range(count))
        assert frame.probabilities.shape == (count, 3)
        alone = RecognitionPredictor(recognizer, KnownFaces(*faces[:count]))(image.image)
        np.testing.assert_allclose(frame.probabilities, alone.probabilities, atol=1e-5)


def test_a_video_is_searched_as_often_as_asked(recognizer, picture):
    class Counting(KnownFaces):
        searches = 0

        def detect(self, image):
            self.searches += 1
            return super().detect(image)

    detector = Counting(face_at(100, 20))
    predictor = RecognitionPredictor(recognizer, detector)
    frames = list(predictor.frames(frames_of([1] * 9, picture), every=4))
    assert detector.searches == 3  # frames 0, 4 and 8
    assert [frame.faces[0].detected for frame in frames] == [i % 4 == 0 for i in range(9)]
    assert {frame.faces[0].face_id for frame in frames} == {0}
    with pytest.raises(ValueError, match="`every` must be"):
        next(predictor.frames([], every=0))


@pytest.mark.parametrize(("count", "most"), [(0, 65), (1, 33), (5, 7)])
def test_frames_come_while_the_video_goes_on(recognizer, picture, count, most):
    taken = 0

    def endless():
        nonlocal taken
        for frame in frames_of(iter(lambda: count, None), picture):
            taken += 1
            yield frame

    predictor = RecognitionPredictor(recognizer, KnownFaces(*apart(5), counted=True))
    assert next(predictor.frames(endless())).index == 0
    assert taken == most  # a batch of 32 faces, or 64 frames, and the frame that did not fit


def test_model_file_and_savedmodel_agree_with_the_model(tmp_path, recognizer):
    crops = np.random.default_rng(1).random((3, SIZE, SIZE, 3), np.float32)
    expected = expected_probabilities(recognizer, crops)
    recognizer.save(tmp_path / "recognizer.keras")
    version = export_savedmodel(recognition_servable(recognizer), tmp_path / "models")
    for model in (tmp_path / "recognizer.keras", str(version), tmp_path / "models"):
        predictor = RecognitionPredictor(model, KnownFaces())
        assert (predictor.action_units, predictor.size) == ((1, 12, 25), SIZE)
        np.testing.assert_allclose(predictor.recognize(crops), expected, atol=1e-5)


def test_wrong_arguments_are_named(tmp_path, recognizer, nearest_generator):
    predictor = RecognitionPredictor(recognizer, KnownFaces())
    with pytest.raises(ValueError, match=r"`crops` must .*\(n, 16, 16, 3\).*\(2, 8, 8, 3\)"):
        predictor.recognize(np.zeros((2, 8, 8, 3)))
    with pytest.raises(ValueError, match="`model` must be .*absent, which is not there"):
        RecognitionPredictor(tmp_path / "absent", KnownFaces())
    with pytest.raises(ValueError, match="`model` must be a .keras file"):
        RecognitionPredictor(tmp_path, KnownFaces())
    (tmp_path / "broken.keras").write_text("no zip file")
    with pytest.raises(ValueError, match="recognizer's .keras file.*broken.keras"):
        RecognitionPredictor(tmp_path / "broken.keras", KnownFaces())
    with pytest.raises(ValueError, match="`model` must be an ActionUnitRecognizer"):
        RecognitionPredictor(nearest_generator, KnownFaces())
    (tmp_path / "saved_model.pb").write_text("no protocol buffer")
    with pytest.raises(ValueError, match="recognition model's SavedModel"):
        RecognitionPredictor(tmp_path, KnownFaces())


def test_a_savedmodel_says_by_its_card_which_action_units_it_knows(tmp_path, recognizer):
    card = export_savedmodel(recognition_servable(recognizer), tmp_path) / "model_card.json"
    facts = json.loads(card.read_text())
    card.write_text(json.dumps({**facts, "action_units": [1, 12]}))
    with pytest.raises(ValueError, match="names 2 action units of 3"):
        RecognitionPredictor(tmp_path, KnownFaces())
    card.unlink()
    with pytest.raises(ValueError, match="SavedModel.*model_card.json"):
        RecognitionPredictor(tmp_path, KnownFaces())


def test_a_network_that_diverged_gives_no_result(recognizer):
    recognizer.get_layer("logits").bias.assign([np.nan, 0, 0])
    predictor = RecognitionPredictor(recognizer, KnownFaces())
    with pytest.raises(ValueError, match="`model` must give finite probabilities"):
        predictor.recognize(np.zeros((1, SIZE, SIZE, 3)))
