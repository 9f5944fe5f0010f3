import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tfface.atomic import alone_in, make_folder, written_aside

ROOT = Path(__file__).parents[1]


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "out.txt"
    with written_aside(path) as aside:
        aside.write_text("whole")
        assert aside.name == "out.txt" and not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("before")
    with pytest.raises(type(error)), written_aside(path) as aside:
        aside.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_a_folder_s_place_is_called_so(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match=f"Not a directory: '{folder}'"):
            make_folder(folder)


def test_a_folder_is_one_process_s_at_a_time(tmp_path):
    """A second process enters when the first is out, and says meanwhile that it waits."""
    folder = tmp_path / "shared"
    program = (
        "import sys\n"
        "from tfface.atomic import alone_in\n"
        "with alone_in(sys.argv[1], lambda: print('waiting', flush=True)):\n"
        "    print('in', flush=True)\n"
    )
    with alone_in(folder):
        other = subprocess.Popen(
            [sys.executable, "-c", program, folder], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert other.stdout.readline() == "waiting\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.2)
    assert other.communicate()[0] == "in\n"
    assert other.returncode == 0


def test_a_folder_that_was_removed_while_one_waited_is_made_anew(tmp_path):
    folder = tmp_path / "shared"
    waiting, entered = threading.Event(), threading.Event()

    def wait_and_enter():
        with alone_in(folder, waiting.set):
            assert folder.is_dir()
            entered.set()

    with alone_in(folder):
        other = threading.Thread(target=wait_and_enter)
        other.start()
        assert waiting.wait(10)
        folder.rmdir()
    other.join(10)
    assert entered.is_set() and folder.is_dir()
