"""How the error falls with dose: MSE = b + a D^-s."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rephase.errors import InputError
from rephase.judge.statistics import t_half_width

SLOPES = 0.02 * np.arange(1, 201)  # searched for s


@dataclass(frozen=True)
class DoseLaw:
    """MSE = b + a D^-s: error left at infinite dose, scale, slope with its interval."""

    b: float
    a: float
    s: float
    s_low: float
    s_high: float


def fit_dose_law(
    doses: Float[np.ndarray, " _dose"],
    mse_per_seed: Float[np.ndarray, "seed dose"],
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> DoseLaw:
    """Fit MSE = b + a D^-s, with a and b not negative, to relative residuals.

    For each s the best a and b follow in closed form, so the search has one
    dimension, 0.02 <= s <= 4. The interval of s is s -+ t x standard error, the
    latter from a bootstrap that draws seeds anew at each dose and made unbiased,
    with t for one seed fewer than there are. It is wide where the data do not tell s.

    Parameters
    ----------
    doses : array (dose)
        Electrons per square angstrom, at least four different ones.
    mse_per_seed : array (seed, dose)
        Mean squared error of each noise seed.
    replicates : int
        Size of the bootstrap.
    level : float
        Coverage of the interval.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    InputError
        If there are fewer than four doses or two seeds, the shapes differ, or a
        dose or error is not finite and above 0.
    """
    n_seeds, n_doses = mse_per_seed.shape
    if np.unique(doses).size < 4 or doses.size != n_doses or n_seeds < 2:
        found = f"{doses.size} doses and errors of shape {mse_per_seed.shape}"
        raise InputError("doses", found, "four doses or more, with two seeds or more at each")
    for name, array in (("doses", doses), ("mse_per_seed", mse_per_seed)):
        if not (np.isfinite(array).all() and array.min() > 0):
            raise InputError(name, "a value that is not finite and above 0", "finite values above 0")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(n_seeds, size=(replicates, n_seeds, n_doses))
    means = np.take_along_axis(mse_per_seed[None], drawn, axis=1).mean(axis=1)
    b, a, slopes = _fit(doses, np.concatenate([mse_per_seed.mean(axis=0, keepdims=True), means]))
    half = t_half_width(slopes[1:].std(), float(n_seeds - 1), math.sqrt(n_seeds / (n_seeds - 1)), level)
    best = float(slopes[0])
    return DoseLaw(float(b[0]), float(a[0]), best, best - half, best + half)


def _fit(
    doses: Float[np.ndarray, " dose"], mse: Float[np.ndarray, "curve dose"]
) -> tuple[Float[np.ndarray, " curve"], Float[np.ndarray, " curve"], Float[np.ndarray, " curve"]]:
    """The best (b, a, s) of each curve, by a search in s that becomes finer around the best."""
    centre = np.exp(np.log(doses).mean())
    s = np.tile(SLOPES, (len(mse), 1))
    for step in (SLOPES[0], SLOPES[0] / 20, SLOPES[0] / 400):
        best = np.argmin(_best_line(doses / centre, mse, s)[2], axis=1, keepdims=True)
        around = np.take_along_axis(s, best, axis=1) + step * np.linspace(-1, 1, 41)
        s = np.clip(around, SLOPES[0], SLOPES[-1])
    s = s[:, 20:21]
    b, a, _ = _best_line(doses / centre, mse, s)
    return b[:, 0], a[:, 0] * centre ** s[:, 0], s[:, 0]


def _best_line(
    doses: Float[np.ndarray, " dose"],
    mse: Float[np.ndarray, "curve dose"],
    s: Float[np.ndarray, "curve slope"],
) -> tuple[Float[np.ndarray, "curve slope"], ...]:
    """For each s the best b, a >= 0 and the sum of squares of (b + a D^-s) / MSE - 1."""
    u = (1 / mse)[:, None, :]
    v = u * doses ** -s[..., None]
    uu, uv, vv, u1, v1 = ((x * y).sum(-1) for x, y in ((u, u), (u, v), (v, v), (u, 1), (v, 1)))
    determinant = uu * vv - uv**2
    b, a = (u1 * vv - v1 * uv) / determinant, (v1 * uu - u1 * uv) / determinant
    a = np.where(b < 0, v1 / vv, np.maximum(a, 0.0))
    b = np.where(b < 0, 0.0, np.where(a == 0, u1 / uu, b))
    return b, a, np.sum((b[..., None] * u + a[..., None] * v - 1) ** 2, axis=-1)
