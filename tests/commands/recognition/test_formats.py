import csv
import io
import json

import pytest

from tfface.commands.recognition.formats import CsvWriter, JsonWriter, Source

VIDEO = Source("clip.mp4", is_video=True, fps=29.97003)


@pytest.mark.parametrize("several", [False, True])
def test_csv_has_openface_columns_and_one_row_a_face(frame, several):
    stream = io.StringIO()
    writer = CsvWriter(stream, (4, 12), 0.7, several)
    writer.begin(VIDEO)
    writer.add(frame(0, {0: (0.7, 0.69994), 3: (0, 1)}))
    writer.add(frame(1, {}))
    writer.end(0)
    writer.close()
    assert "\r" not in stream.getvalue()
    stream.seek(0)
    rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        *(["file"] if several else []),
        *("frame", "face_id", "timestamp", "confidence", "success", "x", "y", "width", "height"),
        *("AU04_c", "AU12_c", "AU04_p", "AU12_p"),
    ]
    for row in rows:
        assert row.pop("file", "clip.mp4") == "clip.mp4"
    box = {"x": "10.2", "y": "-2.5", "width": "30.0", "height": "40.0"}
    known = {"frame": "1", "timestamp": "0.000", "confidence": "0.99", "success": "1", **box}
    first = {"AU04_c": "1", "AU12_c": "0", "AU04_p": "0.7000", "AU12_p": "0.6999"}
    second = {"AU04_c": "0", "AU12_c": "1", "AU04_p": "0.0000", "AU12_p": "1.0000"}
    nothing = dict.fromkeys(rows[0], "")
    assert rows == [
        {**known, "face_id": "0", **first},
        {**known, "face_id": "3", **second},
        {**nothing, "frame": "2", "timestamp": "0.040", "success": "0"},
    ]


def test_csv_quotes_a_file_name(frame):
    stream = io.StringIO()
    writer = CsvWriter(stream, (1,), 0.5, several=True)
    writer.begin(Source('a, "b".png'))
    writer.add(frame(0, {}))
    assert next(csv.DictReader(io.StringIO(stream.getvalue())))["file"] == 'a, "b".png'


def test_json_of_one_video(frame):
    stream = io.StringIO()
    writer = JsonWriter(stream, (4, 12), 0.7)
    writer.begin(VIDEO)
    writer.add(frame(0, {0: (0.7, 0.69994)}))
    writer.add(frame(1, {}))
    writer.end(5)
    writer.close()
    face = {
        "face_id": 0,
        "confidence": 0.9877,
        "detected": False,
        "box": {"x": 10.2, "y": -2.5, "width": 30.0, "height": 40.0},
        "probabilities": {"AU04": 0.7, "AU12": 0.6999},
        "present": ["AU04"],
    }
    assert json.loads(stream.getvalue()) == {
        "file": "clip.mp4",
        "kind": "video",
        "fps": 29.97,
        "threshold": 0.7,
        "action_units": ["AU04", "AU12"],
        "frames": [
            {"frame": 1, "timestamp": 0.0, "faces": [face]},
            {"frame": 2, "timestamp": 0.04, "faces": []},
        ],
        "missing_frames": 5,
    }
    lines = stream.getvalue().splitlines()
    assert json.loads(lines[1].rstrip(","))["frame"] == 1  # a line each


def test_json_of_several_is_an_array_at_every_end(frame):
    stream = io.StringIO()
    writer = JsonWriter(stream, (1,), 0.5, several=True)
    assert json.loads(stream.getvalue() + "]") == []
    writer.begin(VIDEO)
    writer.end(None)
    writer.begin(Source("a.png"))
    writer.add(frame(0, {0: (0.5,), 1: (0.25,)}))
    writer.end(0)
    writer.close()
    video, picture = json.loads(stream.getvalue())
    assert (video["frames"], video["missing_frames"]) == ([], None)
    assert [face["present"] for face in picture["faces"]] == [["AU01"], []]
    assert (picture["kind"], "fps" in picture, "frames" in picture) == ("picture", False, False)
