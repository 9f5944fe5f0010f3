"""What one exported model offers, whatever the system: the one thing that every export takes.

`signatures/<system>.py` makes a `Servable` of a system's network; `savedmodel.py` and `litert.py`
write any of them.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from tfface.network import Network


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One signature of a SavedModel.

    Attributes:
        function: From tensors, one a spec and in their order, to a dict of named tensors.
        specs: tf.TensorSpec of each input, with its name; the batch is None.
        inputs: What each input is, for the model's card: name to type, shape and meaning.
        outputs: The same of each output.
    """

    function: Callable
    specs: tuple[tf.TensorSpec, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclasses.dataclass(frozen=True)
class LiteSignature:
    """The one signature of a LiteRT file.

    Attributes:
        name: What a phone asks for.
        function: As in `Endpoint`, and of nothing but what LiteRT has operators for: it decodes no
            files.
        specs: tf.TensorSpec of each input, with its name; the batch is 1.
        exact: Whether an int8 file computes in 8 bits no more than layers with weights: where other
            operators find places in the picture, or take NaN, which 8 bits cannot hold.
    """

    name: str
    function: Callable
    specs: tuple[tf.TensorSpec, ...]
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class Servable:
    """A model and all that its export needs to know of it.

    Attributes:
        system: Name of the system.
        model: The keras.Model that holds the weights, computing in float32.
        endpoints: Name to Endpoint. `serving_default`, which a client gets that names none, takes
            encoded pictures.
        lite: What goes into a LiteRT file.
        facts: What a user of the model must know to call it (sizes, value range ...), JSON-ready;
            on the SavedModel's card and in the LiteRT file's description.
        labels: What each number of an output's last axis stands for, in their order; empty where
            outputs are pictures. Both exports write them as a text file too, one a line.
        about: What the model does, a sentence.
        limits: What it cannot do or must not be used for, a sentence each; `card.py` adds what
            holds for every system.
    """

    system: str
    model: keras.Model
    endpoints: dict[str, Endpoint]
    lite: LiteSignature
    facts: dict
    labels: tuple[str, ...] = ()
    about: str = ""
    limits: tuple[str, ...] = ()

    def all_facts(self):
        """What every description of this model says: system, facts, and labels if it has any."""
        labels = {"labels": list(self.labels)} if self.labels else {}
        return {"system": self.system, **self.facts, **labels}

    def labels_text(self):
        """The labels as a text file holds them."""
        return "".join(f"{label}\n" for label in self.labels)


def in_float32(model):
    """The model as it is exported: a network trained in mixed precision computes in float32."""
    return model.in_float32() if isinstance(model, Network) else model
