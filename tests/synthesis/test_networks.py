"""The synthesis players: what each CARG sees and changes, sizes, reload, LiteRT, refusals."""

import tempfile
from functools import partial
from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfface.facs.action_units import BP4D_AUS
from tfface.facs.landmarks import mean_face
from tfface.facs.regions import attention_maps
from tfface.serving.litert import operators
from tfface.synthesis.networks import (
    FaceDiscriminator,
    LACGenerator,
    LatentDiscriminator,
    RegionDiscriminator,
    SubjectClassifier,
    signed,
)

SIZE, AUS = 32, (1, 12, 23)
N = len(AUS)
FILTERS = (2, 3, 4, 4, 5)
RNG = np.random.default_rng(0)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def run(network, *inputs):
    """A part of a generator on arrays and tensors alike."""
    return network([keras.ops.convert_to_tensor(x, "float32") for x in inputs])


def tiny_generator(**kwargs):
    keras.utils.set_random_seed(1)
    return LACGenerator(**{"action_units": AUS, "size": SIZE, "filters": FILTERS, **kwargs})


NETWORKS = {
    "crop": lambda **kw: tiny_generator(**kw),
    "full": lambda **kw: tiny_generator(region="full", **kw),
    "movement": lambda **kw: tiny_generator(drawing="movement", **kw),
    "regions": lambda **kw: RegionDiscriminator(N, 6, 12, (2, 3, 4, 4), **kw),
    "latent": lambda **kw: LatentDiscriminator(N, 6, (4, 3, 2), **kw),
    "face": lambda **kw: FaceDiscriminator(SIZE, (2, 3), **kw),
    "subjects": lambda **kw: SubjectClassifier(4, SIZE, (2, 3), **kw),
}


def faces(count=2, seed=0):
    return np.random.default_rng(seed).uniform(size=(count, SIZE, SIZE, 3)).astype("float32")


def landmarks(count=2, seed=0):
    moved = np.random.default_rng(seed).normal(0, 1, (count, 68, 2))
    return (mean_face(SIZE) + moved).astype("float32")


def inputs_of(network):
    """Random inputs; what is asked is known for some AUs alone."""
    inputs = []
    for x in network.inputs:
        given = np.random.default_rng(len(inputs)).uniform(size=(2, *x.shape[1:]))
        if x.name == "values":
            given[0, 0] = np.nan
        inputs.append(given.astype("float32") * (SIZE if x.name == "landmarks" else 1))
    return inputs if len(inputs) > 1 else inputs[0]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_reloads_to_the_same_outputs_in_every_precision(name, policy, tmp_path):
    network = NETWORKS[name](dtype=policy)
    x = inputs_of(network)
    before = [numpy(y) for y in tf.nest.flatten(network(x))]
    network.save(tmp_path / "n.keras")
    reloaded = keras.saving.load_model(tmp_path / "n.keras", safe_mode=True)
    assert reloaded.dtype_policy.name == policy
    assert reloaded.get_config() == network.get_config()
    for a, b in zip(before, tf.nest.flatten(reloaded(x)), strict=True):
        assert a.dtype == np.float32 and np.all(np.isfinite(a))
        np.testing.assert_allclose(numpy(b), a, atol=1e-6)


def test_generator_size_is_the_papers():
    """Counted by hand: 200 pixels, five 5x5 convolutions each way, z of 60, twelve AUs."""
    generator = LACGenerator(BP4D_AUS, region="full")
    widths = [3, 32, 64, 128, 256, 256]
    last = 7 * 7 * 256  # 200, 100, 50, 25, 13, 7
    encoder = sum(25 * a * b + b for a, b in pairwise(widths)) + last * 60 + 60
    decoder = sum(25 * a * b + a for a, b in pairwise(widths)) + 120 * last + last
    assert generator.count_params() == 12 * (encoder + decoder)
    assert generator.region_shape == (200, 200)
    assert LACGenerator(BP4D_AUS).region_shape == (30, 60)


def test_region_discriminator_size():
    """Counted by hand: 30x60, 15x30, 8x15, 4x8 and 2x4 pixels; a, b and R on the last."""
    widths = [3, 32, 64, 128, 256]
    convolutions = sum(25 * a * b + b for a, b in pairwise(widths))
    heads = 3 * (2 * 4 * 256 + 1)
    norms = 4 * (64 + 128 + 256)
    network = RegionDiscriminator(12, 30, 60)
    assert network.count_params() == 12 * (convolutions + heads + norms)


