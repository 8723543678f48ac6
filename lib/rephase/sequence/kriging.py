"""Smooth curves through noisy values at some times: Gaussian processes on an unknown constant.

Values y of a curve f at times t are modelled as

    y = m + f + e,    cov(f(t), f(t')) = s^2 c(|t - t'| / l),    var(e) = r s^2

(Rasmussen, Williams, Gaussian Processes for Machine Learning, 2006, chapters 2, 4 and 5).
The constant m is as good as unknown, so it is the contrasts between values that tell l, s
and r: the likelihood is the restricted one (Harville, J. Am. Stat. Assoc. 72, 320 (1977)).
"""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve, helmert

Kernel = Literal["matern32", "rbf"]

RATIOS = np.geomspace(1e-5, 1e3, 49)  # tried for r


def correlation(
    times: Float[np.ndarray, " time"], knots: Float[np.ndarray, " knot"], length: Real, kernel: Kernel
) -> Float[np.ndarray, "time knot"]:
    """Correlation c of a curve's values at the times with those at the knots.

    Parameters
    ----------
    times, knots : array
    length : float
        l, in the unit of the times.
    kernel : {'matern32', 'rbf'}
        Matern's of order 3/2, for curves with a slope everywhere, or the squared
        exponential, for curves smooth throughout.
    """
    distance = np.abs(times[:, None] - knots) / length
    if kernel == "rbf":
        return np.exp(-(distance**2) / 2)
    return (1 + np.sqrt(3) * distance) * np.exp(-np.sqrt(3) * distance)


def kriging(
    knots: Float[np.ndarray, " knot"],
    times: Float[np.ndarray, " time"],
    length: Real,
    ratio: Real,
    kernel: Kernel = "matern32",
) -> tuple[Float[np.ndarray, "time knot"], Float[np.ndarray, " time"]]:
    """Posterior of the curve, m + f, given values at the knots (Rasmussen, Williams, section 2.7).

    Parameters
    ----------
    knots, times : array
        Where values are given, and where they are wanted.
    length, ratio : float
        l, in the unit of the times, and r.
    kernel : {'matern32', 'rbf'}
        The correlation c.

    Returns
    -------
    weights : array (time, knot)
        ``weights @ values`` is the mean; each row adds up to 1.
    variance : array (time,)
        In units of s^2.
    """
    factor = cho_factor(correlation(knots, knots, length, kernel) + ratio * np.eye(len(knots)))
    cross = correlation(times, knots, length, kernel)
    weights = cho_solve(factor, cross.T).T
    constant = cho_solve(factor, np.ones(len(knots)))
    missing = 1 - weights.sum(axis=1)
    variance = 1 - np.sum(cross * weights, axis=1) + missing**2 / constant.sum()
    return weights + missing[:, None] * (constant / constant.sum()), np.maximum(variance, 0)


def contrast_likelihood(
    knots: Float[np.ndarray, " knot"],
    values: Float[np.ndarray, "knot series"],
    length: Real,
    kernel: Kernel = "matern32",
) -> tuple[Float[np.ndarray, "ratio series"], Float[np.ndarray, " ratio"]]:
    """What the likelihood of a series is made of, at one l and all `RATIOS`.

    With the n - 1 contrasts z between n values and their covariance C, in units of s^2:
    -2 log L = z' C^-1 z / s^2 + log |C| + (n - 1) log s^2, but for a constant.

    Returns
    -------
    square : array (ratio, series)
        z' C^-1 z.
    log_volume : array (ratio,)
        log |C|.
    """
    contrasts = helmert(len(knots))
    powers, axes = np.linalg.eigh(contrasts @ correlation(knots, knots, length, kernel) @ contrasts.T)
    variances = np.maximum(powers, 0) + RATIOS[:, None]
    return (1 / variances) @ (axes.T @ contrasts @ values) ** 2, np.log(variances).sum(axis=1)
