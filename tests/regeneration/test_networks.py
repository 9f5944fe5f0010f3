"""Generator, discriminator and their sum: layers, precisions, reload, one graph, and refusals."""

import keras
import numpy as np
import pytest

from tfface.regeneration.features import FerNet
from tfface.regeneration.networks import (
    ExpressionRegenerator,
    RegenerationDiscriminator,
    RegenerationGenerator,
)

CLASSES = ("anger", "fear", "joy")
NETWORKS = {
    "generator": lambda **kw: RegenerationGenerator("joy", 16, 1, (3, 4, 5, 6), **kw),
    "generator_dropout": lambda **kw: RegenerationGenerator("joy", 16, 3, (3, 4), 0.5, True, **kw),
    "discriminator": lambda **kw: RegenerationDiscriminator(16, 1, (3, 4, 5), **kw),
    "classifier": lambda **kw: FerNet(CLASSES, 16, **kw),
}


def inputs_of(network, count=2, seed=0):
    rng = np.random.default_rng(seed)
    values = [rng.uniform(size=(count, *i.shape[1:])).astype("float32") for i in network.inputs]
    return values if len(values) > 1 else values[0]


def outputs_of(network, x, **kwargs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, network(x, **kwargs))


def shaken(network, seed=0):
    """The network with other weights, statistics too, so that no layer is idle."""
    rng = np.random.default_rng(seed)
    for weight in network.trainable_weights:
        weight.assign(weight + rng.normal(0, 0.05, weight.shape))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for statistic in (layer.moving_mean, layer.moving_variance):
                statistic.assign(statistic + rng.uniform(0, 0.1, statistic.shape))
    return network


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_reloads_to_the_same_outputs_in_every_precision(name, policy, tmp_path):
    keras.utils.set_random_seed(0)
    network = shaken(NETWORKS[name](dtype=policy))
    x = inputs_of(network)
    before = outputs_of(network, x)
    assert before.dtype == np.float32
    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert reloaded.dtype_policy.name == policy
    assert reloaded.get_config() == network.get_config()
    np.testing.assert_allclose(outputs_of(reloaded, x), before, rtol=1e-5, atol=1e-6)
    error = np.abs(outputs_of(network.in_float32(), x) - before).max()
    assert (error == 0) == (policy == "float32") and error < 0.02 * np.abs(before).max()


def test_the_generator_has_the_layers_of_the_paper():
    network = RegenerationGenerator("joy")
    encoders = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    decoders = [
        layer for layer in network.layers if isinstance(layer, keras.layers.Conv2DTranspose)
    ]
    assert [layer.filters for layer in encoders] == [64, 128, 256, 512, 512, 512]
    assert [layer.filters for layer in decoders] == [512, 512, 256, 128, 64, 1]
    for layer in (*encoders, *decoders):
        assert layer.kernel_size == (4, 4) and layer.strides == (2, 2)
    assert [layer.output.shape[1] for layer in encoders] == [32, 16, 8, 4, 2, 1]
    assert [layer.output.shape[1] for layer in decoders] == [2, 4, 8, 16, 32, 64]
    # A decoder sees what came before it and the encoder's features of that size.
    assert [layer.input.shape[-1] for layer in decoders] == [512, 1024, 1024, 512, 256, 128]
    # 4x4 kernels; a bias in the last layer alone; four numbers a channel where normalized.
    plan = [(1, 64), (64, 128), (128, 256), (256, 512), (512, 512), (512, 512)]
    plan += [(512, 512), (1024, 512), (1024, 256), (512, 128), (256, 64)]
    kernels = 16 * (sum(a * b for a, b in plan) + 128 * 1)
    assert network.count_params() == kernels + 4 * sum(b for _, b in plan) + 1
    assert network.name == "generator_joy"


def test_the_discriminator_judges_patches_of_pairs():
    network = RegenerationDiscriminator()
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in layers] == [64, 128, 256, 512, 1]
    assert [layer.strides[0] for layer in layers] == [2, 2, 2, 1, 1]
    assert network.output_shape == (None, 8, 8, 1)
    assert [layer.input.shape[-1] for layer in layers[:1]] == [2]
    small = shaken(NETWORKS["discriminator"]())
    given, judged = inputs_of(small)
    assert np.any(outputs_of(small, [given, judged]) != outputs_of(small, [judged, given]))


