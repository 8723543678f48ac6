"""Counting noise of training samples: Poisson's, also for sums of patterns that share electrons.

Samples with data repetition (`repetition`) are samples like any other: the dose is that of a
pattern as the network gets it, here of a sum, 25 times that of each position and 25 / 4 times that
of a pattern recorded at the kernel's step. Neighbouring sums share positions and with them
electrons: 60 % at the side, 36 % at a diagonal neighbour.

Positions that belong to the same sums are drawn together, once, and added to each of these sums.
What is expected there is not stored; taken is the group's part of the box times the lowest of
these sums, and what a sum then lacks is drawn for it alone. Each sum so has exactly its mean and
Poisson's distribution, and two sums share what is written above where they are equal, less where
the patterns differ.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field

from rephase.phase.exit_wave.frame import KERNEL
from rephase.phase.exit_wave.sampling import REPEAT_BOX
from rephase.phase.exit_wave.simulate import REPEAT

MANY_ELECTRONS = 1e4  # in one pixel; above, Poisson's distribution is drawn as a normal one


class Noise(BaseModel):
    """What is drawn afresh for every use of a sample.

    Parameters
    ----------
    least_electrons, most_electrons : float
        Range of the dose in electrons per pattern, or sum of patterns, uniform in its logarithm.
    noiseless_share : float
        Part of the samples without noise.
    vacuum_share : float
        Part of the samples replaced by the probe alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    least_electrons: float = Field(default=3.0, gt=0)
    most_electrons: float = Field(default=3e9, gt=0)
    noiseless_share: float = Field(default=0.0, ge=0, le=1)
    vacuum_share: float = Field(default=0.03, ge=0, le=1)

    def draw_doses(self, count: int, generator: torch.Generator) -> Float[torch.Tensor, " count"]:
        """Electrons per pattern of ``count`` samples; infinite where there is no noise."""
        low, high = math.log(self.least_electrons), math.log(self.most_electrons)
        doses = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
        return doses.masked_fill(torch.rand(count, generator=generator) < self.noiseless_share, math.inf)


def counted(
    fractions: Float[torch.Tensor, "batch 9 64 64"],
    electrons: Float[torch.Tensor, " batch"],
    repeated: Bool[torch.Tensor, " batch"],
    generator: torch.Generator,
) -> Float[torch.Tensor, "batch 9 64 64"]:
    """Patterns as so many electrons would draw them; fractions where the dose is infinite.

    Parameters
    ----------
    fractions : tensor (batch, 9, 64, 64)
        Patterns in fractions of the beam, in the order of `frame.KERNEL`.
    electrons : tensor (batch,)
        Dose per pattern, or sum of patterns.
    repeated : bool tensor (batch,)
        Where patterns are sums with data repetition, which share electrons.
    generator : torch.Generator
    """
    dose = electrons[:, None, None, None]
    expected = fractions * dose.masked_fill(dose.isinf(), 0)
    counts = _poisson(expected, generator)
    if bool(repeated.any()):
        counts[repeated] = _shared(expected[repeated], generator)
    return torch.where(dose.isinf(), fractions, counts)


def _poisson(
    expected: Float[torch.Tensor, "*any"], generator: torch.Generator
) -> Float[torch.Tensor, "*any"]:
    """Poisson's distribution; a normal one where more than ten thousand are expected.

    That is faster, and single precision does not hold integers above 16 million.
    """
    many = expected > MANY_ELECTRONS
    few = torch.poisson(expected.masked_fill(many, 0), generator=generator)
    normal = torch.randn(expected.shape, generator=generator, device=expected.device)
    return torch.where(many, (expected + expected.sqrt() * normal).round(), few)


def _shared(
    expected: Float[torch.Tensor, "batch 9 row col"], generator: torch.Generator
) -> Float[torch.Tensor, "batch 9 row col"]:
    """Sums of patterns, with the electrons that they have in common."""
    counts, alone = torch.zeros_like(expected), expected.clone()
    for sums, part in _groups():
        common = part * expected[:, sums].amin(1, keepdim=True)
        counts[:, sums] += _poisson(common, generator)
        alone[:, sums] -= common
    return counts + _poisson(alone.clamp_min(0), generator)


@cache
def _groups() -> list[tuple[list[int], float]]:
    """Which sums have positions in common, of the 9 x 9 under a kernel, and which part of a box.

    Each position is in one group alone, that of all the sums that it belongs to.
    """
    reach = REPEAT + REPEAT_BOX // 2
    along = np.arange(-reach, reach + 1)
    centres = REPEAT * np.array(KERNEL)
    at = np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 1, 2)
    inside = (abs(at - centres) <= REPEAT_BOX // 2).all(-1)
    groups, counts = np.unique(inside, axis=0, return_counts=True)
    return [
        (np.flatnonzero(group).tolist(), int(count) / REPEAT_BOX**2)
        for group, count in zip(groups, counts, strict=True)
        if group.sum() > 1
    ]
