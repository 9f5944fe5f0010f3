"""Regeneration's players: generator and discriminator of one class; all of them as one network."""

import re
from collections.abc import Sequence

import keras
from keras import ops

from tfface.data.augmentation import CUT_110
from tfface.network import Network
from tfface.regeneration.features import feature_distances

_MARGIN = 0.01
"""How near to 0 and 1 a face may come before its logit is taken."""


@keras.saving.register_keras_serializable("tfface")
class RegenerationGenerator(Network):
    """A face in, the same person with one expression out: the U-Net of pix2pix (Sec. III-A).

    Encoders and decoders are 4x4 convolutions of stride 2, each with batch normalization and ReLU;
    each decoder but the first also sees the encoder's features of its size. Choices, where the
    paper is silent: normalization stands before ReLU, as in pix2pix; the last layer has neither,
    and a sigmoid makes an image of it.

    Args:
        expression: Name of the class whose faces it makes; it goes with the weights, so that
            generators of different runs can be joined.
        size: Side of the face in pixels, a multiple of 2 to the number of encoders.
        channels: 1 (the paper's grey faces) or 3.
        filters: Output channels of the encoders; decoders have the same in reverse, then
            `channels`. The paper's six make of 64x64 pixels one place.
        dropout: Share of the first three decoders' outputs that training hides (pix2pix: 0.5).
        residual: Whether the last layer, which starts at 0, says how the logit of each value
            changes; False draws the whole face, as in pix2pix.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, channels), values in [0, 1].

    Output:
        (B, size, size, channels), values in [0, 1], float32.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Yang et al., Identity-Adaptive Facial Expression Recognition Through Expression
        Regeneration Using Conditional Generative Adversarial Networks, 2018, Sec. III-A; Isola et
        al., Image-to-Image Translation with Conditional Adversarial Networks, 2017, Sec. 6.1.
    """

    def __init__(
        self,
        expression: str = "",
        size: int = 64,
        channels: int = 1,
        filters: Sequence[int] = (64, 128, 256, 512, 512, 512),
        dropout: float = 0.0,
        residual: bool = False,
        dtype=None,
        **kwargs,
    ):
        filters = _checked_filters(filters)
        _check_face(size, channels, 2 ** len(filters))
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: {dropout}")

        face = keras.Input((size, size, channels), name="face")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(face)
        skips = []
        for i, number in enumerate(filters):
            layer = keras.layers.Conv2D(number, 4, 2, "same", **_drawn(f"encode_{i}", dtype))
            x = _normalized(layer(x), f"encode_{i}", dtype)
            x = keras.layers.ReLU(dtype=dtype, name=f"encode_{i}_relu")(x)
            skips.append(x)
        for i, number in enumerate(filters[-2::-1]):  # (B, size / 2^k, size / 2^k, number)
            if i:
                x = keras.layers.Concatenate(dtype=dtype, name=f"skip_{i}")([x, skips[-1 - i]])
            layer = keras.layers.Conv2DTranspose(
                number, 4, 2, "same", **_drawn(f"decode_{i}", dtype)
            )
            x = _normalized(layer(x), f"decode_{i}", dtype)
            if dropout and i < 3:
                x = keras.layers.Dropout(dropout, dtype=dtype, name=f"decode_{i}_dropout")(x)
            x = keras.layers.ReLU(dtype=dtype, name=f"decode_{i}_relu")(x)
        last = len(filters) - 1
        x = keras.layers.Concatenate(dtype=dtype, name=f"skip_{last}")([x, skips[0]])
        x = keras.layers.Conv2DTranspose(
            channels,
            4,
            2,
            "same",
            kernel_initializer="zeros" if residual else "glorot_uniform",
            dtype=dtype,
            name="change" if residual else "draw",
        )(x)
        x = ops.cast(x, "float32")
        if residual:
            kept = ops.clip(face, _MARGIN, 1.0 - _MARGIN)
            x = x + ops.log(kept) - ops.log(1.0 - kept)
        outputs = keras.layers.Activation("sigmoid", dtype="float32", name="regenerated")(x)

        config = {
            "expression": expression,
            "size": size,
            "channels": channels,
            "filters": filters,
            "dropout": dropout,
            "residual": residual,
        }
        kwargs.setdefault("name", re.sub(r"\W", "_", f"generator_{expression}".rstrip("_")))
        super().__init__(face, outputs, config, dtype=dtype, **kwargs)
        self.expression, self.size, self.channels = expression, size, channels


def _drawn(name, dtype):
    """What all convolutions share whose normalization has an offset of its own."""
    return {"use_bias": False, "kernel_initializer": "he_normal", "dtype": dtype, "name": name}


def _normalized(x, name, dtype):
    # Over all replicas, so that two devices compute what one does.
    return keras.layers.BatchNormalization(
        momentum=0.9, synchronized=True, dtype=dtype, name=f"{name}_norm"
    )(x)


