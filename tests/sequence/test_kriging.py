"""Kriging is the textbook's Gaussian process with a constant of unlimited variance."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from rephase.sequence.kriging import RATIOS, contrast_likelihood, correlation, kriging

KNOTS = np.array([0.3, 0.5, 1.9, 2.0, 4.0])
KERNELS = pytest.mark.parametrize("kernel", ["matern32", "rbf"])


def dense(times, knots, length, kernel):
    """The correlations written out, one pair at a time (Rasmussen, Williams, eqs. 4.9 and 4.17)."""
    out = np.empty((len(times), len(knots)))
    for row, time in enumerate(times):
        for col, knot in enumerate(knots):
            d = abs(time - knot)
            matern = (1 + np.sqrt(3) * d / length) * np.exp(-np.sqrt(3) * d / length)
            out[row, col] = np.exp(-(d**2) / (2 * length**2)) if kernel == "rbf" else matern
    return out


@KERNELS
@pytest.mark.parametrize("ratio", [1e-4, 0.1, 10.0])
def test_is_the_best_linear_unbiased_estimate(kernel, ratio):
    """The weights add up to 1 and minimise the variance, solved with a Lagrange multiplier."""
    times, length = np.linspace(-1, 6, 9), 1.3
    system = np.ones((6, 6))
    system[:5, :5] = dense(KNOTS, KNOTS, length, kernel) + ratio * np.eye(5)
    system[5, 5] = 0
    cross = np.vstack([dense(KNOTS, times, length, kernel), np.ones(9)])
    solved = np.linalg.solve(system, cross)
    weights, variance = kriging(KNOTS, times, length, ratio, kernel)
    assert weights == pytest.approx(solved[:5].T, abs=1e-8)
    assert variance == pytest.approx(1 - np.sum(solved * cross, axis=0), abs=1e-8)


@KERNELS
def test_is_the_posterior_with_a_wide_prior_on_the_constant(kernel):
    times, length, wide, ratio = np.linspace(-1, 6, 9), 1.3, 1e4, 0.5
    inverse = np.linalg.inv(dense(KNOTS, KNOTS, length, kernel) + wide + ratio * np.eye(5))
    cross = dense(times, KNOTS, length, kernel) + wide
    weights, variance = kriging(KNOTS, times, length, ratio, kernel)
    assert weights == pytest.approx(cross @ inverse, abs=1e-3)
    assert variance == pytest.approx(1 + wide - np.diag(cross @ inverse @ cross.T), abs=1e-3)


@KERNELS
def test_without_noise_it_interpolates_and_knows_it(kernel):
    weights, variance = kriging(KNOTS, KNOTS, 0.5, 1e-12, kernel)
    assert weights == pytest.approx(np.eye(5), abs=1e-6) and variance == pytest.approx(0, abs=1e-6)


def test_far_from_all_values_it_is_as_unsure_as_the_curve_and_its_mean_are():
    knots = np.array([0.0, 100.0, 200.0, 300.0])
    weights, variance = kriging(knots, np.array([1e4]), 1.0, 0.5)
    assert weights[0] == pytest.approx(0.25)
    assert variance[0] == pytest.approx(1 + 1.5 / 4)


@KERNELS
def test_the_likelihood_is_that_of_the_differences_between_values(kernel):
    values = np.random.default_rng(0).normal(size=(5, 3))
    square, log_volume = contrast_likelihood(KNOTS, values, 1.3, kernel)
    differences = np.diff(np.eye(5), axis=0)  # other contrasts than the code's, of volume sqrt(5)
    for at in (0, 20, 30, 48):
        noisy = dense(KNOTS, KNOTS, 1.3, kernel) + RATIOS[at] * np.eye(5)
        normal = multivariate_normal(cov=differences @ noisy @ differences.T)
        expected = -2 * normal.logpdf((differences @ values).T) - 4 * np.log(2 * np.pi) - np.log(5)
        assert square[at] + log_volume[at] == pytest.approx(expected, rel=1e-6)


def test_correlation_is_1_at_no_distance_and_falls():
    for kernel in ("matern32", "rbf"):
        falling = correlation(np.zeros(1), np.linspace(0, 5, 30), 1.0, kernel)[0]
        assert falling[0] == 1 and np.all(np.diff(falling) < 0) and falling[-1] < 2e-3
