"""`tfds build` entry of the `bu4dfe` data set."""

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.bu4dfe.delivery import read_delivery
from tfface.data.datasets.delivered import digest


class Builder(PhotoDatasetBuilder):
    """Posed expressions from neutral to peak and back; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold F001 to F058 and M001 to M043, as BU-4DFE is delivered."
    )
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)

    def _n_action_units(self):
        return 0

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, "*/*/*.jpg", content=False)
