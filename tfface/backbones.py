"""Image networks as feature extractors: AlexNet, VGG, ResNet, VGG-Face, FER-Net and a compact one.

Every backbone takes float32 images in [0, 1], RGB or grey (repeated to three channels; only
FER-Net and the compact network take it as it is), and does by itself what its published weights
expect of their input. Fully connected tops are left out: they hold most of the weights, fix the
size of the input, and no system uses them as published.

The compact network is for trainings of minutes on processor cores and for phones: eight narrow
convolutions with batch normalization, half of AlexNet's work on a face of 96 pixels. On small
data it learns in hundreds of steps what AlexNet, which normalizes nothing, takes thousands for.

VGG16, VGG19 and ResNet50 are those of `keras.applications`, with its layer names and ImageNet
weights. VGG11 and VGG13 follow their layout and naming, ResNet18 and ResNet34 those of ResNet50, so
that a layer is asked for in one way in all of them.

References:
    1. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014
       (AlexNet in one column, the form that has public weights).
    2. Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
       Recognition", 2015.
    3. He et al., "Deep Residual Learning for Image Recognition", 2016.
    4. Parkhi et al., "Deep Face Recognition", 2015 (VGG-Face).
"""

import os
import warnings
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers, ops


def create_backbone(name, input_shape=(None, None, 3), weights=None, pooling="avg"):
    """A network that turns images into feature vectors.

    Args:
        name: One of `BACKBONES`.
        input_shape: (height, width, channels) of the images; None for a height and width that may
            vary. Channels are 1 or 3.
        weights: None for random ones; `"imagenet"` (VGG16, VGG19 and ResNet50 only), which is
            downloaded once and then lies in `~/.keras/models`; or the path of a weights file: `.h5`
            as published for Keras (layers are matched by name, a top in the file is not used), or
            `.weights.h5` or `.keras` as saved from this very model.
        pooling: What makes a vector of the last feature map: `"avg"`, `"max"`, `"flatten"` (which
            needs a fixed size), or None to return the map itself. FER-Net goes on with its fully
            connected layer.

    Returns:
        keras.Model from images (batch, height, width, channels), float in [0, 1], to (batch,
        features).

    Raises:
        ValueError: If an argument is none of these, the images are too small for the network, or
            the weights cannot be had or do not fit; the message says which file is missing and
            where to put it.
    """
    if name not in _ARCHITECTURES:
        raise ValueError(f"`name` must be one of {list(BACKBONES)}. Received: name={name!r}")
    build, mode, smallest = _ARCHITECTURES[name]
    _check_input(name, input_shape, smallest, pooling)
    images = keras.Input(input_shape, name="image")
    features = build(BackbonePreprocessing(mode, name="preprocessing")(images))
    model = keras.Model(images, _pool(name, features, pooling), name=name)
    if weights == "imagenet":
        _load_imagenet(model)
    elif weights is not None:
        _load_file(model, weights)
    return model


def feature_levels(backbone, layer_names):
    """The backbone as a model of several outputs: what the named layers compute.

    Layers are shared with the backbone, not copied: what one learns the other knows.

    Args:
        backbone: keras.Model from images to features.
        layer_names: Names of its layers, such as `block2_conv2`.

    Returns:
        keras.Model from images to the list of these layers' outputs (Keras returns a single output
        without its list); layers that none of them needs are gone.

    Raises:
        ValueError: If no layer is named or the backbone has no layer of a name.
    """
    available = [layer.name for layer in backbone.layers]
    unknown = [name for name in layer_names if name not in available]
    if unknown or not layer_names:
        raise ValueError(
            f"`layer_names` must name layers of {backbone.name}, at least one of {available}. "
            f"Received: {list(layer_names)}"
        )
    outputs = [backbone.get_layer(name).output for name in layer_names]
    return keras.Model(backbone.inputs[0], outputs, name=f"{backbone.name}_levels")


def feature_extractor(name, layer_names, weights, input_shape=(None, None, 3)):
    """A frozen network that maps images to several levels of features, for a perceptual loss.

    The restoration paper's: `feature_extractor("vgg19", ["block2_conv2", "block5_conv4"],
    "imagenet")`.

    Args:
        name: One of `BACKBONES`.
        layer_names: Names of the layers whose output is wanted.
        weights: As in `create_backbone`.
        input_shape: As in `create_backbone`.

    Returns:
        keras.Model from images (batch, height, width, channels), float in [0, 1], to a list of
        feature maps, one a layer (the map alone for a single layer). It is not trainable, and its
        batch normalizations always use their stored statistics.

    Raises:
        ValueError: As `create_backbone` and `feature_levels`.
    """
    backbone = create_backbone(name, input_shape, weights, pooling=None)
    levels = feature_levels(backbone, layer_names)
    levels.trainable = False
    return levels


