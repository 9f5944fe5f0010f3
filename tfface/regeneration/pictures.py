"""The paper's pictures: faces and their regenerated expressions, a column a class (Fig. 4)."""

import numpy as np

from tfface.plots.sheets import expression_sheet


def draw_sheet(examples, classes, path, title=None):
    """Draws test faces and their regenerated expressions, each with its distance (Fig. 4, Eq. 8).

    Args:
        examples: Faces as `Examined.examples` has them.
        classes: Names of the classes.
        path: PNG to write.
        title: Title of the figure, or None.
    """
    rows = [
        {
            "face": face["face"],
            "made": list(face["regenerated"]),
            "captions": [f"{distance:.2f}" for distance in face["distances"]],
            "chosen": int(np.argmin(face["distances"])),
            "title": f"{face['subject']}: {classes[face['label']]}",
        }
        for face in examples
    ]
    expression_sheet(rows, classes, path, title=title)


def draw_beside_real(examples, classes, path, title=None):
    """Draws regenerated expressions above the real peaks of the same person.

    Args:
        examples: As in `draw_sheet`.
        classes: Names of the classes.
        path: PNG to write.
        title: Title of the figure, or None.
    """
    rows = []
    for face in examples:
        rows.append({"face": face["face"], "made": list(face["regenerated"]), "title": "made"})
        real = [t if k else None for t, k in zip(face["target"], face["known"], strict=True)]
        rows.append({"face": None, "made": real, "title": f"{face['subject']}, real"})
    expression_sheet(rows, classes, path, title=title)


def draw_sample(model, path, batch):
    """Draws unseen faces and their expressions as they are regenerated now.

    Args:
        model: IAGen of any expressions.
        path: PNG to write.
        batch: Dict with `face` (B, H, W, C).
    """
    faces = np.asarray(batch["face"])
    made = np.asarray(model(faces, training=False))
    rows = [{"face": face, "made": list(own)} for face, own in zip(faces, made, strict=True)]
    expression_sheet(rows, model.expressions, path)
