"""Counting noise: Poisson's at any dose, and electrons in common where sums share positions."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rephase.phase.exit_wave.frame import KERNEL, SIZE
from rephase.phase.exit_wave.noise import Noise, counted

SUMS = torch.tensor([True])


def noisily(seed):
    return torch.Generator().manual_seed(seed)


def overlap():
    """Part of the 25 positions of each sum that each other sum has too."""
    boxes = [{(2 * row + y, 2 * col + x) for y in range(-2, 3) for x in range(-2, 3)} for row, col in KERNEL]
    return np.array([[len(one & other) / 25 for other in boxes] for one in boxes])


@pytest.mark.parametrize("repeated", [torch.tensor([False, False]), torch.tensor([True, True])])
def test_counts_have_the_mean_and_variance_of_poisson_at_any_dose(repeated):
    fractions = torch.full((2, 9, SIZE, SIZE), 1 / SIZE**2)
    for per_pixel in (0.01, 3.0, 9e3, 1.1e4, 3e6):
        seen = counted(fractions, torch.full((2,), per_pixel * SIZE**2), repeated, noisily(1)).double()
        error = 5 / math.sqrt(seen.numel())
        assert abs(seen.mean() / per_pixel - 1) < error / math.sqrt(per_pixel)
        assert abs(seen.var() / per_pixel - 1) < error * math.sqrt(2 + 1 / per_pixel)
        assert torch.equal(seen, seen.round()) and seen.min() >= 0


def test_an_infinite_dose_gives_the_patterns_themselves():
    fractions = torch.rand(2, 9, SIZE, SIZE)
    seen = counted(fractions, torch.tensor([math.inf, 10.0]), torch.tensor([True, True]), noisily(1))
    assert torch.equal(seen[0], fractions[0])
    assert not torch.equal(seen[1], fractions[1])


def test_doses_are_uniform_in_their_logarithm():
    doses = Noise().draw_doses(20000, noisily(2)).log10()
    assert doses.min() >= math.log10(3) and doses.max() <= math.log10(3e9)
    counts = torch.histc(doses, 9, math.log10(3), math.log10(3e9))
    assert (counts - 20000 / 9).abs().max() < 5 * math.sqrt(20000 / 9)
    some = Noise(noiseless_share=0.25).draw_doses(20000, noisily(2)).isinf().float().mean()
    assert abs(some - 0.25) < 0.02


@pytest.mark.parametrize("per_pixel", [2.0, 1e3, 1e5])
def test_sums_of_equal_patterns_vary_together_as_their_boxes_overlap(per_pixel):
    fractions = torch.full((1, 9, SIZE, SIZE), 1 / SIZE**2)
    seen = counted(fractions, torch.tensor([per_pixel * SIZE**2]), SUMS, noisily(3))[0]
    assert overlap()[4, 1] == 0.6 and overlap()[4, 0] == 0.36
    np.testing.assert_allclose(np.cov(seen.flatten(1)) / per_pixel, overlap(), atol=0.1)


def test_sums_of_patterns_on_a_slope_keep_their_means_and_nearly_share_as_their_boxes_overlap():
    """Each of the 81 patterns drawn by itself is the truth."""
    slope = 1 + 0.05 * np.add.outer(np.arange(-4, 5), np.arange(-4, 5)) / 4
    drawn = np.random.default_rng(0).poisson(40 * slope[..., None], (9, 9, 60000))
    centres = [(4 + 2 * row, 4 + 2 * col) for row, col in KERNEL]
    boxes = [(slice(row - 2, row + 3), slice(col - 2, col + 3)) for row, col in centres]
    truth = np.cov([drawn[box].sum((0, 1)) for box in boxes])
    means = torch.tensor([40 * slope[box].sum() for box in boxes], dtype=torch.float32)
    fractions = (means / 1e5)[None, :, None, None].expand(15, -1, SIZE, SIZE)
    seen = counted(fractions, torch.full((15,), 1e5), SUMS.expand(15), noisily(4))
    found = seen.transpose(0, 1).flatten(1)
    torch.testing.assert_close(found.mean(1), means, rtol=1e-3, atol=0)
    np.testing.assert_allclose(np.cov(found), truth, atol=0.05 * truth.max())


def test_a_pixel_that_is_dark_in_one_sum_stays_dark_and_takes_nothing_from_others():
    fractions = torch.full((1, 9, SIZE, SIZE), 1 / SIZE**2)
    fractions[:, 4] = 0
    seen = counted(fractions, torch.tensor([100.0 * SIZE**2]), SUMS, noisily(5))[0]
    assert (seen[4] == 0).all()
    bright = seen[[0, 1, 2, 3, 5, 6, 7, 8]].flatten(1)
    np.testing.assert_allclose(bright.mean(1), 100, rtol=0.01)
    np.testing.assert_allclose(bright.var(1), 100, rtol=0.12)


def test_a_share_above_one_is_refused():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Noise(vacuum_share=1.5)
