"""FER-Net, the extractors that take its place, Eq. 8, and what cannot be had."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.regeneration.features import (
    FerNet,
    SavedModelFeatures,
    create_features,
    feature_distances,
    nearest_expression,
)
from tfface.regeneration.networks import ExpressionRegenerator, RegenerationGenerator

CLASSES = ("anger", "fear", "joy")
RNG = np.random.default_rng(0)
FACES = RNG.uniform(size=(2, 16, 16, 1)).astype("float32")


def outputs_of(network, x, **kwargs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, network(x, **kwargs))


def test_logits_are_a_layer_on_the_features():
    network = FerNet(CLASSES, 16)
    logits, features = outputs_of(network.with_features(), FACES)
    assert features.shape == (2, 256) and features.min() >= 0
    kernel, bias = network.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits, features @ kernel + bias, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs_of(network, FACES), logits, rtol=1e-5, atol=1e-6)


def test_dropout_hides_half_of_the_features_from_the_class_layer_in_training_alone():
    network = FerNet(CLASSES, 16)
    assert [layer.rate for layer in network.layers if "dropout" in layer.name] == [0.5]
    drawn = [outputs_of(network, FACES, training=True) for _ in range(2)]
    assert np.any(drawn[0] != drawn[1])
    still = FerNet(CLASSES, 16, dropout=0.0)
    drawn = [outputs_of(still, FACES, training=True) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)


def test_other_classes_keep_what_both_have_learned():
    """From FER-2013's classes to a set's own, another order and one that is new."""
    network = FerNet(CLASSES, 16)
    network.get_layer("logits").bias.assign([1.0, 2.0, 3.0])
    other = network.with_classes(("joy", "awe", "anger"))
    assert other.classes == ("joy", "awe", "anger") and network.classes == CLASSES
    before, after = outputs_of(network, FACES), outputs_of(other, FACES)
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [2, 0]], rtol=1e-5, atol=1e-6)
    other.get_layer("logits").bias.assign([9.0] * 3)
    np.testing.assert_array_equal(outputs_of(network, FACES), before)


def test_levels_are_a_frozen_copy():
    network = FerNet(CLASSES, 16)
    levels = network.levels(["block1_relu2", "block2_conv1"])
    found = outputs_of(levels, FACES)
    assert [value.shape for value in found] == [(2, 16, 16, 32), (2, 8, 8, 64)]
    expected = keras.Model(network.inputs[0], network.get_layer("block2_conv1").output)
    np.testing.assert_allclose(found[1], outputs_of(expected, FACES), rtol=1e-5, atol=1e-6)
    assert not levels.trainable_variables and network.trainable_variables
    network.get_layer("block1_conv1").set_weights([np.zeros((3, 3, 1, 32))])
    np.testing.assert_array_equal(outputs_of(levels, FACES)[0], found[0])
    with pytest.raises(ValueError, match="`layer_names` must name layers"):
        network.levels(["nothing"])


class Half(tf.Module):
    """A SavedModel whose features are known: the means of a picture's upper and lower half."""

    def __init__(self, size, channels, kind="vectors"):
        super().__init__()
        self.scale = tf.Variable(2.0)
        self.kind = kind
        taken = tf.TensorSpec((None, size, size, channels), tf.float32, name="image")
        specs = [taken, tf.TensorSpec((), tf.float32, name="more")][: 1 + (kind == "two inputs")]
        call = {
            "vectors": lambda image: {"features": self._means(image)},
            "two outputs": lambda image: {"a": self._means(image), "b": self._means(image)},
            "two inputs": lambda image, more: {"features": self._means(image) + more},
            "maps": lambda image: {"features": image},
        }[kind]
        self.serve = tf.function(call, input_signature=specs)

    def _means(self, image):
        upper, lower = tf.split(image, 2, axis=1)
        return self.scale * tf.stack([tf.reduce_mean(v, (1, 2, 3)) for v in (upper, lower)], 1)


def saved(path, *args, signature="serving_default"):
    model = Half(*args)
    tf.saved_model.save(model, str(path), signatures={signature: model.serve})
    return str(path)


def halves(faces):
    upper, lower = np.split(faces, 2, axis=1)
    return 2 * np.stack([v.mean((1, 2, 3)) for v in (upper, lower)], 1)


@pytest.mark.parametrize("size", [16, 8, None])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_savedmodel_gets_faces_as_it_takes_them(size, channels, tmp_path):
    """Means of halves stay about what they are when pictures shrink or change their channels."""
    extractor = SavedModelFeatures(saved(tmp_path / "m", size, channels))
    faces = FACES * np.where(np.arange(16) < 8, 1, 0.4)[:, None, None].astype("float32")
    atol = 1e-5 if size != 8 else 0.05
    np.testing.assert_allclose(outputs_of(extractor, faces), halves(faces), atol=atol)
    color = np.repeat(faces, 3, axis=-1)
    np.testing.assert_allclose(outputs_of(extractor, color), halves(faces), atol=max(atol, 1e-3))
    assert not extractor.trainable_weights


