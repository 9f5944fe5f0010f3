import numpy as np
import pytest

from tfface.facs.landmarks import MIRRORED, mean_face
from tfface.facs.parts import FACE_PARTS, part_masks
from tfface.facs.regions import au_centers

SIZE = 120


@pytest.fixture(scope="module")
def masks():
    return part_masks(SIZE)


def part_at(masks, point):
    x, y = np.rint(point).astype(int)
    (name,) = [name for name, mask in masks.items() if mask[y, x]]
    return name


def test_every_pixel_is_of_one_part(masks):
    assert tuple(masks) == FACE_PARTS
    assert all(mask.shape == (SIZE, SIZE) and mask.dtype == bool for mask in masks.values())
    np.testing.assert_array_equal(sum(mask.astype(int) for mask in masks.values()), 1)
    assert all(mask.sum() > 0.01 * SIZE**2 for mask in masks.values())


def test_points_of_the_mean_face_are_of_their_parts(masks):
    face = mean_face(SIZE)
    expected = {"brow": range(17, 27), "nose": range(27, 36), "eye": range(36, 48)}
    expected["mouth"] = range(48, 68)
    for name, points in expected.items():
        assert {part_at(masks, face[i]) for i in points} == {name}
    assert part_at(masks, (face[33] + face[51]) / 2) in ("nose", "mouth")
    for side in au_centers(face, (6,))[0]:
        assert part_at(masks, side) == "cheek"
    for side in au_centers(face, (17,))[0]:
        assert part_at(masks, side) == "chin"
    assert part_at(masks, (SIZE / 2, 0.15 * SIZE)) == "forehead"
    for corner in ((0, 0), (0, SIZE - 1), (SIZE - 1, 0), (SIZE - 1, SIZE - 1)):
        assert part_at(masks, corner) == "background"


def test_the_outline_is_the_jaw(masks):
    face, center = mean_face(SIZE), np.array([SIZE / 2, SIZE / 2])
    for point in face[:17]:
        outward = (point - center) / np.linalg.norm(point - center)
        assert part_at(masks, point + 2 * outward) == "background"
        assert part_at(masks, point - 2 * outward) in ("cheek", "chin")


def test_sides_are_alike_and_any_size_is_divided_alike(masks):
    assert len(set(MIRRORED)) == 68  # the scheme that makes the mean face symmetric
    for name, mask in masks.items():
        assert np.mean(mask != mask[:, ::-1]) < 0.002, name
        small = part_masks(SIZE // 3)[name].mean()
        assert small == pytest.approx(mask.mean(), abs=0.01)


def test_bad_size():
    with pytest.raises(ValueError, match="`size` must be positive. Received: 0"):
        part_masks(0)
