import keras
import numpy as np
import pytest
from PIL import Image

from tfface.magnification.networks import (
    ExpressionMagnifier,
    ExpressionNet,
    MagnificationGenerator,
)
from tfface.recognition.networks import ActionUnitRecognizer
from tfface.regeneration.features import FerNet
from tfface.regeneration.networks import ExpressionRegenerator, RegenerationGenerator
from tfface.restoration.networks import RestorationGenerator
from tfface.serving.savedmodel import export_savedmodel
from tfface.serving.signatures.restoration import restoration_servable
from tfface.serving.systems import make_servable
from tfface.synthesis.networks import LACGenerator


@pytest.fixture
def servable(nearest_generator):
    """Something to export whose answer is known: each pixel eight times as large."""
    return restoration_servable(nearest_generator)


@pytest.fixture
def recognizer():
    """A small recognizer of three action units, some of which it sees in noise and some not."""
    return small_recognizer()


def small_recognizer():
    keras.utils.set_random_seed(0)
    network = ActionUnitRecognizer((1, 12, 25), 16, "fer_net", pooling="flatten")
    head = network.get_layer("logits")
    head.set_weights([head.get_weights()[0] * 3, np.zeros(3)])
    return network


@pytest.fixture(scope="session")
def magnifier():
    """A small magnifier of three classes: the middle 16 of 18 pixels, drawn anew.

    Its classes differ from face to face, and from the face to what is drawn.
    """
    keras.utils.set_random_seed(0)
    generator = MagnificationGenerator(16, (2, 3, 4, 5), residual=False)
    classifier = ExpressionNet(3, 16, "fer_net", pooling="flatten")
    extractor = ExpressionNet(None, 16, "fer_net", pooling="flatten")
    for layer in (generator.get_layer("draw"), classifier.get_layer("logits")):
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * 3, bias])
    return ExpressionMagnifier(generator, extractor, classifier, ("joy", "anger", "fear"), 18)


@pytest.fixture(scope="session")
def regenerator():
    """A small regenerator of three classes: the middle 16 of 22 pixels, gray.

    What is drawn differs from class to class, and so do the distances.
    """
    keras.utils.set_random_seed(0)
    classes = ("joy", "anger", "fear")
    generators = [RegenerationGenerator(name, 16, 1, (2, 3, 4)) for name in classes]
    for generator in generators:
        draw = generator.get_layer("draw")
        draw.set_weights([draw.get_weights()[0] * 3, draw.get_weights()[1]])
    return ExpressionRegenerator(generators, FerNet(classes, 16))


@pytest.fixture(scope="session")
def editor():
    """A small editor of three action units, each of which it draws in colors of its own."""
    keras.utils.set_random_seed(0)
    return LACGenerator((1, 12, 23), 24, (2, 3, 3, 4, 4), latent_size=4)


@pytest.fixture(scope="session")
def networks(magnifier, regenerator, editor):
    """A network of every system, by the system's name."""
    keras.utils.set_random_seed(0)
    return {
        "restoration": RestorationGenerator(filters=4, blocks=1),
        "recognition": small_recognizer(),
        "magnification": magnifier,
        "synthesis": editor,
        "regeneration": regenerator,
    }


@pytest.fixture(scope="session")
def exported_models(networks, tmp_path_factory):
    """Folder of a SavedModel of every system, laid out as a server reads it."""
    models = tmp_path_factory.mktemp("exported")
    card = {"training": {"dataset": "synthetic_faces/frames", "metrics": {"score": 0.5}}}
    for system, network in networks.items():
        export_savedmodel(make_servable(system, network), models / system, card)
    return models


@pytest.fixture
def picture():
    """Function of (seed, height, width) to a (height, width, 3) uint8 picture, hard edges in it."""

    def drawn(seed, height, width):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
        return coarse.repeat(10, axis=0).repeat(10, axis=1)

    return drawn


@pytest.fixture
def bicubic():
    """Function of a uint8 picture and a side to floats in [0, 1]: Pillow's, channel by channel.

    Pillow's averages when it shrinks, as `antialias` does.
    """

    def resized(image, size):
        channels = [
            Image.fromarray(image[..., i].astype(np.float32) / 255).resize(
                (size, size), Image.Resampling.BICUBIC
            )
            for i in range(3)
        ]
        return np.clip(np.stack(channels, axis=-1), 0, 1)

    return resized


@pytest.fixture
def picture_files(tmp_path, picture):
    """Three files of other kinds and sizes, and the pictures that are in them."""
    pictures = [picture(0, 130, 130), picture(1, 200, 160), picture(2, 40, 350)]
    files = [tmp_path / name for name in ("a.png", "b.png", "c.jpg")]
    for image, file in zip(pictures, files, strict=True):
        Image.fromarray(image).save(file)
    with Image.open(files[2]) as image:
        pictures[2] = np.array(image)
    return files, pictures
