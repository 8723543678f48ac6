"""What is observed of some sequences, as networks take it.

The sequences of a batch share their times and their mask, so that everything which follows from
these alone is one small matrix. Times run from 0 at the first frame to 1 at the last. Linear
interpolation is a matrix too: gradients pass it at no cost, and frames that are not observed
have the weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from rephase.sequence.linear import linear_weights

Wanted = Int[torch.Tensor, " wanted"]
SMALLEST_SPREAD = 1e-4  # of the sequence's mean intensity: below, nothing changes
LEAST_CHANGE = 1e-3  # change: log(x + this) / 3, x a mean squared difference over twice the squared spread


@dataclass(frozen=True)
class Observed:
    """Sequences that share times and mask.

    Parameters
    ----------
    times : tensor (time,)
        From 0 to 1.
    knots : int tensor (knot,)
        Indices of the times at which any position is observed.
    seen : bool tensor (knot, position)
        Which positions are observed there.
    frames : tensor (sequence, knot, position, row, col)
        0 where a position is not observed.
    weights : tensor (position, time, knot)
        Linear interpolation of each position between its own observations, constant
        before the first and after the last.
    carry : tensor (time, knot)
        Linear interpolation between the knots.
    age : tensor (time, position)
        Time to the nearest observation, in units of the mean gap.
    change : tensor (sequence, time, position)
        How much the observations on both sides of a time differ: see `LEAST_CHANGE`. Before the first
        and after the last it is that of the gap beside it.
    mean, spread : tensor (sequence, position, row, col) and (sequence,)
        Mean of the observed frames, and their root-mean-square deviation from it.
    known : tensor (sequence, parameter)
        p, what the experimenter knows; see `rephase.sequence.networks.known`.
    """

    times: Float[torch.Tensor, " time"]
    knots: Int[torch.Tensor, " knot"]
    seen: Bool[torch.Tensor, "knot position"]
    frames: Float[torch.Tensor, "sequence knot position row col"]
    weights: Float[torch.Tensor, "position time knot"]
    carry: Float[torch.Tensor, "time knot"]
    age: Float[torch.Tensor, "time position"]
    change: Float[torch.Tensor, "sequence time position"]
    mean: Float[torch.Tensor, "sequence position row col"]
    spread: Float[torch.Tensor, " sequence"]
    known: Float[torch.Tensor, "sequence parameter"]

    def linear(self, at: Wanted) -> Float[torch.Tensor, "sequence wanted position row col"]:
        """Frames at the times of these indices by linear interpolation."""
        return torch.einsum("pwk,skprc->swprc", self.weights[:, at], self.frames)

    def deviations(self, at: Wanted) -> Float[torch.Tensor, "sequence wanted position row col"]:
        """How these frames differ from the mean, in units of the spread."""
        return (self.linear(at) - self.mean[:, None]) / self.spread[:, None, None, None, None]

    def to(self, device: torch.device | str) -> Observed:
        """The same on another device."""
        return replace(self, **{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def observe(
    times: Float[np.ndarray, " time"],
    frames: Float[torch.Tensor, "sequence knot position row col"],
    mask: Bool[np.ndarray, "time position"],
    known: Float[torch.Tensor, "sequence parameter"],
) -> Observed:
    """Prepare sequences for a network.

    Parameters
    ----------
    times : array (time,)
        Increasing, in any unit.
    frames : tensor (sequence, knot, position, row, col)
        Of the times at which any position is observed. What stands where the mask is False
        has no influence, also if it is NaN.
    mask : bool array (time, position)
        At least two observations of every position.
    known : tensor (sequence, parameter)
    """
    relative = (times - times[0]) / (times[-1] - times[0])
    knots = np.flatnonzero(mask.any(axis=1))
    seen = torch.from_numpy(mask[knots]).to(frames.device)
    frames = frames.masked_fill(~seen[:, :, None, None], 0)
    share = seen / seen.sum(0)
    mean = torch.einsum("kp,skprc->sprc", share.to(frames), frames)
    squares = torch.einsum("kp,skprc->sprc", share.to(frames), frames.square())
    spread = (squares - mean.square()).clamp_min(0).mean(dim=(1, 2, 3)).sqrt()
    spread = torch.maximum(spread, SMALLEST_SPREAD * mean.abs().mean(dim=(1, 2, 3))).clamp_min(1e-30)
    timing = (relative, _weights(relative, mask, knots), linear_weights(relative[knots], relative))
    on_device = (
        torch.from_numpy(np.ascontiguousarray(part)).to(frames) for part in (*timing, _age(relative, mask))
    )
    relative_t, weights, carry, age = on_device
    at = torch.from_numpy(knots).to(frames.device)
    change = _change(frames, spread, mask, knots)
    return Observed(relative_t, at, seen, frames, weights, carry, age, change, mean, spread, known.to(frames))


def _weights(
    times: Float[np.ndarray, " time"],
    mask: Bool[np.ndarray, "time position"],
    knots: Int[np.ndarray, " knot"],
) -> Float[np.ndarray, "position time knot"]:
    weights = np.zeros((mask.shape[1], len(times), len(knots)))
    for position, column in enumerate(mask[knots].T):
        weights[position][:, column] = linear_weights(times[knots[column]], times)
    return weights


def _age(
    times: Float[np.ndarray, " time"], mask: Bool[np.ndarray, "time position"]
) -> Float[np.ndarray, "time position"]:
    nearest = [np.abs(times[:, None] - times[column]).min(axis=1) for column in mask.T]
    return np.stack(nearest, axis=1) * mask.sum(axis=0)


def _change(
    frames: Float[torch.Tensor, "sequence knot position row col"],
    spread: Float[torch.Tensor, " sequence"],
    mask: Bool[np.ndarray, "time position"],
    knots: Int[np.ndarray, " knot"],
) -> Float[torch.Tensor, "sequence time position"]:
    every, found = np.arange(len(mask)), []
    for position, column in enumerate(mask.T):
        own = frames[:, torch.from_numpy(column[knots]).to(frames.device), position]
        squared = own.diff(dim=1).square().mean(dim=(2, 3)) / (2 * spread[:, None].square())
        gap = np.searchsorted(np.flatnonzero(column), every, side="right") - 1
        found.append(squared[:, torch.from_numpy(gap.clip(0, column.sum() - 2)).to(frames.device)])
    return (torch.stack(found, dim=-1) + LEAST_CHANGE).log() / 3
