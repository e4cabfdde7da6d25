"""The networks of the recipes in PyTorch: equal shapes, equal work."""
import torch.nn.functional as F
from torch import nn

STAGES = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def conv(inputs, outputs, size, stride=1):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Basic(nn.Module):
    expansion = 1

    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, filters, 3, stride), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = conv(filters, filters, 3), nn.BatchNorm2d(filters)
        self.downsample = None
        if stride != 1 or inputs != filters:
            self.downsample = nn.Sequential(conv(inputs, filters, 1, stride), nn.BatchNorm2d(filters))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


class Bottleneck(nn.Module):
    """v1.5: the stride is the 3x3 convolution's."""

    expansion = 4

    def __init__(self, inputs, filters, stride):
        super().__init__()
        outputs = filters * self.expansion
        self.conv1, self.bn1 = conv(inputs, filters, 1), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = conv(filters, filters, 3, stride), nn.BatchNorm2d(filters)
        self.conv3, self.bn3 = conv(filters, outputs, 1), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return F.relu(self.bn3(self.conv3(x)) + shortcut, inplace=True)


class ResNet(nn.Module):
    def __init__(self, block, counts, channels, classes):
        super().__init__()
        self.conv1, self.bn1, self.maxpool = conv(channels, 64, 7, 2), nn.BatchNorm2d(64), nn.MaxPool2d(3, 2, 1)
        inputs, stages = 64, []
        for number, count in enumerate(counts):
            blocks = []
            for i in range(count):
                blocks.append(block(inputs, 64 << number, 2 if number and not i else 1))
                inputs = (64 << number) * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layers, self.fc = nn.Sequential(*stages), nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.layers(self.maxpool(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return self.fc(x.mean((2, 3)))


class Fashion(nn.Module):
    """examples/fashion_mnist/run.toml: stem 3x3 stride 2 to 32, basic blocks 32, 64, 128, global average, dense."""

    def __init__(self, channels, classes):
        super().__init__()
        self.stem, self.bn = conv(channels, 32, 3, 2), nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(Basic(32, 32, 1), Basic(32, 64, 2), Basic(64, 128, 2))
        self.head = nn.Linear(128, classes)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.bn(self.stem(x)), inplace=True)).mean((2, 3)))


def make(name, channels, classes):
    """torchvision's ResNet where it is installed and fits, else ours, and where it came from."""
    if name == "fashion_mnist":
        return Fashion(channels, classes), "tests/gpu/peer/networks.py"
    try:
        import torchvision
        if channels == 3:
            return getattr(torchvision.models, name)(num_classes=classes), f"torchvision {torchvision.__version__}"
    except ImportError:
        pass
    return ResNet(Bottleneck if name == "resnet50" else Basic, STAGES[name], channels, classes), "tests/gpu/peer/networks.py"
