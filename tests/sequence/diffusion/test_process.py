"""Diffusion against closed forms: of its variance, and of normally distributed sequences."""

import math

import numpy as np
import pytest
import torch

from rephase.sequence.diffusion.process import PURE_NOISE, ddim, denoised, noised, opposite_noise

TIMES = np.linspace(0, 1, 12)
PRIOR = 1.7 * np.exp(-np.abs(TIMES[:, None] - TIMES) / 0.3) + 0.2
SEEN = np.array([1, 5, 6, 11])
NOISE = np.diag([0.01, 0.3, 0.1, 0.05])
VALUES = np.array([1.0, -0.5, 0.4, 2.0])


def posterior():
    """Mean and covariance of the sequence given the values seen, in information form."""
    pick = np.eye(12)[SEEN]
    covariance = np.linalg.inv(np.linalg.inv(PRIOR) + pick.T @ np.linalg.inv(NOISE) @ pick)
    return covariance @ pick.T @ np.linalg.inv(NOISE) @ VALUES, covariance


def exact_denoiser(x, angle):
    """Mean of x0 given x and the values seen, by regression on both at once."""
    both = np.vstack([np.eye(12)[SEEN], math.cos(angle) * np.eye(12)])
    noise = np.zeros((16, 16))
    noise[:4, :4], noise[4:, 4:] = NOISE, math.sin(angle) ** 2 * np.eye(12)
    weights = PRIOR @ both.T @ np.linalg.inv(both @ PRIOR @ both.T + noise)
    seen = np.broadcast_to(VALUES, (len(x), 4))
    return torch.from_numpy(np.hstack([seen, x.numpy()]) @ weights.T)


def starts(draws, seed=0):
    return opposite_noise((12,), draws, torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.0, PURE_NOISE])
@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0])
def test_the_variance_on_the_way_to_noise(angle, spread):
    generator = torch.Generator().manual_seed(1)
    x0, noise = spread * torch.randn(200_000, generator=generator), torch.randn(200_000, generator=generator)
    expected = math.cos(angle) ** 2 * spread**2 + math.sin(angle) ** 2
    assert float(noised(x0, noise, angle).var()) == pytest.approx(expected, rel=0.02)


def test_the_velocity_tells_x0():
    generator = torch.Generator().manual_seed(2)
    x0, noise = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    angle = torch.linspace(0.1, 1.5, 5, dtype=torch.float64)[:, None]
    step = 1e-6
    velocity = (noised(x0, noise, angle + step) - noised(x0, noise, angle - step)) / (2 * step)
    assert torch.allclose(denoised(noised(x0, noise, angle), velocity, angle), x0, atol=1e-8)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_pair_of_draws_has_exactly_the_posterior_mean_of_a_normal_sequence(steps):
    drawn = ddim(exact_denoiser, starts(2), steps)
    assert drawn.mean(0).numpy() == pytest.approx(posterior()[0], abs=1e-8)


def test_one_step_gives_the_mean_from_any_start():
    drawn = ddim(exact_denoiser, starts(3), 1).numpy()
    assert drawn == pytest.approx(np.tile(posterior()[0], (3, 1)), abs=1e-8)


def test_draws_are_spread_as_the_posterior_is():
    """DDIM is linear here: its matrix, from unit starts, must be a root of the covariance."""
    mean, covariance = posterior()
    matrix = ddim(exact_denoiser, torch.eye(12, dtype=torch.float64), 2000).numpy() - mean
    assert matrix.T @ matrix == pytest.approx(covariance, abs=2e-3)


def test_few_steps_are_spread_too_little():
    """A step of d multiplies the deviation of white x0 by cos d."""
    drawn = ddim(lambda x, angle: math.cos(angle) * x, starts(4), 8)
    assert torch.allclose(drawn, math.cos(PURE_NOISE / 8) ** 8 * starts(4))


def test_starts_are_normal_and_come_in_opposite_pairs():
    noise = opposite_noise((30_000,), 4, torch.Generator().manual_seed(0))
    assert torch.equal(noise[:2], -noise[2:])
    assert float(noise[:2].var()) == pytest.approx(1, rel=0.02)
    assert abs(float((noise[0] * noise[1]).mean())) < 0.02
    assert opposite_noise((3,), 1, torch.Generator().manual_seed(0)).shape == (1, 3)
