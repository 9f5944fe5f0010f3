"""tfface: facial expressions restored, recognized and magnified by adversarial models, in Keras 3.

The public names are loaded when they are first used, so that `import tfface` costs nothing.
"""

import importlib

_HOMES = {
    "ActionUnitClassifier": "tfface.restoration.networks",
    "ExpressionRestorer": "tfface.restoration.model",
    "FaceSource": "tfface.data.source",
    "MagnificationPredictor": "tfface.serving.predictors.magnification",
    "RecognitionPredictor": "tfface.serving.predictors.recognition",
    "RegenerationPredictor": "tfface.serving.predictors.regeneration",
    "RestorationDiscriminator": "tfface.restoration.networks",
    "RestorationGenerator": "tfface.restoration.networks",
    "RestorationPredictor": "tfface.serving.predictors.restoration",
    "SynthesisPredictor": "tfface.serving.predictors.synthesis",
    "create_backbone": "tfface.backbones",
    "create_detector": "tfface.data.detection",
    "open_source": "tfface.data.source",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'tfface' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return [*globals(), *__all__]
