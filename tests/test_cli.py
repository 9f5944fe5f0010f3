import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfface.data.detection
import tfface.data.photos
import tfface.plots.images
from tfface.atomic import written_aside
from tfface.cli import main
from tfface.data.detection import Face
from tfface.data.photos import PhotoError
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.restoration import restoration_servable

ROOT = Path(__file__).parents[1]
VERBS = ("restore", "recognize", "magnify", "regenerate", "edit", "prepare", "export")


class BrightFaces:
    """Stands in for a face detector: a photo that is not black has one face in its middle."""

    def detect(self, image):
        if not image.any():
            return []
        center = np.array([image.shape[1], image.shape[0]]) / 2
        points = [(-20, -15), (20, -15), (0, 0), (-15, 20), (15, 20)]
        return [Face((*(center - 40), 80.0, 80.0), (points + center).astype(np.float32), 0.9)]


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setattr(tfface.data.detection, "create_detector", lambda *_: BrightFaces())


@pytest.fixture
def workplace(tmp_path, monkeypatch, nearest_generator, detector):
    """A folder to work in, with an exported model where `tfface restore` looks for it."""
    monkeypatch.chdir(tmp_path)
    export_savedmodel(
        restoration_servable(nearest_generator), tmp_path / "savedmodels" / "restoration"
    )
    return tmp_path


def save(path, value=90, size=(160, 140)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 100, (size[1], size[0], 3))
    Image.fromarray((noise * (value > 0) + value).astype(np.uint8)).save(path)
    return str(path)


def load(path):
    with Image.open(path) as image:
        return np.array(image)


def outputs(folder):
    return sorted(path.name for path in folder.iterdir())


def one_error_line(capsys):
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert len(lines) == 1, streams.err
    return lines[0]


def run_command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "tfface.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


def test_help_teaches_without_loading_tensorflow():
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('tensorflow' in sys.modules, 'keras' in sys.modules))\n"
        "from tfface.cli import main\n"
        "main(['--help'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert answer.endswith("False False\n")
    for verb in VERBS:
        assert f"\n    {verb} " in answer
    assert "tfface restore portrait.jpg -o restored" in answer
    assert "Exit codes: 0 done" in answer


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    answer = capsys.readouterr().out
    assert f"tfface {verb}" in answer and "examples:" in answer


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "tfface: error: the following arguments are required: VERB"),
        ("sharpen a.jpg", "invalid choice: 'sharpen'"),
        ("restore -o out", "required: PHOTO"),
        ("restore a.jpg", "required: -o"),
        ("restore a.jpg -o out --frobnicate", "unrecognized arguments: --frobnicate"),
        ("restore a.jpg -o out --detector hog", "invalid choice: 'hog'"),
        ("restore a.jpg -o out --detector yunet", "--detector-model FILE go together"),
        ("restore a.jpg -o out --detector-model a.onnx", "--detector-model FILE go together"),
        (
            "restore a.jpg -o out --detector yunet --detector-model a.onnx",
            "--detector-model a.onnx: no such file",
        ),
        ("restore a.jpg -o out --model absent", "--model absent: no such file or folder"),
        ("restore a.jpg -o out", "there is no model in savedmodels/restoration: train one"),
        ("prepare imagenet", "invalid choice: 'imagenet'"),
        ("prepare image_folder --manual_dir absent", "--manual_dir absent: no such folder"),
        ("export restoration", "required: --run"),
        ("export sharpening --run .", "invalid choice: 'sharpening'"),
        ("export restoration --run .", "--run .: must be a training run with a generator.keras"),
        ("export recognition --run .", "--run .: must be a training run with a recognizer.keras"),
        ("export magnification --run .", "--run .: must be a training run with a magnifier.keras"),
        ("export regeneration --run .", "--run .: must be a training run with a regenerator.keras"),
        ("export restoration --run . --format onnx", "must be of savedmodel, litert"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments.split())
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert line in one_error_line(capsys)
    assert outputs(tmp_path) == []


