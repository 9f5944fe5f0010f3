"""What `tfface recognize` finds as tables of at most 100 columns for a terminal."""

from tfface.commands.recognition.formats import au_names

_WIDTH = 100

# Faces of a video that its table shows.
_MOST_FACES = 10


def photo_table(frame, action_units, threshold):
    """A row for each face: where it is, and each AU's probability, `*` where it is present.

    Args:
        frame: RecognizedFrame of the picture.
        action_units: Numbers of the AUs, in the order of the probabilities.
        threshold: Probability from which on an AU is present.

    Returns:
        Lines of text; none without a face.
    """
    left = [["face", "box"]]
    cells = [[f"{name} " for name in au_names(action_units)]]
    for tracked, probabilities in zip(frame.faces, frame.probabilities, strict=True):
        x, y, width, height = (f"{value:.0f}" for value in tracked.face.box)
        left.append([str(tracked.face_id), f"{x},{y} {width}x{height}"])
        cells.append([f"{p:.2f}{'*' if p >= threshold else ' '}" for p in probabilities])
    return _lines(left, cells) if frame.faces else []


def video_table(summary, fps, action_units):
    """Two rows for each of the faces seen longest: how often each AU was present, and its mean.

    Args:
        summary: VideoSummary.
        fps: Frames a second, for the time that each face was seen.
        action_units: Numbers of the AUs, in the order of the probabilities.

    Returns:
        Lines of text; none without a face.
    """
    left = [["face", "frames", "seconds", ""]]
    cells = [au_names(action_units)]
    faces = summary.longest(_MOST_FACES)
    for face in faces:
        left.append(
            [str(face.face_id), str(face.frames), f"{face.frames / fps:.1f}", "present"],
        )
        cells.append([f"{100 * count / face.frames:.0f}%" for count in face.present])
        left.append(["", "", "", "mean"])
        cells.append([f"{total / face.frames:.2f}" for total in face.total])
    lines = _lines(left, cells) if faces else []
    if summary.n_faces > len(faces):
        lines.append(f"and {summary.n_faces - len(faces)} more faces, seen for less time")
    return lines


def _lines(left, cells):
    """Rows of text; where not all cells fit, blocks of them, each beside the same left columns."""
    widths = [max(map(len, column)) for column in zip(*left, strict=True)]
    left = [
        " ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in left
    ]
    width = 1 + max(len(cell) for row in cells for cell in row)
    blocks = -(-len(cells[0]) // max(1, (_WIDTH - len(left[0])) // width))
    room = -(-len(cells[0]) // blocks)  # so that no block is left with a cell or two
    lines = []
    for first in range(0, len(cells[0]), room):
        for start, row in zip(left, cells, strict=True):
            lines.append(start + "".join(cell.rjust(width) for cell in row[first : first + room]))
    return [line.rstrip() for line in lines]
