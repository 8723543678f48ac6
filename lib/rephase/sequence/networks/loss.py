"""What a training minimises: the error of decoded frames, and weighted terms of physics.

The error of a sequence is its squared error per frame over a power per frame. With that of the
frames ('energy') it is the NMSE of Eq. 14: the static central disc makes up the denominator, and
sequences count as much as they change. With that of the frames minus their temporal mean
('variation') all count alike, but those of which few frames are observed count most. With the error of
the straight lines between observed frames ('line'), the default, every sequence and mask counts alike, and
1 is what a network starts from. 'both' is the geometric mean of energy and variation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float

from rephase.errors import InputError
from rephase.sequence import constraints
from rephase.sequence.networks.samples import Batch

Relative = Literal["energy", "variation", "both", "line"]
Frames = Float[torch.Tensor, "sequence wanted position row col"]
Scalar = Float[torch.Tensor, ""]
LEAST_VARIATION = 1e-4  # of the energy: what changes less counts as if it changed so much
LEAST_ERROR = 2e-4  # of the energy, added to the error of the line


@dataclass(frozen=True)
class Context:
    """What terms know besides the predicted frames.

    Parameters
    ----------
    times : tensor (wanted,)
        Of the predicted frames, increasing, from 0 to 1.
    intensity : tensor (sequence,)
        I0: mean total intensity of the observed frames.
    structure : tensor (sequence, row, col), optional
        |F(k)|^2.
    """

    times: Float[torch.Tensor, " wanted"]
    intensity: Float[torch.Tensor, " sequence"]
    structure: Float[torch.Tensor, "sequence row col"] | None


Term = Callable[[Frames, Context], Scalar]


def friedel(frames: Frames, context: Context) -> Scalar:
    """Mean over sequences of `rephase.sequence.constraints.friedel`."""
    return constraints.friedel(frames).mean()


def kinematic(frames: Frames, context: Context) -> Scalar:
    """Mean over sequences of `rephase.sequence.constraints.kinematic`.

    Raises
    ------
    InputError
        If the sequences were read without their structure.
    """
    if context.structure is None:
        raise InputError("sequences", "no structure factors", "those read with structure=True")
    return constraints.kinematic(frames, context.structure).mean()


def energy(frames: Frames, context: Context) -> Scalar:
    """Mean over sequences of `rephase.sequence.constraints.energy`."""
    return constraints.energy(frames, context.intensity).mean()


def temporal(frames: Frames, context: Context) -> Scalar:
    """Mean over sequences of `rephase.sequence.constraints.temporal`."""
    return constraints.temporal(frames, context.times.expand(len(frames), -1)).mean()


TERMS: dict[str, Term] = {
    "friedel": friedel,
    "kinematic": kinematic,
    "energy": energy,
    "temporal": temporal,
}


def errors(predicted: Frames, batch: Batch, relative: Relative) -> Float[torch.Tensor, " sequence"]:
    """Error of each sequence, from the frames that are decoded."""
    squared = _squared(predicted - batch.truth)
    if relative == "line":
        line = _squared(batch.observed.linear(batch.at) - batch.truth)
        return squared / (line + LEAST_ERROR * batch.energy)
    variation = torch.maximum(batch.variation, LEAST_VARIATION * batch.energy)
    powers = {"energy": batch.energy, "variation": variation, "both": (batch.energy * variation).sqrt()}
    return squared / powers[relative]


def _squared(frames: Frames) -> Float[torch.Tensor, " sequence"]:
    """Sum of squares of a frame, averaged over the frames."""
    return frames.square().sum(dim=(2, 3, 4)).mean(dim=1)


def terms(predicted: Frames, batch: Batch, losses: Mapping[str, Term]) -> dict[str, Scalar]:
    """Values of terms of physics, without their weights."""
    observed = batch.observed
    context = Context(observed.times[batch.at], observed.mean.sum(dim=(2, 3)).mean(dim=1), batch.structure)
    return {name: term(predicted, context) for name, term in losses.items()}
