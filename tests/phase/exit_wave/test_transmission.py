"""Transmission functions: the library's potential, and a fine grid where the wave's is coarse."""

import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.optics import interaction_parameter
from rephase.microscope.potential import sliced_potential
from rephase.phase.exit_wave.transmission import slice_potential, transmission

SIDE, THICKNESSES, ENERGY = 11.0, (2.0, 2.0, 3.0), 100e3
RNG = np.random.default_rng(0)
POSITIONS = RNG.uniform(-0.5, 1.5, (40, 3)) * [SIDE, SIDE, 7.0]  # some beyond every face
NUMBERS = RNG.choice([1, 8, 38, 79], 40)


@pytest.mark.parametrize("points", [32, 96])
def test_it_is_the_librarys_potential(points):
    expected = sliced_potential(
        torch.from_numpy(POSITIONS)[None],
        torch.from_numpy(NUMBERS),
        (SIDE, SIDE, 7.0),
        (points, points),
        THICKNESSES,
        torch.float64,
    )[0].numpy()
    found = slice_potential(POSITIONS, NUMBERS, SIDE, THICKNESSES, points).numpy()
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_no_atoms_let_everything_pass():
    nothing = transmission(np.zeros((0, 3)), np.zeros(0, int), SIDE, THICKNESSES, ENERGY, 32)
    np.testing.assert_array_equal(nothing.numpy(), np.ones((3, 32, 32)))


def test_a_fine_pixel_gives_the_low_frequencies_of_the_fine_transmission():
    fine = slice_potential(POSITIONS, NUMBERS, SIDE, THICKNESSES, 128).numpy()
    spectrum = np.fft.fft2(np.exp(1j * interaction_parameter(ENERGY) * fine)) / 128**2
    found = transmission(POSITIONS, NUMBERS, SIDE, THICKNESSES, ENERGY, 32, SIDE / 100).numpy()
    low = np.r_[0:16, -15:0]  # Nyquist's frequency stands for both signs
    inside = np.ix_(range(3), low, low)
    np.testing.assert_allclose((np.fft.fft2(found) / 32**2)[inside], spectrum[inside], atol=1e-6)
    coarse = transmission(POSITIONS, NUMBERS, SIDE, THICKNESSES, ENERGY, 32).numpy()
    assert np.abs(coarse - found).max() > 0.1


def test_an_unknown_element_is_refused():
    with pytest.raises(InputError, match="atomic number 104"):
        slice_potential(POSITIONS[:1], np.array([104]), SIDE, THICKNESSES, 32)
