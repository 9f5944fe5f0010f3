"""Attention and composition against NumPy, crop against full, and what no region holds kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from tfface.facs.action_units import ACTION_UNITS, BP4D_AUS
from tfface.facs.landmarks import mean_face
from tfface.facs.regions import attention_maps, au_centers
from tfface.layers.regional import (
    MovedPixels,
    RegionalAttention,
    RegionalComposition,
    RegionalWindows,
    WindowPixels,
    masked,
    region_centers,
)

SIZE = 64
AUS = (1, 2, 6, 12, 15, 23)  # regions far apart, overlapping ones, equal ones, one above another
N = len(AUS)
RNG = np.random.default_rng(0)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def faces(count, seed=0):
    """Landmarks of faces that differ, (count, 68, 2)."""
    rng = np.random.default_rng(seed)
    return (mean_face(SIZE) + rng.normal(0, 2, (count, 68, 2))).astype("float32")


def strange_landmarks():
    """Unknown points, a mouth over the edge, a face beyond the corner, nothing known, infinity."""
    landmarks = faces(5)
    landmarks[0, 40:50] = np.nan
    landmarks[1, 48:60] += (SIZE / 2, 12.0)
    landmarks[2] -= SIZE
    landmarks[3] = np.nan
    landmarks[4, 17:22] = (np.inf, 3.0)
    return landmarks


def known(landmarks):
    """The same with the mean face's points for those that are not finite."""
    bad = ~np.isfinite(landmarks).all(-1, keepdims=True)
    return np.where(bad, mean_face(SIZE), landmarks).astype("float32")


def test_centers_are_the_tables():
    landmarks = strange_landmarks()
    centers = numpy(region_centers(landmarks, tuple(ACTION_UNITS), SIZE))
    expected = au_centers(known(landmarks), tuple(ACTION_UNITS))
    np.testing.assert_allclose(centers, expected.reshape(5, -1, 2), atol=1e-4)


@pytest.mark.parametrize(("decay", "extent"), [(0.56, 0.14), (3.0, 0.3)])
def test_attention_is_numpys(decay, extent):
    landmarks = np.concatenate([faces(2), strange_landmarks()])
    maps = numpy(RegionalAttention(BP4D_AUS, SIZE, decay, extent)(landmarks))
    expected = attention_maps(known(landmarks), BP4D_AUS, SIZE, decay, extent)
    np.testing.assert_allclose(maps, np.moveaxis(expected, 1, -1), atol=1e-5)


def test_attention_by_hand():
    """64 pixels: reach 4.48, slope 0.56 / 8.96 = 0.0625 a pixel."""
    landmarks = mean_face(SIZE)[None].copy()
    landmarks[0, 48], landmarks[0, 54] = (20, 30), (40, 30)
    attention = numpy(RegionalAttention((12,), SIZE)(landmarks))[0, ..., 0]
    assert attention[30, 20] == attention[30, 40] == 1
    assert attention[28, 23] == pytest.approx(1 - 0.0625 * 5)
    assert attention[34, 44] == pytest.approx(1 - 0.0625 * 8)
    assert attention[30, 25] == attention[35, 20] == attention[25, 40] == 0
    assert np.count_nonzero(attention) == 2 * 9 * 9


