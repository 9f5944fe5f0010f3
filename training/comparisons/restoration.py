"""Restoration runs side by side: the paper's Tables 1 to 3 and Figs. 4 and 5.

Every run restores the same degraded test faces, and one frozen AU classifier judges them all.
"""

from pathlib import Path

from configuration import UsageError, asked
from run import load_network

from comparisons.finished import check_shared, columns, write_comparison
from tfface.data.folds import make_fold
from tfface.data.pipeline import evaluation_batches, open_source
from tfface.restoration.data import RestorationTransform
from tfface.restoration.evaluation import TITLES, draw_labels, evaluate
from tfface.restoration.networks import ActionUnitClassifier, RestorationGenerator

SHARED = ("data.dataset", "data.protocol", "data.fold", "generator.scale", "hidden_area")
"""Keys that must not differ between runs: which faces are restored, and from what."""


def compare(runs, out, classifier=None, dataset=None, data_dir=None):
    """Restores and scores, and writes tables and pictures.

    Args:
        runs: FinishedRun each, in table order.
        out: Folder to write to.
        classifier: Path of the classifier that judges; None takes the first run's that has one.
        dataset: Must be None: restoration is compared on the runs' own test faces.
        data_dir: Must be None.
    """
    if dataset is not None or data_dir is not None:
        raise UsageError("--dataset and --data_dir are for runs of recognition")
    generators = [load_network(r.folder / "generator.keras", RestorationGenerator) for r in runs]
    check_shared(runs, SHARED)
    first = runs[0]
    data = first.value("data")
    source = asked(open_source, data["dataset"], data["data_dir"], data["manual_dir"])
    fold = asked(make_fold, source, data["protocol"], data["fold"])
    path, judging = find_classifier(classifier, runs, source)
    judge = f"action units by {path}" if path else "no action units"
    print(f"evaluation: {source.count(fold.test)} test faces, {judge}", flush=True)
    transform = RestorationTransform(first.value("generator.scale"), first.value("hidden_area"))
    batches = evaluation_batches(
        source,
        fold.test,
        batch_size=first.value("training.batch_size"),  # so that it sees the faces of its own table
        size=generators[0].output_shape[1],
        transform=transform,
        seed=first.value("seed"),
    )
    names = columns(runs, TITLES)
    evaluation = evaluate(
        dict(zip(names, generators, strict=True)),
        judging,
        batches,
        source.count(fold.test),
        source.action_units,
    )
    evaluation.write(out)
    draw_labels(source, fold, out / "labels.png")
    content = {
        "classifier": path and str(path),
        "data": {key: data[key] for key in ("dataset", "protocol", "fold")},
        "test_faces": evaluation.faces,
        "metrics": evaluation.metrics(),
    }
    write_comparison(out, runs, names, content)
    return evaluation.quality_lines()


def find_classifier(path, runs, source):
    """The path and the network of the classifier that judges; None twice where there is none."""
    places = [r.value("classifier_training.path") or r.folder / "classifier.keras" for r in runs]
    path = path or next((path for path in places if Path(path).is_file()), None)
    if path is None or not source.action_units:
        return None, None
    return path, load_network(path, ActionUnitClassifier)
