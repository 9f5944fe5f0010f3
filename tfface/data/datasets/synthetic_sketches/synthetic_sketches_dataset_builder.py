"""`tfds build` entry of the `synthetic_sketches` data set."""

import dataclasses

import cv2
import numpy as np
import tensorflow_datasets as tfds

from tfface.data.datasets.base import FaceDatasetBuilder
from tfface.data.schema import FACE_SIZE, N_LANDMARKS
from tfface.data.sketches import SKETCH_CLASSES, draw_sketch, slash

_ROUND = len(SKETCH_CLASSES)
_TEST_EVERY = 4


@dataclasses.dataclass(eq=False)
class SketchesConfig(tfds.core.BuilderConfig):
    """How many sketches.

    Attributes:
        count: Number of sketches; the objects take turns. At least four of each, so that both
            splits have all of them.
        seed: Seed of everything; the same seed gives the same bytes.
    """

    count: int = 1000
    seed: int = 0

    def __post_init__(self):
        if self.count < _ROUND * _TEST_EVERY:
            raise ValueError(
                f"`count` must be at least {_ROUND * _TEST_EVERY}. Received: {self.count}."
            )


class Builder(FaceDatasetBuilder):
    """Drawn objects, whole and destroyed, made on the spot; see README.md."""

    BUILDER_CONFIGS = [  # noqa: RUF012  (TFDS's own way to declare it)
        SketchesConfig(name="small", count=160),
        SketchesConfig(name="full", count=1000),
    ]

    def _n_action_units(self):
        return 0

    def _split_generators(self, dl_manager):
        splits = {"train": [], "test": []}
        for position in range(self.builder_config.count):
            # Of each object every fourth sketch is a test.
            last = position // _ROUND % _TEST_EVERY == _TEST_EVERY - 1
            splits["test" if last else "train"].append(position)
        self.describe(
            action_units=(),
            expressions=SKETCH_CLASSES,
            subjects={split: list(map(_name, positions)) for split, positions in splits.items()},
        )
        return {split: self._generate_examples(positions) for split, positions in splits.items()}

    def _generate_examples(self, positions):
        return self.counted(self._records(positions))

    def _records(self, positions):
        unknown = np.zeros(0, np.float32)
        for position in positions:
            label, name, seed = position % _ROUND, _name(position), (self._seed, position)
            whole = draw_sketch(label, FACE_SIZE, seed)
            for frame, image in enumerate((slash(whole, seed), whole)):
                record = {
                    "image": cv2.imencode(".png", image)[1].tobytes(),  # gray: RGB or BGR
                    "landmarks": np.full((N_LANDMARKS, 2), np.nan, np.float32),
                    "subject": name,
                    "sequence": name,
                    "frame": frame + 1,
                    "au": unknown,
                    "au_intensity": unknown,
                    "expression": label,
                    "phase": float(frame),
                }
                yield f"{name}/{frame + 1}", record

    @property
    def _seed(self):
        return self.builder_config.seed


def _name(position):
    return f"{SKETCH_CLASSES[position % _ROUND]}_{position:06d}"
