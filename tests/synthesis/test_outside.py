"""Faces for a detector from outside, and its csv files back: OpenFace's columns, gaps in them."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.data.photos import read_photo
from tfface.facs.landmarks import mean_face
from tfface.synthesis.evaluation import Evaluation
from tfface.synthesis.examination import Examined
from tfface.synthesis.networks import LACGenerator
from tfface.synthesis.outside import examine_outside, read_decisions, write_faces

SIZE, AUS = 16, (1, 12)
NAN = np.nan


def write_csv(path, header, *rows):
    path.write_text("\n".join(", ".join(map(str, row)) for row in [header, *rows]) + "\n")
    return path


def test_both_sets_are_written_with_their_labels(tmp_path):
    keras.utils.set_random_seed(0)
    generator = LACGenerator(AUS, SIZE, (1, 2, 2, 2, 2), latent_size=2)
    rng = np.random.default_rng(0)
    content = {
        "face": rng.uniform(size=(3, SIZE, SIZE, 3)).astype("float32"),
        "landmarks": np.tile(mean_face(SIZE), (3, 1, 1)),
        "au": np.array([[0, NAN], [1, 1], [0, 1]], "float32"),
        "subject": np.array([b"a", b"a", b"b"]),
    }
    batches = tf.data.Dataset.from_tensor_slices(content).batch(2)
    targets = np.array([[1, 1], [0, NAN], [0, 1]], "float32")
    write_faces(tmp_path, generator, batches, targets, AUS)
    edited = np.asarray(generator.edit(content["face"], targets, content["landmarks"]))
    for name, faces in (("real", content["face"]), ("synthesis", edited)):
        for i, face in enumerate(faces, start=1):
            found = read_photo(tmp_path / name / f"{i:06d}.png")
            np.testing.assert_allclose(found, face * 255, atol=0.51)
    with (tmp_path / "synthesis" / "labels.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["file", "subject", "AU01_c", "AU12_c"],
            ["000001.png", "a", "1", "1"],
            ["000002.png", "a", "0", ""],
            ["000003.png", "b", "0", "1"],
        ]
    # A detector that answers with the labels themselves finds all that is known.
    labels = [tmp_path / name / "labels.csv" for name in ("real", "synthesis")]
    known = write_csv(
        tmp_path / "known.csv",
        ["file", "AU01_c", "AU12_c"],
        *(["000001.png", 0, 1], ["000002.png", 1, 1], ["000003.png", 0, 1]),
    )
    examined, missed = examine_outside([known, known], content["au"], targets, AUS)
    assert missed == {"real": 0, "synthesis": 0} and examined.action_units == AUS
    np.testing.assert_array_equal(examined.scores["real"].accuracy, [1, 1])
    np.testing.assert_allclose(examined.scores["synthesis"].accuracy, [1 / 3, 1])
    assert all(path.is_file() for path in labels)


def test_columns_of_openface(tmp_path):
    """Spaces after commas; frames from 1; failures and further faces; AUs that it lacks."""
    path = write_csv(
        tmp_path / "openface.csv",
        ["frame", "face_id", "success", "AU01_r", "AU12_r", "AU12_c", "AU01_c", "AU45_c"],
        [2, 0, 1, 0.3, 2.0, 1.0, 0.0, 1],
        [2, 1, 1, 0.3, 2.0, 0.0, 1.0, 1],
        [3, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 1, 5, 0, 0, 1, 0],
    )
    units, decisions = read_decisions(path, (1, 12, 24), 4)
    assert units == (1, 12)
    np.testing.assert_array_equal(decisions, [[1, 0], [0, 1], [NAN, NAN], [NAN, NAN]])


def test_faces_that_were_not_read_are_counted_and_not_scored(tmp_path):
    labels = np.array([[1, 0], [0, 0], [1, NAN]], "float32")
    real = write_csv(tmp_path / "r.csv", ["frame", "AU01_c", "AU12_c"], [1, 1, 1], [3, 0, 0])
    fake = write_csv(tmp_path / "s.csv", ["frame", "AU01_c"], [1, 1], [2, 0], [3, 1])
    examined, missed = examine_outside([real, fake], labels, labels, AUS)
    assert examined.action_units == (1,) and missed == {"real": 1, "synthesis": 0}
    assert examined.scores["real"].accuracy == [0.5]
    assert examined.scores["synthesis"].accuracy == [1]
    again = Examined.from_dict(examined.to_dict())
    assert again.changes is None and again.untouched_max_change is None
    evaluation = Evaluation({"outside": examined})
    assert evaluation.metrics()["outside"]["accuracy"]["gap"] == -0.5
    evaluation.write(tmp_path / "out")
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert names == {"averages", "action_units", "scores"}
    assert len(evaluation.lines()) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "`path` must have a column `file` or `frame`.*with nothing"),
        ("frame,AU12_r\n1,2\n", "one of `AU<nn>_c`.*with frame, AU12_r"),
        ("AU12_c\n1\n", "`path` must have a column `file` or `frame`"),
        ("frame,AU12_c\n3,1\n", "rows of the pictures 1 to 2.*line 2: frame '3'"),
        ("file,AU12_c\nface.png,1\n", "rows of the pictures 1 to 2.*file 'face.png'"),
        ("frame,AU12_c\n1,yes\n", "a number for each AU.*line 2"),
        ("frame,AU12_c\n1\n", "a number for each AU.*line 2"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, message):
    path = tmp_path / "d.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_decisions(path, AUS, 2)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="`path` must be a csv file.*absent.csv"):
        read_decisions(tmp_path / "absent.csv", AUS, 2)
