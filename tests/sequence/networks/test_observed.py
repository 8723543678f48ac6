"""What networks are given says what was observed, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch

from rephase.sequence.linear import complete as linear
from rephase.sequence.networks.known import known, thickness_estimates
from rephase.sequence.networks.observed import observe
from rephase.sequence.sampling import draw_mask


@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
def test_the_matrix_interpolates_as_the_method_does_without_what_is_not_observed(arm, moving):
    sequences, mask = moving(2, 1), draw_mask(30, 2, 0.7, 4, arm=arm)
    times = np.sort(np.random.default_rng(0).uniform(3, 9, 30))
    hidden = sequences.frames.masked_fill(~torch.from_numpy(mask)[:, :, None, None], torch.nan)
    observed = observe(times, hidden[:, mask.any(axis=1)], mask, torch.zeros(2, 3))
    found = observed.linear(torch.arange(30))
    for row in range(2):
        expected = linear(times, sequences.frames[row].numpy(), mask).frames
        assert found[row].numpy() == pytest.approx(expected, abs=1e-6)
        seen = [sequences.frames[row, mask[:, p], p] for p in range(2)]
        assert observed.mean[row] == pytest.approx(torch.stack([one.mean(0) for one in seen]), abs=1e-6)
        spread = torch.cat([one - one.mean(0) for one in seen]).square().mean().sqrt()
        assert float(observed.spread[row]) == pytest.approx(float(spread), rel=1e-3)


def test_age_is_the_time_to_the_nearest_observation_of_the_position():
    mask = np.zeros((5, 2), dtype=bool)
    mask[[0, 2], 0] = mask[[2, 4], 1] = True
    observed = observe(np.arange(5.0), torch.rand(1, 3, 2, 4, 4), mask, torch.zeros(1, 3))
    assert observed.knots.tolist() == [0, 2, 4]
    assert observed.age.T.tolist() == [[0, 0.5, 0, 0.5, 1], [1, 0.5, 0, 0.5, 0]]


def test_change_is_that_between_the_position_s_own_neighbouring_observations():
    mask = np.zeros((6, 2), dtype=bool)
    mask[[1, 3, 4], 0] = mask[[1, 4], 1] = True
    frames = torch.rand(1, 3, 2, 4, 4)
    observed = observe(np.arange(6.0), frames, mask, torch.zeros(1, 3))
    first, second = (observed.change[0, :, p] for p in range(2))
    assert first[0] == first[1] == first[2] and first[3] == first[4] == first[5] and first[2] != first[3]
    assert torch.equal(second, second[:1].expand(6))
    squared = (frames[0, 1, 0] - frames[0, 0, 0]).square().mean() / 2 / observed.spread[0] ** 2
    assert float(first[0]) == pytest.approx(float(torch.log(squared + 1e-3)) / 3, rel=1e-5)


def test_change_does_not_depend_on_how_strong_the_sequence_changes_but_on_how_evenly():
    ramp = torch.linspace(0, 1, 5)[None, :, None, None, None] * torch.rand(1, 1, 1, 4, 4)
    step = (ramp > ramp.mean()).float()
    mask = np.ones((5, 1), bool)
    one, ten, sudden = (
        observe(np.arange(5.0), 1 + part, mask, torch.zeros(1, 3)).change[0, :, 0]
        for part in (ramp, 10 * ramp, step)
    )
    assert torch.allclose(one, ten, atol=1e-3) and one.std() < 1e-3 < sudden.std()


def test_a_sequence_that_stands_still_has_a_spread_above_zero():
    observed = observe(np.arange(4.0), torch.ones(1, 4, 1, 4, 4), np.ones((4, 1), bool), torch.zeros(1, 3))
    assert observed.spread[0] > 0 and torch.isfinite(observed.deviations(torch.arange(4))).all()


def test_p_is_of_order_one_and_knows_no_more_than_an_experimenter():
    found = known(np.array([8e4, 3e5]), np.array([50.0, 500.0]), np.array([1e3, np.inf]))
    assert found.shape == (2, 3) and found.isfinite().all() and found.abs().max() < 2


def test_the_thickness_is_known_with_an_error_of_ten_per_cent():
    table = pd.DataFrame({"thickness_angstrom": 200.0, "seed": range(400)})
    error = thickness_estimates(table) / 200 - 1
    assert error.std() == pytest.approx(0.1, rel=0.15) and abs(error.mean()) < 0.02
    assert thickness_estimates(table.iloc[[7]])[0] == 200 * (1 + error[7])
