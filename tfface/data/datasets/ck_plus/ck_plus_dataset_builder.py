"""`tfds build` entry of the `ck_plus` data set."""

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.ck_plus.delivery import CODED_AUS, read_delivery
from tfface.data.datasets.delivered import digest


class Builder(PhotoDatasetBuilder):
    """Posed expressions from neutral to peak; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold cohn-kanade-images, Emotion, FACS and Landmarks, as CK+'s four zip "
        "files unpack."
    )
    BUILDER_CONFIGS = [PhotoConfig(name="default")]  # noqa: RUF012  (TFDS's own way to declare it)

    def _n_action_units(self):
        return len(CODED_AUS)

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir)

    def source_digest(self, manual_dir):
        """See base class."""
        return digest(manual_dir, "Emotion/*/*/*.txt", "FACS/*/*/*.txt")
