import numpy as np
import pytest

from tfface.data.detection import Face
from tfface.facs.landmarks import MEAN_FACE, anchors
from tfface.serving.predictors.regeneration import RegenerationPredictor
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.regeneration import regeneration_servable

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


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


def test_every_face_is_regenerated(regenerator, picture, bicubic):
    scene = picture(0, 400, 600)
    places = [(20, 30), (330, 150)]
    predictor = RegenerationPredictor(regenerator, KnownFaces(*(face_at(*p) for p in places)))
    assert (predictor.classes, predictor.size) == (("joy", "anger", "fear"), 16)
    result = predictor(scene)
    assert [face.box[:2] for face in result.faces] == places
    for i, (left, top) in enumerate(places):
        seen = bicubic(scene[top : top + 200, left : left + 200], 22)[3:19, 3:19]
        np.testing.assert_allclose(result.crops[i], seen, atol=1.6 / 255)
        given = (result.crops[i : i + 1] @ LUMA)[..., None]
        expected = regenerator(given, training=False)
        made, distances = (np.asarray(expected[n])[0] for n in ("regenerated", "distances"))
        for channel in range(3):  # gray, in colors
            np.testing.assert_allclose(result.regenerated[i][..., channel], made[..., 0], atol=1e-5)
        np.testing.assert_allclose(result.distances[i], distances, rtol=1e-4)
        assert result.class_ids[i] == distances.argmin()
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)


def test_photo_without_a_face_has_none(regenerator, picture):
    nowhere = Face((0, 0, 9, 9), np.full((5, 2), 50, np.float32), 0.9)
    for faces in ([], [nowhere]):
        result = RegenerationPredictor(regenerator, KnownFaces(*faces))(picture(0, 100, 120))
        assert result.faces == () and result.crops.shape == (0, 16, 16, 3)
        assert result.regenerated.shape == (0, 3, 16, 16, 3)
        assert result.distances.shape == result.probabilities.shape == (0, 3)
        assert result.class_ids.shape == (0,)


def test_model_file_and_savedmodel_agree_with_the_model(tmp_path, regenerator, picture):
    detector, scene = KnownFaces(face_at(20, 30)), picture(1, 300, 300)
    expected = RegenerationPredictor(regenerator, detector)(scene)
    regenerator.save(tmp_path / "regenerator.keras")
    version = export_savedmodel(regeneration_servable(regenerator), tmp_path / "models")
    for model in (tmp_path / "regenerator.keras", str(version)):
        predictor = RegenerationPredictor(model, detector)
        assert (predictor.classes, predictor.size) == (("joy", "anger", "fear"), 16)
        result = predictor(scene)
        for name in ("crops", "regenerated", "distances", "class_ids", "probabilities"):
            values = getattr(expected, name)
            np.testing.assert_allclose(getattr(result, name), values, atol=1e-4, err_msg=name)


def test_wrong_models_are_named(tmp_path, nearest_generator):
    with pytest.raises(ValueError, match="`model` must be .*absent, which is not there"):
        RegenerationPredictor(tmp_path / "absent", KnownFaces())
    (tmp_path / "broken.keras").write_text("no zip file")
    with pytest.raises(ValueError, match="regeneration regenerator's .keras file.*broken.keras"):
        RegenerationPredictor(tmp_path / "broken.keras", KnownFaces())
    with pytest.raises(ValueError, match="`model` must be an ExpressionRegenerator"):
        RegenerationPredictor(nearest_generator, KnownFaces())
