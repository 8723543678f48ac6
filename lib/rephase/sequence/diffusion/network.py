"""The network of video diffusion: a U-Net over the patterns, with attention over time on each level.

Every frame passes through the same two-dimensional U-Net, its scan positions as channels.
Frames learn of each other by attention along time, whose heads look as far as lengths of their
own: the further a frame in time, the less it counts (Press, Smith, Lewis, ICLR 2022).
Only distances in time enter, so irregular times and sequences longer than those of the training
are nothing new. The noise level and what is known of each frame's neighbours modulate all blocks.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn import functional

from rephase.errors import InputError
from rephase.sequence.diffusion.interpolation import Line, Stack
from rephase.sequence.networks.known import PARAMETERS

Maps = Float[torch.Tensor, "frame channel row col"]
NewMaps = Float[torch.Tensor, "frame out_channel row col"]
Marks = Float[torch.Tensor, "frame mark"]
Biases = Float[torch.Tensor, "sequence head time time"]

GROUPS = 4  # of channels that are normalised together
REACHES = (1.0, 4.0, 16.0, math.inf)  # of the heads in time, in mean intervals between frames
ANGLE_FREQUENCIES = 8


class Architecture(BaseModel):
    """What a network is made of; two equal ones have the same parameters.

    Parameters
    ----------
    positions : int
        Scan positions of a sequence.
    patch : int
        Side of the square of pixels that the first convolution takes together.
    channels : int
        Of the first level, a multiple of 8; each level down has twice as many.
    levels : int
        Of the U-Net; the maps are halved from one to the next.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    positions: int = Field(default=4, ge=1)
    patch: int = Field(default=2, ge=1)
    channels: int = Field(default=32, ge=8, multiple_of=8)
    levels: int = Field(default=2, ge=1)


