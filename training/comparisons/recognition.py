"""Recognition runs side by side: the paper's Tables 1 to 3, Figs. 5 and 6.

Without another data set the runs' own scores are joined; with one, every run's recognizer is tested
on all of its faces.
"""

from configuration import UsageError, asked
from run import load_network

from comparisons.finished import check_shared, columns, write_comparison
from tfface.data.folds import make_fold
from tfface.data.pipeline import evaluation_batches, open_source
from tfface.recognition.data import evaluation_transform
from tfface.recognition.evaluation import Evaluation, predict
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.scores import Scores, score

SHARED = ("data.dataset", "data.protocol", "data.fold", "folds", "action_units")
"""Keys that must not differ between runs: which faces are tested, for which AUs."""

BATCH_SIZE = 32


def compare(runs, out, classifier=None, dataset=None, data_dir=None):
    """Joins or tests, and writes tables and pictures.

    Args:
        runs: FinishedRun each, in table order.
        out: Folder to write to.
        classifier: Must be None: recognizers judge themselves.
        dataset: Name of a prepared data set with AU labels, or None for the runs' own test faces.
        data_dir: Where prepared sets lie; None takes the first run's.
    """
    if classifier is not None:
        raise UsageError("--classifier is for runs of restoration")
    names = columns(runs)
    if dataset is None:
        check_shared(runs, SHARED)
        scores = [run.scores(Scores) for run in runs]
        tested = {key: runs[0].value("data")[key] for key in ("dataset", "protocol", "fold")}
    else:
        source = asked(open_source, dataset, data_dir or runs[0].value("data.data_dir"))
        scores = [_tested(run, source) for run in runs]
        tested = {"dataset": dataset}
    evaluation = asked(Evaluation, dict(zip(names, scores, strict=True)))
    evaluation.write(out)
    content = {"data": tested, "test_faces": scores[0].faces, "metrics": evaluation.metrics()}
    write_comparison(out, runs, names, content)
    return evaluation.lines()


def _tested(run, source):
    recognizer = load_network(run.folder / "recognizer.keras", ActionUnitRecognizer)
    batches = evaluation_batches(
        source,
        source.splits,
        batch_size=BATCH_SIZE,
        size=recognizer.size,
        transform=evaluation_transform,
        seed=0,
    )
    print(f"evaluation: {run.folder} on {source.count(source.splits)} faces", flush=True)
    data = run.value("data")
    own = asked(open_source, data["dataset"], data["data_dir"])
    trained = own.people_of(asked(make_fold, own, data["protocol"], data["fold"]).train)
    if known := source.people_of(source.splits) & trained:
        print(f"evaluation: {len(known)} of its people trained this recognizer", flush=True)
    return asked(score, asked(predict, recognizer, batches, source.action_units))
