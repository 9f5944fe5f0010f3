"""The files that a verb is given and those that it makes, and what it says of each."""

import os
import sys
import tempfile

from tqdm import tqdm

from tfface.atomic import make_folder
from tfface.commands.startup import CommandError


def files_of(paths, wanted, what):
    """The files named, and of each folder named those in it, in the order of their names.

    Args:
        paths: pathlib.Path of files and folders; folders in a folder are passed over.
        wanted: Function of a path to whether a folder's file is taken. A file that is named itself
            is taken, whatever its name.
        what: Name of what is wanted, in the plural.

    Returns:
        List of pathlib.Path.

    Raises:
        CommandError: If a folder holds none.
    """
    files = []
    for path in paths:
        if not os.path.isdir(path):  # Path.is_dir raises where a name is too long
            files.append(path)
            continue
        try:
            found = sorted(file for file in path.iterdir() if file.is_file() and wanted(file))
        except OSError as error:
            raise CommandError(f"{path}: cannot be read ({error.strerror})", code=2) from error
        if not found:
            raise CommandError(f"{path}: a folder without {what}", code=2)
        files += found
    return files


def check_apart(out, paths, what):
    """Sees that pictures are not written into a folder whose pictures are read.

    Args:
        out: The folder for the pictures.
        paths: What the verb is given.
        what: What its pictures would be the next time, for the error's line.

    Raises:
        CommandError: If `out` is one of `paths`.
    """
    if any(os.path.isdir(path) and path.resolve() == out.resolve() for path in paths):
        raise CommandError(
            f"-o {out}: must be another folder than that of the photos, or the next time its "
            f"pictures would be {what} as well",
            code=2,
        )


def check_out(folder):
    """Makes the output folder and sees that it can be written, before an hour's work is done."""
    try:
        make_folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CommandError(f"-o {folder}: cannot be written ({error.strerror})") from error


def output_names(files, out, endings):
    """A name of its own for each file's outputs, none of which is one of the files.

    Args:
        files: pathlib.Path of each file that is read.
        out: Folder of the outputs.
        endings: What follows the name in each output's file name, such as `_restored.png`.

    Returns:
        List of str: the file's own name without its suffix, with a number where that is taken.
    """
    inputs = {file.resolve() for file in files}
    names, taken = [], set()
    for file in files:
        name, count = file.stem, 1
        while name in taken or any((out / f"{name}{end}").resolve() in inputs for end in endings):
            count += 1
            name = f"{file.stem}_{count}"
        taken.add(name)
        names.append(name)
    return names


def say(line, stream=None):
    """Writes one line, to the error stream if no other is named, above any progress bar."""
    stream = stream or sys.stderr
    tqdm.write(as_text(" ".join(str(line).split())), file=stream)
    stream.flush()


def as_text(name):
    """A file's name, or a line with names in it, as any stream takes it.

    Bytes that are no UTF-8, which Python keeps in names as lone surrogates, are written as such.
    """
    return str(name).encode(errors="backslashreplace").decode()
