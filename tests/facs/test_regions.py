import numpy as np
import pytest

from tfface.facs.action_units import ACTION_UNITS, BP4D_AUS
from tfface.facs.landmarks import MEAN_FACE, mean_face, mirror
from tfface.facs.regions import AU_CENTERS, attention_maps, au_centers, patch_adjacency
from tfface.facs.relations import AURelations, prior_relations

# AUs whose two centers are the middles of the upper and the lower lip, not right and left.
LIP_MIDDLES = (18, 22, 23, 24, 25, 28)


def scattered_landmarks(seed=0, size=200):
    """The mean face in pixels with every point moved a little, so that no two coincide."""
    rng = np.random.default_rng(seed)
    return mean_face(size) + rng.normal(0, 2, (68, 2)).astype(np.float32)


def test_every_known_action_unit_has_centers():
    assert set(AU_CENTERS) == set(ACTION_UNITS)


@pytest.mark.parametrize(
    ("action_unit", "right", "left"),
    [
        # Each from the table of EAC-Net, with p the 68 points and s the gap between the inner
        # eye corners; y grows downward.
        (1, lambda p, s: p[21] - (0, s / 2), lambda p, s: p[22] - (0, s / 2)),
        (2, lambda p, s: p[18] - (0, s / 3), lambda p, s: p[25] - (0, s / 3)),
        (4, lambda p, s: p[19] + (0, s / 3), lambda p, s: p[24] + (0, s / 3)),
        (5, lambda p, s: (p[37] + p[38]) / 2, lambda p, s: (p[43] + p[44]) / 2),
        (6, lambda p, s: (p[40] + p[41]) / 2 + (0, s), lambda p, s: (p[46] + p[47]) / 2 + (0, s)),
        (7, lambda p, s: p[36:42].sum(0) / 6, lambda p, s: p[42:48].sum(0) / 6),
        (9, lambda p, s: p[31] - (0, s / 2), lambda p, s: p[35] - (0, s / 2)),
        (10, lambda p, s: p[50], lambda p, s: p[52]),
        (12, lambda p, s: p[48], lambda p, s: p[54]),
        (14, lambda p, s: p[48], lambda p, s: p[54]),
        (15, lambda p, s: p[48], lambda p, s: p[54]),
        (17, lambda p, s: p[58] + (0, s / 2), lambda p, s: p[56] + (0, s / 2)),
        (20, lambda p, s: p[48], lambda p, s: p[54]),
        (23, lambda p, s: p[51], lambda p, s: p[57]),
        (24, lambda p, s: p[51], lambda p, s: p[57]),
        (25, lambda p, s: p[51], lambda p, s: p[57]),
        (26, lambda p, s: p[58] + (0, s / 2), lambda p, s: p[56] + (0, s / 2)),
    ],
)
def test_centers_follow_the_table(action_unit, right, left):
    landmarks = scattered_landmarks()
    points = landmarks.astype(np.float64)
    scale = np.hypot(*(points[42] - points[39]))
    centers = au_centers(landmarks, (action_unit,))
    assert centers.shape == (1, 2, 2)
    np.testing.assert_allclose(centers[0], [right(points, scale), left(points, scale)], atol=1e-4)


def test_centers_keep_the_order_asked_for_and_take_batches():
    faces = np.stack([scattered_landmarks(seed) for seed in range(3)])
    batch = au_centers(faces, (12, 1))
    assert batch.shape == (3, 2, 2, 2)
    np.testing.assert_array_equal(batch[2, 0], au_centers(faces[2], (12,))[0])
    np.testing.assert_array_equal(batch[2, 1], au_centers(faces[2], (1,))[0])


def test_centers_of_the_mean_face_mirror_each_other():
    action_units = [unit for unit in ACTION_UNITS if unit not in LIP_MIDDLES]
    right, left = np.moveaxis(au_centers(MEAN_FACE, action_units), 1, 0)
    assert (right[:, 0] < 0.5).all()
    np.testing.assert_allclose(left[:, 0], 1 - right[:, 0], atol=1e-6)
    np.testing.assert_allclose(left[:, 1], right[:, 1], atol=1e-6)


def test_lip_middles_are_upper_then_lower():
    upper, lower = np.moveaxis(au_centers(MEAN_FACE, LIP_MIDDLES), 1, 0)
    assert (upper[:, 1] < lower[:, 1]).all()


