"""The players of action unit synthesis: the CARGs, and the discriminators D_z, D_AU and D_img.

Each action unit (AU) has networks of its own: a conditional AU regional generator (CARG), a D_z and
a D_AU. Those of all AUs are one Keras network each, whose layers hold the weights of all of them
side by side (`tfface.layers.parallel`), the pictures of n AUs standing in the channels.

**Labels** come in as values from 0, absent, to 1, present, NaN where nothing is known or asked. The
networks take them to the paper's -1 and +1; what lies between interpolates. A NaN is 0 there.
"""

from collections.abc import Sequence
from functools import partial

import keras
import numpy as np
from keras import ops

from tfface.facs.action_units import validate_action_units
from tfface.facs.landmarks import N_POINTS
from tfface.facs.regions import STACKED
from tfface.layers.convolution import DownBlock
from tfface.layers.parallel import (
    ParallelConv2D,
    ParallelDense,
    flatten_branches,
    unflatten_branches,
)
from tfface.layers.regional import (
    MovedPixels,
    RegionalAttention,
    RegionalComposition,
    RegionalWindows,
    WindowPixels,
    masked,
)
from tfface.network import Network

REGIONS = ("crop", "full")
DRAWINGS = ("pixels", "movement")
REACH = 0.05
"""The farthest that a pixel can move along an axis, as a share of the face's side."""


def signed(values):
    """Labels in [0, 1] as the paper's in [-1, 1]; 0 for NaN."""
    return ops.where(values >= 0, 2.0 * values - 1.0, ops.zeros_like(values))


def values_of(changes, action_units):
    """A wish in words as a generator takes it: a value for each AU that is named, NaN for others.

    Args:
        changes: {AU: value in [0, 1]}.
        action_units: The n AUs that the generator knows.

    Returns:
        (n,) float32.

    Raises:
        ValueError: If an AU is not among them, or a value is not in [0, 1].
    """
    row = np.full(len(action_units), np.nan, np.float32)
    for number, value in changes.items():
        if number not in action_units:
            raise ValueError(
                f"`changes` must name AUs among {list(action_units)}. Received: {number}"
            )
        if not 0 <= value <= 1:
            raise ValueError(
                f"`changes` must hold values from 0 to 1. Received: AU {number} = {value}"
            )
        row[list(action_units).index(number)] = value
    return row


