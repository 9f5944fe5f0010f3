import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import tfface.commands.edit
import tfface.data.detection
from tfface.cli import main
from tfface.commands.edit import _steps
from tfface.data.detection import Face
from tfface.serving.predictors.synthesis import SynthesisPredictor
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.synthesis import synthesis_servable
from tfface.synthesis.networks import LACGenerator

ROOT = Path(__file__).parents[2]
AUS = (2, 4, 6, 12, 23)


class BrightFaces:
    """Stands in for a face detector: a photo that is not black has one face in its middle."""

    def detect(self, image):
        if not image.any():
            return []
        center = np.array([image.shape[1], image.shape[0]]) / 2
        points = [(-20, -15), (20, -15), (0, 0), (-15, 20), (15, 20)]
        return [Face((*(center - 40), 80.0, 80.0), (points + center).astype(np.float32), 0.9)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a `generator.keras` and its export."""
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    network = LACGenerator(AUS, 24, (2, 3, 3, 4, 4), latent_size=4)
    network.save(folder / "generator.keras")
    export_savedmodel(synthesis_servable(network), folder / "savedmodels" / "synthesis")
    return folder


@pytest.fixture(scope="module")
def predictor(models):
    return SynthesisPredictor(models / "generator.keras", BrightFaces())


@pytest.fixture
def exported(tmp_path, monkeypatch, models):
    """A folder to work in, with an exported model where `tfface edit` looks for it."""
    monkeypatch.setattr(tfface.data.detection, "create_detector", lambda *_: BrightFaces())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "savedmodels").symlink_to(models / "savedmodels")
    return tmp_path


@pytest.fixture
def workplace(exported, monkeypatch, predictor):
    """The same, the model being loaded once for all tests."""
    monkeypatch.setattr(tfface.commands.edit, "load_predictor", lambda *_: predictor)
    return exported


def save(path, value=90, size=(160, 140)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 100, (size[1], size[0], 3))
    Image.fromarray((noise * (value > 0) + value).astype(np.uint8)).save(path)
    return str(path)


def load(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def outputs(folder):
    return sorted(path.name for path in folder.iterdir())


def edit(*arguments):
    try:
        return main(["edit", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code


def one_error_line(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("-o out --au 12=1", "required: PHOTO"),
        ("a.jpg --au 12=1", "required: -o"),
        ("a.jpg -o out", "name what to switch: --au N=VALUE or --expression NAME"),
        ("a.jpg -o out --au 12", "must be an action unit and a value or range, as 12=1"),
        ("a.jpg -o out --au 12=-1", "must be an action unit and a value"),
        ("a.jpg -o out --au 12=nan", "must be an action unit and a value"),
        ("a.jpg -o out --au 12=1.01", "values must be from 0 to 1; received: '12=1.01'"),
        ("a.jpg -o out --au 12=0..2", "values must be from 0 to 1; received: '12=0..2'"),
        ("a.jpg -o out --au 12=1 --au 12=0", "--au: AU 12 cannot be both 1 and 0"),
        ("a.jpg -o out --au 12=0..1 --au AU12=0", "--au: AU 12 cannot be both 0..1 and 0"),
        ("a.jpg -o out --expression joy", "invalid choice: 'joy'"),
        ("a.jpg -o out --au 12=0..1 --frames 1", "must be a number from 2 to 100"),
        ("a.jpg -o out --au 12=1 --detector yunet", "--detector-model FILE go together"),
        ("a.jpg -o out --au 12=1 --model absent", "--model absent: no such file or folder"),
        (
            "a.jpg -o out --au 12=1",
            "there is no model in savedmodels/synthesis: train one with "
            "`python training/synthesis.py --config training/configs/synthesis/quickstart",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert edit(*arguments.split()) == 2
    assert line in one_error_line(capsys)
    assert outputs(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--au 10=1 --au 12=1", "--au: the model knows the AUs 2, 4, 6, 12, 23; received: 10"),
        ("--expression sadness --au 4=0", "--au 4=0 and --expression sadness, which needs AU 4"),
        ("--expression neutral --au 4=1", "--au 4=1 and --expression neutral, which needs AU 4 at"),
    ],
)
def test_what_the_model_cannot_is_exit_code_2(workplace, capsys, arguments, line):
    photo = save(workplace / "in" / "a.png")
    assert edit(photo, "-o", "out", *arguments.split()) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]
    assert outputs(workplace / "out") == []


def test_an_expression_of_which_the_model_knows_nothing(workplace, capsys, monkeypatch):
    class Brows:
        action_units = (1, 2)

    monkeypatch.setattr(tfface.commands.edit, "load_predictor", lambda *_: Brows())
    photo = save(workplace / "in" / "a.png")
    assert edit(photo, "-o", "out", "--expression", "happiness") == 2
    assert "is made of the AUs 6, 12, of which the model knows none" in one_error_line(capsys)


def test_a_photo_becomes_two_pictures(exported, capsys):
    workplace = exported
    photo = save(workplace / "in" / "anna.png")
    assert edit(photo, "--au", "12=1", "--au", "4=0.5", "-o", "out") == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{photo}: 1 face, out/anna_edited.png out/anna_side_by_side.png"]
    assert outputs(workplace / "out") == ["anna_edited.png", "anna_side_by_side.png"]
    before, after = load(photo), load(workplace / "out" / "anna_edited.png")
    changed = (before != after).any(-1)
    # The face's crop is of 40 / 0.33 = 121 pixels: the brows, above, and the mouth, below.
    assert changed[35:65, 50:110].any() and changed[75:105, 50:110].any()
    assert 0.02 < changed.mean() < 0.3
    assert not changed[:15].any() and not changed[-15:].any()
    # Three faces in a row.
    height, width, _ = load(workplace / "out" / "anna_side_by_side.png").shape
    assert height >= 200 and width >= 600


def test_an_expression_is_its_units(workplace, capsys):
    photo = save(workplace / "in" / "a.png")
    assert edit(photo, "--expression", "happiness", "-o", "out") == 0
    assert edit(photo, "--au", "6=1", "--au", "12=1", "-o", "same") == 0
    np.testing.assert_array_equal(
        load(workplace / "out" / "a_edited.png"), load(workplace / "same" / "a_edited.png")
    )
    capsys.readouterr()
    assert edit(photo, "--expression", "anger", "-o", "out2") == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == ["--expression anger: the model does not know AU 5, 7 of it"]


def test_a_range_becomes_an_animation_and_a_strip(workplace, capsys):
    photo = save(workplace / "in" / "a.png")
    assert edit(photo, "--au", "12=0..1", "--frames", "4", "-o", "out") == 0
    assert outputs(workplace / "out") == ["a_edited.gif", "a_strip.png"]
    with Image.open(workplace / "out" / "a_edited.gif") as image:
        assert (image.n_frames, image.size) == (6, (160, 140))  # 4 there, 2 back
        assert image.info["loop"] == 0
        frames = []
        for i in range(6):
            image.seek(i)
            frames.append(np.array(image.convert("RGB")).astype(int))
    assert [np.array_equal(frames[i], frames[-i]) for i in (1, 2)] == [True, True]
    moved = np.abs(frames[3] - frames[0]).sum(-1) > 0
    assert 0 < moved.mean() < 0.15 and not moved[:60].any()  # the mouth
    height, width, _ = load(workplace / "out" / "a_strip.png").shape
    assert height >= 192 and width >= 5 * 192


def test_the_steps_of_a_range():
    assert _steps({12: (0.0, 1.0), 4: (1.0, 0.5)}, 3) == [
        {12: 0.0, 4: 1.0},
        {12: 0.5, 4: 0.75},
        {12: 1.0, 4: 0.5},
    ]
    assert _steps({12: (0.5, 0.5)}, 9) == [{12: 0.5}]


def test_a_batch_goes_on_without_its_bad_photos(workplace, capsys):
    save(workplace / "in" / "a.png")
    save(workplace / "in" / "dark.png", value=0)
    (workplace / "in" / "torn.png").write_bytes(b"\x89PNG\r\n")
    assert edit("in", "-o", "out", "--au", "12=1") == 0
    said = capsys.readouterr()
    assert "1 of 3 photos edited" in said.out
    assert "in/dark.png: no face found" in said.err and "in/torn.png: must be a picture" in said.err
    assert outputs(workplace / "out") == ["a_edited.png", "a_side_by_side.png"]
    assert edit("in/dark.png", "-o", "out", "--au", "12=0..1") == 1


def test_a_large_photo_is_animated_small(workplace):
    photo = save(workplace / "in" / "large.png", size=(1000, 500))
    assert edit(photo, "--au", "12=0..1", "--frames", "2", "-o", "out") == 0
    with Image.open(workplace / "out" / "large_edited.gif") as image:
        assert image.size == (800, 400)


@pytest.mark.slow
def test_an_interrupted_edit_leaves_no_half_picture(models, tmp_path):
    for i in range(30):
        save(tmp_path / "in" / f"{i}.png", size=(600, 600))
    command = [sys.executable, "-m", "tfface.cli", "edit", "in", "-o", "out", "--au", "12=1"]
    process = subprocess.Popen(
        [*command, "--model", models / "generator.keras"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "no face found" in process.stderr.readline()  # noise, by the true detector
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 130
    assert complaints.splitlines()[-1] == "tfface edit: interrupted"
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
