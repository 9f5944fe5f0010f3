"""What a run's network is in each format: its size, its time for a face, and what it still can.

    python -m benchmarks.inference --formats RUN [RUN ...] [--faces 200]

Every format answers the same test faces of the run's own fold, one at a time, and is scored in the
measure of its system: PSNR of restored faces; F1 of action units; accuracy of the expression read
off magnified faces, and by the nearest regenerated face; F1 of what the run's recognizer reads off
edited faces, against what was asked for. LiteRT runs with two threads, TensorFlow as it likes; they
take turns, so that a busy moment of the machine meets all alike.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from benchmarks.measure import table, take_turns
from tfface.data.pairing import sequence_pairs
from tfface.data.pipeline import chosen_records
from tfface.data.source import FaceSource
from tfface.data.targets import peak_faces
from tfface.metrics import psnr
from tfface.scores import Predictions, score
from tfface.serving.calibration import evenly, lite_inputs, open_calibration, open_run_data
from tfface.serving.litert import PRECISIONS, export_litert
from tfface.serving.runs import read_run
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.servable import Servable
from tfface.serving.systems import NETWORKS, load_network, load_servable
from tfface.synthesis.examination import exchanged_labels

THREADS = 2


@dataclass(frozen=True)
class Run:
    """A finished run, opened.

    Args:
        folder: Its folder.
        config: The values in its config.
        servable: The Servable of its network.
        source: Its data set.
        splits: The splits that test.
        faces: Test faces to take, at most.
    """

    folder: Path
    config: dict
    servable: Servable
    source: FaceSource
    splits: tuple
    faces: int

    @classmethod
    def open(cls, folder, faces):
        """Opens a run's folder."""
        config = read_run(folder)
        servable = load_servable(config["system"], folder / NETWORKS[config["system"]])
        source, fold = open_run_data(config)
        return cls(folder, config, servable, source, fold.test, faces)

    def rows(self):
        """Rows of test faces, evenly spread over all."""
        return evenly(np.arange(self.source.count(self.splits)), self.faces)

    def labels(self):
        """Labels of all test faces, of the AUs that the network knows."""
        labels = self.source.action_unit_labels(self.splits)
        units = self.servable.facts["action_units"]
        return labels[:, [self.source.action_units.index(number) for number in units]]

    def inputs(self, rows):
        """Some faces as LiteRT's inputs."""
        return list(lite_inputs(self.servable, self.source, self.splits, rows, self.config))


@dataclass(frozen=True)
class Test:
    """What all formats of a network are asked.

    Args:
        inputs: A dict for each face: each input of the LiteRT signature by name, (1, ...).
        measure: What the answers are scored in.
        score: Function of the answers, a dict of arrays (faces, ...), to that figure.
    """

    inputs: list
    measure: str
    score: Callable


def restoration(run):
    """PSNR of restored faces."""
    rows, size = run.rows(), run.servable.facts["size"]
    records = chosen_records(run.source, run.splits, rows, size).as_numpy_iterator()
    truth = np.stack([record["image"] / np.float32(255) for record in records])
    return Test(run.inputs(rows), "PSNR (dB)", lambda found: _mean(psnr(truth, found["restored"])))


def recognition(run):
    """F1, the mean over AUs."""
    rows = run.rows()
    truth = run.labels()[rows]
    return Test(run.inputs(rows), "F1", lambda found: _f1(run, truth, found["probabilities"]))


def magnification(run):
    """Accuracy of the expression that is read off magnified faces."""
    weak_frames = run.config["pairs"]["weak_frames"]
    pairs = sequence_pairs(run.source, run.splits, run.servable.labels, weak_frames)
    pairs = pairs.take(evenly(np.arange(len(pairs)), run.faces))

    def accuracy(found):
        return _mean(found["probabilities_after"].argmax(axis=1) == pairs.label)

    return Test(run.inputs(pairs.weak), "accuracy", accuracy)


def regeneration(run):
    """Accuracy of the nearest regenerated face's expression."""
    frames = run.config["faces"]["frames"]
    shown = peak_faces(run.source, run.splits, run.servable.labels, frames)
    shown = shown.take(evenly(np.arange(len(shown)), run.faces))

    def accuracy(found):
        return _mean(found["class_id"] == shown.label)

    return Test(run.inputs(shown.weak), "accuracy", accuracy)


