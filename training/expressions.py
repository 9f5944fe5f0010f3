"""The faces that a regeneration run trains and tests on, with their persons' peaks."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from configuration import UsageError, asked
from jsonargparse.typing import PositiveInt

from tfface.data.folds import Fold
from tfface.data.pairs import FacePairs
from tfface.data.source import FaceSource
from tfface.data.targets import ExpressionTargets, expression_targets, peak_faces
from tfface.regeneration.data import evaluation_batches, evaluation_faces

_BATCH = 32  # test faces


@dataclass(kw_only=True)
class ExpressionsConfig:
    """Which expressions there are, and how faces are cut."""

    classes: list[str] | None = None
    """Expressions, in the order of their numbers; null is the data set's own."""
    frames: PositiveInt = 3
    """Frames of a sequence, the nearest to its peak, that show its class: FER-Net learns them, and
    they are tested."""
    missing: Literal["error", "skip"] = "error"
    """skip lets people without one of the expressions train the others' cGANs."""
    size: PositiveInt = 64
    """Side in pixels of what all networks take; faces are read 6 larger, and cut."""
    channels: Literal[1, 3] = 1
    """1 makes faces gray, as in the paper."""
    augment: bool = True
    """Change training faces by one of 110 rotations, cuts and mirrorings (Sec. IV-A)."""

    def cut(self):
        """How faces are cut, as `regeneration.data` takes it."""
        return {"size": self.size, "channels": self.channels}


@dataclass(frozen=True)
class Expressions:
    """A data set's faces, as regeneration takes them.

    Args:
        source: The data set.
        fold: The fold.
        config: Values of ExpressionsConfig.
        learners: FacePairs of the training faces that show a class, for FER-Net.
        targets: ExpressionTargets of all training faces, of the classes to train; None for FER-Net
            alone.
        tested: The test faces, ExpressionTargets or, for FER-Net alone, FacePairs.
    """

    source: FaceSource
    fold: Fold
    config: object
    learners: FacePairs
    targets: ExpressionTargets | None
    tested: ExpressionTargets | FacePairs

    @property
    def classes(self):
        """Names of all classes."""
        return tuple(self.learners.classes)

    @property
    def test(self):
        """Batches of the test faces, each beside its person's peaks."""
        return evaluation_batches(self.tested, batch_size=_BATCH, **self._cut)

    @property
    def shown(self):
        """Batches of the test faces by themselves."""
        return self._faces(self.fold.test)

    @cached_property
    def validation(self):
        """Batches of the validation faces, or None without any."""
        splits = self.fold.validation
        if not splits:
            return None
        if self.targets is None:
            return self._faces(splits)
        beside = _beside(self.source, splits, self.classes, self.config, "any")
        return evaluation_batches(beside, batch_size=_BATCH, **self._cut)

    def some_of_test(self, count=6):
        """The middle of a few test faces from all over the set, as a batch."""
        everyone = peak_faces(self.source, self.fold.test, self.classes, self.config.frames)
        chosen = everyone.take(np.unique(np.linspace(0, len(everyone) - 1, count).astype(int)))
        return next(iter(evaluation_faces(chosen, batch_size=count, **self._cut)))

    @property
    def _cut(self):
        return ExpressionsConfig.cut(self.config)

    def _faces(self, splits):
        faces = peak_faces(self.source, splits, self.classes, self.config.frames)
        return evaluation_faces(faces, batch_size=_BATCH, **self._cut)


def open_expressions(run, chosen, targets):
    """The run's data set as regeneration takes it; says how many faces there are.

    Args:
        run: The Run; its config has `data` and `faces`.
        chosen: Classes whose cGANs are trained, None for all.
        targets: Whether people's peaks are wanted; without, faces of nobody known will do.

    Returns:
        Expressions.
    """
    config = run.config.faces
    source, fold = run.open_data()
    learners = asked(peak_faces, source, fold.train, config.classes, config.frames)
    classes = learners.classes
    if absent := [n for i, n in enumerate(classes) if i not in learners.label]:
        raise UsageError(f"the training faces show no {', '.join(absent)}; leave it out of classes")
    run.say(f"data: {len(learners)} training faces show one of {len(classes)} classes")
    if not targets:
        tested = asked(peak_faces, source, fold.test, classes, config.frames)
        return Expressions(source, fold, config, learners, None, tested)
    everyone = asked(_beside, source, fold.train, classes, config, config.missing)
    left_out = ", ".join(f"{count} {reason}" for reason, count in everyone.skipped.items())
    run.say(
        f"data: {len(everyone)} training faces beside their person's peaks"
        + (f"; left out: {left_out}" if left_out else "")
    )
    own = asked(everyone.of_classes, chosen) if chosen else everyone
    tested = asked(_beside, source, fold.test, classes, config, "any")
    if not tested.shown_count():
        raise UsageError("no test face shows one of the classes")
    return Expressions(source, fold, config, learners, own, tested)


def _beside(source, splits, classes, config, missing):
    return expression_targets(source, splits, classes, config.frames, missing)
