import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.layers.graph import (
    ADJACENCIES,
    PatchGraphConv2D,
    cosine_adjacency,
    cosine_similarity,
    normalize_adjacency,
    soft_adjacency,
)

PRIOR = np.array([[0, 1, 0, -1], [1, 0, 0, 0], [0, 0, 0, -1], [-1, 0, -1, 0]])


def prior_for(grid):
    """Some links, some cuts, symmetric, no self-links."""
    upper = np.triu(np.random.default_rng(grid).integers(-1, 2, (grid**2, grid**2)), 1)
    return upper + upper.T


def faces(batch, height, width, channels, grid=2, hidden=False, seed=0):
    """Features of which some patches are alike, some are not, and the first may be hidden (0)."""
    rng = np.random.default_rng(seed)
    h, w = height // grid, width // grid
    bright = rng.uniform(-2, 2, (batch, grid, grid, 1)).repeat(h, 1).repeat(w, 2)
    x = rng.normal(size=(batch, height, width, channels)) + bright
    if hidden:
        x[:, :h, :w] = 0
    return x.astype("float32")


class Reference:
    """Eq. 6 in plain loops, in float64."""

    def __init__(self, convolve, grid, adjacency, threshold=0.5, prior=None):
        self.convolve, self.grid, self.adjacency = convolve, grid, adjacency
        self.threshold, self.prior = threshold, prior

    def places(self, image):
        h, w = image.shape[0] // self.grid, image.shape[1] // self.grid
        return [
            (slice(row * h, row * h + h), slice(column * w, column * w + w))
            for row in range(self.grid)
            for column in range(self.grid)
        ]

    def similarity(self, image):
        nodes = [image[place].ravel().astype("float64") for place in self.places(image)]
        s = np.zeros((len(nodes), len(nodes)))
        for i, a in enumerate(nodes):
            for j, b in enumerate(nodes):
                lengths = np.sqrt(a @ a) * np.sqrt(b @ b)
                s[i, j] = a @ b / lengths if lengths else 0.0
        return s

    def links(self, image):
        s = self.similarity(image)
        a = np.zeros_like(s)
        for i in range(len(s)):
            for j in range(len(s)):
                if i == j:
                    continue
                alike = s[i, j] >= self.threshold
                if self.adjacency == "soft":
                    a[i, j] = max(s[i, j], 0)
                elif self.adjacency == "cosine":
                    a[i, j] = alike
                elif self.adjacency == "prior":
                    a[i, j] = self.prior[i, j] == 1
                else:
                    a[i, j] = (alike or self.prior[i, j] == 1) and self.prior[i, j] != -1
        return a

    def __call__(self, image, kernel, bias, links=None):
        a = self.links(image) if links is None else links
        degrees = [1 + sum(row) for row in a]
        places = self.places(image)
        convolved = [np.maximum(self.convolve(image[place], kernel, bias), 0) for place in places]
        out = np.zeros((*image.shape[:2], kernel.shape[-1]))
        for i, place in enumerate(places):
            for j in range(len(places)):
                weight = (a[i, j] + (i == j)) / np.sqrt(degrees[i] * degrees[j])
                out[place] += weight * convolved[j]
        return out


