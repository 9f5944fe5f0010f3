"""`image_folder` from pictures to records, through `prepare`; a stub stands in for the detector."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfface.atomic import alone_in
from tfface.data.datasets import base, faces
from tfface.data.datasets.prepare import prepare
from tfface.data.datasets.request import RequestError
from tfface.data.datasets.workplace import replacing, sole_maker
from tfface.data.detection import Face

SIZE = 200

ROOT = Path(__file__).parents[3]

# Where the three anchors of a face of 100 pixels lie in every picture of these tests.
EYES_AND_MOUTH = np.array([[0.335, 0.40], [0.665, 0.40], [0.5, 0.745]]) * 100 - 0.5


def landmarks():
    """68 points whose anchors are EYES_AND_MOUTH; the others count up from 1."""
    points = np.arange(1.0, 137.0).reshape(68, 2) / 2
    points[36:42], points[42:48] = EYES_AND_MOUTH[0], EYES_AND_MOUTH[1]
    points[48] = EYES_AND_MOUTH[2] - (18, 0)
    points[54] = EYES_AND_MOUTH[2] + (18, 0)
    return points


class StubDetector:
    """Finds a face in every picture whose first pixel is not black."""

    def detect(self, image):
        if not image[0, 0].any():
            return []
        corners = EYES_AND_MOUTH[2] + [[-18, 0], [18, 0]]
        points = np.concatenate([EYES_AND_MOUTH[:2], [[50, 55]], corners]).astype(np.float32)
        return [Face((0.0, 0.0, 100.0, 100.0), points, 0.99)]


@pytest.fixture
def stub_detector(monkeypatch):
    monkeypatch.setattr(base, "create_detector", lambda name, model: StubDetector())


def write_folder(folder, rows):
    folder.mkdir(exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)


def write_picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((100, 100, 3), value, np.uint8)).save(path)


def landmark_cells():
    return {f"{axis}_{i}": landmarks()[i, k] for i in range(68) for k, axis in enumerate("xy")}


def records(directory, split):
    builder = tfds.builder_from_directory(directory)
    found = tfds.as_numpy(builder.as_dataset(split=split))
    return sorted(found, key=lambda record: record["frame"])


def test_labels_and_landmarks_arrive_in_the_records(tmp_path):
    rows = []
    for number in range(3):
        write_picture(tmp_path / "in" / f"{number}.png", 50 * number + 40)
        rows.append(
            {
                "path": f"{number}.png",
                "subject": "Ann" if number < 2 else "Bob",
                "sequence": "T1",
                "frame": 10 + number,
                "phase": number / 2,
                "expression": ["fear", "", "anger"][number],
                "AU12_c": [1, "", 0][number],
                "AU04_r": [3.5, 0, ""][number],
                **landmark_cells(),
            }
        )
    write_folder(tmp_path / "in", rows)
    report = prepare("image_folder", tmp_path / "in", tmp_path / "out", "tiny")

    assert report["directory"] == str(tmp_path / "out/image_folder/tiny/1.0.0")
    metadata = tfds.builder_from_directory(report["directory"]).info.metadata
    assert metadata["action_units"] == [4, 12]
    assert metadata["expressions"] == ["anger", "fear"]
    assert metadata["subjects"] == {"subject_Ann": ["Ann"], "subject_Bob": ["Bob"]}

    first, second = records(report["directory"], "subject_Ann")
    assert first["subject"] == b"Ann"
    assert first["sequence"] == b"T1"
    assert (first["frame"], second["frame"]) == (10, 11)
    assert (first["expression"], second["expression"]) == (1, -1)
    assert (first["phase"], second["phase"]) == (0, 0.5)
    np.testing.assert_array_equal(first["au"], [np.nan, 1])
    np.testing.assert_array_equal(first["au_intensity"], [3.5, np.nan])
    np.testing.assert_array_equal(second["au_intensity"], [0, np.nan])
    np.testing.assert_array_equal(first["image"], np.full((SIZE, SIZE, 3), 40))
    # The face of 100 pixels became one of 200: x -> 2 (x + 0.5) - 0.5.
    np.testing.assert_allclose(first["landmarks"], 2 * landmarks() + 0.5, atol=1e-3)
    (third,) = records(report["directory"], "subject_Bob")
    np.testing.assert_array_equal(third["au"], [np.nan, 0])


def test_frames_that_give_no_face_are_named_and_the_others_go_on(tmp_path, stub_detector):
    folder = tmp_path / "in"
    write_picture(folder / "good.png", 100)
    write_picture(folder / "sub/good.png", 130)
    write_picture(folder / "dark.png", 0)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (folder / "empty.jpg").touch()
    write_picture(folder / "off.png", 90)
    outside = {name: float(value) + 500 for name, value in landmark_cells().items()}
    zeros = dict.fromkeys(landmark_cells(), 0)  # OpenFace where it lost the face
    rows = [
        {"path": "good.png", "subject": "A", "AU01_c": 1, "expression": "fear", **zeros},
        {"path": "sub/good.png", "subject": "B", "AU01_c": "", "expression": ""},
        {"path": "dark.png", "subject": "C", "AU01_c": 1, "expression": "joy"},
        {"path": "broken.jpg", "subject": "A", "AU01_c": 0, "expression": "joy"},
        {"path": "empty.jpg", "subject": "A", "AU01_c": 0, "expression": "joy"},
        {"path": "off.png", "subject": "A", "AU01_c": 0, "expression": "joy", **outside},
    ]
    write_folder(folder, rows)
    report = prepare("image_folder", folder, tmp_path / "out", "mixed")

    assert (report["frames"], report["kept"]) == (6, 2)
    assert report["without_face"] == ["dark.png"]
    reasons = {entry["frame"]: entry["reason"] for entry in report["unreadable"]}
    assert list(reasons) == ["broken.jpg", "empty.jpg", "off.png"]
    assert "cannot be read as a picture" in reasons["broken.jpg"]
    assert "empty file (0 bytes)" in reasons["empty.jpg"]
    assert "landmarks must lie on the picture (100 x 100)" in reasons["off.png"]
    assert report["action_units"] == {"1": {"present": 1, "absent": 0, "unknown": 1}}
    assert report["expressions"] == {"fear": 1, "joy": 0, "not labeled": 1}
    assert report["detector"] == "mtcnn"
    on_disk = json.loads((Path(report["directory"]) / "report.json").read_text())
    assert on_disk == {key: value for key, value in report.items() if key != "directory"}

    # C has no picture left and so no split; the detector's faces have no 68 landmarks.
    metadata = tfds.builder_from_directory(report["directory"]).info.metadata
    assert metadata["subjects"] == {"subject_A": ["A"], "subject_B": ["B"]}
    (kept,) = records(report["directory"], "subject_A")
    assert np.isnan(kept["landmarks"]).all()
    np.testing.assert_array_equal(kept["image"], np.full((SIZE, SIZE, 3), 100))


def test_own_splits_are_kept(tmp_path, stub_detector):
    rows = []
    for number, split in enumerate(["train", "train", "test", "validation"]):
        write_picture(tmp_path / "in" / f"{number}.png", 100)
        rows.append({"path": f"{number}.png", "subject": f"S{number}", "split": split})
    write_folder(tmp_path / "in", rows)
    report = prepare("image_folder", tmp_path / "in", tmp_path / "out")
    assert report["directory"] == str(tmp_path / "out/image_folder/in/1.0.0")
    builder = tfds.builder_from_directory(report["directory"])
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": 2,
        "test": 1,
        "validation": 1,
    }
    assert builder.info.metadata["subjects"]["train"] == ["S0", "S1"]
    (record, _) = records(report["directory"], "train")
    assert record["au"].shape == (0,)


def test_two_people_in_one_photo(tmp_path):
    write_picture(tmp_path / "in" / "pair.png", 100)
    rows = [{"path": "pair.png", "subject": name, **landmark_cells()} for name in ("A", "B")]
    write_folder(tmp_path / "in", rows)
    assert prepare("image_folder", tmp_path / "in", tmp_path / "out")["kept"] == 2


def test_a_bad_list_stops_before_any_picture_is_opened(tmp_path, monkeypatch):
    write_picture(tmp_path / "in" / "a.png", 100)
    write_folder(tmp_path / "in", [{"path": "a.png", "subject": "A", "AU01_c": 3}])
    monkeypatch.setattr(base, "cut_frames", lambda *a, **k: pytest.fail("pictures were opened"))
    with pytest.raises(ValueError, match=r"labels\.csv: line 2, column AU01_c: must be 1, 0"):
        prepare("image_folder", tmp_path / "in", tmp_path / "out")
    assert list((tmp_path / "out").rglob("1.0.0")) == []


def test_no_face_at_all_leaves_nothing(tmp_path, stub_detector):
    write_picture(tmp_path / "in" / "a.png", 0)
    write_folder(tmp_path / "in", [{"path": "a.png", "subject": "A"}])
    with pytest.raises(ValueError, match="must hold at least one picture with a face"):
        prepare("image_folder", tmp_path / "in", tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]
    prepare_another = tmp_path / "out" / "image_folder" / "other"
    prepare_another.mkdir(parents=True)
    with pytest.raises(ValueError, match="must hold at least one picture with a face"):
        prepare("image_folder", tmp_path / "in", tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["image_folder"]
    assert "other" in os.listdir(tmp_path / "out" / "image_folder")


def test_prepared_sets_are_reused_unless_they_differ(tmp_path, stub_detector, capsys):
    for name in ("one", "two"):
        write_picture(tmp_path / name / "a.png", 100)
        write_folder(tmp_path / name, [{"path": "a.png", "subject": "A"}])
    first = prepare("image_folder", tmp_path / "one", tmp_path / "out", "n")
    capsys.readouterr()
    assert prepare("image_folder", tmp_path / "one", tmp_path / "out", "n") == first
    assert "prepared already" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"prepared already, from .*one; give another name"):
        prepare("image_folder", tmp_path / "two", tmp_path / "out", "n")

    write_folder(tmp_path / "one", [{"path": "a.png", "subject": "B"}])
    with pytest.raises(ValueError, match="labels in .*one have changed since"):
        prepare("image_folder", tmp_path / "one", tmp_path / "out", "n")
    prepare("image_folder", tmp_path / "one", tmp_path / "out", "n", overwrite=True)
    (record,) = records(tmp_path / "out/image_folder/n/1.0.0", "subject_B")
    assert record["subject"] == b"B"

    write_folder(tmp_path / "one", [{"path": "gone.png", "subject": "B"}])
    with pytest.raises(ValueError, match=r"gone\.png"):
        prepare("image_folder", tmp_path / "one", tmp_path / "out", "n", overwrite=True)
    assert len(records(tmp_path / "out/image_folder/n/1.0.0", "subject_B")) == 1
    assert os.listdir(tmp_path / "out/image_folder/n") == ["1.0.0"]


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"`name` must be one of .*image_folder.*'mnist'"):
        prepare("mnist")
    with pytest.raises(ValueError, match="`manual_dir` must name the folder of 'image_folder'"):
        prepare("image_folder")
    with pytest.raises(RequestError, match="nowhere, which is not there"):
        prepare("image_folder", tmp_path / "nowhere")
    with pytest.raises(RequestError, match=r"must hold 'image_folder' .*, which is empty"):
        prepare("image_folder", tmp_path)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(RequestError, match="a file"):
        prepare("image_folder", tmp_path / "model.onnx")
    with pytest.raises(RequestError, match="config name must consist of letters"):
        prepare("image_folder", tmp_path, tmp_path, "a/b")
    with pytest.raises(RequestError, match=r"`model_path` must name YuNet's \.onnx file"):
        prepare("image_folder", tmp_path, tmp_path, "n", detector="yunet")
    with pytest.raises(ValueError, match=r"model\.onnx, which OpenCV cannot read"):
        prepare(
            *("image_folder", tmp_path, tmp_path, "n"),
            detector="yunet",
            detector_model=tmp_path / "model.onnx",
        )


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, stub_detector, monkeypatch):
    write_picture(tmp_path / "in" / "a.png", 100)
    write_folder(tmp_path / "in", [{"path": "a.png", "subject": "A"}])

    def full(store, index):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(faces.FaceStore, "record", full)
    with pytest.raises(OSError, match=r"^image_folder/n: cannot be written to .*out.*No space"):
        prepare("image_folder", tmp_path / "in", tmp_path / "out", "n")
    assert os.listdir(tmp_path) == ["in"]


def test_a_data_folder_that_cannot_be_made(tmp_path, stub_detector):
    write_picture(tmp_path / "in" / "a.png", 100)
    write_folder(tmp_path / "in", [{"path": "a.png", "subject": "A"}])
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"^image_folder/n: cannot be written to .*file/image_folder"):
        prepare("image_folder", tmp_path / "in", tmp_path / "file", "n")


KILLED = """
import os, signal, sys
from tfface.data.datasets import faces
from tfface.data.datasets.prepare import prepare