def test_restore_writes_the_photo_and_a_side_by_side(workplace, capsys):
    photo = save(workplace / "in" / "anna.png")
    assert main(["restore", photo, "-o", "out"]) == 0
    assert outputs(workplace / "out") == ["anna_restored.png", "anna_side_by_side.png"]
    restored = load(workplace / "out" / "anna_restored.png")
    before = load(photo)
    assert restored.shape == before.shape
    np.testing.assert_array_equal(restored[:, :10], before[:, :10])  # beside the face
    assert (restored[60:80, 70:90] != before[60:80, 70:90]).any()
    side_by_side = load(workplace / "out" / "anna_side_by_side.png")[..., :3]
    height, width = side_by_side.shape[:2]
    assert height > 256 and width > 3 * 256  # a title, and one row of three faces
    before, low, after = (side_by_side[-250:-10, x : x + 240] for x in (10, 271, 532))
    assert (before != low).any()
    np.testing.assert_array_equal(low, after)  # this generator enlarges pixels, as the sheet does
    streams = capsys.readouterr()
    assert streams.err == ""
    assert streams.out == (f"{photo}: 1 face, out/anna_restored.png out/anna_side_by_side.png\n")


def test_same_stems_do_not_overwrite_each_other(workplace):
    photos = [
        save(workplace / "a" / "anna.png", 20),
        save(workplace / "b" / "anna.png", 60),
        save(workplace / "b" / "anna.jpg", 100),
        save(workplace / "b" / "anna_2.png", 140),
    ]
    assert main(["restore", *photos, "-o", "out"]) == 0
    corners = {
        path.name: round(load(path)[:10].mean(), -1)
        for path in (workplace / "out").glob("*_restored.png")
    }
    assert corners == {  # noise of 0 to 99 over each photo's own value
        "anna_restored.png": 70,
        "anna_2_restored.png": 110,
        "anna_3_restored.png": 150,
        "anna_2_2_restored.png": 190,
    }


def test_a_photo_is_never_overwritten(workplace):
    photos = [save(workplace / "x.png", 20), save(workplace / "x_restored.png", 100)]
    before = Path(photos[1]).read_bytes()
    assert main(["restore", *photos, "-o", str(workplace)]) == 0
    assert Path(photos[1]).read_bytes() == before
    assert (workplace / "x_2_restored.png").exists()
    assert (workplace / "x_restored_restored.png").exists()


