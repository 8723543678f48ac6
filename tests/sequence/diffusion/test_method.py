"""Completion by video diffusion: what holds whatever a network has learned."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rephase.errors import InputError
from rephase.sequence.diffusion.interpolation import interpolated
from rephase.sequence.diffusion.method import DiffusionSettings, complete
from rephase.sequence.diffusion.weights import save_weights
from rephase.sequence.linear import complete as linear
from rephase.sequence.sampling import draw_mask

ARMS = pytest.mark.parametrize("arm", ["synchronous", "staggered"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def trained(folder, net):
    """Weights of a network that says something, right or wrong."""
    return folder / "net" if (folder / "net").exists() else save_weights(folder / "net", net, {})


@pytest.fixture
def sequence(peaks):
    return peaks(1).times, peaks(1).frames[0].numpy()


def counted(frames, dose):
    return (np.random.default_rng(0).poisson(frames.astype(float) * dose) / dose).astype(np.float32)


def use(weights, **changes):
    return DiffusionSettings(weights=weights, energy_ev=2e5, thickness_angstrom=150.0, **changes)


@pytest.mark.parametrize(("arm", "steps"), [("synchronous", 1), ("staggered", 4)])
def test_before_training_the_mean_is_linear_interpolation(arm, steps, sequence, make_net, tmp_path):
    """And the deviation is that of a random walk, as far as so few steps go."""
    net, (times, frames) = make_net(levels=1), sequence
    torch.nn.init.zeros_(net.last.weight)
    path, mask = save_weights(tmp_path / "zero", net, {}), draw_mask(16, 2, 0.7, 3, arm=arm)
    result = complete(times, frames, mask, use(path, steps=steps, samples=30))
    assert result.frames == pytest.approx(linear(times, frames, mask).frames, abs=1e-6)
    line = interpolated(times, torch.from_numpy(frames), mask, math.inf, torch.zeros(3))
    scale = line.scale.numpy()
    lost = math.cos(math.pi / 2 / steps) ** steps
    assert (result.deviation**2).mean() == pytest.approx(((lost * scale) ** 2).mean(), rel=0.05, abs=1e-12)


@ARMS
@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("dose", [None, 500.0])
def test_only_observed_frames_count(arm, junk, dose, sequence, trained):
    (times, frames), mask = sequence, draw_mask(16, 2, 0.8, 5, arm=arm)
    hidden = np.where(mask[..., None, None], frames, np.float32(junk))
    with_settings = use(trained, dose=dose, steps=3)
    one, two = (complete(times, seen, mask, with_settings) for seen in (frames, hidden))
    assert np.isfinite(one.frames).all() and one.frames.dtype == np.float32
    assert np.array_equal(one.frames, two.frames) and np.array_equal(one.deviation, two.deviation)
    assert (one.deviation >= 0).all() and one.deviation[~mask].min() > 0


@ARMS
def test_frames_without_noise_stay_as_they_were_observed(arm, sequence, trained):
    (times, frames), mask = sequence, draw_mask(16, 2, 0.6, 5, arm=arm)
    result = complete(times, frames, mask, use(trained))
    assert result.frames[mask] == pytest.approx(frames[mask], abs=1e-7)
    assert not result.deviation[mask].any()
    assert abs(result.frames - linear(times, frames, mask).frames)[~mask].mean() > 1e-4


def test_noisy_frames_are_kept_as_well_as_their_noise_allows(sequence, trained):
    """Whatever the network says: the correction grows as the noise does, with 1 / sqrt(dose)."""
    (times, frames), mask = sequence, draw_mask(16, 2, 0.6, 5)
    moved = []
    for dose in (1e2, 1e4, 1e6, 1e8):
        seen = counted(frames, dose)
        result = complete(times, seen, mask, use(trained, dose=dose))
        noise = np.sqrt(seen[mask].mean() / dose)
        moved.append(np.sqrt(np.mean((result.frames - seen)[mask] ** 2)) / noise)
    assert min(moved) > 0.01 and max(moved) < 3


def test_the_seed_tells_everything(sequence, trained):
    (times, frames), mask = sequence, draw_mask(16, 2, 0.8, 5)
    one, again, other = (complete(times, frames, mask, use(trained, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.frames, again.frames) and np.array_equal(one.deviation, again.deviation)
    assert not np.array_equal(one.frames, other.frames)


def test_the_result_is_the_mean_of_single_draws(sequence, trained):
    """A pair is one start and its opposite; the first of a pair is what a single draw starts from."""
    (times, frames), mask = sequence, draw_mask(16, 2, 0.8, 5)
    single = complete(times, frames, mask, use(trained, samples=1))
    pair = complete(times, frames, mask, use(trained, samples=2))
    assert single.deviation is None
    assert abs(single.frames - pair.frames) == pytest.approx(pair.deviation, abs=1e-6)


def test_the_layout_in_memory_changes_nothing(sequence, trained):
    times, frames = sequence
    mask = draw_mask(16, 2, 0.8, 5)
    contiguous = complete(times, frames, mask, use(trained, steps=1))
    strided = complete(times, np.asfortranarray(frames), mask, use(trained, steps=1))
    assert np.array_equal(contiguous.frames, strided.frames)


def test_what_stands_still_is_found_again(sequence, trained):
    times, frames = sequence
    still = np.repeat(frames[:1], 16, axis=0)
    result = complete(times, still, draw_mask(16, 2, 0.8, 5), use(trained))
    assert result.frames == pytest.approx(still, abs=1e-6)


def test_what_cannot_be_used_is_one_line(sequence, trained):
    (times, frames), mask = sequence, draw_mask(16, 2, 0.8, 5)
    with pytest.raises(InputError, match="mask: found 1 observed"):
        complete(times, frames, mask & (np.cumsum(mask, axis=0) == 1), use(trained))
    with pytest.raises(InputError, match="found 1 positions, expected 2"):
        complete(times, frames[:, :1], mask[:, :1], use(trained))
    with pytest.raises(InputError, match="no such file"):
        complete(times, frames, mask, use(trained.with_name("none")))
    with pytest.raises(ValidationError, match="an even number"):
        use(trained, samples=3)
