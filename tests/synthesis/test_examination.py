"""What is read off edited faces: labels dealt anew, scores, the table of changes, what stays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.facs.landmarks import mean_face
from tfface.facs.regions import attention_maps
from tfface.synthesis.evaluation import Evaluation, enrichment_table
from tfface.synthesis.examination import (
    Examined,
    examine,
    exchanged_labels,
    recognized,
    regions_apart,
)
from tfface.synthesis.networks import LACGenerator

SIZE, AUS = 24, (1, 12, 17)
NAN = np.nan


def test_labels_are_dealt_anew_within_each_subject():
    rng = np.random.default_rng(0)
    subjects = np.array([b"a", b"b", b"a", b"b", b"a", b"c", b"b", b"b"])
    labels = np.arange(8 * 3).reshape(8, 3).astype("float32")  # every vector is its own
    dealt = exchanged_labels(labels, subjects, seed=3)
    for subject in (b"a", b"b"):
        rows = subjects == subject
        assert {tuple(v) for v in dealt[rows]} == {tuple(v) for v in labels[rows]}
        assert not (dealt[rows] == labels[rows]).all(axis=1).any()
    np.testing.assert_array_equal(dealt[5], labels[5])
    np.testing.assert_array_equal(exchanged_labels(labels, subjects, 3), dealt)
    others = [exchanged_labels(labels, subjects, int(seed)) for seed in rng.integers(100, size=5)]
    assert any((other != dealt).any() for other in others)


def test_regions_apart_are_those_that_share_no_pixel():
    apart = regions_apart((1, 2, 12, 15, 17), 100)
    # The brows do not meet the mouth; the corners of the lips are AU 12's and AU 15's place.
    assert apart[0, 2] and apart[1, 4] and not apart[2, 3]
    assert not apart.diagonal().any() and (apart == apart.T).all()


class Brightness(keras.Model):
    """Reads AU k off the mean of the face over its region on the mean face: logit 20 (mean - 1/2).

    So what it answers of an edited face is known.
    """

    def __init__(self, action_units):
        face = keras.Input((SIZE, SIZE, 3))
        maps = attention_maps(None, action_units, SIZE) > 0
        shares = (maps / maps.sum(axis=(1, 2), keepdims=True)).reshape(len(action_units), -1)
        grey = keras.ops.reshape(keras.ops.mean(face, axis=-1), (-1, SIZE * SIZE))
        super().__init__(face, 20 * (keras.ops.matmul(grey, shares.T.astype("float32")) - 0.5))
        self.action_units = tuple(action_units)


def painter():
    """A generator that paints white where an AU is to be present, and black where absent."""
    generator = LACGenerator(AUS, SIZE, (1, 1, 1, 1, 1), latent_size=2, region="full")
    decoder = generator.decoder
    for weight in decoder.trainable_weights:
        weight.assign(weight * 0)
    # The label's sign goes straight through: positive units of the seed, and one tap each on.
    seed = decoder.get_layer("seed")
    kernel = np.zeros(seed.kernel.shape)
    kernel[:, 2] = 1.0  # [z, z, l, -l]
    seed.kernel.assign(kernel)
    for i in range(5):
        layer = decoder.get_layer(f"decode_{i}")
        layer.kernel.assign(np.full(layer.kernel.shape, 5.0))
    decoder.get_layer("decode_4").bias.assign(
        np.full(decoder.get_layer("decode_4").bias.shape, -50)
    )
    return generator


@pytest.fixture(scope="module")
def examined():
    rng = np.random.default_rng(1)
    faces = rng.uniform(0.2, 0.6, (7, 1, 1, 1)) + np.zeros((7, SIZE, SIZE, 3))
    labels = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]])
    content = {
        "face": faces.astype("float32"),
        "landmarks": np.tile(mean_face(SIZE), (7, 1, 1)),
        "au": labels.astype("float32"),
        "subject": np.array([b"a"] * 4 + [b"b"] * 3),
    }
    batches = tf.data.Dataset.from_tensor_slices(content).batch(3)
    targets = exchanged_labels(content["au"], content["subject"], 0)
    generator, recognizer = painter(), Brightness((17, 12, 1))
    found = examine(generator, recognizer, batches, targets, AUS)
    return found, content, targets, generator, recognizer, batches


def test_what_is_painted_as_asked_is_read_as_asked(examined):
    found, content, targets, *_ = examined
    assert found.action_units == AUS and found.faces == 7
    np.testing.assert_array_equal(found.scores["synthesis"].accuracy, 1)
    assert found.untouched_max_change == 0
    means = content["face"].mean(axis=(1, 2, 3)) >= 0.5
    for name, wanted in (("real", content["au"]), ("unedited", targets)):
        hits = (means[:, None] == (wanted == 1)).mean(axis=0)
        np.testing.assert_allclose(found.scores[name].accuracy, hits, atol=1e-6)
    real = found.scores["real"].accuracy
    np.testing.assert_allclose(found.gap("accuracy"), real - 1, atol=1e-6)


def test_the_table_of_changes_is_the_mean_over_faces_without_the_unit(examined):
    found, content, _, generator, recognizer, _ = examined
    order = [recognizer.action_units.index(number) for number in AUS]

    def read(faces):
        logits = np.asarray(recognizer(faces), np.float64)[:, order]
        return 1 / (1 + np.exp(-logits))

    for i in range(3):
        rest = content["au"][:, i] == 0
        wish = np.full((rest.sum(), 3), NAN)
        wish[:, i] = 1
        faces = content["face"][rest]
        edited = np.asarray(generator.edit(faces, wish, content["landmarks"][rest]))
        expected = (read(edited) - read(faces)).mean(axis=0)
        np.testing.assert_allclose(found.changes[i], expected, atol=1e-5)
    np.testing.assert_array_equal(found.own_change(), found.changes.diagonal())
    assert found.own_change().min() > 0.3
    # AU 1 at the brow is far from the mouth and the chin.
    assert found.elsewhere()[0] == np.abs(found.changes[0, 1:]).max() < 1e-6


def test_examined_comes_back_from_json(examined):
    found = examined[0]
    again = Examined.from_dict(found.to_dict())
    np.testing.assert_allclose(again.changes, found.changes)
    np.testing.assert_array_equal(again.apart, found.apart)
    assert again.scores.keys() == found.scores.keys() and again.faces == 7
    assert (again.action_units, again.untouched_max_change) == (AUS, 0)


def test_an_outside_change_is_measured(examined):
    """A generator that touches what nobody asked for is found out."""
    _, _, targets, generator, recognizer, batches = examined
    corner = np.zeros((1, SIZE, SIZE, 1), "float32")
    corner[0, 0, 0] = 0.125

    class Careless:
        action_units, size = generator.action_units, generator.size
        inputs, get_config = generator.inputs, generator.get_config

        def __call__(self, given, training=False):
            return generator(given, training=training) + corner

    found = examine(Careless(), recognizer, batches, targets, AUS, change_faces=1)
    assert found.untouched_max_change == pytest.approx(0.125)


def test_tables_and_metrics(examined, tmp_path):
    found = examined[0]
    evaluation = Evaluation({"crop": found})
    (metrics,) = evaluation.metrics().values()
    assert metrics["accuracy"]["synthesis"] == 1 and metrics["untouched_max_change"] == 0
    gap = metrics["accuracy"]["real"] - 1
    assert metrics["accuracy"]["gap"] == pytest.approx(gap)
    one = metrics["per_au"]["12"]
    assert one["change"] == pytest.approx(found.changes[1, 1])
    assert one["f1"]["gap"] == pytest.approx(one["f1"]["real"] - one["f1"]["synthesis"])
    lines = evaluation.lines()
    assert any("own above elsewhere for 3 of 3 AUs" in line for line in lines)
    assert lines[-1] == "largest change of an untouched pixel: 0"
    evaluation.write(tmp_path)
    names = {"averages", "action_units", "changes"}
    assert {path.stem for path in tmp_path.iterdir()} == names | {"scores"}
    header, *rows = (tmp_path / "changes.csv").read_text().splitlines()
    assert header == "switched on,AU1,AU12,AU17,largest elsewhere" and len(rows) == 3
    with pytest.raises(ValueError, match="`scores` must hold at least one"):
        Evaluation({})


def test_an_enriched_recognizer_beside_the_other(examined):
    *_, recognizer, batches = examined
    scores = recognized(recognizer, batches, AUS)
    np.testing.assert_array_equal(scores.f1, examined[0].scores["real"].f1)
    (header, rows), figures = enrichment_table({"without": scores, "with": scores}, (1, 17))
    assert header == ["AU", "F1 without synthetic faces", "F1 with synthetic faces"]
    assert [row[0] for row in rows] == [
        *("1 (enriched)", "12", "17 (enriched)", "Avg of the enriched", "Avg")
    ]
    assert figures["with"]["rare_f1"] == pytest.approx(np.nanmean(scores.f1[[0, 2]]))
    assert figures["action_units"] == [1, 17]


def test_what_does_not_fit_is_named(examined):
    _, _, targets, generator, recognizer, batches = examined
    with pytest.raises(ValueError, match=r"`recognizer` must know at least one.*\[4\]"):
        examine(generator, Brightness((4,)), batches, targets, AUS)
    with pytest.raises(ValueError, match=r"`action_units` must have all.*without \[17\]"):
        examine(generator, recognizer, batches, targets, AUS[:2])
    small = LACGenerator(AUS, 16, (1, 1, 1, 1, 1), latent_size=2)
    with pytest.raises(ValueError, match="`recognizer` must take faces of the generator's 16"):
        examine(small, recognizer, batches, targets, AUS)