@pytest.mark.parametrize("region", ["crop", "full"])
@pytest.mark.parametrize("drawing", ["pixels", "movement"])
def test_only_what_is_asked_changes_and_only_there(region, drawing):
    generator = tiny_generator(region=region, drawing=drawing)
    generator.set_weights([RNG.normal(0, 0.3, w.shape) for w in generator.get_weights()])
    face, points = faces(4), landmarks(4)
    values = np.full((4, N), np.nan)
    values[1, 0], values[2, 1:], values[3] = 1, (0.3, 0), 0.5
    out = numpy(generator.edit(face, values, points))
    maps = attention_maps(points, AUS, SIZE) > 0  # (4, n, SIZE, SIZE)
    edited = (maps & ~np.isnan(values)[..., None, None]).any(1)
    np.testing.assert_array_equal(out[~edited], face[~edited])
    changed = (out != face)[edited].any(-1).mean()  # A border that moves outward stays as it is.
    assert changed == 1 if drawing == "pixels" else changed > 0.8
    assert edited[3].any() and not edited[0].any()
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("region", ["crop", "full"])
def test_an_edit_is_equation_2_of_what_the_decoder_draws(region):
    generator = tiny_generator(region=region)
    face, points = faces(), landmarks()
    values = np.array([[1, np.nan, 0.25], [0, 1, 1]], "float32")
    pixels, attention, *corners = run(generator.cut, face, points)
    pixels, attention = numpy(pixels), numpy(attention)
    h, w = generator.region_shape
    shown = (2 * pixels.reshape(2, h, w, N, 3) - 1) * attention[..., None]  # X^AU, Eq. 1
    latent = generator.encoder(shown.reshape(2, h, w, -1))
    drawn = numpy(run(generator.decoder, latent, values, pixels)).reshape(2, h, w, N, 3)
    total, weight = np.zeros((2, SIZE, SIZE, 3)), np.zeros((2, SIZE, SIZE, 1))
    for b, y, x, i in np.ndindex(attention.shape):
        row, column = y, x
        if region == "crop":
            left, top = numpy(corners[0])[b, 2 * i + x // h].astype(int)
            row, column = top + y, left + x % h
        if attention[b, y, x, i] and not np.isnan(values[b, i]):
            total[b, row, column] += attention[b, y, x, i] * drawn[b, y, x, i]
            weight[b, row, column] += attention[b, y, x, i]
    s = np.maximum(1, weight)
    out = numpy(generator.edit(face, values, points))
    np.testing.assert_allclose(out, total / s + (1 - weight / s) * face, atol=1e-5)


def test_a_carg_sees_its_own_region_alone():
    generator = tiny_generator()
    points, face = landmarks(1), faces(1)
    changed = face.copy()
    changed[attention_maps(points, (1,), SIZE)[:, 0] > 0] += 0.1

    def latent(x):
        pixels, attention, _ = run(generator.cut, x, points)
        pixels = numpy(pixels) * np.repeat(numpy(attention), 3, axis=-1)
        return numpy(generator.encoder(pixels))[0]

    difference = np.abs(latent(changed) - latent(face)).max(-1)
    assert difference[0] > 1e-4
    np.testing.assert_array_equal(difference[1:], 0)
    assert np.abs(latent(face)).max() < 1


def test_the_label_is_repeated_pairs_of_plus_and_minus_and_interpolates():
    generator = tiny_generator(latent_size=6)
    decoder = generator.decoder
    latent = RNG.uniform(-1, 1, (2, N, 6)).astype("float32")
    values = np.array([[0, 1, 0.5], [np.nan, 0.75, 0.25]], "float32")
    labels = np.array([[-1, 1, 0], [0, 0.5, -0.5]], "float32")
    np.testing.assert_array_equal(numpy(signed(values)), labels)
    pixels = np.zeros((2, *generator.region_shape, 3 * N), "float32")
    seed = keras.Model(decoder.inputs, decoder.get_layer("seed").output)
    kernel, bias = decoder.get_layer("seed").get_weights()
    pair = np.stack([labels, -labels], axis=-1)
    given = np.concatenate([latent, pair, pair, pair], axis=-1)
    expected = np.einsum("bnd,nde->bne", given, kernel) + bias.reshape(N, -1)
    np.testing.assert_allclose(numpy(run(seed, latent, values, pixels)), expected, atol=1e-5)


def test_unknown_landmarks_are_the_mean_faces():
    generator = tiny_generator()
    face, values = faces(), np.ones((2, N))
    at_mean = generator.edit(face, values, np.tile(mean_face(SIZE), (2, 1, 1)))
    np.testing.assert_array_equal(numpy(generator.edit(face, values)), numpy(at_mean))
    elsewhere = numpy(generator.edit(face, values, landmarks()))
    assert np.abs(elsewhere - numpy(at_mean)).max() > 0.1


def test_landmarks_outside_of_the_picture_edit_what_is_inside():
    generator = tiny_generator()
    face, points = faces(), np.tile(mean_face(SIZE), (2, 1, 1))
    points[0, 48] = (-2, SIZE - 2)
    points[0, 54] = (3 * SIZE, 10)
    points[1] += 1e5
    out = numpy(generator.edit(face, [[np.nan, 1, np.nan]] * 2, points))
    edited = (out != face).any(-1)
    # Up to 0.07 * 32 = 2.24 pixels from (-2, 30) in each direction: x = 0, y from 28 to 31.
    assert edited[0, -4:, 0].all()
    assert edited[0].sum() == 4
    assert not edited[1].any()


@pytest.mark.parametrize("region", ["crop", "full"])
def test_moved_pixels_keep_their_colors_and_hardly_move_at_first(region):
    generator = tiny_generator(region=region, drawing="movement")
    stripes = np.zeros((1, SIZE, SIZE, 3), "float32")
    stripes[:, :, ::4] = (0.2, 0.4, 0.8)
    edit = partial(generator.edit, stripes, np.ones((1, N)), landmarks(1))
    at_first = numpy(edit())
    assert np.abs(at_first - stripes).max() < 0.2
    generator.set_weights([RNG.normal(0, 3, w.shape) for w in generator.get_weights()])
    out = numpy(edit())
    assert np.abs(out - stripes).max() > 0.2
    # A mixture of black and the one color there is.
    np.testing.assert_allclose(out, out[..., :1] * [1, 2, 4], atol=1e-5)


@pytest.mark.parametrize("region", ["crop", "full"])
def test_both_sides_of_a_face_move_alike(region):
    """Of a picture that is its own mirror image, whatever the networks have learned.

    The windows of AU 23 lie one above the other: each is to be its own.
    """
    generator = tiny_generator(region=region, drawing="movement")
    generator.set_weights([RNG.normal(0, 3, w.shape) for w in generator.get_weights()])
    height, width = generator.region_shape
    pixels = RNG.uniform(size=(1, height, width, 3 * N)).astype("float32")

    def mirrored(pictures):
        whole = pictures[:, :, ::-1]
        halves = [half[:, :, ::-1] for half in np.split(pictures, 2, axis=2)]
        stacked = np.repeat(np.array(AUS) == 23, 3) & (region == "crop")
        return np.where(stacked, np.concatenate(halves, axis=2), whole)

    pixels = (pixels + mirrored(pixels)) / 2
    drawn = numpy(run(generator.decoder, RNG.uniform(-1, 1, (1, N, 60)), np.ones((1, N)), pixels))
    assert np.abs(drawn - pixels).max() > 0.05
    np.testing.assert_allclose(drawn, mirrored(drawn), atol=1e-4)


def test_values_in_words():
    generator = tiny_generator()
    np.testing.assert_array_equal(generator.values({12: 0.5, 1: 0}), [0, 0.5, np.nan])
    np.testing.assert_array_equal(generator.values({}), [np.nan] * 3)
    with pytest.raises(ValueError, match=r"`changes` must name AUs among \[1, 12, 23\].*: 4$"):
        generator.values({4: 1})
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"values from 0 to 1. Received: AU 12 = {value}"):
            generator.values({12: value})


