"""The restoration players: sizes as published, shapes, reload, and what they refuse."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from tfface.facs.action_units import BP4D_AUS
from tfface.restoration.networks import (
    ActionUnitClassifier,
    RestorationDiscriminator,
    RestorationGenerator,
)


def tiny_generator(**kwargs):
    return RestorationGenerator(filters=8, blocks=1, **kwargs)


NETWORKS = {
    "generator": lambda **kw: tiny_generator(**kw),
    "generator_residual": lambda **kw: tiny_generator(block="residual", **kw),
    "generator_masked": lambda **kw: tiny_generator(mask_aware=True, adjacency="soft", **kw),
    "discriminator": lambda **kw: RestorationDiscriminator(32, filters=4, dense_units=8, **kw),
    "classifier": lambda **kw: ActionUnitClassifier((1, 12), widths=(8, 8), **kw),
}


def face_like(network, count=2, seed=0):
    shape = (count, *network.inputs[0].shape[1:])
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_reloads_to_the_same_outputs_in_every_precision(name, policy, tmp_path):
    network = NETWORKS[name](dtype=policy)
    x = face_like(network)
    before = keras.ops.convert_to_numpy(network(x))
    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert reloaded.dtype_policy.name == policy
    assert before.dtype == np.float32 and np.all(np.isfinite(before))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(reloaded(x)), before, atol=1e-6)
    assert reloaded.get_config() == network.get_config()


def test_in_float32_keeps_the_weights():
    half = tiny_generator(dtype="mixed_bfloat16")
    full = half.in_float32()
    assert full.dtype_policy.name == "float32" and full.in_float32() is full
    for a, b in zip(half.get_weights(), full.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("scale", "low"), [(8, 16), (4, 16), (2, 8)])
def test_generator_enlarges_to_faces_in_range(scale, low):
    generator = tiny_generator(low_size=low, scale=scale)
    out = keras.ops.convert_to_numpy(generator(face_like(generator)))
    assert out.shape == (2, low * scale, low * scale, 3)
    assert out.min() >= 0 and out.max() <= 1


def test_generator_size_is_the_designs():
    """Counted by hand: 64 filters, 16 blocks of three 3x3 convolutions."""
    convolution = 9 * 64 * 64 + 64
    head, trunk_end = 81 * 3 * 64 + 64 + 64, convolution
    ups = 3 * (9 * 64 * 256 + 256 + 64)
    tail = 81 * 64 * 3 + 3
    assert RestorationGenerator().count_params() == (
        head + 16 * 3 * convolution + trunk_end + ups + tail
    )


def test_discriminator_size_is_srgans():
    """Counted by hand: eight 3x3 convolutions, dense 1024 on 8x8x512, one logit."""
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    kernels = sum(9 * a * b for a, b in pairwise(widths))
    norms = 4 * sum(widths[2:])
    dense = 8 * 8 * 512 * 1024 + 1024 + 1024 + 1
    assert RestorationDiscriminator().count_params() == kernels + 64 + norms + dense


def test_a_hidden_square_changes_pixels_far_from_it():
    """Patches of related regions exchange what they see: that is what the graph is for."""
    generator = tiny_generator(adjacency="prior")
    x = face_like(generator, 1)
    hidden = x.copy()
    hidden[:, 4:6, 2:6] = 0
    change = np.abs(keras.ops.convert_to_numpy(generator(x) - generator(hidden)))[0].max(-1)
    assert change[:, 110:].max() > 0  # The other side, out of reach of four small convolutions.


def test_classifier_features_are_its_stages():
    classifier = ActionUnitClassifier(BP4D_AUS, widths=(8, 16))
    features = classifier.feature_extractor()
    shapes = [tuple(f.shape) for f in features(face_like(classifier))]
    assert shapes == [(2, 32, 32, 8), (2, 16, 16, 16)]
    assert not features.trainable_variables
    assert classifier.action_units == BP4D_AUS


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"`scale` must be a power of two.*Received: 6"):
        tiny_generator(scale=6)
    with pytest.raises(ValueError, match=r"`block`.*Received: 'dense'"):
        tiny_generator(block="dense")
