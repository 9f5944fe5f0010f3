"""A series of magnification runs: the paper's Table 1, BaseNets and modes side by side."""

from pathlib import Path

import numpy as np

from tfface.magnification.evaluation import Evaluation
from tfface.magnification.examination import average
from tfface.tables import markdown, write_table


def share_classifiers(parts):
    """Lets the modes of one BaseNet and fold play with one C, trained by the first of them.

    The mode "cnn" has none, but for the one that picks its peaks where there are no sequences.

    Args:
        parts: Parts of the series, whose configs are changed.
    """
    trained = {}
    for part in parts:
        chosen = part.config.classifier_training
        has_none = part.point["variant"] == "cnn" and part.config.pairs.kind != "picked"
        if has_none or chosen.path is not None:
            continue
        key = part.point["classifier.backbone"], part.point["data.fold"]
        if key in trained:
            chosen.path = str(trained[key])
        else:
            trained[key] = Path(part.config.out) / "classifier.keras"


def compare(run, parts, results):
    """Writes what a series shows: averages over folds, modes side by side, Table 1.

    Args:
        run: The Run of the whole series.
        parts: Its parts, whose points are of BaseNets, folds and modes.
        results: Examined of each.
    """
    config, folder = run.config, run.folder / "evaluation"
    found = {}
    for part, examined in zip(parts, results, strict=True):
        backbone, _, variant = part.point.values()
        found.setdefault(backbone, {}).setdefault(variant, []).append(examined)
    evaluations = {
        backbone: Evaluation({variant: average(folds) for variant, folds in modes.items()})
        for backbone, modes in found.items()
    }
    folds = [part.point["data.fold"] for part in parts]
    count = len(set(folds))
    tested = f"average of {count} folds" if count > 1 else f"fold {folds[0]}"
    for backbone, evaluation in evaluations.items():
        if run.is_chief:
            evaluation.write(folder / backbone if len(evaluations) > 1 else folder)
        title = f"{backbone}, {tested} of {config.data.protocol}:"
        run.say("\n".join([title, *evaluation.lines()]))
    table = _accuracies(evaluations)
    if run.is_chief:
        write_table(folder / "basenets", *table)
    run.say("\n".join(markdown(*table)))
    points = {backbone: evaluation.metrics() for backbone, evaluation in evaluations.items()}
    run.finish(
        {
            "variant": config.variant,
            "folds": count,
            "parts": [part.config.out for part in parts],
            "backbones": points,
            "metrics": next(iter(points.values())) if len(points) == 1 else None,
        }
    )


def _accuracies(evaluations):
    """Table 1: the accuracy of each BaseNet in each mode, and of its C on the weak faces."""
    header, rows = ["BaseNet"], []
    for backbone, evaluation in evaluations.items():
        row = {"BaseNet": backbone}
        for mode, examined in evaluation.scores.items():
            accuracies = [(mode, "magnified")] + [("weak, by C", "weak")] * (mode != "cnn")
            for title, of in accuracies:
                mean, spread = examined.accuracy(of)
                spread = "" if np.isnan(spread) else f" ± {spread:.3f}"
                row.setdefault(title, f"{mean:.3f}{spread}")
        header = list(dict.fromkeys([*header, *row]))
        rows.append(row)
    return header, [[row.get(title, "-") for title in header] for row in rows]