@keras.saving.register_keras_serializable("tfface")
class LACGenerator(Network):
    """Switches AUs of a face: a CARG for each, and everything that no region holds as it was.

    A CARG (Fig. 2) is an encoder of five 5x5 convolutions of stride 2 and a dense layer to z, and a
    decoder of a dense layer on [z, label] and five 5x5 transposed convolutions. The label is the
    pair (l, -l), l in [-1, 1], repeated until it is as long as z. Choices: LeakyReLU in the
    encoder, ReLU in the decoder, tanh for z, whose prior is uniform on (-1, 1). The decoder draws
    the region's pixels in [0, 1] and attention is laid over them, so that its output is 0 where
    there is no region without having to learn it.

    Its parts are models of their own, for training: `cut` ([face, landmarks] to [regions X^AU_i,
    attention A_i] and, for "crop", the windows' corners), `encoder` (regions to z), `decoder` ([z,
    values] to pixels), `composer` (the arguments of `RegionalComposition` to faces).

    Args:
        action_units: The AUs that it can switch.
        size: Side of the face in pixels.
        filters: Channels of the encoder's five convolutions; the decoder's mirror them.
        latent_size: Length of z and of the repeated label, even.
        region: "crop" gives a CARG the two windows of its AU, "full" (the paper) the whole masked
            face, which is 0 outside of them: the same pixels count in both.
        drawing: "pixels" (the paper): the decoder draws the region anew. "movement": it says from
            where each pixel is taken, at most `REACH` of the face away, smoothly and alike on both
            sides of the face, since an AU names none. Muscles move skin; what moves keeps its
            colors, its sharpness and its person, and noise, which R_AU mistakes for an AU sooner
            than G finds the AU, cannot be drawn. Nor can a wrinkle or a tooth that was not there.
        decay: Of the attention, see `RegionalAttention`.
        extent: Side of an attention square as a share of the face's.
        dtype: Dtype policy; None is the global one.

    Input:
        List of face (B, size, size, 3), values in [0, 1]; values (B, n), what each AU shall be, in
        [0, 1], NaN for one that shall stay; landmarks (B, 68, 2) in pixels of the face, NaN where
        unknown: the canonical mean face's are taken.

    Output:
        (B, size, size, 3), values in [0, 1], float32. Where no AU that is asked has attention, it
        is the face itself, bit for bit.

    Raises:
        ValueError: If an AU is unknown or comes twice, `filters` are not five, `latent_size` is odd
            or `region` or `drawing` unknown.

    Reference:
        Liu et al., Region Based Adversarial Synthesis of Facial Action Units, 2020, Sec. 3.
    """

    def __init__(
        self,
        action_units,
        size: int = 200,
        filters: Sequence[int] = (32, 64, 128, 256, 256),
        latent_size: int = 60,
        region: str = "crop",
        drawing: str = "pixels",
        decay: float = 0.56,
        extent: float = 0.14,
        dtype=None,
        **kwargs,
    ):
        action_units = validate_action_units(action_units)
        filters, n = [int(number) for number in filters], len(action_units)
        if len(filters) != 5 or min(filters) < 1:
            raise ValueError(f"`filters` must be five positive numbers. Received: {filters}")
        if latent_size < 2 or latent_size % 2:
            raise ValueError(f"`latent_size` must be even, at least 2. Received: {latent_size}")
        if region not in REGIONS:
            raise ValueError(f"`region` must be one of {list(REGIONS)}. Received: {region!r}")
        if drawing not in DRAWINGS:
            raise ValueError(f"`drawing` must be one of {list(DRAWINGS)}. Received: {drawing!r}")

        face = keras.Input((size, size, 3), name="face")
        values = keras.Input((n,), name="values")
        landmarks = keras.Input((N_POINTS, 2), name="landmarks")
        cut = _cut(face, landmarks, action_units, region, size, decay, extent)
        height, width = cut.outputs[1].shape[1:3]
        encoder, sides = _encoder(n, height, width, filters, latent_size, dtype)
        mover = None
        if drawing == "movement":
            parts, smooth = (1 if region == "full" else 2), 2 * round(extent * size / 8) + 1
            mover = partial(_mover, action_units, REACH * size, parts, smooth)
        decoder = _decoder(n, sides, filters, latent_size, mover, dtype)
        composer = _composer(cut, size)

        pixels, attention, *corners = cut([face, landmarks])
        latent = encoder(masked(2.0 * pixels - 1.0, attention))  # of X^AU_i, Eq. 1
        drawn = masked(decoder([latent, values, pixels]), attention)  # G_i
        asked = ops.cast(values >= 0, "float32")
        outputs = composer([face, drawn, attention, asked, *corners])

        config = {
            "action_units": list(action_units),
            "size": size,
            "filters": filters,
            "latent_size": latent_size,
            "region": region,
            "drawing": drawing,
            "decay": decay,
            "extent": extent,
        }
        super().__init__([face, values, landmarks], outputs, config, dtype=dtype, **kwargs)
        self.action_units, self.size, self.latent_size = action_units, size, latent_size
        self.region_shape = (height, width)
        self.cut, self.encoder, self.decoder, self.composer = cut, encoder, decoder, composer

    def edit(self, faces, values, landmarks=None, training=False):
        """The faces with their AUs as `values` say; see the class for shapes.

        Args:
            faces: (B, size, size, 3) in [0, 1].
            values: (B, n) in [0, 1], NaN for an AU that shall stay.
            landmarks: (B, 68, 2), or None where they are not known.
            training: As in Keras.

        Returns:
            (B, size, size, 3) in [0, 1].
        """
        if landmarks is None:
            landmarks = ops.full((ops.shape(faces)[0], N_POINTS, 2), np.nan)
        given = [ops.convert_to_tensor(x, "float32") for x in (faces, values, landmarks)]
        return self(given, training=training)

    def values(self, changes):
        """What `edit` takes for a wish in words, see `values_of`."""
        return values_of(changes, self.action_units)