def test_a_savedmodel_in_the_whole_exports_with_it(tmp_path):
    """As SavedModel with a copy inside; as .keras by its path, which Keras reads if told to."""
    classifier, extractor = create_features(
        f"savedmodel:{saved(tmp_path / 'm', 16, 3)}", CLASSES, 16
    )
    generators = [RegenerationGenerator(name, 16, 1, (3, 4)) for name in CLASSES]
    network = ExpressionRegenerator(generators, classifier, extractor)
    before = outputs_of(network, FACES)
    expected = [halves(FACES) - halves(outputs_of(g, FACES)) for g in generators]
    np.testing.assert_allclose(
        before["distances"], np.stack([np.linalg.norm(d, axis=1) for d in expected], 1), atol=1e-5
    )
    network.save(tmp_path / "n.keras")
    with pytest.raises(ValueError, match="safe_mode=False"):
        keras.saving.load_model(tmp_path / "n.keras")
    again = keras.saving.load_model(tmp_path / "n.keras", safe_mode=False)
    np.testing.assert_allclose(outputs_of(again, FACES)["distances"], before["distances"])

    network.export(tmp_path / "exported", verbose=False)
    (tmp_path / "m").rename(tmp_path / "gone")
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    served = exported.serve(FACES)
    for name, values in before.items():
        np.testing.assert_allclose(served[name], values, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="`path` must be a SavedModel's folder"):
        keras.saving.load_model(tmp_path / "n.keras", safe_mode=False)


def test_features_are_chosen_by_name(tmp_path):
    fer_net, extractor = create_features("fer_net", CLASSES, 16, dropout=0.25)
    assert extractor is None and fer_net.get_config()["dropout"] == 0.25
    vgg, extractor = create_features("backbone:vgg11", CLASSES, 32, 1)
    assert extractor is None and vgg.get_config()["backbone"] == "vgg11"
    assert vgg.with_features().output_shape == [(None, 3), (None, 512)]
    vgg.save(tmp_path / "v.keras")
    assert keras.saving.load_model(tmp_path / "v.keras").get_config() == vgg.get_config()
    fer_net, extractor = create_features(f"savedmodel:{saved(tmp_path / 'm', 8, 3)}", CLASSES, 16)
    assert isinstance(extractor, SavedModelFeatures) and fer_net.get_config()["size"] == 16


@pytest.mark.parametrize(
    "name", ["", "vgg", "fer-net", "backbone:", "backbone:vgg12", "savedmodel:", "fer_net:x"]
)
def test_an_unknown_extractor_is_named(name):
    message = f"`features` must be 'fer_net', 'backbone:NAME' or .* Received: '{name}'"
    with pytest.raises(ValueError, match=message):
        create_features(name, CLASSES, 16)


def test_what_is_no_extractor_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be a SavedModel's folder, .* Received: .*none"):
        create_features(f"savedmodel:{tmp_path / 'none'}", CLASSES)
    for kind in ("two inputs", "two outputs", "maps"):
        path = saved(tmp_path / kind, 8, 3, kind)
        with pytest.raises(ValueError, match="whose serving_default takes one batch of float"):
            SavedModelFeatures(path)
    path = saved(tmp_path / "channels", 8, 2)
    with pytest.raises(ValueError, match="whose serving_default takes one batch of float"):
        SavedModelFeatures(path)
    path = saved(tmp_path / "unnamed", 8, 3, signature="other")
    with pytest.raises(ValueError, match="serving_default"):
        SavedModelFeatures(path)


def test_the_nearest_regenerated_face_decides():
    """Eq. 8 by hand: distances 5, 1 and sqrt 2; and of equal ones the first."""
    features = np.array([[0.0, 0.0], [1.0, 1.0]])
    regenerated = np.array([[[3.0, 4.0], [0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0]] * 3])
    distances = keras.ops.convert_to_numpy(feature_distances(features, regenerated))
    np.testing.assert_allclose(distances, [[5, 1, 2**0.5], [1, 1, 1]], rtol=1e-6)
    assert nearest_expression(distances).numpy().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ["joy"]}, r"`classes` must be at least two different .*\['joy'\]"),
        ({"classes": ["joy", "joy"]}, r"`classes` must be at least two different .*'joy', 'joy'"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: 1.0"),
        ({"pooling": "sum"}, "`pooling` must be None, 'avg', 'max' or 'flatten'. .*'sum'"),
        ({"size": 8}, "fer_net must be at least 16 pixels"),
        ({"backbone": "vgg12"}, "`name` must be one of"),
        ({"channels": 2}, "1 or 3 channels"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FerNet(**{"classes": CLASSES, "size": 16, **arguments})
