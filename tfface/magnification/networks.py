"""Magnification's players: BaseNet (E and C), generator G, discriminators D and D'; and their sum.

**First weights.** The paper draws all weights from N(0, 0.01) and sets all biases to 1; that is
`initialization="paper"`. The default, "he", scales a layer's weights with its inputs and starts
biases at 0, because the paper's hardly trains at first: VGG, AlexNet and the discriminators do not
normalize, a 3x3 convolution of 64 channels drawn so narrowly passes a fourth of its input's
deviation on, and the biases of 1 drown the rest. In a trial (VGG11, 8 pictures of 64 pixels, 7
classes) the features of different pictures differed by 1e-5, and 25 steps of Adam left the loss at
log(7) or so, where "he" came to 0.2. The paper's needs a long training.

**The feature's scale.** G, D and D' standardize the feature that they are given: each vector gets
mean 0 and deviation 1. The paper does not; but then E can win by making its features large,
against a loss without a lower bound (log(1 - D)): in a trial it fell to -15,000 within 60 steps and
took the faces along; with this the game stays even.
"""

from collections.abc import Sequence

import keras
from keras import ops

from tfface.backbones import create_backbone
from tfface.layers.convolution import ResidualBlock
from tfface.network import Network

FEATURE_SIZE = 256
"""Length of the expression feature, which Fig. 4 draws as 8x32."""

INITIALIZATIONS = ("he", "paper")

_MARGIN = 0.01
"""How near to 0 and 1 a face may come before its logit is taken."""


