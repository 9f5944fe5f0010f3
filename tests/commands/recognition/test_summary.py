import numpy as np

from tfface.commands.recognition.summary import MOST_FACES, MOST_POINTS, VideoSummary


def test_shares_and_means_are_over_the_frames_that_show_the_face(frame):
    summary = VideoSummary(2, threshold=0.5)
    for i in range(10):
        faces = {7: (0.5, i / 10)} if i >= 4 else {}
        summary.add(frame(i, {0: (0.1, 1.0), **faces}))
    summary.add(frame(10, {}))
    assert (summary.frames, summary.n_faces) == (11, 2)
    longest, other = summary.longest(5)
    assert (longest.face_id, longest.frames, other.face_id, other.frames) == (0, 10, 7, 6)
    np.testing.assert_array_equal(longest.present, [0, 10])
    np.testing.assert_array_equal(other.present, [6, 5])  # 0.5 ... 0.9
    np.testing.assert_allclose(other.total, [3.0, 0.4 + 0.5 + 0.6 + 0.7 + 0.8 + 0.9], rtol=1e-6)
    assert summary.longest(1) == [longest]


def test_timeline_of_a_short_video_is_frame_by_frame(frame):
    summary = VideoSummary(1, threshold=0.5)
    for i in range(6):
        summary.add(frame(i, {0: (i / 8,)} if i % 3 else {}))
    times, (curve,) = summary.timeline(summary.longest(1))
    np.testing.assert_allclose(times, np.arange(6) / 25)
    np.testing.assert_array_equal(curve[:, 0], [np.nan, 1 / 8, 2 / 8, np.nan, 4 / 8, 5 / 8])


def test_timeline_of_a_long_video_is_of_means(frame):
    count = 2 * MOST_POINTS + 1  # four frames a point, and a last point of one
    values = np.random.default_rng(0).random(count)
    summary = VideoSummary(1, threshold=0.5)
    for i, value in enumerate(values):
        summary.add(frame(i, {0: (value,)} if i % 4 and i >= 8 else {}))
    times, (curve,) = summary.timeline(summary.longest(1))
    assert times.shape == (MOST_POINTS // 2 + 1,) and curve.shape == (MOST_POINTS // 2 + 1, 1)
    whole = np.arange(count - 1).reshape(-1, 4)
    np.testing.assert_allclose(times[:-1], whole.mean(axis=1) / 25)
    assert times[-1] == (count - 1) / 25
    assert np.isnan(curve[:2]).all() and np.isnan(curve[-1])
    expected = values[whole][2:, 1:].mean(axis=1)  # of the three frames in four that show it
    np.testing.assert_allclose(curve[2:-1, 0], expected, rtol=1e-5)


def test_a_crowd_that_passes_by_is_counted_but_not_kept(frame):
    summary = VideoSummary(1, threshold=0.5)
    for i in range(3 * MOST_FACES):
        faces = {0: (1.0,)} if i < 50 else {}
        summary.add(frame(i, {**faces, 1 + i: (0.5,), 2 + i: (0.5,)}))
    assert summary.n_faces == 3 * MOST_FACES + 2
    kept = summary.longest(10**6)
    assert len(kept) <= MOST_FACES
    assert (kept[0].face_id, kept[0].frames) == (0, 50)
    # Those in sight are never forgotten: their count is whole.
    assert {face.face_id: face.frames for face in kept}[3 * MOST_FACES] == 2


def test_all_faces_of_a_crowd_in_sight_are_kept(frame):
    summary = VideoSummary(1, threshold=0.5)
    crowd = {i: (0.5,) for i in range(2 * MOST_FACES)}
    for i in range(3):
        summary.add(frame(i, crowd))
    assert [face.frames for face in summary.longest(10**6)] == [3] * len(crowd)
