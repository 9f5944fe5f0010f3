"""Expression synthesis: action units switched in a photo, everything else untouched."""

from tfface.synthesis.data import augment

__all__ = ["augment"]
