"""`tfds build` entry of the `lsemsw` data set."""

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.delivered import digest
from tfface.data.datasets.lsemsw.delivery import read_delivery


class Builder(PhotoDatasetBuilder):
    """Thirteen subtle expressions; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold train.txt, validation.txt and test.txt, and the pictures they name."
    )
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)

    def _n_action_units(self):
        return 0

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, "*.txt")
