"""What faces are compared by: FER-Net, or any other model that makes a vector of a face (Eq. 8)."""

from pathlib import Path

import keras
from keras import ops

from tfface.backbones import BACKBONES, create_backbone, feature_levels
from tfface.network import Network


@keras.saving.register_keras_serializable("tfface")
class FerNet(Network):
    """The CNN of IA-gen: class logits of a face, from the features that compare faces (Sec. III-B).

    A published image network, dropout, and the class layer. The paper's feature is "the last fully
    connected layer"; choice: the one below the class layer, 256 values for FER-Net. (Class logits
    as features would compare decisions, not expressions.)

    Args:
        classes: Names of the expressions, in the order of the logits.
        size: Side of the face in pixels.
        channels: 1 or 3.
        backbone: One of `tfface.backbones.BACKBONES`; the paper's are "fer_net" and a VGG.
        weights: The backbone's first weights: None for random ones, "imagenet", or a path.
        pooling: What makes a vector of the last feature map: None for "flatten" with FER-Net, whose
            fully connected layer sees every place, and "avg" with others; or "avg", "max" or
            "flatten".
        dropout: Share of the features that training hides from the class layer.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, channels), values in [0, 1].

    Output:
        (B, classes) logits, float32.

    Raises:
        ValueError: If the classes are not at least two different ones, `dropout` is not in [0, 1),
            or the backbone cannot be made or its weights cannot be had.

    Reference:
        Yang et al., Identity-Adaptive Facial Expression Recognition Through Expression
        Regeneration Using Conditional Generative Adversarial Networks, 2018, Sec. III-B and IV-A.
    """

    def __init__(
        self,
        classes,
        size: int = 64,
        channels: int = 1,
        backbone: str = "fer_net",
        weights: str | None = None,
        pooling: str | None = None,
        dropout: float = 0.5,
        dtype=None,
        **kwargs,
    ):
        classes = [str(name) for name in classes]
        if len(classes) < 2 or len(set(classes)) < len(classes):
            raise ValueError(f"`classes` must be at least two different names. Received: {classes}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: {dropout}")
        if pooling not in (None, "avg", "max", "flatten"):
            raise ValueError(
                f"`pooling` must be None, 'avg', 'max' or 'flatten'. Received: {pooling!r}"
            )

        usual = "flatten" if backbone == "fer_net" else "avg"
        # The published layers are made by their own builders, which know no dtype argument.
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype or before)
        try:
            trunk = create_backbone(backbone, (size, size, channels), weights, pooling or usual)
        finally:
            keras.config.set_dtype_policy(before)
        # A step on several devices is the step on one, and a short training is judged by its
        # own statistics.
        for layer in trunk.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized, layer.momentum = True, 0.9
        x = trunk.output
        if backbone == "fer_net":  # which has a dropout of its own
            x = trunk.get_layer("features").output
        features = keras.layers.Activation("linear", dtype="float32", name="feature")(x)
        x = keras.layers.Dropout(dropout, dtype="float32", name="feature_dropout")(features)
        outputs = keras.layers.Dense(len(classes), dtype="float32", name="logits")(x)

        config = {
            "classes": classes,
            "size": size,
            "channels": channels,
            "backbone": backbone,
            "weights": None,  # a copy or a reloaded network has weights of its own
            "pooling": pooling,
            "dropout": dropout,
        }
        super().__init__(trunk.input, outputs, config, dtype=dtype, **kwargs)
        self.classes, self.size, self.channels = tuple(classes), size, channels
        self._features = features

    def with_features(self):
        """This network with two outputs: logits, and the features of Eq. 8."""
        return keras.Model(self.inputs[0], [self.outputs[0], self._features])

    def with_classes(self, classes):
        """A copy for other classes, to be fine-tuned: a class that both have keeps its weights.

        Args:
            classes: Names of the expressions, in the order of the copy's logits.

        Returns:
            FerNet.
        """
        copy = type(self).from_config({**self.get_config(), "classes": classes})
        for layer in copy.layers:
            if layer.name != "logits":
                layer.set_weights(self.get_layer(layer.name).get_weights())
        own, others = self.get_layer("logits"), copy.get_layer("logits")
        kernel, bias = others.get_weights()
        for i, name in enumerate(copy.classes):
            if name in self.classes:
                was = self.classes.index(name)
                kernel[:, i], bias[i] = own.get_weights()[0][:, was], own.get_weights()[1][was]
        others.set_weights([kernel, bias])
        return copy

    def levels(self, layer_names):
        """A frozen copy that maps faces to feature maps: the loss network of Eq. 5.

        Args:
            layer_names: Names of the backbone's layers, such as "block2_relu2".

        Returns:
            keras.Model from faces to a list of feature maps (the map alone for one layer).

        Raises:
            ValueError: If there is no layer of a name, or none is named.
        """
        copy = type(self).from_config(self.get_config())
        copy.set_weights(self.get_weights())
        network = feature_levels(copy, layer_names)
        network.trainable = False
        return network