add = faces.FaceStore.record
def record(store, index):
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(store, index)
faces.FaceStore.record = record
prepare("image_folder", sys.argv[1], sys.argv[2], "n")
"""


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_that_looks_finished(tmp_path):
    rows = []
    for number in range(5):
        write_picture(tmp_path / "in" / f"{number}.png", 100)
        rows.append({"path": f"{number}.png", "subject": f"S{number}", **landmark_cells()})
    write_folder(tmp_path / "in", rows)
    command = [sys.executable, "-c", KILLED, tmp_path / "in", tmp_path / "out"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    folders = os.listdir(tmp_path / "out/image_folder/n")
    assert folders
    assert all(name.startswith("incomplete.") for name in folders)
    report = prepare("image_folder", tmp_path / "in", tmp_path / "out", "n")
    assert report["kept"] == 5
    assert os.listdir(tmp_path / "out/image_folder/n") == ["1.0.0"]


def test_a_set_that_a_killed_build_was_replacing_is_put_back(tmp_path, stub_detector):
    write_picture(tmp_path / "in" / "a.png", 100)
    write_folder(tmp_path / "in", [{"path": "a.png", "subject": "A"}])
    prepare("image_folder", tmp_path / "in", tmp_path / "out", "n")
    folder = tmp_path / "out/image_folder/n"

    class Killed(BaseException):
        """Ends a process as a signal does, without a word of its own."""

    with pytest.raises(Killed), replacing(folder / "1.0.0"):
        (left,) = folder.iterdir()
        shutil.copytree(left, tmp_path / "left" / left.name)
        raise Killed
    assert os.listdir(folder) == ["1.0.0"]
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "left", folder)  # as the kill left it
    (folder / "incomplete.ABC_1.0.0").mkdir()
    with sole_maker(folder / "1.0.0", when_busy=None):
        assert os.listdir(folder) == ["1.0.0"]
    assert len(records(folder / "1.0.0", "subject_A")) == 1


@pytest.mark.slow
def test_two_builds_at_once(tmp_path):
    write_picture(tmp_path / "in" / "a.png", 100)
    write_folder(tmp_path / "in", [{"path": "a.png", "subject": "A", **landmark_cells()}])
    program = (
        "import sys\n"
        "from tfface.data.datasets.prepare import prepare\n"
        "prepare('image_folder', sys.argv[1], sys.argv[2], 'n')\n"
    )
    command = [sys.executable, "-c", program, tmp_path / "in", tmp_path / "out"]
    with alone_in(tmp_path / "out/image_folder/n"):
        builds = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in "ab"
        ]
        for build in builds:  # both have come to the point where one must wait
            assert build.stdout.readline() == "image_folder/n: preparing\n"
            assert "waiting for another process" in build.stdout.readline()
    answers = [build.communicate()[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    assert all("1 pictures read, 1 faces kept" in answer for answer in answers)
    assert os.listdir(tmp_path / "out/image_folder/n") == ["1.0.0"]
