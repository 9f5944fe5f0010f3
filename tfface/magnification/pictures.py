"""The paper's pictures: magnified faces and their heat (Fig. 5), features that differ (Fig. 4)."""

import keras
import numpy as np

from tfface.magnification.examination import heat_map
from tfface.magnification.examples import face_pairs, lit_features
from tfface.plots.heatmaps import heat_grid, lit_grid

TITLES = {
    "cnn": "CNN",
    "dcgan": "DCGAN",
    "1v2": "GroupGAN (1V2)",
    "2v2": "GroupGAN (2V2)",
    "neutral": "Neutral",
    "weak": "Weak",
    "magnified": "Magnified",
    "peak": "Real peak",
}
"""How modes and faces are called in tables and pictures."""

HEAT_LABEL = "squared change of a pixel (Eq. 22)"

_HOTTEST = 99.5  # percentile of the heat in a picture that is drawn hottest


def draw_faces(examined, path, title=None):
    """Draws a test face of each class as it is magnified, with heat over the neutral face (Fig. 5).

    Args:
        examined: Examined, with pictures, of a mode that magnifies.
        path: PNG to write.
        title: Title of the figure, or None.
    """
    chosen = {
        name: faces[0]
        for name, faces in zip(examined.classes, examined.pictures.examples, strict=True)
        if faces
    }
    neutral = examined.pictures.neutral
    titles, rows = _grid_of(chosen.values(), neutral)
    heat_grid(rows, titles, path, list(chosen), title, HEAT_LABEL, _hottest(rows))


def draw_heat(examined, path, title=None):
    """Draws the mean heat of each class's magnified and real peaks over neutral (or weak) faces."""
    base = "neutral" if examined.pictures.neutral else "weak"
    kinds = {"magnified": f"magnified\nover {base}", "peak": f"real peak\nover {base}"}
    _draw_mean_heat(examined, kinds, path, title)


def draw_changes(examined, path, title=None):
    """Draws what the model changes on average: in each class's weak faces, and in neutral ones."""
    kinds = {"change": "magnified\nover weak", "neutral": "magnified neutral\nover neutral"}
    _draw_mean_heat(examined, kinds, path, title)


def draw_features(scores, path, most=8):
    """Draws which features differ between two faces of a class, to each mode's classifier (Fig. 4).

    On the left those of the weak faces: to the mode "cnn", which has learned from such faces, or
    where it is not among them, to the classifier of the first mode. Then those of the faces that
    each other mode makes of them. Draws nothing where there are no two faces of a class to show.

    Args:
        scores: By mode, Examined.
        path: PNG to write.
        most: Most classes to draw.
    """
    seen = {mode: s for mode, s in scores.items() if s.pictures is not None}
    if not seen:
        return
    plain = "cnn" if "cnn" in seen else next(iter(seen))
    first = seen[plain]
    maps = {f"{title_of(plain)}, weak faces": lit_features(first.pictures.examples, "weak_feature")}
    for mode, s in seen.items():
        if s.magnifies:
            lit = lit_features(s.pictures.examples, "magnified_feature")
            maps[f"{title_of(mode)}, magnified"] = lit
    rows, names = [], []
    for i, faces in enumerate(first.pictures.examples):
        pairs = face_pairs(faces)
        if pairs and len(rows) < most:
            rows.append(([f["weak"] for f in pairs[0]], [lit[i][0] for lit in maps.values()]))
            names.append(first.classes[i])
    if rows:
        title = "Features that differ between two faces of a class"
        lit_grid(rows, ["Weak", "Weak"], list(maps), path, names, title)


def draw_sample(model, path, batch):
    """Draws unseen faces as they are magnified now, and how sure the classifier is of their class.

    Args:
        model: GroupGAN of any mode.
        path: PNG to write.
        batch: Batch of a few test pairs (`magnification.data.evaluation_batches`).
    """
    weak, peak = (np.asarray(batch[name]) for name in ("weak", "peak"))
    base = np.asarray(batch.get("neutral", weak))
    magnified = np.asarray(model.magnify(weak, training=False))
    own = {}
    for name, images in (("weak", weak), ("magnified", magnified)):
        logits = model.classifier(images, training=False)
        every = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
        own[name] = every[np.arange(len(every)), np.asarray(batch["label"])]
    if model.generator is None:
        titles, rows = [TITLES["weak"], TITLES["peak"]], list(zip(weak, peak, strict=True))
        names = [f"own class\n{100 * p:.0f}%" for p in own["weak"]]
    else:
        faces = zip(weak, peak, magnified, base, strict=True)
        keys = ("weak", "peak", "magnified", "base")
        examples = [dict(zip(keys, each, strict=True)) for each in faces]
        titles, rows = _grid_of(examples, "neutral" in batch)
        sure = zip(own["weak"], own["magnified"], strict=True)
        names = [f"own class\nweak {100 * a:.0f}%\nmagnified {100 * b:.0f}%" for a, b in sure]
    heat_grid(rows, titles, path, names, label=HEAT_LABEL, peak=_hottest(rows))


def title_of(mode):
    """How a mode is called; a name that is none of a mode stands for itself."""
    return TITLES.get(mode, mode)


def _grid_of(examples, neutral):
    """Column titles and rows of Fig. 5; the weak face stands beside the neutral, where there is."""
    titles = [TITLES["neutral"]] if neutral else []
    titles += [TITLES["weak"], "Heat", TITLES["magnified"], "Heat", TITLES["peak"]]
    rows = []
    for face in examples:
        heat = {
            of: (face["base"], keras.ops.convert_to_numpy(heat_map(face[of], face["base"])))
            for of in ("magnified", "peak")
        }
        row = [face["base"]] if neutral else []
        row += [face["weak"], heat["magnified"], face["magnified"], heat["peak"], face["peak"]]
        rows.append(row)
    return titles, rows


def _draw_mean_heat(examined, kinds, path, title):
    pictures = examined.pictures
    rows, names = [], []
    for of, name in kinds.items():
        maps = pictures.heat[of]
        if not np.isnan(maps).all():
            rows.append([None if np.isnan(m).any() else (pictures.base, m) for m in maps])
            names.append(name)
    title = title and f"{title}: mean heat of test faces"
    heat_grid(rows, examined.classes, path, names, title, HEAT_LABEL, _hottest(rows))


def _hottest(rows):
    """A heat that nearly all in the picture stays below; a few pixels would make the rest pale."""
    heats = [np.ravel(cell[1]) for row in rows for cell in row if isinstance(cell, tuple)]
    return float(np.percentile(np.concatenate(heats), _HOTTEST)) if heats else None
