"""Joint estimate: all scan positions tell together how frames of different times go together.

The intensity of every pixel of every position is a curve in time, and all curves share one
covariance matrix of the times,

    S = p K + (1 - p) L,

which is estimated from all observed frames by expectation maximisation (Dempster, Laird,
Rubin, J. R. Stat. Soc. B 39, 1 (1977)): L is the expected second moment of the curves given
the frames and S, of low rank where few modes make up the sequence. K, the covariance of the
Gaussian process fitted to the same frames on an unknown constant, is the start and the smooth
prior; it also carries the residual that few modes leave. Where all positions are observed
at the same times, the frames say nothing of S at other times, and the estimate stays with the
Gaussian process; where each position has times of its own, one fills the gaps of the other.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve

from rephase.phase.settings import MethodSettings
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.gaussian_process import GaussianProcessSettings
from rephase.sequence.gaussian_process import complete as gaussian_process
from rephase.sequence.kriging import Kernel, correlation
from rephase.sequence.sampling import alike

# Indices of times, indices of the positions observed just then, and their values (time, pixel).
Observed = tuple[np.ndarray, np.ndarray, np.ndarray]

_FLAT = 100.0  # variance of the constant in time under the prior, in units of the mean square intensity
_ROUNDING = 1e-7  # of the mean square intensity; less noise than this is none


class JointSettings(MethodSettings):
    """Settings of the joint estimate.

    Parameters
    ----------
    smoothness : float
        p, the weight of the smooth prior; 1 is the Gaussian process alone.
    rank : int, optional
        Largest rank of L; as it comes by default.
    rounds : int
        Rounds of expectation maximisation.
    kernel : {'matern32', 'rbf'}
        Correlation in time of the prior; see `rephase.sequence.kriging.correlation`.
    """

    smoothness: float = Field(default=0.1, gt=0, le=1)
    rank: int | None = Field(default=None, ge=1)
    rounds: int = Field(default=20, ge=0)
    kernel: Kernel = "matern32"


def complete(times: Times, frames: Frames, mask: Mask, settings: JointSettings | None = None) -> Completed:
    """Mean and standard deviation of the noise-free frames, given those observed of all positions.

    Observed frames change as far as they are taken for noise. The deviation holds for the
    found covariance.

    Returns
    -------
    Completed
        With ``deviation``; ``details`` has ``covariance`` (S), ``noise`` (the standard
        deviation of a pixel's noise) and ``length`` (of the prior, in the unit of the times).

    Raises
    ------
    InputError
        If the sequence cannot be completed; see `rephase.sequence.checks`.
    """
    settings = settings or JointSettings()
    prior = gaussian_process(times, frames, mask, GaussianProcessSettings(kernel=settings.kernel)).details
    groups = [(seen, own, _values(frames, seen, own)) for seen, own in alike(mask)]
    power = float(np.square(frames[mask], dtype=np.float64).mean())
    ((amplitude,), (ratio,)) = prior["amplitude"], prior["noise_ratio"]
    noise = ratio * amplitude**2 + _ROUNDING * power
    smooth = correlation(times, times, prior["length"], settings.kernel)
    covariance = _estimate(groups, amplitude**2 * smooth + _FLAT * power, noise, settings)
    result, deviation = np.empty((2, *frames.shape), dtype=np.float32)
    for seen, own, values in groups:
        weights, left = _regression(covariance, seen, noise)
        result[:, own] = (weights @ values).reshape(len(times), len(own), *frames.shape[2:])
        deviation[:, own] = np.sqrt(np.maximum(np.diag(left), 0))[:, None, None, None]
    details = {"covariance": covariance, "noise": float(np.sqrt(noise)), "length": prior["length"]}
    return Completed(result, deviation, details)


def _values(
    frames: Frames, seen: Int[np.ndarray, " observed"], own: Int[np.ndarray, " own"]
) -> Float[np.ndarray, "observed pixel"]:
    return frames[np.ix_(seen, own)].reshape(len(seen), -1).astype(np.float64)


def _estimate(
    groups: list[Observed],
    prior: Float[np.ndarray, "time time"],
    noise: float,
    settings: JointSettings,
) -> Float[np.ndarray, "time time"]:
    """The covariance S, by expectation maximisation."""
    shares = np.array([values.shape[1] for *_, values in groups], dtype=float)
    shares /= shares.sum()
    grams = [values @ values.T / values.shape[1] for *_, values in groups]
    covariance = prior
    for _ in range(settings.rounds):
        expected = np.zeros_like(prior)
        for (seen, *_), gram, share in zip(groups, grams, shares, strict=True):
            weights, left = _regression(covariance, seen, noise)
            expected += share * (weights @ gram @ weights.T + left)
        if settings.rank:
            power, modes = np.linalg.eigh(expected)
            strong = modes[:, -settings.rank :]
            expected = strong * power[-settings.rank :] @ strong.T
        covariance = settings.smoothness * prior + (1 - settings.smoothness) * expected
    return covariance


def _regression(
    covariance: Float[np.ndarray, "time time"], seen: Int[np.ndarray, " observed"], noise: float
) -> tuple[Float[np.ndarray, "time observed"], Float[np.ndarray, "time time"]]:
    """Weights of the observed values in the mean of all, and the covariance that is left."""
    factor = cho_factor(covariance[np.ix_(seen, seen)] + noise * np.eye(len(seen)))
    weights = cho_solve(factor, covariance[seen]).T
    return weights, covariance - weights @ covariance[seen]
