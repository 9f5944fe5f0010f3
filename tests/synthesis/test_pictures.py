"""The sheets: which faces stand where, and that pictures are written."""

import keras
import numpy as np
import pytest

import tfface.synthesis.pictures as pictures
from tfface.facs.landmarks import mean_face
from tfface.synthesis.networks import LACGenerator

SIZE, AUS = 24, (2, 4, 12)


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(1)
    return LACGenerator(AUS, SIZE, (2, 2, 3, 3, 4), latent_size=4)


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of each grid that is drawn."""
    calls = []
    for name in ("heat_grid", "image_grid"):
        monkeypatch.setattr(pictures, name, lambda *arguments: calls.append(arguments))
    return calls


def neutral(count=2):
    rng = np.random.default_rng(0)
    return {
        "face": rng.uniform(size=(count, SIZE, SIZE, 3)).astype("float32"),
        "landmarks": np.tile(mean_face(SIZE), (count, 1, 1)),
        "au": np.zeros((count, 3), "float32"),
    }


def test_each_unit_absent_and_present(generator, drawn):
    batch = neutral()
    pictures.draw_single_units(generator, batch, "out.png")
    ((rows, titles, _, names, *_),) = drawn
    assert titles == ["Neutral", "Absent", "Present", "Difference"]
    assert names == ["AU2", "AU4", "AU12"]
    for i, (face, absent, present, (base, heat)) in enumerate(rows):
        np.testing.assert_array_equal(face, batch["face"][i % 2])  # faces take turns
        np.testing.assert_array_equal(base, face)
        np.testing.assert_allclose(heat, np.abs(present - absent).mean(-1))
        for value, shown in ((0, absent), (1, present)):
            wish = generator.values({AUS[i]: value})[None]
            expected = generator.edit(face[None], wish, batch["landmarks"][:1])
            np.testing.assert_allclose(shown, expected[0], atol=1e-5)


def test_combinations_are_those_of_the_paper_as_far_as_they_are_known(generator, drawn):
    batch = neutral()
    pictures.draw_combinations(generator, batch, "out.png")
    ((rows, titles, _),) = drawn
    assert titles == ["Neutral", "Happy (AU 2+12)", "Angry (AU 4)"]
    wish = np.stack([generator.values({2: 1, 12: 1})] * 2)
    expected = np.asarray(generator.edit(batch["face"], wish, batch["landmarks"]))
    for i, row in enumerate(rows):
        np.testing.assert_allclose(row[1], expected[i], atol=1e-5)


def test_pictures_are_written(generator, tmp_path):
    class Model:
        pass

    model = Model()
    model.generator = generator
    batch = neutral()
    batch["au"][0, 1] = np.nan
    pictures.draw_sample(model, tmp_path / "sample.png", batch)
    pictures.draw_single_units(generator, batch, tmp_path / "units.png")
    pictures.draw_combinations(generator, batch, tmp_path / "combinations.png")
    assert len(list(tmp_path.glob("*.png"))) == 3
