"""Synthetic landmarks: where the average face lies, and where each muscle takes it."""

import numpy as np
import pytest

from tfface.data.synthetic import SYNTHETIC_AUS, Nuisance, render, sample_identity
from tfface.data.synthetic.identity import neutral_landmarks
from tfface.data.synthetic.mouth import Mouth
from tfface.data.synthetic.muscles import build, lid_motion
from tfface.data.synthetic.pose import sample_nuisance, turn, unturn
from tfface.facs import landmarks as scheme

SIZE = 64
REST = np.zeros(len(SYNTHETIC_AUS), np.float32)


def expressed(**intensities):
    """Returns the intensities vector of e.g. au12=5."""
    vector = REST.copy()
    for name, intensity in intensities.items():
        vector[SYNTHETIC_AUS.index(int(name[2:]))] = intensity
    return vector


def landmarks_of(identity, **intensities):
    pixels = render(identity, expressed(**intensities), Nuisance(), SIZE)[1]
    return (pixels + 0.5) / SIZE


def test_average_of_many_people_is_the_mean_face():
    faces = np.stack([neutral_landmarks(sample_identity(0, k)) for k in range(200)])
    np.testing.assert_allclose(faces.mean(axis=0), scheme.MEAN_FACE, atol=0.012)
    assert faces.std(axis=0).mean() > 0.006  # and they are not all the same


def test_a_resting_face_is_aligned():
    for k in range(20):
        anchors = scheme.anchors(neutral_landmarks(sample_identity(1, k)))
        np.testing.assert_allclose(anchors, scheme.anchors(scheme.MEAN_FACE), atol=0.02)
        np.testing.assert_allclose(anchors.mean(axis=0), (0.5, 0.515), atol=1e-5)


def test_a_resting_mouth_is_closed():
    points = landmarks_of(sample_identity(0, 0))
    np.testing.assert_allclose(points[[61, 62, 63]], points[[67, 66, 65]], atol=1e-5)


def eye_opening(points, upper, lower):
    return points[lower, 1].mean() - points[upper, 1].mean()


# What the FACS manual says that each AU does, as a number that must grow by the given amount.
MEASURES = {
    1: lambda p: -p[[21, 22], 1].mean(),
    2: lambda p: -p[[18, 25], 1].mean(),
    4: lambda p: p[[19, 20, 21, 22, 23, 24], 1].mean(),
    5: lambda p: eye_opening(p, [37, 38, 43, 44], [40, 41, 46, 47]),
    6: lambda p: -p[[40, 41, 46, 47], 1].mean(),
    7: lambda p: -eye_opening(p, [37, 38, 43, 44], [40, 41, 46, 47]),
    9: lambda p: -p[[31, 35], 1].mean(),
    10: lambda p: -p[[50, 52], 1].mean(),
    12: lambda p: (p[54, 0] - p[48, 0]) - p[[48, 54], 1].mean(),
    14: lambda p: p[54, 0] - p[48, 0],
    15: lambda p: p[[48, 54], 1].mean(),
    17: lambda p: -p[57, 1],
    20: lambda p: p[54, 0] - p[48, 0],
    23: lambda p: -(p[57, 1] - p[51, 1]) - (p[54, 0] - p[48, 0]),
    24: lambda p: -(p[57, 1] - p[51, 1]),
    25: lambda p: p[66, 1] - p[62, 1],
    26: lambda p: p[8, 1],
}


@pytest.mark.parametrize("number", SYNTHETIC_AUS)
def test_an_action_unit_moves_its_part_of_the_face(number):
    for subject in (0, 3):
        identity = sample_identity(2, subject)
        values = [
            MEASURES[number](landmarks_of(identity, **{f"au{number}": level}))
            for level in (0, 1.5, 3, 5)
        ]
        steps = np.diff(values)
        assert (steps > 0).all()
        assert values[-1] - values[0] > 0.008


@pytest.mark.parametrize("number", [n for n in SYNTHETIC_AUS if n not in (10, 17, 25, 26)])
def test_lips_stay_closed_unless_something_parts_them(number):
    points = landmarks_of(sample_identity(2, 5), **{f"au{number}": 5})
    gap = points[[67, 66, 65], 1] - points[[61, 62, 63], 1]
    np.testing.assert_allclose(gap, 0.0, atol=0.004)


def test_upper_lip_raised_over_parted_lips_opens_them_further():
    identity = sample_identity(2, 6)
    parted = landmarks_of(identity, au25=3)
    raised = landmarks_of(identity, au25=3, au10=4)
    assert parted[66, 1] - parted[62, 1] > 0.012
    assert raised[51, 1] < parted[51, 1] - 0.005


def test_a_subject_moves_in_an_own_way():
    identities = [sample_identity(4, k) for k in range(30)]
    strengths = np.array([identity.strength for identity in identities])
    assert strengths.shape == (30, len(SYNTHETIC_AUS), 2)
    assert strengths.mean(axis=2).std(axis=0).min() > 0.08  # some move more than others
    assert np.abs(strengths[..., 0] - strengths[..., 1]).mean() > 0.03  # and one side more


def test_muscles_never_turn_skin_over():
    identity = sample_identity(2, 7)
    points = neutral_landmarks(identity)
    muscles = build(identity, points, Mouth.fit(points))
    for combination in (
        dict(au6=4, au12=4, au25=3),
        dict(au4=4, au7=4, au9=4, au10=4),
        dict(au1=5),
    ):
        for field in muscles.displacement(expressed(**combination)):
            dxx, dyy = np.gradient(field[..., 0], axis=1), np.gradient(field[..., 1], axis=0)
            dxy, dyx = np.gradient(field[..., 0], axis=0), np.gradient(field[..., 1], axis=1)
            # In nodes: fields are in face units, 64 nodes each.
            area = (1 + 64 * dxx) * (1 + 64 * dyy) - 64 * dxy * 64 * dyx
            assert area.min() > 0


def test_lids_close_and_open():
    identity = sample_identity(0, 0)
    rest = lid_motion(identity, REST)[0]
    assert rest.upper == 1 and rest.lower == 1
    assert lid_motion(identity, expressed(au5=5))[0].upper > 1.3
    assert lid_motion(identity, expressed(au7=5))[0].upper < 0.85
    closed = lid_motion(identity, REST, droop=1.0)[0]
    assert closed.upper < 0


def test_unturn_inverts_turn():
    rng = np.random.default_rng(0)
    points = rng.uniform(0.1, 0.9, (50, 2)).astype(np.float32)

    def depth_at(p):
        return (0.3 - 0.8 * ((p[..., 0] - 0.5) ** 2 + (p[..., 1] - 0.5) ** 2)).astype(np.float32)

    for _ in range(5):
        nuisance = sample_nuisance(rng)
        turned = turn(points, depth_at(points), nuisance)
        assert np.abs(turned - points).max() > 0.01
        back = unturn(turned, depth_at, nuisance, rounds=12)
        np.testing.assert_allclose(back, points, atol=2e-4)


def test_a_turn_about_the_camera_axis_is_a_rotation():
    nuisance = Nuisance(roll=np.pi / 2)
    # x runs right and y down: a quarter turn clockwise takes right to down.
    turned = turn(np.array([[0.9, 0.5]]), np.array([0.1]), nuisance)
    np.testing.assert_allclose(turned, [[0.5, 0.9]], atol=1e-6)


def test_a_near_point_moves_with_the_yaw():
    nose, ear = turn(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0.5, 0.0]), Nuisance(yaw=0.2))
    assert nose[0] > 0.5 > ear[0]
