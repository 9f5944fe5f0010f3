"""`tfds build` entry of the `oulu_casia` data set."""

import dataclasses

from tfface.data.datasets.base import PhotoConfig, PhotoDatasetBuilder
from tfface.data.datasets.delivered import digest
from tfface.data.datasets.oulu_casia.delivery import CAMERAS, LIGHTS, read_delivery


@dataclasses.dataclass(eq=False)
class OuluCasiaConfig(PhotoConfig):
    """Which recording of the same performance.

    Attributes:
        camera: "VL" (visible light) or "NI" (near infrared).
        light: "Strong" (normal light), "Weak" or "Dark".
    """

    camera: str = "VL"
    light: str = "Strong"


class Builder(PhotoDatasetBuilder):
    """Posed expressions from neutral to peak, under three lights; see README.md."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold VL or NI, with Strong, Weak and Dark in it, as the original images "
        "unpack."
    )
    # The first is the papers' own: visible light, strong.
    BUILDER_CONFIGS = [  # noqa: RUF012  (TFDS's own way to declare it)
        OuluCasiaConfig(name=f"{camera}_{light}".lower(), camera=camera, light=light)
        for camera in CAMERAS
        for light in LIGHTS
    ]

    def _n_action_units(self):
        return 0

    def delivery(self, manual_dir):
        """See base class."""
        return read_delivery(manual_dir, self.builder_config.camera, self.builder_config.light)

    def source_digest(self, manual_dir):
        """See base class."""
        config = self.builder_config
        return digest(manual_dir, f"{config.camera}/{config.light}/*/*/*.jpeg", content=False)
