import numpy as np
import pytest

from tfface.data.detection import Face
from tfface.facs.landmarks import MEAN_FACE, anchors, mean_face
from tfface.facs.regions import attention_maps
from tfface.serving.predictors.synthesis import SynthesisPredictor
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.synthesis import synthesis_servable

NAN = np.nan


class KnownFaces:
    """A detector that was told where the faces are."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def detect(self, image):
        return self.faces


def face_at(left, top, side=200):
    """A face whose aligned crop is the photo's square of that side at (left, top)."""
    right_eye, left_eye, mouth = anchors(MEAN_FACE) * side - 0.5 + (left, top)
    shift = np.array([12.0 * side / 200, 0])
    points = [right_eye, left_eye, (right_eye + left_eye + mouth) / 3, mouth - shift, mouth + shift]
    return Face((left, top, side, side), np.array(points, np.float32), 0.99)


def reached(action_units, left, top, shape, side=200, margin=0):
    """Where in a photo some AUs of a face at (left, top) have their regions."""
    maps = attention_maps(None, action_units, side) > 0
    inside = np.zeros(shape[:2], bool)
    for y, x in np.argwhere(maps.any(axis=0)):
        rows = slice(max(top + y - margin, 0), max(top + y + margin + 1, 0))
        columns = slice(max(left + x - margin, 0), max(left + x + margin + 1, 0))
        inside[rows, columns] = True
    return inside


def test_only_the_regions_asked_for_change_in_the_photo(editor, picture):
    scene = picture(0, 400, 600)
    kept, places = scene.copy(), [(20, 30), (330, 150)]
    predictor = SynthesisPredictor(editor, KnownFaces(*(face_at(*p) for p in places)))
    assert (predictor.action_units, predictor.size) == ((1, 12, 23), 24)
    result = predictor(scene, {1: 1, 23: 0})
    np.testing.assert_array_equal(scene, kept)
    assert [face.box[:2] for face in result.faces] == places
    changed = (result.photo != scene).any(-1)
    # A pixel of the network's 24 is more than 8 of the photo's; linear in between.
    allowed = reached((1, 23), *places[0], scene.shape, margin=17)
    allowed |= reached((1, 23), *places[1], scene.shape, margin=17)
    assert not changed[~allowed].any()
    for left, top in places:
        assert changed[top : top + 200, left : left + 200].sum() > 500
    wish = np.tile(editor.values({1: 1, 23: 0}), (2, 1))
    np.testing.assert_allclose(
        result.edited, np.asarray(editor.edit(result.crops, wish)), atol=1e-5
    )


def test_where_nothing_is_asked_the_photo_comes_back(editor, picture):
    scene = picture(0, 300, 300)
    result = SynthesisPredictor(editor, KnownFaces(face_at(20, 30)))(scene, {})
    np.testing.assert_array_equal(result.photo, scene)
    np.testing.assert_array_equal(result.edited, result.crops)


@pytest.mark.parametrize("place", [(-90, 20), (150, -120), (170, 160)])
def test_a_face_at_the_edge_is_edited_as_far_as_it_is_there(editor, picture, place):
    """Beyond the photo its border goes on, as in training; nothing is written there."""
    scene = picture(0, 300, 300)
    result = SynthesisPredictor(editor, KnownFaces(face_at(*place)))(scene, {1: 1, 12: 1, 23: 0})
    assert len(result.faces) == 1 and result.photo.shape == scene.shape
    changed = (result.photo != scene).any(-1)
    assert changed.any()
    assert not changed[~reached((1, 12, 23), *place, scene.shape, margin=17)].any()


def test_landmarks_say_where(editor, picture):
    """In pixels of the photo; NaN are the mean face's; outside of the picture nothing is drawn."""
    scene = picture(0, 300, 300)
    predictor = SynthesisPredictor(editor, KnownFaces(face_at(40, 50)))
    mean = mean_face(200) + np.array([40, 50])
    plain = predictor(scene, {1: 1}).photo
    same = predictor(scene, {1: 1}, mean[None]).photo
    assert np.abs(same.astype(int) - plain).max() <= 1
    unknown = mean.copy()
    unknown[20:30] = NAN
    partly = predictor(scene, {1: 1}, unknown[None]).photo
    assert np.abs(partly.astype(int) - plain).max() <= 1
    lower = predictor(scene, {1: 1}, mean[None] + (0, 80)).photo
    assert (lower != plain).any() and (lower != scene).any()
    far = predictor(scene, {1: 1}, mean[None] - 5000).photo
    np.testing.assert_array_equal(far, scene)


@pytest.mark.parametrize(
    ("changes", "landmarks", "message"),
    [
        ({4: 1}, None, r"`changes` must name AUs among \[1, 12, 23\]. Received: 4"),
        ({12: 1.5}, None, "`changes` must hold values from 0 to 1. Received: AU 12 = 1.5"),
        ({12: NAN}, None, "`changes` must hold values from 0 to 1. Received: AU 12 = nan"),
        ({12: 1}, np.zeros((2, 68, 2)), r"`landmarks` must have shape \(1, 68, 2\).*\(2, 68, 2\)"),
        ({12: 1}, np.full((1, 68, 2), np.inf), "`landmarks` must .* finite or NaN.*136 infinite"),
    ],
)
def test_bad_demands_are_named(editor, picture, changes, landmarks, message):
    predictor = SynthesisPredictor(editor, KnownFaces(face_at(20, 30)))
    with pytest.raises(ValueError, match=message):
        predictor(picture(0, 300, 300), changes, landmarks)


def test_photo_without_a_face_comes_back_as_it_was(editor, picture):
    scene = picture(0, 100, 120)
    nowhere = Face((0, 0, 9, 9), np.full((5, 2), 50, np.float32), 0.9)
    for faces in ([], [nowhere]):
        result = SynthesisPredictor(editor, KnownFaces(*faces))(scene, {1: 1})
        np.testing.assert_array_equal(result.photo, scene)
        assert result.photo is not scene and result.faces == ()
        assert result.crops.shape == result.edited.shape == (0, 24, 24, 3)


def test_model_file_and_savedmodel_agree_with_the_model(tmp_path, editor, picture):
    detector, scene = KnownFaces(face_at(20, 30)), picture(1, 300, 300)
    expected = SynthesisPredictor(editor, detector)(scene, {12: 0.5})
    editor.save(tmp_path / "generator.keras")
    version = export_savedmodel(synthesis_servable(editor), tmp_path / "models")
    for model in (tmp_path / "generator.keras", str(version)):
        predictor = SynthesisPredictor(model, detector)
        assert (predictor.action_units, predictor.size) == ((1, 12, 23), 24)
        result = predictor(scene, {12: 0.5})
        np.testing.assert_allclose(result.edited, expected.edited, atol=1e-5)
        assert np.abs(result.photo.astype(int) - expected.photo).max() <= 1


def test_wrong_models_are_named(tmp_path, nearest_generator):
    with pytest.raises(ValueError, match="`model` must be .*absent, which is not there"):
        SynthesisPredictor(tmp_path / "absent", KnownFaces())
    with pytest.raises(ValueError, match="`model` must be a LACGenerator"):
        SynthesisPredictor(nearest_generator, KnownFaces())
