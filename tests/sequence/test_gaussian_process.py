"""Gaussian processes find the parameters they were drawn with, and know how wrong they are."""

import numpy as np
import pytest

from rephase.sequence.gaussian_process import GaussianProcessSettings, complete
from rephase.sequence.kriging import correlation, kriging
from rephase.sequence.linear import complete as linear
from rephase.sequence.sampling import draw_mask

TIMES = np.linspace(0, 6, 60)
LENGTH = 0.8
NOISE = 0.1


def drawn(rng, pixels, kernel="matern32"):
    """Curves of unit variance."""
    root = np.linalg.cholesky(correlation(TIMES, TIMES, LENGTH, kernel) + 1e-9 * np.eye(60))
    return root @ rng.normal(size=(60, pixels))


def sequence(seed, kernel="matern32", arm="staggered"):
    """Truth on a constant that differs from pixel to pixel, noisy frames, and a mask."""
    rng = np.random.default_rng(seed)
    truth = (drawn(rng, 4 * 36, kernel) + rng.uniform(5, 9, size=4 * 36)).reshape(60, 4, 6, 6)
    frames = (truth + rng.normal(scale=NOISE, size=truth.shape)).astype(np.float32)
    return truth, frames, draw_mask(60, 4, 0.7, seed, arm=arm)


@pytest.mark.parametrize("kernel", ["matern32", "rbf"])
@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
def test_parameters_are_found_again_and_errors_are_as_large_as_foretold(kernel, arm):
    truth, frames, mask = sequence(3, kernel, arm)
    result = complete(TIMES, frames, mask, GaussianProcessSettings(kernel=kernel))
    assert result.details["length"] == pytest.approx(LENGTH, rel=0.2)
    assert result.details["amplitude"][0] == pytest.approx(1, rel=0.15)
    noise = result.details["amplitude"] * np.sqrt(result.details["noise_ratio"])
    assert noise[0] == pytest.approx(NOISE, rel=0.25)
    score = (result.frames - truth) / result.deviation
    for part in (score, score[mask], score[~mask]):
        assert np.mean(part**2) == pytest.approx(1, abs=0.15)


def test_the_mean_is_krigings_with_the_parameters_found():
    _, frames, mask = sequence(4)
    result = complete(TIMES, frames, mask)
    ratio, power = result.details["noise_ratio"][0], result.details["amplitude"][0] ** 2
    for position in range(4):
        seen = mask[:, position]
        weights, variance = kriging(TIMES[seen], TIMES, result.details["length"], ratio)
        expected = np.tensordot(weights, frames[seen, position].astype(float), 1)
        assert result.frames[:, position] == pytest.approx(expected, abs=1e-5)
        assert result.deviation[:, position, 2, 3] ** 2 == pytest.approx(power * variance, rel=1e-4)


def test_modes_know_their_errors_too():
    """Three modes of different power: the strong ones are followed, all errors are foretold."""
    scores = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        patterns = np.linalg.qr(rng.normal(size=(144, 3)))[0].T * [[30.0], [10.0], [5.0]]
        truth = (7 + drawn(rng, 3) @ patterns).reshape(60, 4, 6, 6)
        frames = (truth + rng.normal(scale=NOISE, size=truth.shape)).astype(np.float32)
        mask = draw_mask(60, 4, 0.7, seed)
        result = complete(TIMES, frames, mask, GaussianProcessSettings(series="mode"))
        scores.append(np.mean(((result.frames - truth) / result.deviation) ** 2))
        assert np.all(np.diff(result.details["amplitude"][:3]) < 0)
    assert 0.6 < np.mean(scores) < 1.7


@pytest.mark.parametrize("series", ["sequence", "mode"])
def test_noise_is_averaged_where_linear_interpolation_keeps_it(series):
    truth, frames, mask = sequence(5, "rbf", "synchronous")
    result = complete(TIMES, frames, mask, GaussianProcessSettings(series=series, kernel="rbf"))
    straight = linear(TIMES, frames, mask)
    assert np.mean((result.frames - truth) ** 2) < 0.7 * np.mean((straight.frames - truth) ** 2)


def test_it_is_surest_where_it_was_told():
    _, frames, mask = sequence(6, arm="synchronous")
    deviation = complete(TIMES, frames, mask).deviation[:, 0, 0, 0]
    assert deviation[mask[:, 0]].max() < NOISE < deviation[~mask[:, 0]].max()
