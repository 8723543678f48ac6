"""Linear interpolation is exact for what is linear in time, and constant beyond the ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rephase.sequence.linear import complete, linear_weights
from rephase.sequence.sampling import draw_mask


@given(st.integers(0, 1000), st.sampled_from(["synchronous", "staggered"]))
def test_exact_for_what_is_linear_between_the_observed_ends(seed, arm):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 10, size=30))
    mask = draw_mask(30, 3, 0.8, seed, arm=arm)
    start, slope = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    truth = start + slope * times[:, None, None, None]
    result = complete(times, np.where(mask[..., None, None], truth, 7), mask).frames
    for position in range(3):
        seen = np.flatnonzero(mask[:, position])
        expected = truth[np.clip(np.arange(30), seen[0], seen[-1]), position]
        assert result[:, position] == pytest.approx(expected, abs=1e-5)


def test_agrees_with_numpy_pixel_by_pixel():
    rng = np.random.default_rng(0)
    times, frames = np.sort(rng.uniform(size=25)), rng.normal(size=(25, 2, 3, 3)).astype(np.float32)
    mask = draw_mask(25, 2, 0.7, 1, arm="staggered")
    result = complete(times, frames, mask).frames
    for position, row, col in np.ndindex(2, 3, 3):
        seen = mask[:, position]
        expected = np.interp(times, times[seen], frames[seen, position, row, col])
        assert result[:, position, row, col] == pytest.approx(expected, abs=1e-5)


def test_weights_are_means_of_two_neighbours():
    weights = linear_weights(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 1.25, 2.0, 3.0, 9.0]))
    expected = [[1, 0, 0], [1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]
    assert weights == pytest.approx(np.array(expected))