def synthesis(run):
    """F1 of what the run's recognizer reads off edited faces, against what was asked for."""
    rows = run.rows()
    subjects = run.source.values(run.splits, ["subject"])["subject"]
    wanted = exchanged_labels(run.labels(), subjects, run.config["seed"])[rows]
    inputs = [
        {**face, "values": row[None]} for face, row in zip(run.inputs(rows), wanted, strict=True)
    ]
    path = run.config["recognizer_training"]["path"] or run.folder / "recognizer.keras"
    recognizer = load_network("recognition", path)
    known = [recognizer.action_units.index(n) for n in run.servable.facts["action_units"]]

    def f1(found):
        logits = recognizer.predict(found["edited"], batch_size=32, verbose=0)[:, known]
        return _f1(run, wanted, 1 / (1 + np.exp(-logits)))

    return Test(inputs, "F1 of edited faces", f1)


TESTS = {
    "restoration": restoration,
    "recognition": recognition,
    "magnification": magnification,
    "regeneration": regeneration,
    "synthesis": synthesis,
}


def formats(servable, folder, aside):
    """By name, every format: its size in bytes, and a function of inputs to answers.

    LiteRT files are those of the run's folder, made anew where the network is younger.

    Args:
        servable: The Servable of the run's network.
        folder: The run's folder.
        aside: Folder for the SavedModel.
    """
    network, signature = folder / NETWORKS[servable.system], servable.lite
    whole = tf.function(signature.function, input_signature=list(signature.specs))
    found = {"Keras": (network.stat().st_size, _called_by_name(whole, signature))}
    version = export_savedmodel(servable, aside)
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    loaded = tf.saved_model.load(version)
    served = loaded.signatures[signature.name]
    found["SavedModel"] = (size, lambda inputs, keep=loaded: _numbers(served, inputs))
    for precision in PRECISIONS:
        path = folder / "litert" / f"{servable.system}_{precision}.tflite"
        if not path.exists() or path.stat().st_mtime < network.stat().st_mtime:
            faces = open_calibration(servable, folder) if precision == "int8" else None
            export_litert(servable, path, precision, faces)
        interpreter = Interpreter(str(path), num_threads=THREADS)
        runner = interpreter.get_signature_runner(signature.name)
        # What a runner answers may lie in memory that its next call fills again.
        found[f"LiteRT {precision}"] = (
            path.stat().st_size,
            lambda inputs, run=runner: {n: np.array(value) for n, value in run(**inputs).items()},
        )
    return found


def compare(folder, faces, turns):
    """The table of one run.

    Args:
        folder: The run's folder; the run is finished.
        faces: Test faces, at most.
        turns: Turns that each format has; it answers four faces in each.

    Returns:
        dict: `system`, `run`, `faces`, `header` and `rows`.
    """
    run = Run.open(Path(folder), faces)
    test = TESTS[run.servable.system](run)
    with tempfile.TemporaryDirectory() as aside:
        rivals = formats(run.servable, run.folder, aside)
        answers = {
            name: _joined([answer(inputs) for inputs in test.inputs])
            for name, (_, answer) in rivals.items()
        }
        few = test.inputs[:4]
        calls = {
            name: lambda answer=answer: [answer(inputs) for inputs in few]
            for name, (_, answer) in rivals.items()
        }
        timings = take_turns(calls, turns, calls=1, warm_up=1)
    rows = [
        [
            name,
            f"{size / 1e6:.2f}",
            f"{1e3 * timings.median(name) / len(few):.1f}",
            f"{test.score(answers[name]):.3f}",
            f"{_farthest(answers[name], answers['Keras']):.1g}",
        ]
        for name, (size, _) in rivals.items()
    ]
    header = ["format", "MB", "ms a face", test.measure, "largest difference from Keras"]
    about = {"system": run.servable.system, "run": str(folder), "faces": len(test.inputs)}
    return {**about, "header": header, "rows": rows}


def show(found):
    """One table's text."""
    title = f"{found['system']}: {found['faces']} test faces, {THREADS} threads, {found['run']}"
    return f"{title}\n\n{table(found['header'], found['rows'])}\n"


def _called_by_name(function, signature):
    names = [spec.name for spec in signature.specs]
    return lambda inputs: {
        name: value.numpy()
        for name, value in function(*(tf.constant(inputs[n]) for n in names)).items()
    }


def _numbers(function, inputs):
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in function(**tensors).items()}


def _joined(answers):
    return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}


def _farthest(answers, reference):
    """Largest difference of any number; classes are no numbers."""
    pairs = [
        (values, reference[name])
        for name, values in answers.items()
        if name in reference and np.issubdtype(values.dtype, np.floating)
    ]
    return max(float(np.abs(values - known).max()) for values, known in pairs)


def _mean(values):
    return float(np.mean(np.asarray(values)))


def _f1(run, truth, probabilities):
    units = tuple(run.servable.facts["action_units"])
    nobody = np.full(len(truth), "")  # a mean over faces does not ask whose they are
    return score(Predictions(units, truth, probabilities, nobody)).mean("f1")
