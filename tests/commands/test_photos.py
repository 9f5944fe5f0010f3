import types

import numpy as np
import pytest
from PIL import Image

from tfface.commands.photos import each_photo, faces_of, faces_text, photos_of, writing
from tfface.commands.startup import CommandError
from tfface.data.photos import PhotoError


def seen(count):
    return types.SimpleNamespace(faces=("face",) * count)


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(np.full((4, 6, 3), 7, np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_of_folders_pictures_are_taken(tmp_path, photo):
    (tmp_path / "notes.txt").write_text("no picture")
    assert photos_of([tmp_path, tmp_path / "notes.txt"]) == [photo, tmp_path / "notes.txt"]


def test_each_photo_has_its_turn_and_one_that_worked_is_enough(capsys):
    turns = []

    def work(photo, name):
        turns.append((photo, name))
        return photo == "b"

    assert each_photo(["a", "b"], ["x", "y"], work, "changed") == 0
    assert turns == [("a", "x"), ("b", "y")]
    assert capsys.readouterr().out == "1 of 2 photos changed\n"
    assert each_photo(["a", "c"], ["x", "y"], work, "changed") == 1
    assert capsys.readouterr().out == "0 of 2 photos changed\n"
    assert each_photo(["a"], ["x"], work, "changed") == 1
    assert capsys.readouterr().out == ""  # of one photo its own line says it


def test_a_photo_is_read_and_what_cannot_be_is_said(photo, tmp_path, capsys):
    def predict(image):
        np.testing.assert_array_equal(image, np.full((4, 6, 3), 7))
        return seen(2)

    assert len(faces_of(photo, predict).faces) == 2
    assert capsys.readouterr().err == ""
    assert faces_of(photo, lambda image: seen(0)).faces == ()
    assert capsys.readouterr().err == f"{photo}: no face found\n"
    assert faces_of(tmp_path / "absent.png", predict) is None
    assert "absent.png: must be a picture file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [(MemoryError(), "too large for this machine's memory"), (PhotoError("its mask"), "its mask")],
)
def test_the_photo_s_own_fault_is_a_line(photo, capsys, error, line):
    def fail(image):
        raise error

    assert faces_of(photo, fail) is None
    assert line in capsys.readouterr().err


def test_the_model_s_fault_ends_the_verb(photo):
    def fail(image):
        raise ValueError("`model` must give finite answers.")

    with pytest.raises(CommandError, match="finite answers"):
        faces_of(photo, fail)


def test_what_cannot_be_written_ends_the_verb():
    line = r"^a.png: cannot be written \(No space left\)$"
    with pytest.raises(CommandError, match=line), writing("a.png"):
        raise OSError(28, "No space left")
    with pytest.raises(CommandError, match="^b.png: cannot be$"), writing("a.png"):
        raise PhotoError("b.png: cannot be")


def test_faces_in_words():
    assert [faces_text(range(count)) for count in (0, 1, 2)] == ["0 faces", "1 face", "2 faces"]
