"""The players of expression restoration: generator, discriminator and action unit classifier."""

from collections.abc import Sequence

import keras

from tfface.facs.action_units import BP4D_AUS
from tfface.facs.regions import patch_adjacency
from tfface.facs.relations import prior_relations
from tfface.layers.convolution import ResidualBlock, UpBlock
from tfface.layers.region_relation import RegionRelationBlock
from tfface.network import Network

GRIDS = (1, 2, 8)
"""Patch grids of the region relation block (Sec. 3.3)."""


def facial_priors(grids=GRIDS):
    """What FACS says of each grid's patches: {grid: (N, N) matrix of +1 linked, -1 cut, 0 open}.

    The AUs are placed on the mean face, because every face that comes in is aligned to it. Choice:
    the 12 AUs of BP4D whatever the data set, since they cover brows, eyes, cheeks and mouth and a
    generator is to restore faces of any set.
    """
    relations = prior_relations(BP4D_AUS)
    return {grid: patch_adjacency(grid, None, relations) for grid in grids if grid > 1}


@keras.saving.register_keras_serializable("tfface")
class RestorationGenerator(Network):
    """A small, partly hidden face in; the whole face, `scale` times larger, out.

    SRGAN's frame: convolution 9x9, a trunk of blocks under one long skip, `log2(scale)` up-sampling
    blocks of factor two, convolution 9x9. The trunk's blocks are `x + RRMB(x)`, or SRGAN's own
    residual blocks.

    Args:
        low_size: Side of the input in pixels.
        scale: Up-sampling factor, a power of two; the paper goes from 16 to 128.
        filters: Channels of the trunk.
        blocks: Blocks in the trunk.
        block: "region_relation" (the paper) or "residual" (SRGAN, the paper's baseline).
        adjacency: Patch relations of the RRMB: "combined" (the paper), "cosine", "soft" or "prior".
        threshold: Cosine similarity from which two patches are linked.
        mask_aware: Whether the input has a fourth channel, 1 where a pixel is hidden.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, low_size, low_size, 3 or 4), values in [0, 1], hidden pixels 0.

    Output:
        (B, low_size * scale, low_size * scale, 3), values in [0, 1], float32.

    Raises:
        ValueError: If `scale` is not a power of two or `block` is unknown.

    Reference:
        Liu et al., Facial Expression Restoration Based on Improved Graph Convolutional Networks,
        2019, Fig. 2; Ledig et al., Photo-Realistic Single Image Super-Resolution Using a GAN, 2017,
        Fig. 4.
    """

    def __init__(
        self,
        low_size: int = 16,
        scale: int = 8,
        filters: int = 64,
        blocks: int = 16,
        block: str = "region_relation",
        adjacency: str = "combined",
        threshold: float = 0.5,
        mask_aware: bool = False,
        dtype=None,
        **kwargs,
    ):
        if scale < 2 or scale & (scale - 1):
            raise ValueError(f"`scale` must be a power of two, at least 2. Received: {scale}")
        if block not in ("region_relation", "residual"):
            raise ValueError(
                f"`block` must be 'region_relation' or 'residual'. Received: {block!r}"
            )
        priors = facial_priors() if adjacency in ("prior", "combined") else None

        inputs = keras.Input((low_size, low_size, 4 if mask_aware else 3), name="low")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(inputs)
        x = keras.layers.Conv2D(filters, 9, padding="same", dtype=dtype, name="head_conv")(x)
        x = head = keras.layers.PReLU(shared_axes=(1, 2), dtype=dtype, name="head_prelu")(x)
        for i in range(blocks):
            if block == "residual":
                x = ResidualBlock(filters, dtype=dtype, name=f"block_{i}")(x)
            else:
                relation = RegionRelationBlock(
                    filters,
                    grids=GRIDS,
                    adjacency=adjacency,
                    priors=priors,
                    threshold=threshold,
                    dtype=dtype,
                    name=f"block_{i}",
                )
                x = keras.layers.Add(dtype=dtype, name=f"skip_{i}")([x, relation(x)])
        x = keras.layers.Conv2D(filters, 3, padding="same", dtype=dtype, name="trunk_conv")(x)
        x = keras.layers.Add(dtype=dtype, name="long_skip")([x, head])
        for i in range(scale.bit_length() - 1):
            x = UpBlock(filters, dtype=dtype, name=f"up_{i}")(x)
        x = keras.layers.Conv2D(3, 9, padding="same", dtype=dtype, name="tail_conv")(x)
        outputs = keras.layers.Activation("sigmoid", dtype="float32", name="face")(x)

        config = {
            "low_size": low_size,
            "scale": scale,
            "filters": filters,
            "blocks": blocks,
            "block": block,
            "adjacency": adjacency,
            "threshold": threshold,
            "mask_aware": mask_aware,
        }
        super().__init__(inputs, outputs, config, dtype=dtype, **kwargs)
        self.low_size, self.scale, self.mask_aware = low_size, scale, mask_aware