@keras.saving.register_keras_serializable("tfface")
class RegenerationDiscriminator(Network):
    """The discriminator of pairs [face, target] and [face, regenerated face] (Sec. III-A).

    4x4 convolutions, the last of one channel. Choices: as in pix2pix, whose structure the paper
    follows, the last two have stride 1 and the others stride 2, so that each of 8x8 logits judges a
    patch of 64x64; all but the first and the last are normalized; LeakyReLU of 0.2.

    Args:
        size: Side of the face in pixels.
        channels: 1 or 3.
        filters: Output channels of all convolutions but the last.
        dtype: Dtype policy; None is the global one.

    Input:
        [(B, size, size, channels), (B, size, size, channels)]: the face that was given, and the
        one to judge, values in [0, 1].

    Output:
        (B, size / 8, size / 8, 1) logits (for four filters), float32: positive where the second
        face is taken for a real one of the first one's person.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Yang et al., 2018, Sec. III-A, Eq. 1; Isola et al., 2017, Sec. 6.1.2.
    """

    def __init__(
        self,
        size: int = 64,
        channels: int = 1,
        filters: Sequence[int] = (64, 128, 256, 512),
        dtype=None,
        **kwargs,
    ):
        filters = _checked_filters(filters)
        _check_face(size, channels, 2 ** (len(filters) - 1))
        given, judged = (keras.Input((size, size, channels), name=n) for n in ("given", "judged"))
        x = keras.layers.Concatenate(dtype=dtype, name="pair")([given, judged])
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(x)
        for i, number in enumerate(filters):
            stride = 1 if i == len(filters) - 1 else 2
            layer = keras.layers.Conv2D(number, 4, stride, "same", **_drawn(f"conv_{i}", dtype))
            x = layer(x)
            x = _normalized(x, f"conv_{i}", dtype) if i else x
            x = keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"conv_{i}_relu")(x)
        x = keras.layers.Conv2D(1, 4, padding="same", dtype=dtype, name="logits")(x)
        outputs = keras.layers.Activation("linear", dtype="float32", name="judgment")(x)

        config = {"size": size, "channels": channels, "filters": filters}
        super().__init__([given, judged], outputs, config, dtype=dtype, **kwargs)
        self.size, self.channels = size, channels


def _checked_filters(filters):
    filters = [int(number) for number in filters]
    if len(filters) < 2 or min(filters) < 1:
        raise ValueError(f"`filters` must be at least two positive numbers. Received: {filters}")
    return filters


def _check_face(size, channels, divisor):
    if size < divisor or size % divisor:
        raise ValueError(f"`size` must be a multiple of {divisor}. Received: {size}")
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: {channels}")


@keras.saving.register_keras_serializable("tfface")
class ExpressionRegenerator(Network):
    """IA-gen at prediction: all generators and the features of their faces in one graph (Fig. 2).

    Args:
        generators: A RegenerationGenerator for each class of the classifier, in any order.
        classifier: FerNet; its logits are the CNN baseline of Tables I to IV, its features those of
            Eq. 8.
        extractor: What maps faces to features in its place (Sec. III-B); None for the classifier.

    Input:
        (B, size, size, channels), values in [0, 1]: an aligned face of `aligned_size` pixels, of
        which the middle was cut out, as in training.

    Output:
        Dict of float32: `regenerated` (B, classes, size, size, channels), in [0, 1]; `distances`
        (B, classes), from the face's features to those of its regenerated faces; `logits`
        (B, classes), the classifier's of the face as it is. Classes are in the classifier's order.

    Raises:
        ValueError: If the generators are not one for each class, or of different faces.

    Reference:
        Yang et al., 2018, Sec. III, Fig. 2, Eq. 8.
    """

    def __init__(self, generators, classifier, extractor=None, **kwargs):
        generators = _in_order(generators, classifier)
        size, channels = classifier.size, classifier.channels
        count = len(generators)

        face = keras.Input((size, size, channels), name="face")
        faces = [generator(face, training=False) for generator in generators]
        regenerated = ops.stack(faces, axis=1)  # (B, classes, size, size, channels)
        # The face first, then its regenerated ones, so that their features are those of one batch.
        every = ops.concatenate([ops.cast(face, "float32"), *faces], axis=0)
        logits, features = classifier.with_features()(every, training=False)
        if extractor is not None:
            features = extractor(every, training=False)
        features = ops.reshape(features, (1 + count, -1, features.shape[-1]))
        features = ops.swapaxes(features, 0, 1)  # (B, 1 + classes, F)
        outputs = {
            "regenerated": regenerated,
            "distances": feature_distances(features[:, 0], features[:, 1:]),
            "logits": ops.reshape(logits, (1 + count, -1, count))[0],
        }
        parts = {"generators": generators, "classifier": classifier, "extractor": extractor}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        super().__init__(face, outputs, config, **kwargs)
        self.generators, self.classifier, self.extractor = generators, classifier, extractor
        self.classes, self.size, self.channels = classifier.classes, size, channels
        self.aligned_size = size + CUT_110

    @classmethod
    def from_config(cls, config):
        parts = ("generators", "classifier", "extractor")
        networks = keras.saving.deserialize_keras_object({name: config[name] for name in parts})
        return super().from_config({**config, **networks})

    def in_float32(self):
        networks = [*self.generators, self.classifier]
        computing = [network.in_float32() for network in networks]
        if all(a is b for a, b in zip(networks, computing, strict=True)):
            return self
        *generators, classifier = computing
        return type(self)(generators, classifier, self.extractor, name=self.name, dtype="float32")


def _in_order(generators, classifier):
    """The generators in the order of the classifier's classes."""
    generators = list(generators)
    made = [generator.expression for generator in generators]
    if sorted(made) != sorted(classifier.classes):
        raise ValueError(
            f"`generators` must be one for each class of {', '.join(classifier.classes)}. "
            f"Received: {', '.join(made) or 'none'}"
        )
    faces = {g.expression: (g.size, g.size, g.channels) for g in generators}
    expected = classifier.size, classifier.size, classifier.channels
    if set(faces.values()) != {expected}:
        raise ValueError(
            f"`generators` must make faces of the classifier's shape, {expected}. Received: {faces}"
        )
    return sorted(generators, key=lambda g: classifier.classes.index(g.expression))
