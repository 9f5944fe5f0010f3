import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

import tfface.data.detection
from tfface.cli import main
from tfface.commands.recognition.formats import CsvWriter
from tfface.data.detection import Face
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.recognition import recognition_servable

ROOT = Path(__file__).parents[2]

# What the recognizer of these tests answers, whatever face it sees.
ANSWERS = {1: 0.9, 12: 0.25, 25: 0.5}
HEADER = [
    *("frame", "face_id", "timestamp", "confidence", "success", "x", "y", "width", "height"),
    *("AU01_c", "AU12_c", "AU25_c", "AU01_p", "AU12_p", "AU25_p"),
]
KNOWN = ["1", "0", "1", "0.9000", "0.2500", "0.5000"]

LEFT, RIGHT = (8, 10), (60, 14)  # corners of the faces in these tests' pictures
SIDE = 24
FIVE = np.array([(5, 8), (18, 8), (12, 13), (7, 18), (17, 18)])  # points in a face


class BrightSquares:
    """Stands in for a face detector: a face is a bright square."""

    def __init__(self):
        self.calls = 0

    def detect(self, image):
        self.calls += 1
        bright = (image.mean(axis=-1) > 128).astype(np.uint8)
        count, _, boxes, _ = cv2.connectedComponentsWithStats(bright)
        return [
            Face(
                tuple(float(value) for value in (x, y, width, height)),
                np.add(FIVE, (x, y)).astype(np.float32),
                0.875,
            )
            for x, y, width, height, area in sorted(map(tuple, boxes[1:count]))
            if area > 300
        ]


@pytest.fixture
def detector(monkeypatch):
    stand_in = BrightSquares()
    monkeypatch.setattr(tfface.data.detection, "create_detector", lambda *_: stand_in)
    return stand_in


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a `recognizer.keras` and its export."""
    folder = tmp_path_factory.mktemp("models")
    network = ActionUnitRecognizer(list(ANSWERS), 16, "fer_net", pooling="avg")
    head = network.get_layer("logits")
    odds = np.array(list(ANSWERS.values()))
    head.set_weights([0 * head.get_weights()[0], np.log(odds / (1 - odds))])
    network.save(folder / "recognizer.keras")
    export_savedmodel(recognition_servable(network), folder / "savedmodels" / "recognition")
    return folder


@pytest.fixture
def workplace(tmp_path, monkeypatch, models, detector):
    """A folder to work in, with an exported model where `tfface recognize` looks for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "savedmodels").symlink_to(models / "savedmodels")
    return tmp_path


def picture(*corners):
    image = np.full((48, 96, 3), 30, np.uint8)
    for x, y in corners:
        image[y : y + SIDE, x : x + SIDE] = 220
    return image


def save(path, *corners):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(*corners)).save(path)
    return str(path)


