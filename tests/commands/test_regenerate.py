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
import tfface.plots.sheets
from tfface.atomic import written_aside
from tfface.cli import main
from tfface.data.detection import Face
from tfface.regeneration.features import FerNet
from tfface.regeneration.networks import ExpressionRegenerator, RegenerationGenerator
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.regeneration import regeneration_servable

ROOT = Path(__file__).parents[2]

CLASSES = ("anger", "joy, or so", "fear")
GRAYS = (51, 128, 204)  # what each class's generator paints every face
HEADER = [
    *("file", "face_id", "confidence", "success", "x", "y", "width", "height"),
    *("class", "class_cnn"),
    *("anger_distance", "joy, or so_distance", "fear_distance"),
    *("anger_probability", "joy, or so_probability", "fear_probability"),
]
KNOWN = ["0.2000", "0.3000", "0.5000"]  # probabilities of every face


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


def make_network():
    keras.utils.set_random_seed(0)
    generators = []
    for name, gray in zip(CLASSES, GRAYS, strict=True):
        generator = RegenerationGenerator(name, 16, 1, (1, 1))
        draw = generator.get_layer("draw")
        draw.set_weights([0 * draw.get_weights()[0], np.log([gray / (255 - gray)])])
        generators.append(generator)
    classifier = FerNet(CLASSES, 16)
    head = classifier.get_layer("logits")
    head.set_weights([0 * head.get_weights()[0], np.log([0.2, 0.3, 0.5])])
    return ExpressionRegenerator(generators, classifier)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a `regenerator.keras` and its export."""
    folder = tmp_path_factory.mktemp("models")
    network = make_network()
    network.save(folder / "regenerator.keras")
    export_savedmodel(regeneration_servable(network), folder / "savedmodels" / "regeneration")
    return folder


@pytest.fixture
def workplace(tmp_path, monkeypatch, models, detector):
    """A folder to work in, with an exported model where `tfface regenerate` looks for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "savedmodels").symlink_to(models / "savedmodels")
    return tmp_path


