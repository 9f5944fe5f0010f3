"""Sketches: every class, black on white, a function of the seed; slashes only darken."""

import numpy as np
import pytest

from tfface.data.sketches import SKETCH_CLASSES, draw_sketches, slash


def test_classes_take_turns_and_look_different():
    images, labels = draw_sketches(16, 64, seed=1)
    assert images.shape == (16, 64, 64, 3) and images.dtype == np.uint8
    assert labels.tolist() == [*range(8), *range(8)] and len(SKETCH_CLASSES) == 8
    # Lines in gray, thin, and not at the very edge of the picture.
    np.testing.assert_array_equal(images[..., 0], images[..., 2])
    dark = images[..., 0] < 128
    assert np.all((dark.mean((1, 2)) > 0.02) & (dark.mean((1, 2)) < 0.25))
    assert images[:, 0].min() == 255 and images[:, :, 0].min() == 255
    assert len({image.tobytes() for image in images}) == 16


def test_a_seed_and_a_position_say_all():
    images, _ = draw_sketches(9, 32, seed=5)
    np.testing.assert_array_equal(draw_sketches(4, 32, seed=5)[0], images[:4])
    assert np.any(draw_sketches(9, 32, seed=6)[0] != images, axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(slash(images, 2)[:4], slash(images[:4], 2))
    assert np.any(slash(images, 2) != slash(images, 3), axis=(1, 2, 3)).all()


def test_slashes_add_lines_and_leave_the_sketch():
    images, _ = draw_sketches(8, 64)
    before = images.copy()
    destroyed = slash(images)
    np.testing.assert_array_equal(images, before)
    assert np.all(destroyed <= images)
    added = (destroyed < 128).mean((1, 2, 3)) - (images < 128).mean((1, 2, 3))
    assert np.all(added > 0.01)
    more = slash(images, slashes=(20, 20))
    assert np.all((more < 128).mean((1, 2, 3)) > (destroyed < 128).mean((1, 2, 3)))


def test_a_single_slash_is_a_straight_line():
    """All its dark pixels lie within a pixel and a half of the line through the two outermost."""
    white = np.full((5, 64, 64, 3), 255, np.uint8)
    for image in slash(white, seed=4, slashes=(1, 1)):
        points = np.argwhere(image[..., 0] < 128).astype(float)
        assert len(points) > 15
        middle = points.mean(0)
        spread = np.linalg.svd(points - middle)[2]
        assert np.abs((points - middle) @ spread[1]).max() < 1.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_sketches(0), "`count` must be at least 1. Received: 0"),
        (lambda: draw_sketches(1, 8), "`size` must be at least 16. Received: 8"),
        (lambda: slash(np.zeros((1, 16, 16, 3), np.uint8), slashes=(0, 2)), r"Received: \(0, 2\)"),
        (lambda: slash(np.zeros((1, 16, 16, 3), np.uint8), slashes=(3, 2)), r"Received: \(3, 2\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