@keras.saving.register_keras_serializable("tfface")
class BackbonePreprocessing(layers.Layer):
    """From [0, 1] to the range and channel order in which a network's weights were trained.

    Args:
        mode: `"caffe"`: BGR, 0 to 255, minus ImageNet's mean (keras.applications' VGG and
            ResNet50); `"vggface"`: the same with the mean of VGG-Face's own training faces;
            `"torch"`: RGB, minus ImageNet's mean, over its standard deviation; `"centered"`: [-1,
            1], channels as they are.

    Raises:
        ValueError: If there is no such mode.
    """

    def __init__(self, mode, **kwargs):
        # Half precision would round away the differences between neighboring grey values first.
        super().__init__(autocast=False, **kwargs)
        if mode not in _INPUT_RANGES:
            raise ValueError(
                f"`mode` must be one of {list(_INPUT_RANGES)}. Received: mode={mode!r}"
            )
        self.mode = mode

    def call(self, images):
        scale, mean, deviation = _INPUT_RANGES[self.mode]
        images = ops.cast(images, "float32")
        if self.mode != "centered":
            if images.shape[-1] == 1:
                images = ops.repeat(images, 3, axis=-1)
            if self.mode in ("caffe", "vggface"):
                images = ops.flip(images, axis=-1)
        images = (images * scale - np.float32(mean)) / np.float32(deviation)
        return ops.cast(images, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape if self.mode == "centered" else (*input_shape[:-1], 3)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


# (scale, mean, standard deviation), in the order of channels that the mode puts them in.
_INPUT_RANGES = {
    "caffe": (255.0, (103.939, 116.779, 123.68), 1.0),
    "vggface": (255.0, (93.5940, 104.7624, 129.1863), 1.0),
    "torch": (1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "centered": (1.0, 0.5, 0.5),
}


def _alexnet(x):
    # (filters, kernel, stride, padding, pooled): reference 1, without groups.
    plan = (
        (64, 11, 4, 2, True),
        (192, 5, 1, 2, True),
        (384, 3, 1, 1, False),
        (256, 3, 1, 1, False),
        (256, 3, 1, 1, True),
    )
    for i, (filters, kernel, stride, padding, pooled) in enumerate(plan, start=1):
        x = layers.ZeroPadding2D(padding, name=f"conv{i}_pad")(x)
        x = layers.Conv2D(
            filters,
            kernel,
            stride,
            activation="relu",
            name=f"conv{i}",
            kernel_initializer="he_normal",
        )(x)
        if pooled:
            x = layers.MaxPooling2D(3, 2, name=f"pool{i}")(x)
    return x


_VGG_FILTERS = (64, 128, 256, 512, 512)
_VGG_DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vggface": (2, 2, 3, 3, 3)}


def _vgg(name):
    """The convolutions of a VGG; VGG-Face is VGG16 whose layers have their names of Caffe."""
    convolution, pool = (
        ("conv{}_{}", "pool{}") if name == "vggface" else ("block{}_conv{}", "block{}_pool")
    )

    def build(x):
        for i, (filters, depth) in enumerate(
            zip(_VGG_FILTERS, _VGG_DEPTHS[name], strict=True), start=1
        ):
            for j in range(1, depth + 1):
                x = layers.Conv2D(
                    filters,
                    3,
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                    name=convolution.format(i, j),
                )(x)
            x = layers.MaxPooling2D(2, 2, name=pool.format(i))(x)
        return x

    return build


def _resnet(depths):
    """ResNet18 and ResNet34: stages of blocks of two 3x3 convolutions (reference 3, Table 1)."""

    def build(x):
        x = _convolve(x, 64, 7, 2, "conv1")
        x = layers.Activation("relu", name="conv1_relu")(x)
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
        for stage, (filters, depth) in enumerate(
            zip((64, 128, 256, 512), depths, strict=True), start=2
        ):
            for block in range(1, depth + 1):
                stride = 2 if block == 1 and stage > 2 else 1
                x = _basic_block(x, filters, stride, f"conv{stage}_block{block}")
        return x

    return build


def _basic_block(x, filters, stride, name):
    shortcut = x
    if stride > 1:
        shortcut = _convolve(x, filters, 1, stride, f"{name}_0")
    x = _convolve(x, filters, 3, stride, f"{name}_1")
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolve(x, filters, 3, 1, f"{name}_2")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _convolve(x, filters, kernel, stride, name):
    # Padded on all sides alike, as the published weights expect: "same" pads a strided convolution
    # more at its end.
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        filters, kernel, stride, use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(x)


def _fer_net(x):
    # The paper says "a regular CNN"; pairs of 3x3 convolutions with batch norm are the choice here.
    for i, filters in enumerate((32, 64, 128, 256), start=1):
        for j in (1, 2):
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"block{i}_conv{j}",
            )(x)
            x = layers.BatchNormalization(name=f"block{i}_bn{j}")(x)
            x = layers.Activation("relu", name=f"block{i}_relu{j}")(x)
        x = layers.MaxPooling2D(2, 2, name=f"block{i}_pool")(x)
    return x


def _compact(x):
    for i, filters in enumerate((24, 32, 48, 48, 64, 64, 96, 96), start=1):
        kernel, stride = (5 if i == 1 else 3), 1 + i % 2
        x = _convolve(x, filters, kernel, stride, f"conv{i}")
        x = layers.Activation("relu", name=f"conv{i}_relu")(x)
    return x


def _application(constructor):
    """The network of `keras.applications` on top of our preprocessing."""

    def build(x):
        return constructor(include_top=False, weights=None, input_tensor=x).output

    return build


# How each network is built, how its input is prepared, and the smallest height and width it takes.
_ARCHITECTURES = {
    "alexnet": (_alexnet, "torch", 63),
    "vgg11": (_vgg("vgg11"), "torch", 32),
    "vgg13": (_vgg("vgg13"), "torch", 32),
    "vgg16": (_application(keras.applications.VGG16), "caffe", 32),
    "vgg19": (_application(keras.applications.VGG19), "caffe", 32),
    "resnet18": (_resnet((2, 2, 2, 2)), "torch", 32),
    "resnet34": (_resnet((3, 4, 6, 3)), "torch", 32),
    "resnet50": (_application(keras.applications.ResNet50), "caffe", 32),
    "vggface": (_vgg("vggface"), "vggface", 32),
    "fer_net": (_fer_net, "centered", 16),
    "compact": (_compact, "centered", 16),
}
BACKBONES = tuple(_ARCHITECTURES)

_POOLINGS = {
    "avg": layers.GlobalAveragePooling2D,
    "max": layers.GlobalMaxPooling2D,
    "flatten": layers.Flatten,
}


def _check_input(name, input_shape, smallest, pooling):
    if len(input_shape) != 3 or input_shape[-1] not in (1, 3):
        raise ValueError(
            "`input_shape` must be (height, width, channels) with 1 or 3 channels. "
            f"Received: input_shape={input_shape}"
        )
    if any(side is not None and side < smallest for side in input_shape[:2]):
        raise ValueError(
            f"`input_shape` of {name} must be at least {smallest} pixels high and wide. "
            f"Received: input_shape={input_shape}"
        )
    if pooling is not None and pooling not in _POOLINGS:
        raise ValueError(
            f"`pooling` must be None or one of {list(_POOLINGS)}. Received: {pooling!r}"
        )
    if pooling == "flatten" and None in input_shape:
        raise ValueError(
            f"`pooling='flatten'` needs a fixed `input_shape`. Received: input_shape={input_shape}"
        )


def _pool(name, features, pooling):
    if pooling is None:
        return features
    x = _POOLINGS[pooling](name="pool")(features)
    if name == "fer_net":
        x = layers.Dense(256, activation="relu", kernel_initializer="he_normal", name="features")(x)
        x = layers.Dropout(0.5, name="dropout")(x)
    return x


# Files of keras.applications without the top, by network.
_IMAGENET_FILES = {
    "vgg16": (
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "vgg19": (
        "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
    ),
    "resnet50": (
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
}
_IMAGENET_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/"


def _load_imagenet(model):
    if model.name not in _IMAGENET_FILES:
        raise ValueError(
            f"`weights='imagenet'` exist for {list(_IMAGENET_FILES)}; for others give a path. "
            f"Received: name={model.name!r}"
        )
    address, checksum = _IMAGENET_FILES[model.name]
    file = address.rpartition("/")[2]
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    try:
        path = keras.utils.get_file(
            file,
            _IMAGENET_ADDRESS + address,
            cache_subdir="models",
            file_hash=checksum,
        )
    except Exception as error:  # get_file raises a bare Exception where it cannot download
        raise ValueError(
            f"`weights='imagenet'` of {model.name} need {file}, which is not in {folder} and "
            f"cannot be downloaded. Put it there or give a path as `weights`. Received: {error}"
        ) from error
    _load_file(model, path)


def _load_file(model, path):
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(
            f"`weights` of {model.name} must be None, 'imagenet' or the path of a weights file. "
            f"Received: {str(path)!r}, which is not a file"
        )
    try:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            if path.suffix == ".h5" and not path.name.endswith(".weights.h5"):
                _check_layers(model, path)
                model.load_weights(path, by_name=True)
            else:
                model.load_weights(path)
        # Keras only warns of some layers that it leaves with their random weights.
        if unloaded := [note.message for note in notes if note.category is UserWarning]:
            raise ValueError(unloaded[0])
    except Exception as error:  # each reader has errors of its own for a file that is not its own
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`weights` from {path} do not fit {model.name}. Received: {reason}"
        ) from error


def _check_layers(model, path):
    """Raises ValueError if loading by name would leave a layer with its random weights."""
    with h5py.File(path, "r") as file:
        group = file.get("model_weights", file)
        held = {
            n.decode() if isinstance(n, bytes) else n for n in group.attrs.get("layer_names", ())
        }
    missing = [layer.name for layer in model.layers if layer.weights and layer.name not in held]
    if missing:
        raise ValueError(f"the file has no weights for {len(missing)} layers: {missing}")
