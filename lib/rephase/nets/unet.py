"""U-Net with strided convolutions, as Friedrich et al. (2022) use it.

Every layer is a 3x3 convolution, batch normalisation, swish and dropout. A first
layer is followed by levels that each hold a stack of layers and one of stride 2
that doubles the channels; on the way up each level has a transposed convolution of
stride 2 that halves them, the stack's output of the same level beside it, and a
stack of layers. Nothing stands between the way down and the way up.

A layer of stride 2 keeps the pixels of even index, and its transpose puts them
back there: the middle pixel ``n // 2`` stays in the middle on every level.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import nn

from rephase.errors import InputError

Maps = Float[torch.Tensor, "batch in_channel row col"]
NewMaps = Float[torch.Tensor, "batch out_channel row col"]


class ConvLayer(nn.Sequential):
    """A 3x3 convolution, batch normalisation, swish and dropout.

    Parameters
    ----------
    in_channels, channels : int
        Of input and output.
    stride : int
        1, or 2 to halve the maps.
    transposed : bool
        Whether a stride of 2 doubles the maps instead.
    dropout : float
        Probability that a value is dropped in training.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        transposed: bool = False,
        dropout: float = 0,
    ):
        convolution: nn.Module
        if transposed:
            convolution = nn.ConvTranspose2d(
                in_channels, channels, 3, stride, padding=1, output_padding=stride - 1
            )
        else:
            convolution = nn.Conv2d(in_channels, channels, 3, stride, padding=1)
        super().__init__(convolution, nn.BatchNorm2d(channels), nn.SiLU(), nn.Dropout(dropout))


class UNet(nn.Module):
    """The U-Net without heads: feature maps of the input's size.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    channels : int
        Channels of the first level and of the output; each level down has twice as many.
    layer : callable
        Makes a layer, called as `ConvLayer` is.
    dropout : float
    levels : int
        How often the maps are halved.
    stack : int
        Layers of each stack.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        layer: Callable[..., nn.Module] = ConvLayer,
        dropout: float = 0.05,
        levels: int = 3,
        stack: int = 3,
    ):
        super().__init__()

        def stacked(first: int, width: int) -> nn.Sequential:
            return nn.Sequential(
                *(layer(width if n else first, width, dropout=dropout) for n in range(stack))
            )

        widths = [channels * 2**level for level in range(levels)]
        self.first = layer(in_channels, channels, dropout=dropout)
        self.stacks_down = nn.ModuleList(stacked(width, width) for width in widths)
        self.down = nn.ModuleList(layer(width, 2 * width, stride=2, dropout=dropout) for width in widths)
        widths.reverse()
        self.up = nn.ModuleList(
            layer(2 * width, width, stride=2, transposed=True, dropout=dropout) for width in widths
        )
        self.stacks_up = nn.ModuleList(stacked(2 * width, width) for width in widths)

    def forward(self, maps: Maps) -> NewMaps:
        """Feature maps of the same size.

        Raises
        ------
        InputError
            If the maps' sides cannot be halved on every level.
        """
        smallest = 2 ** len(self.down)
        if maps.shape[-2] % smallest or maps.shape[-1] % smallest:
            raise InputError("U-Net", f"maps of {tuple(maps.shape[-2:])} px", f"multiples of {smallest} px")
        maps, skips = self.first(maps), []
        for stack, down in zip(self.stacks_down, self.down, strict=True):
            maps = stack(maps)
            skips.append(maps)
            maps = down(maps)
        for up, stack in zip(self.up, self.stacks_up, strict=True):
            maps = stack(torch.cat([up(maps), skips.pop()], dim=1))
        return maps
