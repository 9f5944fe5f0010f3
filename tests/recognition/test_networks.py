"""The recognition players: sizes as published, precisions, reload, and what they refuse."""

import keras
import numpy as np
import pytest

from tfface.backbones import create_backbone
from tfface.recognition.networks import ActionUnitDiscriminator, ActionUnitRecognizer

AUS = (1, 12, 25)
NETWORKS = {
    "fer_net": lambda **kw: ActionUnitRecognizer(AUS, 16, "fer_net", pooling="flatten", **kw),
    "resnet18": lambda **kw: ActionUnitRecognizer(AUS, 32, "resnet18", **kw),
    "alexnet": lambda **kw: ActionUnitRecognizer(
        AUS, 64, "alexnet", pooling="max", dropout=0.3, **kw
    ),
    "discriminator": lambda **kw: ActionUnitDiscriminator(3, units=(8, 4), **kw),
}
HALF = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def inputs_of(network, count=2, seed=0):
    shape = (count, *network.inputs[0].shape[1:])
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def outputs_of(network, x, **kwargs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, network(x, **kwargs))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["float32", *HALF])
def test_reloads_to_the_same_outputs_in_every_precision(name, policy, tmp_path):
    network = NETWORKS[name](dtype=policy)
    x = inputs_of(network)
    before = outputs_of(network, x)
    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert reloaded.dtype_policy.name == policy
    assert before.shape == (2, 1 if name == "discriminator" else 3)
    assert before.dtype == np.float32 and np.all(np.isfinite(before))
    np.testing.assert_allclose(outputs_of(reloaded, x), before, atol=1e-6)
    assert reloaded.get_config() == network.get_config()
    assert type(network).from_config(network.get_config()).get_config() == network.get_config()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", HALF)
def test_layers_compute_in_half_precision_and_keep_float32_weights(name, policy):
    network = NETWORKS[name](dtype=policy)
    weighted = [layer for layer in network.layers if layer.weights]
    *hidden, last = weighted
    assert len(hidden) >= 2 and {layer.compute_dtype for layer in hidden} == {HALF[policy]}
    assert last.compute_dtype == "float32"
    assert {weight.dtype for layer in weighted for weight in layer.weights} == {"float32"}
    probe = keras.Model(network.inputs[0], hidden[-1].output)
    assert outputs_of(probe, inputs_of(network)).dtype.name == HALF[policy]


@pytest.mark.parametrize("policy", HALF)
def test_half_precision_stays_near_float32(policy):
    half = NETWORKS["fer_net"](dtype=policy)
    full = half.in_float32()
    assert {layer.compute_dtype for layer in full.layers} == {"float32"}
    x = inputs_of(half, 8)
    expected = outputs_of(full, x)
    error = np.abs(outputs_of(half, x) - expected).max() / np.abs(expected).max()
    assert 0 < error < 0.05


def test_the_global_policy_is_taken_where_none_is_given_and_always_left_as_it_was():
    NETWORKS["fer_net"](dtype="mixed_float16")
    assert keras.config.dtype_policy().name == "float32"
    with pytest.raises(ValueError, match="`name` must be one of"):
        ActionUnitRecognizer(AUS, 16, "no_such_net", dtype="mixed_float16")
    assert keras.config.dtype_policy().name == "float32"
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        default, full = NETWORKS["fer_net"](), NETWORKS["fer_net"](dtype="float32")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert default.dtype_policy.name == "mixed_bfloat16"
    assert default.get_layer("block4_conv2").compute_dtype == "bfloat16"
    assert {layer.compute_dtype for layer in full.layers} == {"float32"}


def test_the_default_is_the_papers_recognizer():
    """ResNet-50 without its top has 23,587,712 weights; the dense layer sees 2048 features."""
    recognizer = ActionUnitRecognizer(range(1, 13))
    assert recognizer.input_shape == (None, 224, 224, 3)
    assert recognizer.output_shape == (None, 12)
    assert recognizer.count_params() == 23_587_712 + 2048 * 12 + 12
    norms = batch_normalizations(recognizer)
    assert len(norms) == 1 + 3 * 16 + 4 and all(norm.synchronized for norm in norms)


def batch_normalizations(network):
    return [n for n in network.layers if isinstance(n, keras.layers.BatchNormalization)]


