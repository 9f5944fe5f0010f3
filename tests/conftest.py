import os
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfface.data.datasets.synthetic_faces.synthetic_faces_dataset_builder import (
    Builder as SyntheticFaces,
)
from tfface.data.datasets.synthetic_faces.synthetic_faces_dataset_builder import SyntheticConfig
from tfface.data.source import FaceSource

# TensorFlow fixes its devices at its first operation, so they are split before any test runs.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def two_devices():
    """A strategy that trains on two devices: the processor, taken twice.

    One for all tests: the collective operations of a second strategy in the same process would meet
    those of the first.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def free_addresses():
    """Function of a count to as many addresses of this machine at which nobody listens."""

    def free(count):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        finally:
            for one in sockets:
                one.close()

    return free


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Where the sets that tests share are prepared."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def frames_source(data_dir):
    """Spontaneous synthetic faces: 4 subjects, 6 frames each, the AUs of BP4D."""
    return prepared(SyntheticConfig(name="frames", subjects=4, frames_per_subject=6), data_dir)


@pytest.fixture(scope="session")
def sequences_source(data_dir):
    """Posed synthetic faces: 2 subjects, 12 frames of each of the seven expressions of CK+."""
    return prepared(SyntheticConfig(name="sequences", subjects=2), data_dir)


def prepared(config, data_dir):
    tfds.disable_progress_bar()
    builder = SyntheticFaces(config=config, data_dir=data_dir)
    builder.download_and_prepare()
    return FaceSource.open(builder.data_dir)


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
