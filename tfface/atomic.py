"""Output that is whole or not there, and folders that one process at a time works in."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path


def make_folder(path):
    """Makes a folder and its parents where they are not there.

    Raises:
        OSError: If that cannot be; NotADirectoryError where a file has its name, which
            `Path.mkdir` calls "File exists".
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


@contextlib.contextmanager
def written_aside(path):
    """Gives a path to write to, which becomes `path` if the block ends well; else nothing is left.

    Args:
        path: The file or folder to make; its parent folders are made too. An existing file is
            replaced, an existing folder is an error.

    Yields:
        pathlib.Path: Of the same suffix, in the same folder (so that the rename is one step of the
        file system).

    Raises:
        OSError: If the folder cannot be written.
    """
    path = Path(path)
    make_folder(path.parent)
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield workplace / path.name
        os.replace(workplace / path.name, path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


@contextlib.contextmanager
def alone_in(folder, when_busy=None):
    """Keeps every other process that asks for the same folder waiting until the block ends.

    The lock is on the folder itself, so that no lock file is left behind; the system takes it back
    from a process that is killed.

    Args:
        folder: Made, with its parents, if it is not there.
        when_busy: Called once, without arguments, if another process is in it.

    Raises:
        OSError: If the folder cannot be made.
    """
    folder = Path(folder)
    while True:
        make_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _lock(descriptor, when_busy)
            # Who was in it may have removed it: then this lock keeps nobody out.
            if _is_at(descriptor, folder):
                yield
                return
        finally:
            os.close(descriptor)


def _lock(descriptor, when_busy):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if when_busy is not None:
            when_busy()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_at(descriptor, folder):
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False
