"""Output files that are whole or not there: written aside, then renamed."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path


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
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield workplace / path.name
        os.replace(workplace / path.name, path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
