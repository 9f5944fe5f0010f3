"""Pictures made of many faces: photos to be searched for faces, and the contact sheet."""

import dataclasses

import numpy as np

from tfface.data.photos import write_photo
from tfface.data.synthetic import behavior, fields
from tfface.data.synthetic.identity import SYNTHETIC_AUS, sample_identity, subject_seed
from tfface.data.synthetic.pose import Nuisance, background, sample_nuisance
from tfface.data.synthetic.rendering import build_head, draw, render
from tfface.data.synthetic.shading import develop
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS

# The window of face space that holds head, hair and shoulders, and its height over width.
_BUST = (-0.75, -0.75, 1.75, 1.9)


def photo(seed, faces=1, size=(480, 640)):
    """Draws a photo of people side by side in which a face detector finds their faces.

    Args:
        seed: Seed of the scene, an integer.
        faces: Number of people, at least 0.
        size: (height, width) in pixels.

    Returns:
        The photo, (height, width, 3) uint8 RGB, and a list of (68, 2) float32 landmarks in its
        pixels, one a face, from the image's left to its right.
    """
    height, width = size
    rng = np.random.default_rng(subject_seed(seed, "photo"))
    scene = dataclasses.replace(sample_nuisance(rng), blur=0.0)
    window = fields.Canvas(0.0, 0.0, width, height, float(max(height, width)))
    picture = background(window, scene)
    room = width / max(faces, 1)
    found = []
    for k in range(faces):
        identity = sample_identity(seed, f"photo {k}")
        unit = min(room / 1.35, height / 1.9) * rng.uniform(0.78, 0.95)
        x = room * (k + 0.5) + rng.uniform(-0.04, 0.04) * room
        y = height * rng.uniform(0.44, 0.50)
        found.append(_place(picture, identity, scene, rng, (x, y), unit))
    scene = dataclasses.replace(scene, blur=0.0)
    return develop(picture, scene, window.resolution), found


def _place(picture, identity, scene, rng, center, unit):
    """Draws one person into a photo, in place, and returns the landmarks in its pixels."""
    height, width = picture.shape[:2]
    left, top, right, bottom = _BUST
    person = sample_nuisance(rng)
    person = dataclasses.replace(
        scene,
        seed=person.seed,
        roll=person.roll,
        yaw=person.yaw,
        pitch=person.pitch,
        gaze=person.gaze,
        droop=person.droop,
        shift=(0.0, 0.0),
        scale=1.0,
    )
    task = str(rng.choice(["T1", "T2", "T4"]))
    intensities = behavior.sample_moment(identity, task, rng)
    drawn = build_head(identity, fields.Canvas.window(left, top, right, bottom, round(unit)))
    # The window's corner lies on a pixel of the photo; what hangs out of the photo is cut.
    first_column, first_row = (int(np.floor(c + k * unit)) for c, k in
                               zip(center, (left - 0.5, top - 0.5), strict=True))  # fmt: skip
    columns = slice(max(0, first_column), min(width, int(center[0] + (right - 0.5) * unit)))
    rows = slice(max(0, first_row), height)  # the shirt goes on below the bust
    window = fields.Canvas(
        (columns.start - center[0]) / unit + 0.5,
        (rows.start - center[1]) / unit + 0.5,
        columns.stop - columns.start,
        rows.stop - rows.start,
        float(unit),
    )
    color, alpha, landmarks = draw(drawn, intensities, person, window)
    part = picture[rows, columns]
    part += (color - part) * alpha[..., None]
    corner = np.array([columns.start, rows.start], np.float32)
    return window.to_pixels(landmarks) + corner


def contact_sheet(path, seed=0, size=128):
    """Writes a picture that shows what synthetic faces look like, to be looked at by a person.

    Two rows of people at rest; two rows of one person at rest and with each AU at its maximum;
    four rows of a person's posed expressions; three rows of spontaneous frames.

    Args:
        path: Where to write the picture (PNG).
        seed: Seed of the people.
        size: Width and height of one face in pixels.

    Returns:
        The picture, (height, width, 3) uint8 RGB.

    Raises:
        PhotoError: If the picture cannot be written.
    """
    across = 9
    rest, still = np.zeros(len(SYNTHETIC_AUS), np.float32), Nuisance()
    people = [sample_identity(seed, k) for k in range(2 * across)]
    cells = [render(person, rest, still, size)[0] for person in people]
    maxima = 5.0 * np.eye(len(rest), dtype=np.float32)
    cells += [render(people[0], one, still, size)[0] for one in (rest, *maxima)]
    rng = np.random.default_rng(seed)
    for person in people[1:5]:
        peaks = [behavior.posed_peak(name, person, rng) for name in CK_PLUS_EXPRESSIONS]
        half = 0.5 * behavior.posed_peak("happiness", person, rng)
        cells += [render(person, peak, still, size)[0] for peak in (rest, half, *peaks)]
    for k in range(3 * across):
        person, task = people[k % len(people)], str(rng.choice(list(behavior.TASKS)))
        moment = behavior.sample_moment(person, task, rng)
        cells.append(render(person, moment, sample_nuisance(rng), size)[0])
    rows = [np.concatenate(cells[k : k + across], axis=1) for k in range(0, len(cells), across)]
    sheet = np.concatenate(rows, axis=0)
    write_photo(path, sheet)
    return sheet
