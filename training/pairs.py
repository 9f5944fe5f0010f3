"""The weak faces and peaks that a magnification run trains and tests on.

Peaks come with their sequences (CK+, Oulu-CASIA), or a classifier that was trained on all faces
picks them (LSEMSW, Sec. 4.1). Several data sets of sequences can be mixed (Table 1).
"""

from dataclasses import dataclass, field
from typing import Literal

import keras
import numpy as np
from configuration import RunError, UsageError, asked
from jsonargparse.typing import OpenUnitInterval, PositiveInt

from tfface.data.folds import Fold
from tfface.data.pairing import (
    WEAK_FRAMES,
    labeled_faces,
    peak_pairs,
    sequence_pairs,
    with_peaks_of,
)
from tfface.data.pairs import FacePairs
from tfface.data.source import FaceSource
from tfface.magnification.data import check_parts, evaluation_faces


@dataclass(kw_only=True)
class PairsConfig:
    """Which faces are weak, and which are their peaks."""

    kind: Literal["sequences", "picked"] = "sequences"
    """sequences end with their peak; picked peaks are the faces that a classifier, trained on all,
    recognizes most surely."""
    weak_frames: list[PositiveInt] = field(default_factory=lambda: list(WEAK_FRAMES))
    """Positions in a sequence, from 1, of the weak faces."""
    peak_share: OpenUnitInterval = 0.1
    """Share of a class's faces that is picked as peaks."""
    classes: list[str] | None = None
    """Expressions to learn, in the order of their numbers; null is what all data sets share."""
    mixed_with: list[str] = field(default_factory=list)
    """Further data sets of sequences, mixed with the first."""
    size: PositiveInt = 144
    """Side in pixels that faces are resized to."""
    crop: PositiveInt = 128
    """Side of the square that is cut out of them, and of what all networks take."""
    flip: bool = True
    """Mirror half of the training pairs."""

    def cut(self):
        """How faces are cut, as `magnification.data` takes it."""
        return {"size": self.size, "crop": self.crop}


@dataclass(frozen=True)
class Part:
    """One data set, its fold of it and its pairs.

    Args:
        source: The data set.
        fold: The fold.
        train: FacePairs of the training faces; of a set whose peaks are yet to be picked, every
            face with itself.
        test: FacePairs of the test faces; None where peaks are yet to be picked.
        validation: FacePairs, or None without such faces.
    """

    source: FaceSource
    fold: Fold
    train: FacePairs
    test: FacePairs | None = None
    validation: FacePairs | None = None


def open_parts(run):
    """The run's data sets with their pairs; says how many there are and what was left out.

    Args:
        run: The Run; its config has `data` and `pairs`.

    Returns:
        List of Part.
    """
    pairs = run.config.pairs
    if pairs.kind == "picked" and pairs.mixed_with:
        raise UsageError("pairs.mixed_with is for sequences; pairs.kind is picked")
    names = [run.config.data.dataset, *pairs.mixed_with]
    if len(set(names)) < len(names):
        raise UsageError(
            f"pairs.mixed_with must name other data sets, none twice. Received: {pairs.mixed_with}"
        )
    opened = [run.open_data(), *(run.open_data(name) for name in pairs.mixed_with)]
    _check_people(opened)
    classes = pairs.classes or _shared([source for source, _ in opened])
    if pairs.kind == "picked":
        ((source, fold),) = opened
        parts = [Part(source, fold, asked(labeled_faces, source, fold.train, classes))]
    else:
        parts = [
            _sequences(run, source, fold, classes, f" of {name}" if len(names) > 1 else "")
            for name, (source, fold) in zip(names, opened, strict=True)
        ]
    asked(check_parts, [part.train for part in parts], **PairsConfig.cut(pairs))
    return parts


def pick(run, part, classifier):
    """`part` with the peaks that a classifier picks among its training faces.

    Args:
        run: The Run.
        part: A Part that `open_parts` made of a set without sequences.
        classifier: ExpressionNet, trained on all training faces.

    Returns:
        Part whose test faces, all of them, stand beside peaks of their class from the training
        faces: there are no others to compare with.
    """
    pairs, source, train = run.config.pairs, part.source, part.train
    faces = evaluation_faces(source, train.splits, batch_size=64, **PairsConfig.cut(pairs))
    probabilities = np.concatenate(
        [keras.ops.softmax(classifier(batch, training=False)) for batch in faces]
    )
    recognized = train.label[probabilities[train.weak].argmax(axis=1) == train.label]
    if lost := [name for i, name in enumerate(train.classes) if i not in recognized]:
        raise RunError(
            "the classifier recognizes no training face that could be picked as a peak of "
            f"{', '.join(lost)}; train it longer (classifier_training), with another --out"
        )
    picked = asked(
        peak_pairs,
        source,
        train.splits,
        probabilities,
        share=pairs.peak_share,
        seed=run.config.seed,
        classes=train.classes,
    )
    _say(run, "train", picked)
    beside = {
        name: asked(with_peaks_of, picked, splits, run.config.seed)
        for name in ("test", "validation")
        if (splits := getattr(part.fold, name))
    }
    return Part(source, part.fold, picked, **beside)


def _sequences(run, source, fold, classes, of):
    found = {
        name: asked(sequence_pairs, source, splits, classes, run.config.pairs.weak_frames)
        for name in ("train", "test", "validation")
        if (splits := getattr(fold, name))
    }
    for name, pairs in found.items():
        _say(run, name + of, pairs)
    return Part(source, fold, **found)


def _check_people(opened):
    """Raises UsageError if someone whom one set trains is tested or validated by another."""
    trained = set().union(*(source.people_of(fold.train) for source, fold in opened))
    others = set().union(
        *(source.people_of(fold.test + fold.validation) for source, fold in opened)
    )
    if known := trained & others:
        raise UsageError(
            "pairs.mixed_with must not bring people who test or validate into the training. "
            f"Received: {len(known)} of them"
        )


def _shared(sources):
    first, *others = sources
    return [name for name in first.expressions if all(name in o.expressions for o in others)]


def _say(run, name, pairs):
    left_out = ", ".join(f"{count} {reason}" for reason, count in pairs.skipped.items())
    run.say(
        f"data: {len(pairs)} pairs {name}, {len(np.unique(pairs.peak))} peaks"
        + (f"; left out: {left_out}" if left_out else "")
    )
