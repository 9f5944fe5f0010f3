import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.layers.graph import PatchGraphConv2D
from tfface.layers.region_relation import RegionRelationBlock


def open_prior(grid):
    prior = np.zeros((grid**2, grid**2), int)
    prior[0, 1] = prior[1, 0] = 1
    prior[0, 2] = prior[2, 0] = -1
    return prior


PRIORS = {2: open_prior(2), 4: open_prior(4)}


def features(batch=2, size=8, channels=3):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (batch, size, size, channels)).astype("float32")


@pytest.mark.parametrize("adjacency", ["cosine", "soft", "prior", "combined"])
def test_is_the_sum_of_its_graphs(adjacency):
    x = features()
    priors = PRIORS if adjacency in ("prior", "combined") else None
    block = RegionRelationBlock(5, (1, 2, 4), adjacency, priors, threshold=0.8)
    block.build(x.shape)
    weights = block.get_weights()
    assert [w.shape for w in weights] == [(3, 3, 3, 5), (5,)] * 3
    expected = 0
    for i, grid in enumerate((1, 2, 4)):
        graph = PatchGraphConv2D(5, grid, adjacency, threshold=0.8, prior=(priors or {}).get(grid))
        graph.build(x.shape)
        graph.set_weights(weights[2 * i : 2 * i + 2])
        expected = expected + graph(x)
    np.testing.assert_allclose(block(x), expected, atol=1e-6)


def test_each_graph_draws_its_own_kernel():
    for initializer in (
        None,
        keras.initializers.HeNormal(),
        keras.initializers.HeNormal(seed=None),
    ):
        block = RegionRelationBlock(4, (1, 2, 4), kernel_initializer=initializer)
        block.build((1, 8, 8, 3))
        first, second, third = block.get_weights()[::2]
        assert not np.allclose(first, second) and not np.allclose(second, third)


def test_a_deep_trunk_neither_overflows_nor_grows():
    """As the paper's generator: sixteen blocks on their skips, no normalization between."""
    keras.utils.set_random_seed(0)
    x = face = tf.constant(features(size=16, channels=64))
    for _ in range(16):
        x = x + RegionRelationBlock(64)(x)
    growth = np.std(x) / np.std(face)
    assert 1 < growth < 20


def test_is_a_good_layer(check_layer):
    arguments = {
        "filters": 3,
        "grids": [1, 2, 4],
        "adjacency": "combined",
        "priors": {str(grid): prior.tolist() for grid, prior in PRIORS.items()},
        "threshold": -1.0,
        "kernel_initializer": keras.initializers.HeNormal(seed=1),
    }
    check_layer(RegionRelationBlock, arguments, (8, 8, 2), (8, 8, 3), (6, 0))


def test_keeps_priors_given_by_number():
    block = RegionRelationBlock(3, (1, 2, 4), "combined", PRIORS)
    copy = RegionRelationBlock.from_config(block.get_config())
    assert copy.get_config() == block.get_config()
    for grid, graph in zip((2, 4), copy.graphs[1:], strict=True):
        np.testing.assert_array_equal(graph.prior, PRIORS[grid])


def test_two_devices_compute_what_one_does(two_devices):
    x = features(batch=4)
    with two_devices.scope():
        block = RegionRelationBlock(3, (1, 2, 4))
        block.build(x.shape)

    def gradients(share):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(block(share) ** 2)
        return tape.gradient(loss, [v.value for v in block.trainable_variables])

    def of_both():
        replica = tf.distribute.get_replica_context()
        share = tf.constant(x.reshape(2, 2, *x.shape[1:]))[replica.replica_id_in_sync_group]
        return replica.all_reduce("SUM", gradients(share))

    shared = two_devices.run(tf.function(of_both))
    for ours, whole in zip(shared, gradients(tf.constant(x)), strict=True):
        np.testing.assert_allclose(
            two_devices.experimental_local_results(ours)[1], whole, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("grids", [(), (2, 2)])
def test_grids_must_differ(grids):
    with pytest.raises(ValueError, match="`grids` must be one or more different numbers"):
        RegionRelationBlock(2, grids)


def test_a_grid_without_its_prior_is_named():
    with pytest.raises(ValueError, match="`prior` must be a 16 x 16 matrix for grid 4"):
        RegionRelationBlock(2, (1, 2, 4), "combined", {2: PRIORS[2]})
