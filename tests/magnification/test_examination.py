"""What is examined, against NumPy on the networks' outputs; folds averaged; back from JSON."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from tfface.confusion import Confusion
from tfface.facs.parts import FACE_PARTS, part_masks
from tfface.magnification.examination import HEATS, Examined, average, examine, heat_map
from tfface.magnification.examples import lit_share

NAN = np.nan
MODES = ("cnn", "1v2", "2v2")


def outputs_of(network, x):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, network(x, training=False))


@pytest.fixture(scope="module")
def expected(magnifier_of, pairs):
    """By mode, faces and what its classifier says of them, whole arrays at once."""
    found = {}
    for number, mode in enumerate(MODES):
        network = magnifier_of(mode, 10 * number)
        seen = {name: pairs[name] for name in ("weak", "peak", "neutral")}
        seen["magnified"] = outputs_of(network, pairs["weak"])["magnified"]
        seen["magnified_neutral"] = outputs_of(network, pairs["neutral"])["magnified"]
        said = {name: outputs_of(network.classifier.with_features(), x) for name, x in seen.items()}
        found[mode] = seen, said
    return found


@pytest.mark.parametrize("mode", MODES)
def test_recognition_and_distances_are_those_of_numpy(mode, examined, expected, pairs):
    found, (seen, said) = examined[mode], expected[mode]
    assert found.faces == 22 and found.classes == ("anger", "fear", "happiness", "sadness")
    for kind in ("magnified", "weak"):
        answers = said[kind][0].argmax(axis=1)
        (confusion,) = getattr(found, kind)
        truth = confusion_matrix(pairs["label"], answers, labels=range(4))
        np.testing.assert_array_equal(confusion.matrix, truth)
        assert found.accuracy(kind)[0] == pytest.approx(np.mean(answers == pairs["label"]))

        suffix = "_weak" if kind == "weak" else ""
        squared = ((seen["peak"] - seen[kind]).astype("float64") ** 2).mean((1, 2, 3))
        psnr = (-10 * np.log10(squared)).mean()
        assert found.figures[f"psnr{suffix}"] == pytest.approx(psnr, rel=1e-5)
        apart = said["peak"][1].astype("float64") - said[kind][1]
        norm = np.sqrt((apart**2).sum(axis=1)).mean()  # Eq. 20
        assert found.figures[f"feature_distance{suffix}"] == pytest.approx(norm, rel=1e-4)
    assert found.magnifies == (mode != "cnn")
    assert (found.figures["psnr"] == found.figures["psnr_weak"]) == (mode == "cnn")


@pytest.mark.parametrize("mode", MODES)
def test_heat_is_the_mean_squared_change_by_class_and_part(mode, examined, expected, pairs):
    found, (seen, _) = examined[mode], expected[mode]
    masks = {"whole": np.ones((16, 16), bool)}
    masks |= {name: mask[2:18, 2:18] for name, mask in part_masks(20).items()}
    assert found.parts == ("whole", *FACE_PARTS) and tuple(found.heat) == HEATS
    couples = {
        "magnified": ("magnified", "neutral"),
        "peak": ("peak", "neutral"),
        "change": ("magnified", "weak"),
        "neutral": ("magnified_neutral", "neutral"),
    }
    for of, (face, base) in couples.items():
        if mode == "cnn" and of != "peak":
            assert np.isnan(found.heat[of]).all()
            continue
        change = seen[face].astype("float64") - seen[base]
        assert found.heat[of].shape == (4, 9)
        means = []
        for label in range(3):
            heat = (change[pairs["label"] == label] ** 2).sum(axis=-1).mean(axis=0)  # Eq. 22
            np.testing.assert_allclose(found.pictures.heat[of][label], heat, rtol=1e-4)
            means.append([heat[mask].mean() for mask in masks.values()])
        np.testing.assert_allclose(found.heat[of][:3], means, rtol=1e-4)
        assert np.isnan(found.heat[of][3]).all()  # nobody is sad
        mouth = found.parts.index("mouth")
        assert found.mean_heat(of, "mouth") == pytest.approx(
            np.mean(means, axis=0)[mouth], rel=1e-4
        )
    np.testing.assert_allclose(found.pictures.base, seen["neutral"].mean(axis=0), atol=1e-6)
    assert found.pictures.neutral


def test_a_heat_map_sums_the_squares_of_the_channels():
    face, base = np.zeros((2, 1, 3), "float32"), np.zeros((2, 1, 3), "float32")
    face[1, 0] = (1.0, 0.5, 0.25)
    base[1, 0] = (0.5, 0.5, 1.0)
    np.testing.assert_allclose(heat_map(face, base), [[0.0], [0.25 + 0.5625]])


@pytest.mark.parametrize("mode", MODES)
def test_drawn_faces_are_those_of_the_test(mode, examined, expected, pairs):
    found, (seen, said) = examined[mode], expected[mode]
    examples = found.pictures.examples
    counts = np.bincount(pairs["label"], minlength=4)
    assert [len(faces) for faces in examples] == np.minimum(counts, 16).tolist()
    for label, faces in enumerate(examples):
        for face in faces:
            (i,) = np.flatnonzero(np.abs(pairs["weak"] - face["weak"]).max((1, 2, 3)) < 0.003)
            assert pairs["label"][i] == label
            for name in ("peak", "magnified"):
                np.testing.assert_allclose(face[name], seen[name][i], atol=0.003)
            np.testing.assert_allclose(face["base"], seen["neutral"][i], atol=0.003)
            for kind in ("weak", "magnified"):
                np.testing.assert_allclose(face[f"{kind}_feature"], said[kind][1][i], atol=1e-5)
    assert found.figures["lit"] == lit_share(examples, "magnified_feature")
    assert found.figures["lit_weak"] == lit_share(examples, "weak_feature")
    assert 0 < found.figures["lit"] < 1


def test_all_modes_draw_the_same_faces(examined):
    first, second = (examined[mode].pictures.examples for mode in ("cnn", "2v2"))
    for a, b in zip(first, second, strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one["weak"], other["weak"])


def test_without_neutral_faces_heat_is_over_the_weak(magnifier_of, pairs, batches_of):
    without = {name: values for name, values in pairs.items() if name != "neutral"}
    found = examine(magnifier_of("1v2", 1), batches_of(without))
    assert np.isnan(found.heat["neutral"]).all() and not found.pictures.neutral
    np.testing.assert_array_equal(found.heat["magnified"], found.heat["change"])
    heat = ((pairs["peak"] - pairs["weak"]) ** 2).sum(-1)[pairs["label"] == 0].mean()
    assert found.heat["peak"][0, 0] == pytest.approx(heat, rel=1e-4)
    face = found.pictures.examples[0][0]
    np.testing.assert_array_equal(face["base"], face["weak"])


def test_pictures_of_no_face_have_no_parts(magnifier_of, pairs, batches_of):
    found = examine(magnifier_of("cnn"), batches_of(pairs), parts=False)
    assert found.parts == ("whole",) and found.heat["peak"].shape == (4, 1)


def test_networks_are_traced_once(magnifier_of, pairs, batches_of, monkeypatch):
    network = magnifier_of("1v2")
    shapes, call = [], network.generator.call

    def counted(x, *args, **kwargs):
        shapes.append(x.shape[0])
        return call(x, *args, **kwargs)

    monkeypatch.setattr(network.generator, "call", counted)
    examine(network, batches_of(pairs))  # 8, 8 and 6 pairs
    assert shapes == [None, None]  # weak and neutral faces


def test_a_gray_picture_has_defined_figures(magnifier_of, batches_of):
    gray = np.full((3, 16, 16, 3), 0.5, "float32")
    pairs = {"weak": gray, "peak": gray, "neutral": gray, "label": np.arange(3)}
    found = examine(magnifier_of("1v2"), batches_of(pairs))
    assert np.isnan(found.figures["psnr_weak"])  # infinite: no figure
    assert np.isfinite(found.figures["psnr"]) and found.figures["feature_distance_weak"] == 0
    assert np.isnan(found.figures["lit"])  # one face a class
    assert found.mean_heat("peak") == 0
    json.dumps(found.to_dict(), allow_nan=False)


def test_no_pair_is_said(magnifier_of, pairs, batches_of):
    with pytest.raises(ValueError, match="`batches` must hold at least one pair. Received: none"):
        examine(magnifier_of("cnn"), batches_of(pairs).take(0))


@pytest.mark.parametrize("mode", MODES)
def test_it_comes_back_from_json(mode, examined):
    found = examined[mode]
    again = Examined.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.figures == pytest.approx(found.figures, nan_ok=True)
    assert again.accuracy("weak")[0] == found.accuracy("weak")[0]
    assert again.classes == found.classes and again.pictures is None
    assert again.magnifies == found.magnifies
    for of in HEATS:
        np.testing.assert_array_equal(again.heat[of], found.heat[of])


def test_folds_are_averaged(examined):
    first = examined["2v2"]
    sure = [Confusion(first.classes, np.diag([4, 0, 0, 2]))]
    heat = {of: np.where(np.isnan(v), 7.0, v + 1.0) for of, v in first.heat.items()}
    figures = {name: value + 2.0 for name, value in first.figures.items()}
    figures["psnr_weak"] = NAN
    second = Examined(sure, sure, figures, first.parts, heat)
    both = average([first, second])
    assert both.faces == 28 and len(both.magnified) == len(both.weak) == 2
    mean, spread = both.accuracy()
    one = first.accuracy()[0]
    assert mean == pytest.approx((one + 1) / 2)
    assert spread == pytest.approx((1 - one) / np.sqrt(2))
    assert both.figures["psnr"] == pytest.approx(first.figures["psnr"] + 1)
    assert both.figures["psnr_weak"] == first.figures["psnr_weak"]
    for of in HEATS:
        np.testing.assert_allclose(both.heat[of][:3], first.heat[of][:3] + 0.5)
        np.testing.assert_array_equal(both.heat[of][3], 7.0)  # sad in one fold alone
    assert both.pictures is None and average([first]) is first
    again = Examined.from_dict(json.loads(json.dumps(both.to_dict(), allow_nan=False)))
    assert again.accuracy() == both.accuracy()


def test_only_like_folds_are_averaged(examined):
    first = examined["2v2"]
    whole = dataclasses.replace(
        first, parts=("whole",), heat={of: v[:, :1] for of, v in first.heat.items()}
    )
    with pytest.raises(ValueError, match="`examined`, at least one, .* same classes and parts"):
        average([first, whole])
    with pytest.raises(ValueError, match=r"at least one.*Received: \[\]"):
        average([])
