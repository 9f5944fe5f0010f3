"""`tfds build` entry of the `bp4d` data set."""

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.bp4d.delivery import read_delivery
from tfface.data.datasets.delivered import digest
from tfface.facs.action_units import BP4D_AUS


class Builder(PhotoDatasetBuilder):
    """Spontaneous behavior of 41 people in eight tasks, with 12 AUs; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold AUCoding/AU_OCC, the pictures in Sequences(2D+3D) or 2D, and, if you "
        "have them, AUCoding/AU_INT and 2DFeatures, as BP4D is delivered."
    )
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)

    def _n_action_units(self):
        return len(BP4D_AUS)

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir, self.workers)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, "AUCoding/AU_OCC/*.csv", "AUCoding/AU_INT/*/*.csv")
