"""`tfds build` entry of the `image_folder` data set."""

import hashlib
from pathlib import Path

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.image_folder.labels import LABELS_NAME, read_labels


class Builder(PhotoDatasetBuilder):
    """Any folder of pictures with a labels.csv; see README.md for its columns."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold labels.csv, with the columns path and subject, and the pictures that "
        "it names."
    )
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)

    NAMED_BY_USER = True

    def delivery(self, manual_dir):
        """See base class."""
        return read_labels(manual_dir)

    def source_digest(self, manual_dir):
        """See base class."""
        return hashlib.sha256((Path(manual_dir) / LABELS_NAME).read_bytes()).hexdigest()