def test_the_label_reaches_the_logit_but_not_the_regression():
    network = NETWORKS["regions"]()
    regions = RNG.uniform(-1, 1, (2, 6, 12, 3 * N)).astype("float32")

    def judged(value):
        logits, labels = run(network, regions, np.full((2, N), value))
        return numpy(logits), numpy(labels)

    (absent, present, between, unknown) = (judged(v) for v in (0, 1, 0.5, np.nan))
    assert np.abs(present[0] - absent[0]).min() > 1e-4
    np.testing.assert_allclose(between[0], (present[0] + absent[0]) / 2, atol=1e-5)
    np.testing.assert_array_equal(unknown[0], between[0])
    for other in (present, between, unknown):
        np.testing.assert_array_equal(other[1], absent[1])


def test_each_action_unit_has_discriminators_of_its_own():
    regions, latent = NETWORKS["regions"](), NETWORKS["latent"]()
    x = RNG.uniform(-1, 1, (1, 6, 12, 3 * N)).astype("float32")
    other = x.copy()
    other[..., 3:6] += 0.5
    ones = np.ones((1, N))
    for a, b in zip(run(regions, x, ones), run(regions, other, ones), strict=True):
        assert np.flatnonzero(numpy(a - b)[0]).tolist() == [1]
    z = RNG.uniform(-1, 1, (1, N, 6)).astype("float32")
    other = z.copy()
    other[:, 2] += 0.5
    assert np.flatnonzero(numpy(latent(z) - latent(other))[0]).tolist() == [2]