def with_random_bias(layer, input_shape):
    layer.build(input_shape)
    rng = np.random.default_rng(5)
    layer.set_weights([rng.normal(size=w.shape) * 0.3 for w in layer.weights])
    return layer


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize(
    ("grid", "height", "width", "kernel_size"),
    [
        (1, 8, 8, 3),
        (2, 8, 8, 3),  # patches of 4x4: convolved
        (2, 6, 6, 3),  # patches of 3x3: the largest that the dense matrix takes
        (2, 4, 8, 3),
        (2, 4, 6, 5),  # a kernel that reaches past the patch on both sides
        (8, 16, 16, 3),
        (8, 8, 24, 3),
    ],
)
def test_equals_the_equation_in_plain_loops(convolve, adjacency, grid, height, width, kernel_size):
    prior = prior_for(grid)
    threshold = 0.4
    x = faces(2, height, width, 5, grid, hidden=grid > 1)
    layer = with_random_bias(
        PatchGraphConv2D(4, grid, adjacency, kernel_size, threshold=threshold, prior=prior),
        x.shape,
    )
    kernel, bias = layer.get_weights()
    reference = Reference(convolve, grid, adjacency, threshold, prior)
    if grid > 1:
        off = [reference.similarity(image)[~np.eye(grid**2, dtype=bool)] for image in x]
        assert np.abs(np.stack(off) - threshold).min() > 1e-6, "a link hangs on rounding"
        assert 0 < np.mean(np.stack(off) >= threshold) < 1, "nothing to tell links by"
    expected = np.stack([reference(image, kernel, bias) for image in x])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, atol=2e-5)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_one_patch_is_a_convolution_with_relu(adjacency):
    x = faces(3, 8, 8, 6)
    layer = with_random_bias(PatchGraphConv2D(5, 1, adjacency), x.shape)
    plain = keras.layers.Conv2D(5, 3, padding="same", activation="relu")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(x), plain(x), atol=1e-6)


def test_normalization_by_hand():
    """A star of three: degrees with themselves 3, 2, 2."""
    star = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], "float32")
    side = 1 / np.sqrt(6)
    expected = [[1 / 3, side, side], [side, 1 / 2, 0], [side, 0, 1 / 2]]
    np.testing.assert_allclose(normalize_adjacency(star), expected, atol=1e-7)


