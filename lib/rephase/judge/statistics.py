"""Differences between methods: paired tests, effect sizes, bootstrap intervals, bias and variance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from rephase.errors import InputError


@dataclass(frozen=True)
class PairedTest:
    """Paired t-test of one method against the reference.

    ``difference`` is reference minus method, with its confidence interval;
    ``p_bonferroni`` is ``p`` times the number of methods compared, at most 1;
    ``cohens_dz`` is difference / standard deviation of the differences, and
    ``hedges_g`` the same without its small-sample bias.
    """

    difference: float
    low: float
    high: float
    t: float
    p: float
    p_bonferroni: float
    cohens_dz: float
    hedges_g: float
    n_seeds: int


def paired_t_tests(
    reference: Float[np.ndarray, " seed"],
    others: Mapping[str, Float[np.ndarray, " _seed"]],
    level: float = 0.95,
) -> dict[str, PairedTest]:
    """Two-sided paired t-tests of one method against each other one, with Bonferroni's correction.

    Parameters
    ----------
    reference : array (seed)
        Scores of the reference method, one for each seed.
    others : mapping of str to array (seed)
        Scores of the others with the same seeds.
    level : float
        Coverage of the confidence interval of the difference (not corrected).

    Raises
    ------
    InputError
        If there is nothing to compare, there are fewer than two seeds, the
        numbers of seeds differ, or a difference is the same for every seed.
    """
    if not others:
        raise InputError("others", "no method", "one at least")
    for name, scores in others.items():
        if scores.shape != reference.shape or reference.size < 2:
            raise InputError(f"others.{name}", f"{scores.size} seeds", f"{max(2, reference.size)} seeds")
        if np.ptp(reference - scores) <= 1e-12 * np.abs(reference).max():
            raise InputError(f"others.{name}", "one difference for all seeds", "differences that vary")
    tests = {name: stats.ttest_rel(reference, scores) for name, scores in others.items()}
    corrected = multipletests([test.pvalue for test in tests.values()], method="bonferroni")[1]
    return {
        name: _describe(reference - others[name], tests[name], float(p), level)
        for name, p in zip(tests, corrected, strict=True)
    }


def _describe(difference: Float[np.ndarray, " seed"], test, p_bonferroni: float, level: float) -> PairedTest:
    interval = test.confidence_interval(level)
    return PairedTest(
        difference=float(difference.mean()),
        low=float(interval.low),
        high=float(interval.high),
        t=float(test.statistic),
        p=float(test.pvalue),
        p_bonferroni=p_bonferroni,
        cohens_dz=cohens_dz(difference),
        hedges_g=hedges_g(difference),
        n_seeds=difference.size,
    )


def cohens_dz(differences: Float[np.ndarray, " seed"]) -> float:
    """Effect size of paired differences: mean / standard deviation (Cohen 1988)."""
    return float(differences.mean() / differences.std(ddof=1))


def hedges_g(differences: Float[np.ndarray, " seed"]) -> float:
    """Cohen's d_z times Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2)), m = n - 1 (Hedges 1981); 3 seeds or more."""
    m = differences.size - 1
    if m < 2:
        return math.nan
    correction = math.exp(special.gammaln(m / 2) - special.gammaln((m - 1) / 2)) / math.sqrt(m / 2)
    return correction * cohens_dz(differences)


@dataclass(frozen=True)
class Interval:
    """A value and the interval that covers it at ``level``."""

    value: float
    low: float
    high: float
    level: float