def test_the_regressor_is_the_discriminators():
    network = NETWORKS["regions"]()
    regions = RNG.uniform(-1, 1, (2, 6, 12, 3 * N)).astype("float32")
    regressor = network.regressor()
    _, expected = run(network, regions, np.ones((2, N)))
    np.testing.assert_array_equal(regressor(regions), expected)
    owned = {id(v) for v in network.trainable_variables}
    learns = {id(v) for v in regressor.trainable_variables}
    assert learns < owned and len(owned - learns) == 2  # all but D's own kernel and bias


def test_identity_features_are_the_stages():
    classifier = NETWORKS["subjects"]()
    features = classifier.feature_extractor()
    assert [tuple(f.shape) for f in features(faces())] == [(2, 16, 16, 2), (2, 8, 8, 3)]
    assert not features.trainable_variables


@pytest.mark.slow
@pytest.mark.parametrize("drawing", ["pixels", "movement"])
@pytest.mark.parametrize("region", ["crop", "full"])
def test_the_generator_runs_in_litert(region, drawing):
    """With nothing but LiteRT's operators, whatever is asked and known."""
    generator = tiny_generator(region=region, drawing=drawing)
    shapes = [(1, SIZE, SIZE, 3), (1, N), (1, 68, 2)]
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint(
        "edit",
        lambda face, values, landmarks: generator([face, values, landmarks]),
        input_signature=[tf.TensorSpec(shape) for shape in shapes],
    )
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["edit"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        content = converter.convert()
    assert not [name for name in operators(content) if name.startswith("CUSTOM")]
    edit = Interpreter(model_content=content).get_signature_runner("edit")
    face, points = faces(1), landmarks(1)
    points[0, 40:50] = np.nan
    points[0, 0] = np.inf
    for values in ([np.nan] * N, [1, np.nan, 0.3], [0, 1, 1]):
        values = np.array([values], "float32")
        (out,) = edit(face=face, values=values, landmarks=points).values()
        expected = numpy(generator.edit(face, values, points))
        np.testing.assert_allclose(out, expected, atol=1e-5)
        np.testing.assert_array_equal(out == face, expected == face)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (tiny_generator, {"action_units": (1, 3)}, r"`action_units` must be among .*: \[3\]"),
        (tiny_generator, {"filters": (2, 2)}, r"`filters` must be five positive.*: \[2, 2\]"),
        (tiny_generator, {"latent_size": 7}, "`latent_size` must be even, at least 2.*: 7"),
        (tiny_generator, {"region": "box"}, r"`region` must be one of \['crop', 'full'\].*'box'"),
        (tiny_generator, {"drawing": "ink"}, r"`drawing` must be one of \['pixels', .*: 'ink'"),
        (tiny_generator, {"extent": 0}, "`extent` must be positive. Received: 0"),
        (LatentDiscriminator, {"n_action_units": 2, "units": (1,)}, "`units` must be three"),
        (FaceDiscriminator, {"filters": ()}, r"`filters` must be positive numbers.*: \[\]"),
        (SubjectClassifier, {"subjects": 1}, "`subjects` must be at least 2. Received: 1"),
        (
            RegionDiscriminator,
            {"n_action_units": 2, "height": 6, "width": 12, "filters": (1, 2, 3)},
            r"`filters` must be four positive.*: \[1, 2, 3\]",
        ),
    ],
)
def test_bad_arguments_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
