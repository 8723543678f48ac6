"""The monotone cubic is SciPy's, pixel by pixel, and never leaves the range of what was observed."""

import numpy as np
import pytest
from scipy.interpolate import pchip_interpolate

from rephase.sequence.pchip import complete
from rephase.sequence.sampling import draw_mask


@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
def test_is_scipys_between_the_ends_and_constant_beyond(arm):
    rng = np.random.default_rng(0)
    times, frames = np.sort(rng.uniform(size=40)), rng.normal(size=(40, 3, 2, 2)).astype(np.float32)
    mask = draw_mask(40, 3, 0.8, 1, arm=arm)
    result = complete(times, frames, mask).frames
    for position, row, col in np.ndindex(3, 2, 2):
        seen = np.flatnonzero(mask[:, position])
        knots, values = times[seen], frames[seen, position, row, col]
        inside = slice(seen[0], seen[-1] + 1)
        pixel = result[:, position, row, col]
        assert pixel[inside] == pytest.approx(pchip_interpolate(knots, values, times[inside]), abs=1e-5)
        assert np.all(pixel[: seen[0]] == values[0]) and np.all(pixel[seen[-1] :] == values[-1])
        assert values.min() <= pixel.min() and pixel.max() <= values.max()


def test_two_frames_are_joined_by_a_line():
    frames = np.random.default_rng(1).normal(size=(5, 1, 3, 3)).astype(np.float32)
    mask = np.array([[True], [False], [False], [False], [True]])
    middle = complete(np.arange(5.0), frames, mask).frames[2]
    assert middle == pytest.approx((frames[0] + frames[4]) / 2, abs=1e-6)
