import cv2
import numpy as np
import pytest

from tfface.data.detection import Face
from tfface.data.synthetic import Nuisance, photo, render, sample_identity
from tfface.data.tracking import FaceTracker
from tfface.facs.landmarks import anchors

BLANK = np.zeros((120, 400, 3), np.uint8)

# Where the five points lie in a box, as shares of its sides.
FIVE = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def face(x, y=20, width=50, height=60, score=0.9):
    points = np.array([x, y]) + FIVE * [width, height]
    return Face((x, y, width, height), points.astype(np.float32), score)


def seen(landmarks):
    """The face of 68 landmarks as a detector gives it."""
    points = np.array([*anchors(landmarks)[:2], *landmarks[[30, 48, 54]]], np.float32)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    return Face((*low.tolist(), *(high - low).tolist()), points, 0.9)


class Script:
    """A detector that finds, in the frame of a number, the faces that are written for it."""

    def __init__(self, *faces):
        self.faces = faces
        self.frame = -1
        self.searched = []

    def detect(self, image):
        self.searched.append(self.frame)
        found = self.faces[self.frame]
        return list(found) if isinstance(found, (list, tuple)) else [found]


def followed(script, images, **options):
    """What a tracker gives for each frame."""
    tracker, given = FaceTracker(script, **options), []
    for script.frame, image in enumerate(images):
        given.append(tracker(image))
    return given


def numbers(given):
    return [[tracked.face_id for tracked in faces] for faces in given]


