"""Batches are drawn afresh, from their seed and step alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from rephase.errors import InputError
from rephase.sequence.networks import samples
from rephase.sequence.networks.samples import Draws, Epoch, Sequences, batch_of


class Stored:
    """A set as the file has it."""

    digest = "stored"

    def __init__(self, sequences, stretch=1.0):
        self.sequences, self.stretch = sequences, stretch
        count = len(sequences)
        self.parameters = pd.DataFrame(
            {"energy_ev": 1e5, "thickness_angstrom": 200.0, "seed": range(count)}, index=range(count)
        )

    def __len__(self):
        return len(self.sequences)

    def times(self, index):
        return 5 + self.stretch**index * self.sequences.times ** (1 if self.stretch < 5 else 1 + index)

    def frames(self, index):
        return self.sequences.frames[index].numpy()

    def structure(self, index):
        return self.sequences.structure[index].numpy()


def test_sequences_are_read_with_relative_times_and_an_estimate_of_thickness(moving):
    found = Sequences.read(Stored(moving(3, 0), stretch=2.0), [2, 0], structure=True)
    assert torch.equal(found.frames, moving(3, 0).frames[[2, 0]]) and found.structure.shape == (2, 16, 16)
    assert found.times == pytest.approx(np.linspace(0, 1, 30))
    assert (found.facts[:, 0] == 1e5).all() and not (found.facts[:, 1] == 200).any()


def test_sequences_of_other_times_are_refused(moving):
    with pytest.raises(InputError, match="times of sequence 1: found others, expected those of sequence 0"):
        Sequences.read(Stored(moving(2, 0), stretch=9.0))


def test_energy_and_variation_are_those_of_whole_sequences(moving):
    sequences = moving(2, 0)
    frames = sequences.frames.double()
    assert sequences.energy == pytest.approx((frames**2).sum(dim=(1, 2, 3, 4)) / 30, rel=1e-4)
    change = ((frames - frames.mean(1, keepdim=True)) ** 2).sum(dim=(1, 2, 3, 4)) / 30
    assert sequences.variation == pytest.approx(change, rel=1e-4)


def test_an_epoch_is_drawn_from_seed_and_step_alone(moving):
    epoch = Epoch(moving(5, 0), Draws(), size=2, wanted=4, steps=6, seed=3)
    first, again = list(epoch), list(epoch)
    second = list(dataclasses.replace(epoch, steps=3, number=1))
    for one, other in [*zip(first, again, strict=True), *zip(first[3:], second, strict=True)]:
        assert torch.equal(one.observed.frames, other.observed.frames) and torch.equal(one.at, other.at)
    assert len({tuple(batch.observed.knots.tolist()) for batch in first}) == 6


def test_masks_cover_arms_patterns_and_the_range_of_sparsity():
    rng = np.random.default_rng(0)
    masks = [Draws().mask(100, 2, rng) for _ in range(200)]
    kept = np.array([mask.mean() for mask in masks])
    assert kept.min() == 0.02 and 0.25 < kept.max() <= 0.3
    assert np.median(kept) == pytest.approx(np.sqrt(0.02 * 0.3), rel=0.3)
    staggered = np.mean([(mask[:, 0] != mask[:, 1]).any() for mask in masks])
    assert 0.35 < staggered < 0.65


def test_noise_is_poisson_s_at_the_dose_on_observed_frames_and_not_on_the_truth(moving):
    sequences, mask = moving(2, 0), np.ones((30, 2), dtype=bool)
    rows, at = np.arange(2), np.arange(30)
    batch = batch_of(sequences, rows, mask, 1e3, at, seed=1)
    counts = batch.observed.frames * 1e3
    assert torch.allclose(counts, counts.round(), atol=1e-3)
    assert torch.equal(batch.truth, sequences.frames)
    chi2 = ((counts - 1e3 * batch.truth).square() / (1e3 * batch.truth))[batch.truth > 1e-3].mean()
    assert float(chi2) == pytest.approx(1, abs=0.05)
    still = batch_of(sequences, rows, mask, np.inf, at, seed=1)
    assert torch.equal(still.observed.frames, sequences.frames)


def test_ranges_the_wrong_way_round_are_refused():
    with pytest.raises(ValueError, match="least_kept of at most most_kept"):
        Draws(least_kept=0.4)


def test_every_step_of_every_training_has_noise_of_its_own(moving, monkeypatch):
    monkeypatch.setattr(samples, "batch_of", lambda *args: args[-1])
    epochs = [Epoch(moving(2, 0), Draws(), 2, 4, 6, seed, number) for seed in (0, 1) for number in (0, 1)]
    assert len({seed for epoch in epochs for seed in epoch}) == 24
