"""Principal modes are the singular vectors, and as many as frames lose nothing."""

import numpy as np
import pytest
from scipy.interpolate import pchip_interpolate

from rephase.sequence.linear import complete as linear
from rephase.sequence.modes import ModesSettings, complete, principal_modes
from rephase.sequence.sampling import draw_mask

TIMES = np.linspace(0, 1, 40)


def one_mode(noise):
    rng = np.random.default_rng(0)
    curve = np.sin(4 * TIMES)[:, None, None, None]
    truth = rng.uniform(1, 2, size=(3, 6, 6)) + curve * rng.normal(size=(3, 6, 6))
    return truth, (truth + rng.normal(scale=noise, size=truth.shape)).astype(np.float32)


def test_modes_are_singular_vectors():
    values = np.random.default_rng(1).normal(size=(7, 50))
    mean, scores, patterns = principal_modes(values)
    assert mean == pytest.approx(values.mean(axis=0))
    assert mean + scores @ patterns == pytest.approx(values)
    assert patterns @ patterns.T == pytest.approx(np.eye(6))
    expected = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)[:6]
    assert np.linalg.norm(scores, axis=0) == pytest.approx(expected)
    assert principal_modes(values, 2)[1] == pytest.approx(scores[:, :2])


def test_what_does_not_change_has_no_modes():
    mean, scores, patterns = principal_modes(np.full((5, 8), 0.1, dtype=np.float32))
    assert mean == pytest.approx(0.1) and scores.shape == (5, 0) and patterns.shape == (0, 8)


@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
def test_all_modes_together_are_linear_interpolation(arm):
    _, frames = one_mode(0.3)
    mask = draw_mask(40, 3, 0.8, 2, arm=arm)
    everything = complete(TIMES, frames, mask, ModesSettings(modes=8)).frames
    assert everything == pytest.approx(linear(TIMES, frames, mask).frames, abs=1e-5)


def test_few_modes_leave_the_noise_behind():
    truth, frames = one_mode(0.3)
    mask = draw_mask(40, 3, 0.5, 2)
    errors = [
        np.mean((result.frames - truth) ** 2)
        for result in (complete(TIMES, frames, mask, ModesSettings(modes=1)), linear(TIMES, frames, mask))
    ]
    assert errors[0] < errors[1] / 3


def test_scores_are_followed_by_monotone_cubics():
    truth, frames = one_mode(0)
    mask = draw_mask(40, 3, 0.8, 2, keep_ends=True)
    result = complete(TIMES, frames, mask, ModesSettings(modes=1, between="pchip")).frames
    seen = mask[:, 0]
    curve = pchip_interpolate(TIMES[seen], np.sin(4 * TIMES)[seen], TIMES)
    slope = (truth[-1] - truth[0]) / (np.sin(4) - 0)
    assert result == pytest.approx(truth[0] + curve[:, None, None, None] * slope, abs=1e-5)