def test_a_center_is_unknown_only_where_its_own_points_are():
    landmarks = mean_face(200)
    landmarks[:17] = np.nan  # the 49-point scheme has no jaw
    assert not np.isnan(au_centers(landmarks, BP4D_AUS)).any()
    landmarks[48] = np.nan
    unknown = np.isnan(au_centers(landmarks, (1, 12))).any(axis=-1)
    assert unknown.tolist() == [[False, False], [True, False]]


def test_attention_at_pixels_by_hand():
    landmarks = mean_face(100)
    landmarks[48] = (30, 60)
    landmarks[54] = (70, 60)
    attention = attention_maps(landmarks, (12,), 100)
    assert attention.shape == (1, 100, 100)
    assert attention.dtype == np.float32

    def value(x, y):
        return attention[0, y, x]

    # The slope is 0.56 / (0.14 * 100) = 0.04 a pixel; the region reaches 0.07 * 100 = 7 pixels.
    assert value(30, 60) == 1
    assert value(70, 60) == 1
    np.testing.assert_allclose(value(33, 60), 1 - 0.04 * 3, atol=1e-6)
    np.testing.assert_allclose(value(30, 55), 1 - 0.04 * 5, atol=1e-6)
    np.testing.assert_allclose(value(32, 56), 1 - 0.04 * (2 + 4), atol=1e-6)
    np.testing.assert_allclose(value(36, 66), 1 - 0.04 * 12, atol=1e-6)
    assert value(38, 60) == 0
    assert value(30, 68) == 0
    assert value(50, 60) == 0
    # Each square of 13 x 13 pixels within 6 of a center is lit, at 7 rounding decides.
    lit = attention[0] > 0
    assert lit[54:67, 24:37].all()
    assert not lit[:, 38:62].any()


def test_attention_takes_the_nearer_center_where_two_regions_meet():
    landmarks = mean_face(100)
    landmarks[48] = (48, 60)
    landmarks[54] = (54, 60)
    attention = attention_maps(landmarks, (12,), 100)[0]
    np.testing.assert_allclose(attention[60, 50], 1 - 0.04 * 2, atol=1e-6)
    np.testing.assert_allclose(attention[60, 53], 1 - 0.04 * 1, atol=1e-6)


def test_attention_matches_a_loop_over_pixels():
    landmarks, size, decay, extent = scattered_landmarks(3, 40), 40, 1.5, 0.3
    action_units = (1, 6, 24)
    attention = attention_maps(landmarks, action_units, size, decay, extent)
    centers = au_centers(landmarks, action_units).astype(np.float64)
    expected = np.zeros((3, size, size))
    for unit in range(3):
        for y in range(size):
            for x in range(size):
                for center_x, center_y in centers[unit]:
                    dx, dy = abs(x - center_x), abs(y - center_y)
                    if max(dx, dy) <= extent / 2 * size:
                        value = 1 - decay * (dx + dy) / (extent * size)
                        expected[unit, y, x] = max(expected[unit, y, x], value)
    assert (expected == 0).any()
    np.testing.assert_allclose(attention, expected, atol=1e-5)


def test_attention_of_unknown_points_is_the_mean_face_s():
    unknown = np.full((68, 2), np.nan)
    from_mean = attention_maps(mean_face(64), BP4D_AUS, 64)
    np.testing.assert_array_equal(attention_maps(unknown, BP4D_AUS, 64), from_mean)
    np.testing.assert_array_equal(attention_maps(None, BP4D_AUS, 64), from_mean)
    # What is known stays: only the right lip corner is replaced.
    landmarks = scattered_landmarks(1, 64)
    landmarks[48] = np.nan
    expected = landmarks.copy()
    expected[48] = MEAN_FACE[48] * 64 - 0.5
    np.testing.assert_array_equal(
        attention_maps(landmarks, (12,), 64), attention_maps(expected, (12,), 64)
    )


def test_attention_of_a_mirrored_face_is_mirrored():
    action_units = [unit for unit in ACTION_UNITS if unit not in LIP_MIDDLES]
    landmarks = scattered_landmarks(2, 96)
    flipped = attention_maps(mirror(landmarks, 96), action_units, 96)
    np.testing.assert_allclose(
        flipped, attention_maps(landmarks, action_units, 96)[..., ::-1], atol=1e-4
    )


