"""Every system in every precision, as a phone runs it: small networks, their weights drawn."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.recognition.networks import ActionUnitRecognizer
from tfface.restoration.networks import RestorationGenerator
from tfface.serving.calibration import Calibration
from tfface.serving.litert import PRECISIONS, export_litert, lite_archive, operators
from tfface.serving.systems import NETWORKS, make_servable

TOLERANCES = {"float32": 1e-4, "float16": 0.01, "int8_dynamic": 0.1, "int8": 0.1}
"""Mean difference from Keras, as a share of the largest value of an output. An 8-bit number is off
by 1/500 of its range at most, and errors of a dozen layers of drawn weights add up: a tenth tells a
network that answers from one whose ranges are wrong, which a trained one's measure does in full
(`benchmarks/formats.py`)."""

SPARED = {"ARG_MIN", "CAST", "NEG", "CONCATENATION"}
"""Operators that an int8 file may compute in floats: those without a kernel of 8 bits, and joining
where the parts are of several ranges."""

EXACT = 1e-4
"""float32 may differ anywhere by this much, as a share of an output's largest value, at least 1."""


@pytest.fixture(scope="module")
def networks(magnifier, regenerator, editor):
    """By system, a small network."""
    keras.utils.set_random_seed(0)
    return {
        "restoration": RestorationGenerator(16, filters=4, blocks=1),
        "recognition": ActionUnitRecognizer((1, 12, 25), 16, "fer_net", pooling="flatten"),
        "magnification": magnifier,
        "regeneration": regenerator,
        "synthesis": editor,
    }


def faces(servable, count, seed=0):
    """Inputs for the LiteRT signature; landmarks lie in the face, masks hide or do not."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        face = {spec.name: rng.random(spec.shape, np.float32) for spec in servable.lite.specs}
        if "landmarks" in face:
            face["landmarks"] *= servable.facts["size"]
        if "mask" in face:
            face["mask"] = np.round(face["mask"])
        found.append(face)
    return found


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, networks, tmp_path_factory):
    """A system's Servable, and its file in each precision."""
    servable = make_servable(request.param, networks[request.param])
    folder = tmp_path_factory.mktemp(request.param)
    calibration = Calibration(faces(servable, 8), {"dataset": "drawn", "faces": 8})
    with lite_archive(servable) as archive:
        files = {
            precision: export_litert(
                servable,
                folder / f"{precision}.tflite",
                precision,
                calibration if precision == "int8" else None,
                archive,
            )
            for precision in PRECISIONS
        }
    return servable, files


@pytest.mark.slow
def test_every_precision_answers_as_keras_does(exported):
    servable, files = exported
    given = faces(servable, 4, seed=1)
    specs = [spec.name for spec in servable.lite.specs]
    expected = [servable.lite.function(*(tf.constant(x[n]) for n in specs)) for x in given]
    for precision, path in files.items():
        answer = Interpreter(str(path)).get_signature_runner(servable.lite.name)
        found = [{n: np.array(v) for n, v in answer(**x).items()} for x in given]
        for name, known in expected[0].items():
            ours = np.stack([each[name] for each in found])
            theirs = np.stack([each[name].numpy() for each in expected])
            assert ours.dtype == known.dtype and ours.shape == theirs.shape, name
            if name == "class_id":
                continue  # of distances, which are compared
            scale = np.abs(theirs).max()
            mean = np.abs(ours - theirs).mean() / scale
            assert mean < TOLERANCES[precision], (precision, name, mean)
            if precision == "float32":
                np.testing.assert_allclose(ours, theirs, atol=EXACT * max(scale, 1), err_msg=name)


@pytest.mark.slow
def test_what_is_said_of_a_file(exported):
    servable, files = exported
    whole = files["float32"].stat().st_size
    for precision, path in files.items():
        card = json.loads(path.with_suffix(".json").read_text())
        assert (card["system"], card["precision"]) == (servable.system, precision)
        assert card["inputs"] == {s.name: s.shape.as_list() for s in servable.lite.specs}
        assert card["operators"] == operators(path.read_bytes())
        assert not [name for name in card["operators"] if name.startswith(("CUSTOM", "FLEX"))]
        assert ("calibration" in card) == (precision == "int8")
        labels = path.with_name(f"{precision}_labels.txt")
        assert labels.exists() == bool(servable.labels)
        if servable.labels:
            assert labels.read_text().splitlines() == list(servable.labels) == card["labels"]
        if precision == "int8":
            assert card["calibration"] == {"dataset": "drawn", "faces": 8}
            kept = set(card["float_operators"])
            assert not kept & {"CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"}
            # All is in 8 bits, but for operators that have no such kernel, and what finds an AU's
            # places, which outweighs the weights of so small a network.
            assert servable.system == "synthesis" or kept <= SPARED
            assert servable.system == "synthesis" or path.stat().st_size < whole


@pytest.mark.slow
@pytest.mark.parametrize("exported", ["synthesis"], indirect=True)
def test_an_int8_editor_takes_what_is_not_known(exported):
    servable, files = exported
    edit = Interpreter(str(files["int8"])).get_signature_runner("edit_at")
    (face,) = faces(servable, 1, seed=2)
    unknown = np.full_like(face["landmarks"], np.nan)
    stays = np.full_like(face["values"], np.nan)
    edited = edit(image=face["image"], values=stays, landmarks=unknown)["edited"]
    np.testing.assert_allclose(edited, face["image"], atol=1e-6)
    one = stays.copy()
    one[0, 1] = 1.0
    edited = np.array(edit(image=face["image"], values=one, landmarks=unknown)["edited"])
    given = map(tf.constant, (face["image"], one, unknown))
    known = servable.lite.function(*given)["edited"].numpy()
    outside = known == face["image"]
    assert 0.1 < outside.mean() < 1
    np.testing.assert_allclose(edited[outside], face["image"][outside], atol=1e-6)
    assert np.abs(edited - known).max() < 0.15 < 2 * np.abs(known - face["image"]).max()
