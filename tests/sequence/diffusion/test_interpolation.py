"""The line is linear interpolation, and its error is as large as it says."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.sequence.diffusion.interpolation import interpolated as with_facts
from rephase.sequence.diffusion.interpolation import stacked
from rephase.sequence.linear import complete as linear
from rephase.sequence.sampling import draw_mask

TIMES = np.cumsum(np.random.default_rng(3).uniform(0.3, 2, 40))
ARMS = pytest.mark.parametrize("arm", ["synchronous", "staggered"])


def walk(seed, times=TIMES, size=24):
    """A random walk around 100 at 2 positions, its variance 1 in unit time."""
    rng = np.random.default_rng(seed)
    steps = (
        rng.normal(size=(len(times), 2, size, size))
        * np.sqrt(np.diff(times, prepend=times[0] - 1))[:, None, None, None]
    )
    return (100 + steps.cumsum(0)).astype(np.float32)


def interpolated(times, frames, mask, dose=math.inf):
    return with_facts(times, frames, mask, dose, torch.tensor([0.5, -0.5, 2.0]))


def counted(frames, electrons, seed):
    counts = np.random.default_rng(seed).poisson(frames.astype(float) * electrons)
    return (counts / electrons).astype(np.float32)


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), arm=st.sampled_from(["synchronous", "staggered"]))
def test_the_line_is_linear_interpolation_and_nothing_else_counts(seed, arm):
    frames, mask = walk(seed, size=4), draw_mask(40, 2, 0.85, seed, arm=arm)
    hidden = np.where(mask[..., None, None], frames, np.float32(np.nan))
    line = interpolated(TIMES, torch.from_numpy(hidden), mask, 50.0)
    assert line.frames.numpy() == pytest.approx(linear(TIMES, frames, mask).frames, rel=1e-5)
    whole = interpolated(TIMES, torch.from_numpy(frames), mask, 50.0)
    for name in ("frames", "scale", "mean", "unit", "marks", "times"):
        assert torch.equal(getattr(line, name), getattr(whole, name)) and getattr(line, name).isfinite().all()


@ARMS
@pytest.mark.parametrize("electrons", [math.inf, 100.0, 10.0])
def test_the_scale_is_the_standard_deviation_of_a_random_walk_from_the_line(arm, electrons):
    mask, squares = draw_mask(40, 2, 0.8, 1, arm=arm), []
    for seed in range(12):
        truth = walk(seed)
        frames = truth if math.isinf(electrons) else counted(truth, electrons, seed)
        line = interpolated(TIMES, torch.from_numpy(frames), mask, electrons)
        x0 = (truth - line.frames.numpy()) / np.maximum(line.scale.numpy(), 1e-9)
        squares.append((x0**2).mean((2, 3)))
    found = np.mean(squares, 0)
    noisy = ~mask if math.isinf(electrons) else np.ones_like(mask)
    assert found[noisy] == pytest.approx(1, abs=0.2)
    assert found[noisy].mean() == pytest.approx(1, abs=0.05)


def test_observed_frames_without_noise_leave_nothing_open():
    mask = draw_mask(40, 2, 0.8, 1, arm="staggered")
    line = interpolated(TIMES, torch.from_numpy(walk(0)), mask)
    assert (line.scale.numpy()[mask] == 0).all() and (line.scale.numpy()[~mask] > 0).all()


def test_another_unit_of_time_or_intensity():
    frames, mask = torch.from_numpy(walk(0)), draw_mask(40, 2, 0.8, 1)
    one = interpolated(TIMES, frames, mask, 9.0)
    two = interpolated(5e3 * TIMES + 7, 3 * frames, mask, 3.0)
    assert torch.allclose(two.scale, 3 * one.scale, rtol=1e-3)
    assert torch.allclose(two.unit, 3 * one.unit, rtol=1e-3)
    assert torch.allclose(two.marks, one.marks, atol=1e-5) and torch.allclose(two.times, one.times, atol=1e-3)
    assert float(one.times[-1]) == pytest.approx(39, rel=1e-5)


def test_what_stands_still_has_a_unit():
    frames = torch.full((40, 2, 4, 4), 3.0)
    line = interpolated(TIMES, frames, draw_mask(40, 2, 0.8, 1))
    assert float(line.unit) > 0 and not line.scale.any()


def test_marks_tell_distances_to_observed_frames():
    mask = np.zeros((5, 1), dtype=bool)
    mask[[1, 4]] = True
    line = interpolated(np.arange(5.0), torch.ones(5, 1, 2, 2), mask)
    expected = np.array([[0, 4, 1], [1, 0, 0], [0, 1, 2], [0, 2, 1], [1, 0, 0]])
    expected = np.column_stack([expected[:, 0], np.log1p(expected[:, 1:]), np.tile([0.5, -0.5, 2], (5, 1))])
    assert line.marks.numpy() == pytest.approx(expected)


def test_windows_and_stacks_are_parts_and_wholes():
    line = interpolated(TIMES, torch.from_numpy(walk(0)), draw_mask(40, 2, 0.8, 1))
    both = stacked([line.window(3, 10), line.window(20, 10)])
    assert torch.equal(both.frames[1], line.frames[20:30]) and torch.equal(both.marks[0], line.marks[3:13])
    assert both.unit.shape == (2, 1, 1, 1, 1) and torch.equal(both.mean[0], line.mean)