def film(path, frames, fourcc="mp4v"):
    """Writes a video of 25 frames a second, each frame given by its faces' corners."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), 25.0, (96, 48))
    assert writer.isOpened()
    for corners in frames:
        writer.write(picture(*corners))
    writer.release()
    return str(path)


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def load_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def outputs(folder):
    return sorted(path.name for path in folder.iterdir())


def one_error_line(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "required: PATH"),
        ("a.jpg --plot", "--plot needs a folder for its pictures: -o DIR"),
        ("a.jpg --threshold 0", "--threshold: must be a number above 0 and below 1. Received: 0"),
        (
            "a.jpg --threshold half",
            "--threshold: must be a number above 0 and below 1. ",
        ),
        ("a.jpg --detect-every 0", "--detect-every: must be a whole number of at least 1"),
        ("a.jpg --detect-every 1.5", "--detect-every: must be a whole number of at least 1"),
        ("a.jpg --format xml", "invalid choice: 'xml'"),
        ("a.jpg --detector yunet", "--detector-model FILE go together"),
        ("a.jpg --model absent", "--model absent: no such file or folder"),
        (f"a.jpg --model {'m' * 300}", "m: no such file or folder"),
        (
            "a.jpg",
            "there is no model in savedmodels/recognition: train one with "
            "`python training/recognition.py --config training/configs/recognition/quickstart.yaml",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["recognize", *arguments.split()])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert line in one_error_line(capsys)
    assert outputs(tmp_path) == []


def test_the_config_that_the_error_names_is_there():
    from tfface.commands.recognize import TRAINING

    _, script, _, config, *_ = TRAINING.strip("`").split()
    assert (ROOT / script).is_file() and (ROOT / config).is_file()


def test_a_photo_is_a_table_on_the_terminal(workplace, capsys):
    photo = save(workplace / "two.png", LEFT, RIGHT)
    assert main(["recognize", photo]) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    assert streams.out.splitlines() == [
        f"{photo}: 2 faces",
        "face         box AU01  AU12  AU25",
        "   0  8,10 24x24 0.90* 0.25  0.50*",
        "   1 60,14 24x24 0.90* 0.25  0.50*",
    ]
    assert outputs(workplace) == ["savedmodels", "two.png"]


def test_threshold_decides_what_is_present(workplace, capsys):
    assert main(["recognize", save(workplace / "a.png", LEFT), "--threshold", "0.2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(" 0.90* 0.25* 0.50*")


def test_csv_of_a_photo(workplace, capsys):
    assert main(["recognize", save(workplace / "a.png", LEFT, RIGHT), "--format", "csv"]) == 0
    assert rows_of(capsys.readouterr().out) == [
        HEADER,
        ["1", "0", "0.000", "0.88", "1", "8.0", "10.0", "24.0", "24.0", *KNOWN],
        ["1", "1", "0.000", "0.88", "1", "60.0", "14.0", "24.0", "24.0", *KNOWN],
    ]


def test_csv_of_several_names_the_file_and_invents_nothing(workplace, capsys):
    files = [
        save(workplace / "a.png", LEFT),
        save(workplace / "nobody.png"),
        film(workplace / "clip.mp4", [[RIGHT], []]),
    ]
    assert main(["recognize", *files, "--format", "csv"]) == 0
    streams = capsys.readouterr()
    nothing = ["", "", "", ""] + [""] * 6
    header, *rows = rows_of(streams.out)
    assert header == ["file", *HEADER]
    assert [row[0] for row in rows] == [files[0], files[1], files[2], files[2]]
    assert rows[1][1:] == ["1", "", "0.000", "", "0", *nothing]
    assert rows[2][1:6] == ["1", "0", "0.000", "0.88", "1"] and rows[2][-6:] == KNOWN
    assert rows[3][1:] == ["2", "", "0.040", "", "0", *nothing]
    assert streams.err == f"{files[1]}: no face found\n"


def test_json_of_a_photo_and_of_several(workplace, capsys):
    photo, nobody = save(workplace / "a.png", LEFT), save(workplace / "nobody.png")
    assert main(["recognize", photo, "--format", "json"]) == 0
    result = load_json(capsys.readouterr().out)
    expected = {
        "file": photo,
        "kind": "picture",
        "threshold": 0.5,
        "action_units": ["AU01", "AU12", "AU25"],
        "faces": [
            {
                "face_id": 0,
                "confidence": 0.875,
                "detected": True,
                "box": {"x": 8.0, "y": 10.0, "width": 24.0, "height": 24.0},
                "probabilities": {"AU01": 0.9, "AU12": 0.25, "AU25": 0.5},
                "present": ["AU01", "AU25"],
            }
        ],
    }
    assert result == expected
    # A folder of one is answered as a folder of many.
    save(workplace / "album" / "a.png", LEFT)
    assert main(["recognize", "album", "--format", "json"]) == 0
    assert load_json(capsys.readouterr().out) == [{**expected, "file": "album/a.png"}]
    assert main(["recognize", photo, nobody, "absent.png", "--format", "json"]) == 0
    assert load_json(capsys.readouterr().out) == [
        expected,
        {**expected, "file": nobody, "faces": []},
    ]
    assert main(["recognize", "absent.png", "gone.png", "--format", "json"]) == 1
    assert load_json(capsys.readouterr().out) == []


def test_a_video_frame_by_frame(workplace, capsys):
    # Face 0 is there throughout and moves; face 1 comes and goes; the last frame is empty.
    frames = [[(8 + i, 10), RIGHT][: 1 + (3 <= i < 6)] for i in range(9)] + [[]]
    clip = film(workplace / "clip.mp4", frames)
    assert main(["recognize", clip, "--format", "csv"]) == 0
    header, *rows = rows_of(capsys.readouterr().out)
    assert header == HEADER
    seen = [(int(row[0]), row[1], float(row[2])) for row in rows]
    expected = []
    for i, faces in enumerate(frames):
        expected += [(i + 1, str(face_id), i / 25) for face_id in range(len(faces))]
        expected += [] if faces else [(i + 1, "", i / 25)]
    assert seen == expected
    moved = [float(row[5]) for row in rows if row[1] == "0"]
    np.testing.assert_allclose(moved, np.arange(8, 17), atol=1)
    assert all(row[-6:] == KNOWN for row in rows[:-1])

    assert main(["recognize", clip, "--format", "json"]) == 0
    result = load_json(capsys.readouterr().out)
    assert (result["kind"], result["fps"], result["missing_frames"]) == ("video", 25.0, 0)
    assert [frame["frame"] for frame in result["frames"]] == list(range(1, 11))
    assert [frame["timestamp"] for frame in result["frames"]] == [i / 25 for i in range(10)]
    assert [len(frame["faces"]) for frame in result["frames"]] == [len(faces) for faces in frames]
    assert result["frames"][4]["faces"][1]["present"] == ["AU01", "AU25"]

    assert main(["recognize", clip]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{clip}: 2 faces in 10 frames (0.4 s)",
        "face frames seconds         AU01 AU12 AU25",
        "   0      9     0.4 present 100%   0% 100%",
        "                       mean 0.90 0.25 0.50",
        "   1      3     0.1 present 100%   0% 100%",
        "                       mean 0.90 0.25 0.50",
    ]


def test_faces_are_followed_between_searches(workplace, detector, capsys):
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8), (0, 0), 4)
    face = np.clip(noise[60:180, 100:220].astype(int) + 120, 0, 255)  # what flow can hold on to
    writer = cv2.VideoWriter("clip.avi", cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (320, 240))
    for i in range(9):
        image = noise // 4
        image[60:180, 100 + i : 220 + i] = face
        writer.write(image)
    writer.release()
    assert main(["recognize", "clip.avi", "--format", "json", "--detect-every", "4"]) == 0
    faces = [frame["faces"] for frame in load_json(capsys.readouterr().out)["frames"]]
    assert detector.calls == 3
    assert [len(found) for found in faces] == [1] * 9
    assert [found[0]["detected"] for found in faces] == [True, *[False] * 3] * 2 + [True]
    assert [found[0]["face_id"] for found in faces] == [0] * 9


def test_results_in_a_folder(workplace, capsys):
    photo, nobody = save(workplace / "in" / "a.png", LEFT), save(workplace / "in" / "nobody.jpg")
    clip = film(workplace / "in" / "clip.mp4", [[LEFT], [LEFT, RIGHT]])
    (workplace / "in" / "notes.txt").write_text("neither picture nor video")
    assert main(["recognize", "in", "-o", "out", "--plot"]) == 0
    assert outputs(workplace / "out") == ["a.csv", "a.png", "clip.csv", "clip.png", "nobody.csv"]
    for name, lines in (("a", 1), ("clip", 3), ("nobody", 1)):
        header, *rows = rows_of((workplace / "out" / f"{name}.csv").read_text())
        assert header == HEADER and len(rows) == lines
    for name in ("a", "clip"):
        with Image.open(workplace / "out" / f"{name}.png") as plot:
            assert plot.width > 600 and plot.height > 200
            assert plot.convert("L").getextrema() == (0, 255)
    streams = capsys.readouterr()
    assert streams.err == "in/nobody.jpg: no face found\n"
    lines = streams.out.splitlines()
    assert [line for line in lines if line.startswith("in/")] == [
        "in/a.png: 1 face, out/a.csv out/a.png",
        "in/clip.mp4: 2 faces in 2 frames (0.1 s), out/clip.csv out/clip.png",
        "in/nobody.jpg: 0 faces, out/nobody.csv",
    ]
    assert lines[2].startswith("   0 8,10 24x24 0.90*") and lines[-1] == "3 of 3 files recognized"

    assert main(["recognize", photo, nobody, clip, "-o", "json", "--format", "json"]) == 0
    assert outputs(workplace / "json") == ["a.json", "clip.json", "nobody.json"]
    result = load_json((workplace / "json" / "clip.json").read_text())
    assert [len(frame["faces"]) for frame in result["frames"]] == [1, 2]
    assert capsys.readouterr().out.splitlines() == [
        f"{photo}: 1 face, json/a.json",
        f"{nobody}: 0 faces, json/nobody.json",
        f"{clip}: 2 faces in 2 frames (0.1 s), json/clip.json",
        "3 of 3 files recognized",
    ]


def test_no_input_is_overwritten_or_read_as_one_the_next_time(workplace, capsys):
    photo = save(workplace / "album" / "a.png", LEFT)
    before = Path(photo).read_bytes()
    assert main(["recognize", "album", "-o", "album", "--plot"]) == 2
    assert "-o album: must be another folder" in one_error_line(capsys)
    assert main(["recognize", "album", "-o", "album"]) == 0  # csv files are no pictures
    assert main(["recognize", photo, "-o", "album", "--plot"]) == 0
    assert Path(photo).read_bytes() == before
    assert outputs(workplace / "album") == ["a.csv", "a.png", "a_2.csv", "a_2.png"]
    (workplace / "empty").mkdir()
    capsys.readouterr()
    assert main(["recognize", "empty"]) == 2
    assert "empty: a folder without pictures and videos" in one_error_line(capsys)


def test_bad_files_are_named_and_the_others_go_on(workplace, capsys):
    (workplace / "empty.mp4").write_bytes(b"")
    (workplace / "text.mp4").write_text("no video")
    (workplace / "text.png").write_text("no picture")
    (workplace / "text").write_text("neither")
    whole = Path(save(workplace / "whole.png", LEFT)).read_bytes()
    (workplace / "half.png").write_bytes(whole[: len(whole) // 2])
    bad = ["absent.png", "absent.mp4", "empty.mp4", "text.mp4", "text.png", "text", "half.png"]
    assert main(["recognize", *bad, "whole.png", "-o", "out"]) == 0
    streams = capsys.readouterr()
    assert [line.split(":")[0] for line in streams.err.splitlines()] == bad
    assert streams.out.splitlines()[-1] == "1 of 8 files recognized"
    assert outputs(workplace / "out") == ["whole.csv"]
    assert main(["recognize", *bad]) == 1


def test_a_name_that_says_nothing_leaves_it_to_the_content(workplace, capsys):
    shutil.move(film(workplace / "clip.mp4", [[LEFT], []]), workplace / "clip")
    shutil.move(save(workplace / "a.png", LEFT), workplace / "photo")
    assert main(["recognize", "clip", "photo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "clip: 1 face in 2 frames (0.1 s)" and "photo: 1 face" in lines


def test_a_video_without_faces_is_a_result(workplace, capsys):
    clip = film(workplace / "clip.mp4", [[]] * 70)
    assert main(["recognize", clip, "-o", "out", "--plot"]) == 0
    streams = capsys.readouterr()
    assert streams.err == f"{clip}: no face found in 70 frames\n"
    assert streams.out == f"{clip}: 0 faces in 70 frames (2.8 s), out/clip.csv\n"
    _, *rows = rows_of((workplace / "out" / "clip.csv").read_text())
    assert [row[4] for row in rows] == ["0"] * 70
    assert outputs(workplace / "out") == ["clip.csv"]


def test_a_video_that_is_cut_off_is_read_as_far_as_it_goes(workplace, capsys):
    clip = Path(film(workplace / "clip.avi", [[LEFT]] * 40, "MJPG"))
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    assert main(["recognize", str(clip), "--format", "json"]) == 0
    streams = capsys.readouterr()
    result = load_json(streams.out)
    missing = result["missing_frames"]
    assert 10 < missing < 30 and len(result["frames"]) == 40 - missing
    assert streams.err == f"{clip}: {missing} of 40 frames missing: damaged or cut off\n"


def test_killed_in_a_video_leaves_nothing(workplace, detector, capsys, monkeypatch):
    clip = film(workplace / "clip.mp4", [[LEFT]] * 80)
    detect = detector.detect

    def killed(image):
        if detector.calls == 60:  # rows of the first batch are written
            (aside,) = (workplace / "out").rglob("clip.csv")
            assert aside.parent != workplace / "out"
            os.kill(os.getpid(), signal.SIGTERM)
        return detect(image)

    monkeypatch.setattr(detector, "detect", killed)
    assert main(["recognize", clip, "-o", "out"]) == 130
    assert one_error_line(capsys) == "tfface recognize: interrupted"
    assert outputs(workplace / "out") == []


def test_json_of_a_video_that_fails_in_its_middle_is_closed(
    workplace, detector, capsys, monkeypatch
):
    clip = film(workplace / "clip.mp4", [[LEFT]] * 60)
    photo = save(workplace / "a.png", LEFT)
    detect = detector.detect

    def full(image):
        if detector.calls == 50:
            detector.calls = 0
            raise MemoryError
        return detect(image)

    monkeypatch.setattr(detector, "detect", full)
    assert main(["recognize", clip, photo, "--format", "json"]) == 0
    streams = capsys.readouterr()
    video, picture = load_json(streams.out)
    assert (len(video["frames"]), video["missing_frames"]) == (32, None)
    assert len(picture["faces"]) == 1
    assert streams.err == f"{clip}: too large for this machine's memory\n"


def test_output_that_cannot_be_written(workplace, capsys, monkeypatch):
    photo = save(workplace / "a.png", LEFT)
    (workplace / "file").write_text("")
    assert main(["recognize", photo, "-o", "file/out"]) == 1
    assert "-o file/out: cannot be written (Not a directory)" in one_error_line(capsys)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CsvWriter, "add", full)
    assert main(["recognize", photo, "-o", "out"]) == 1
    assert one_error_line(capsys) == (
        "tfface recognize: error: -o out: cannot be written (No space left on device)"
    )
    assert outputs(workplace / "out") == []
    assert main(["recognize", photo, "--format", "csv"]) == 1
    assert "standard output: cannot be written" in one_error_line(capsys)


def test_model_that_is_named(workplace, models, capsys, nearest_generator):
    photo = save(workplace / "a.png", LEFT)
    for name in ("recognizer.keras", "savedmodels/recognition/1", "savedmodels/recognition"):
        assert main(["recognize", photo, "--model", str(models / name)]) == 0
        assert capsys.readouterr().out.endswith(" 0.90* 0.25  0.50*\n")
    nearest_generator.save(workplace / "generator.keras")
    assert main(["recognize", photo, "--model", "generator.keras"]) == 2
    assert "must be an ActionUnitRecognizer" in one_error_line(capsys)


def test_a_network_that_diverged_is_no_fault_of_the_photo(workplace, models, capsys):
    network = keras.saving.load_model(models / "recognizer.keras")
    network.get_layer("logits").bias.assign([np.nan, 0, 0])
    network.save(workplace / "recognizer.keras")
    photo = save(workplace / "a.png", LEFT)
    assert main(["recognize", photo, photo, "--model", "recognizer.keras"]) == 1
    assert "`model` must give finite probabilities" in one_error_line(capsys)


def test_a_file_name_that_is_not_utf8(workplace, capsys):
    name = os.fsdecode(b"anna\xff.png")
    shutil.move(save(workplace / "a.png", LEFT), workplace / name)
    assert main(["recognize", name, name, "--format", "csv"]) == 0
    _, row, _ = rows_of(capsys.readouterr().out)
    assert row[0] == r"anna\udcff.png"
    assert main(["recognize", name, "-o", "out", "--plot"]) == 0
    assert r"anna\udcff.png: 1 face" in capsys.readouterr().out
    assert len(outputs(workplace / "out")) == 2


def test_memory_does_not_grow_with_the_video(workplace, detector, capsys, monkeypatch):
    clip = film(workplace / "clip.mp4", ([(8 + i % 40, 10)] for i in range(1500)))
    detect, resident = detector.detect, {}

    def measured(image):
        if detector.calls in (300, 1499):
            pages = Path("/proc/self/statm").read_text().split()[1]
            resident[detector.calls] = int(pages) * os.sysconf("SC_PAGE_SIZE")
        return detect(image)

    monkeypatch.setattr(detector, "detect", measured)
    assert main(["recognize", clip, "-o", "out", "--plot"]) == 0
    assert len(rows_of((workplace / "out" / "clip.csv").read_text())) == 1501
    assert resident[1499] - resident[300] < 8e6  # 1200 faces of 200 pixels are 144e6 bytes


@pytest.mark.slow
def test_as_a_user_types_it(tmp_path, models):
    from tfface.data.synthetic import photo

    def typed(command):
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable},
        )

    image, landmarks = photo(seed=3, faces=2)
    Image.fromarray(image).save(tmp_path / "scene.png")
    (tmp_path / "savedmodels").symlink_to(models / "savedmodels")
    done = typed("$PYTHON -m tfface.cli recognize scene.png --format csv")
    assert (done.returncode, done.stderr) == (0, "")
    _, *rows = rows_of(done.stdout)
    assert len(rows) == 2 and all(row[-6:] == KNOWN for row in rows)
    middles = {tuple(np.rint(points.mean(axis=0))) for points in landmarks}
    for row in rows:
        x, y, width, height = map(float, row[5:9])
        within = {m for m in middles if x < m[0] < x + width and y < m[1] < y + height}
        assert len(within) == 1
        middles -= within

    film(tmp_path / "clip.mp4", [[]] * 400)
    done = typed("$PYTHON -m tfface.cli recognize clip.mp4 --format csv --detector mtcnn | head -1")
    assert rows_of(done.stdout) == [HEADER]
    assert (done.returncode, done.stderr) == (141, "")