@keras.saving.register_keras_serializable("tfface")
class LatentDiscriminator(Network):
    """D_z of each AU: four dense layers, positive where z looks drawn from the prior (Eq. 6).

    Choice: 64, 32 and 16 units with LeakyReLU, then one.

    Args:
        n_action_units: How many there are.
        latent_size: Length of z.
        units: Units of the three hidden layers.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, n_action_units, latent_size), in (-1, 1).

    Output:
        (B, n_action_units) logits, float32.
    """

    def __init__(
        self,
        n_action_units: int,
        latent_size: int = 60,
        units: Sequence[int] = (64, 32, 16),
        dtype=None,
        **kwargs,
    ):
        units = [int(number) for number in units]
        if len(units) != 3 or min(units) < 1:
            raise ValueError(f"`units` must be three positive numbers. Received: {units}")
        x = latent = keras.Input((n_action_units, latent_size), name="latent")
        for i, number in enumerate(units):
            x = ParallelDense(number, n_action_units, dtype=dtype, name=f"dense_{i}")(x)
            x = keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"relu_{i}")(x)
        x = ParallelDense(1, n_action_units, dtype="float32", name="logit")(x)
        config = {"n_action_units": n_action_units, "latent_size": latent_size, "units": units}
        super().__init__(latent, x[..., 0], config, dtype=dtype, **kwargs)


@keras.saving.register_keras_serializable("tfface")
class RegionDiscriminator(Network):
    """D_AU and R_AU of each AU: is the region real and as its label says, and which label it is.

    Four 5x5 convolutions of stride 2 with batch normalization (over all replicas) after all but the
    first, which both heads share. Choices: D's logit is `a(f) + l b(f)`, f the features, l the
    label and a, b dense layers (a projection discriminator), so that the shared features cannot see
    the label: R, which Eq. 8 gives the label as well, would copy it.

    Args:
        n_action_units: How many AUs there are.
        height: Of the region pictures, see `LACGenerator.region_shape`.
        width: Of the region pictures.
        filters: Channels of the four convolutions.
        dtype: Dtype policy; None is the global one.

    Input:
        List of regions (B, height, width, 3 n), in [0, 1], and values (B, n), labels in [0, 1], NaN
        where unknown.

    Output:
        List of logits (B, n), positive for real, and labels (B, n) in the paper's -1 to 1; float32.

    Raises:
        ValueError: If `filters` are not four.

    Reference:
        Liu et al., 2020, Eq. 7 and 8; Miyato and Koyama, cGANs with Projection Discriminator, 2018.
    """

    def __init__(
        self,
        n_action_units: int,
        height: int,
        width: int,
        filters: Sequence[int] = (32, 64, 128, 256),
        dtype=None,
        **kwargs,
    ):
        filters, n = [int(number) for number in filters], n_action_units
        if len(filters) != 4 or min(filters) < 1:
            raise ValueError(f"`filters` must be four positive numbers. Received: {filters}")
        x = regions = keras.Input((height, width, 3 * n), name="regions")
        values = keras.Input((n,), name="values")
        for i, number in enumerate(filters):
            x = ParallelConv2D(number, n, dtype=dtype, name=f"conv_{i}")(x)
            if i:
                x = keras.layers.BatchNormalization(
                    momentum=0.9, synchronized=True, dtype=dtype, name=f"norm_{i}"
                )(x)
            x = keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"relu_{i}")(x)
        features = flatten_branches(x, n)
        scores = ParallelDense(2, n, dtype="float32", name="logit")(features)  # a and b
        logits = scores[..., 0] + signed(values) * scores[..., 1]
        labels = ParallelDense(1, n, dtype="float32", name="label")(features)[..., 0]

        config = {"n_action_units": n, "height": height, "width": width, "filters": filters}
        super().__init__([regions, values], [logits, labels], config, dtype=dtype, **kwargs)

    def regressor(self):
        """R_AU alone: maps regions to labels, sharing its layers with this network."""
        return keras.Model(self.inputs[0], self.outputs[1], name="regressor")


