"""`tfds build` entry of the `synthetic_faces` data set."""

import dataclasses
import functools
import itertools

import cv2
import tensorflow_datasets as tfds
from tqdm import tqdm

from tfface.data.datasets.base import FaceDatasetBuilder, deal_subjects
from tfface.data.datasets.workers import in_order
from tfface.data.schema import FACE_SIZE
from tfface.data.synthetic import SYNTHETIC_AUS, frames, sequences
from tfface.data.synthetic.recordings import SEQUENCE_LENGTH
from tfface.facs.action_units import BP4D_AUS
from tfface.facs.expressions import CK_PLUS_EXPRESSIONS


@dataclasses.dataclass(eq=False)
class SyntheticConfig(tfds.core.BuilderConfig):
    """Which synthetic faces, and how many.

    Attributes:
        subjects: Number of people.
        frames_per_subject: Frames of spontaneous behavior a person (as BP4D: 12 AUs, no expression
            labels). None gives posed sequences instead (as CK+: the seven expressions, 12 frames
            each from neutral to peak, all AUs).
        shown: Which of those 12 frames, from 0, are drawn.
        one_sitting: Whether a person's sequences share light, background and first pose.
        seed: Seed of everything; the same seed gives the same bytes.
    """

    subjects: int = 41
    frames_per_subject: int | None = None
    shown: tuple[int, ...] = tuple(range(SEQUENCE_LENGTH))
    one_sitting: bool = False
    seed: int = 0

    def __post_init__(self):
        if not self.shown or list(self.shown) != sorted(
            set(self.shown) & set(range(SEQUENCE_LENGTH))
        ):
            raise ValueError(
                f"`shown` must be ascending frames from 0 to {SEQUENCE_LENGTH - 1}. "
                f"Received: {self.shown}."
            )
        for name, value in (("subjects", self.subjects), ("frames_per_subject", self.frames)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {value}.")

    @property
    def frames(self) -> int:
        """Frames a person."""
        if self.frames_per_subject is None:
            return len(self.shown) * len(CK_PLUS_EXPRESSIONS)
        return self.frames_per_subject


class Builder(FaceDatasetBuilder):
    """Procedural faces with exact labels, made on the spot; see README.md."""

    BUILDER_CONFIGS = [  # noqa: RUF012  (TFDS's own way to declare it)
        SyntheticConfig(name="frames_small", subjects=41, frames_per_subject=40),
        SyntheticConfig(name="frames_many", subjects=150, frames_per_subject=20),
        SyntheticConfig(name="frames_full", subjects=41, frames_per_subject=400),
        SyntheticConfig(name="sequences_small", subjects=20),
        SyntheticConfig(name="sequences_weak", subjects=76, shown=(0, 5, 6, 7, 11)),
        SyntheticConfig(name="sequences_peaks", subjects=80, shown=(0, 7, 11), one_sitting=True),
        SyntheticConfig(name="sequences_full", subjects=123),
    ]

    @property
    def _posed(self) -> bool:
        return self.builder_config.frames_per_subject is None

    @property
    def _action_units(self) -> tuple[int, ...]:
        return SYNTHETIC_AUS if self._posed else BP4D_AUS

    def _n_action_units(self):
        return len(self._action_units)

    def _split_generators(self, dl_manager):
        config = self.builder_config
        digits = max(3, len(str(config.subjects)))
        splits = deal_subjects(f"S{number + 1:0{digits}d}" for number in range(config.subjects))
        self.describe(
            action_units=self._action_units,
            expressions=CK_PLUS_EXPRESSIONS if self._posed else (),
            subjects=splits,
        )
        total = config.subjects * config.frames
        title = f"{self.name}/{config.name}: faces"
        progress = self._open.enter_context(tqdm(None, title, total, unit=" faces", disable=None))
        # One row of people for all splits, which TFDS writes one after the other: a split is often
        # one person, whom one core alone would draw.
        people = [(subject, split) for split, subjects in splits.items() for subject in subjects]
        drawn = in_order(lambda person: (person, self._draw(person[0])), people, self.workers)
        return {
            split: self._generate_examples(split, len(subjects), drawn, progress)
            for split, subjects in splits.items()
        }

    def _generate_examples(self, split, count, drawn, progress):
        return self.counted(self._records(split, count, drawn, progress))

    def _records(self, split, count, drawn, progress):
        for (subject, own_split), records in itertools.islice(drawn, count):
            if own_split != split:
                raise RuntimeError(f"{subject} of {own_split} comes when {split} is written")
            for record in records:
                yield f"{subject}/{record['sequence']}/{record['frame']:06d}", record
                progress.update()

    def _draw(self, subject):
        """All records of a person."""
        config = self.builder_config
        if self._posed:
            recorded = functools.partial(
                sequences, shown=config.shown, one_sitting=config.one_sitting
            )
        else:
            recorded = functools.partial(frames, count=config.frames)
        labeled = recorded(config.seed, subject, size=FACE_SIZE, action_units=self._action_units)
        return [
            # OpenCV encodes several times as fast as TFDS would, and takes BGR.
            {**record, "image": cv2.imencode(".png", record["image"][..., ::-1])[1].tobytes()}
            for record in labeled
        ]
