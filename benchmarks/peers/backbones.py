"""The image networks that systems stand on, in PyTorch: AlexNet, VGGs and ResNet50.

Each takes its weights from the layers of a Keras network that was built on the same backbone of
`tfface.backbones`, by the names that layers have there.
"""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.layers import convolution, normalization

_ALEXNET_PADDINGS = (2, 2, 1, 1, 1)
_VGG_DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg19": (2, 2, 4, 4, 4)}
_RESNET50_DEPTHS = (3, 4, 6, 3)

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of blue, green and red, up to 255


class Backbone(nn.Module):
    """Images in [0, 1], (B, 1 or 3, H, W), to vectors, (B, features).

    Args:
        network: Keras network that holds the backbone's layers.
        name: "alexnet", "vgg11", "vgg13", "vgg19" or "resnet50".
        pooling: "avg", "max" or "flatten", what makes a vector of the last feature map. What is
            flattened here has its channels first: see `load_dense`.

    Raises:
        ValueError: If the name is none of these.
    """

    def __init__(self, network, name, pooling):
        super().__init__()
        self.preprocessing = _preprocessing(name)
        self.trunk = nn.Sequential(*(stage for _, stage in _stages(network, name)))
        self.pooling = pooling

    def forward(self, images):
        x = self.trunk(self.preprocessing(images))
        if self.pooling == "flatten":
            return x.flatten(1)
        return x.mean((2, 3)) if self.pooling == "avg" else x.amax((2, 3))


class Levels(nn.Module):
    """Images to the list of feature maps of some of a backbone's layers, and no layer after them.

    Args:
        network: As in `Backbone`.
        name: "alexnet", "vgg11", "vgg13" or "vgg19".
        layer_names: Of the convolutions, with whose ReLU the maps are taken, or the poolings.
    """

    def __init__(self, network, name, layer_names):
        super().__init__()
        self.preprocessing = _preprocessing(name)
        self.stages, self.taken = nn.ModuleList(), []
        for stage_name, stage in _stages(network, name):
            self.stages.append(stage)
            self.taken.append(stage_name in layer_names)
            if sum(self.taken) == len(layer_names):
                break

    def forward(self, images):
        x, maps = self.preprocessing(images), []
        for stage, taken in zip(self.stages, self.taken, strict=True):
            x = stage(x)
            if taken:
                maps.append(x)
        return maps


class Normalization(nn.Module):
    """What torchvision's weights expect: ImageNet's mean 0 and deviation 1, channel by channel."""

    def __init__(self):
        super().__init__()
        for name, values in _IMAGENET.items():
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, images):
        return (images - self.mean) / self.deviation  # a gray channel becomes three


class CaffeNormalization(nn.Module):
    """What Caffe's weights expect: blue, green, red up to 255, less ImageNet's mean."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(_CAFFE_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, images):
        return 255.0 * images.flip(1) - self.mean


class Bottleneck(nn.Module):
    """ResNet50's block: 1x1, 3x3 and 1x1 convolutions beside a shortcut, the first one strided."""

    def __init__(self, network, name):
        super().__init__()

        def normalized(part, padding=0):
            return _normalized(network, f"{name}_{part}", padding)

        self.first, self.second, self.third = normalized(1), normalized(2, 1), normalized(3)
        changes = f"{name}_0_conv" in {layer.name for layer in network.layers}
        self.shortcut = normalized(0) if changes else nn.Identity()

    def forward(self, x):
        y = F.relu(self.first(x), inplace=True)
        y = F.relu(self.second(y), inplace=True)
        return F.relu(self.third(y) + self.shortcut(x), inplace=True)


def _preprocessing(name):
    if name in ("alexnet", "vgg11", "vgg13"):
        return Normalization()
    if name in ("vgg19", "resnet50"):
        return CaffeNormalization()
    known = ["alexnet", *_VGG_DEPTHS, "resnet50"]
    raise ValueError(f"`name` must be one of {', '.join(known)}. Received: {name!r}")


def _stages(network, name):
    """The name and module of each stage, made one by one: the network may end before the last."""
    if name == "alexnet":
        return _alexnet(network)
    return _resnet50(network) if name == "resnet50" else _vgg(network, _VGG_DEPTHS[name])


def _alexnet(network):
    for i, padding in enumerate(_ALEXNET_PADDINGS, start=1):
        layer = network.get_layer(f"conv{i}")
        yield layer.name, nn.Sequential(convolution(layer, padding), nn.ReLU(inplace=True))
        if i in (1, 2, 5):
            yield f"pool{i}", nn.MaxPool2d(3, 2)


def _vgg(network, depths):
    for i, depth in enumerate(depths, start=1):
        for j in range(1, depth + 1):
            layer = network.get_layer(f"block{i}_conv{j}")
            yield layer.name, nn.Sequential(convolution(layer), nn.ReLU(inplace=True))
        yield f"block{i}_pool", nn.MaxPool2d(2, 2)


def _resnet50(network):
    stem = _normalized(network, "conv1", padding=3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
    yield "pool1_pool", nn.Sequential(*stem)
    for stage, depth in enumerate(_RESNET50_DEPTHS, start=2):
        for block in range(1, depth + 1):
            name = f"conv{stage}_block{block}"
            yield f"{name}_out", Bottleneck(network, name)


def _normalized(network, name, padding):
    layer, norm = (network.get_layer(f"{name}_{part}") for part in ("conv", "bn"))
    return nn.Sequential(convolution(layer, padding), normalization(norm))