def crossed_bootstrap(
    values: Float[np.ndarray, "item seed"],
    materials: Sequence[str],
    statistic: Callable[[np.ndarray], float] = np.mean,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval with items clustered by material, crossed with training seeds.

    A replicate draws materials, each with all its items, and seeds, both with
    replacement (the pigeonhole bootstrap: Owen, Ann. Appl. Stat. 1, 386, 2007).
    As percentiles are too narrow for a handful of clusters, the interval is value
    -+ t x standard error, with the standard error of the bootstrap made unbiased and
    the degrees of freedom of the two factors combined after Satterthwaite. A factor
    with one level is not resampled: the interval then holds for that level only.

    Parameters
    ----------
    values : array (item, seed)
        A score, or a difference of two methods' scores, of each test item and training seed.
    materials : sequence of str (item)
        The material of each item.
    statistic : callable
        Array (item, seed) -> number.
    replicates : int
        Size of the bootstrap.
    level : float
        Coverage of the interval.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    InputError
        If the materials are not one for each item, or there is one material and one seed only.
    """
    if len(materials) != len(values):
        raise InputError("materials", f"{len(materials)} names", f"one for each of {len(values)} items")
    labels = np.asarray(materials)
    clusters = [np.flatnonzero(labels == name) for name in dict.fromkeys(materials)]
    counts = np.array([len(clusters), values.shape[1]])
    if counts.max() < 2:
        raise InputError("values", "one material and one seed", "two of either at least")
    rng = np.random.default_rng(seed)

    def replicate(resampled: tuple[bool, bool]) -> np.ndarray:
        drawn = [
            rng.integers(n, size=(replicates, n)) if again else np.tile(np.arange(n), (replicates, 1))
            for n, again in zip(counts, resampled, strict=True)
        ]
        rows = ([clusters[c] for c in chosen] for chosen in drawn[0])
        return np.array(
            [statistic(values[np.ix_(np.concatenate(r), s)]) for r, s in zip(rows, drawn[1], strict=True)]
        )

    crossed = counts > 1
    alone = [replicate((f == 0, f == 1)).var() if crossed[f] else 0.0 for f in range(2)]
    value, deviation = float(statistic(values)), replicate(tuple(crossed.tolist())).std()
    half = t_half_width(deviation, *_combined(np.array(alone), counts), level)
    return Interval(value, value - half, value + half, level)


def _combined(variances: Float[np.ndarray, " factor"], counts: np.ndarray) -> tuple[float, float]:
    """Degrees of freedom (Satterthwaite) and the inflation sqrt(n / (n - 1)) of the combined error."""
    resampled = counts > 1
    n, v = counts[resampled], variances[resampled]
    unbiased = v * n / (n - 1)
    if v.sum() == 0:
        return float(n.min() - 1), 1.0
    degrees = unbiased.sum() ** 2 / np.sum(unbiased**2 / (n - 1))
    return float(degrees), float(np.sqrt(unbiased.sum() / v.sum()))


def t_half_width(deviation: float, degrees: float, inflation: float, level: float) -> float:
    """Half the width of a t-interval from a bootstrap of few samples.

    Parameters
    ----------
    deviation : float
        Standard deviation of the bootstrap.
    degrees : float
        Degrees of freedom of the standard error.
    inflation : float
        Standard error over ``deviation``: sqrt(n / (n - 1)) for one sample of n.
    level : float
        Coverage wanted.
    """
    return float(stats.t.ppf((1 + level) / 2, degrees) * inflation * deviation)


def bias_variance(
    stack: Float[np.ndarray, "seed slow fast"], truth: Float[np.ndarray, "_slow _fast"]
) -> tuple[float, float]:
    """Mean squared bias and mean variance over pixels, both unbiased in the number of seeds.

    Their sum is the expected mean squared error of one reconstruction. The
    squared bias can come out slightly below 0 where there is none.

    Parameters
    ----------
    stack : array (seed, slow, fast)
        Reconstructions that differ by their noise only.
    truth : array (slow, fast)

    Raises
    ------
    InputError
        If there are fewer than two seeds or the shapes differ.
    """
    if len(stack) < 2 or stack.shape[1:] != truth.shape:
        raise InputError("stack", f"shape {stack.shape}", f"two or more images of shape {truth.shape}")
    variance = float(np.var(stack, axis=0, ddof=1, dtype=np.float64).mean())
    distance = float(np.mean((stack.mean(axis=0, dtype=np.float64) - truth) ** 2))
    return distance - variance / len(stack), variance
