"""What is found out about regenerated faces, by hand, and the tables of it."""

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfface.confusion import Confusion
from tfface.regeneration.evaluation import Evaluation
from tfface.regeneration.examination import (
    Examined,
    average,
    examine,
    examine_classifier,
)

CLASSES = ("anger", "fear", "joy")
SIZE = 4
# Three people, of whom the second shows no fear, and the third joy alone.
PEOPLE = [b"anna", b"bert", b"carl"]
KNOWN = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1]], np.float32)
RNG = np.random.default_rng(0)
BASE = np.array([0.2, 0.5, 0.8])
PEAKS = (BASE[:, None, None, None, None] + RNG.uniform(-0.1, 0.1, (3, 3, SIZE, SIZE, 1))).astype(
    "float32"
)
PERSON = np.array([0, 0, 0, 1, 1, 2, 2])
LABEL = np.array([0, 1, 2, 0, 2, 2, 2])


def faces():
    """Each is the peak of its class, but for some noise; the second is the peak itself."""
    noise = RNG.uniform(-0.02, 0.02, (len(LABEL), SIZE, SIZE, 1)).astype("float32")
    noise[1] = 0
    return PEAKS[PERSON, LABEL] + noise


FACES = faces()
MADE = np.clip(FACES[:, None] + RNG.uniform(-0.2, 0.2, (len(LABEL), 3, SIZE, SIZE, 1)), 0, 1)
MADE = MADE.astype("float32")
MADE[6] = PEAKS[0]  # Of carl's second face everything becomes anna.


class Known:
    """Stands in for an ExpressionRegenerator whose answers are known."""

    classes = CLASSES

    def __init__(self):
        self.logits = RNG.normal(size=(len(LABEL), 3)).astype("float32")
        self.distances = RNG.uniform(1, 2, (len(LABEL), 3)).astype("float32")

    def __call__(self, faces, training):
        assert training is False
        # Which of the faces these are.
        row = tf.argmin(
            tf.reduce_sum((faces[:, None] - tf.constant(FACES)) ** 2, axis=(2, 3, 4)), axis=1
        )
        answers = {"regenerated": MADE, "distances": self.distances, "logits": self.logits}
        return {name: tf.gather(tf.constant(values), row) for name, values in answers.items()}

    @staticmethod
    def classifier(faces, training):
        """Takes dark faces for anger, bright ones for joy."""
        assert training is False
        mean = keras.ops.mean(faces, axis=(1, 2, 3))
        return -keras.ops.abs(mean[:, None] - BASE.astype("float32"))


def batches(size=3):
    batch = {
        "face": FACES,
        "target": PEAKS[PERSON],
        "known": KNOWN[PERSON],
        "label": LABEL,
        "subject": [PEOPLE[i] for i in PERSON],
    }
    return tf.data.Dataset.from_tensor_slices(batch).batch(size)


@pytest.fixture(scope="module")
def known():
    return Known()


@pytest.fixture(scope="module")
def examined(known):
    return examine(known, batches())


def test_both_methods_answer_the_same_faces(known, examined):
    for method, answers in (
        ("cnn", known.logits.argmax(axis=1)),
        ("ia_gen", known.distances.argmin(axis=1)),
    ):
        (confusion,) = getattr(examined, method)
        expected = np.zeros((3, 3))
        for label, answer in zip(LABEL, answers, strict=True):
            expected[label, answer] += 1
        np.testing.assert_array_equal(confusion.matrix, expected)
    assert examined.faces == 7 and examined.methods == ["cnn", "ia_gen"]


def test_regenerated_faces_are_read_by_the_classifier(examined):
    expected = np.zeros((3, 3))
    answers = np.abs(MADE.mean(axis=(2, 3, 4))[..., None] - BASE).argmin(axis=-1)
    for own in answers:
        for made_for, answer in enumerate(own):
            expected[made_for, answer] += 1
    np.testing.assert_array_equal(examined.regenerated[0].matrix, expected)