class DiffusionNet(nn.Module):
    """Velocity of the diffusion from noisy sequences and their interpolation; 0 before training.

    Parameters
    ----------
    architecture : Architecture
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        positions, patch = architecture.positions, architecture.patch
        widths = [architecture.channels * 2**level for level in range(architecture.levels)]
        told, marks = 2 * ANGLE_FREQUENCIES + 3 * positions + PARAMETERS, 4 * widths[0]
        self.embedding = nn.Sequential(nn.Linear(told, marks), nn.SiLU(), nn.Linear(marks, marks))
        self.first = nn.Conv2d(4 * positions, widths[0], patch, patch)
        self.blocks_down = nn.ModuleList(Block(width, width, marks) for width in widths)
        self.down = nn.ModuleList(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1) for width in widths[:-1]
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, 2) for width in widths[-2::-1])
        self.blocks_up = nn.ModuleList(Block(2 * width, width, marks) for width in widths[-2::-1])
        self.last = nn.Conv2d(widths[0], positions * patch**2, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, noisy: Stack, angle: Float[torch.Tensor, " sequence"], line: Line) -> Stack:
        """Velocity of each noisy sequence.

        Parameters
        ----------
        noisy : tensor (sequence, time, position, row, col)
            In units of the line's scale.
        angle : tensor (sequence,)
            Of the noise, see `rephase.sequence.diffusion.process`.
        line : Line
            As many sequences.

        Raises
        ------
        InputError
            If the number of positions is another than the network's, or the sides of the
            patterns cannot be divided as often as it does.
        """
        self._check(noisy)
        shape = noisy.shape[:2]
        deviation, mean = (line.frames - line.mean) / line.unit, line.mean.expand_as(noisy) / line.unit
        seen = torch.cat([noisy, deviation.asinh(), mean.asinh(), line.scale / line.unit], 2)
        orders = torch.arange(1, ANGLE_FREQUENCIES + 1, device=noisy.device) * angle[:, None]
        level = torch.cat([orders.sin(), orders.cos()], 1)[:, None].expand(-1, shape[1], -1)
        marks = self.embedding(torch.cat([level, line.marks], 2)).flatten(0, 1)
        biases = _biases(line.times)
        maps, skips = self.first(seen.flatten(0, 1)), []
        for block, down in zip(self.blocks_down, self.down, strict=False):
            maps = block(maps, marks, biases)
            skips.append(maps)
            maps = down(maps)
        maps = self.blocks_down[-1](maps, marks, biases)
        for block, up in zip(self.blocks_up, self.up, strict=True):
            maps = block(torch.cat([up(maps), skips.pop()], 1), marks, biases)
        maps = functional.pixel_shuffle(self.last(maps), self.architecture.patch)
        return maps.to(noisy.dtype).unflatten(0, shape)

    def _check(self, noisy: Stack) -> None:
        made = self.architecture
        smallest = made.patch * 2 ** (made.levels - 1)
        found, size = noisy.shape[2], tuple(noisy.shape[3:])
        if found != made.positions:
            raise InputError("diffusion network", f"{found} positions", f"{made.positions}")
        if any(side % smallest for side in size):
            raise InputError("diffusion network", f"patterns of {size} px", f"multiples of {smallest} px")


class Block(nn.Module):
    """Two convolutions with a skip, modulated by what is known of each frame, and attention over time.

    Parameters
    ----------
    in_channels, channels : int
        Of input and output.
    marks : int
        Length of what modulates.
    """

    def __init__(self, in_channels: int, channels: int, marks: int):
        super().__init__()
        self.before, self.between = nn.GroupNorm(GROUPS, in_channels), nn.GroupNorm(GROUPS, channels)
        self.one, self.two = (nn.Conv2d(n, channels, 3, padding=1) for n in (in_channels, channels))
        self.modulation = nn.Linear(marks, 2 * channels)
        self.skip = nn.Identity() if in_channels == channels else nn.Conv2d(in_channels, channels, 1)
        self.over_time = TimeAttention(channels, marks)

    def forward(self, maps: Maps, marks: Marks, biases: Biases) -> NewMaps:
        gain, shift = self.modulation(functional.silu(marks))[..., None, None].chunk(2, 1)
        inner = self.one(functional.silu(self.before(maps)))
        inner = self.two(functional.silu(self.between(inner) * (1 + gain) + shift))
        return self.over_time(self.skip(maps) + inner, marks, biases)


class TimeAttention(nn.Module):
    """Attention of whole frames to those at other times, added to them.

    How much a frame counts follows from the frames' mean values and marks, and is the same for
    all its pixels: what the pixels of a sequence share is its course in time.

    Parameters
    ----------
    channels, marks : int
    """

    def __init__(self, channels: int, marks: int):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.asked = nn.Linear(channels + marks, 2 * channels)
        self.inward, self.outward = (nn.Conv2d(channels, channels, 1) for _ in range(2))

    def forward(self, maps: Maps, marks: Marks, biases: Biases) -> Maps:
        sequences, heads, times, _ = biases.shape
        normed = self.norm(maps)
        asked = self.asked(torch.cat([normed.mean((2, 3)), marks], 1))
        query, key = (
            asked.unflatten(1, (2, heads, -1)).unflatten(0, (sequences, times)).permute(2, 0, 3, 1, 4)
        )
        weights = (query @ key.mT / math.sqrt(key.shape[-1]) + biases).softmax(-1)
        values = self.inward(normed).unflatten(1, (heads, -1)).unflatten(0, (sequences, times))
        found = weights.to(values.dtype) @ values.transpose(1, 2).flatten(3)
        found = found.unflatten(3, values.shape[3:]).transpose(1, 2).flatten(2, 3).flatten(0, 1)
        return maps + self.outward(found)


def _biases(times: Float[torch.Tensor, "sequence time"]) -> Biases:
    """Logarithm of how much a frame counts for another, by their distance, for each head."""
    distances = (times[:, :, None] - times[:, None, :]).abs()
    reaches = torch.tensor(REACHES, device=times.device)
    return -distances[:, None] / reaches[:, None, None]
