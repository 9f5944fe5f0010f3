import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest


@pytest.fixture
def nearest_generator():
    """A generator whose output is known without a network: each pixel eight times as large."""
    low = keras.Input((16, 16, 3), name="low")
    return keras.Model(low, keras.layers.UpSampling2D(8)(low))


@pytest.fixture
def mask_aware_generator():
    """Restores half of each color plus a quarter of the mask, eight times as large."""
    low = keras.Input((16, 16, 4), name="low")
    mix = keras.layers.Conv2D(3, 1)
    model = keras.Model(low, keras.layers.UpSampling2D(8)(mix(low)))
    kernel = [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.25, 0.25, 0.25]]
    mix.set_weights([np.reshape(kernel, (1, 1, 4, 3)), np.zeros(3)])
    return model
