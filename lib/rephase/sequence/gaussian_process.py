"""Gaussian processes in time, with the uncertainty of what they fill in.

The model is that of `rephase.sequence.kriging`. Either every pixel of the sequence is a curve,
and all share the length l, the amplitude s and the noise ratio r ('sequence'); or every
principal mode of the observed frames is one, with s and r of its own and the sequence's l
('mode'). Their values are the most probable ones given the frames: those of the largest
likelihood, times weak priors on l and r that decide only where the frames do not, as when
there are two. Pixels repeat each other: in the likelihood they count as so many curves as
their modes have independent ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from rephase.phase.settings import MethodSettings
from rephase.sequence.checks import check_sequence
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.kriging import RATIOS, Kernel, contrast_likelihood, kriging
from rephase.sequence.modes import principal_modes
from rephase.sequence.sampling import alike

LENGTHS = np.geomspace(0.1, 100, 49)  # tried for l, in units of the sequence's time per observed frame
LENGTH_PRIOR, RATIO_PRIOR = (1.0, 3.0), (1e-2, 100.0)  # median, and factor of one standard deviation


class GaussianProcessSettings(MethodSettings):
    """Settings of Gaussian processes.

    Parameters
    ----------
    series : {'sequence', 'mode'}
        What shares amplitude and noise: all pixels, or each mode by itself.
    kernel : {'matern32', 'rbf'}
        Correlation in time; see `rephase.sequence.kriging.correlation`.
    """

    series: Literal["sequence", "mode"] = "sequence"
    kernel: Kernel = "matern32"


def complete(
    times: Times, frames: Frames, mask: Mask, settings: GaussianProcessSettings | None = None
) -> Completed:
    """Mean and standard deviation of the noise-free frames, given those observed.

    Observed frames change as far as they are taken for noise. The deviation holds for the
    found l, s and r, and with 'mode' within the span of the modes: what no observed frame
    shows is not in it.

    Returns
    -------
    Completed
        With ``deviation``; ``details`` has ``length`` (l, in the unit of the times), and
        ``amplitude`` and ``noise_ratio`` (s and r, one a curve or one for all pixels).

    Raises
    ------
    InputError
        If the sequence cannot be completed; see `rephase.sequence.checks`.
    """
    settings = settings or GaussianProcessSettings()
    check_sequence(times, frames, mask)
    groups = [_group(times, frames, *pair) for pair in alike(mask)]
    unit = float(np.ptp(times) / mask.sum(axis=0).mean())
    length, amplitude, ratio = _most_probable(groups, unit, settings)
    result, deviation = np.empty((2, *frames.shape), dtype=np.float32)
    first = 0
    for group in groups:
        last = first + group.scores.shape[1]
        own = slice(None) if settings.series == "sequence" else slice(first, last)
        curves = _curves(group, times, length, amplitude[own], ratio[own], settings)
        shape = (len(times), len(group.positions), *frames.shape[2:])
        result[:, group.positions], deviation[:, group.positions] = (part.reshape(shape) for part in curves)
        first = last
    return Completed(result, deviation, {"length": length, "amplitude": amplitude, "noise_ratio": ratio})


@dataclass(frozen=True)
class _Group:
    """Positions observed at the same times: ``mean + scores @ patterns`` are the observed frames."""

    positions: Int[np.ndarray, " position"]
    knots: Float[np.ndarray, " observed"]
    mean: Float[np.ndarray, " pixel"]
    scores: Float[np.ndarray, "observed mode"]
    patterns: Float[np.ndarray, "mode pixel"]


def _group(
    times: Times, frames: Frames, observed: Int[np.ndarray, " observed"], positions: Int[np.ndarray, " own"]
) -> _Group:
    values = frames[np.ix_(observed, positions)].reshape(len(observed), -1)
    return _Group(positions, times[observed], *principal_modes(values))


def _most_probable(
    groups: list[_Group], unit: float, settings: GaussianProcessSettings
) -> tuple[float, Float[np.ndarray, " series"], Float[np.ndarray, " series"]]:
    """The most probable l of the sequence, and s and r of each series."""
    lengths = unit * LENGTHS
    costs = [_costs(groups, length, settings.kernel, together=True)[0].min() for length in lengths]
    length = float(lengths[np.argmin(costs + _improbability(LENGTHS, *LENGTH_PRIOR))])
    cost, power = _costs(groups, length, settings.kernel, together=settings.series == "sequence")
    best = cost.argmin(axis=0)
    return length, np.sqrt(power[best, np.arange(len(best))]), RATIOS[best]


def _costs(
    groups: list[_Group], length: float, kernel: Kernel, together: bool
) -> tuple[Float[np.ndarray, "ratio series"], Float[np.ndarray, "ratio series"]]:
    """-log of the probability of each of `RATIOS` with its best s^2, but for a constant, and this s^2."""
    squares, log_volumes, counts = [], [], []
    for group in groups:
        square, log_volume = contrast_likelihood(group.knots, group.scores, length, kernel)
        curves = 1.0
        if together:
            curves = _independent(group.scores)
            square = square.sum(axis=1, keepdims=True) * curves / len(group.mean)
        squares.append(square)
        log_volumes.append(np.broadcast_to(curves * log_volume[:, None], square.shape))
        counts.append(np.full(square.shape, curves * (len(group.knots) - 1)))
    square, log_volume, count = map(sum if together else np.hstack, (squares, log_volumes, counts))
    power = square / count + np.finfo(float).tiny
    cost = (count * np.log(power) + log_volume) / 2
    return cost + _improbability(RATIOS, *RATIO_PRIOR)[:, None], power


def _independent(scores: Float[np.ndarray, "observed mode"]) -> float:
    """Number of independent curves, at least 1: the participation ratio of the modes' powers."""
    powers = np.sum(scores**2, axis=0)
    return max(1.0, float(powers.sum() ** 2 / np.sum(powers**2))) if len(powers) else 1.0


def _improbability(
    values: Float[np.ndarray, " value"], median: float, factor: float
) -> Float[np.ndarray, " value"]:
    """-log of a log-normal prior, but for a constant."""
    return (np.log(values / median) / np.log(factor)) ** 2 / 2


def _curves(
    group: _Group,
    times: Times,
    length: float,
    amplitude: Float[np.ndarray, " _series"],
    ratio: Float[np.ndarray, " _series"],
    settings: GaussianProcessSettings,
) -> tuple[Float[np.ndarray, "time pixel"], Float[np.ndarray, "time pixel"]]:
    """Posterior mean and standard deviation of the pixels of a group."""
    if settings.series == "sequence":
        weights, variance = kriging(group.knots, times, length, float(ratio[0]), settings.kernel)
        mean = group.mean + weights @ group.scores @ group.patterns
        return mean, np.broadcast_to(amplitude * np.sqrt(variance)[:, None], mean.shape)
    curves, variances = np.empty((2, len(times), len(ratio)))
    for mode in range(len(ratio)):
        weights, variance = kriging(group.knots, times, length, float(ratio[mode]), settings.kernel)
        curves[:, mode] = weights @ group.scores[:, mode]
        variances[:, mode] = amplitude[mode] ** 2 * variance
    return group.mean + curves @ group.patterns, np.sqrt(variances @ group.patterns**2)
