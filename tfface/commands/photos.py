"""What verbs do alike that change the faces of photos: read each, and go on where one cannot be."""

import contextlib

from tqdm import tqdm

from tfface.commands.files import files_of, say
from tfface.commands.startup import CommandError


def photos_of(paths):
    """The pictures named, and those in the folders named.

    Raises:
        CommandError: If a folder holds none.
    """
    from tfface.data.photos import is_picture_name

    return files_of(paths, is_picture_name, "pictures")


def each_photo(photos, names, work, done_as):
    """Does a verb's work on one photo after another.

    Args:
        photos: pathlib.Path of each.
        names: What each one's outputs are called.
        work: Function of a photo's path and its name to whether it could be done.
        done_as: What was done, for the line at the end of several.

    Returns:
        The exit code: 0, or 1 if none could be done.
    """
    done = 0
    # disable=None: a bar on a terminal, nothing elsewhere.
    with tqdm(total=len(photos), unit=" photos", disable=None if len(photos) > 1 else True) as bar:
        for photo, name in zip(photos, names, strict=True):
            done += work(photo, name)
            bar.update()
    if len(photos) > 1:
        print(f"{done} of {len(photos)} photos {done_as}")
    return 0 if done else 1


def faces_of(path, predict):
    """What a predictor makes of one photo.

    Args:
        path: The photo's file.
        predict: Function of a photo (height, width, 3) uint8 to what has `faces`.

    Returns:
        What `predict` gives, or None, with a line that says why, if the photo cannot be read or is
        not fit. A photo without a face has its line too.

    Raises:
        CommandError: If what fails is not the photo's fault.
    """
    from tfface.data.photos import PhotoError, read_photo

    try:
        result = predict(read_photo(path))
    except PhotoError as error:
        say(error)
        return None
    except MemoryError:
        say(f"{path}: too large for this machine's memory")
        return None
    except ValueError as error:
        raise CommandError(error) from error
    if not result.faces:
        say(f"{path}: no face found")
    return result


def faces_text(faces):
    """How many faces there are, in words."""
    return f"{len(faces)} face{'' if len(faces) == 1 else 's'}"


@contextlib.contextmanager
def writing(path):
    """Makes what fails in writing a file a CommandError: a full disk stays full.

    Args:
        path: The file, for the error's line.
    """
    from tfface.data.photos import PhotoError

    try:
        yield
    except PhotoError as error:
        raise CommandError(error) from error
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({error.strerror or error})") from error