def texture(height, width, seed=0):
    """A picture with structure everywhere, at about the scale of a face's parts."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def panned(picture, steps, size=(200, 300), start=(60, 60)):
    """Windows of a picture; a step of (3, 2) moves what they show by 3 pixels right, 2 down."""
    height, width = size
    corners = np.array(start) - np.cumsum([(0, 0), *steps], axis=0)
    return [picture[y : y + height, x : x + width].copy() for x, y in corners]


def test_on_searched_frames_faces_are_the_detectors():
    first, second = face(10, score=0.8), face(200, score=0.7)
    given = followed(Script([second], [second, first], [first]), [BLANK] * 3)
    assert numbers(given) == [[0], [0, 1], [1]]
    assert given[1][0].face is second and given[1][1].face is first
    assert all(tracked.detected for faces in given for tracked in faces)


@pytest.mark.parametrize("step", [(3, -2), (-7, 5), (0, 0)])
def test_flow_follows_whole_pixels_to_within_half_a_pixel(step):
    script = Script(*[face(100, 60, 60, 70, score=0.75)] * 6)
    images = panned(texture(320, 420), [step] * 5)
    given = followed(script, images, every=10)
    assert script.searched == [0] and numbers(given) == [[0]] * 6
    start = given[0][0].face
    for k, (tracked,) in enumerate(given):
        moved = k * np.array(step)
        assert np.abs(tracked.face.points - start.points - moved).max() < 0.5
        box = np.add(start.box, (*moved, 0, 0))
        np.testing.assert_allclose(tracked.face.box, box, atol=1)
        assert tracked.face.score == 0.75 and tracked.detected == (k == 0)


@pytest.mark.parametrize(("side", "step"), [(24, 3), (300, 40)])
def test_flow_reaches_as_far_as_the_face_is_large(side, step):
    size = (2 * side, 3 * side)
    scale = side / 60  # the texture grows with the face
    picture = cv2.resize(texture(200, 300), None, fx=scale, fy=scale)
    images = panned(picture, [(step, 0)] * 4, size, start=(5 * step, 10))
    script = Script(*[face(side // 2, side // 2, side, side)] * 5)
    given = followed(script, images, every=10)
    assert script.searched == [0]
    for k, (tracked,) in enumerate(given):
        moved = tracked.face.points - given[0][0].face.points - (k * step, 0)
        assert np.abs(moved).max() < 0.5 * max(1.0, side / 96)  # half a pixel of flow's view


def test_the_box_turns_and_grows_with_the_points():
    picture, start = texture(200, 300), face(110, 60, 70, 80)
    middle = np.array([145, 100])  # of the box
    images = [picture]
    for k in range(1, 6):
        matrix = cv2.getRotationMatrix2D(middle.tolist(), 2 * k, 1.02**k)
        images.append(cv2.warpAffine(picture, matrix, (300, 200)))
    last = followed(Script(start), images, every=10)[-1][0].face
    np.testing.assert_allclose(last.box[2:], np.array([70, 80]) * 1.02**5, rtol=0.02)
    np.testing.assert_allclose(np.add(last.box[:2], np.array(last.box[2:]) / 2), middle, atol=1)
    expected = start.points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(last.points - expected).max() < 1


def test_flow_stays_on_drawn_faces():
    picture, people = photo(3, 2, (400, 560))
    steps = [(round(5 * np.sin(k)), round(4 * np.cos(k / 2))) for k in range(12)]
    images = panned(picture, steps, (340, 480), (40, 30))
    found = [seen(landmarks - np.float32([40, 30])) for landmarks in people]
    script = Script(found)
    given = followed(script, images, every=50)
    assert script.searched == [0]
    for faces, moved in zip(given, np.cumsum([(0, 0), *steps], axis=0), strict=True):
        for tracked, start in zip(faces, found, strict=True):
            assert np.abs(tracked.face.points - start.points - moved).max() < 0.5


def test_every_nth_frame_is_searched_and_no_other():
    images = panned(texture(320, 420), [(1, 1)] * 12)
    script = Script(*[face(100 + k, 60 + k) for k in range(13)])
    given = followed(script, images, every=5)
    assert script.searched == [0, 5, 10]
    assert [faces[0].detected for faces in given] == [k % 5 == 0 for k in range(13)]
    assert numbers(given) == [[0]] * 13


def test_an_empty_scene_is_searched_every_nth_frame():
    script = Script(*[[]] * 9)
    assert numbers(followed(script, [BLANK] * 9, every=4)) == [[]] * 9
    assert script.searched == [0, 4, 8]


def test_a_scene_cut_is_searched_at_once():
    still = face(100, 60)
    before, after = texture(200, 300, seed=1), texture(200, 300, seed=2)
    images = [before] * 3 + [after] * 6
    script = Script(*[still] * 3, *[[]] * 4, *[still] * 2)
    given = followed(script, images, every=4)
    # Found in 0, carried in 1 and 2, cut at 3; nobody is there until the search four frames later.
    assert script.searched == [0, 3, 7]
    assert numbers(given) == [[0], [0], [0], [], [], [], [], [0], [0]]


def test_a_frame_of_another_size_is_searched_at_once():
    picture = texture(200, 300)
    script = Script(*[face(100, 60)] * 4)
    followed(script, [picture, picture, picture[:180], picture[:180]], every=9)
    assert script.searched == [0, 2]


def covered(picture, point, reach, seed, step=0):
    """A picture with something small before one point, or a step to the right of it."""
    x, y = point.astype(int)
    image, columns = picture.copy(), slice(x + step - reach, x + step + reach)
    image[y - reach : y + reach, columns] = texture(2 * reach, 2 * reach, seed)
    return image


@pytest.mark.parametrize(("point", "seed"), [(0, 11), (1, 13)])
def test_a_point_that_does_not_come_back_is_searched(point, seed):
    picture, shown = texture(200, 300), face(100, 60)
    hidden = covered(picture, shown.points[point], 12, seed)
    script = Script(*[shown] * 4)
    followed(script, [picture, picture, hidden, hidden], every=9)
    assert script.searched == [0, 2]


@pytest.mark.parametrize("point", [0, 1, 3])
def test_a_point_that_goes_its_own_way_is_searched(point):
    picture, shown = texture(200, 300), face(100, 60)
    # Flow follows whatever is before the point, forth and back, when that moves on.
    images = [covered(picture, shown.points[point], 5, 10, step) for step in (0, 0, 0, 4)]
    script = Script(*[shown] * 4)
    followed(script, images, every=9)
    assert script.searched == [0, 3]


@pytest.mark.parametrize(("one", "other"), [(1, 3), (1, 10), (9, 3)])
def test_another_person_at_the_same_place_is_searched(one, other):
    # Two people whose eyes, noses and mouths lie so much alike that flow leads from one to the
    # other and back.
    before, landmarks = render(sample_identity(one, "x"), np.zeros(17), Nuisance(), 160)
    after, _ = render(sample_identity(other, "x"), np.zeros(17), Nuisance(), 160)
    script = Script(*[seen(landmarks)] * 4)
    followed(script, [before, before, after, after], every=9)
    assert script.searched == [0, 2]


def test_a_dissolve_is_searched_before_it_ends():
    (before,), (after,) = ([texture(200, 300, seed)] for seed in (1, 2))
    mixes = [cv2.addWeighted(before, 1 - k / 30, after, k / 30, 0) for k in range(31)]
    script = Script(*[face(100, 60)] * 31)
    followed(script, mixes, every=100)
    assert len(script.searched) > 1


def test_a_hidden_face_is_searched_at_once_and_the_others_are_found_with_it():
    picture = texture(200, 400)
    hidden = picture.copy()
    hidden[40:140, 30:130] = texture(100, 100, seed=5)
    one, other = face(50, 60), face(250, 60)
    script = Script([one, other], [], [other], [], [], [one, other])
    given = followed(script, [picture, picture, hidden, hidden, picture, picture], every=3)
    assert script.searched == [0, 2, 5]
    # The gap is kept until the next search: flow has nothing from which it could carry the face.
    assert numbers(given) == [[0, 1], [0, 1], [1], [1], [1], [0, 1]]
    assert [faces[0].detected for faces in given] == [True, False, True, False, False, True]


def test_frames_may_be_drawn_upon_once_they_were_seen():
    images = panned(texture(320, 420), [(2, 1)] * 5)
    script, last = Script(face(100, 60)), None
    tracker = FaceTracker(script, every=10)
    for script.frame, image in enumerate(images):
        (last,) = tracker(image)
        image[:] = 0
    assert script.searched == [0]
    assert np.abs(last.face.points - face(110, 65).points).max() < 0.5


def test_two_faces_that_cross_keep_their_numbers():
    # At 4 pixels a frame each, one from 10 to 130, the other from 132 back to 12: where they pass
    # each other the old box of the one lies nearer to the new one of the other.
    rows = [[face(10 + 4 * k), face(132 - 4 * k)] for k in range(31)]
    mixed = [row[:: 1 if k % 2 else -1] for k, row in enumerate(rows)]
    given = followed(Script(*mixed), [BLANK] * 31)
    first = given[0][0].face.box[0] == 10  # whether number 0 is the one that goes right
    for row, faces in zip(rows, given, strict=True):
        assert [tracked.face for tracked in faces] == (row if first else row[::-1])


@pytest.mark.parametrize(("away", "number"), [(1, 0), (4, 0), (5, 1)])
def test_a_face_that_returns_within_patience_keeps_its_number(away, number):
    here = face(100)
    given = followed(Script(here, here, *[[]] * away, here), [BLANK] * (away + 3), patience=4)
    assert numbers(given) == [[0], [0], *[[]] * away, [number]]


def test_a_face_that_walked_off_returns_where_it_was_last():
    walk = [face(x) for x in (100, 120, 150, 180)]
    given = followed(Script(*walk, *[[]] * 10, walk[-1]), [BLANK] * 15)
    assert numbers(given) == [[0]] * 4 + [[]] * 10 + [[0]]


def test_numbers_are_never_given_twice():
    given = followed(Script(face(0), [], face(100), [], face(200)), [BLANK] * 5, patience=0)
    assert numbers(given) == [[0], [], [1], [], [2]]


def test_a_detection_elsewhere_is_another_face():
    # Boxes 50 wide: 26 apart they share 24 of 76, an overlap of 0.32; 28 apart 22 of 78, of 0.28.
    assert numbers(followed(Script(face(100), face(126)), [BLANK] * 2)) == [[0], [0]]
    assert numbers(followed(Script(face(100), face(128)), [BLANK] * 2)) == [[0], [1]]


def test_the_greatest_overlap_is_the_same_face():
    # Both detections overlap the track enough; the second does so more.
    given = followed(Script(face(100), [face(120), face(95)]), [BLANK] * 2)
    assert [(t.face_id, t.face.box[0]) for t in given[1]] == [(0, 95), (1, 120)]


def test_a_lost_face_does_not_take_the_place_of_one_that_is_there():
    # Number 0 is lost at 100; number 1 comes to the same place, where 0 would overlap it more.
    rows = [[face(100), face(145)], [face(135)], [face(125)], [face(115)], [face(102)]]
    assert numbers(followed(Script(*rows), [BLANK] * 5)) == [[0, 1], [1], [1], [1], [1]]


def test_what_is_kept_does_not_grow():
    rows = [face(60 * (k % 7), 20 + 70 * (k % 2)) for k in range(300)]
    tracker = FaceTracker(Script(*rows), patience=3)
    for tracker._detector.frame in range(300):
        (tracked,) = tracker(BLANK)
        assert len(tracker._tracks) <= 5
    assert tracked.face_id == 299


@pytest.mark.parametrize(
    "box", [(-20, -10, 60, 70), (130, 90, 60, 60), (300, 300, 50, 50), (10, 10, 2, 2)]
)
def test_a_face_at_or_over_the_edge_is_carried_or_searched(box):
    given = followed(Script(*[face(*box)] * 3), [texture(120, 160)] * 3, every=9)
    assert numbers(given) == [[0]] * 3


def test_wrong_arguments_are_named():
    for name, value in (("every", 0), ("every", 2.5), ("patience", -1)):
        with pytest.raises(ValueError, match=f"`{name}` must be an integer.*Received: {value}"):
            FaceTracker(Script(), **{name: value})
