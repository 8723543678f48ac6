"""Electrons on another grid: Poisson's statistics, none lost, and the same draw for the same counts."""

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.stats import binom, chisquare

from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.electrons import Allotment
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.exit_wave.resample import Detector, Resampling

FRAME = Frame.of_aperture(Optics(energy_ev=200e3, semiangle_mrad=20.0), 10.0)
TURNS = {"straight": (0.83, 0.0, False), "turned": (0.61, 37.0, True), "coarse": (1.9, 20.0, False)}


def diffraction(turn: str) -> tuple[Detector, np.ndarray]:
    """A detector whose pixels do not fit the frame's, and the fractions of the beam that it sees."""
    zoom, rotation, mirrored = TURNS[turn]
    size = round(36 / zoom)
    detector = Detector(
        (size, size), (zoom * FRAME.pixel_mrad,) * 2, (size / 2 + 0.3, size / 2 - 0.2), rotation, mirrored
    )
    row, col = np.indices((size, size)) - size / 2
    radius = zoom * np.hypot(row, col)
    disc, dark = (radius < 10).astype(float), np.exp(-radius / 6)
    return detector, 0.9 * disc / disc.sum() + 0.1 * dark / dark.sum()


def counted(fractions: np.ndarray, electrons: float, patterns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(fractions * electrons, (patterns, *fractions.shape))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("electrons", [20, 1e3, 1e5])
def test_poisson_counts_stay_poisson_counts(electrons, turn):
    detector, fractions = diffraction(turn)
    resampling, patterns = Resampling(detector, FRAME), 200
    seen = resampling(counted(fractions, electrons, patterns)).numpy().astype(float)
    mean = (resampling.weights @ (fractions * electrons).ravel()).reshape(SIZE, SIZE)
    error = seen - mean
    within = 4.5 / np.sqrt(patterns)

    bias = patterns * (error.mean(0) ** 2).sum()
    assert abs(bias - mean.sum()) < 4.5 * np.sqrt((2 * mean**2 + mean / patterns).sum())
    variance = (error**2).mean(0).sum()
    assert abs(variance - mean.sum()) < within * np.sqrt((2 * mean**2 + mean).sum())
    for one, other in ((error[:, 1:], mean[1:]), (error[:, :, 1:], mean[:, 1:])):
        first = tuple(slice(0, n) for n in other.shape)
        together = (one * error[:, *first]).mean(0).sum()
        assert abs(together) < within * np.sqrt((other * mean[first]).sum())
    dark = np.exp(-mean)
    number_lit = (seen > 0).sum((1, 2)).mean()
    assert abs(number_lit - (1 - dark).sum()) < within * np.sqrt((dark * (1 - dark)).sum())


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("electrons", [20, 1e5, 1e8])
def test_no_electron_is_lost_or_divided(electrons, turn):
    detector, fractions = diffraction(turn)
    counts = counted(fractions, electrons, 5)
    seen = Resampling(detector, FRAME)(counts).double().numpy()
    assert np.array_equal(seen, seen.round()) and seen.min() >= 0
    assert np.array_equal(seen.sum((1, 2)), counts.sum((1, 2)))


@pytest.mark.parametrize("electrons", [1, 7, 60, 400, 10**6])
@pytest.mark.parametrize("shares", [(0.1, 0.55, 0.0, 0.3), (0.1, 0.0)])
def test_the_electrons_of_a_pixel_are_drawn_with_its_shares(electrons, shares):
    shares, patterns = np.array(shares), 200_000
    allotment = Allotment(scipy.sparse.csr_array(shares[:, None]))
    seen = allotment(torch.full((patterns, 1), float(electrons))).double().numpy()
    moments = electrons * (np.diag(shares) - np.outer(shares, shares))
    scale = np.sqrt(electrons * shares * (1 - shares))
    assert np.all(np.abs(seen.mean(0) - electrons * shares) <= 4.5 * scale / np.sqrt(patterns))
    error = seen - electrons * shares
    assert error.T @ error / patterns == pytest.approx(moments, abs=0.05 * electrons / 4, rel=0.05)
    for share, drawn in zip(shares[shares > 0], seen.T[shares > 0], strict=True):
        edges = np.unique(binom.ppf(np.linspace(0.02, 0.98, 13), electrons, share))
        expected = np.diff(binom.cdf(edges, electrons, share), prepend=0, append=1)
        found = np.bincount(np.searchsorted(edges, drawn), minlength=len(edges) + 1)
        filled = expected > 1e-9
        assert chisquare(found[filled], patterns * expected[filled]).pvalue > 1e-4


@pytest.mark.parametrize("electrons", [30, 1000])
def test_equal_counts_go_the_same_way_and_other_counts_their_own(electrons):
    halved, rng = Allotment(scipy.sparse.csr_array([[0.5], [0.5]])), np.random.default_rng(0)
    first, other = (torch.from_numpy(rng.poisson(electrons, (1000, 1))).float() for _ in range(2))
    assert torch.equal(halved(first), halved(first.clone()))
    chance = [(halved(counts) - counts / 2)[:, 0].numpy() for counts in (first, other)]
    assert abs(np.corrcoef(*chance)[0, 1]) < 4.5 / np.sqrt(1000)


def test_what_misses_the_frame_is_lost_and_nothing_stays_nothing():
    halved = Allotment(scipy.sparse.csr_array(np.array([[0.5, 0.0]])))
    seen = halved(torch.tensor([[10_000.0, 300.0]]))
    assert abs(float(seen) - 5000) < 4.5 * 50
    assert not halved(torch.zeros(3, 2)).any()
    assert halved.random and not Allotment(scipy.sparse.csr_array(np.eye(3))).random