def test_attention_takes_batches():
    faces = np.stack([scattered_landmarks(seed, 32) for seed in range(2)])
    batch = attention_maps(faces, (1, 12), 32)
    assert batch.shape == (2, 2, 32, 32)
    np.testing.assert_array_equal(batch[1], attention_maps(faces[1], (1, 12), 32))


@pytest.mark.parametrize("name", ["size", "decay", "extent"])
def test_attention_rejects_what_is_not_positive(name):
    arguments = {"size": 8, "decay": 0.56, "extent": 0.14} | {name: 0}
    with pytest.raises(ValueError, match=f"`{name}` must be positive. Received: 0"):
        attention_maps(None, (1,), **arguments)


def relations(action_units, coexisting=(), exclusive=()):
    """Relations with exactly the given pairs of action units."""
    matrices = []
    for pairs in (coexisting, exclusive):
        matrix = np.zeros((len(action_units),) * 2, bool)
        for first, second in pairs:
            i, j = action_units.index(first), action_units.index(second)
            matrix[i, j] = matrix[j, i] = True
        matrices.append(matrix)
    return AURelations(action_units, *matrices)


def hand_made_landmarks():
    """Centers in a 40 pixel face of 4 x 4 patches, 10 pixels each: patch numbers by hand.

    AU 12 at (5, 25) and (35, 25): patches 8 and 11. AU 10 at (15, 25) and (25, 25): patches 9 and
    10. AU 23 at (15, 35) and (25, 35): patches 13 and 14.
    """
    landmarks = mean_face(40)
    landmarks[48], landmarks[54] = (5, 25), (35, 25)
    landmarks[50], landmarks[52] = (15, 25), (25, 25)
    landmarks[51], landmarks[57] = (15, 35), (25, 35)
    return landmarks


def entries(adjacency, value):
    """The pairs (i, j), i < j, at which the adjacency has the value."""
    return {(int(i), int(j)) for i, j in np.argwhere(np.triu(adjacency, 1) == value)}


def test_patch_adjacency_by_hand():
    pairs = relations((12, 10, 23), coexisting=[(12, 10)], exclusive=[(10, 23)])
    adjacency = patch_adjacency(4, hand_made_landmarks(), pairs, 40)
    assert adjacency.shape == (16, 16)
    assert adjacency.dtype == np.int8
    assert entries(adjacency, 1) == {(8, 9), (8, 10), (9, 11), (10, 11)}
    assert entries(adjacency, -1) == {(9, 13), (9, 14), (10, 13), (10, 14)}
    np.testing.assert_array_equal(adjacency, adjacency.T)
    assert not adjacency.diagonal().any()


def test_exclusion_wins():
    landmarks = hand_made_landmarks()
    # AU 14 lies with AU 12 in patches 8 and 11. It excludes the AU with which 12 co-exists.
    pairs = relations((12, 14, 10), coexisting=[(12, 10)], exclusive=[(14, 10)])
    adjacency = patch_adjacency(4, landmarks, pairs, 40)
    assert entries(adjacency, 1) == set()
    assert entries(adjacency, -1) == {(8, 9), (8, 10), (9, 11), (10, 11)}


def test_exclusion_does_not_part_the_two_sides_of_one_action_unit():
    # AU 12 and AU 14 pull the same mouth corners, patches 8 and 11, and exclude each other.
    coexisting, exclusive = np.eye(2, dtype=bool), ~np.eye(2, dtype=bool)
    adjacency = patch_adjacency(
        4, hand_made_landmarks(), AURelations((12, 14), coexisting, exclusive), 40
    )
    assert entries(adjacency, 1) == {(8, 11)}
    assert entries(adjacency, -1) == set()


def test_an_action_unit_that_coexists_with_itself_links_its_sides():
    itself = AURelations((12, 10), np.eye(2, dtype=bool), np.zeros((2, 2), bool))
    adjacency = patch_adjacency(4, hand_made_landmarks(), itself, 40)
    assert entries(adjacency, 1) == {(8, 11), (9, 10)}


