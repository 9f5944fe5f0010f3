"""Procedural faces with exact action units, landmarks and identities: the embedded default.

No real person is in them. `render` draws one face; `frames` and `sequences` record a subject;
`photo` draws a scene for face detection; `contact_sheet` shows it all at a glance.
"""

from tfface.data.synthetic.identity import SYNTHETIC_AUS, Identity, sample_identity
from tfface.data.synthetic.pose import Nuisance, sample_nuisance
from tfface.data.synthetic.recordings import frames, sequences
from tfface.data.synthetic.rendering import render
from tfface.data.synthetic.scenes import contact_sheet, photo

__all__ = [
    "SYNTHETIC_AUS",
    "Identity",
    "Nuisance",
    "contact_sheet",
    "frames",
    "photo",
    "render",
    "sample_identity",
    "sample_nuisance",
    "sequences",
]