@keras.saving.register_keras_serializable("tfface")
class FaceDiscriminator(Network):
    """D_img: one logit, positive where a whole face looks real (Eq. 3).

    The paper gives no sizes. Choice: 5x5 convolutions of stride 2 with LeakyReLU, batch
    normalization after all but the first, and one dense layer.

    Args:
        size: Side of the face in pixels.
        filters: Channels of the convolutions.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1].

    Output:
        (B, 1) logits, float32.
    """

    def __init__(
        self, size: int = 200, filters: Sequence[int] = (32, 64, 128, 256), dtype=None, **kwargs
    ):
        filters = [int(number) for number in filters]
        if not filters or min(filters) < 1:
            raise ValueError(f"`filters` must be positive numbers. Received: {filters}")
        face = keras.Input((size, size, 3), name="face")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(face)
        for i, number in enumerate(filters):
            x = DownBlock(number, 5, normalization=i > 0, dtype=dtype, name=f"down_{i}")(x)
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
        outputs = keras.layers.Dense(1, dtype="float32", name="logit")(x)
        config = {"size": size, "filters": filters}
        super().__init__(face, outputs, config, dtype=dtype, **kwargs)


@keras.saving.register_keras_serializable("tfface")
class SubjectClassifier(Network):
    """Who of a data set's people a face shows: identity features without a download.

    Where VGG-Face's weights are not at hand, a network that learned to tell the training people
    apart stands in for it in the identity loss. Stages of stride 2, then one dense layer.

    Args:
        subjects: Number of people.
        size: Side of the face in pixels.
        filters: Channels of the stages.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1].

    Output:
        (B, subjects) logits, float32.

    Raises:
        ValueError: If there are fewer than two people.
    """

    def __init__(
        self,
        subjects: int,
        size: int = 200,
        filters: Sequence[int] = (16, 32, 64, 64),
        dtype=None,
        **kwargs,
    ):
        filters = [int(number) for number in filters]
        if subjects < 2:
            raise ValueError(f"`subjects` must be at least 2. Received: {subjects}")
        face = keras.Input((size, size, 3), name="face")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(face)
        for i, number in enumerate(filters):
            x = DownBlock(number, dtype=dtype, name=f"stage_{i}")(x)
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
        outputs = keras.layers.Dense(subjects, dtype="float32", name="logits")(x)
        config = {"subjects": subjects, "size": size, "filters": filters}
        super().__init__(face, outputs, config, dtype=dtype, **kwargs)
        self.stages = len(filters)

    def feature_extractor(self):
        """This classifier up to each stage, frozen: maps a face to its stages' features."""
        stages = [self.get_layer(f"stage_{i}").output for i in range(self.stages)]
        extractor = keras.Model(self.inputs[0], stages, name="subject_features")
        extractor.trainable = False
        return extractor


def _cut(face, landmarks, action_units, region, size, decay, extent):
    """The model of [face, landmarks] to [regions, attention(, corners)]: Eq. 1."""
    arguments = (action_units, size, decay, extent)
    if region == "full":
        attention = RegionalAttention(*arguments, dtype="float32", name="attention")(landmarks)
        pixels = ops.tile(face, (1, 1, 1, len(action_units)))
        where = [attention]
    else:
        windows = RegionalWindows(*arguments, dtype="float32", name="windows")
        attention, corners = windows(landmarks)
        pixels = WindowPixels(windows.window, dtype="float32", name="pixels")(face, corners)
        where = [attention, corners]
    return keras.Model([face, landmarks], [pixels, *where], name="cut")


