"""`tfds build` entry of the `disfa` data set."""

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.delivered import digest
from tfface.data.datasets.disfa.delivery import CODED_AUS, read_delivery


class Builder(PhotoDatasetBuilder):
    """Spontaneous behavior of 27 people before a video, with intensities of AUs; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold Videos_LeftCamera, ActionUnit_Labels and, if you have them, "
        "Landmark_Points, as DISFA is delivered."
    )
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)

    def _n_action_units(self):
        return len(CODED_AUS)

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir, self.workers)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, "ActionUnit_Labels/*/*.txt")
