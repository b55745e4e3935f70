"""The two networks of the cascade as plain modules (paper Figure 1B and 1C; layer sizes as released)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from drpnet.errors import InputError


class FCRN(nn.Module):
    """Fully convolutional regression network: micrograph (n, 1, h, w) -> distance map (n, 1, h, w).

    The released layers: conv 9x9, 3x3, 1x7, 7x1 with `width` channels and ReLU, 2x2 max-pooling with stride 1 (padded
    below and right), conv 3x3 to one channel; 26,561 parameters at width 32. An output pixel sees 9 px above and to the
    left of it and 10 px below and to the right.
    """

    halo = 10
    """How far an output pixel can see, in px: what a tile needs around it."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.conv_1 = nn.Conv2d(1, width, 9, padding=4)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_3 = nn.Conv2d(width, width, (1, 7), padding=(0, 3))
        self.conv_4 = nn.Conv2d(width, width, (7, 1), padding=(3, 0))
        self.conv_5 = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, h, w) -> (n, 1, h, w)."""
        for convolution in (self.conv_1, self.conv_2, self.conv_3, self.conv_4):
            x = F.relu(convolution(x), inplace=True)
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, stride=1)
        return self.conv_5(x)


class PatchClassifier(nn.Module):
    """Particle or not: patches (n, 1, s, s) -> logits (n,). Four conv + pool, two fully connected layers (Figure 1C).

    The defaults are compact (stride-2 pools). The release's own sizes are `kernels=[11, 7, 5, 3]`,
    `widths=[16, 16, 32, 64]`, `pools=[4, 4, 2, 2]`, `strides=[1, 1, 1, 1]`, `hidden=128`: 25.7 M parameters.
    """

    def __init__(
        self,
        size: int = 64,
        kernels: Sequence[int] = (7, 5, 3, 3),
        widths: Sequence[int] = (16, 32, 32, 64),
        pools: Sequence[int] = (2, 2, 2, 2),
        strides: Sequence[int] = (2, 2, 2, 2),
        hidden: int = 64,
        dropout: float = 0.5,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels, edge = 1, size
        for kernel, width, pool, stride in zip(kernels, widths, pools, strides, strict=True):
            layers += [nn.Conv2d(channels, width, kernel, padding="same"), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(pool, stride)]
            channels, edge = width, (edge - pool) // stride + 1
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(channels * edge * edge, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, s, s) -> (n,) logits; each patch is standardised first, so that only its texture counts."""
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / x.std(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        return self.head(self.features(x).flatten(1)).squeeze(1)


class UNet(nn.Module):
    """The shipped first network, with a wide field of view: micrograph (n, 1, h, w) -> distance map (n, 1, h, w).

    Two 3x3 convolutions with batch normalisation at each of `depth + 1` scales, halved by max-pooling and enlarged
    bilinearly, features of the same scale joined (Ronneberger et al. 2015). About as many operations as the FCRN at the
    defaults, with six times its field of view (117 px of 20).
    """

    def __init__(self, width: int = 16, depth: int = 3):
        super().__init__()
        if depth < 1:
            raise InputError(f"network.depth is {depth}; use at least 1 (3 is the default)")
        widths = [width * 2**level for level in range(depth + 1)]
        self.stride = 2**depth
        self.down = nn.ModuleList(_two_convolutions(i, o) for i, o in zip([1, *widths], widths, strict=False))
        self.up = nn.ModuleList(
            _two_convolutions(low + high, high) for high, low in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.last = nn.Conv2d(width, 1, 1)
        # what a pixel sees: two px a pair of convolutions, going down and up, and one px a change of scale, in px of its scale
        reach = sum(2 * 2**level for level in range(depth + 1)) + sum(2 * 2**level for level in range(depth))
        reach += sum(2 * 2 ** (level + 1) for level in range(depth))
        self.halo = -(-reach // self.stride) * self.stride
        """How far an output pixel can see, in px, as a multiple of the coarsest pixel: tiles then fall on the same grid."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, h, w) -> (n, 1, h, w); the image is mirrored below and on the right to whole coarse pixels."""
        height, width = x.shape[-2:]
        # not with zeros: beside a flat strip, which no training patch has, the network sees particles that are not there
        mode = "reflect" if min(height, width) > self.stride else "replicate"
        x = F.pad(x, (0, -width % self.stride, 0, -height % self.stride), mode)
        kept = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        for block, same_scale in zip(self.up, kept[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([same_scale, x], 1))
        return self.last(x)[..., :height, :width]


def _two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its kernels laid out channels last, which makes CPU convolutions three to eight times faster.

    torch goes by the strides. With one input channel several are right, and left to itself it takes the other layout's.
    """
    for parameter in network.parameters():
        if parameter.ndim == 4:
            _, channels, height, width = parameter.shape
            kernels = parameter.data.contiguous(memory_format=torch.channels_last)
            strides = (channels * height * width, 1, width * channels, channels)
            parameter.data = kernels.as_strided(kernels.shape, strides)
    return network
