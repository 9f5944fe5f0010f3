"""`tfds build` entry of the `sketchy` data set."""

import dataclasses

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.delivered import digest
from tfface.data.datasets.sketchy.delivery import SKETCHES, read_delivery


@dataclasses.dataclass(eq=False)
class SketchyConfig(PhotoConfig):
    """Which sketches, and how many.

    Attributes:
        count: Number of sketches.
        seed: Which sketches, which of them are for tests, and which slashes.
    """

    count: int = 1000
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        if self.detector != "mtcnn":
            raise ValueError(
                f"`detector` must be left as it is: sketches need none. Received: {self.detector}."
            )
        if self.count < 1:
            raise ValueError(f"`count` must be at least 1. Received: {self.count}.")


class Builder(PhotoDatasetBuilder):
    """Sketches of objects beside destroyed copies; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold sketch/tx_000000000000, with a folder of PNG files a class, as "
        "rendered_256x256.7z unpacks (the folder 256x256)."
    )
    WHOLE_PICTURES = True  # there is no face to look for
    BUILDER_CONFIGS = [SketchyConfig(name="paper")]  # noqa: RUF012  (TFDS's own way to declare it)

    def _n_action_units(self):
        return 0

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir, self.builder_config.count, self.builder_config.seed)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, f"{SKETCHES}/*/*.png", content=False)
