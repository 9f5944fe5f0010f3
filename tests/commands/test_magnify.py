import csv
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import tfface.data.detection
import tfface.data.photos
import tfface.plots.faces
from tfface.atomic import written_aside
from tfface.cli import main
from tfface.data.detection import Face
from tfface.data.photos import PhotoError
from tfface.magnification.networks import (
    ExpressionMagnifier,
    ExpressionNet,
    MagnificationGenerator,
)
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.magnification import magnification_servable

ROOT = Path(__file__).parents[2]

# What the magnifier of these tests paints every face, and its classes; it is sure of none before.
COLOR = np.array([51, 128, 204])
CLASSES = ("anger", "joy, or so", "fear")
HEADER = [
    *("file", "face_id", "confidence", "success", "x", "y", "width", "height"),
    *("class_before", "probability_before", "class_after", "probability_after"),
    *("anger_before", "joy, or so_before", "fear_before"),
    *("anger_after", "joy, or so_after", "fear_after"),
]
KNOWN = ["0.2000", "0.5000", "0.3000"]  # probabilities of every face


class BrightFaces:
    """Stands in for a face detector: a photo has a face left, and right, where it is not black."""

    def detect(self, image):
        height, width = image.shape[:2]
        halves = (image[:, : width // 2], image[:, width // 2 :])
        faces = []
        for i, half in enumerate(halves):
            if half.any():
                center = np.array([width * (0.25 + 0.5 * i), height / 2])
                points = [(-20, -15), (20, -15), (0, 0), (-15, 20), (15, 20)]
                box = tuple(float(value) for value in (*(center - 40), 80, 80))
                faces.append(Face(box, (points + center).astype(np.float32), 0.875))
        return faces


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setattr(tfface.data.detection, "create_detector", lambda *_: BrightFaces())


def make_network(classes=CLASSES, answers=(0.2, 0.5, 0.3)):
    generator = MagnificationGenerator(16, (1, 1, 1, 1), 0, residual=False)
    draw = generator.get_layer("draw")
    odds = COLOR / (255 - COLOR)
    draw.set_weights([0 * draw.get_weights()[0], np.log(odds)])
    classifier = ExpressionNet(len(classes), 16, "fer_net", pooling="avg")
    head = classifier.get_layer("logits")
    head.set_weights([0 * head.get_weights()[0], np.log(answers)])
    return ExpressionMagnifier(generator, None, classifier, classes, 20)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a `magnifier.keras` and its export."""
    folder = tmp_path_factory.mktemp("models")
    network = make_network()
    network.save(folder / "magnifier.keras")
    export_savedmodel(magnification_servable(network), folder / "savedmodels" / "magnification")
    return folder


@pytest.fixture
def workplace(tmp_path, monkeypatch, models, detector):
    """A folder to work in, with an exported model where `tfface magnify` looks for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "savedmodels").symlink_to(models / "savedmodels")
    return tmp_path


def save(path, sides="left right", mode="RGB"):
    """Writes a photo of 320x160 with a face in each half that is named."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(0).integers(1, 256, (160, 320, 3)).astype(np.uint8)
    image[:, :160] *= "left" in sides
    image[:, 160:] *= "right" in sides
    Image.fromarray(image).convert(mode).save(path)
    return str(path)


def load(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def table(folder):
    return list(csv.reader(io.StringIO((Path(folder) / "expressions.csv").read_text())))


def outputs(folder):
    return sorted(path.name for path in folder.iterdir())


def one_error_line(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("-o out", "required: PHOTO"),
        ("a.jpg", "required: -o"),
        ("a.jpg -o out --strength 2", "unrecognized arguments: --strength"),
        ("a.jpg -o out --detector yunet", "--detector-model FILE go together"),
        ("a.jpg -o out --model absent", "--model absent: no such file or folder"),
        (
            "a.jpg -o out",
            "there is no model in savedmodels/magnification: train one with "
            "`python training/magnification.py --config training/configs/magnification/quickstart",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["magnify", *arguments.split()])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert line in one_error_line(capsys)
    assert outputs(tmp_path) == []


def test_a_photo_becomes_two_pictures_and_a_table(workplace, capsys):
    photo = save(workplace / "in" / "anna.png")
    assert main(["magnify", photo, "-o", "out"]) == 0
    assert outputs(workplace / "out") == [
        "anna_magnified.png",
        "anna_side_by_side.png",
        "expressions.csv",
    ]
    before, after = load(photo), load(workplace / "out" / "anna_magnified.png")
    assert after.shape == before.shape == (160, 320, 3)
    for x in (80, 240):  # the middle of each face
        patch = after[70:90, x - 10 : x + 10]
        np.testing.assert_array_equal(patch, np.broadcast_to(COLOR, patch.shape))
    np.testing.assert_array_equal(after[:5], before[:5])
    with Image.open(workplace / "out" / "anna_side_by_side.png") as picture:
        assert picture.width == 1300 and picture.height > 500  # two rows of faces
    header, *rows = table(workplace / "out")
    assert header == HEADER
    likeliest = ["joy, or so", "0.5000"]
    assert rows == [
        [photo, i, "0.88", "1", x, "40.0", "80.0", "80.0", *likeliest, *likeliest, *KNOWN, *KNOWN]
        for i, x in (("0", "40.0"), ("1", "200.0"))
    ]
    streams = capsys.readouterr()
    assert streams.err == ""
    assert streams.out.splitlines() == [
        f"{photo}: 2 faces, out/anna_magnified.png out/anna_side_by_side.png",
        "face 0 at 40,40 80x80: joy, or so 0.50 -> joy, or so 0.50",
        "face 1 at 200,40 80x80: joy, or so 0.50 -> joy, or so 0.50",
    ]


def test_a_class_that_changes_is_named_before_and_after(workplace, capsys):
    """A classifier that sees how blue a face is: not before, but in what is painted."""
    network = make_network(("pale", "blue"), (0.5, 0.5))
    face = keras.Input((16, 16, 3))
    blue = keras.layers.GlobalAveragePooling2D()(face)
    blue = keras.layers.Dense(2, name="logits")(blue)
    classifier = keras.Model(face, blue)
    # 20 (blue - red - 0.3): about -6 for noise, 20 (0.8 - 0.2 - 0.3) = 6 for the paint.
    classifier.get_layer("logits").set_weights(
        [np.array([[0, -20.0], [0, 0], [0, 20.0]]), np.array([0, -6.0])]
    )
    network = ExpressionMagnifier(network.generator, None, classifier, ("pale", "blue"), 20)
    network.save(workplace / "magnifier.keras")
    photo = save(workplace / "anna.png", "right")
    assert main(["magnify", photo, "-o", "out", "--model", "magnifier.keras"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "face 0 at 200,40 80x80: pale 1.00 -> blue 1.00"
    )
    row = dict(zip(*table(workplace / "out"), strict=True))
    assert (row["class_before"], row["class_after"]) == ("pale", "blue")
    assert float(row["probability_after"]) == pytest.approx(1 / (1 + np.exp(-6)), abs=0.01)
    assert float(row["blue_after"]) == float(row["probability_after"])
    assert float(row["pale_after"]) + float(row["blue_after"]) == pytest.approx(1, abs=1e-4)
    assert float(row["blue_before"]) < 0.05


def test_a_picture_in_gray_and_other_modes_work(workplace):
    photos = [save(workplace / f"{mode}.png", "left", mode) for mode in ("L", "RGBA", "P", "1")]
    assert main(["magnify", *photos, "-o", "out"]) == 0
    assert [row[3] for row in table(workplace / "out")[1:]] == ["1"] * 4
    patch = load(workplace / "out" / "L_magnified.png")[70:90, 70:90]
    np.testing.assert_array_equal(patch, np.broadcast_to(COLOR, patch.shape))


def test_bad_photos_are_named_and_the_others_go_on(workplace, capsys):
    (workplace / "empty.jpg").write_bytes(b"")
    (workplace / "text.png").write_text("not a picture")
    whole = Path(save(workplace / "whole.png", "left")).read_bytes()
    (workplace / "half.png").write_bytes(whole[: len(whole) // 2])
    save(workplace / "nobody.png", "")
    names = ["absent.png", "empty.jpg", "text.png", "half.png", "nobody.png", "whole.png"]
    assert main(["magnify", *names, "-o", "out"]) == 0
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert [line.split(":")[0] for line in lines] == names[:-1]
    assert lines[-1] == "nobody.png: no face found"
    assert streams.out.splitlines()[-1] == "1 of 6 photos magnified"
    assert outputs(workplace / "out") == [
        "expressions.csv",
        "whole_magnified.png",
        "whole_side_by_side.png",
    ]
    header, nobody, found = table(workplace / "out")
    assert nobody == ["nobody.png", "", "", "0", *[""] * 14] and len(nobody) == len(header)
    assert found[:4] == ["whole.png", "0", "0.88", "1"]


def test_exit_code_1_if_no_photo_worked(workplace, capsys):
    save(workplace / "nobody.png", "")
    assert main(["magnify", "nobody.png", "-o", "out"]) == 1
    assert one_error_line(capsys) == "nobody.png: no face found"
    assert outputs(workplace / "out") == ["expressions.csv"]
    assert main(["magnify", "absent.png", "-o", "none"]) == 1
    assert outputs(workplace / "none") == []


def test_folders_and_names(workplace, capsys):
    save(workplace / "album" / "b.PNG", "left")
    save(workplace / "album" / "a.bmp", "left")
    save(workplace / "a.png", "left")
    (workplace / "album" / "notes.txt").write_text("no picture")
    assert main(["magnify", "album", "a.png", "-o", "out"]) == 0
    assert [row[0] for row in table(workplace / "out")[1:]] == [
        "album/a.bmp",
        "album/b.PNG",
        "a.png",
    ]
    assert [name for name in outputs(workplace / "out") if "magnified" in name] == [
        "a_2_magnified.png",
        "a_magnified.png",
        "b_magnified.png",
    ]
    capsys.readouterr()
    assert main(["magnify", "album", "-o", "album"]) == 2
    line = one_error_line(capsys)
    assert "-o album: must be another folder" in line and "would be magnified as well" in line
    (workplace / "empty").mkdir()
    assert main(["magnify", "empty", "-o", "out"]) == 2
    assert "empty: a folder without pictures" in one_error_line(capsys)


def test_no_input_is_overwritten(workplace):
    photos = [save(workplace / name, "left") for name in ("x.png", "x_magnified.png")]
    before = Path(photos[1]).read_bytes()
    assert main(["magnify", *photos, "-o", "."]) == 0
    assert Path(photos[1]).read_bytes() == before
    assert (workplace / "x_2_magnified.png").exists()


def test_model_that_is_named_and_model_that_is_none(workplace, models, capsys, nearest_generator):
    photo = save(workplace / "a.png", "left")
    for name in ("magnifier.keras", "savedmodels/magnification/1", "savedmodels/magnification"):
        assert main(["magnify", photo, "-o", "out", "--model", str(models / name)]) == 0
    nearest_generator.save(workplace / "generator.keras")
    capsys.readouterr()
    assert main(["magnify", photo, "-o", "out", "--model", "generator.keras"]) == 2
    assert "must be an ExpressionMagnifier" in one_error_line(capsys)
    (workplace / "empty").mkdir()
    assert main(["magnify", photo, "-o", "out", "--model", "empty"]) == 2
    assert "SavedModel's folder" in one_error_line(capsys)


def test_a_network_that_diverged_is_no_fault_of_the_photo(workplace, capsys):
    network = make_network()
    network.classifier.get_layer("logits").bias.assign([np.nan, 0, 0])
    network.save(workplace / "magnifier.keras")
    photo = save(workplace / "a.png", "left")
    assert main(["magnify", photo, photo, "-o", "out", "--model", "magnifier.keras"]) == 1
    assert "`model` must give finite probabilities" in one_error_line(capsys)
    assert outputs(workplace / "out") == []


def test_output_that_cannot_be_written(workplace, capsys, monkeypatch):
    photo = save(workplace / "anna.png")
    (workplace / "file").write_text("")
    assert main(["magnify", photo, "-o", "file/out"]) == 1
    assert "-o file/out: cannot be written (Not a directory)" in one_error_line(capsys)

    def full(*_):
        raise PhotoError("out/anna_magnified.png: cannot be written (No space left on device).")

    def full_too(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tfface.data.photos, "write_photo", full)
    assert main(["magnify", photo, photo, "-o", "out"]) == 1
    assert "out/anna_magnified.png: cannot be written (No space" in one_error_line(capsys)
    monkeypatch.setattr(tfface.data.photos, "write_photo", lambda *_: None)
    monkeypatch.setattr(tfface.plots.faces, "change_bars", full_too)
    assert main(["magnify", photo, "-o", "out"]) == 1
    assert "out/anna_side_by_side.png: cannot be written (No space" in one_error_line(capsys)
    monkeypatch.setattr(tfface.plots.faces, "change_bars", lambda *_: None)
    (workplace / "out" / "expressions.csv").mkdir(parents=True)
    assert main(["magnify", photo, "-o", "out"]) == 1
    assert "out/expressions.csv: cannot be written" in one_error_line(capsys)


def test_interrupted_the_pictures_that_are_there_have_their_rows(workplace, capsys, monkeypatch):
    write = tfface.data.photos.write_photo

    def killed_at_b(path, image):
        if "b_" in str(path):
            with written_aside(path) as aside:
                aside.write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGTERM)
        write(path, image)

    photos = [save(workplace / name, "left") for name in ("a.png", "b.png")]
    monkeypatch.setattr(tfface.data.photos, "write_photo", killed_at_b)
    assert main(["magnify", *photos, "-o", "out"]) == 130
    assert one_error_line(capsys) == "tfface magnify: interrupted"
    assert outputs(workplace / "out") == [
        "a_magnified.png",
        "a_side_by_side.png",
        "expressions.csv",
    ]
    assert [row[0] for row in table(workplace / "out")[1:]] == [photos[0]]


@pytest.mark.slow
def test_export_of_a_run(tmp_path, monkeypatch, models, capsys):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/magnifier.keras").write_bytes((models / "magnifier.keras").read_bytes())
    assert main(["export", "magnification", "--run", "run", "--format", "savedmodel,litert"]) == 1
    streams = capsys.readouterr()
    (line,) = streams.err.splitlines()  # int8 alone needs the run's data
    assert "Received: run/config.yaml (it is not there)" in line
    assert "savedmodels/magnification/1\n" in streams.out
    labels = tmp_path / "savedmodels" / "magnification" / "1" / "labels.txt"
    assert labels.read_text() == "anger\njoy, or so\nfear\n"
    assert outputs(tmp_path / "run" / "litert") == sorted(
        f"magnification_{precision}{ending}"
        for precision in ("float16", "float32", "int8_dynamic")
        for ending in (".json", ".tflite", "_labels.txt")
    )


@pytest.mark.slow
def test_as_a_user_types_it(tmp_path, models):
    from tfface.data.synthetic import photo

    (tmp_path / "savedmodels").symlink_to(models / "savedmodels")
    image, landmarks = photo(seed=3, faces=2)
    Image.fromarray(image).save(tmp_path / "scene.png")
    done = subprocess.run(
        [sys.executable, "-m", "tfface.cli", "magnify", "scene.png", "-o", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("scene.png: 2 faces, out/scene_magnified.png")
    assert outputs(tmp_path / "out") == [
        "expressions.csv",
        "scene_magnified.png",
        "scene_side_by_side.png",
    ]
    magnified = load(tmp_path / "out" / "scene_magnified.png")
    for points in landmarks:
        x, y = np.rint(points.mean(axis=0)).astype(int)
        patch = magnified[y - 5 : y + 5, x - 5 : x + 5]
        np.testing.assert_array_equal(patch, np.broadcast_to(COLOR, patch.shape))
    assert len(table(tmp_path / "out")) == 3
