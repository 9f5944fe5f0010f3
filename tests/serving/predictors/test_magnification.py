import numpy as np
import pytest

from tfface.data.detection import Face
from tfface.facs.landmarks import MEAN_FACE, anchors
from tfface.magnification.networks import (
    ExpressionMagnifier,
    ExpressionNet,
    MagnificationGenerator,
)
from tfface.serving.predictors.magnification import MagnificationPredictor
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.magnification import magnification_servable


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


@pytest.fixture(scope="module")
def painter():
    """A magnifier of 96 of 120 pixels that paints every face (0.2, 0.5, 0.8), in class b then c."""
    generator = MagnificationGenerator(96, (1, 1, 1, 1), 0, residual=False)
    draw = generator.get_layer("draw")
    colors = np.array([0.2, 0.5, 0.8])
    draw.set_weights([0 * draw.get_weights()[0], np.log(colors / (1 - colors))])
    classifier = ExpressionNet(3, 96, "fer_net", pooling="avg")
    return ExpressionMagnifier(generator, None, classifier, ("a", "b", "c"), 120)


def test_every_face_is_magnified_in_its_place(painter, picture, bicubic):
    scene = picture(0, 400, 600)
    kept = scene.copy()
    places = [(20, 30), (330, 150)]
    predictor = MagnificationPredictor(painter, KnownFaces(*(face_at(*p) for p in places)))
    assert (predictor.classes, predictor.size) == (("a", "b", "c"), 96)
    result = predictor(scene)
    np.testing.assert_array_equal(scene, kept)
    assert [face.box[:2] for face in result.faces] == places
    assert result.photo.shape == scene.shape and result.photo.dtype == np.uint8
    outside = np.ones(scene.shape[:2], bool)
    for i, (left, top) in enumerate(places):
        # Of 200 pixels brought to 120 the middle 96: 12 * 200 / 120 = 20 of 200 lie beside it.
        recorded = scene[top : top + 200, left : left + 200]
        seen = bicubic(recorded, 120)[12:108, 12:108]
        np.testing.assert_allclose(result.crops[i], seen, atol=1.6 / 255)
        outside[top + 19 : top + 181, left + 19 : left + 181] = False
        middle = result.photo[top + 45 : top + 155, left + 45 : left + 155]
        np.testing.assert_array_equal(middle, np.broadcast_to([51, 128, 204], middle.shape))
        changes = ((result.magnified[i] - result.crops[i]) ** 2).sum(axis=-1)
        np.testing.assert_allclose(result.heat_maps[i], changes, atol=1e-5)
        logits = np.asarray(painter.classifier(result.crops[i : i + 1]), np.float64)[0]
        np.testing.assert_allclose(
            result.before[i], np.exp(logits) / np.exp(logits).sum(), atol=1e-5
        )
    np.testing.assert_array_equal(result.photo[outside], scene[outside])
    np.testing.assert_allclose(
        result.magnified, np.broadcast_to([0.2, 0.5, 0.8], (2, 96, 96, 3)), atol=1e-5
    )
    np.testing.assert_allclose(result.after[0], result.after[1], atol=1e-6)
    np.testing.assert_allclose(result.after.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("side", [90, 200, 333])
def test_a_face_that_stays_is_laid_where_it_was(side):
    """Pasting back puts each pixel where it came from: no shift, whatever the face's size."""
    generator = MagnificationGenerator(96, (1, 1, 1, 1), 0)  # untrained: gives the face back
    classifier = ExpressionNet(2, 96, "fer_net", pooling="avg")
    network = ExpressionMagnifier(generator, None, classifier, ("a", "b"), 108)
    y, x = np.mgrid[:400, :400]
    waves = [120 + 80 * np.sin(x / 15 + k) * np.sin(y / 18 + k) for k in range(3)]
    scene = np.rint(np.stack(waves, axis=-1)).astype(np.uint8)
    result = MagnificationPredictor(network, KnownFaces(face_at(30, 40, side)))(scene)
    assert np.abs(result.photo.astype(int) - scene).max() <= 3
    assert result.heat_maps.max() < 1e-6
    np.testing.assert_allclose(result.before, result.after, atol=1e-6)


def test_photo_without_a_face_comes_back_as_it_was(painter, picture):
    scene = picture(0, 100, 120)
    nowhere = Face((0, 0, 9, 9), np.full((5, 2), 50, np.float32), 0.9)
    for faces in ([], [nowhere]):
        result = MagnificationPredictor(painter, KnownFaces(*faces))(scene)
        np.testing.assert_array_equal(result.photo, scene)
        assert result.photo is not scene and result.faces == ()
        assert result.crops.shape == result.magnified.shape == (0, 96, 96, 3)
        assert result.heat_maps.shape == (0, 96, 96)
        assert result.before.shape == result.after.shape == (0, 3)


def test_a_crowd_goes_in_batches(painter, picture):
    crowd = [face_at(5 * i, 3 * i, 60) for i in range(40)]
    result = MagnificationPredictor(painter, KnownFaces(*crowd))(picture(0, 300, 400))
    assert len(result.faces) == len(result.magnified) == len(result.before) == 40


def test_model_file_and_savedmodel_agree_with_the_model(tmp_path, magnifier, picture):
    detector, scene = KnownFaces(face_at(20, 30)), picture(1, 300, 300)
    expected = MagnificationPredictor(magnifier, detector)(scene)
    magnifier.save(tmp_path / "magnifier.keras")
    version = export_savedmodel(magnification_servable(magnifier), tmp_path / "models")
    for model in (tmp_path / "magnifier.keras", str(version)):
        predictor = MagnificationPredictor(model, detector)
        assert (predictor.classes, predictor.size) == (("joy", "anger", "fear"), 16)
        result = predictor(scene)
        for name in ("crops", "magnified", "heat_maps", "before", "after"):
            values = getattr(expected, name)
            np.testing.assert_allclose(getattr(result, name), values, atol=1e-5, err_msg=name)
        assert np.abs(result.photo.astype(int) - expected.photo).max() <= 1


def test_wrong_models_are_named(tmp_path, nearest_generator):
    with pytest.raises(ValueError, match="`model` must be .*absent, which is not there"):
        MagnificationPredictor(tmp_path / "absent", KnownFaces())
    (tmp_path / "broken.keras").write_text("no zip file")
    with pytest.raises(ValueError, match="magnification magnifier's .keras file.*broken.keras"):
        MagnificationPredictor(tmp_path / "broken.keras", KnownFaces())
    with pytest.raises(ValueError, match="`model` must be an ExpressionMagnifier"):
        MagnificationPredictor(nearest_generator, KnownFaces())
    (tmp_path / "saved_model.pb").write_text("no protocol buffer")
    with pytest.raises(ValueError, match="magnification model's SavedModel"):
        MagnificationPredictor(tmp_path, KnownFaces())


def test_a_network_that_diverged_gives_no_result(magnifier, picture):
    network = ExpressionMagnifier.from_config(magnifier.get_config())
    network.generator.get_layer("draw").bias.assign([np.nan, 0, 0])
    predictor = MagnificationPredictor(network, KnownFaces(face_at(20, 30)))
    with pytest.raises(ValueError, match="`model` must give finite magnified"):
        predictor(picture(0, 300, 300))


def test_a_picture_in_gray_keeps_its_surroundings_gray(magnifier):
    gray = np.random.default_rng(0).integers(0, 256, (300, 300, 1), np.uint8).repeat(3, axis=-1)
    result = MagnificationPredictor(magnifier, KnownFaces(face_at(20, 30)))(gray)
    assert np.isfinite(result.magnified).all() and len(result.faces) == 1
    np.testing.assert_array_equal(result.photo[:30], gray[:30])
