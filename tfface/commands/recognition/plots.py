"""What `tfface recognize --plot` draws of a photo and of a video."""

from tfface.facs.action_units import ACTION_UNITS
from tfface.plots.faces import face_bars
from tfface.plots.timelines import timeline

# Faces that are drawn: of a photo the largest, of a video those seen longest.
_MOST_PHOTO_FACES, _MOST_VIDEO_FACES = 12, 4


def plot_photo(result, action_units, threshold, file, path):
    """Draws faces beside their action units.

    Args:
        result: RecognizedPhoto with at least one face.
        action_units: Numbers of the AUs, in the order of the probabilities.
        threshold: Probability from which on an AU is present.
        file: pathlib.Path of the photo, whose name is the title.
        path: File to write.
    """
    faces = zip(result.crops, result.probabilities, strict=True)
    rows = [
        (crop, _by_name(action_units, probabilities), f"Face {i}")
        for i, (crop, probabilities) in enumerate(faces)
    ]
    face_bars(rows[:_MOST_PHOTO_FACES], path, file.name, threshold)


def plot_video(summary, action_units, threshold, file, path):
    """Draws action units over time.

    Args:
        summary: VideoSummary with at least one face.
        action_units: As in `plot_photo`, and so the others.
        threshold: Probability from which on an AU is present.
        file: The video.
        path: File to write.
    """
    faces = summary.longest(_MOST_VIDEO_FACES)
    times, curves = summary.timeline(faces)
    series = {
        f"Face {face.face_id}": _by_name(action_units, curve.T)
        for face, curve in zip(faces, curves, strict=True)
    }
    timeline(times, series, path, file.name, threshold)


def _by_name(action_units, values):
    names = [f"AU{number:02d} {ACTION_UNITS[number].name}" for number in action_units]
    return dict(zip(names, values, strict=True))
