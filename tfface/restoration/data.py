"""Batches of expression restoration: degraded faces beside what they were."""

from dataclasses import dataclass

import tensorflow as tf

from tfface.data.augmentation import random_flip
from tfface.data.degradation import degrade


@dataclass(frozen=True)
class RestorationTransform:
    """Makes a restoration batch of a batch of records; every draw is a function of the step's seed.

    Args:
        scale: Down-sampling factor.
        hidden_area: Share of the small face that a random square hides.
        flip: Whether half of the faces are mirrored, for training.
    """

    scale: int = 8
    hidden_area: float = 0.25
    flip: bool = False

    def __call__(self, batch, seed):
        """Maps records and a seed to `low`, `mask`, `face` and `au`.

        Args:
            batch: Records: `image` (B, H, W, 3) in [0, 1], `landmarks` (B, 68, 2), `au` (B, n).
            seed: int32 tensor (2,).

        Returns:
            dict: `low` (B, H/scale, W/scale, 3) in [0, 1], hidden pixels 0; `mask` (B, H/scale,
                W/scale, 1),
            1 where hidden; `face` (B, H, W, 3) in [0, 1]; `au` (B, n), NaN where not coded.
        """
        seeds = tf.random.split(seed, 2)
        face = batch["image"]
        if self.flip:
            face, _ = random_flip(face, batch["landmarks"], seeds[0])
        low, mask = degrade(face, seeds[1], scale=self.scale, hidden_area=self.hidden_area)
        return {"low": low, "mask": mask, "face": face, "au": batch["au"]}
