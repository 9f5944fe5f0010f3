"""The players of action unit recognition: the recognizer R and the discriminator D."""

from collections.abc import Sequence

import keras

from tfface.backbones import create_backbone
from tfface.network import Network


@keras.saving.register_keras_serializable("tfface")
class ActionUnitRecognizer(Network):
    """The recognizer R: action unit logits of a face (Sec. 3.2).

    A published image network and one dense layer on its features; `sigmoid` of the logits is the
    paper's R(x). With `weights` the backbone starts from what is published, so that the paper's
    ResNet-50 starts from ImageNet; a network that is reloaded from `.keras` has its own.

    Args:
        action_units: Numbers of the AUs, in the order of the logits.
        size: Side of the face in pixels.
        backbone: One of `tfface.backbones.BACKBONES`.
        weights: The backbone's first weights: None for random ones, "imagenet", or a path.
        pooling: What makes a vector of the last feature map: "avg" (the paper's ResNet-50), "max",
            or "flatten", which keeps the places: on an aligned face the place says which muscle
            moved.
        dropout: Share of the features that training hides.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1].

    Output:
        (B, number of AUs) logits, float32.

    Raises:
        ValueError: If there are no AUs or one is named twice, `dropout` is not in [0, 1), or the
            backbone cannot be made or its weights cannot be had.

    Reference:
        Wang et al., Deep Semi-supervised Facial Action Unit Recognition, Sec. 3.2.
    """

    def __init__(
        self,
        action_units,
        size: int = 224,
        backbone: str = "resnet50",
        weights: str | None = None,
        pooling: str = "avg",
        dropout: float = 0.0,
        dtype=None,
        **kwargs,
    ):
        action_units = [int(number) for number in action_units]
        if not action_units or len(set(action_units)) < len(action_units):
            raise ValueError(
                "`action_units` must name at least one action unit, none twice. "
                f"Received: {action_units}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: {dropout}")
        if pooling not in ("avg", "max", "flatten"):
            raise ValueError(f"`pooling` must be 'avg', 'max' or 'flatten'. Received: {pooling!r}")

        # The published layers are made by their own builders, which know no dtype argument.
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype or before)
        try:
            trunk = create_backbone(backbone, (size, size, 3), weights, pooling)
        finally:
            keras.config.set_dtype_policy(before)
        # So that a step on several devices is the step on one.
        for layer in trunk.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
        x = trunk.output
        if dropout:
            x = keras.layers.Dropout(dropout, dtype=dtype, name="feature_dropout")(x)
        outputs = keras.layers.Dense(len(action_units), dtype="float32", name="logits")(x)

        config = {
            "action_units": action_units,
            "size": size,
            "backbone": backbone,
            "weights": None,  # a copy or a reloaded network has weights of its own
            "pooling": pooling,
            "dropout": dropout,
        }
        super().__init__(trunk.input, outputs, config, dtype=dtype, **kwargs)
        self.action_units, self.size = tuple(action_units), size
        self._features = trunk.output

    def with_features(self):
        """This network with two outputs: logits, and the backbone's feature vector (Sec. 4.3.3)."""
        return keras.Model(self.inputs[0], [self.outputs[0], self._features])


@keras.saving.register_keras_serializable("tfface")
class ActionUnitDiscriminator(Network):
    """The discriminator D: one logit, positive where a label vector looks like an expert's.

    "A three-layer feedforward neural network" (Sec. 3.2). Choice: 128 and 64 units with LeakyReLU,
    then one; `sigmoid` of the logit is the paper's D(y).

    Args:
        n_action_units: Length of the label vectors.
        units: Units of the two hidden layers.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, n_action_units), values in [0, 1].

    Output:
        (B, 1) logits, float32.
    """

    def __init__(self, n_action_units: int, units: Sequence[int] = (128, 64), dtype=None, **kwargs):
        units = [int(number) for number in units]
        inputs = keras.Input((n_action_units,), name="labels")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(inputs)
        for i, number in enumerate(units):
            x = keras.layers.Dense(number, dtype=dtype, name=f"dense_{i}")(x)
            x = keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"relu_{i}")(x)
        outputs = keras.layers.Dense(1, dtype="float32", name="logit")(x)

        config = {"n_action_units": n_action_units, "units": units}
        super().__init__(inputs, outputs, config, dtype=dtype, **kwargs)