@keras.saving.register_keras_serializable("tfface")
class SavedModelFeatures(keras.layers.TFSMLayer):
    """Somebody else's model as feature extractor: a SavedModel that makes a vector of a face.

    It takes part as it is and does not learn. Faces are brought to the size and the channels that
    it takes. What holds it can be exported as SavedModel, which then has a copy inside. A `.keras`
    file only names the folder, which must stay where it is; and since a SavedModel may do anything,
    Keras reads such a file only with `safe_mode=False`.

    Args:
        path: Folder of the SavedModel. Its signature `serving_default` must take one batch of float
            images in [0, 1], of 1 or 3 channels, and return one batch of vectors.

    Input:
        (B, H, W, 1 or 3), values in [0, 1].

    Output:
        (B, features), float32.

    Raises:
        ValueError: If there is no SavedModel, or not such a one.
    """

    def __init__(self, path, **kwargs):
        if not (Path(path) / "saved_model.pb").is_file():
            raise ValueError(
                f"`path` must be a SavedModel's folder, with saved_model.pb. Received: {path}"
            )
        super().__init__(str(path), "serving_default", trainable=False, **kwargs)
        inputs = list(self.call_endpoint_fn.structured_input_signature[1].values())
        outputs = self.call_endpoint_fn.structured_outputs
        fits = [
            len(inputs) == 1 and inputs[0].dtype.is_floating and inputs[0].shape.rank == 4,
            len(outputs) == 1 and all(o.shape.rank == 2 and o.shape[1] for o in outputs.values()),
        ]
        if not all(fits) or inputs[0].shape[-1] not in (1, 3):
            raise ValueError(
                "`path` must be of a SavedModel whose serving_default takes one batch of float "
                f"images and returns one batch of vectors. Received: {inputs}, {outputs}"
            )
        self._taken = tuple(inputs[0].shape[1:])

    def call(self, faces):
        height, width, channels = self._taken
        x = ops.cast(faces, "float32")
        if channels == 3 and x.shape[-1] == 1:
            x = ops.repeat(x, 3, axis=-1)
        elif channels == 1 and x.shape[-1] == 3:
            x = ops.image.rgb_to_grayscale(x)
        if height and width and (height, width) != tuple(x.shape[1:3]):
            x = ops.image.resize(x, (height, width), antialias=True)
        (features,) = super().call(x).values()
        return features

    def get_config(self):
        return {"path": self.filepath, "name": self.name, "dtype": self.dtype_policy.name}


FEATURES = "'fer_net', 'backbone:NAME' or 'savedmodel:PATH'"


def create_features(features, classes, size=64, channels=1, **kwargs):
    """The networks that a face is recognized by: the CNN, and what its features are taken from.

    Args:
        features: "fer_net"; "backbone:NAME", for another published network in its place; or
            "savedmodel:PATH", for a model that is done learning, beside FER-Net as the CNN.
        classes: As in `FerNet`, and so the others.
        size: Side of the face in pixels.
        channels: 1 or 3.
        **kwargs: Other arguments of `FerNet`.

    Returns:
        (FerNet, extractor): the extractor is None where features are the FerNet's own, else a layer
        from faces to vectors.

    Raises:
        ValueError: If `features` is none of these, or the network cannot be made.
    """
    kind, _, value = features.partition(":")
    if features == "fer_net":
        return FerNet(classes, size, channels, **kwargs), None
    if kind == "backbone" and value in BACKBONES:
        return FerNet(classes, size, channels, value, **kwargs), None
    if kind == "savedmodel" and value:
        return FerNet(classes, size, channels, **kwargs), SavedModelFeatures(value)
    raise ValueError(
        f"`features` must be {FEATURES}, NAME one of {list(BACKBONES)}. Received: {features!r}"
    )


def feature_distances(features, regenerated):
    """The distances of Eq. 8, `||Feat(I_input) - Feat(I_i)||`.

    Args:
        features: (B, F), of the faces.
        regenerated: (B, classes, F), of their regenerated expressions.

    Returns:
        (B, classes) float32, 0 and above.
    """
    features, regenerated = (ops.cast(value, "float32") for value in (features, regenerated))
    return ops.sqrt(ops.sum(ops.square(features[:, None] - regenerated), axis=-1))


def nearest_expression(distances):
    """Eq. 8: the class whose regenerated face is nearest.

    Args:
        distances: (B, classes), of `feature_distances`.

    Returns:
        (B,) class IDs; the first one of equal distances.
    """
    return ops.argmin(distances, axis=-1)
