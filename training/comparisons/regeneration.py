"""Regeneration runs side by side, such as of other features, from the scores of their own tests."""

from configuration import UsageError, asked

from comparisons.finished import check_shared, columns, write_comparison
from tfface.regeneration.evaluation import Evaluation
from tfface.regeneration.examination import Examined

SHARED = ("data.dataset", "data.protocol", "data.fold", "folds", "faces.classes", "faces.frames")
"""Keys that must not differ between runs: which faces are tested."""


def compare(runs, out, classifier=None, dataset=None, data_dir=None):
    """Joins, and writes tables and pictures.

    Args:
        runs: FinishedRun each, in table order.
        out: Folder to write to.
        classifier: Must be None: every run has its own.
        dataset: Must be None: runs are compared on their own test faces.
        data_dir: Must be None.
    """
    if classifier is not None:
        raise UsageError("--classifier is for runs of restoration")
    if dataset is not None or data_dir is not None:
        raise UsageError("--dataset and --data_dir are for runs of recognition")
    check_shared(runs, SHARED)
    names = columns(runs, key="features")
    scores = [run.scores(Examined, "features") for run in runs]
    evaluation = asked(Evaluation, dict(zip(names, scores, strict=True)))
    evaluation.write(out)
    data = runs[0].value("data")
    content = {
        "data": {key: data[key] for key in ("dataset", "protocol", "fold")},
        "test_faces": scores[0].faces,
        "metrics": {name: one.metrics() for name, one in zip(names, scores, strict=True)},
    }
    write_comparison(out, runs, names, content)
    return evaluation.lines()
