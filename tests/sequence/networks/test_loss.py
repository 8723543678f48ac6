"""What a training minimises, where sequences stand still and terms of physics look at some times."""

import dataclasses

import numpy as np
import pytest
import torch

from rephase.sequence.networks.loss import LEAST_VARIATION, errors, terms
from rephase.sequence.networks.samples import batch_of

EVERY = np.ones((30, 2), dtype=bool)


def test_what_stands_still_counts_as_if_it_changed_a_little(moving):
    still = moving(1, 0).frames[:, :1].expand(-1, 30, -1, -1, -1)
    sequences = dataclasses.replace(moving(1, 0), frames=still)
    batch = batch_of(sequences, np.arange(1), EVERY, np.inf, np.arange(30), seed=0)
    found = errors(1.1 * still, batch, "variation")
    assert float(found) == pytest.approx(0.01 / LEAST_VARIATION, rel=1e-3)


def test_terms_know_when_their_frames_are_and_the_intensity_of_a_frame(moving):
    at = np.array([3, 10, 29])
    batch = batch_of(moving(2, 0), np.arange(2), EVERY, np.inf, at, seed=0)
    seen = []
    terms(batch.truth, batch, {"mine": lambda _, context: seen.append(context) or torch.zeros(())})
    assert seen[0].times == pytest.approx(torch.from_numpy(at / 29).float())
    assert seen[0].intensity == pytest.approx(torch.ones(2), rel=1e-4)  # of each position's frame
