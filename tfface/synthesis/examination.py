"""What an action unit recognizer sees in synthesized faces: scores, side effects, untouched pixels.

**Real and synthesis (Table 1).** The synthetic test set has the subjects and the labels of the real
one. The paper does not say which face is made into which; choice: within each subject the label
vectors of all faces are dealt out anew, no face keeping its own (where there is more than one), and
every action unit (AU) of each face is switched to what its new vector says. The same vectors
against the faces as they were, before any editing, are "unedited": what editing has to beat.

**Changes.** AU i is switched on, and nothing else, in faces without it. Entry (i, j) of the table
is by how much that raises the recognizer's probability of AU j, the mean over these faces. AUs
whose regions do not meet on the mean face are apart: there a change is a side effect.

**Untouched.** The largest change of any pixel where no AU that was asked for has attention.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfface.facs.regions import attention_maps
from tfface.layers.regional import RegionalAttention
from tfface.scores import Predictions, Scores, score, without_nan

SETS = ("real", "synthesis", "unedited")
"""The three sets of faces that are scored."""


@dataclass(frozen=True)
class Examined:
    """What was read off one generator's faces.

    Args:
        action_units: Numbers of the n AUs that both the generator and the detector know.
        scores: Scores of each of `SETS`; an outside detector has no "unedited".
        changes: (n, n) float64: AU i (row) switched on, the change of the probability of AU j; NaN
            where no face lacked AU i. None of a detector that was not at hand.
        apart: (n, n) bool: the regions of AU i and AU j do not meet.
        untouched_max_change: Largest absolute change, in [0, 1], outside of what was asked.
    """

    action_units: tuple
    scores: dict
    changes: np.ndarray | None
    apart: np.ndarray | None
    untouched_max_change: float | None

    @property
    def faces(self):
        """How many faces were scored."""
        return self.scores["real"].faces

    def gap(self, figure):
        """Real minus synthesis of each AU, (n,): positive where synthetic faces are read worse."""
        return getattr(self.scores["real"], figure) - getattr(self.scores["synthesis"], figure)

    def own_change(self):
        """(n,): what switching each AU on does to its own probability."""
        return np.diag(self.changes)

    def elsewhere(self):
        """(n,): the largest absolute change of the probability of any AU that is apart from it."""
        beside = np.where(self.apart, np.abs(self.changes), np.nan)
        known = ~np.isnan(beside)
        return np.where(known.any(axis=1), np.where(known, beside, 0).max(axis=1), np.nan)

    def to_dict(self):
        """As JSON holds it."""
        return {
            "action_units": list(self.action_units),
            "scores": {name: scores.to_dict() for name, scores in self.scores.items()},
            "changes": None if self.changes is None else without_nan(self.changes),
            "apart": None if self.apart is None else self.apart.tolist(),
            "untouched_max_change": self.untouched_max_change,
        }

    @classmethod
    def from_dict(cls, content):
        """What `to_dict` was called on.

        Raises:
            KeyError: If something is missing.
        """
        changes, apart = content["changes"], content["apart"]
        return cls(
            tuple(content["action_units"]),
            {name: Scores.from_dict(scores) for name, scores in content["scores"].items()},
            None if changes is None else np.array(changes, np.float64),
            None if apart is None else np.array(apart, bool),
            content["untouched_max_change"],
        )


def exchanged_labels(labels, subjects, seed):
    """The label vectors of a set of faces, dealt out anew within each subject.

    Args:
        labels: (faces, n), NaN where unknown.
        subjects: (faces,), whose face each is.
        seed: Which deal.

    Returns:
        (faces, n): for each face the vector of another face of its subject; of a subject's only
        face its own.
    """
    rng = np.random.default_rng(seed)
    dealt = np.array(labels, np.float32)
    for subject in np.unique(subjects):
        rows = rng.permutation(np.flatnonzero(np.asarray(subjects) == subject))
        dealt[rows] = labels[np.roll(rows, 1)]
    return dealt


def examine(generator, recognizer, batches, targets, action_units, change_faces=200):
    """Edits every test face and reads the faces before and after.

    Args:
        generator: LACGenerator.
        recognizer: keras.Model of faces of the generator's size to AU logits, with `action_units`.
        batches: Finite `tf.data.Dataset` of dicts with `face`, `landmarks`, `au` and `subject`
            (`synthesis.data.evaluation_transform`).
        targets: (faces, labels), what each face is to show, in the order of the batches
            (`exchanged_labels`).
        action_units: AUs of the columns of `au` and `targets`.
        change_faces: Most faces that the table of changes is made of, evenly spread over all.

    Returns:
        Examined.

    Raises:
        ValueError: If the sizes differ, or no AU is known to generator, recognizer and labels.
    """
    common = _common(generator, recognizer, action_units)
    edit, read = editor(generator), _reader(recognizer, common)
    own = [list(action_units).index(number) for number in generator.action_units]
    labeled = [list(action_units).index(number) for number in common]
    places = [generator.action_units.index(number) for number in common]
    chosen = np.zeros(len(targets), bool)
    chosen[np.linspace(0, len(targets) - 1, min(change_faces, len(targets))).astype(int)] = True

    found = {"real": [], "synthesis": []}
    labels, subjects, untouched, seen = [], [], 0.0, 0
    changes, counts = np.zeros((len(common), len(common))), np.zeros(len(common))
    for batch in tqdm(batches, desc="evaluation", unit="batch", disable=None):
        face, landmarks, truth = batch["face"], batch["landmarks"], batch["au"].numpy()
        rows = slice(seen, seen + len(truth))
        seen = rows.stop
        edited, outside = edit(face, landmarks, targets[rows][:, own])
        untouched = max(untouched, float(outside))
        before = read(face).numpy()
        found["real"].append(before)
        found["synthesis"].append(read(edited).numpy())
        labels.append(truth)
        subjects += [subject.decode() for subject in batch["subject"].numpy()]
        for i, place in enumerate(places):
            rest = np.flatnonzero(chosen[rows] & (truth[:, labeled[i]] == 0))
            if len(rest):
                asked = np.full((len(rest), len(own)), np.nan, np.float32)
                asked[:, place] = 1.0
                edited, outside = edit(tf.gather(face, rest), tf.gather(landmarks, rest), asked)
                untouched = max(untouched, float(outside))
                changes[i] += (read(edited).numpy() - before[rest]).sum(axis=0)
                counts[i] += len(rest)
    truth, subjects = np.concatenate(labels)[:, labeled], np.array(subjects)
    probabilities = {name: np.concatenate(parts) for name, parts in found.items()}
    wanted = np.asarray(targets)[:, labeled]
    return Examined(
        common,
        {
            "real": score(Predictions(common, truth, probabilities["real"], subjects)),
            "synthesis": score(Predictions(common, wanted, probabilities["synthesis"], subjects)),
            "unedited": score(Predictions(common, wanted, probabilities["real"], subjects)),
        },
        np.where(counts[:, None] > 0, changes / np.maximum(counts, 1)[:, None], np.nan),
        regions_apart(common, generator.size, **_squares(generator)),
        untouched,
    )


def recognized(recognizer, batches, action_units):
    """How well a recognizer reads faces as they are.

    Args:
        recognizer: As in `examine`, and so the others.
        batches: As in `examine`.
        action_units: As in `examine`.

    Returns:
        Scores of the AUs that both know, in the order of `action_units`.
    """
    common = tuple(number for number in action_units if number in recognizer.action_units)
    read, labels, probabilities = _reader(recognizer, common), [], []
    for batch in batches:
        labels.append(batch["au"].numpy())
        probabilities.append(read(batch["face"]).numpy())
    columns = [list(action_units).index(number) for number in common]
    labels = np.concatenate(labels)[:, columns]
    return score(Predictions(common, labels, np.concatenate(probabilities), np.array([])))


def editor(generator):
    """A traced function that edits faces and measures what it should not have touched.

    Args:
        generator: LACGenerator.

    Returns:
        Function of faces (B, size, size, 3), landmarks (B, 68, 2) and values (B, n) to the edited
        faces and the largest absolute change of a pixel where no AU that is asked has attention.
    """
    attention = RegionalAttention(generator.action_units, generator.size, **_squares(generator))
    shapes = [tuple(generator.inputs[i].shape) for i in (0, 2, 1)]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes])
    def edit(faces, landmarks, values):
        edited = generator([faces, values, landmarks], training=False)
        asked = tf.cast(values >= 0, tf.float32)[:, None, None]
        reached = tf.reduce_any(attention(landmarks) * asked > 0, axis=-1, keepdims=True)
        outside = tf.where(reached, 0.0, tf.abs(edited - faces))
        return edited, tf.reduce_max(outside)

    return edit


def regions_apart(action_units, size, decay=0.56, extent=0.14):
    """Which AUs have regions that do not meet on the mean face: (n, n) bool."""
    maps = attention_maps(None, action_units, size, decay, extent) > 0
    flat = maps.reshape(len(action_units), -1).astype(np.int64)
    return flat @ flat.T == 0


def _squares(generator):
    config = generator.get_config()
    return {"decay": config["decay"], "extent": config["extent"]}


def _common(generator, recognizer, action_units):
    if recognizer.inputs[0].shape[1] != generator.size:
        raise ValueError(
            f"`recognizer` must take faces of the generator's {generator.size} pixels. "
            f"Received: one of {recognizer.inputs[0].shape[1]}"
        )
    if missing := set(generator.action_units) - set(action_units):
        raise ValueError(
            f"`action_units` must have all of the generator's. Received: without {sorted(missing)}"
        )
    common = tuple(n for n in generator.action_units if n in recognizer.action_units)
    if not common:
        raise ValueError(
            f"`recognizer` must know at least one of the generator's AUs, "
            f"{list(generator.action_units)}. Received: one of {list(recognizer.action_units)}"
        )
    return common


def _reader(recognizer, common):
    """A traced function of faces to the probabilities of the AUs in `common`."""
    columns = [list(recognizer.action_units).index(number) for number in common]

    @tf.function(input_signature=[tf.TensorSpec(recognizer.inputs[0].shape, tf.float32)])
    def read(faces):
        logits = recognizer(faces, training=False)
        return tf.gather(keras.ops.sigmoid(logits), columns, axis=1)

    return read
