"""`tfds build` entry of the `fer2013` data set."""

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.delivered import digest
from tfface.data.datasets.fer2013.delivery import TABLE, read_delivery


class Builder(PhotoDatasetBuilder):
    """Seven expressions in small gray faces from the web; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = "The folder must hold fer2013.csv."
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)
    WHOLE_PICTURES = True

    def _n_action_units(self):
        return 0

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, TABLE)
