import keras
import numpy as np
import pytest

from tfface.layers.patches import MergePatches, SplitPatches


def test_patches_come_in_reading_order():
    image = np.arange(2 * 4 * 6 * 3, dtype="float32").reshape(2, 4, 6, 3)
    patches = keras.ops.convert_to_numpy(SplitPatches(2)(image))
    assert patches.shape == (2, 4, 2, 3, 3)
    for batch in range(2):
        np.testing.assert_array_equal(patches[batch, 0], image[batch, :2, :3])
        np.testing.assert_array_equal(patches[batch, 1], image[batch, :2, 3:])
        np.testing.assert_array_equal(patches[batch, 2], image[batch, 2:, :3])
        np.testing.assert_array_equal(patches[batch, 3], image[batch, 2:, 3:])


@pytest.mark.parametrize("grid", [1, 2, 4, 8])
def test_merging_undoes_splitting(grid):
    image = np.random.default_rng(0).normal(size=(3, 8, 16, 5)).astype("float32")
    back = MergePatches(grid)(SplitPatches(grid)(image))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(back), image)


def test_split_is_a_good_layer(check_layer):
    check_layer(SplitPatches, {"grid": 2}, (4, 6, 3), (4, 2, 3, 3))


def test_merge_is_a_good_layer(check_layer):
    check_layer(MergePatches, {"grid": 2}, (4, 2, 3, 3), (4, 6, 3))


@pytest.mark.parametrize(("height", "width"), [(12, 16), (16, 12)])
def test_a_grid_that_does_not_divide_is_named(height, width):
    with pytest.raises(ValueError, match=f"grid=8, height={height}, width={width}"):
        SplitPatches(8)(np.zeros((1, height, width, 3), "float32"))


def test_patches_that_fill_no_grid_are_refused():
    with pytest.raises(ValueError, match="grid=2, patches=3"):
        MergePatches(2)(np.zeros((1, 3, 2, 2, 1), "float32"))


def test_unknown_size_is_refused():
    with pytest.raises(ValueError, match="Height and width must be known"):
        SplitPatches(2)(keras.Input((None, 16, 3)))


@pytest.mark.parametrize("cls", [SplitPatches, MergePatches])
def test_no_grid_is_refused(cls):
    with pytest.raises(ValueError, match="`grid` must be at least 1. Received: 0"):
        cls(0)
