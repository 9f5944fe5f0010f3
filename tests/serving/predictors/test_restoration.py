import keras
import numpy as np
import pytest
from PIL import Image

from tfface.data.detection import Face
from tfface.facs.landmarks import MEAN_FACE, anchors
from tfface.serving.predictors.restoration import RestorationPredictor
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.restoration import restoration_servable


class KnownFaces:
    """A detector that was told where the faces are."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def detect(self, image):
        return self.faces


def face_at(left, top, scale=1.0):
    """A face whose crop of 128 is the photo's square at (left, top), `scale` times as large."""
    right_eye, left_eye, mouth = anchors(MEAN_FACE) * 128 * scale - 0.5 + (left, top)
    shift = np.array([8.0 * scale, 0])
    points = [right_eye, left_eye, (right_eye + left_eye + mouth) / 3, mouth - shift, mouth + shift]
    box = (left, top, 128 * scale, 128 * scale)
    return Face(box, np.array(points, np.float32), 0.99)


def photo(height=300, width=400, seed=0):
    """Blurred noise: no two places of it look alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def bicubic(crop, size):
    channels = [
        Image.fromarray(crop[..., i].astype(np.float32)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for i in range(3)
    ]
    return np.clip(np.stack(channels, axis=-1), 0, 1)


def test_every_face_is_restored_in_its_place(nearest_generator):
    scene = photo()
    kept = scene.copy()
    predictor = RestorationPredictor(
        nearest_generator, KnownFaces(face_at(20, 30), face_at(200, 90))
    )
    result = predictor(scene)
    np.testing.assert_array_equal(scene, kept)
    assert len(result.faces) == 2
    assert result.photo.shape == scene.shape and result.photo.dtype == np.uint8
    for i, (left, top) in enumerate([(20, 30), (200, 90)]):
        crop = scene[top : top + 128, left : left + 128] / 255
        np.testing.assert_allclose(result.crops[i], crop, atol=1.5 / 255)
        low = bicubic(crop, 16)
        np.testing.assert_allclose(result.inputs[i], low, atol=0.01)
        np.testing.assert_allclose(
            result.restored[i], low.repeat(8, axis=0).repeat(8, axis=1), atol=0.01
        )
        middle = result.photo[top + 40 : top + 88, left + 40 : left + 88] / 255
        np.testing.assert_allclose(middle, result.restored[i][40:88, 40:88], atol=0.02)
    outside = np.ones(scene.shape[:2], bool)
    outside[29:159, 19:149] = outside[89:219, 199:329] = False
    np.testing.assert_array_equal(result.photo[outside], scene[outside])
    assert not result.masks.any()


def test_photo_without_a_face_comes_back_as_it_was(nearest_generator):
    scene = photo()
    result = RestorationPredictor(nearest_generator, KnownFaces())(scene)
    np.testing.assert_array_equal(result.photo, scene)
    assert result.photo is not scene
    assert result.faces == () and result.restored.shape == (0, 128, 128, 3)


def test_what_covers_a_face_has_no_influence(mask_aware_generator):
    predictor = RestorationPredictor(mask_aware_generator, KnownFaces(face_at(24, 16)))
    scene, covered = photo(seed=1), photo(seed=1)
    mask = np.zeros(scene.shape[:2], np.uint8)
    mask[16 + 64 : 16 + 96, 24 + 40 : 24 + 81] = 255  # one column into the next small pixel
    covered[mask > 0] = (0, 255, 0)
    one, other = predictor(scene, mask), predictor(covered, mask)
    expected = np.zeros((16, 16, 1))
    expected[8:12, 5:11] = 1
    np.testing.assert_array_equal(one.masks[0], expected)
    assert not one.inputs[0][8:12, 5:11].any()
    np.testing.assert_array_equal(one.inputs, other.inputs)
    np.testing.assert_allclose(one.restored[0, 64:96, 40:88], 0.25, atol=1e-6)
    # Far from the mask the network sees what it sees without one.
    clear = predictor(scene)
    np.testing.assert_allclose(one.inputs[0][:5], clear.inputs[0][:5], atol=1e-6)


def test_all_of_a_face_may_be_hidden(nearest_generator):
    scene = photo()
    predictor = RestorationPredictor(nearest_generator, KnownFaces(face_at(24, 16)))
    result = predictor(scene, np.ones(scene.shape[:2], bool))
    assert result.masks.all() and not result.inputs.any()


def test_a_crowd_is_restored_in_batches(nearest_generator):
    crowd = [face_at(5 * i, 3 * i, 0.5) for i in range(40)]
    result = RestorationPredictor(nearest_generator, KnownFaces(*crowd))(photo())
    assert result.restored.shape == (40, 128, 128, 3)
    expected = result.inputs.repeat(8, axis=1).repeat(8, axis=2)
    np.testing.assert_allclose(result.restored, expected, atol=1e-6)


def test_points_that_are_no_face_are_left_out(nearest_generator):
    nowhere = Face((0, 0, 9, 9), np.full((5, 2), 50, np.float32), 0.9)
    predictor = RestorationPredictor(nearest_generator, KnownFaces(nowhere, face_at(20, 30)))
    assert len(predictor(photo()).faces) == 1


def test_model_file_and_savedmodel_agree_with_the_model(tmp_path, mask_aware_generator):
    detector = KnownFaces(face_at(20, 30))
    scene = photo()
    mask = np.zeros(scene.shape[:2], bool)
    mask[80:120, 60:100] = True
    expected = RestorationPredictor(mask_aware_generator, detector)(scene, mask).restored
    mask_aware_generator.save(tmp_path / "generator.keras")
    version = export_savedmodel(restoration_servable(mask_aware_generator), tmp_path / "models")
    for model in (tmp_path / "generator.keras", str(version), tmp_path / "models"):
        restored = RestorationPredictor(model, detector)(scene, mask).restored
        np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_wrong_arguments_are_named(tmp_path, nearest_generator):
    predictor = RestorationPredictor(nearest_generator, KnownFaces(face_at(20, 30)))
    with pytest.raises(ValueError, match=r"`mask` must have .*\(300, 400\).*\(400, 300\)"):
        predictor(photo(), np.zeros((400, 300)))
    with pytest.raises(ValueError, match="`model` must be .*absent, which is not there"):
        RestorationPredictor(tmp_path / "absent", KnownFaces())
    with pytest.raises(ValueError, match="`model` must be a .keras file"):
        RestorationPredictor(tmp_path, KnownFaces())
    (tmp_path / "broken.keras").write_text("no zip file")
    with pytest.raises(ValueError, match="generator's .keras file.*broken.keras"):
        RestorationPredictor(tmp_path / "broken.keras", KnownFaces())
    (tmp_path / "saved_model.pb").write_text("no protocol buffer")
    with pytest.raises(ValueError, match="restoration model's SavedModel"):
        RestorationPredictor(tmp_path, KnownFaces())
    low = keras.Input((16, 16, 3))
    with pytest.raises(ValueError, match="`model` must map"):
        RestorationPredictor(keras.Model(low, keras.layers.Flatten()(low)), KnownFaces())