def test_regenerated_faces_are_compared_with_everyones_peaks(examined):
    """By hand: mean over a person's known peaks of the root mean squared difference."""
    nearest, nearer = [], []
    for made, person in zip(MADE, PERSON, strict=True):
        for face in made:
            distance = [
                np.mean(
                    [np.sqrt(np.mean((face - PEAKS[p, c]) ** 2.0)) for c in range(3) if KNOWN[p, c]]
                )
                for p in range(3)
            ]
            others = [d for p, d in enumerate(distance) if p != person]
            nearest.append(distance[person] < min(others))
            nearer += [distance[person] < d for d in others]
    assert 0.5 < np.mean(nearest) < 1
    assert examined.figures["nearest"] == pytest.approx(np.mean(nearest))
    assert examined.figures["nearer"] == pytest.approx(np.mean(nearer))
    assert examined.figures["persons"] == 3


def test_psnr_is_over_the_known_peaks_that_are_not_the_face_itself(examined):
    ratios = {"psnr": [], "psnr_input": []}
    for face, made, person in zip(FACES, MADE, PERSON, strict=True):
        for c in np.flatnonzero(KNOWN[person]):
            peak = PEAKS[person, c]
            if np.array_equal(face, peak):
                continue
            for name, image in (("psnr", made[c]), ("psnr_input", face)):
                ratios[name].append(-10 * np.log10(np.mean((image - peak) ** 2.0)))
    assert len(ratios["psnr"]) == 3 * 3 - 1 + 2 * 2 + 2 * 1
    for name, values in ratios.items():
        assert examined.figures[name] == pytest.approx(np.mean(values), rel=1e-5)


def test_a_lone_person_is_nearest_to_nobody():
    alone = batches(7).map(lambda batch: {name: value[:3] for name, value in batch.items()})
    figures = examine(Known(), alone).figures
    assert np.isnan(figures["nearest"]) and np.isnan(figures["nearer"])
    assert figures["persons"] == 1


def test_a_face_of_each_class_is_kept_of_other_people_first(examined):
    """Anna's anger; her fear, as nobody else shows any; joy of bert, who is new."""
    kept = [(face["subject"], face["label"]) for face in examined.examples]
    assert kept == [("anna", 0), ("anna", 1), ("bert", 2)]
    for face, row in zip(examined.examples, (0, 1, 4), strict=True):
        np.testing.assert_array_equal(face["face"], FACES[row])
        np.testing.assert_array_equal(face["regenerated"], MADE[row])
        np.testing.assert_array_equal(face["known"], KNOWN[PERSON[row]])


