"""Synthesis runs side by side: the paper's Table 1, and the same by a detector from outside.

Every run edits the same test faces to the same labels, and one frozen recognizer reads them all.
"""

from pathlib import Path

from configuration import UsageError, asked
from run import load_network

from comparisons.finished import check_shared, columns, write_comparison
from tfface.data.folds import make_fold
from tfface.data.pipeline import evaluation_batches, open_source
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.synthesis.data import evaluation_transform
from tfface.synthesis.evaluation import Evaluation
from tfface.synthesis.examination import examine, exchanged_labels
from tfface.synthesis.networks import LACGenerator
from tfface.synthesis.outside import examine_outside, write_faces

SHARED = ("data.dataset", "data.protocol", "data.fold", "size")
"""Keys that must not differ between runs: which faces are edited."""


def compare(runs, out, classifier=None, dataset=None, data_dir=None, faces=None, predictions=None):
    """Edits and scores, and writes tables and pictures.

    Args:
        runs: FinishedRun each, in table order.
        out: Folder to write to.
        classifier: Path of the recognizer that reads the faces; None takes the first run's.
        dataset: Must be None: synthesis is compared on the runs' own test faces.
        data_dir: Must be None.
        faces: Folder to write the test faces of the one run to, real and synthetic, for a detector
            from outside; then nothing is scored.
        predictions: The two csv files that such a detector made of them.
    """
    if dataset is not None or data_dir is not None:
        raise UsageError("--dataset and --data_dir are for runs of recognition")
    if (faces or predictions) and len(runs) > 1:
        raise UsageError("--faces and --predictions are of one run")
    if faces and predictions:
        raise UsageError("--faces are written first, --predictions read after")
    check_shared(runs, SHARED)
    first = runs[0]
    data = first.value("data")
    source = asked(open_source, data["dataset"], data["data_dir"], data["manual_dir"])
    fold = asked(make_fold, source, data["protocol"], data["fold"])
    labels, seed = source.action_unit_labels(fold.test), first.value("seed")
    targets = exchanged_labels(labels, source.values(fold.test, ["subject"])["subject"], seed)
    if predictions:
        examined, missed = asked(examine_outside, predictions, labels, targets, source.action_units)
        evaluation, lines = Evaluation({"outside": examined}), []
        for name, count in missed.items():
            lines += [f"evaluation: {count} {name} faces were not read"] * bool(count)
    else:
        batches = evaluation_batches(
            source,
            fold.test,
            batch_size=32,
            size=first.value("size"),
            transform=evaluation_transform,
            seed=seed,
        )
        generators = [load_network(r.folder / "generator.keras", LACGenerator) for r in runs]
        shared = batches, targets, source.action_units
        if faces:
            asked(write_faces, faces, generators[0], *shared)
            return [f"evaluation: {len(labels)} faces each in {faces}/real and {faces}/synthesis"]
        path = classifier or find_recognizer(runs)
        recognizer, lines = load_network(path, ActionUnitRecognizer), []
        print(f"evaluation: {len(labels)} test faces, read by {path}", flush=True)
        scores = [asked(examine, generator, recognizer, *shared) for generator in generators]
        names = columns(runs, key="region")
        evaluation = Evaluation(dict(zip(names, scores, strict=True)))
    evaluation.write(out)
    content = {
        "read_by": list(map(str, predictions)) if predictions else str(path),
        "data": {key: data[key] for key in ("dataset", "protocol", "fold")},
        "test_faces": len(labels),
        "metrics": evaluation.metrics(),
    }
    names = ["outside"] if predictions else columns(runs, key="region")
    write_comparison(out, runs, names, content)
    return [*evaluation.lines(), *lines]


def find_recognizer(runs):
    """The path of the recognizer that reads the faces: the first run's."""
    return runs[0].value("recognizer_training.path") or Path(runs[0].folder) / "recognizer.keras"
