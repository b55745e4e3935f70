"""The two networks of the cascade as plain modules (paper Figure 1B and 1C; layer sizes as released)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


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
        x = F.relu(self.conv_1(x))
        x = F.relu(self.conv_2(x))
        x = F.relu(self.conv_3(x))
        x = F.relu(self.conv_4(x))
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
            layers += [nn.Conv2d(channels, width, kernel, padding="same"), nn.BatchNorm2d(width), nn.ReLU()]
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


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its kernels laid out channels last, which makes CPU convolutions about three times faster."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
