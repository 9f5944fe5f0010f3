"""The paper's pictures: each action unit absent and present (Fig. 3), and combinations (Fig. 5)."""

import keras
import numpy as np

from tfface.plots.heatmaps import heat_grid
from tfface.plots.images import image_grid

COMBINATIONS = {"happy": (2, 6, 7, 12), "angry": (4, 23)}
"""The combinations of AUs that the paper draws (Sec. 4.2)."""

_HEAT_LABEL = "change of a pixel, present against absent, mean over colors"


def draw_single_units(generator, batch, path):
    """Draws each AU by itself: a neutral face, the AU absent in it, present, and where they differ.

    Args:
        generator: LACGenerator.
        batch: Dict of `face` and `landmarks` of neutral faces; AUs take turns with them.
        path: PNG to write.
    """
    faces, landmarks = (np.asarray(batch[name]) for name in ("face", "landmarks"))
    rows = []
    turns = np.arange(len(generator.action_units)) % len(faces)
    for number, turn in zip(generator.action_units, turns, strict=True):
        absent, present = edited(
            generator, faces[[turn] * 2], landmarks[[turn] * 2], [{number: 0}, {number: 1}]
        )
        heat = np.abs(present - absent).mean(axis=-1)
        rows.append([faces[turn], absent, present, (faces[turn], heat)])
    names = [f"AU{number}" for number in generator.action_units]
    titles = ["Neutral", "Absent", "Present", "Difference"]
    heat_grid(rows, titles, path, names, "Each action unit switched by itself", _HEAT_LABEL)


def draw_combinations(generator, batch, path):
    """Draws neutral faces with the paper's combinations of AUs.

    Of a combination the AUs that the generator knows are switched on.

    Args:
        generator: LACGenerator.
        batch: Dict of `face` and `landmarks` of neutral faces, one a row.
        path: PNG to write.
    """
    faces, landmarks = (np.asarray(batch[name]) for name in ("face", "landmarks"))
    columns = {"Neutral": faces}
    for name, wanted in COMBINATIONS.items():
        known = [number for number in wanted if number in generator.action_units]
        if known:
            title = f"{name.capitalize()} (AU {'+'.join(map(str, known))})"
            changes = [dict.fromkeys(known, 1)] * len(faces)
            columns[title] = edited(generator, faces, landmarks, changes)
    image_grid(list(zip(*columns.values(), strict=True)), list(columns), path)


def draw_sample(model, path, batch, most=6):
    """Draws unseen faces as they are edited now.

    Args:
        model: LACGAN.
        path: PNG to write.
        batch: Dict of `face`, `landmarks` and `au` (the generator's) of a few test faces.
        most: Most AUs that are drawn switched on, evenly chosen.
    """
    generator = model.generator
    faces, landmarks = (np.asarray(batch[name]) for name in ("face", "landmarks"))
    own = generator.edit(faces, batch["au"], landmarks)
    columns = {"Face": faces, "With its own AUs": keras.ops.convert_to_numpy(own)}
    units = generator.action_units
    for i in np.unique(np.linspace(0, len(units) - 1, min(most, len(units))).astype(int)):
        changes = [{units[i]: 1}] * len(faces)
        columns[f"AU{units[i]} on"] = edited(generator, faces, landmarks, changes)
    image_grid(list(zip(*columns.values(), strict=True)), list(columns), path)


def edited(generator, faces, landmarks, changes):
    """Faces with what is named for each of them switched: (B, size, size, 3) NumPy.

    Args:
        generator: LACGenerator.
        faces: (B, size, size, 3).
        landmarks: (B, 68, 2), or None.
        changes: A dict for each face, see `LACGenerator.values`.
    """
    values = np.stack([generator.values(wish) for wish in changes])
    return keras.ops.convert_to_numpy(generator.edit(faces, values, landmarks))
