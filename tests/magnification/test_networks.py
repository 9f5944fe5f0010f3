"""The magnification players: sizes, precisions, reload, first weights, and what they refuse."""

import keras
import numpy as np
import pytest

from tfface.backbones import create_backbone
from tfface.magnification.networks import (
    ExpressionMagnifier,
    ExpressionNet,
    MagnificationDiscriminator,
    MagnificationGenerator,
)

NETWORKS = {
    "classifier": lambda **kw: ExpressionNet(3, 16, "fer_net", **kw),
    "extractor": lambda **kw: ExpressionNet(None, 16, "fer_net", **kw),
    "generator": lambda **kw: MagnificationGenerator(16, (4, 6, 8, 10), 5, **kw),
    "generator_alone": lambda **kw: MagnificationGenerator(16, (4, 6, 8, 10), 0, False, **kw),
    "discriminator": lambda **kw: MagnificationDiscriminator(16, (4, 6), 8, 5, **kw),
    "discriminator_alone": lambda **kw: MagnificationDiscriminator(16, (4, 6), 8, 0, **kw),
}
SHAPES = {
    "classifier": (2, 3),
    "extractor": (2, 256),
    "generator": (2, 16, 16, 3),
    "generator_alone": (2, 16, 16, 3),
    "discriminator": (2, 1),
    "discriminator_alone": (2, 1),
}
BASE_NETS = ("alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "resnet18", "resnet34", "resnet50")


def inputs_of(network, count=2, seed=0):
    rng = np.random.default_rng(seed)
    values = [rng.uniform(size=(count, *i.shape[1:])).astype("float32") for i in network.inputs]
    return values if len(values) > 1 else values[0]


def outputs_of(network, x, **kwargs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, network(x, **kwargs))


def shaken(network, seed=0):
    """The network with other weights, so that no layer starts at 0."""
    rng = np.random.default_rng(seed)
    for weight in network.trainable_weights:
        weight.assign(weight + rng.normal(0, 0.05, weight.shape))
    return network


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_reloads_to_the_same_outputs_in_every_precision(name, policy, tmp_path):
    network = shaken(NETWORKS[name](dtype=policy))
    x = inputs_of(network)
    before = outputs_of(network, x)
    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert reloaded.dtype_policy.name == policy
    assert before.shape == SHAPES[name] and before.dtype == np.float32
    assert np.all(np.isfinite(before)) and np.any(before != 0)
    np.testing.assert_allclose(outputs_of(reloaded, x), before, rtol=1e-5, atol=1e-6)
    assert reloaded.get_config() == network.get_config()
    error = np.abs(outputs_of(network.in_float32(), x) - before).max()
    assert (error == 0) == (policy == "float32") and error < 0.05 * np.abs(before).max()


@pytest.mark.parametrize("backbone", BASE_NETS[:2] + BASE_NETS[5:6])
def test_a_base_net_has_fully_connected_layers_of_512_and_256(backbone):
    network = ExpressionNet(7, 64, backbone)
    trunk = create_backbone(
        backbone, (64, 64, 3), pooling="avg" if backbone == "resnet18" else "flatten"
    )
    seen = trunk.output_shape[-1]
    # AlexNet's last map is 1x1x256 at 64 pixels, VGG11's 2x2x512; ResNet18 gives averages of 512.
    assert seen == {"alexnet": 256, "vgg11": 2048, "resnet18": 512}[backbone]
    top = (seen + 1) * 512 + (512 + 1) * 256 + (256 + 1) * 7
    assert network.count_params() == trunk.count_params() + top


def test_batch_normalizations_see_the_batches_of_all_replicas():
    for network, count in ((ExpressionNet(3, 32, "resnet18"), 20), (NETWORKS["classifier"](), 8)):
        norms = [n for n in network.layers if isinstance(n, keras.layers.BatchNormalization)]
        assert len(norms) == count and all(norm.synchronized for norm in norms)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BASE_NETS)
def test_every_base_net_of_the_paper_is_both_players(backbone):
    classifier = ExpressionNet(7, 64, backbone)
    extractor = classifier.extractor()
    x = inputs_of(classifier, 1)
    assert outputs_of(classifier, x).shape == (1, 7)
    assert outputs_of(extractor, x).shape == (1, 256)


