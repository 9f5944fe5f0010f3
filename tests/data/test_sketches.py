"""Sketches: every class, black on white, a function of the seed; slashes only darken."""

import numpy as np
import pytest

from tfface.data.sketches import SKETCH_CLASSES, draw_sketch, slash


def drawn(count, size, seed=0):
    return np.stack([draw_sketch(i % 8, size, (seed, i)) for i in range(count)])


def slashed(images, seed=0, **options):
    return np.stack([slash(image, (seed, i), **options) for i, image in enumerate(images)])


def test_classes_look_different_and_like_line_drawings():
    images = drawn(16, 64, seed=1)
    assert images.shape == (16, 64, 64, 3) and images.dtype == np.uint8
    assert len(SKETCH_CLASSES) == 8
    # Lines in gray, thin, and not at the very edge of the picture.
    np.testing.assert_array_equal(images[..., 0], images[..., 2])
    dark = images[..., 0] < 128
    assert np.all((dark.mean((1, 2)) > 0.02) & (dark.mean((1, 2)) < 0.25))
    assert images[:, 0].min() == 255 and images[:, :, 0].min() == 255
    assert len({image.tobytes() for image in images}) == 16


def test_a_seed_says_all():
    image = draw_sketch(3, 32, seed=5)
    np.testing.assert_array_equal(draw_sketch(3, 32, seed=5), image)
    assert np.any(draw_sketch(3, 32, seed=6) != image)
    assert np.any(draw_sketch(3, 32, seed=(5, 1)) != image)
    np.testing.assert_array_equal(slash(image, 2), slash(image, (2,)))
    assert np.any(slash(image, 2) != slash(image, 3))


def test_slashes_add_lines_and_leave_the_sketch():
    images = drawn(8, 64)
    before = images.copy()
    destroyed = slashed(images)
    np.testing.assert_array_equal(images, before)
    assert np.all(destroyed <= images)
    added = (destroyed < 128).mean((1, 2, 3)) - (images < 128).mean((1, 2, 3))
    assert np.all(added > 0.01)
    more = slashed(images, slashes=(20, 20))
    assert np.all((more < 128).mean((1, 2, 3)) > (destroyed < 128).mean((1, 2, 3)))


def test_a_single_slash_is_a_straight_line():
    """All its dark pixels lie within a pixel and a half of the line through the two outermost."""
    white = np.full((5, 64, 64, 3), 255, np.uint8)
    for image in slashed(white, seed=4, slashes=(1, 1)):
        points = np.argwhere(image[..., 0] < 128).astype(float)
        assert len(points) > 15
        middle = points.mean(0)
        spread = np.linalg.svd(points - middle)[2]
        assert np.abs((points - middle) @ spread[1]).max() < 1.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_sketch(8), "`label` must be from 0 to 7. Received: 8"),
        (lambda: draw_sketch(-1), "`label` must be from 0 to 7. Received: -1"),
        (lambda: draw_sketch(1, 8), "`size` must be at least 16. Received: 8"),
        (lambda: slash(np.zeros((16, 16, 3), np.uint8), slashes=(0, 2)), r"Received: \(0, 2\)"),
        (lambda: slash(np.zeros((16, 16, 3), np.uint8), slashes=(3, 2)), r"Received: \(3, 2\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