def test_a_center_outside_of_the_image_is_in_no_patch():
    landmarks = hand_made_landmarks()
    landmarks[48] = (-3, 25)
    pairs = relations((12, 10), coexisting=[(12, 10)])
    assert entries(patch_adjacency(4, landmarks, pairs, 40), 1) == {(9, 11), (10, 11)}


def test_a_center_on_a_line_that_rounding_misses_is_in_both():
    # Thirds of 100 pixels have no exact coordinates, whichever side rounding puts them on.
    pairs = relations((12, 10), coexisting=[(12, 10)])
    for line in (100 / 3 - 0.5, 200 / 3 - 0.5):
        landmarks = mean_face(100)
        landmarks[48] = landmarks[54] = (line, 10)
        landmarks[50] = landmarks[52] = (10, 90)  # patch 6
        left = round((line + 0.5) * 3 / 100) - 1
        expected = {(left, 6), (left + 1, 6)}
        for nudge in (-1e-5, 0, 1e-5):
            landmarks[[48, 54], 0] = line + nudge
            assert entries(patch_adjacency(3, landmarks, pairs, 100), 1) == expected


def test_a_center_on_the_line_between_patches_is_in_both():
    landmarks = hand_made_landmarks()
    landmarks[48] = (9.5, 25)  # the line between pixels 9 and 10
    landmarks[50] = landmarks[52] = (35, 5)  # patch 3
    pairs = relations((12, 10), coexisting=[(12, 10)])
    assert entries(patch_adjacency(4, landmarks, pairs, 40), 1) == {(3, 8), (3, 9), (3, 11)}


@pytest.mark.parametrize("grid", [2, 3, 4, 8])
@pytest.mark.parametrize("action_units", [BP4D_AUS, tuple(ACTION_UNITS)])
def test_prior_adjacency_of_the_mean_face_is_symmetric_left_to_right(grid, action_units):
    adjacency = patch_adjacency(grid, None, prior_relations(action_units))
    mirrored = np.arange(grid * grid).reshape(grid, grid)[:, ::-1].ravel()
    np.testing.assert_array_equal(adjacency[np.ix_(mirrored, mirrored)], adjacency)
    assert (adjacency > 0).any()


def test_prior_adjacency_links_the_eyes():
    # Eye centers: (0.335, 0.4) and (0.665, 0.4) of 8 x 8 patches, row 3, columns 2 and 5.
    adjacency = patch_adjacency(8, None, prior_relations(BP4D_AUS))
    assert adjacency[3 * 8 + 2, 3 * 8 + 5] == 1


def test_mean_face_patches_do_not_depend_on_the_size():
    pairs = prior_relations(BP4D_AUS)
    expected = patch_adjacency(8, None, pairs)
    for size in (16, 128, 200):
        np.testing.assert_array_equal(patch_adjacency(8, None, pairs, size), expected)
        np.testing.assert_array_equal(patch_adjacency(8, mean_face(size), pairs, size), expected)
    unknown = np.full((68, 2), np.nan)
    np.testing.assert_array_equal(patch_adjacency(8, unknown, pairs, 128), expected)


def test_one_patch_has_nothing_to_relate_to():
    np.testing.assert_array_equal(patch_adjacency(1, None, prior_relations(BP4D_AUS)), [[0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": 0, "landmarks": None}, "`grid` must be positive. Received: 0"),
        ({"grid": 2, "landmarks": mean_face(9)}, "`size` must be given with `landmarks`"),
        ({"grid": 2, "landmarks": None, "size": 0}, "`size` must be positive. Received: 0"),
        (
            {"grid": 2, "landmarks": np.zeros((3, 68, 2)), "size": 9},
            r"`landmarks` must have shape \(68, 2\). Received: \(3, 68, 2\)",
        ),
    ],
)
def test_patch_adjacency_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        patch_adjacency(relations=prior_relations((1, 2)), **arguments)


@pytest.mark.parametrize("function", [au_centers, lambda *args: attention_maps(*args, size=8)])
def test_wrong_landmarks_and_unknown_action_units_are_named(function):
    with pytest.raises(ValueError, match=r"`landmarks` must have shape .* Received: \(49, 2\)"):
        function(np.zeros((49, 2)), (1,))
    with pytest.raises(ValueError, match=r"`action_units` must be among .* Received: \[99\]"):
        function(np.zeros((68, 2)), (1, 99))