@pytest.mark.parametrize(("name", "count"), [("fer_net", 8), ("resnet18", 1 + 16 + 3)])
def test_batch_normalizations_see_the_batches_of_all_replicas(name, count, tmp_path):
    network = NETWORKS[name]()
    network.save(tmp_path / "n.keras")
    for each in (network, keras.saving.load_model(tmp_path / "n.keras")):
        norms = batch_normalizations(each)
        assert len(norms) == count and all(norm.synchronized for norm in norms)


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_features_are_the_pooled_last_map(pooling):
    network = ActionUnitRecognizer(AUS, 64, "resnet18", pooling=pooling)
    x = inputs_of(network)
    last = keras.Model(network.inputs[0], network.get_layer("conv5_block2_out").output)
    maps = outputs_of(last, x)
    assert maps.shape == (2, 2, 2, 512)
    logits, features = outputs_of(network.with_features(), x)
    expected = {
        "avg": maps.mean((1, 2)),
        "max": maps.max((1, 2)),
        "flatten": maps.reshape(2, 2048),
    }
    np.testing.assert_allclose(features, expected[pooling], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits, outputs_of(network, x), atol=1e-6)
    kernel, bias = network.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits, features @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_features_of_a_flattened_fer_net_keep_their_places():
    """At 32 pixels its last map is 2x2x256, which its own dense layer sees whole or averaged."""
    for pooling, seen in (("flatten", 1024), ("avg", 256)):
        network = ActionUnitRecognizer(AUS, 32, "fer_net", pooling=pooling)
        assert network.get_layer("features").kernel.shape == (seen, 256)
        assert network.with_features().output_shape == [(None, 3), (None, 256)]


def test_features_follow_the_networks_weights():
    network = NETWORKS["fer_net"]()
    lent = network.with_features()
    network.get_layer("logits").set_weights([np.zeros((256, 3)), np.array([1.0, 2.0, 3.0])])
    np.testing.assert_array_equal(outputs_of(lent, inputs_of(network))[0], [[1, 2, 3]] * 2)


def test_dropout_hides_features_in_training_alone():
    """With a dense layer that hands its 256 features on, logits are the features themselves."""
    keras.utils.set_random_seed(0)
    network = ActionUnitRecognizer(range(256), 64, "alexnet", dropout=0.25)
    network.get_layer("logits").set_weights([np.eye(256), np.zeros(256)])
    x = inputs_of(network, 8)
    _, features = outputs_of(network.with_features(), x)
    np.testing.assert_allclose(outputs_of(network, x), features, rtol=1e-5)
    trained = outputs_of(network, x, training=True)
    alive = features > 1e-4  # a ReLU is 0 elsewhere
    hidden = alive & (trained == 0)
    np.testing.assert_allclose(trained[~hidden], features[~hidden] / 0.75, rtol=1e-4, atol=1e-3)
    assert 0.2 < hidden.sum() / alive.sum() < 0.3 and alive.sum() > 500


def test_starts_from_weights_and_never_asks_for_them_again(tmp_path):
    published = create_backbone("fer_net", (16, 16, 3), None, "flatten")
    path = tmp_path / "published.weights.h5"
    published.save_weights(path)
    network = NETWORKS["fer_net"](weights=str(path))
    for layer in published.layers:
        for a, b in zip(
            layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    assert network.get_config()["weights"] is None
    network.save(tmp_path / "n.keras")
    path.unlink()
    x = inputs_of(network)
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    np.testing.assert_allclose(outputs_of(reloaded, x), outputs_of(network, x), atol=1e-6)


def test_discriminator_size_is_three_dense_layers():
    """Counted by hand for 12 action units: 128, 64, one."""
    discriminator = ActionUnitDiscriminator(12)
    shapes = [tuple(weight.shape) for weight in discriminator.weights]
    assert shapes == [(12, 128), (128,), (128, 64), (64,), (64, 1), (1,)]
    assert discriminator.count_params() == 12 * 128 + 128 + 128 * 64 + 64 + 64 + 1
    assert discriminator.output_shape == (None, 1)


def test_discriminator_is_two_leaky_layers_and_a_logit():
    discriminator = ActionUnitDiscriminator(12)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=w.shape) for w in discriminator.weights]
    discriminator.set_weights(weights)
    labels = inputs_of(discriminator, 5)
    x = 2 * labels.astype("float64") - 1
    for kernel, bias in (weights[:2], weights[2:4]):
        x = x @ kernel + bias
        assert (x < 0).any() and (x > 0).any()
        x = np.where(x > 0, x, 0.2 * x)
    expected = x @ weights[4] + weights[5]
    np.testing.assert_allclose(outputs_of(discriminator, labels), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action_units": ()}, r"`action_units` must name at least one .* Received: \[\]"),
        ({"action_units": (1, 2, 1)}, r"`action_units` .* none twice. Received: \[1, 2, 1\]"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: 1.0"),
        ({"dropout": -0.1}, r"`dropout` must be in \[0, 1\). Received: -0.1"),
        ({"dropout": float("nan")}, r"`dropout` must be in \[0, 1\). Received: nan"),
        ({"pooling": None}, "`pooling` must be 'avg', 'max' or 'flatten'. Received: None"),
        ({"pooling": "mean"}, "`pooling` must be 'avg', 'max' or 'flatten'. Received: 'mean'"),
        ({"size": 15}, "at least 16 pixels"),
        ({"backbone": "resnet51"}, "'resnet51'"),
        ({"weights": "imagenet"}, "`weights='imagenet'` exist for"),
        ({"weights": "nowhere.h5"}, "'nowhere.h5', which is not a file"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    fine = {"action_units": AUS, "size": 16, "backbone": "fer_net"}
    with pytest.raises(ValueError, match=message):
        ActionUnitRecognizer(**{**fine, **arguments})
