"""Which frames of a sequence are observed: masks, drawn from a seed."""

from __future__ import annotations

import math
from numbers import Real
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from rephase.errors import InputError

Arm = Literal["synchronous", "staggered"]
Pattern = Literal["irregular", "regular", "bursty"]


def draw_mask(
    frames: int,
    positions: int,
    sparsity: Real,
    seed: int,
    *,
    arm: Arm = "synchronous",
    pattern: Pattern = "irregular",
    keep_ends: bool = False,
    burst_frames: Real = 3.0,
) -> Bool[np.ndarray, "time position"]:
    """Draw the frames that are observed, as many of each scan position.

    Parameters
    ----------
    frames, positions : int
        Length of the sequence, and number of scan positions.
    sparsity : float
        Fraction of the frames that is missing; see `observed_count`.
    seed : int
        The same seed draws the same mask.
    arm : {'synchronous', 'staggered'}
        Whether all positions are observed at the same times, or each at times of its own.
    pattern : {'irregular', 'regular', 'bursty'}
        Uniformly random; as equidistant as whole frames allow, with a random offset;
        or in bursts: after each observed frame the burst ends with the probability
        ``1 / burst_frames``, and all ways to place the bursts are equally likely.
    keep_ends : bool
        Whether the first and the last frame are always observed; the others then
        follow the pattern between them ('regular': equidistant, ends included).
    burst_frames : float
        Mean length of a burst, as long as the number of observed frames does not cut it.

    Raises
    ------
    InputError
        If a number is out of range or a name unknown.
    """
    count = observed_count(frames, sparsity)
    if positions < 1:
        raise InputError("positions", positions, "at least one scan position")
    if not 1 <= burst_frames < math.inf:
        raise InputError("burst_frames", burst_frames, "a mean length of at least 1")
    for name, value, known in (("arm", arm, Arm), ("pattern", pattern, Pattern)):
        if value not in get_args(known):
            raise InputError(name, repr(value), f"one of {', '.join(get_args(known))}")
    rng = np.random.default_rng(seed)
    mask = np.zeros((frames, positions), dtype=bool)
    for position in range(positions if arm == "staggered" else 1):
        mask[_draw(rng, frames, count, pattern, keep_ends, burst_frames), position] = True
    return mask if arm == "staggered" else mask[:, :1].repeat(positions, axis=1)


def observed_count(frames: int, sparsity: Real) -> int:
    """Number of observed frames, ``max(2, round((1 - sparsity) * frames))``.

    Raises
    ------
    InputError
        If there are fewer than two frames, or the sparsity is not from 0 to below 1.
    """
    if frames < 2:
        raise InputError("frames", frames, "a sequence of at least two frames")
    if not 0 <= sparsity < 1:
        raise InputError("sparsity", sparsity, "the missing fraction, from 0 to below 1")
    return max(2, round((1 - sparsity) * frames))


def mean_gap(times: Float[np.ndarray, " time"], mask: Bool[np.ndarray, "time position"]) -> float:
    """Mean time from one observation of a position to its next, in the unit of the times."""
    return float(np.mean([np.diff(times[column]).mean() for column in mask.T]))


def alike(
    mask: Bool[np.ndarray, "time position"],
) -> list[tuple[Int[np.ndarray, " _observed"], Int[np.ndarray, " _position"]]]:
    """Indices of observed times and of the positions observed at just these, group by group."""
    columns, group = np.unique(mask, axis=1, return_inverse=True)
    group = group.ravel()
    return [(np.flatnonzero(column), np.flatnonzero(group == at)) for at, column in enumerate(columns.T)]


def _draw(
    rng: np.random.Generator, frames: int, count: int, pattern: Pattern, keep_ends: bool, burst: Real
) -> Int[np.ndarray, " observed"]:
    """Indices of the observed frames of one position."""
    if keep_ends and pattern == "regular":
        return np.linspace(0, frames - 1, count).round().astype(int)
    if keep_ends:
        inner = _draw(rng, frames - 2, count - 2, pattern, False, burst)
        return np.concatenate([[0], inner + 1, [frames - 1]])
    if pattern == "irregular":
        return rng.choice(frames, count, replace=False)
    if pattern == "regular":
        return np.floor((np.arange(count) + rng.uniform()) * (frames / count)).astype(int)
    return _bursts(rng, frames, count, burst)


def _bursts(rng: np.random.Generator, frames: int, count: int, mean: Real) -> Int[np.ndarray, " observed"]:
    """Bursts of geometric length, each after another number of the frames that are missing."""
    missing = frames - count
    ends = rng.uniform(size=count) < 1 / mean  # whether the burst ends before this frame
    burst = np.minimum(np.cumsum(ends) - ends[:1], missing)
    before = np.sort(rng.choice(missing + 1, burst[-1:].sum() + 1, replace=False))
    return np.arange(count) + before[burst]
