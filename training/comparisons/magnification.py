"""Magnification runs side by side: the paper's Table 1, from the scores of the runs' own tests."""

from configuration import UsageError, asked

from comparisons.finished import check_shared, columns, write_comparison
from tfface.magnification.evaluation import Evaluation
from tfface.magnification.examination import Examined

SHARED = ("data.dataset", "data.protocol", "data.fold", "folds", "pairs")
"""Keys that must not differ between runs: which weak faces are tested, against which peaks."""


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
    names = columns(runs)
    scores = [run.scores(Examined) for run in runs]
    evaluation = asked(Evaluation, dict(zip(names, scores, strict=True)))
    evaluation.write(out)
    data = runs[0].value("data")
    content = {
        "data": {key: data[key] for key in ("dataset", "protocol", "fold")},
        "test_faces": scores[0].faces,
        "metrics": evaluation.metrics(),
    }
    write_comparison(out, runs, names, content)
    return evaluation.lines()
