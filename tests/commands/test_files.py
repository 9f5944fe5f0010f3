import os
from pathlib import Path

import pytest

from tfface.commands.files import as_text, check_apart, check_out, files_of, output_names, say
from tfface.commands.startup import CommandError


def test_files_that_are_named_are_taken_and_those_of_folders_chosen(tmp_path):
    (tmp_path / "album" / "below.png").mkdir(parents=True)
    for name in ("b.png", "a.png", "notes.txt"):
        (tmp_path / "album" / name).write_text("")
    named = tmp_path / "notes"

    def wanted(path):
        return path.suffix == ".png"

    found = files_of([named, tmp_path / "album"], wanted, "pictures")
    assert found == [named, tmp_path / "album" / "a.png", tmp_path / "album" / "b.png"]
    with pytest.raises(CommandError, match="below.png: a folder without pictures"):
        files_of([tmp_path / "album" / "below.png"], wanted, "pictures")


def test_names_are_all_different_and_none_is_an_input(tmp_path):
    files = [Path(name) for name in ("a/x.png", "a/x.jpg", "b/x.png", "b/x_2.png")]
    assert output_names(files, tmp_path, (".csv",)) == ["x", "x_2", "x_3", "x_2_2"]
    assert output_names(files, Path("a"), (".csv", ".png")) == ["x_2", "x_3", "x_4", "x_2_2"]
    assert output_names([Path("a/x.csv")], Path("b/../a"), (".csv",)) == ["x_2"]


def test_folder_for_the_output(tmp_path):
    check_out(tmp_path / "new" / "out")
    assert list((tmp_path / "new" / "out").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="-o .*file/out: cannot be written"):
        check_out(tmp_path / "file" / "out")
    check_apart(tmp_path / "new", [tmp_path, tmp_path / "file"], "restored")
    with pytest.raises(CommandError, match="pictures would be restored as well") as error:
        check_apart(tmp_path / "new" / ".." / "new", [tmp_path / "new"], "restored")
    assert error.value.code == 2


def test_a_line_is_one_line_whatever_is_in_it(capsys):
    say(f"{os.fsdecode(b'x' + bytes([255]))}:\n  not a picture")
    assert capsys.readouterr() == ("", "x\\udcff: not a picture\n")
    assert as_text(Path("\N{SNOWMAN}.png")) == "\N{SNOWMAN}.png"
