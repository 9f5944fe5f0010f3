"""Models of any kind as one function; what the systems' predictors build on."""

import json

import numpy as np
import pytest

from tfface.serving.loading import BATCH, load_model
from tfface.serving.savedmodel import export_savedmodel


@pytest.fixture
def folder(tmp_path, servable):
    """A SavedModel of the generator that repeats pixels."""
    return export_savedmodel(servable, tmp_path / "models")


def pictures(count):
    low = np.random.default_rng(0).random((count, 16, 16, 3), np.float32)
    return {"image": low, "mask": np.zeros((count, 16, 16, 1), np.float32)}


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 3])
def test_any_number_of_faces_goes_in_batches(folder, nearest_generator, count):
    arrays = pictures(count)
    expected = arrays["image"].repeat(8, axis=1).repeat(8, axis=2)
    for model in (nearest_generator, folder):
        loaded = load_model("restoration", model, "restore")
        assert loaded.inputs == {"image": (16, 16, 3), "mask": (16, 16, 1)}
        assert loaded.outputs == {"restored": (128, 128, 3)}
        (restored,) = loaded(**arrays).values()
        assert restored.dtype == np.float32 and restored.shape == (count, 128, 128, 3)
        np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_a_model_says_what_its_caller_asks(folder, nearest_generator, tmp_path):
    nearest_generator.save(tmp_path / "generator.keras")
    for model in (nearest_generator, tmp_path / "generator.keras", folder, folder.parent):
        loaded = load_model("restoration", model, "restore", ("size", "mask_aware"))
        assert loaded.facts == {"size": 128, "mask_aware": False}
    (folder / "model_card.json").unlink()
    assert load_model("restoration", folder, "restore").facts == {}
    with pytest.raises(ValueError, match="restoration model's SavedModel.*model_card.json"):
        load_model("restoration", folder, "restore", ("size",))


def test_names_are_as_many_as_answers(folder):
    card = folder / "model_card.json"
    card.write_text(json.dumps({"some_names": ["red", "green", "blue"]}))
    loaded = load_model("restoration", folder, "restore", ("some_names",))
    assert loaded.names("some_names", "restored") == ("red", "green", "blue")
    card.write_text(json.dumps({"some_names": ["red", "green"]}))
    loaded = load_model("restoration", folder, "restore", ("some_names",))
    with pytest.raises(ValueError, match="name each of its restored.* names 2 some names of 3"):
        loaded.names("some_names", "restored")


def test_a_signature_that_is_not_there(folder):
    with pytest.raises(ValueError, match="must be a recognition model's SavedModel"):
        load_model("recognition", folder, "recognize")


def test_answers_that_are_not_finite_are_refused(nearest_generator):
    loaded = load_model("restoration", nearest_generator, "restore")
    arrays = pictures(2)
    arrays["image"][1, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="`model` must give finite restored. Received: NaN"):
        loaded(**arrays)