@keras.saving.register_keras_serializable("tfface")
class ExpressionNet(Network):
    """The BaseNet: C with its class layer, the extractor E without it (Sec. 3.2, 4.3).

    The convolutions of a published image network, then fully connected layers of 512 and 256 units
    in place of 4096 (Sec. 4.3) with ReLU, and the class layer. The 256 values are the expression
    feature of Fig. 4.

    Args:
        num_classes: Number of expressions; None for the extractor E, which ends at its feature.
        size: Side of the face in pixels.
        backbone: One of `tfface.backbones.BACKBONES`; the paper's are "alexnet", "vgg11", "vgg13",
            "vgg16", "vgg19", "resnet18", "resnet34" and "resnet50".
        pooling: What makes a vector of the last feature map. None takes what was published:
            "flatten" for AlexNet and the VGGs, whose fully connected layers see every place (at 128
            pixels the last map is 4x4, and on an aligned face the place says which muscle moved),
            "avg" for the ResNets, whose first fully connected layer would else hold up to 17
            million weights. "max" is possible as well.
        weights: The convolutions' first weights: None for random ones, "imagenet", or a path.
        initialization: "he" or "paper", see above; of the layers that `weights` do not fill.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1].

    Output:
        (B, num_classes) logits or (B, 256) features, 0 and above; float32.

    Raises:
        ValueError: If `num_classes` is below 2, `initialization` is unknown, or the backbone cannot
            be made or its weights cannot be had.

    Reference:
        Niu et al., Four-player GroupGAN for weak expression recognition via latent expression
        magnification, 2022, Sec. 4.3.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        size: int = 128,
        backbone: str = "vgg13",
        pooling: str | None = None,
        weights: str | None = None,
        initialization: str = "he",
        dtype=None,
        **kwargs,
    ):
        if num_classes is not None and num_classes < 2:
            raise ValueError(f"`num_classes` must be at least 2 or None. Received: {num_classes}")
        _check_initialization(initialization)
        if pooling not in (None, "avg", "max", "flatten"):
            raise ValueError(
                f"`pooling` must be None, 'avg', 'max' or 'flatten'. Received: {pooling!r}"
            )

        published = "avg" if backbone.startswith("resnet") else "flatten"
        # The published layers are made by their own builders, which know no dtype argument.
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype or before)
        try:
            trunk = create_backbone(backbone, (size, size, 3), weights, pooling or published)
        finally:
            keras.config.set_dtype_policy(before)
        # So that a step on several devices is the step on one.
        for layer in trunk.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
        x = trunk.output
        for units, name in ((512, "dense"), (FEATURE_SIZE, "expression")):
            x = keras.layers.Dense(
                units, "relu", kernel_initializer="he_normal", dtype=dtype, name=name
            )(x)
        outputs = features = keras.layers.Activation("linear", dtype="float32", name="feature")(x)
        if num_classes is not None:
            outputs = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)

        config = {
            "num_classes": num_classes,
            "size": size,
            "backbone": backbone,
            "pooling": pooling,
            "weights": None,  # a copy or a reloaded network has weights of its own
            "initialization": initialization,
        }
        super().__init__(trunk.input, outputs, config, dtype=dtype, **kwargs)
        self.num_classes, self.size = num_classes, size
        self._features = features
        if initialization == "paper":
            given = trunk.trainable_weights if weights is not None else []
            _draw_as_the_paper(self, besides=given)

    def extractor(self):
        """E from a C that was trained on peaks: this network without its class layer, copied."""
        copy = type(self).from_config(
            {**self.get_config(), "num_classes": None, "name": f"{self.name}_extractor"}
        )
        for layer in copy.layers:
            layer.set_weights(self.get_layer(layer.name).get_weights())
        return copy

    def with_features(self):
        """This network with two outputs, its own and the expression feature (Fig. 4)."""
        return keras.Model(self.inputs[0], [self.outputs[0], self._features])


@keras.saving.register_keras_serializable("tfface")
class MagnificationGenerator(Network):
    """The generator G: a weak expression in, the same person's peak of it out (Sec. 3.2).

    The encoder's four convolutions have kernels 7, 5, 3 and 3, strides 1, 2, 2 and 2, and a
    residual block each. At the bottleneck the extractor's feature, standardized and the same at
    every place, joins the channels. The decoder's four convolutions mirror the encoder: the first,
    3x3 of stride 1, mixes face and feature, the other three are transposed and double the size
    (their kernel of 4 meets each pixel twice along each axis, so that no checkerboard shows). Two
    3x3 convolutions follow.

    The paper does not say how the image comes out. Choice: the decoder says how the logit of each
    value changes, so that a face that shall stay costs nothing to learn, the result is in [0, 1],
    and a heat map (Eq. 22) shows where the network acts, not where it blurs. The first weights of
    the last layer are 0: training starts from the face itself.

    Args:
        size: Side of the face in pixels, a multiple of 8.
        filters: Channels of the four encoder convolutions.
        feature_size: Length of the extractor's feature; 0 for a generator without (DCGAN, 1V2).
        residual: Whether the decoder changes the face; False makes it draw the whole face, a
            sigmoid of its output.
        initialization: "he" or "paper", see above. In the paper's the last bias of 1 brightens.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1]; or that and (B, feature_size).

    Output:
        (B, size, size, 3), values in [0, 1], float32. With `residual`, and before any training,
        the face itself but for values nearer than 0.01 to 0 or 1, which come out as 0.01 and 0.99.

    Raises:
        ValueError: If `size` is not a multiple of 8, `filters` are not four, `feature_size` is
            negative or `initialization` is unknown.

    Reference:
        Niu et al., 2022, Sec. 3.2 and Fig. 3.
    """

    def __init__(
        self,
        size: int = 128,
        filters: Sequence[int] = (64, 128, 256, 512),
        feature_size: int = FEATURE_SIZE,
        residual: bool = True,
        initialization: str = "he",
        dtype=None,
        **kwargs,
    ):
        filters = [int(number) for number in filters]
        if size < 8 or size % 8:
            raise ValueError(f"`size` must be a multiple of 8. Received: {size}")
        if len(filters) != 4 or min(filters) < 1:
            raise ValueError(f"`filters` must be four positive numbers. Received: {filters}")
        _check_feature_size(feature_size)
        _check_initialization(initialization)

        def activated(layer, x, name):
            x = layer(x)
            return keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"{name}_relu")(x)

        def convolution(number, kernel, stride, name):
            return keras.layers.Conv2D(
                number, kernel, stride, "same", kernel_initializer="he_normal", dtype=dtype,
                name=name,
            )  # fmt: skip

        face = keras.Input((size, size, 3), name="face")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(face)
        plan = zip(filters, (7, 5, 3, 3), (1, 2, 2, 2), strict=True)
        for i, (number, kernel, stride) in enumerate(plan):
            x = activated(convolution(number, kernel, stride, f"encode_{i}"), x, f"encode_{i}")
            x = ResidualBlock(number, dtype=dtype, name=f"residual_{i}")(x)
        inputs = face  # x: (B, size / 8, size / 8, filters[3])
        if feature_size:
            feature = keras.Input((feature_size,), name="feature")
            inputs = [face, feature]
            even = _standardized(feature, dtype)
            tiled = ops.tile(even[:, None, None, :], (1, size // 8, size // 8, 1))
            x = keras.layers.Concatenate(dtype=dtype, name="bottleneck")([x, tiled])
        x = activated(convolution(filters[3], 3, 1, "decode_0"), x, "decode_0")
        for i, number in enumerate(filters[2::-1], start=1):
            layer = keras.layers.Conv2DTranspose(
                number, 4, 2, "same", kernel_initializer="he_normal", dtype=dtype,
                name=f"decode_{i}",
            )  # fmt: skip
            x = activated(layer, x, f"decode_{i}")
        x = activated(convolution(filters[0], 3, 1, "refine"), x, "refine")
        x = keras.layers.Conv2D(
            3,
            3,
            padding="same",
            kernel_initializer="zeros" if residual else "glorot_uniform",
            dtype=dtype,
            name="change" if residual else "draw",
        )(x)
        x = ops.cast(x, "float32")
        if residual:
            kept = ops.clip(face, _MARGIN, 1.0 - _MARGIN)
            x = x + ops.log(kept) - ops.log(1.0 - kept)
        outputs = keras.layers.Activation("sigmoid", dtype="float32", name="peak")(x)

        config = {
            "size": size,
            "filters": filters,
            "feature_size": feature_size,
            "residual": residual,
            "initialization": initialization,
        }
        super().__init__(inputs, outputs, config, dtype=dtype, **kwargs)
        self.size, self.feature_size = size, feature_size
        if initialization == "paper":
            _draw_as_the_paper(self)


@keras.saving.register_keras_serializable("tfface")
class MagnificationDiscriminator(Network):
    """The discriminators D (real or fake) and D' (peak or weak): one logit (Sec. 3.2).

    "VGG-like": 3x3 convolutions whose channels double while height and width halve, then fully
    connected layers; the extractor's feature, where there is one, joins the first of these,
    standardized.
    Choices: stride 2 in place of pooling, so that every pixel has a gradient; LeakyReLU.

    Args:
        size: Side of the face in pixels.
        filters: Channels of the convolutions, each of which halves the size.
        dense_units: Units of the two fully connected layers before the logit.
        feature_size: Length of the extractor's feature; 0 for a discriminator without.
        initialization: "he" or "paper", see above.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1]; or that and (B, feature_size).

    Output:
        (B, 1) logits, float32: positive where the face is taken for real, or for a peak.

    Raises:
        ValueError: If `filters` is empty, `feature_size` negative or `initialization` unknown.

    Reference:
        Niu et al., 2022, Sec. 3.2, Eq. 7 to 10 and 14 to 17.
    """

    def __init__(
        self,
        size: int = 128,
        filters: Sequence[int] = (64, 128, 256, 512),
        dense_units: int = 256,
        feature_size: int = FEATURE_SIZE,
        initialization: str = "he",
        dtype=None,
        **kwargs,
    ):
        filters = [int(number) for number in filters]
        if not filters or min(filters) < 1:
            raise ValueError(f"`filters` must be positive numbers. Received: {filters}")
        _check_feature_size(feature_size)
        _check_initialization(initialization)

        def activated(layer, x, name):
            x = layer(x)
            return keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"{name}_relu")(x)

        face = keras.Input((size, size, 3), name="face")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(face)
        for i, number in enumerate(filters):
            layer = keras.layers.Conv2D(
                number, 3, 2, "same", kernel_initializer="he_normal", dtype=dtype,
                name=f"conv_{i}",
            )  # fmt: skip
            x = activated(layer, x, f"conv_{i}")
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
        inputs = face
        if feature_size:
            feature = keras.Input((feature_size,), name="feature")
            inputs = [face, feature]
            even = _standardized(feature, dtype)
            x = keras.layers.Concatenate(dtype=dtype, name="condition")([x, even])
        for i in range(2):
            layer = keras.layers.Dense(
                dense_units, kernel_initializer="he_normal", dtype=dtype, name=f"dense_{i}"
            )
            x = activated(layer, x, f"dense_{i}")
        outputs = keras.layers.Dense(1, dtype="float32", name="logit")(x)

        config = {
            "size": size,
            "filters": filters,
            "dense_units": dense_units,
            "feature_size": feature_size,
            "initialization": initialization,
        }
        super().__init__(inputs, outputs, config, dtype=dtype, **kwargs)
        self.size, self.feature_size = size, feature_size
        if initialization == "paper":
            _draw_as_the_paper(self)


@keras.saving.register_keras_serializable("tfface")
class ExpressionMagnifier(Network):
    """What a finished run keeps: G (with E) and C as one network, with the heat map of Eq. 22.

    Args:
        generator: G, as `GroupGAN` takes it; None, of the mode "cnn", leaves faces as they are.
        extractor: E of a G that takes features; None for one without.
        classifier: C, which reads the class of the face as it is and of the magnified one.
        classes: Names of its classes.
        aligned_size: Side that an aligned face is resized to before its middle of `size` pixels is
            cut out for these networks, as in training; None for `size`, no cut.

    Input:
        (B, size, size, 3), values in [0, 1].

    Output:
        Dict of float32: `magnified` (B, size, size, 3), in [0, 1]; `heat_map` (B, size, size), from
        0 to 3; `logits_before` and `logits_after` (B, classes), of the face and of `magnified`.

    Raises:
        ValueError: If networks and classes do not fit each other, or `aligned_size` is too small.
    """

    def __init__(
        self, generator, extractor, classifier, classes, aligned_size: int | None = None, **kwargs
    ):
        networks = {"generator": generator, "extractor": extractor, "classifier": classifier}
        classes = [str(name) for name in classes]
        size = classifier.input_shape[1]
        _check_magnifier(networks, classes, size, aligned_size)

        face = magnified = keras.Input((size, size, 3), name="face")
        if generator is not None:
            given = face if extractor is None else [face, extractor(face, training=False)]
            magnified = generator(given, training=False)
        outputs = {
            "magnified": ops.cast(magnified, "float32"),
            "heat_map": ops.sum(ops.square(magnified - face), axis=-1),  # Eq. 22
            "logits_before": classifier(face, training=False),
            "logits_after": classifier(magnified, training=False),
        }
        config = {
            **{n: v and keras.saving.serialize_keras_object(v) for n, v in networks.items()},
            "classes": classes,
            "aligned_size": aligned_size,
        }
        super().__init__(face, outputs, config, **kwargs)
        self.generator, self.extractor, self.classifier = generator, extractor, classifier
        self.classes, self.size, self.aligned_size = tuple(classes), size, aligned_size or size

    @classmethod
    def from_config(cls, config):
        names = ("generator", "extractor", "classifier")
        networks = {n: keras.saving.deserialize_keras_object(config[n]) for n in names}
        return super().from_config({**config, **networks})

    def in_float32(self):
        networks = (self.generator, self.extractor, self.classifier)
        computing = [n.in_float32() if isinstance(n, Network) else n for n in networks]
        if all(a is b for a, b in zip(networks, computing, strict=True)):
            return self
        return type(self)(
            *computing, self.classes, self.aligned_size, name=self.name, dtype="float32"
        )


def check_inputs(networks, extractor):
    """Raises a ValueError where players do not take features as there is an extractor or not.

    Args:
        networks: Dict from a player's name to its network.
        extractor: E, or None.
    """
    for name, network in networks.items():
        if (len(network.inputs) == 2) != (extractor is not None):
            rule = "take faces and features" if extractor is not None else "take faces alone"
            raise ValueError(
                f"`{name}` must {rule}, as there is {'an' if extractor is not None else 'no'} "
                f"extractor. Received: one of {len(network.inputs)} inputs"
            )


def _check_magnifier(networks, classes, size, aligned_size):
    players = {name: v for name, v in networks.items() if v is not None}
    if "generator" in players:
        check_inputs({"generator": players["generator"]}, players.get("extractor"))
    elif "extractor" in players:
        raise ValueError("`extractor` must be None without a generator. Received: a network")
    faces = {name: tuple(v.inputs[0].shape[1:]) for name, v in players.items()}
    if set(faces.values()) != {(size, size, 3)}:
        raise ValueError(f"`networks` must take faces of one size. Received: {faces}")
    (_, count) = networks["classifier"].output_shape
    if len(classes) != count or len(set(classes)) < count:
        raise ValueError(
            f"`classes` must name each of the classifier's {count} classes, none twice. "
            f"Received: {classes}"
        )
    if aligned_size is not None and aligned_size < size:
        raise ValueError(f"`aligned_size` must be at least {size}. Received: {aligned_size}")


def _standardized(feature, dtype):
    return keras.layers.LayerNormalization(
        center=False, scale=False, dtype=dtype, name="standardized_feature"
    )(feature)


def _check_feature_size(feature_size):
    if feature_size < 0:
        raise ValueError(f"`feature_size` must be at least 0. Received: {feature_size}")


def _check_initialization(initialization):
    if initialization not in INITIALIZATIONS:
        raise ValueError(
            f"`initialization` must be one of {list(INITIALIZATIONS)}. Received: {initialization!r}"
        )


def _draw_as_the_paper(network, besides=()):
    """Weights from N(0, 0.01), biases 1 (Sec. 4.2); normalizations start as they are."""
    besides = {id(weight) for weight in besides}
    for weight in network.trainable_weights:
        if id(weight) in besides:
            continue
        if weight.name == "kernel":
            weight.assign(keras.random.normal(weight.shape, stddev=0.01))
        elif weight.name == "bias":
            weight.assign(ops.ones(weight.shape))