def test_low_level_features_pass_by_the_bottleneck():
    """With all but the last decoder's way through the first encoder cut, the face still shows."""
    network = shaken(NETWORKS["generator"]())
    kernel = network.get_layer("draw").kernel
    cut = keras.ops.convert_to_numpy(kernel).copy()
    cut[..., :-3] = 0  # (4, 4, out, in): the skip's three channels come last
    kernel.assign(cut)
    x = inputs_of(network, 1)
    slightly = x.copy()
    slightly[0, 0, 0] += 0.5
    change = np.abs(outputs_of(network, x) - outputs_of(network, slightly))[0, ..., 0]
    assert change[:4, :4].max() > 0 and change[8:, 8:].max() == 0


def test_dropout_is_for_training_alone():
    network = shaken(NETWORKS["generator_dropout"]())
    x = inputs_of(network)
    np.testing.assert_array_equal(outputs_of(network, x), outputs_of(network, x))
    drawn = [outputs_of(network, x, training=True) for _ in range(2)]
    assert np.any(drawn[0] != drawn[1])


def test_a_residual_generator_starts_from_the_face_itself():
    network = RegenerationGenerator("joy", 16, 3, (3, 4), residual=True)
    x = inputs_of(network)
    x[0, 0, 0] = 0, 0.001, 1
    expected = np.clip(x, 0.01, 0.99)
    np.testing.assert_allclose(outputs_of(network, x), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(outputs_of(shaken(network), x) - expected).max() > 0.01


def parts(channels=1, size=16, policy=None, classes=CLASSES, filters=(3, 4)):
    generators = [
        shaken(RegenerationGenerator(name, size, channels, filters, dtype=policy), i)
        for i, name in enumerate(classes)
    ]
    return generators, shaken(FerNet(CLASSES, size, channels, dtype=policy), 9)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_call_makes_what_the_networks_make_one_by_one(channels):
    generators, classifier = parts(channels)
    network = ExpressionRegenerator(reversed(generators), classifier)
    x = inputs_of(network, 3)
    out = outputs_of(network, x)
    regenerated = np.stack([outputs_of(g, x) for g in generators], axis=1)
    np.testing.assert_allclose(out["regenerated"], regenerated, rtol=1e-5, atol=1e-6)
    logits, features = outputs_of(classifier.with_features(), x)
    np.testing.assert_allclose(out["logits"], logits, rtol=1e-5, atol=1e-5)
    for i, generator in enumerate(generators):
        of_this = outputs_of(classifier.with_features(), outputs_of(generator, x))[1]
        distances = [np.linalg.norm(a - b) for a, b in zip(features, of_this, strict=True)]
        np.testing.assert_allclose(out["distances"][:, i], distances, rtol=1e-4)
    assert network.classes == CLASSES and network.aligned_size == 22
    assert {name: v.shape for name, v in out.items()} == {
        "regenerated": (3, 3, 16, 16, channels),
        "distances": (3, 3),
        "logits": (3, 3),
    }


def test_one_face_among_many_is_the_same_as_alone():
    network = ExpressionRegenerator(*parts())
    x = inputs_of(network, 5)
    alone, among = outputs_of(network, x[3:4]), outputs_of(network, x)
    for name, values in among.items():
        np.testing.assert_allclose(alone[name][0], values[3], rtol=1e-5, atol=1e-5)


@keras.saving.register_keras_serializable("tests")
class Corners(keras.layers.Layer):
    """Features that anybody can check: two pixels of the face."""

    def call(self, faces):
        return keras.ops.stack([faces[:, 0, 0, 0], faces[:, 1, 2, 0]], axis=-1)


def test_any_extractor_takes_the_classifiers_place():
    generators, classifier = parts()
    network = ExpressionRegenerator(generators, classifier, Corners())
    x = inputs_of(network)
    out = outputs_of(network, x)
    corners = [np.stack([v[:, 0, 0, 0], v[:, 1, 2, 0]], 1) for v in (x, *map_to(generators, x))]
    expected = [np.linalg.norm(corners[0] - c, axis=1) for c in corners[1:]]
    np.testing.assert_allclose(out["distances"], np.stack(expected, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(out["logits"], outputs_of(classifier, x), rtol=1e-5, atol=1e-5)


def map_to(networks, x):
    return [outputs_of(network, x) for network in networks]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_whole_reloads_and_computes_in_float32_when_asked(policy, tmp_path):
    network = ExpressionRegenerator(*parts(policy=policy), Corners())
    x = inputs_of(network)
    before = outputs_of(network, x)
    assert {v.dtype for v in before.values()} == {np.dtype("float32")}
    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert reloaded.classes == CLASSES and isinstance(reloaded.extractor, Corners)
    for name, values in outputs_of(reloaded, x).items():
        np.testing.assert_allclose(values, before[name], rtol=1e-5, atol=1e-6)
    assert len(reloaded.weights) == len(network.weights)
    full = reloaded.in_float32()
    assert (full is reloaded) == (policy == "float32") and full.in_float32() is full
    generators, classifier = network.generators, network.classifier
    expected = ExpressionRegenerator(
        [g.in_float32() for g in generators], classifier.in_float32(), Corners()
    )
    for name, values in outputs_of(expected, x).items():
        np.testing.assert_allclose(outputs_of(full, x)[name], values, rtol=1e-5, atol=1e-6)


def test_generators_of_different_runs_are_joined(tmp_path):
    generators, classifier = parts()
    for generator in generators:
        generator.save(tmp_path / f"{generator.expression}.keras")
    joined = [keras.saving.load_model(tmp_path / f"{name}.keras") for name in sorted(CLASSES)]
    x = inputs_of(classifier)
    whole = outputs_of(ExpressionRegenerator(generators, classifier), x)
    again = outputs_of(ExpressionRegenerator(joined, classifier), x)
    for name, values in whole.items():
        np.testing.assert_allclose(again[name], values, rtol=1e-5, atol=1e-6)


def joined(classes=CLASSES, other=None):
    generators, classifier = parts(classes=classes)
    return ExpressionRegenerator(generators[: 3 - bool(other)] + (other or []), classifier)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: joined(("anger", "joy")),
            "`generators` must be one for each class of anger, fear, joy. Received: anger, joy",
        ),
        (lambda: joined(("anger", "fear", "awe")), "Received: anger, fear, awe"),
        (lambda: joined(("anger", "fear", "fear")), "Received: anger, fear, fear"),
        (lambda: joined(()), "Received: none"),
        (
            lambda: joined(other=[RegenerationGenerator("joy", 8, 1, (3, 4))]),
            r"must make faces of the classifier's shape, \(16, 16, 1\). Received: .*'joy': \(8, 8",
        ),
        (
            lambda: joined(other=[RegenerationGenerator("joy", 16, 3, (3, 4))]),
            r"the classifier's shape, \(16, 16, 1\). Received: .*'joy': \(16, 16, 3\)",
        ),
        (lambda: RegenerationGenerator(size=96), "`size` must be a multiple of 64. Received: 96"),
        (lambda: RegenerationGenerator(size=0), "`size` must be a multiple of 64. Received: 0"),
        (lambda: RegenerationGenerator(channels=2), "`channels` must be 1 or 3. Received: 2"),
        (
            lambda: RegenerationGenerator(filters=(8,)),
            r"`filters` must be at least two positive numbers. Received: \[8\]",
        ),
        (lambda: RegenerationGenerator(filters=(8, 0)), r"`filters` must .* Received: \[8, 0\]"),
        (lambda: RegenerationGenerator(dropout=1.0), r"`dropout` must be in \[0, 1\). .* 1.0"),
        (lambda: RegenerationDiscriminator(size=20), "`size` must be a multiple of 8. .* 20"),
        (lambda: RegenerationDiscriminator(channels=4), "`channels` must be 1 or 3. Received: 4"),
        (lambda: RegenerationDiscriminator(filters=()), r"`filters` must .* Received: \[\]"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
