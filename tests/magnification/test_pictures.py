"""What the pictures show, and of whom."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tfface.magnification import pictures as module
from tfface.magnification.examples import lit_features
from tfface.magnification.model import GroupGAN
from tfface.magnification.networks import MagnificationDiscriminator
from tfface.magnification.pictures import (
    draw_changes,
    draw_faces,
    draw_features,
    draw_heat,
    draw_sample,
)


@pytest.fixture
def grids(monkeypatch):
    """What is handed to the functions that draw."""
    handed = []

    def noted(function):
        def call(*args, **kwargs):
            handed.append((args, kwargs))
            return function(*args, **kwargs)

        return call

    for name in ("heat_grid", "lit_grid"):
        monkeypatch.setattr(module, name, noted(getattr(module, name)))
    return handed


def heat_of(face, base):
    return ((face - base) ** 2).sum(axis=-1)


def test_faces_of_each_class_stand_beside_their_heat(examined, grids, tmp_path):
    draw_faces(examined["2v2"], tmp_path / "f.png", "GroupGAN")
    (rows, titles, path, names, title, label, peak), _ = grids[0]
    assert titles == ["Neutral", "Weak", "Heat", "Magnified", "Heat", "Real peak"]
    assert names == ["anger", "fear", "happiness"]  # nobody is sad
    assert title == "GroupGAN" and "Eq. 22" in label
    heats = []
    for row, faces in zip(rows, examined["2v2"].pictures.examples, strict=False):
        face = faces[0]
        for cell, name in ((0, "base"), (1, "weak"), (3, "magnified"), (5, "peak")):
            np.testing.assert_array_equal(row[cell], face[name])
        for cell, name in ((2, "magnified"), (4, "peak")):
            under, heat = row[cell]
            np.testing.assert_array_equal(under, face["base"])
            np.testing.assert_allclose(heat, heat_of(face[name], face["base"]), rtol=1e-5)
            heats.append(heat)
    assert peak == pytest.approx(np.percentile(heats, 99.5))
    with Image.open(path) as picture:
        assert picture.height > 3 * 200 and picture.width > 6 * 200


def test_without_neutral_faces_heat_lies_over_the_weak(examined, grids, tmp_path):
    found = examined["2v2"]
    plain = dataclasses.replace(found, pictures=dataclasses.replace(found.pictures, neutral=False))
    draw_faces(plain, tmp_path / "f.png")
    draw_heat(plain, tmp_path / "h.png")
    assert grids[0][0][1] == ["Weak", "Heat", "Magnified", "Heat", "Real peak"]
    assert grids[1][0][3] == ["magnified\nover weak", "real peak\nover weak"]


def test_mean_heat_lies_over_the_mean_face(examined, grids, tmp_path):
    found = examined["1v2"]
    draw_heat(found, tmp_path / "h.png", "GroupGAN")
    draw_changes(found, tmp_path / "c.png", "GroupGAN")
    for (args, _), kinds in zip(grids, (("magnified", "peak"), ("change", "neutral")), strict=True):
        rows, titles, *_ = args
        assert titles == ("anger", "fear", "happiness", "sadness")
        for row, of in zip(rows, kinds, strict=True):
            assert row[3] is None  # nobody is sad
            for label in range(3):
                under, heat = row[label]
                np.testing.assert_array_equal(under, found.pictures.base)
                np.testing.assert_array_equal(heat, found.pictures.heat[of][label])


def test_features_of_the_cnn_stand_before_those_of_the_others(examined, grids, tmp_path):
    draw_features({m: examined[m] for m in ("2v2", "cnn")}, tmp_path / "f.png")
    (rows, images, maps, _, names, _), _ = grids[0]
    assert images == ["Weak", "Weak"] and names == ["anger", "fear", "happiness"]
    assert maps == ["CNN, weak faces", "GroupGAN (2V2), magnified"]
    lit = [
        lit_features(examined[mode].pictures.examples, f"{kind}_feature")
        for mode, kind in (("cnn", "weak"), ("2v2", "magnified"))
    ]
    for label, (faces, shown) in enumerate(rows):
        for face, example in zip(faces, examined["cnn"].pictures.examples[label], strict=False):
            np.testing.assert_array_equal(face, example["weak"])
        for values, expected in zip(shown, lit, strict=True):
            np.testing.assert_array_equal(values, expected[label][0])


def test_one_mode_alone_is_compared_with_the_weak_faces(examined, grids, tmp_path):
    draw_features({"2v2": examined["2v2"]}, tmp_path / "f.png")
    assert grids[0][0][2] == ["GroupGAN (2V2), weak faces", "GroupGAN (2V2), magnified"]


def test_nothing_is_drawn_of_nothing(examined, tmp_path):
    averaged = dataclasses.replace(examined["2v2"], pictures=None)
    single = [faces[:1] for faces in examined["2v2"].pictures.examples]
    alone = dataclasses.replace(examined["2v2"].pictures, examples=single)
    for found in (averaged, dataclasses.replace(averaged, pictures=alone)):
        draw_features({"2v2": found}, tmp_path / "f.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("mode", "neutral"), [("cnn", True), ("1v2", False), ("2v2", True), ("2v2", False)]
)
def test_samples_say_how_sure_the_classifier_is(
    mode, neutral, magnifier_of, pairs, grids, tmp_path
):
    kept = magnifier_of(mode)
    judges = {}
    if mode != "cnn":
        size = 5 if mode == "2v2" else 0
        judges = {
            name: MagnificationDiscriminator(16, (2,), 4, size)
            for name in ("discriminator", "peak_discriminator")
        }
    model = GroupGAN(kept.classifier, kept.generator, kept.extractor, **judges, mode=mode)
    batch = {name: values[:3] for name, values in pairs.items() if neutral or name != "neutral"}
    draw_sample(model, tmp_path / "sample.png", batch)
    (rows, titles, path, names), options = grids[0]
    assert len(rows) == 3 and path.exists() and "Eq. 22" in options["label"]

    out = kept(batch["weak"])
    own = []
    for name in ("logits_before", "logits_after"):
        logits = np.asarray(out[name])
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        own.append(100 * shares[np.arange(3), batch["label"]])
    before, after = (f"{share[0]:.0f}%" for share in own)
    if mode == "cnn":
        assert titles == ["Weak", "Real peak"] and names[0] == f"own class\n{before}"
        np.testing.assert_array_equal(rows[1][1], batch["peak"][1])
        return
    assert names[0] == f"own class\nweak {before}\nmagnified {after}"
    assert titles == ["Neutral"] * neutral + ["Weak", "Heat", "Magnified", "Heat", "Real peak"]
    base = batch["neutral" if neutral else "weak"]
    _, heat = rows[2][-4]
    np.testing.assert_allclose(rows[2][-3], out["magnified"][2], atol=1e-6)
    np.testing.assert_allclose(heat, heat_of(np.asarray(out["magnified"]), base)[2], rtol=1e-4)