def _encoder(n, height, width, filters, latent_size, dtype):
    """G_en of all AUs, and the sides of each of its pictures on the way."""
    x = regions = keras.Input((height, width, 3 * n), name="regions")
    sides = [(height, width)]
    for i, number in enumerate(filters):
        x = ParallelConv2D(number, n, dtype=dtype, name=f"encode_{i}")(x)
        x = keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"encode_{i}_relu")(x)
        sides.append(tuple(x.shape[1:3]))
    x = ParallelDense(latent_size, n, dtype=dtype, name="latent")(flatten_branches(x, n))
    latent = keras.layers.Activation("tanh", dtype="float32", name="latent_tanh")(x)
    return keras.Model(regions, latent, name="encoder"), sides


def _decoder(n, sides, filters, latent_size, mover, dtype):
    """G_de of all AUs: mirrors the encoder, to the same sides, so that odd ones come back.

    `mover` is what moves pixels as it says; None lets it draw them.
    """
    latent = keras.Input((n, latent_size), name="latent")
    values = keras.Input((n,), name="values")
    pixels = keras.Input((*sides[0], 3 * n), name="pixels")
    label = signed(values)[..., None]
    label = ops.tile(ops.concatenate([label, -label], axis=-1), (1, 1, latent_size // 2))
    x = keras.layers.Concatenate(dtype=dtype, name="condition")([latent, label])
    height, width = sides[-1]
    x = ParallelDense(height * width * filters[-1], n, dtype=dtype, name="seed")(x)
    x = keras.layers.ReLU(dtype=dtype, name="seed_relu")(x)
    x = unflatten_branches(x, height, width)
    for i, number in enumerate((*filters[-2::-1], 2 if mover else 3)):
        x = ParallelConv2D(number, n, transposed=True, dtype=dtype, name=f"decode_{i}")(x)
        height, width = sides[-2 - i]
        x = x[:, :height, :width]
        if i < 4:
            x = keras.layers.ReLU(dtype=dtype, name=f"decode_{i}_relu")(x)
    x = ops.cast(x, "float32")
    if mover:
        drawn = mover(pixels, x)
    else:
        drawn = keras.layers.Activation("sigmoid", dtype="float32", name="drawn")(x)
    return keras.Model([latent, values, pixels], drawn, name="decoder")


def _mover(action_units, reach, parts, smooth, pixels, x):
    """The pixels, moved by up to `reach` as x (B, h, w, 2 n) says, in `parts` windows."""
    for i in range(3):  # Three means are nearly a bell; skin that moves is not torn.
        x = keras.layers.AveragePooling2D(smooth, 1, "same", dtype="float32", name=f"smooth_{i}")(x)
    mirrored = ops.flip(x, axis=2)
    if parts == 2:  # Windows one above the other are mirrored each in itself.
        each = [ops.flip(half, axis=2) for half in ops.split(x, 2, axis=2)]
        stacked = np.repeat([number in STACKED for number in action_units], 2)
        mirrored = ops.where(stacked, ops.concatenate(each, axis=2), mirrored)
    x = (x + mirrored * np.tile(np.float32([-1, 1]), len(action_units))) / 2
    movement = reach * ops.tanh(0.1 * x)  # at first hardly any
    return MovedPixels(parts, dtype="float32", name="drawn")(pixels, movement)


def _composer(cut, size):
    """The model of [face, G, attention, asked(, corners)] to faces: Eq. 2."""
    regions, attention, *corners = (keras.Input(x.shape[1:]) for x in cut.outputs)
    face = keras.Input((size, size, 3))
    asked = keras.Input((attention.shape[-1],))
    inputs = [face, regions, attention, asked, *corners]
    composed = RegionalComposition(dtype="float32", name="composition")(*inputs)
    return keras.Model(inputs, composed, name="composer")
