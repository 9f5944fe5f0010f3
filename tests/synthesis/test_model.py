"""LACGAN: every loss of Eq. 1 to 10 against NumPy, who learns from what, and on two devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.facs.landmarks import mean_face
from tfface.synthesis.model import LACGAN, RegionTraining, SubjectTraining
from tfface.synthesis.networks import (
    FaceDiscriminator,
    LACGenerator,
    LatentDiscriminator,
    RegionDiscriminator,
    SubjectClassifier,
)

SIZE, AUS, Z = 24, (1, 12), 4
N = len(AUS)
NAN = np.nan
OWN = np.array([[0, 1], [1, NAN], [1, 0], [0, NAN]], "float32")
TARGET = np.array([[1, 1], [NAN, 0], [0, 1], [1, 1]], "float32")
PLAYERS = ("generator", "region_discriminator", "latent_discriminator", "face_discriminator")
WEIGHTS = {
    "latent_weight": 0.3,
    "region_weight": 0.2,
    "identity_weight": 0.7,
    "variation_weight": 0.4,
    "label_weight": 3.0,
    "image_weight": 0.6,
    "action_unit_weights": [0.5, 2.0],
}


def lacgan(region="crop", **changes):
    keras.utils.set_random_seed(3)
    generator = LACGenerator(AUS, SIZE, (2, 3, 3, 3, 4), latent_size=Z, region=region)
    classifier = SubjectClassifier(2, SIZE, (2, 3))
    model = LACGAN(
        generator,
        RegionDiscriminator(N, *generator.region_shape, (2, 3, 3, 3)),
        LatentDiscriminator(N, Z, (4, 3, 2)),
        FaceDiscriminator(SIZE, (2, 3)),
        classifier.feature_extractor(),
        identity_layer_weights=[0.5, 0.9],
        **{**WEIGHTS, **changes},
    )
    rng = np.random.default_rng(1)  # as after some training: biases, too
    for player in PLAYERS:
        for weight in getattr(model, player).trainable_weights:
            weight.assign(weight + rng.normal(0, 0.1, weight.shape))
    return model


def batch():
    rng = np.random.default_rng(2)
    return {
        "face": rng.uniform(size=(4, SIZE, SIZE, 3)).astype("float32"),
        "landmarks": (mean_face(SIZE) + rng.normal(0, 1, (4, 68, 2))).astype("float32"),
        "au": OWN,
        "target": TARGET,
        "prior": rng.uniform(-1, 1, (4, N, Z)).astype("float32"),
    }


def compiled(model, eagerly=True, **rates):
    """Plain gradient descent, of those players alone whose rate is named.

    A step or two of tiny networks are faster than their tracing.
    """
    optimizers = {name: keras.optimizers.SGD(rates.get(name, 0.0)) for name in PLAYERS}
    model.compile(optimizers, run_eagerly=eagerly)
    return model


def step(model, of=None):
    """One step; the figures that it reports."""
    batches = tf.data.Dataset.from_tensors(of or batch()).repeat()
    history = model.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0).history
    return {name: values[0] for name, values in history.items()}


def softplus(x):
    return np.logaddexp(0, x)


def known_mean(entries, known):
    """Mean over the faces whose label is known, of each AU."""
    return np.array([entries[known[:, i], i].mean() for i in range(N)])


def expected_figures(model, given):
    """Each loss by NumPy from what the networks answer, with the weights as they are."""

    def ask(network, *inputs):
        inputs = [tf.constant(x) for x in inputs]
        answer = network(inputs if len(inputs) > 1 else inputs[0], training=True)
        return tf.nest.map_structure(lambda x: x.numpy(), answer)

    g, face = model.generator, given["face"]
    values = np.concatenate([OWN, TARGET])
    known, own = ~np.isnan(values), ~np.isnan(OWN)
    signs = np.where(known, 2 * np.nan_to_num(values) - 1, 0)
    pixels, attention, *_ = ask(g.cut, face, given["landmarks"])
    wide = np.repeat(attention, 3, axis=-1)
    regions = (2 * pixels - 1) * wide  # Eq. 1
    z = ask(g.encoder, regions)
    drawn = ask(g.decoder, np.tile(z, (2, 1, 1)), values, np.tile(pixels, (2, 1, 1, 1)))
    fakes = (2 * drawn - 1) * np.tile(wide, (2, 1, 1, 1))
    both, points = (np.tile(x, (2,) + (1,) * (x.ndim - 1)) for x in (face, given["landmarks"]))
    faces = g.edit(both, values, points).numpy()  # Eq. 2, which tests of the networks compute

    figures = {}
    split = (4, *attention.shape[1:3], N, 3)
    apart = np.abs(fakes[:4] - regions).reshape(split).sum(axis=(1, 2, 4))
    distance = apart / (2 * 3 * attention.sum(axis=(1, 2)))
    figures["pixel_loss"] = known_mean(distance, own)  # Eq. 5
    real_z, fake_z = (ask(model.latent_discriminator, x) for x in (given["prior"], z))
    figures["latent_loss"] = softplus(-fake_z).mean(axis=0)  # Eq. 6
    figures["latent_discriminator_loss"] = np.mean(softplus(-real_z) + softplus(fake_z))
    real_d, real_labels = ask(model.region_discriminator, regions, OWN)
    fake_d, fake_labels = ask(model.region_discriminator, fakes, values)
    figures["region_loss"] = known_mean(softplus(-fake_d), known)  # Eq. 7
    figures["label_loss"] = known_mean((fake_labels - signs) ** 2, known)  # Eq. 8
    figures["label_error"] = known_mean((real_labels - signs[:4]) ** 2, own)
    figures["region_discriminator_loss"] = known_mean(softplus(-real_d), own) + known_mean(
        softplus(fake_d), known
    )
    real_f = ask(model.face_discriminator, face)
    fake_f = ask(model.face_discriminator, faces)
    figures["image_loss"] = softplus(-fake_f).mean()  # Eq. 3
    figures["face_discriminator_loss"] = softplus(-real_f).mean() + softplus(fake_f).mean()
    levels = [
        np.abs(np.tile(a, (2, 1, 1, 1)) - b).mean()
        for a, b in zip(
            ask(model.identity_network, face), ask(model.identity_network, faces), strict=True
        )
    ]
    figures["identity_loss"] = 0.5 * levels[0] + 0.9 * levels[1]  # Eq. 4
    steps = [(np.diff(faces, axis=axis) ** 2).mean() for axis in (1, 2)]
    figures["variation_loss"] = sum(steps)
    return figures


def test_every_loss_is_the_papers():
    model = compiled(lacgan())
    given = batch()
    found = step(model, given)
    expected = expected_figures(model, given)
    for name, value in expected.items():
        assert found[name] == pytest.approx(np.mean(value), rel=1e-4), name
    assert set(found) == set(expected)


@pytest.mark.slow
def test_the_generator_descends_equation_10():
    """Its step is that of the losses weighted and summed by hand, each by itself."""
    parts = {}
    only = {
        "pixel": {},
        "latent": {"latent_weight": 0.3},
        "region": {"region_weight": 0.2, "label_weight": 3.0},
        "identity": {"identity_weight": 0.7},
        "variation": {"variation_weight": 0.4},
        "image": {"image_weight": 0.6},
    }
    nothing = dict.fromkeys(
        [name for name in WEIGHTS if name.endswith("_weight") and name != "label_weight"], 0.0
    )

    def change(**weights):
        model = compiled(lacgan(**weights), generator=1.0)
        before = [w.numpy() for w in model.generator.trainable_weights]
        step(model)
        return np.concatenate(
            [
                np.ravel(w.numpy() - b)
                for w, b in zip(model.generator.trainable_weights, before, strict=True)
            ]
        )

    whole = change()
    for name, weights in only.items():
        parts[name] = change(**{**nothing, **weights})
    pixel = parts.pop("pixel")
    assert all(np.abs(part - pixel).max() > 1e-5 for part in parts.values())
    summed = pixel + sum(part - pixel for part in parts.values())
    np.testing.assert_allclose(whole, summed, atol=1e-4 * np.abs(whole).max())
    # beta_i: the second AU's reconstruction counts twice as much as with 1, the first's half.
    plain = change(**{**nothing, "action_unit_weights": None})
    assert np.abs(plain).max() > 0 and np.abs(plain - pixel).max() > 1e-5


def test_who_learns_what():
    """A player with a rate moves, the others stay; unasked pixels stay bit for bit all along."""
    model = compiled(lacgan(), generator=0.1)
    others = [getattr(model, name).get_weights() for name in PLAYERS[2:]]
    before = model.generator.get_weights()
    step(model)
    assert any(
        np.abs(a - b).max() > 0 for a, b in zip(before, model.generator.get_weights(), strict=True)
    )
    for name, weights in zip(PLAYERS[2:], others, strict=True):
        trainable = getattr(model, name).trainable_weights
        kept = {w.path: w.numpy() for w in trainable}
        expected = dict(zip([w.path for w in getattr(model, name).weights], weights, strict=True))
        for path, values in kept.items():
            np.testing.assert_array_equal(values, expected[path])
    assert not model.identity_network.trainable_variables
    given = batch()
    nothing = np.full((4, N), NAN, "float32")
    out = model.generator.edit(given["face"], nothing, given["landmarks"])
    np.testing.assert_array_equal(out.numpy(), given["face"])


@pytest.mark.slow
def test_two_devices_equal_one(two_devices):
    """Known labels are spread unevenly over the devices: every mean is over all faces."""
    rates = dict.fromkeys(PLAYERS, 0.05)

    def trained():
        model = compiled(lacgan(), eagerly=False, **rates)
        figures = step(model)
        return figures, [w.numpy() for name in PLAYERS for w in getattr(model, name).weights]

    one, weights = trained()
    with two_devices.scope():
        two, shared = trained()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    for a, b in zip(weights, shared, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * max(1, np.abs(a).max()))


def in_precision(policy, rate):
    """The whole game in a dtype policy."""
    keras.config.set_dtype_policy(policy)
    try:
        return compiled(lacgan(), eagerly=False, **dict.fromkeys(PLAYERS, rate))
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_step_in_half_precision_is_near_float32(policy):
    """Nobody moves: float16 leaves out the first updates, until its losses' scale fits."""
    half, full = (in_precision(name, 0.0) for name in (policy, "float32"))
    figures = [step(model) for model in (half, full)]
    assert figures[0] == pytest.approx(figures[1], rel=0.05, abs=0.01)
    for name in PLAYERS:
        assert all(np.isfinite(w).all() for w in getattr(half, name).get_weights())
    scaled = isinstance(half.optimizers["generator"], keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


@pytest.mark.slow
def test_xla_gives_the_same_step():
    plain, fast = (in_precision("float32", 0.01) for _ in range(2))
    fast.compile({name: keras.optimizers.SGD(0.01) for name in PLAYERS}, jit_compile=True)
    assert step(fast) == pytest.approx(step(plain), rel=1e-3, abs=1e-5)
    for name in PLAYERS:
        pairs = zip(
            getattr(plain, name).get_weights(), getattr(fast, name).get_weights(), strict=True
        )
        for a, b in pairs:
            np.testing.assert_allclose(a, b, atol=1e-4 * max(1, np.abs(a).max()))


def test_saved_and_reloaded_with_its_optimizers(tmp_path):
    model = compiled(lacgan(), generator=0.1)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    for name in WEIGHTS:
        assert getattr(again, name) == getattr(model, name)
    face = batch()["face"]
    for a, b in zip(model.identity_network(face), again.identity_network(face), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert again.action_unit_weights == [0.5, 2.0]
    assert again.identity_layer_weights == [0.5, 0.9]
    assert float(again.optimizers["generator"].learning_rate) == pytest.approx(0.1)
    for a, b in zip(model.generator.get_weights(), again.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_subject_classifier_learns():
    keras.utils.set_random_seed(0)
    training = SubjectTraining(SubjectClassifier(2, 16, (2, 3)))
    training.compile({"classifier": keras.optimizers.Adam(0.02)})
    faces = np.random.default_rng(0).uniform(0, 0.3, (8, 16, 16, 3)).astype("float32")
    label = np.arange(8) % 2
    faces[label == 1] += 0.6
    batches = tf.data.Dataset.from_tensors({"face": faces, "label": label})
    history = training.fit(
        batches.repeat(), steps_per_epoch=15, epochs=2, shuffle=False, verbose=0
    ).history
    assert history["loss"][1] < 0.7 * history["loss"][0]
    assert training.evaluate(batches, verbose=0, return_dict=True)["accuracy"] == 1


def test_regions_are_learned_from_known_labels():
    """Its loss is the game's `label_error`, and it descends its gradient; D's own head stays."""
    model = lacgan()
    expected = expected_figures(model, batch())["label_error"]
    network = model.region_discriminator
    training = RegionTraining(model.generator.cut, network.regressor())
    training.compile({"regressor": keras.optimizers.SGD(0.02)}, run_eagerly=True)
    before = network.get_layer("logit").get_weights()
    batches = tf.data.Dataset.from_tensors(batch()).repeat()
    errors = training.fit(batches, steps_per_epoch=1, epochs=12, shuffle=False, verbose=0).history[
        "label_error"
    ]
    assert errors[0] == pytest.approx(np.mean(expected), rel=1e-5)
    assert errors[-1] < 0.7 * errors[0]
    for a, b in zip(before, network.get_layer("logit").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_weight": -1}, "`latent_weight` must be at least 0. Received: -1"),
        ({"image_weight": NAN}, "`image_weight` must be at least 0. Received: nan"),
        ({"action_unit_weights": [1]}, "`action_unit_weights` must be one number.*2 AUs"),
        ({"action_unit_weights": [1, -1]}, "`action_unit_weights` must be .*of at least 0"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        lacgan(**changes)
