"""Losses that several systems use: adversarial, masked cross-entropy, perceptual, smoothness.

Every loss takes raw scores (logits), computes in float32 whatever precision its tensors have, and
returns float32: a mean of half-precision squares overflows long before the network that made them
does. A label that is missing is NaN and takes no part in a loss nor in its gradient.

References:
    1. Goodfellow et al., "Generative Adversarial Nets", 2014.
    2. Lim and Ye, "Geometric GAN", 2017.
    3. Mao et al., "Least Squares Generative Adversarial Networks", 2017.
    4. Arjovsky et al., "Wasserstein GAN", 2017.
    5. Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", 2015.
"""

import keras
import numpy as np
from keras import ops


class AdversarialLoss:
    """What every adversarial loss offers: one scalar for the generator, one for the discriminator.

    Logits may have any shape (one per image, or one per image patch); both losses are means over
    all of them.
    """

    def generator_loss(self, fake_logits):
        """Small where the discriminator takes generated samples for real ones."""
        raise NotImplementedError

    def discriminator_loss(self, real_logits, fake_logits):
        """Small where real samples score high and generated ones low."""
        raise NotImplementedError

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("tfface")
class NonSaturatingLoss(AdversarialLoss):
    """The classic loss, whose generator keeps its gradient when the discriminator wins.

    With `D = sigmoid(logits)` the discriminator descends `-mean(log D(real)) - mean(log(1 -
    D(fake)))` and the generator `-mean(log D(fake))` (reference 1, Eq. 1 and the end of its Sec.
    3). Both are written with softplus, which is exact for logits of any size. Range: 0 and above.
    """

    def generator_loss(self, fake_logits):
        return ops.mean(ops.softplus(-_float32(fake_logits)))

    def discriminator_loss(self, real_logits, fake_logits):
        real, fake = _float32(real_logits), _float32(fake_logits)
        return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))


@keras.saving.register_keras_serializable("tfface")
class HingeLoss(AdversarialLoss):
    """Margins of one: no gradient from samples that are already told apart (reference 2).

    Discriminator: `mean(max(0, 1 - real)) + mean(max(0, 1 + fake))`, 0 and above; generator:
        `-mean(fake)`.
    """

    def generator_loss(self, fake_logits):
        return -ops.mean(_float32(fake_logits))

    def discriminator_loss(self, real_logits, fake_logits):
        real, fake = _float32(real_logits), _float32(fake_logits)
        return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


@keras.saving.register_keras_serializable("tfface")
class LeastSquaresLoss(AdversarialLoss):
    """Squared distance of the scores to 1 for real and 0 for fake (reference 3, Eq. 9).

    Discriminator: `mean((real - 1)^2) / 2 + mean(fake^2) / 2`; generator: `mean((fake - 1)^2) / 2`.
    """

    def generator_loss(self, fake_logits):
        return 0.5 * ops.mean(ops.square(_float32(fake_logits) - 1.0))

    def discriminator_loss(self, real_logits, fake_logits):
        real, fake = _float32(real_logits), _float32(fake_logits)
        return 0.5 * (ops.mean(ops.square(real - 1.0)) + ops.mean(ops.square(fake)))


@keras.saving.register_keras_serializable("tfface")
class WassersteinLoss(AdversarialLoss):
    """The critic's estimate of the earth mover's distance (reference 4, Eq. 2).

    Discriminator: `mean(fake) - mean(real)`; generator: `-mean(fake)`. Neither is bounded: the
    critic must be kept Lipschitz by the gradient penalty, which needs a second gradient and so is
    part of the training loop, not of this loss.
    """

    def generator_loss(self, fake_logits):
        return -ops.mean(_float32(fake_logits))

    def discriminator_loss(self, real_logits, fake_logits):
        return ops.mean(_float32(fake_logits)) - ops.mean(_float32(real_logits))


ADVERSARIAL_LOSSES = {
    "non_saturating": NonSaturatingLoss,
    "hinge": HingeLoss,
    "lsgan": LeastSquaresLoss,
    "wgan-gp": WassersteinLoss,
}


