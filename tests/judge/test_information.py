"""The limit of what counted electrons tell of a phase, weak or strong."""

import math

import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.judge.information import (
    correlation_limit,
    limit,
    mode_variance,
    phase_information,
    strong_variance,
    weak_variance,
)
from rephase.judge.limits import diffraction_variance, fisher_matrix
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe

LENS = Optics(energy_ev=300e3, semiangle_mrad=20.0, defocus_angstrom=60.0)
PIXEL = (0.22, 0.24)
CUTOFF = 2 * LENS.aperture_radius


def rough(shape, rms):
    return rms * np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("rms", [0.1, 1.0])
def test_the_information_is_that_of_the_differentiated_patterns(rms):
    shape, phase = (8, 7), rough((8, 7), rms)
    at = [(i * PIXEL[0], j * PIXEL[1]) for i in range(0, 8, 2) for j in range(0, 7, 2)]
    box = tuple(n * p for n, p in zip(shape, PIXEL, strict=True))
    beams = probe(LENS, shape, box, torch.tensor(at), soft=False, dtype=torch.complex128)

    def patterns(values):
        waves = torch.fft.fft2(beams * torch.exp(1j * values.reshape(shape)))
        return waves.abs() ** 2 / len(at)

    expected = fisher_matrix(patterns, torch.from_numpy(phase.ravel()), electrons=56.0).numpy()
    found = phase_information(phase, PIXEL, LENS, every=2)
    assert np.allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("rms", [0.05, 0.8])
def test_patterns_hold_half_of_the_information_and_leave_the_variance_of_a_weak_phase(rms):
    """1 / (2N) in the mean; what an unbiased estimate pays for uneven modes comes on top."""
    phase = rough((20, 18), rms)
    information = phase_information(phase, PIXEL, LENS)
    assert np.trace(information) / phase.size == pytest.approx(1 / diffraction_variance(1.0), rel=0.05)
    assert 1.0 < mode_variance(information, phase.shape).mean() / diffraction_variance(1.0) < 1.1
    assert 1.0 < strong_variance(phase, PIXEL, LENS) / weak_variance(CUTOFF) < 1.2


def test_fewer_positions_share_out_the_same_electrons():
    phase = rough((20, 18), 0.5)
    every, half = (strong_variance(phase, PIXEL, LENS, n) for n in (1, 2))
    assert half == pytest.approx(every, rel=0.05)


def test_the_variance_of_modes_is_that_of_images_drawn_with_the_covariance():
    rng = np.random.default_rng(0)
    waves = np.fft.fft2(np.eye(30).reshape(30, 5, 6), norm="ortho").reshape(30, 30)
    seen = rng.uniform(0.5, 2, (5, 6))
    seen = (seen + np.roll(seen[::-1, ::-1], (1, 1), (0, 1))) / 2  # as real images have it
    seen[0, 0] = 0.0
    fisher = ((waves.conj().T * seen.ravel()) @ waves).real
    expected = np.divide(1, seen, out=np.zeros_like(seen), where=seen > 0)
    assert np.allclose(mode_variance(fisher, (5, 6)), expected)


def test_an_unbiased_estimate_with_that_variance_has_that_correlation():
    rng = np.random.default_rng(0)
    signal, dose = 0.04, 200.0
    truth = rng.normal(0, math.sqrt(signal), 200_000)
    noise = rng.normal(0, math.sqrt(weak_variance(CUTOFF) / dose), truth.size)
    found = np.corrcoef(truth, truth + noise)[0, 1]
    assert correlation_limit(signal, weak_variance(CUTOFF), dose) == pytest.approx(found, abs=0.005)
    assert correlation_limit(signal, weak_variance(CUTOFF), math.inf) == 1.0


def test_the_weak_limit_is_that_of_any_pixel_that_holds_the_band():
    for pixel in (0.05, 0.2):
        share = math.pi * CUTOFF**2 * pixel**2
        assert weak_variance(CUTOFF) / 300.0 == pytest.approx(share * diffraction_variance(300.0 * pixel**2))


def test_as_a_part_of_a_stage_the_limit_has_a_name():
    phase = rough((8, 7), 0.1)
    found = limit(phase, PIXEL, LENS, 2)
    assert list(found) == ["limit"] and found["limit"] == strong_variance(phase, PIXEL, LENS, 2)


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="hold twice the aperture"):
        strong_variance(rough((8, 8), 0.1), (0.3, 0.2), LENS)
    with pytest.raises(InputError, match="least information"):
        mode_variance(np.diag([1.0, 1, 0, 0]), (2, 2))
    with pytest.raises(InputError, match="dose"):
        correlation_limit(0.1, 6.0, 0.0)