@keras.saving.register_keras_serializable("tfface")
class RestorationDiscriminator(Network):
    """SRGAN's discriminator: one logit, positive where a face looks real.

    Args:
        size: Side of the face in pixels.
        filters: Channels of the first convolution; later ones have 1, 2, 2, 4, 4, 8 and 8 times as
            many.
        dense_units: Units of the dense layer before the logit.
        normalization: Whether convolutions after the first have batch normalization (over all
            replicas). A Wasserstein critic with gradient penalty needs it off.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1].

    Output:
        (B, 1) logits, float32.

    Reference:
        Ledig et al., 2017, Fig. 4.
    """

    def __init__(
        self,
        size: int = 128,
        filters: int = 64,
        dense_units: int = 1024,
        normalization: bool = True,
        dtype=None,
        **kwargs,
    ):
        inputs = keras.Input((size, size, 3), name="face")
        x = keras.layers.Rescaling(2.0, -1.0, dtype=dtype, name="to_signed")(inputs)
        plan = [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)]
        for i, (width, stride) in enumerate(plan):
            normalize = normalization and i > 0
            x = keras.layers.Conv2D(
                filters * width,
                3,
                strides=stride,
                padding="same",
                use_bias=not normalize,
                dtype=dtype,
                name=f"conv_{i}",
            )(x)
            if normalize:
                x = keras.layers.BatchNormalization(
                    momentum=0.9, synchronized=True, dtype=dtype, name=f"norm_{i}"
                )(x)
            x = keras.layers.LeakyReLU(0.2, dtype=dtype, name=f"relu_{i}")(x)
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
        x = keras.layers.Dense(dense_units, dtype=dtype, name="dense")(x)
        x = keras.layers.LeakyReLU(0.2, dtype=dtype, name="dense_relu")(x)
        outputs = keras.layers.Dense(1, dtype="float32", name="logit")(x)

        config = {
            "size": size,
            "filters": filters,
            "dense_units": dense_units,
            "normalization": normalization,
        }
        super().__init__(inputs, outputs, config, dtype=dtype, **kwargs)


@keras.saving.register_keras_serializable("tfface")
class ActionUnitClassifier(Network):
    """Action unit logits of a face: the classifier C_I that watches the generator (Sec. 3.1).

    The face is standardized by its own mean and spread, so that skin and light count less. A stem
    convolution of stride 4, then stages of a RegionRelationBlock with batch normalization, joined
    by convolutions of stride 2; last a 1x1 convolution and one dense layer over all places, since
    on an aligned face the place says which muscle moved. The paper gives no sizes; these are ours.

    Args:
        action_units: Numbers of the AUs, in the order of the logits.
        size: Side of the face in pixels; a multiple of 32 times each stage's halving.
        widths: Channels of each stage.
        adjacency: Patch relations, as in RestorationGenerator.
        dropout: Share of the last features that training hides.
        dtype: Dtype policy; None is the global one.

    Input:
        (B, size, size, 3), values in [0, 1].

    Output:
        (B, number of AUs) logits, float32.

    Raises:
        ValueError: If the patch grids do not divide a stage's features.
    """

    def __init__(
        self,
        action_units,
        size: int = 128,
        widths: Sequence[int] = (32, 64, 128),
        adjacency: str = "combined",
        dropout: float = 0.5,
        dtype=None,
        **kwargs,
    ):
        action_units, widths = [int(number) for number in action_units], list(widths)
        priors = facial_priors() if adjacency in ("prior", "combined") else None

        inputs = keras.Input((size, size, 3), name="face")
        x = keras.layers.LayerNormalization(
            axis=(1, 2, 3), center=False, scale=False, dtype=dtype, name="standardize"
        )(inputs)
        for i, width in enumerate(widths):
            first = i == 0
            x = keras.layers.Conv2D(
                width,
                7 if first else 3,
                strides=4 if first else 2,
                padding="same",
                use_bias=False,
                dtype=dtype,
                name="stem" if first else f"down_{i}",
            )(x)
            x = keras.layers.BatchNormalization(
                momentum=0.9, synchronized=True, dtype=dtype, name=f"down_norm_{i}"
            )(x)
            x = keras.layers.ReLU(dtype=dtype, name=f"down_relu_{i}")(x)
            relation = RegionRelationBlock(
                width,
                grids=GRIDS,
                adjacency=adjacency,
                priors=priors,
                dtype=dtype,
                name=f"relation_{i}",
            )
            y = keras.layers.BatchNormalization(
                momentum=0.9, synchronized=True, dtype=dtype, name=f"norm_{i}"
            )(relation(x))
            x = keras.layers.Add(dtype=dtype, name=f"stage_{i}")([x, y])
        x = keras.layers.Conv2D(32, 1, activation="relu", dtype=dtype, name="reduce")(x)
        x = keras.layers.Flatten(dtype=dtype, name="places")(x)
        x = keras.layers.Dropout(dropout, dtype=dtype, name="dropout")(x)
        outputs = keras.layers.Dense(len(action_units), dtype="float32", name="logits")(x)

        config = {
            "action_units": action_units,
            "size": size,
            "widths": widths,
            "adjacency": adjacency,
            "dropout": dropout,
        }
        super().__init__(inputs, outputs, config, dtype=dtype, **kwargs)
        self.action_units, self.stage_count = tuple(action_units), len(widths)

    def feature_extractor(self):
        """This classifier up to each stage, frozen: maps a face to its stages' features.

        The perceptual network of a machine without VGG weights: it has seen faces and nothing else.
        """
        stages = [self.get_layer(f"stage_{i}").output for i in range(self.stage_count)]
        extractor = keras.Model(self.inputs[0], stages, name="classifier_features")
        extractor.trainable = False
        return extractor
