"""Scores of stored image stacks: one row for each specimen, method and dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from rephase.judge.dose_law import fit_dose_law
from rephase.judge.ladder import INFINITE
from rephase.judge.limits import diffraction_variance, weak_phase_line_applies
from rephase.judge.metrics import cross_correlation, phase_mse
from rephase.judge.statistics import Interval, bias_variance
from rephase.phase.methods import DIRECT

Row = dict[str, Any]


def score_stacks(stacks: Mapping[str, np.ndarray]) -> list[Row]:
    """Score every ``specimen/method/dose`` stack against its ``specimen/truth``.

    Parameters
    ----------
    stacks : mapping of array
        As :func:`rephase.judge.ladder.climb` makes them, prefixed by the specimen.

    Returns
    -------
    list of dict
        Keys specimen, method, dose, n, mse, bias2, variance (rad^2), correlation,
        mse_per_seed, correlation_per_seed; and ``weak``, whether a weak-phase limit
        may be drawn, with ``limit``, the mean variance of an unbiased estimate in
        the band (rad^2).
    """
    rows = []
    for name, stack in stacks.items():
        parts = name.split("/")
        if len(parts) != 3 or parts[1].endswith("_error"):
            continue
        specimen, method, dose = parts
        rows.append({"specimen": specimen, "method": method, "dose": float(dose.replace("infinite", "inf"))})
        truth = stacks[f"{specimen}/truth"].astype(float)
        rows[-1] |= score(stack.astype(float), truth)
        rows[-1] |= yardstick(truth, stacks[f"{specimen}/band"], rows[-1]["dose"])
    return sorted(rows, key=lambda row: (row["specimen"], row["method"], row["dose"]))


def score(stack: Float[np.ndarray, "seed slow fast"], truth: Float[np.ndarray, "_slow _fast"]) -> Row:
    """Errors of one stack of reconstructions that differ by their noise only."""
    errors = [phase_mse(image, truth) for image in stack]
    bias2, variance = bias_variance(stack, truth) if len(stack) > 1 else (errors[0], 0.0)
    correlations = [cross_correlation(image, truth) for image in stack]
    return {
        "n": len(stack),
        "mse": float(np.mean(errors)),
        "bias2": bias2,
        "variance": variance,
        "correlation": float(np.mean(correlations)),
        "mse_per_seed": errors,
        "correlation_per_seed": correlations,
    }


def yardstick(truth: Float[np.ndarray, "slow fast"], band: Float[np.ndarray, " 2"], dose: float) -> Row:
    """The weak-phase limit for an image, and whether it may be drawn.

    Parameters
    ----------
    truth : array (slow, fast)
        In rad.
    band : array (2)
        Share of the frequencies that the band holds, and area of a pixel in square angstrom.
    dose : float
        In e/A^2.
    """
    share, area = map(float, band)
    limit = 0.0 if dose == INFINITE else share * diffraction_variance(dose * area)
    return {"weak": weak_phase_line_applies(float(np.abs(truth).max())), "limit": limit}


def mean_interval(values: Sequence[float] | Float[np.ndarray, " seed"], level: float = 0.95) -> Interval:
    """Mean of independent values with Student's t interval; a single value is its own."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, mean, mean, level)
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half, level)


def dose_laws(rows: Sequence[Row]) -> list[Row]:
    """Fit of MSE = b + a D^-s for each specimen and direct method."""
    laws = []
    kinds = sorted({(row["specimen"], row["method"]) for row in rows if row["method"] in DIRECT})
    for specimen, method in kinds:
        ladder = [
            r for r in rows if (r["specimen"], r["method"]) == (specimen, method) and r["dose"] != INFINITE
        ]
        doses = np.array([row["dose"] for row in ladder])
        law = fit_dose_law(doses, np.array([row["mse_per_seed"] for row in ladder]).T)
        laws.append({"specimen": specimen, "method": method, "n": ladder[0]["n"]} | vars(law))
    return laws