def get_adversarial_loss(name):
    """The adversarial loss of that name: `"non_saturating"`, `"hinge"`, `"lsgan"` or `"wgan-gp"`.

    Raises:
        ValueError: If there is no loss of that name.
    """
    if name not in ADVERSARIAL_LOSSES:
        raise ValueError(
            f"`name` must be one of {list(ADVERSARIAL_LOSSES)}. Received: name={name!r}"
        )
    return ADVERSARIAL_LOSSES[name]()


def masked_binary_crossentropy(labels, logits, class_weights=None):
    """Binary cross-entropy of several action units at once, over the entries whose label is known.

    Missing labels are replaced before anything is computed from them, so that no NaN reaches the
    gradient.

    Args:
        labels: (batch, n_au); 1 present, 0 absent, NaN not coded. Values in between are soft
            labels.
        logits: (batch, n_au), before the sigmoid.
        class_weights: (n_au,) factors of the loss of "present", see `class_weights_from_labels`;
            None for 1.

    Returns:
        Scalar: the mean over known entries (the weights do not count in the divisor), 0.0 where
            none is known.

    Raises:
        ValueError: If the shapes of `labels`, `logits` and `class_weights` do not fit each other.
    """
    loss, known = _masked_crossentropy_terms(labels, logits, class_weights)
    return ops.sum(loss) / ops.maximum(ops.sum(known), 1.0)


