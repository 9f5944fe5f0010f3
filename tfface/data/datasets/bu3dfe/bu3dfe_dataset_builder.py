"""`tfds build` entry of the `bu3dfe` data set."""

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.bu3dfe.delivery import read_delivery
from tfface.data.datasets.delivered import digest


class Builder(PhotoDatasetBuilder):
    """Six posed expressions in four strengths, and neutral faces; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold F0001 to F0056 and M0001 to M0044, as BU-3DFE is delivered."
    )
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)

    def _n_action_units(self):
        return 0

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, "*/*_F2D.bmp", content=False)