def test_similarity_and_links_by_hand():
    """Angles 0, 60 and 120 degrees, and a patch that is hidden."""
    half = np.sqrt(3) / 2
    patches = np.array([[[2, 0], [0.5, half], [-1, 2 * half], [0, 0]]], "float32")
    s = [[1, 0.5, -0.5, 0], [0.5, 1, 0.5, 0], [-0.5, 0.5, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(cosine_similarity(patches)[0], s, atol=1e-6)
    links = [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(cosine_adjacency(patches, 0.49)[0], links)
    np.testing.assert_array_equal(cosine_adjacency(patches, 0.51)[0], np.zeros((4, 4)))
    np.testing.assert_allclose(soft_adjacency(patches)[0], np.multiply(links, 0.5), atol=1e-6)


def test_nothing_leaks_between_unrelated_patches():
    layer = with_random_bias(
        PatchGraphConv2D(3, 4, "prior", prior=np.zeros((16, 16))), (1, 16, 16, 2)
    )
    x = faces(1, 16, 16, 2)
    touched = x.copy()
    touched[0, 4:8, 8:12] += 1  # patch (1, 2)
    changed = np.any(keras.ops.convert_to_numpy(layer(x) != layer(touched))[0], axis=-1)
    inside = changed[4:8, 8:12]  # All over, save where the ReLU is closed.
    assert inside.any(0).all() and inside.any(1).all()
    changed[4:8, 8:12] = False
    assert not changed.any()


@pytest.mark.parametrize("policy", ["float32", "float16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("adjacency", ["cosine", "soft", "combined"])
def test_a_hidden_patch_and_large_values_stay_finite(policy, adjacency):
    """Squares of these add up to more than float16 holds; the hidden patch has no length at all."""
    layer = PatchGraphConv2D(2, 2, adjacency, prior=PRIOR, dtype=policy)
    x = np.full((1, 8, 8, 8), 300.0, "float16")
    x[:, 4:, 4:] = 0
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = layer(x)
        total = tf.reduce_sum(tf.cast(out, "float32"))
    gradients = tape.gradient(total, [x, *(weight.value for weight in layer.trainable_weights)])
    assert np.all(np.isfinite(tf.cast(out, "float32")))
    for gradient in gradients:
        assert np.all(np.isfinite(tf.cast(gradient, "float32")))
    flat = np.zeros((1, 2, 4), "float16")
    flat[0, 0] = 300
    np.testing.assert_array_equal(cosine_similarity(flat)[0], [[1, 0], [0, 0]])


def slopes(function, point, eps=1e-6):
    """Central differences of a scalar function."""
    out = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        step = np.zeros_like(point)
        step[index] = eps
        out[index] = (function(point + step) - function(point - step)) / (2 * eps)
    return out


@pytest.mark.parametrize("size", [4, 8])  # by the dense matrix, by convolution
@pytest.mark.parametrize("adjacency", ["soft", "cosine"])
def test_gradients_are_the_reference_slopes(convolve, adjacency, size):
    """Through A where it is soft; as if A were a constant where it is a decision."""
    x = faces(1, size, size, 2, seed=3)
    layer = with_random_bias(PatchGraphConv2D(2, 2, adjacency, threshold=0.2), x.shape)
    kernel, bias = (weight.astype("float64") for weight in layer.get_weights())
    image = x[0].astype("float64")
    target = np.random.default_rng(7).normal(size=(size, size, 2))
    reference = Reference(convolve, 2, adjacency, 0.2)
    links = reference.links(image)
    assert links.any()
    frozen = slopes(lambda i: np.sum(target * reference(i, kernel, bias, links)), image)
    free = slopes(lambda i: np.sum(target * reference(i, kernel, bias)), image)
    if adjacency == "soft":
        assert np.abs(frozen - free).max() > 1e-2, "no difference to find"
    by_kernel = slopes(lambda k: np.sum(target * reference(image, k, bias)), kernel)
    by_bias = slopes(lambda b: np.sum(target * reference(image, kernel, b)), bias)

    features = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(features)
        total = tf.reduce_sum(layer(features) * target[None].astype("float32"))
    sources = [features, layer.kernel.value, layer.bias.value]
    ours = [gradient.numpy() for gradient in tape.gradient(total, sources)]
    np.testing.assert_allclose(ours[0][0], free if adjacency == "soft" else frozen, atol=1e-3)
    np.testing.assert_allclose(ours[1], by_kernel, atol=1e-3)
    np.testing.assert_allclose(ours[2], by_bias, atol=1e-3)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_compiles_for_any_batch(adjacency):
    layer = PatchGraphConv2D(4, 2, adjacency, prior=PRIOR)
    layer.build((None, 8, 8, 3))

    @tf.function(jit_compile=True, input_signature=[tf.TensorSpec((None, 8, 8, 3))])
    def compiled(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            out = layer(features)
            total = tf.reduce_sum(out**2)
        return out, tape.gradient(total, features)

    for batch in (1, 3):
        x = tf.constant(faces(batch, 8, 8, 3))
        out, gradient = compiled(x)
        np.testing.assert_allclose(out, layer(x), atol=1e-5)
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_is_a_good_layer(check_layer, adjacency, size):
    arguments = {
        "filters": 3,
        "grid": 2,
        "adjacency": adjacency,
        "kernel_size": 3,
        "threshold": -1.0,  # every cosine link: none may flip where precision is short
        "prior": PRIOR,
        "kernel_initializer": "glorot_uniform",
    }
    check_layer(PatchGraphConv2D, arguments, (size, size, 2), (size, size, 3), (2, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"adjacency": "nearest"}, "`adjacency` must be one of cosine, soft, .*'nearest'"),
        ({"kernel_size": 4}, "`kernel_size` must be odd. Received: 4"),
        ({"grid": 0}, "`grid` must be at least 1. Received: 0"),
        (
            {"adjacency": "prior"},
            "`prior` must be a 4 x 4 matrix .*grid 2.*'prior'. Received: None",
        ),
        ({"adjacency": "combined", "prior": np.eye(3)}, r"4 x 4.*Received: shape \(3, 3\)"),
        ({"adjacency": "combined", "prior": np.triu(np.ones((4, 4)), 1)}, "must be symmetric"),
        ({"adjacency": "prior", "prior": np.eye(4)}, r"0 on its diagonal.*diagonal \[1\.\]"),
        ({"adjacency": "prior", "prior": 0.5 - 0.5 * np.eye(4)}, r"must hold \+1, -1 and 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        PatchGraphConv2D(**{"filters": 2, "grid": 2, **arguments})


@pytest.mark.parametrize(("height", "width"), [(12, 16), (16, 12)])
def test_a_grid_that_does_not_divide_is_named(height, width):
    with pytest.raises(ValueError, match=f"grid=8, height={height}, width={width}"):
        PatchGraphConv2D(2, 8)(np.zeros((1, height, width, 3), "float32"))
