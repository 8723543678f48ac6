"""What one position shows of a time helps all others, where they share few modes."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from rephase.sequence.gaussian_process import complete as gaussian_process
from rephase.sequence.joint import JointSettings, complete
from rephase.sequence.linear import complete as linear
from rephase.sequence.sampling import draw_mask

TIMES = np.linspace(0, 1, 80)


def shared_curves(seed, noise=0.05, positions=4):
    """Two curves in time, one a sudden change, shared by all pixels with weights of their own."""
    rng = np.random.default_rng(seed)
    curves = np.stack([np.tanh((TIMES - rng.uniform(0.3, 0.7)) / 0.04), np.sin(3 * TIMES)], axis=1)
    truth = 5 + np.tensordot(curves, rng.normal(size=(2, positions, 8, 8)), axes=1)
    return truth, (truth + rng.normal(scale=noise, size=truth.shape)).astype(np.float32)


def errors(seeds, arm, *methods):
    """Mean square error of each method at 90 %, mean over the seeds."""
    found = []
    for seed in seeds:
        truth, frames = shared_curves(seed)
        mask = draw_mask(80, 4, 0.9, seed, arm=arm)
        found.append([np.mean((method(TIMES, frames, mask).frames - truth) ** 2) for method in methods])
    return np.mean(found, axis=0)


def test_staggered_sampling_pays():
    joint, process, straight = errors(range(6), "staggered", complete, gaussian_process, linear)
    assert joint < straight / 2 and joint < process / 2


def test_there_is_no_gain_of_that_kind_when_whole_frames_are_missing():
    joint, process = errors(range(6), "synchronous", complete, gaussian_process)
    assert joint == pytest.approx(process, rel=0.1)


@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
@pytest.mark.parametrize("settings", [JointSettings(rounds=0), JointSettings(smoothness=1.0)])
def test_the_prior_alone_is_the_gaussian_process(arm, settings):
    _, frames = shared_curves(0)
    mask = draw_mask(80, 4, 0.9, 0, arm=arm)
    alone, process = complete(TIMES, frames, mask, settings), gaussian_process(TIMES, frames, mask)
    assert alone.frames == pytest.approx(process.frames, abs=5e-3)
    assert alone.deviation == pytest.approx(process.deviation, abs=5e-3)


def test_the_covariance_of_what_is_all_observed_is_that_of_the_frames():
    truth, frames = shared_curves(1, noise=0.01)
    settings = JointSettings(smoothness=1e-6, rounds=3)
    found = complete(TIMES, frames, np.ones((80, 4), dtype=bool), settings).details["covariance"]
    flat = truth.reshape(80, -1)
    assert found == pytest.approx(flat @ flat.T / flat.shape[1], rel=2e-3)


def test_each_round_makes_the_observed_frames_more_likely():
    _, frames = shared_curves(3, noise=0.2)
    mask = draw_mask(80, 4, 0.7, 3, arm="staggered")
    likelihoods = []
    for rounds in (0, 1, 2, 4, 8, 16):
        details = complete(TIMES, frames, mask, JointSettings(smoothness=1e-9, rounds=rounds)).details
        noisy = details["covariance"] + details["noise"] ** 2 * np.eye(80)
        likelihoods.append(0.0)
        for position in range(4):
            seen = np.flatnonzero(mask[:, position])
            normal = multivariate_normal(cov=noisy[np.ix_(seen, seen)])
            likelihoods[-1] += normal.logpdf(frames[seen, position].reshape(len(seen), -1).T).sum()
    assert np.all(np.diff(likelihoods) > 0)


def test_errors_are_as_large_as_foretold():
    squares = []
    for seed in range(6):
        truth, frames = shared_curves(seed)
        mask = draw_mask(80, 4, 0.8, seed, arm="staggered")
        result = complete(TIMES, frames, mask)
        squares.append(np.mean(((result.frames - truth) / result.deviation) ** 2))
    assert 0.3 < np.mean(squares) < 3


def test_fewer_modes_than_there_are_do_worse():
    truth, frames = shared_curves(2)
    mask = draw_mask(80, 4, 0.9, 2, arm="staggered")
    one, enough = (
        np.mean((complete(TIMES, frames, mask, JointSettings(rank=rank)).frames - truth) ** 2)
        for rank in (1, None)
    )
    assert enough < one