def test_an_extractor_is_its_classifier_without_the_class_layer():
    classifier = shaken(NETWORKS["classifier"]())
    x = inputs_of(classifier)
    extractor = classifier.extractor()
    features = outputs_of(extractor, x)
    kernel, bias = classifier.get_layer("logits").get_weights()
    np.testing.assert_allclose(
        features @ kernel + bias, outputs_of(classifier, x), rtol=1e-5, atol=1e-5
    )
    logits, same = outputs_of(classifier.with_features(), x)
    np.testing.assert_allclose(same, features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits, outputs_of(classifier, x), rtol=1e-5, atol=1e-6)
    assert features.min() >= 0
    # A copy: what E learns, C does not.
    for weight in extractor.trainable_weights:
        weight.assign(weight * 0)
    np.testing.assert_allclose(outputs_of(classifier, x), logits, rtol=1e-5, atol=1e-6)


def test_a_base_net_starts_from_weights_and_keeps_them_under_the_papers_start(tmp_path):
    published = create_backbone("vgg11", (32, 32, 3), pooling="flatten")
    published.save_weights(tmp_path / "p.weights.h5")
    network = ExpressionNet(
        3, 32, "vgg11", weights=str(tmp_path / "p.weights.h5"), initialization="paper"
    )
    for layer in published.layers:
        for a, b in zip(
            layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    kernel, bias = network.get_layer("dense").get_weights()
    assert kernel.std() == pytest.approx(0.01, rel=0.02) and np.all(bias == 1)
    assert network.get_config()["weights"] is None


@pytest.mark.parametrize("name", NETWORKS)
def test_the_papers_first_weights(name):
    keras.utils.set_random_seed(0)
    network = NETWORKS[name](initialization="paper")
    kernels = [w for w in network.trainable_weights if w.name == "kernel"]
    biases = [w for w in network.trainable_weights if w.name == "bias"]
    assert len(kernels) >= 5 and len(biases) >= 3
    values = np.concatenate([w.numpy().ravel() for w in kernels])
    assert values.std() == pytest.approx(0.01, rel=0.03) and abs(values.mean()) < 5e-4
    assert all(np.all(w.numpy() == 1) for w in biases)


def test_faces_stay_apart_under_the_default_start():
    """What the paper's start loses, ours keeps: how features of two faces differ."""
    spread = {}
    for start in ("he", "paper"):
        keras.utils.set_random_seed(0)
        extractor = ExpressionNet(None, 32, "vgg11", initialization=start)
        spread[start] = outputs_of(extractor, inputs_of(extractor, 8)).std(axis=0).mean()
    assert spread["he"] > 1e-2 and spread["paper"] < 1e-4


def test_the_bottleneck_is_an_eighth_and_holds_the_feature_everywhere():
    generator = NETWORKS["generator"]()
    face, feature = inputs_of(generator)
    probe = keras.Model(generator.inputs, generator.get_layer("bottleneck").output)
    joined = outputs_of(probe, [face, feature])
    assert joined.shape == (2, 2, 2, 10 + 5)
    even = feature - feature.mean(1, keepdims=True)
    even /= np.sqrt((even**2).mean(1, keepdims=True) + 1e-3)  # the layer's own guard against 0
    np.testing.assert_allclose(
        joined[..., 10:], np.tile(even[:, None, None], (1, 2, 2, 1)), rtol=1e-4, atol=1e-5
    )
    kernels = [generator.get_layer(f"encode_{i}").kernel.shape for i in range(4)]
    assert kernels == [(7, 7, 3, 4), (5, 5, 4, 6), (3, 3, 6, 8), (3, 3, 8, 10)]
    sides = [generator.get_layer(f"decode_{i}").output.shape[1] for i in range(4)]
    assert sides == [2, 4, 8, 16]
    channels = [generator.get_layer(f"decode_{i}").output.shape[-1] for i in range(4)]
    assert channels == [10, 8, 6, 4]


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_a_feature_counts_by_its_direction(name):
    network = shaken(NETWORKS[name]())
    face, feature = inputs_of(network)
    feature *= 100  # so that the guard against 0 does not show
    out = outputs_of(network, [face, feature])
    np.testing.assert_allclose(
        outputs_of(network, [face, 7 * feature + 3]), out, rtol=1e-5, atol=1e-5
    )
    assert np.abs(outputs_of(network, [face, feature[:, ::-1]]) - out).max() > 1e-4


def test_training_starts_from_the_face_itself():
    """Values but for the last hundredth of the range come back, whatever the feature says."""
    generator = NETWORKS["generator"]()
    face, feature = inputs_of(generator)
    face[0, 0, 0], face[0, 0, 1] = 0.0, 1.0
    expected = np.clip(face, 0.01, 0.99)
    np.testing.assert_allclose(
        outputs_of(generator, [face, feature]), expected, rtol=1e-5, atol=1e-6
    )


CLASSES = ("joy", "anger", "fear")


def magnifier(kind="2v2", **kwargs):
    """What a run of each kind of mode keeps, small: of three classes and 16 pixels."""
    with_feature, without = (
        MagnificationGenerator(16, (2, 3, 4, 5), n, residual=False) for n in (256, 0)
    )
    classifier = shaken(ExpressionNet(3, 16, "fer_net"), 3)
    generator, extractor = {
        "2v2": (shaken(with_feature, 1), shaken(NETWORKS["extractor"](), 2)),
        "1v2": (shaken(without, 1), None),
        "cnn": (None, None),
    }[kind]
    return ExpressionMagnifier(generator, extractor, classifier, CLASSES, **kwargs)


@pytest.mark.parametrize("kind", ["2v2", "1v2", "cnn"])
def test_a_magnifier_is_its_networks_one_after_another(kind, tmp_path):
    network = magnifier(kind)
    face = inputs_of(network)
    out = outputs_of(network, face)
    expected = face
    if kind == "2v2":
        expected = outputs_of(network.generator, [face, outputs_of(network.extractor, face)])
    elif kind == "1v2":
        expected = outputs_of(network.generator, face)
    assert (np.abs(expected - face).max() > 0.05) == (kind != "cnn")
    np.testing.assert_allclose(out["magnified"], expected, rtol=1e-5, atol=1e-6)
    changes = np.array([[[sum(c**2) for c in row] for row in one] for one in expected - face])
    np.testing.assert_allclose(out["heat_map"], changes, rtol=1e-5, atol=1e-6)  # Eq. 22
    logits = [outputs_of(network.classifier, x) for x in (face, expected)]
    np.testing.assert_allclose(out["logits_before"], logits[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(out["logits_after"], logits[1], rtol=1e-5, atol=1e-5)
    assert {name: v.shape for name, v in out.items()} == {
        "magnified": (2, 16, 16, 3),
        "heat_map": (2, 16, 16),
        "logits_before": (2, 3),
        "logits_after": (2, 3),
    }

    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert reloaded.get_config() == network.get_config()
    assert (reloaded.classes, reloaded.size, reloaded.aligned_size) == (CLASSES, 16, 16)
    assert (reloaded.extractor is not None) == (kind == "2v2")
    for name, values in outputs_of(reloaded, face).items():
        np.testing.assert_allclose(values, out[name], rtol=1e-5, atol=1e-6)
    assert len(reloaded.weights) == len(network.weights)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_magnifier_of_mixed_precision_computes_in_float32_when_asked(policy, tmp_path):
    generator = shaken(MagnificationGenerator(16, (2, 3, 4, 5), 256, dtype=policy))
    classifier = shaken(ExpressionNet(3, 16, "fer_net", dtype=policy))
    network = ExpressionMagnifier(generator, classifier.extractor(), classifier, CLASSES, 18)
    face = inputs_of(network)
    out = outputs_of(network, face)
    assert {v.dtype for v in out.values()} == {np.dtype("float32")}
    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras")
    assert reloaded.generator.dtype_policy.name == reloaded.extractor.dtype_policy.name == policy
    computing = reloaded.in_float32()
    assert (computing is reloaded) == (policy == "float32")
    assert computing.in_float32() is computing
    assert (computing.classes, computing.aligned_size) == (CLASSES, 18)
    parts = [n.in_float32() for n in (generator, network.extractor, classifier)]
    expected = ExpressionMagnifier(*parts, CLASSES, 18)
    for name, values in outputs_of(expected, face).items():
        np.testing.assert_allclose(outputs_of(computing, face)[name], values, rtol=1e-5, atol=1e-6)
    error = np.abs(outputs_of(computing, face)["magnified"] - out["magnified"]).max()
    assert (error == 0) == (policy == "float32") and error < 0.05


def test_a_magnifier_shares_weights_with_its_networks():
    network = magnifier()
    count = sum(
        n.count_params() for n in (network.generator, network.extractor, network.classifier)
    )
    assert network.count_params() == count
    face = inputs_of(network)
    network.classifier.get_layer("logits").bias.assign([9.0, 0.0, 0.0])
    assert np.all(outputs_of(network, face)["logits_after"].argmax(axis=1) == 0)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_gray_picture_stays_finite_everywhere(value):
    for name, build in NETWORKS.items():
        network = shaken(build())
        x = inputs_of(network)
        x = [np.full_like(x[0], value), x[1]] if isinstance(x, list) else np.full_like(x, value)
        out = outputs_of(network, x, training=True)
        assert np.all(np.isfinite(out)), name


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ExpressionNet(1), "`num_classes` must be at least 2 or None. Received: 1"),
        (lambda: ExpressionNet(7, 16), "at least 32 pixels"),
        (lambda: ExpressionNet(7, backbone="vgg12"), "'vgg12'"),
        (lambda: ExpressionNet(7, pooling="mean"), "`pooling` must be .* Received: 'mean'"),
        (lambda: ExpressionNet(7, initialization="xavier"), "`initialization` .* 'xavier'"),
        (lambda: MagnificationGenerator(20), "`size` must be a multiple of 8. Received: 20"),
        (lambda: MagnificationGenerator(0), "`size` must be a multiple of 8. Received: 0"),
        (
            lambda: MagnificationGenerator(16, (4, 8)),
            r"`filters` must be four positive numbers. Received: \[4, 8\]",
        ),
        (lambda: MagnificationGenerator(16, feature_size=-1), "`feature_size` .* Received: -1"),
        (lambda: MagnificationGenerator(16, initialization=""), "`initialization` .* Received: ''"),
        (lambda: MagnificationDiscriminator(16, ()), r"`filters` must be .* Received: \[\]"),
        (lambda: MagnificationDiscriminator(16, (4, 0)), r"`filters` .* Received: \[4, 0\]"),
        (lambda: MagnificationDiscriminator(16, feature_size=-2), "`feature_size` .* -2"),
        (
            lambda: ExpressionMagnifier(
                NETWORKS["generator"](), None, NETWORKS["classifier"](), "abc"
            ),
            "`generator` must take faces alone, as there is no extractor. Received: one of 2",
        ),
        (
            lambda: ExpressionMagnifier(
                None, NETWORKS["extractor"](), NETWORKS["classifier"](), "abc"
            ),
            "`extractor` must be None without a generator. Received: a network",
        ),
        (
            lambda: ExpressionMagnifier(
                MagnificationGenerator(8, (2, 2, 2, 2), 0), None, NETWORKS["classifier"](), "abc"
            ),
            r"`networks` must take faces of one size. Received: .*\(8, 8, 3\).*\(16, 16, 3\)",
        ),
        (
            lambda: ExpressionMagnifier(None, None, NETWORKS["classifier"](), ("joy", "fear")),
            r"`classes` must name each of the classifier's 3 classes.* Received: \['joy', 'fear'\]",
        ),
        (
            lambda: ExpressionMagnifier(None, None, NETWORKS["classifier"](), "aba"),
            r"`classes` must .* none twice. Received: \['a', 'b', 'a'\]",
        ),
        (lambda: magnifier("cnn", aligned_size=15), "`aligned_size` must be at least 16. .* 15"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
