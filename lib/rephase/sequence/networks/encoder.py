"""The encoder and the decoder that all networks share.

The encoder takes a frame, whose channels are the scan positions, through convolutions that halve
it ``levels`` times. It returns the maps of every level, the skips, and a code: the lowest maps, as
one vector. The decoder starts from the lowest maps and a condition, a vector that holds the state
z(t), goes up again with a skip at each level, and ends with one channel a position. The condition
also scales and shifts the channels of each level.

Coordinates on the detector are given as Gaussian Fourier features,
gamma(v) = [cos 2 pi B v, sin 2 pi B v] (Eq. 4; Tancik et al., NeurIPS 33 (2020)). They and the mean
pattern are the same for all frames of a sequence and pass the first convolution once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

Maps = Float[torch.Tensor, "image _channel _row _col"]  # each level has its own
Skip = Float[torch.Tensor, "sequence time _channel _row _col"]
CODE_SIDE = 4  # maps are averaged to 4 x 4 before they become a code


def fourier_features(
    side: int, count: int, scale: float, generator: torch.Generator
) -> Float[torch.Tensor, "feature row col"]:
    """Gaussian Fourier features of the pixels' coordinates from -1 to 1.

    Parameters
    ----------
    side : int
        Of the detector, in pixels.
    count : int
        Rows of B; there are twice as many features.
    scale : float
        Standard deviation of B, in periods per unit of the coordinates.
    generator : torch.Generator
        Draws B.
    """
    b = scale * torch.randn(count, 2, generator=generator)
    axis = (torch.arange(side) - side // 2) / (side / 2)
    at = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))
    angle = 2 * math.pi * torch.einsum("fd,drc->frc", b, at)
    return torch.cat([angle.cos(), angle.sin()])


class Block(nn.Sequential):
    """A 3x3 convolution, group normalisation and SiLU.

    Parameters
    ----------
    in_channels, channels : int
    stride : int
        1, or 2 to halve the maps.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        convolution = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        super().__init__(convolution, nn.GroupNorm(max(1, channels // 8), channels), nn.SiLU())


class Encoder(nn.Module):
    """Frames to skips and code.

    Parameters
    ----------
    frame_channels, static_channels : int
        What differs from frame to frame, and what does not.
    widths : sequence of int
        Channels of each level, the full size first, the lowest last.
    side : int
        Of the detector in pixels.
    code : int
        Length of the code.
    patch : int
        Pixels of squares of this side become channels before the first convolution.
    """

    def __init__(
        self,
        frame_channels: int,
        static_channels: int,
        widths: Sequence[int],
        side: int,
        code: int,
        patch: int = 1,
    ):
        super().__init__()
        self.patch = nn.PixelUnshuffle(patch)
        self.frame = nn.Conv2d(frame_channels * patch**2, widths[0], 3, padding=1)
        self.static = nn.Conv2d(static_channels * patch**2, widths[0], 3, padding=1, bias=False)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.down = nn.ModuleList(Block(above, below, stride=2) for above, below in pairs)
        self.level = nn.ModuleList(Block(below, below) for _, below in pairs)
        self.pool = nn.AvgPool2d(side // (patch * 2 ** len(pairs) * CODE_SIDE))
        self.code = nn.Linear(widths[-1] * CODE_SIDE**2, code)

    def forward(
        self,
        frames: Float[torch.Tensor, "sequence time channel row col"],
        static: Float[torch.Tensor, "sequence other row col"],
    ) -> tuple[list[Skip], Float[torch.Tensor, "sequence time code"]]:
        """Maps of every level, the full size first, and codes."""
        count, length = frames.shape[:2]
        first = self.frame(self.patch(frames.flatten(0, 1))).unflatten(0, (count, length))
        maps = functional.silu(first + self.static(self.patch(static))[:, None]).flatten(0, 1)
        skips = [maps]
        for down, level in zip(self.down, self.level, strict=True):
            maps = level(down(maps))
            skips.append(maps)
        code = self.code(self.pool(maps).flatten(1))
        return [skip.unflatten(0, (count, length)) for skip in skips], code.unflatten(0, (count, length))


class Decoder(nn.Module):
    """Skips and a condition to one map a position, zero at first.

    Parameters
    ----------
    widths : sequence of int
        As for the encoder.
    condition : int
        Length of the condition.
    positions : int
    patch : int
        As for the encoder.
    """

    def __init__(self, widths: Sequence[int], condition: int, positions: int, patch: int = 1):
        super().__init__()
        widths = list(reversed(widths))
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.start = nn.Linear(condition, widths[0] * CODE_SIDE**2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, above, 2, 2) for below, above in pairs)
        self.level = nn.ModuleList(Block(2 * above, above) for _, above in pairs)
        self.modulate = nn.ModuleList(nn.Linear(condition, 2 * above) for _, above in pairs)
        self.last = nn.Conv2d(widths[-1], positions * patch**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.pixels = nn.PixelShuffle(patch)

    def forward(
        self, skips: Sequence[Maps], condition: Float[torch.Tensor, "image condition"]
    ) -> Float[torch.Tensor, "image position row col"]:
        """One map a position.

        Parameters
        ----------
        skips : sequence of tensor (image, channel, row, col)
            The full size first, as the encoder returns them.
        condition : tensor (image, condition)
        """
        *skips, maps = skips
        start = self.start(condition).unflatten(1, (-1, CODE_SIDE, CODE_SIDE))
        maps = maps + functional.interpolate(start, size=maps.shape[-2:])
        for up, level, modulate in zip(self.up, self.level, self.modulate, strict=True):
            maps = level(torch.cat([up(maps), skips.pop()], dim=1))
            scale, shift = modulate(condition)[:, :, None, None].chunk(2, dim=1)
            maps = maps * (1 + scale) + shift
        return self.pixels(self.last(maps))
