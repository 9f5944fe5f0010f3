"""A trained model of any kind, in memory or on disk, as one function from arrays to arrays."""

import json

import keras
import numpy as np
import tensorflow as tf

from tfface.serving.card import MODEL_CARD
from tfface.serving.savedmodel import find_model
from tfface.serving.systems import load_network, make_servable

# Faces that go through the network at once. A group photo's hundreds would not fit in memory.
BATCH = 32


class LoadedModel:
    """One signature of a model, called with arrays of any number of faces.

    Args:
        function: From tensors by name to a dict of tensors.
        inputs: tf.TensorSpec of each input, by name; the batch is None.
        outputs: tf.TensorSpec of each output, by name.
        facts: What the model says of itself.

    Attributes:
        inputs: Shape of each input for one face, by name: a tuple.
        outputs: The same of each output.
        facts: As above.
    """

    def __init__(self, function, inputs, outputs, facts):
        self._function = function
        self._types = {name: spec.dtype.as_numpy_dtype for name, spec in outputs.items()}
        self.inputs = {name: tuple(spec.shape[1:]) for name, spec in inputs.items()}
        self.outputs = {name: tuple(spec.shape[1:]) for name, spec in outputs.items()}
        self.facts = facts

    def __call__(self, **arrays):
        """What the model answers.

        Args:
            **arrays: Each input (n, ...), float32; n may be 0.

        Returns:
            Dict of arrays, each output (n, ...).

        Raises:
            ValueError: If an answer is not finite, as of a network that diverged.
        """
        (count,) = {len(array) for array in arrays.values()}
        parts = {
            name: [np.zeros((0, *self.outputs[name]), self._types[name])] for name in self.outputs
        }
        for start in range(0, count, BATCH):
            batch = {n: tf.constant(array[start : start + BATCH]) for n, array in arrays.items()}
            for name, values in self._function(**batch).items():
                parts[name].append(values.numpy())
        answers = {name: np.concatenate(values) for name, values in parts.items()}
        for name, values in answers.items():
            if not np.isfinite(values).all():
                raise ValueError(f"`model` must give finite {name}. Received: NaN.")
        return answers

    def names(self, fact, output):
        """What each number of an output's last axis stands for.

        Args:
            fact: Name of the fact that says so.
            output: Name of the output.

        Returns:
            Tuple.

        Raises:
            ValueError: If there are not as many names as numbers.
        """
        names, count = tuple(self.facts[fact]), self.outputs[output][-1]
        if len(names) != count:
            raise ValueError(
                f"`model` must name each of its {output}. Received: one whose {MODEL_CARD} names "
                f"{len(names)} {fact.replace('_', ' ')} of {count}."
            )
        return names


def load_model(system, model, signature, facts=()):
    """A system's model, ready to be called.

    Args:
        system: One of `tfface.serving.systems.NETWORKS`.
        model: The system's network (keras.Model), the path of its `.keras` file, a SavedModel's
            folder, or a folder of SavedModel versions, of which the newest is taken.
        signature: Name of the signature that takes arrays.
        facts: Names of the facts that the caller needs; a SavedModel has them on its card.

    Returns:
        LoadedModel.

    Raises:
        ValueError: If `model` is no such model or file.
    """
    if not isinstance(model, keras.Model):
        path = find_model(model)
        if not path.is_file():
            return _load_savedmodel(system, path, signature, facts)
        model = load_network(system, path)
    servable = make_servable(system, model)
    endpoint = servable.endpoints[signature]
    function = tf.function(endpoint.function, input_signature=list(endpoint.specs))
    outputs = function.get_concrete_function().structured_outputs
    known = servable.all_facts()
    inputs = {spec.name: spec for spec in endpoint.specs}
    return LoadedModel(function, inputs, outputs, {name: known[name] for name in facts})


def _load_savedmodel(system, folder, signature, facts):
    try:
        loaded = tf.saved_model.load(str(folder))
        function = loaded.signatures[signature]
        (_, inputs), outputs = function.structured_input_signature, function.structured_outputs
        card = json.loads((folder / MODEL_CARD).read_text()) if facts else {}
        known = {name: card[name] for name in facts}
    except Exception as error:  # damaged protocol buffers, other signatures, no card
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"`model` must be a {system} model's SavedModel. Received: {folder} ({reason})."
        ) from error

    def run(keep=loaded, **arrays):  # the variables live as long as `loaded`
        return function(**arrays)

    return LoadedModel(run, inputs, outputs, known)