@keras.saving.register_keras_serializable("tfface")
class MaskedBinaryCrossentropy(keras.losses.Loss):
    """`masked_binary_crossentropy` as a Keras loss, for `compile`.

    `call` returns one value a sample, scaled so that their mean (the default reduction) is the mean
    over all known entries of the batch, however unevenly the missing labels are spread over its
    samples.

    Args:
        class_weights: List of n_au factors of the loss of "present", or None.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: As in `keras.losses.Loss`; float32 whatever the model's precision.
    """

    def __init__(
        self,
        class_weights=None,
        reduction="sum_over_batch_size",
        name="masked_binary_crossentropy",
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if class_weights is not None:
            class_weights = [float(weight) for weight in class_weights]
        self.class_weights = class_weights

    def call(self, y_true, y_pred):
        loss, known = _masked_crossentropy_terms(y_true, y_pred, self.class_weights)
        samples = ops.cast(ops.shape(loss)[0], "float32")
        return ops.sum(loss, axis=1) * (samples / ops.maximum(ops.sum(known), 1.0))

    def get_config(self):
        return {
            "class_weights": self.class_weights,
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self.dtype,
        }


def class_weights_from_labels(labels, limit=10.0):
    """For each action unit, the weight of "present" that makes both classes matter equally.

    Args:
        labels: NumPy array (n, n_au); 1 present, 0 absent, NaN not coded.
        limit: Weights stay within `1 / limit` and `limit`: an action unit seen twice must not rule
            the loss.

    Returns:
        (n_au,) float32: the number of absent over the number of present labels, clipped; 1 for an
        action unit that is never present (its weight would never be used) or not known at all.

    Raises:
        ValueError: If `labels` is not a matrix or `limit` is below 1.
    """
    labels = np.asarray(labels, dtype=np.float64)
    if labels.ndim != 2:
        raise ValueError(f"`labels` must have shape (n, n_au). Received: shape {labels.shape}")
    if limit < 1:
        raise ValueError(f"`limit` must be at least 1. Received: limit={limit}")
    present = np.nansum(labels, axis=0)
    absent = np.sum(~np.isnan(labels), axis=0) - present
    weights = np.divide(absent, present, out=np.ones_like(present), where=present > 0)
    return np.clip(weights, 1.0 / limit, limit).astype(np.float32)


def class_crossentropy(labels, logits, class_weights=None):
    """Cross-entropy of known classes: the mean over faces of -log Q(class).

    Args:
        labels: (B,) class IDs.
        logits: (B, classes).
        class_weights: Factor of each class's faces, or None for 1.

    Returns:
        Scalar, float32.
    """
    losses = keras.losses.sparse_categorical_crossentropy(
        labels, _float32(logits), from_logits=True
    )
    if class_weights is not None:
        losses = losses * ops.take(ops.convert_to_tensor(class_weights, "float32"), labels)
    return ops.mean(losses)


def perceptual_distance(features_a, features_b):
    """Distance of two batches of images as a feature network sees them: the perceptual loss.

    Eq. 2 of the restoration paper prints the norm of the difference and leaves its normalization
    open. The choice here is the mean squared difference of each level, so that levels of any size
    count alike and the pixel loss (Eq. 1, a mean as well) is its special case.

    Args:
        features_a: List of feature maps, one a level, each with the batch axis first; or the map
            alone where there is one level, as a Keras model of one output returns it.
        features_b: The same levels of the images to compare with.

    Returns:
        Scalar: the sum over levels of the mean squared difference.

    Raises:
        ValueError: If the lists are empty, of different length, or hold maps of different shapes.
    """
    features_a, features_b = (
        list(features) if isinstance(features, list | tuple) else [features]
        for features in (features_a, features_b)
    )
    if len(features_a) != len(features_b) or not features_a:
        raise ValueError(
            "`features_a` and `features_b` must hold the same levels, at least one. "
            f"Received: {len(features_a)} and {len(features_b)} levels"
        )
    distance = 0.0
    for level, (a, b) in enumerate(zip(features_a, features_b, strict=True)):
        _check_same_shape(f"features_a[{level}]", a, f"features_b[{level}]", b)
        distance = distance + ops.mean(ops.square(_float32(a) - _float32(b)))
    return distance


def total_variation(images):
    """How much neighboring pixels differ: small for smooth images, 0 for flat ones.

    Reference 5 with the exponent beta = 2, the value it recommends against spikes; as a
    mean, not a sum, so that a weight fits images of any size.

    Args:
        images: (batch, height, width, channels), height and width at least 2.

    Returns:
        Scalar: mean squared difference of vertical neighbors plus that of horizontal neighbors.
    """
    images = _float32(images)
    vertical = images[:, 1:] - images[:, :-1]
    horizontal = images[:, :, 1:] - images[:, :, :-1]
    return ops.mean(ops.square(vertical)) + ops.mean(ops.square(horizontal))


def _float32(tensor):
    return ops.cast(tensor, "float32")


def _check_same_shape(name_a, a, name_b, b):
    # Broadcasting would turn a forgotten axis into a wrong loss without a word.
    shape_a, shape_b = tuple(ops.shape(a)), tuple(ops.shape(b))
    fits = len(shape_a) == len(shape_b) and all(
        m == n
        for m, n in zip(shape_a, shape_b, strict=True)
        if isinstance(m, int) and isinstance(n, int)
    )
    if not fits:
        raise ValueError(
            f"`{name_a}` and `{name_b}` must have one shape. Received: {shape_a} and {shape_b}"
        )


def _masked_crossentropy_terms(labels, logits, class_weights):
    """The loss of each entry, 0 where the label is missing, and 1.0 or 0.0 for known or missing."""
    labels, logits = _float32(labels), _float32(logits)
    _check_same_shape("labels", labels, "logits", logits)
    if len(labels.shape) != 2:
        raise ValueError(
            f"`labels` must have shape (batch, n_au). Received: shape {tuple(labels.shape)}"
        )
    missing = ops.isnan(labels)
    known = 1.0 - ops.cast(missing, "float32")
    labels = ops.where(missing, ops.zeros_like(labels), labels)
    present = ops.softplus(-logits)  # -log sigmoid(logits)
    absent = ops.softplus(logits)  # -log(1 - sigmoid(logits))
    if class_weights is not None:
        class_weights = _float32(class_weights)
        if tuple(class_weights.shape) != tuple(labels.shape[1:]):
            raise ValueError(
                f"`class_weights` must hold one number for each of {labels.shape[1]} action units. "
                f"Received: shape {tuple(class_weights.shape)}"
            )
        present = present * class_weights
    return known * (labels * present + (1.0 - labels) * absent), known
