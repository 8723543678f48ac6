"""What every method promises: only observed frames count, and a unit is a unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.sequence.methods import METHODS, complete
from rephase.sequence.sampling import draw_mask

CLASSICAL = ("linear", "pchip", "modes", "gp_modes", "gp_sequence", "joint", "compressed")
INTERPOLATING = ("linear", "pchip")
TIMES = np.linspace(0.0, 3.0, 24)
EACH = pytest.mark.parametrize("name", CLASSICAL)


def moving_peaks(noise=0.01, times=TIMES, size=6):
    """Four positions at which a peak wanders and another grows, with noise."""
    rng = np.random.default_rng(4)
    row, col = np.mgrid[:size, :size]
    frames = []
    for phase in range(4):
        centre = (size - 1) / 2 + np.sin(times + phase)[:, None, None]
        wander = np.exp(-((row - centre) ** 2 + (col - 2) ** 2) / 4)
        frames.append(wander + 0.2 * times[:, None, None] * (col == size - 1))
    return (np.stack(frames, 1) + rng.normal(scale=noise, size=(len(times), 4, size, size))).astype(
        np.float32
    )


@EACH
@settings(max_examples=8)
@given(
    seed=st.integers(0, 1000),
    arm=st.sampled_from(["synchronous", "staggered"]),
    pattern=st.sampled_from(["irregular", "regular", "bursty"]),
    sparsity=st.sampled_from([0.5, 0.8, 0.95]),
    junk=st.sampled_from([np.nan, np.inf, 0.0, 1e30]),
)
def test_only_observed_frames_count(name, seed, arm, pattern, sparsity, junk):
    frames, mask = moving_peaks(), draw_mask(24, 4, sparsity, seed, arm=arm, pattern=pattern)
    hidden = np.where(mask[..., None, None], frames, np.float32(junk))
    given_copy = hidden.copy()
    one, two = complete(name, TIMES, frames, mask), complete(name, TIMES, hidden, mask)
    assert one.frames.shape == frames.shape and one.frames.dtype == np.float32
    assert np.isfinite(one.frames).all()
    assert np.array_equal(one.frames, two.frames)
    assert np.array_equal(hidden, given_copy, equal_nan=True)
    if one.deviation is not None:
        assert one.deviation.dtype == np.float32 and np.isfinite(one.deviation).all()
        assert np.array_equal(one.deviation, two.deviation) and (one.deviation >= 0).all()


@EACH
@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e4])
def test_another_unit_of_intensity_or_of_time_changes_nothing_else(name, arm, factor):
    frames, mask = moving_peaks(), draw_mask(24, 4, 0.8, 7, arm=arm)
    one = complete(name, TIMES, frames, mask)
    for times, scale in ((TIMES, factor), (factor * TIMES + 5, 1.0)):
        other = complete(name, times, np.float32(scale) * frames, mask)
        assert other.frames / scale == pytest.approx(one.frames, rel=1e-3, abs=2e-4)
        if one.deviation is not None:
            assert other.deviation / scale == pytest.approx(one.deviation, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("name", INTERPOLATING)
@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
def test_an_interpolating_method_keeps_what_was_observed(name, arm):
    frames, mask = moving_peaks(), draw_mask(24, 4, 0.7, 3, arm=arm)
    assert complete(name, TIMES, frames, mask).frames[mask] == pytest.approx(frames[mask], abs=1e-5)


@EACH
@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
def test_what_stands_still_is_found_again(name, arm):
    frames = np.repeat(moving_peaks(0)[:1], 24, axis=0)
    result = complete(name, TIMES, frames, draw_mask(24, 4, 0.8, 3, arm=arm))
    assert result.frames == pytest.approx(frames, abs=1e-5)


@EACH
def test_two_observed_frames_are_enough(name):
    frames, mask = moving_peaks(), draw_mask(24, 4, 0.99, 3, arm="staggered")
    result = complete(name, TIMES, frames, mask).frames
    assert np.mean((result - frames) ** 2) < np.mean(frames**2) / 3


@EACH
def test_what_cannot_be_completed_is_refused(name):
    frames, mask = moving_peaks(), draw_mask(24, 4, 0.8, 0)
    with pytest.raises(InputError, match="times: found 0 after 2"):
        complete(name, np.append(TIMES[:-1], 0.0), frames, np.vstack([mask[:-1], mask[:1]]) | True)
    with pytest.raises(InputError, match="mask: found shape"):
        complete(name, TIMES, frames, mask[:, :3])
    with pytest.raises(InputError, match="mask: found 1 observed"):
        complete(name, TIMES, frames, mask & (np.cumsum(mask, axis=0) == 1))
    with pytest.raises(InputError, match="frames: found nothing but zeros"):
        complete(name, TIMES, 0 * frames, mask)


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(InputError, match=f"found spline, expected one of .*{list(METHODS)[-1]}"):
        complete("spline", TIMES, moving_peaks(), draw_mask(24, 4, 0.8, 0))


def test_an_unknown_setting_is_one_line():
    with pytest.raises(InputError, match="settings of linear: colour") as error:
        complete("linear", TIMES, moving_peaks(), draw_mask(24, 4, 0.8, 0), colour="red")
    assert "\n" not in str(error.value)