def test_the_classifier_alone(known):
    network = keras.Sequential([keras.Input((SIZE, SIZE, 1)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3))
    network.classes = CLASSES
    (found,) = examine_classifier(network, batches()).cnn
    answers = np.asarray(network(FACES)).argmax(axis=1)
    assert found.accuracy == pytest.approx(np.mean(answers == LABEL))
    with pytest.raises(ValueError, match="at least one face. Received: none"):
        examine_classifier(network, batches().take(0))
    with pytest.raises(ValueError, match="at least one face. Received: none"):
        examine(known, batches().take(0))


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def made(cnn, ia_gen, figures=None):
    """What a run would have reached on four faces of two classes."""
    two = ("anger", "joy")
    confusions = ([Confusion(two, matrix)] for matrix in (cnn, ia_gen, [[3, 1], [0, 4]]))
    usual = {"nearest": 0.75, "nearer": 0.9, "psnr": 25.25, "psnr_input": 24.0, "persons": 3.0}
    return Examined(*confusions, {**usual, **(figures or {})})


@pytest.fixture
def run():
    return made([[1, 1], [0, 2]], [[2, 0], [0, 2]])


def test_metrics_are_strict_json(run):
    metrics = json.loads(json.dumps(run.metrics(), allow_nan=False))
    assert metrics["accuracy"] == {"cnn": 0.75, "ia_gen": 1.0}
    assert metrics["accuracy_spread"] == {"cnn": None, "ia_gen": None}
    assert metrics["per_class"]["cnn"] == {
        "precision": {"anger": 1.0, "joy": pytest.approx(2 / 3)},
        "recall": {"anger": 0.5, "joy": 1.0},
        "f1": {"anger": pytest.approx(2 / 3), "joy": pytest.approx(0.8)},
    }
    assert metrics["regenerated"] == {
        **{"as_intended": 0.875, "chance": 0.5, "nearest": 0.75, "nearer": 0.9, "persons": 3.0},
        **{"psnr": 25.25, "psnr_input": 24.0},
        "as_intended_per_class": {"anger": 0.75, "joy": 1.0},
    }


def test_fer_net_alone_has_no_other_figures():
    alone = Examined([Confusion(("anger", "joy"), [[1, 1], [0, 2]])])
    metrics = json.loads(json.dumps(alone.metrics(), allow_nan=False))
    assert metrics["accuracy"] == {"cnn": 0.75, "ia_gen": None}
    assert list(metrics["per_class"]) == ["cnn"] and "regenerated" not in metrics
    assert len(Evaluation({"fer_net": alone}).lines()) == 3


def test_folds_are_averaged(run):
    other = made([[1, 1], [1, 1]], [[2, 0], [1, 1]], {"nearest": 0.25, "psnr": np.nan})
    both = average([run, other])
    metrics = both.metrics()
    assert metrics["accuracy"] == {"cnn": 0.625, "ia_gen": 0.875}
    assert metrics["accuracy_spread"]["cnn"] == pytest.approx(np.std([0.75, 0.5], ddof=1))
    assert metrics["regenerated"]["nearest"] == 0.5 and metrics["regenerated"]["psnr"] == 25.25
    assert both.faces == 8 and "0.625 ± 0.177" in Evaluation({"a": both}).lines()[2]
    with pytest.raises(ValueError, match="`examined`, at least one"):
        average([run, Examined(run.cnn)])


def test_tables_hold_the_figures(run, tmp_path):
    Evaluation({"fer_net": run}).write(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    tables = ["accuracy", "classes", "confusion_cnn", "confusion_ia_gen", "regenerated"]
    pictures = {f"{name}.png" for name in (*tables[2:], "precision", "f1")}
    assert names == {
        "scores.json",
        *pictures,
        *(f"{name}{suffix}" for name in tables for suffix in (".csv", ".md")),
    }
    assert read(tmp_path / "accuracy.csv") == [
        ["method", "accuracy", "balanced accuracy", "faces"],
        ["CNN (baseline)", "0.750", "0.750", "4"],
        ["IA-gen", "1.000", "1.000", "4"],
    ]
    header, anger, joy = read(tmp_path / "classes.csv")
    assert header[:4] == ["class", "faces", "precision CNN (baseline)", "precision IA-gen"]
    assert anger == ["anger", "2", "1.000", "1.000", "0.500", "1.000", "0.667", "1.000"]
    assert joy[2] == "0.667"
    assert read(tmp_path / "regenerated.csv")[1] == ["anger", "75.0", "25.0", "4"]


def test_lines_say_what_was_reached(run):
    *rows, said = Evaluation({"fer_net": run}).lines()
    titles = [row.split("|")[1].strip() for row in rows]
    assert titles == ["method", "-" * 16, "CNN (baseline)", "IA-gen"]
    assert said == (
        "regenerated faces: taken by the CNN for what they were made for 0.875 (chance 0.500); "
        "nearest to their own person 0.750 of 3 persons; nearer to it than to another 0.900; "
        "PSNR to the real peak 25.25 dB, of the face as it was 24.00 dB"
    )


def test_what_was_examined_is_drawn_and_read_again(run, examined, tmp_path):
    Evaluation({"fer_net": examined}).write(tmp_path / "one")
    for name, rows, columns in (("sheet", 3, 4), ("beside_real", 6, 4)):
        with Image.open(tmp_path / "one" / f"{name}.png") as picture:
            assert picture.width > 180 * columns and picture.height > 180 * rows
    content = json.loads((tmp_path / "one/scores.json").read_text())["scores"]["fer_net"]
    assert Examined.from_dict(content).metrics() == examined.metrics()

    Evaluation({"runs/a": run, "b": run}).write(tmp_path / "two")
    assert (tmp_path / "two/runs_a_confusion_cnn.csv").exists()
    assert [row[0] for row in read(tmp_path / "two/accuracy.csv")[1:]] == [
        "runs/a: CNN (baseline)",
        "runs/a: IA-gen",
        "b: CNN (baseline)",
        "b: IA-gen",
    ]


def test_runs_must_be_of_the_same_classes(run, examined):
    with pytest.raises(ValueError, match="`scores`, at least one, .* same classes"):
        Evaluation({"a": run, "b": examined})
    with pytest.raises(ValueError, match="at least one"):
        Evaluation({})
