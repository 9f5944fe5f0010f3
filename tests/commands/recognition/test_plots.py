from pathlib import Path

import numpy as np
import pytest

from tfface.commands.recognition import plots
from tfface.commands.recognition.summary import VideoSummary
from tfface.serving.predictors.recognition import RecognizedPhoto


@pytest.fixture
def drawn(monkeypatch):
    """What the plots were asked to draw."""
    calls = []
    for name in ("face_bars", "timeline"):
        monkeypatch.setattr(plots, name, lambda *arguments: calls.append(arguments))
    return calls


def test_of_a_photo_the_largest_faces(drawn):
    crops = np.arange(20, dtype=np.float32).reshape(20, 1, 1, 1)
    result = RecognizedPhoto((None,) * 20, crops, np.linspace(0, 0.95, 40).reshape(20, 2))
    plots.plot_photo(result, (4, 12), 0.6, Path("in/group.jpg"), "out/group.png")
    ((rows, path, title, threshold),) = drawn
    assert (path, title, threshold) == ("out/group.png", "group.jpg", 0.6)
    assert [crop.item() for crop, _, _ in rows] == list(range(12))
    assert [name for _, _, name in rows] == [f"Face {i}" for i in range(12)]
    assert rows[3][1] == {
        "AU04 Brow lowerer": result.probabilities[3, 0],
        "AU12 Lip corner puller": result.probabilities[3, 1],
    }


def test_of_a_video_the_faces_seen_longest(drawn, frame):
    summary = VideoSummary(2, 0.5)
    for i in range(10):
        faces = range(i // 2, 5)  # face 4 is seen longest
        summary.add(frame(i, {face_id: (0.1 * face_id, 0.5) for face_id in faces}))
    plots.plot_video(summary, (4, 12), 0.5, Path("clip.mp4"), "clip.png")
    ((times, series, path, title, threshold),) = drawn
    assert (path, title, threshold) == ("clip.png", "clip.mp4", 0.5)
    np.testing.assert_allclose(times, np.arange(10) / 25)
    assert list(series) == ["Face 4", "Face 3", "Face 2", "Face 1"]
    expected = np.where(np.arange(10) < 4, 0.1, np.nan)
    np.testing.assert_allclose(series["Face 1"]["AU04 Brow lowerer"], expected, rtol=1e-6)
    assert series["Face 4"]["AU12 Lip corner puller"].shape == (10,)