def save(path, sides="left right", gray=204, mode="RGB"):
    """Writes a photo of 320x160 of one gray with a face in each half that is named."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((160, 320, 3), gray, np.uint8)
    image[:, :160] *= "left" in sides
    image[:, 160:] *= "right" in sides
    Image.fromarray(image).convert(mode).save(path)
    return str(path)


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
        ("a.jpg -o out --detector yunet", "--detector-model FILE go together"),
        ("a.jpg -o out --model absent", "--model absent: no such file or folder"),
        (
            "a.jpg -o out",
            "there is no model in savedmodels/regeneration: train one with "
            "`python training/regeneration.py --config training/configs/regeneration/quickstart",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["regenerate", *arguments.split()])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert line in one_error_line(capsys)
    assert outputs(tmp_path) == []


def test_a_photo_becomes_a_sheet_and_a_table(workplace, capsys):
    """A photo as gray as what stands for fear: that is the nearest, at hardly any distance."""
    photo = save(workplace / "in" / "anna.png")
    assert main(["regenerate", photo, "-o", "out"]) == 0
    assert outputs(workplace / "out") == ["anna_expressions.png", "expressions.csv"]
    with Image.open(workplace / "out" / "anna_expressions.png") as picture:
        assert picture.width > 4 * 180 and picture.height > 2 * 180  # two rows of four
        colors = dict((c[:3], n) for n, c in picture.convert("RGB").getcolors(2**20))
    for gray in GRAYS[:2]:
        assert colors[gray, gray, gray] > 2 * 170**2
    header, *rows = table(workplace / "out")
    assert header == HEADER
    for row, (i, x) in zip(rows, (("0", "40.0"), ("1", "200.0")), strict=True):
        assert row[:8] == [photo, i, "0.88", "1", x, "40.0", "80.0", "80.0"]
        assert row[8:10] == ["fear", "fear"] and row[13:] == KNOWN
        anger, joy, fear = map(float, row[10:13])
        assert min(anger, joy) > 10 * fear
    streams = capsys.readouterr()
    assert streams.err == ""
    first, second, third = streams.out.splitlines()
    assert first == f"{photo}: 2 faces, out/anna_expressions.png"
    distances = sorted((float(value), n) for n, value in zip(CLASSES, rows[0][10:13], strict=True))
    named = ", ".join(f"{name} {distance:.2f}" for distance, name in distances)
    assert second == f"face 0 at 40,40 80x80: {named}"
    assert third.startswith("face 1 at 200,40 80x80: fear 0.0")


def test_the_nearest_is_not_what_the_cnn_says(workplace):
    photos = [save(workplace / f"{gray}.png", "left", gray) for gray in GRAYS]
    assert main(["regenerate", *photos, "-o", "out"]) == 0
    assert [row[8:10] for row in table(workplace / "out")[1:]] == [[n, "fear"] for n in CLASSES]


def test_a_picture_in_gray_and_other_modes_work(workplace):
    photos = [save(workplace / f"{mode}.png", "left", 204, mode) for mode in ("L", "RGBA", "P")]
    assert main(["regenerate", *photos, "-o", "out"]) == 0
    assert [row[8] for row in table(workplace / "out")[1:]] == ["fear"] * 3


def test_bad_photos_are_named_and_the_others_go_on(workplace, capsys):
    (workplace / "empty.jpg").write_bytes(b"")
    (workplace / "text.png").write_text("not a picture")
    save(workplace / "nobody.png", "")
    save(workplace / "whole.png", "left")
    names = ["absent.png", "empty.jpg", "text.png", "nobody.png", "whole.png"]
    assert main(["regenerate", *names, "-o", "out"]) == 0
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert [line.split(":")[0] for line in lines] == names[:-1]
    assert lines[-1] == "nobody.png: no face found"
    assert streams.out.splitlines()[-1] == "1 of 5 photos regenerated"
    assert outputs(workplace / "out") == ["expressions.csv", "whole_expressions.png"]
    header, nobody, found = table(workplace / "out")
    assert nobody == ["nobody.png", "", "", "0", *[""] * 12] and len(nobody) == len(header)
    assert found[:4] == ["whole.png", "0", "0.88", "1"]


def test_exit_code_1_if_no_photo_worked(workplace, capsys):
    save(workplace / "nobody.png", "")
    assert main(["regenerate", "nobody.png", "-o", "out"]) == 1
    assert one_error_line(capsys) == "nobody.png: no face found"
    assert outputs(workplace / "out") == ["expressions.csv"]


def test_folders_and_names(workplace, capsys):
    save(workplace / "album" / "b.PNG", "left")
    save(workplace / "album" / "a.bmp", "left")
    save(workplace / "a.png", "left")
    assert main(["regenerate", "album", "a.png", "-o", "out"]) == 0
    assert [name for name in outputs(workplace / "out") if "_expressions" in name] == [
        "a_2_expressions.png",
        "a_expressions.png",
        "b_expressions.png",
    ]
    capsys.readouterr()
    assert main(["regenerate", "album", "-o", "album"]) == 2
    line = one_error_line(capsys)
    assert "-o album: must be another folder" in line and "would be regenerated as well" in line


def test_model_that_is_named_and_model_that_is_none(workplace, models, capsys, nearest_generator):
    photo = save(workplace / "a.png", "left")
    for name in ("regenerator.keras", "savedmodels/regeneration/1"):
        assert main(["regenerate", photo, "-o", "out", "--model", str(models / name)]) == 0
    nearest_generator.save(workplace / "generator.keras")
    capsys.readouterr()
    assert main(["regenerate", photo, "-o", "out", "--model", "generator.keras"]) == 2
    assert "must be an ExpressionRegenerator" in one_error_line(capsys)


def test_a_network_that_diverged_is_no_fault_of_the_photo(workplace, capsys):
    network = make_network()
    network.classifier.get_layer("logits").bias.assign([np.nan, 0, 0])
    network.save(workplace / "regenerator.keras")
    photo = save(workplace / "a.png", "left")
    assert main(["regenerate", photo, photo, "-o", "out", "--model", "regenerator.keras"]) == 1
    assert "`model` must give finite probabilities" in one_error_line(capsys)
    assert outputs(workplace / "out") == []


def test_output_that_cannot_be_written(workplace, capsys, monkeypatch):
    photo = save(workplace / "anna.png")
    (workplace / "file").write_text("")
    assert main(["regenerate", photo, "-o", "file/out"]) == 1
    assert "-o file/out: cannot be written (Not a directory)" in one_error_line(capsys)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tfface.plots.sheets, "expression_sheet", full)
    assert main(["regenerate", photo, photo, "-o", "out"]) == 1
    assert "out/anna_expressions.png: cannot be written (No space" in one_error_line(capsys)


def test_interrupted_the_pictures_that_are_there_have_their_rows(workplace, capsys, monkeypatch):
    draw = tfface.plots.sheets.expression_sheet

    def killed_at_b(rows, classes, path, title=None):
        if "b_" in str(path):
            with written_aside(path) as aside:
                aside.write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGTERM)
        draw(rows, classes, path, title=title)

    photos = [save(workplace / name, "left") for name in ("a.png", "b.png")]
    monkeypatch.setattr(tfface.plots.sheets, "expression_sheet", killed_at_b)
    assert main(["regenerate", *photos, "-o", "out"]) == 130
    assert one_error_line(capsys) == "tfface regenerate: interrupted"
    assert outputs(workplace / "out") == ["a_expressions.png", "expressions.csv"]
    assert [row[0] for row in table(workplace / "out")[1:]] == [photos[0]]


@pytest.mark.slow
def test_export_of_a_run(tmp_path, monkeypatch, models, capsys):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/regenerator.keras").write_bytes((models / "regenerator.keras").read_bytes())
    assert main(["export", "regeneration", "--run", "run", "--format", "savedmodel,litert"]) == 1
    streams = capsys.readouterr()
    (line,) = streams.err.splitlines()  # int8 alone needs the run's data
    assert "Received: run/config.yaml (it is not there)" in line
    assert "savedmodels/regeneration/1\n" in streams.out
    labels = tmp_path / "savedmodels" / "regeneration" / "1" / "labels.txt"
    assert labels.read_text() == "anger\njoy, or so\nfear\n"
    assert outputs(tmp_path / "run" / "litert") == sorted(
        f"regeneration_{precision}{ending}"
        for precision in ("float16", "float32", "int8_dynamic")
        for ending in (".json", ".tflite", "_labels.txt")
    )


@pytest.mark.slow
def test_as_a_user_types_it(tmp_path, models):
    from tfface.data.synthetic import photo

    (tmp_path / "savedmodels").symlink_to(models / "savedmodels")
    image, _ = photo(seed=3, faces=2)
    Image.fromarray(image).save(tmp_path / "scene.png")
    done = subprocess.run(
        [sys.executable, "-m", "tfface.cli", "regenerate", "scene.png", "-o", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("scene.png: 2 faces, out/scene_expressions.png")
    assert outputs(tmp_path / "out") == ["expressions.csv", "scene_expressions.png"]
    assert len(table(tmp_path / "out")) == 3
