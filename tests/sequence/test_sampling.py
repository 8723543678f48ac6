"""Masks have the number of frames that the sparsity says, at the times that the pattern says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rephase.errors import InputError
from rephase.sequence.sampling import alike, draw_mask, mean_gap, observed_count

ARMS = st.sampled_from(["synchronous", "staggered"])
PATTERNS = st.sampled_from(["irregular", "regular", "bursty"])


@given(
    st.integers(2, 120),
    st.integers(1, 5),
    st.floats(0, 0.99),
    st.integers(0, 2**32),
    ARMS,
    PATTERNS,
    st.booleans(),
)
def test_every_position_has_the_exact_number_of_frames(frames, positions, sparsity, seed, arm, pattern, ends):
    mask = draw_mask(frames, positions, sparsity, seed, arm=arm, pattern=pattern, keep_ends=ends)
    assert mask.shape == (frames, positions)
    assert np.all(mask.sum(axis=0) == max(2, round((1 - sparsity) * frames)))
    if ends:
        assert mask[[0, -1]].all()
    if arm == "synchronous":
        assert np.all(mask == mask[:, :1])


@pytest.mark.parametrize(("sparsity", "count"), [(0.7, 30), (0.8, 20), (0.9, 10), (0.95, 5), (0.98, 2)])
def test_the_papers_sparsities_of_100_frames(sparsity, count):
    assert observed_count(100, sparsity) == count


@pytest.mark.parametrize("pattern", ["irregular", "regular", "bursty"])
def test_seeds_repeat_and_differ_and_positions_are_staggered(pattern):
    one, same, other = (draw_mask(100, 4, 0.9, seed, arm="staggered", pattern=pattern) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert len(np.unique(one, axis=1).T) > 2


@pytest.mark.parametrize("pattern", ["irregular", "regular", "bursty"])
def test_ends_are_kept_only_when_asked(pattern):
    drawn = draw_mask(20, 5000, 0.8, 5, arm="staggered", pattern=pattern)
    assert drawn.mean(axis=1) == pytest.approx(0.2, abs=0.1 if pattern == "bursty" else 0.025)


@given(st.integers(10, 100), st.floats(0.3, 0.95), st.integers(0, 1000), st.booleans())
def test_regular_gaps_differ_by_one_frame_at_most(frames, sparsity, seed, ends):
    mask = draw_mask(frames, 1, sparsity, seed, pattern="regular", keep_ends=ends)
    assert np.ptp(np.diff(np.flatnonzero(mask[:, 0]))) <= 1


def test_bursts_have_geometric_lengths():
    masks = draw_mask(60, 5000, 0.8, 1, arm="staggered", pattern="bursty", burst_frames=2.5).T
    starts = (np.diff(masks.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    counts = np.bincount(starts, minlength=13)[1:] / len(masks)
    assert counts == pytest.approx(stats.binom.pmf(np.arange(12), 11, 1 / 2.5), abs=0.025)


@pytest.mark.parametrize(("burst", "placements"), [(1.0, math.comb(6, 3)), (1e12, 6)])
def test_bursts_may_stand_anywhere(burst, placements):
    masks = draw_mask(8, 6000, 5 / 8, 1, arm="staggered", pattern="bursty", burst_frames=burst)
    found, counts = np.unique(masks, axis=1, return_counts=True)
    assert len(found.T) == placements
    assert counts / 6000 == pytest.approx(1 / placements, abs=0.02)


def test_longer_bursts_have_more_neighbours():
    shares = []
    for burst in (1.0, 3.0, 8.0):
        masks = draw_mask(100, 500, 0.8, 3, arm="staggered", pattern="bursty", burst_frames=burst)
        shares.append((masks[1:] & masks[:-1]).sum() / masks.sum())
    assert shares[0] == 0 and 0.55 < shares[1] < 0.7 < shares[2]


def test_mean_gap_is_the_mean_time_between_observations():
    times = np.array([0.0, 1.0, 3.0, 7.0])
    mask = np.array([[1, 0], [1, 1], [0, 1], [1, 1]], dtype=bool)
    assert mean_gap(times, mask) == pytest.approx(((1 + 6) / 2 + (2 + 4) / 2) / 2)


@given(st.integers(0, 1000), ARMS)
def test_alike_finds_every_position_once(seed, arm):
    mask = draw_mask(6, 5, 0.6, seed, arm=arm)
    groups = alike(mask)
    assert sorted(np.concatenate([positions for _, positions in groups])) == list(range(5))
    for observed, positions in groups:
        for position in positions:
            assert np.array_equal(np.flatnonzero(mask[:, position]), observed)
    assert arm == "staggered" or len(groups) == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"frames": 1}, "frames: found 1"),
        ({"sparsity": 1.0}, "sparsity: found 1.0"),
        ({"sparsity": -0.1}, "sparsity"),
        ({"positions": 0}, "positions: found 0"),
        ({"burst_frames": 0.5}, "burst_frames"),
    ],
)
def test_what_cannot_be_is_refused(change, name):
    with pytest.raises(InputError, match=name):
        draw_mask(**({"frames": 10, "positions": 2, "sparsity": 0.5, "seed": 0} | change))
