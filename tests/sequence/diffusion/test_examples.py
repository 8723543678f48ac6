"""Examples are noisy, sparse views of the truth that follow from their seeds."""

import numpy as np
import pytest
import torch

from rephase.sequence.diffusion.examples import Epoch, draw_example
from rephase.sequence.networks.samples import Draws

NOISELESS = Draws(noiseless_share=1, most_kept=0.5)


def test_the_truth_is_the_line_and_what_is_to_be_found(peaks):
    sequences = peaks(3)
    for row in range(3):
        line, x0 = draw_example(sequences, row, Draws(), row)
        assert torch.allclose(line.frames + line.scale * x0, sequences.frames[row], atol=1e-6)


def test_without_noise_observed_frames_are_the_truth(peaks):
    for seed in range(9):
        line, x0 = draw_example(peaks(1), 0, NOISELESS, seed)
        seen = line.marks[:, :2].bool()
        assert not x0[seen].any() and not line.scale[seen].any() and x0[~seen].any()


def test_noise_is_that_of_the_dose(peaks):
    """Square deviations of observed frames, in units of the variance that the dose gives."""
    draws, squares = Draws(least_electrons=500, most_electrons=500, noiseless_share=0, least_kept=0.3), []
    for seed in range(60):
        line, x0 = draw_example(peaks(1), 0, draws, seed)
        squares.append(float(x0[line.marks[:, :2].bool()].square().mean()))
    assert np.mean(squares) == pytest.approx(1, abs=0.15)


def test_a_window_is_a_part_of_the_same_example(peaks):
    whole, x0 = draw_example(peaks(3), 2, Draws(), 7)
    part, cut = draw_example(peaks(3), 2, Draws(), 7, window=5)
    (start,) = (n for n in range(12) if torch.equal(cut, x0[n : n + 5]))
    assert torch.equal(part.marks, whole.marks[start : start + 5])
    assert torch.equal(part.times, whole.times[start : start + 5])


def batches(sequences, seed, number=0, **changes):
    return list(Epoch(sequences, Draws(), 2, 4, 3, seed, number, **changes))


def test_batches_follow_from_seed_and_epoch(peaks):
    one, again = (batches(peaks(5), 1) for _ in range(2))
    assert [b.x0.shape for b in one] == [(2, 4, 2, 8, 8)] * 3
    assert all(torch.equal(a.x0, b.x0) for a, b in zip(one, again, strict=True))
    for other in (batches(peaks(5), 2), batches(peaks(5), 1, 1), one[1:] + one[:1]):
        assert not any(torch.equal(a.x0, b.x0) for a, b in zip(one, other, strict=True))


def test_in_order_every_sequence_has_its_turn(peaks):
    found = list(Epoch(peaks(3), NOISELESS, 1, None, 6, 0, shuffled=False))
    truth = torch.stack([b.line.frames[0] + b.line.scale[0] * b.x0[0] for b in found])
    assert torch.allclose(truth, peaks(3).frames.repeat(2, 1, 1, 1, 1), atol=1e-6)