def test_bad_photos_are_named_and_the_others_go_on(workplace, capsys):
    (workplace / "empty.jpg").write_bytes(b"")
    (workplace / "text.png").write_text("not a picture")
    whole = Path(save(workplace / "whole.png")).read_bytes()
    (workplace / "half.png").write_bytes(whole[: len(whole) // 2])
    save(workplace / "nobody.png", 0)
    names = ["absent.png", "empty.jpg", "text.png", "half.png", "nobody.png", "whole.png"]
    assert main(["restore", *names, "-o", "out"]) == 0
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert [line.split(":")[0] for line in lines] == names[:-1]
    assert lines[-1] == "nobody.png: no face found"
    assert streams.out.splitlines()[-1] == "1 of 6 photos restored"
    assert outputs(workplace / "out") == ["whole_restored.png", "whole_side_by_side.png"]


def test_of_a_folder_every_picture_is_restored(workplace, capsys):
    save(workplace / "album" / "b.PNG")
    save(workplace / "album" / "a.jpg")
    save(workplace / "album" / "below" / "c.png")
    (workplace / "album" / "notes.txt").write_text("no picture, and not named as one")
    assert main(["restore", "album", "-o", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["album/a.jpg", "album/b.PNG"]
    assert lines[-1] == "2 of 2 photos restored"

    assert main(["restore", "album", "-o", "album"]) == 2
    assert "-o album: must be another folder" in one_error_line(capsys)
    (workplace / "empty").mkdir()
    assert main(["restore", "empty", "-o", "out"]) == 2
    assert "empty: a folder without pictures" in one_error_line(capsys)


def test_exit_code_1_if_no_photo_worked(workplace, capsys):
    save(workplace / "nobody.png", 0)
    assert main(["restore", "nobody.png", "-o", "out"]) == 1
    assert one_error_line(capsys) == "nobody.png: no face found"
    assert outputs(workplace / "out") == []


def test_mask_hides_what_is_white(workplace):
    photo = save(workplace / "anna.png")
    mask = np.zeros((140, 160, 3), np.uint8)
    mask[50:90, 60:100] = 255
    Image.fromarray(mask).save(workplace / "mask.png")
    assert main(["restore", photo, "-o", "out", "--mask", "mask.png"]) == 0
    restored = load(workplace / "out" / "anna_restored.png")
    assert not restored[55:85, 65:95].any()  # this generator shows hidden pixels as they come: 0


def test_mask_of_another_size_or_no_picture(workplace, capsys):
    photo = save(workplace / "anna.png")
    save(workplace / "mask.png", size=(140, 160))
    assert main(["restore", photo, "-o", "out", "--mask", "mask.png"]) == 1
    assert "its mask must be of its size, 160x140. Received: 140x160" in one_error_line(capsys)
    assert main(["restore", photo, "-o", "out", "--mask", "absent.png"]) == 2
    assert "--mask absent.png" in one_error_line(capsys)
    assert outputs(workplace / "out") == []


def test_output_folder_that_cannot_be_written(workplace, capsys, monkeypatch):
    photo = save(workplace / "anna.png")
    (workplace / "file").write_text("")
    for folder in ("file/out", "file"):
        assert main(["restore", photo, "-o", folder]) == 1
        assert f"-o {folder}: cannot be written (Not a directory)" in one_error_line(capsys)

    def full(path, image):
        raise PhotoError(f"{path}: cannot be written (No space left on device).")

    monkeypatch.setattr(tfface.data.photos, "write_photo", full)
    assert main(["restore", photo, photo, "-o", "out"]) == 1
    assert "out/anna_restored.png: cannot be written (No space" in one_error_line(capsys)

    monkeypatch.undo()
    monkeypatch.chdir(workplace)

    def full_at_the_second(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tfface.plots.images, "image_grid", full_at_the_second)
    monkeypatch.setattr(tfface.data.detection, "create_detector", lambda *_: BrightFaces())
    assert main(["restore", photo, photo, "-o", "out"]) == 1
    assert "out/anna_side_by_side.png: cannot be written (No space" in one_error_line(capsys)


def test_killed_as_interrupted(workplace, capsys, monkeypatch):
    def killed(path, image):
        with written_aside(path) as aside:
            aside.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGTERM)

    photo = save(workplace / "anna.png")
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(tfface.data.photos, "write_photo", killed)
    assert main(["restore", photo, "-o", "out"]) == 130
    assert one_error_line(capsys) == "tfface restore: interrupted"
    assert outputs(workplace / "out") == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_model_that_is_none(workplace, capsys):
    photo = save(workplace / "anna.png")
    (workplace / "empty").mkdir()
    assert main(["restore", photo, "-o", "out", "--model", "empty"]) == 2
    assert "SavedModel's folder" in one_error_line(capsys)


def test_export_of_a_run(workplace, nearest_generator, capsys):
    run = workplace / "runs" / "small"
    run.mkdir(parents=True)
    nearest_generator.save(run / "generator.keras")
    (run / "summary.json").write_text(json.dumps({"variant": "ours", "steps": 5, "other": 1}))
    assert main(["export", "restoration", "--run", str(run)]) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    version = workplace / "savedmodels" / "restoration" / "2"  # 1 was there
    card = json.loads((version / "model_card.json").read_text())
    assert card["training"] == {"variant": "ours", "steps": 5}
    assert (version / "saved_model.pb").is_file()
    assert "savedmodels/restoration/2" in streams.out

    (workplace / "file").write_text("")
    assert main(["export", "restoration", "--run", str(run), "-o", "file/models"]) == 1
    assert "file/models" in one_error_line(capsys)
    (run / "generator.keras").write_bytes(b"half a file")
    assert main(["export", "restoration", "--run", str(run)]) == 1
    assert "generator.keras" in one_error_line(capsys)


def test_export_without_the_data_of_the_run(tmp_path, monkeypatch, capsys):
    """What needs no faces to calibrate it is written; what is missing is named."""
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    ActionUnitRecognizer((1, 12), 16, "fer_net").save("run/recognizer.keras")
    data = {"dataset": "image_folder/gone", "data_dir": "moved", "protocol": "own", "fold": 0}
    config = {"system": "recognition", "seed": 0, "data": data}
    Path("run/config.yaml").write_text(json.dumps(config))  # which is YAML
    assert main(["export", "recognition", "--run", "run", "--format", "litert,savedmodel"]) == 1
    streams = capsys.readouterr()
    assert "savedmodels/recognition/1\n" in streams.out
    (line,) = streams.err.splitlines()
    assert "image_folder/gone in moved" in line and "not prepared" in line
    version = tmp_path / "savedmodels" / "recognition" / "1"
    labels = "AU01 Inner brow raiser\nAU12 Lip corner puller\n"
    assert (version / "labels.txt").read_text() == labels
    assert json.loads((version / "model_card.json").read_text())["run"] == "run"
    assert outputs(tmp_path / "run" / "litert") == sorted(
        f"recognition_{precision}{ending}"
        for precision in ("float16", "float32", "int8_dynamic")
        for ending in (".json", ".tflite", "_labels.txt")
    )


def test_export_of_what_is_no_finished_run_of_the_system(tmp_path, capsys):
    def asked():
        assert main(["export", "restoration", "--run", str(tmp_path)]) == 2
        return one_error_line(capsys)

    (tmp_path / "config.yaml").write_text("seed: 1")
    assert "names no system and data" in asked()
    (tmp_path / "config.yaml").write_text("system: recognition\ndata: {}\n")
    (tmp_path / "generator.keras").write_text("")
    assert "holds a run of recognition, not of restoration" in asked()
    (tmp_path / "generator.keras").unlink()
    (tmp_path / "config.yaml").write_text("system: restoration\ndata: {}\n")
    assert "is not finished, there is no generator.keras yet" in asked()
    (tmp_path / "summary.json").write_text("{}")
    assert "is a finished run that made no generator.keras" in asked()
    (tmp_path / "parts").mkdir()
    assert "holds a series of runs" in asked()


def test_prepare_says_what_is_wrong_with_a_folder(tmp_path, capsys):
    faces = tmp_path / "faces"
    save(faces / "anna.png")
    arguments = ["prepare", "image_folder", "--data_dir", str(tmp_path / "data")]
    assert main([*arguments, "--manual_dir", str(faces)]) == 1
    assert "labels.csv: must be a file" in one_error_line(capsys)
    (faces / "labels.csv").write_text("path,subject,AU01_c\nanna.png,A,7\nbert.png,B,0\n")
    assert main([*arguments, "--manual_dir", str(faces)]) == 1
    first, second = capsys.readouterr().err.splitlines()  # each mistake has its line
    assert first.startswith("tfface prepare: error: ") and "line 2, column AU01_c" in first
    assert second.startswith("tfface prepare: error: ") and "line 3, column path" in second

    assert main([*arguments, "--manual_dir", str(faces / "anna.png")]) == 2
    assert "anna.png: a file, not a folder" in one_error_line(capsys)
    (tmp_path / "empty").mkdir()
    assert main([*arguments, "--manual_dir", str(tmp_path / "empty")]) == 2
    assert "empty, which is empty" in one_error_line(capsys)
    assert main(arguments) == 2
    assert "`manual_dir` must name the folder" in one_error_line(capsys)
    assert outputs(tmp_path) == ["empty", "faces"]


@pytest.mark.slow
def test_as_a_user_types_it(tmp_path, nearest_generator):
    from tfface.data.synthetic import photo

    image, landmarks = photo(seed=3, faces=2)
    Image.fromarray(image).save(tmp_path / "scene.png")
    export_savedmodel(
        restoration_servable(nearest_generator), tmp_path / "savedmodels" / "restoration"
    )
    done = run_command("restore", "scene.png", "-o", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("scene.png: 2 faces, out/scene_restored.png")
    restored = load(tmp_path / "out" / "scene_restored.png").astype(int)
    changed = np.abs(restored - image).max(axis=-1) > 8
    for points in landmarks:
        x, y = np.rint(points.mean(axis=0)).astype(int)
        assert changed[y - 20 : y + 20, x - 20 : x + 20].mean() > 0.3
    assert changed.mean() < 0.5

    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    done = run_command("restore", "black.png", "-o", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "black.png: no face found\n"
