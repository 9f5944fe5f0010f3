"""The one base of every network: a functional Keras model that remembers how it was made."""

import keras


class Network(keras.Model):
    """A functional model, built when constructed, whose config is its constructor's arguments.

    A subclass wires its layers, then calls `super().__init__(inputs, outputs, config, ...)`. It
    reloads from `.keras` by calling the constructor again, so no layer graph is stored and no
    custom object is guessed.

    Args:
        inputs: Keras input, or a list of them.
        outputs: Keras output, or a list of them.
        config: The constructor's own arguments by name, JSON-ready.
        dtype: The dtype policy that the layers were made with; None is the global one.
    """

    def __init__(self, inputs, outputs, config, dtype=None, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.dtype_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self._arguments = dict(config)

    def get_config(self):
        return {
            **self._arguments,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        return cls(**config)

    def in_float32(self):
        """This network computing in float32: what is exported and measured."""
        if self.dtype_policy.name == "float32":
            return self
        copy = type(self).from_config({**self.get_config(), "dtype": "float32"})
        copy.set_weights(self.get_weights())
        return copy