def pasted(windows, corners):
    """Windows (B, t, 2 t, n) at their places, added up one pixel after the other: (B, S, S, n)."""
    windows, corners = numpy(windows), numpy(corners).astype(int)
    count, side, _, n = windows.shape
    picture = np.zeros((count, SIZE, SIZE, n))
    for b, y, x, i in np.ndindex(count, side, 2 * side, n):
        left, top = corners[b, 2 * i + x // side]
        row, column = top + y, left + x % side
        if 0 <= row < SIZE and 0 <= column < SIZE:
            picture[b, row, column, i] += windows[b, y, x, i]
    return picture


@pytest.mark.parametrize("extent", [0.14, 0.2])
def test_windows_hold_all_attention(extent):
    """AU 23's two squares overlap: what their windows hold adds up to the map all the same."""
    landmarks = np.concatenate([faces(2), strange_landmarks()])
    layer = RegionalWindows(AUS, SIZE, extent=extent)
    attention, corners = layer(landmarks)
    maps = numpy(RegionalAttention(AUS, SIZE, extent=extent)(landmarks))
    np.testing.assert_allclose(pasted(attention, corners), maps, atol=1e-5)
    assert layer.window == int(extent * SIZE) + 2
    assert numpy(attention).min() >= 0 and numpy(attention).max() <= 1


def test_window_pixels_are_the_faces():
    layer = RegionalWindows(AUS, SIZE)
    face = RNG.uniform(size=(3, SIZE, SIZE, 3)).astype("float32")
    landmarks = strange_landmarks()[:3]
    attention, corners = layer(landmarks)
    pixels = WindowPixels(layer.window)(face, corners)
    assert pixels.shape == (3, layer.window, 2 * layer.window, 3 * N)
    inside = numpy(attention) > 0
    for color in range(3):
        ones = pasted(numpy(pixels)[..., color::3] * inside, corners)
        count = pasted(inside.astype("float32"), corners)
        expected = np.where(count > 0, face[..., color, None], 0)
        np.testing.assert_allclose(ones, count * expected, atol=1e-6)


def composed_by_hand(face, drawn, maps, asked):
    """Eq. 2 with weights A_i / max(1, sum_j A_j), a pixel's mix of n pictures (B, S, S, n, 3)."""
    maps = maps.astype("float64") * asked[:, None, None]
    weights = maps / np.maximum(1, maps.sum(-1, keepdims=True))
    return (weights[..., None] * drawn).sum(-2) + (1 - weights.sum(-1))[..., None] * face


@pytest.fixture
def scene():
    """Faces, what was drawn on each as n whole pictures, and who takes part."""
    count = 5
    return {
        "face": RNG.uniform(size=(count, SIZE, SIZE, 3)).astype("float32"),
        "drawn": RNG.uniform(size=(count, SIZE, SIZE, 3 * N)).astype("float32"),
        "landmarks": strange_landmarks(),
        "asked": np.array([[1] * N, [0, 1, 0, 1, 1, 0], [1] * N, [0] * N, [0, 0, 0, 0, 1, 1]]),
    }


def compose_full(scene):
    attention = RegionalAttention(AUS, SIZE)(scene["landmarks"])
    regions = masked(scene["drawn"], attention)
    return numpy(RegionalComposition()(scene["face"], regions, attention, scene["asked"]))


def compose_crop(scene, drawn=None):
    layer = RegionalWindows(AUS, SIZE)
    attention, corners = layer(scene["landmarks"])
    if drawn is None:
        see = WindowPixels(layer.window)
        # Each AU's own picture through its own windows.
        seen = numpy(see(scene["drawn"], corners)).reshape(
            5, layer.window, 2 * layer.window, N, N, 3
        )
        drawn = seen[..., range(N), range(N), :].reshape(*seen.shape[:3], 3 * N)
    regions = masked(drawn, attention)
    layer = RegionalComposition()
    return numpy(layer(scene["face"], regions, attention, scene["asked"], corners))


@pytest.mark.parametrize("compose", [compose_full, compose_crop])
def test_composition_is_equation_2(scene, compose):
    maps = np.moveaxis(attention_maps(known(scene["landmarks"]), AUS, SIZE), 1, -1)
    drawn = scene["drawn"].reshape(5, SIZE, SIZE, N, 3)
    expected = composed_by_hand(scene["face"], drawn, maps, scene["asked"])
    np.testing.assert_allclose(compose(scene), expected, atol=1e-5)


@pytest.mark.parametrize("compose", [compose_full, compose_crop])
def test_what_no_region_holds_stays_bit_for_bit(scene, compose):
    maps = attention_maps(known(scene["landmarks"]), AUS, SIZE)  # (B, n, S, S)
    edited = ((maps > 0) & (scene["asked"] > 0)[..., None, None]).any(1)
    out = compose(scene)
    assert 0.02 < edited[0].mean() < 0.3 and not edited[2:4].any()
    np.testing.assert_array_equal(out[~edited], scene["face"][~edited])
    assert np.all(np.abs(out[edited] - scene["face"][edited]).max(-1) > 0)


def test_a_broken_drawing_stays_in_its_region(scene):
    layer = RegionalWindows(AUS, SIZE)
    drawn = np.full((5, layer.window, 2 * layer.window, 3 * N), np.nan, "float32")
    scene["asked"] = np.ones((5, N))
    out = compose_crop(scene, drawn)
    maps = attention_maps(known(scene["landmarks"]), AUS, SIZE)
    edited = (maps > 0).any(1)
    np.testing.assert_array_equal(out[~edited], scene["face"][~edited])


def test_crop_is_full_where_regions_come_back_as_they_were(scene):
    scene["drawn"] = np.tile(scene["face"], N)
    for out in (compose_full(scene), compose_crop(scene)):
        np.testing.assert_allclose(out, scene["face"], atol=5e-7)


@pytest.mark.parametrize("parts", [1, 2])
def test_moved_pixels_are_scipys(parts):
    """`map_coordinates`, window by window and color by color."""
    count, side, n = 2, 6, 3
    pixels = RNG.random((count, 7, side * parts, 3 * n)).astype("float32")
    movement = RNG.normal(0, 3, (count, 7, side * parts, 2 * n)).astype("float32")
    movement[0, 0] = 0
    found = numpy(MovedPixels(parts)(pixels, movement))
    rows, columns = np.mgrid[:7, :side]
    for picture, part, channel in np.ndindex(count, parts, 3 * n):
        window = np.s_[picture, :, part * side : (part + 1) * side]
        dx, dy = (movement[window][..., channel // 3 * 2 + axis] for axis in (0, 1))
        places = [rows + dy, columns + dx]
        expected = map_coordinates(pixels[window][..., channel], places, order=1, mode="nearest")
        np.testing.assert_allclose(found[window][..., channel], expected, atol=1e-6)


def test_what_does_not_move_stays_and_can_learn_to():
    pixels = RNG.random((1, 5, 5, 3)).astype("float32")
    still = tf.zeros((1, 5, 5, 2))
    with tf.GradientTape() as tape:
        tape.watch(still)
        out = MovedPixels()(pixels, still)
        loss = tf.reduce_sum(out * RNG.normal(size=out.shape))
    np.testing.assert_array_equal(out, pixels)
    assert np.all(tape.gradient(loss, still)[0, :-1, :-1] != 0)


def test_gradients_reach_every_pixel_that_is_seen():
    import tensorflow as tf

    layer = RegionalWindows((12,), SIZE)
    face = tf.Variable(RNG.uniform(size=(1, SIZE, SIZE, 3)).astype("float32"))
    attention, corners = layer(faces(1))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(masked(WindowPixels(layer.window)(face, corners), attention))
    slope = tape.gradient(total, face)
    slope = slope if isinstance(slope, tf.Tensor) else tf.convert_to_tensor(slope)
    expected = attention_maps(faces(1), (12,), SIZE)[0, 0]  # d total / d pixel = A
    for color in range(3):
        np.testing.assert_allclose(slope[0, ..., color], expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_geometry_is_float32_in_every_precision(scene, policy):
    plain = numpy(RegionalAttention(AUS, SIZE)(scene["landmarks"]))
    layers = [RegionalAttention(AUS, SIZE, dtype=policy), RegionalWindows(AUS, SIZE, dtype=policy)]
    assert numpy(layers[0](scene["landmarks"])).dtype == np.float32
    np.testing.assert_array_equal(numpy(layers[0](scene["landmarks"])), plain)
    attention, corners = layers[1](scene["landmarks"])
    pixels = WindowPixels(layers[1].window, dtype=policy)(scene["face"], corners)
    regions = masked(keras.ops.cast(pixels, layers[1].compute_dtype), attention)
    out = RegionalComposition(dtype=policy)(
        scene["face"], regions, attention, scene["asked"], corners
    )
    np.testing.assert_allclose(numpy(out), scene["face"], atol=1e-2)
    assert numpy(out).dtype == np.float32


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (RegionalAttention, {"action_units": [1, 12], "size": 32, "decay": 0.3, "extent": 0.2}),
        (RegionalWindows, {"action_units": [1, 12], "size": 32, "decay": 0.3, "extent": 0.2}),
        (WindowPixels, {"window": 9}),
        (MovedPixels, {"parts": 2}),
        (RegionalComposition, {}),
    ],
)
def test_layers_come_back_from_their_config(cls, arguments):
    layer = cls(**arguments, name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is cls and copy.get_config() == layer.get_config()
    for name, value in arguments.items():
        assert layer.get_config()[name] == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action_units": (99,)}, r"`action_units` must be among .* Received: \[99\]"),
        ({"action_units": (1, 1)}, "`action_units` must not name one twice"),
        ({"size": 0}, "`size` must be positive. Received: 0"),
        ({"decay": 0.0}, "`decay` must be positive. Received: 0.0"),
        ({"extent": -0.1}, "`extent` must be positive. Received: -0.1"),
    ],
)
@pytest.mark.parametrize("cls", [RegionalAttention, RegionalWindows])
def test_bad_arguments_are_named(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**{"action_units": (1,), "size": 32, **arguments})


@pytest.mark.parametrize("cls", [RegionalAttention, RegionalWindows])
def test_landmarks_of_another_scheme_are_named(cls):
    with pytest.raises(ValueError, match=r"`landmarks` must have shape \(B, 68, 2\).*49, 2"):
        cls((1,), 32)(np.zeros((1, 49, 2), "float32"))
    with pytest.raises(ValueError, match=r"`landmarks` must have shape \(B, 68, 2\).*49, 2"):
        cls((1,), 32)(keras.Input((49, 2)))
