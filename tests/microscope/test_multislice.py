"""Multislice: abTEM's numbers, conservation, limits, order, reciprocity and gradients."""

import math

import abtem
import ase
import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.grid import frequencies
from rephase.microscope.multislice import (
    diffraction,
    multislice,
    propagate,
    propagator,
    scan_4d,
    transmission,
)
from rephase.microscope.optics import Optics
from rephase.microscope.potential import sliced_potential
from rephase.microscope.probe import probe

ENERGY = 200e3
OPTICS = Optics(energy_ev=ENERGY, semiangle_mrad=20.0, defocus_angstrom=80.0)
LATTICE = 3.905
BOX = (2 * LATTICE, 2 * LATTICE)
GRID = (64, 64)
DETECTOR = (42, 42)


@pytest.fixture(scope="module", autouse=True)
def quiet_abtem():
    settings = {"fft": "fftw", "fftw.planning_effort": "FFTW_ESTIMATE", "diagnostics.progress_bar": False}
    with abtem.config.set(settings):
        yield


@pytest.fixture(scope="module")
def potential():
    """Two frozen-phonon configurations of 2 x 2 x 5 cells of SrTiO3, as abTEM builds them."""
    basis = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    cell = ase.Atoms("SrTiO3", scaled_positions=basis, cell=[LATTICE] * 3, pbc=True)
    phonons = abtem.FrozenPhonons(cell * (2, 2, 5), num_configs=2, sigmas=0.08, seed=1)
    return abtem.Potential(phonons, gpts=GRID, slice_thickness=LATTICE / 2).build().compute()


@pytest.fixture(scope="module")
def slices(potential):
    return torch.from_numpy(potential.array)


def positions():
    return torch.tensor([[[0.0, 0.0], [0.9, 2.2]], [[1.95, 1.95], [7.0, 3.3]]], dtype=torch.float64)


def smooth_slices(count, depth=40.0, shape=(24, 32), height=15.0):
    """A potential of a few low frequencies that changes along the beam, integrated over equal slices.

    Bandwidth is so low that nothing ever reaches the edge of the antialiased band.
    """
    y, x = (torch.arange(n, dtype=torch.float64) / n for n in shape)
    z = (torch.arange(count, dtype=torch.float64) + 0.5)[:, None, None] / count
    ripple = torch.cos(2 * math.pi * (y[:, None] - 0.4 * z)) + torch.sin(2 * math.pi * (x + 0.3 * z) + 1)
    return height * (1 + ripple) * depth / count, depth / count


def smooth_wave(shape=(24, 32)):
    gun = Optics(energy_ev=ENERGY, semiangle_mrad=4.0, defocus_angstrom=80.0)
    return probe(gun, shape, BOX, dtype=torch.complex128)


def inner_noise(shape=(24, 32), seed=0):
    """A random wave inside the flat part of the antialiased band."""
    noise = torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))
    return torch.fft.ifft2(torch.fft.fft2(noise) * (propagator(shape, 0.0, ENERGY, BOX).abs() == 1))


def l2(ours, theirs):
    return float(np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs))


def abtem_probe(potential):
    beam = abtem.Probe(energy=ENERGY, semiangle_cutoff=OPTICS.semiangle_mrad, defocus=OPTICS.defocus_angstrom)
    beam.grid.match(potential)
    return beam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exit_waves_equal_abtem(potential, slices, dtype):
    """1e-4 on intensities, 1e-3 rad on the phase where the amplitude exceeds 1 % of its maximum."""
    at = positions().reshape(-1, 2)
    scan = abtem.CustomScan(at.numpy())
    theirs = abtem_probe(potential).multislice(potential, scan=scan).compute().array
    waves = probe(OPTICS, GRID, BOX, at, dtype=dtype.to_complex())
    ours = multislice(waves, slices[:, None].to(dtype), LATTICE / 2, ENERGY, BOX).numpy()
    ours = ours * np.linalg.norm(theirs[0, 0]) / np.linalg.norm(ours[0, 0])
    assert ours.dtype == (np.complex64 if dtype == torch.float32 else np.complex128)
    assert l2(abs(ours) ** 2, abs(theirs) ** 2) < 1e-4
    strong = abs(theirs) > 0.01 * abs(theirs).max()
    assert abs(np.angle(ours * theirs.conj())[strong]).max() < 1e-3


def test_scan_equals_abtem_with_frozen_phonons(potential, slices):
    scan = abtem.CustomScan(positions().reshape(-1, 2).numpy())
    detector = abtem.PixelatedDetector(max_angle="cutoff")
    theirs = abtem_probe(potential).scan(potential, scan=scan, detectors=detector).compute().array
    ours = scan_4d(slices, potential.slice_thickness, OPTICS, BOX, positions(), DETECTOR)
    assert ours.shape == (2, 2, *DETECTOR) and ours.dtype == torch.float32
    assert l2(ours.reshape(-1, *DETECTOR), theirs) < 1e-4


def test_plane_wave_equals_abtem(potential, slices):
    wave = abtem.PlaneWave(energy=ENERGY)
    theirs = wave.multislice(potential).compute().array
    ours = multislice(torch.ones(GRID, dtype=torch.complex64), slices, LATTICE / 2, ENERGY, BOX)
    assert l2(ours.abs() ** 2, abs(theirs) ** 2) < 1e-4


def test_own_potential_in_unequal_slices_equals_abtem():
    generator = torch.Generator().manual_seed(2)
    thicknesses = (2.0, 9.0, 1.0, 20.0)
    atoms = torch.rand(1, 30, 3, dtype=torch.float64, generator=generator) * torch.tensor([*BOX, 32.0])
    volts = sliced_potential(atoms, torch.full((30,), 22), (*BOX, 32.0), GRID, thicknesses)[0]
    specimen = abtem.PotentialArray(volts.numpy(), slice_thickness=thicknesses, extent=BOX)
    theirs = abtem.PlaneWave(energy=ENERGY).multislice(specimen).compute().array
    ours = multislice(torch.ones(GRID, dtype=torch.complex64), volts, thicknesses, ENERGY, BOX)
    assert l2(ours.abs() ** 2, abs(theirs) ** 2) < 1e-4


def test_attraction_advances_the_phase():
    volts, _ = smooth_slices(1, height=0.5)
    ours = transmission(volts, ENERGY, BOX)
    assert OPTICS.sigma > 0
    torch.testing.assert_close(torch.angle(ours), OPTICS.sigma * volts, atol=1e-9, rtol=0)
    torch.testing.assert_close(ours.abs(), torch.ones_like(volts), atol=1e-9, rtol=0)


def test_parseval_of_the_detector():
    waves = inner_noise()[None]
    assert float(diffraction(waves).sum()) == pytest.approx(float((waves.abs() ** 2).sum()) * 24 * 32)


def test_electrons_are_conserved_within_the_band():
    wave, (volts, dz) = smooth_wave(), smooth_slices(40)
    leaving = multislice(wave, volts, dz, ENERGY, BOX)
    assert float(diffraction(wave).sum()) == pytest.approx(1, abs=1e-12)
    assert float(diffraction(leaving).sum()) == pytest.approx(1, abs=1e-9)
    assert not torch.allclose(leaving, wave, atol=1e-3)


def test_no_pattern_holds_more_than_the_beam(slices):
    sums = scan_4d(slices, LATTICE / 2, OPTICS, BOX, positions(), GRID).sum((-2, -1))
    assert (sums < 1).all() and (sums > 0.9).all()


def test_no_thickness_is_a_phase_object():
    wave, (volts, _) = smooth_wave(), smooth_slices(8)
    leaving = multislice(wave, volts, 1e-9, ENERGY, BOX)
    torch.testing.assert_close(leaving, wave * torch.exp(1j * OPTICS.sigma * volts.sum(0)), atol=1e-9, rtol=0)


def test_order_in_slice_thickness():
    """First order with the potential on the slices' upper faces, second order at their centres."""
    wave, exact = smooth_wave(), None
    errors = {1: [], 2: []}
    for count in (1024, 16, 32, 64):
        volts, dz = smooth_slices(count)
        plain = multislice(wave, volts, dz, ENERGY, BOX)
        centred = multislice(propagate(wave, dz / 2, ENERGY, BOX), volts, dz, ENERGY, BOX)
        centred = propagate(centred, -dz / 2, ENERGY, BOX)
        if exact is None:
            exact = centred
        errors[1].append(float(torch.linalg.norm(plain - exact)))
        errors[2].append(float(torch.linalg.norm(centred - exact)))
    for order, (_, *coarse) in errors.items():
        assert coarse[0] / coarse[1] == pytest.approx(2**order, rel=0.1)
        assert coarse[1] / coarse[2] == pytest.approx(2**order, rel=0.1)


@pytest.mark.parametrize("source, detector", [((0, 0), (3, -2)), ((2, 5), (-4, 1))])
def test_reciprocity(source, detector):
    """Source and detector may be exchanged if the specimen is turned over."""
    generator = torch.Generator().manual_seed(3)
    volts = 2000 * torch.rand(5, 24, 32, dtype=torch.float64, generator=generator)

    def scattered(start, end, volts):
        spectrum = torch.zeros(24, 32, dtype=torch.complex128)
        spectrum[start] = 1
        return diffraction(multislice(torch.fft.ifft2(spectrum), volts, 7.0, ENERGY, BOX))[
            end[0] + 12, end[1] + 16
        ]

    def opposite(k):
        return -k[0], -k[1]

    there = scattered(source, detector, volts)
    back = scattered(opposite(detector), opposite(source), volts.flip(0))
    assert float(there) > 1e-5
    assert float(back) == pytest.approx(float(there), rel=1e-10)


def test_free_space_spreads_a_gaussian_as_the_closed_form():
    """exp(-r^2 / 2 s^2) becomes (s^2 / q) exp(-r^2 / 2 q), q = s^2 + i wavelength z / 2 pi."""
    box, s2, distance = (24.0, 24.0), 1.2**2, 400.0
    axis = torch.arange(96, dtype=torch.float64) * 0.25 - 12.0
    r2 = axis[:, None] ** 2 + axis**2
    q = s2 + 1j * OPTICS.wavelength_angstrom * distance / (2 * math.pi)
    ours = propagate(torch.exp(-r2 / (2 * s2)).to(torch.complex128), distance, ENERGY, box)
    torch.testing.assert_close(ours, s2 / q * torch.exp(-r2 / (2 * q)), atol=1e-6, rtol=0)


def test_adjoint_of_propagation_is_propagation_back():
    one, other = (torch.randn(24, 32, dtype=torch.complex128) for _ in range(2))
    there = torch.vdot(other.flatten(), propagate(one, 90.0, ENERGY, BOX).flatten())
    back = torch.vdot(propagate(other, -90.0, ENERGY, BOX).flatten(), one.flatten())
    torch.testing.assert_close(there, back)
    wave = inner_noise()
    torch.testing.assert_close(propagate(propagate(wave, 90.0, ENERGY, BOX), -90.0, ENERGY, BOX), wave)


def test_a_phase_ramp_moves_the_pattern_towards_plus_k():
    ky, kx = frequencies(GRID, (BOX[0] / GRID[0], BOX[1] / GRID[1]))
    y, x = (torch.arange(n, dtype=torch.float64) / n for n in GRID)
    wave = probe(OPTICS, GRID, BOX, dtype=torch.complex128)
    tilted = wave * torch.exp(2j * math.pi * (3 * y[:, None] - 5 * x))
    torch.testing.assert_close(diffraction(tilted), diffraction(wave).roll((3, -5), (-2, -1)))


def test_the_undeflected_beam_is_at_the_centre():
    wave = torch.ones(1, 24, 32, dtype=torch.complex64)
    for shape in ((24, 32), (9, 8), (10, 31)):
        pattern = diffraction(wave, shape)[0]
        assert pattern[shape[0] // 2, shape[1] // 2] == pattern.sum() > 0


@pytest.mark.parametrize("soft", [True, False])
def test_scan_equals_one_probe_at_a_time(slices, soft):
    """In batches of any size, from waves of `probe` or within the scan."""
    patterns = scan_4d(slices[:1], LATTICE / 2, OPTICS, BOX, positions(), DETECTOR, soft=soft, batch=3)
    for at, pattern in zip(positions().reshape(-1, 2), patterns.reshape(-1, *DETECTOR), strict=True):
        exit_wave = multislice(probe(OPTICS, GRID, BOX, at[None], soft), slices[0], LATTICE / 2, ENERGY, BOX)
        expected = diffraction(exit_wave, DETECTOR)[0]
        torch.testing.assert_close(pattern, expected, atol=1e-5 * float(expected.max()), rtol=0)


def test_moving_probe_or_specimen_is_the_same(slices):
    """A specimen moved by whole pixels with the probe gives the same pattern."""
    pixel = BOX[0] / GRID[0]
    moved = scan_4d(
        slices.roll((5, -9), (-2, -1)),
        2.0,
        OPTICS,
        BOX,
        positions() + pixel * torch.tensor([5, -9]),
        DETECTOR,
    )
    still = scan_4d(slices, 2.0, OPTICS, BOX, positions(), DETECTOR)
    torch.testing.assert_close(moved, still, atol=1e-6 * float(still.max()), rtol=0)


def test_float32_follows_float64(slices):
    single = scan_4d(slices, LATTICE / 2, OPTICS, BOX, positions(), DETECTOR)
    double = scan_4d(slices.double(), LATTICE / 2, OPTICS, BOX, positions(), DETECTOR)
    assert double.dtype == torch.float64
    assert l2(single, double.numpy()) < 1e-5


def test_a_repeating_cell_is_given_once():
    wave, (volts, dz) = smooth_wave(), smooth_slices(4)
    thicknesses = [dz, 2 * dz, dz, 3 * dz]
    once = multislice(wave, volts, thicknesses, ENERGY, BOX, repeats=3)
    spelled_out = multislice(wave, volts.repeat(3, 1, 1), 3 * thicknesses, ENERGY, BOX)
    torch.testing.assert_close(once, spelled_out)


def test_averages_over_configurations(slices):
    """Incoherent: the mean of intensities; coherent: the intensity of the mean wave, which is less."""
    at = positions().reshape(-1, 2)
    waves = multislice(probe(OPTICS, GRID, BOX, at), slices[:, None], LATTICE / 2, ENERGY, BOX)
    incoherent = scan_4d(slices, LATTICE / 2, OPTICS, BOX, at, GRID)
    coherent = scan_4d(slices, LATTICE / 2, OPTICS, BOX, at, GRID, average="coherent")
    torch.testing.assert_close(incoherent, diffraction(waves).mean(0), atol=1e-8, rtol=1e-4)
    torch.testing.assert_close(coherent, diffraction(waves.mean(0)), atol=1e-8, rtol=1e-4)
    assert (coherent.sum((-2, -1)) < incoherent.sum((-2, -1))).all()


def test_gradients():
    """With respect to the slices and the incident wave, and of a whole scan."""
    optics = Optics(energy_ev=ENERGY, semiangle_mrad=8.0)
    generator = torch.Generator().manual_seed(0)
    volts = 100 * torch.rand(2, 3, 6, 5, dtype=torch.float64, generator=generator)
    wave = torch.randn(1, 6, 5, dtype=torch.complex128, generator=generator)
    volts.requires_grad_(), wave.requires_grad_()

    def pattern(volts, wave):
        return diffraction(multislice(wave, volts, [2.0, 3.0, 4.0], ENERGY, (5.0, 4.0), repeats=2))

    def scan(volts, average):
        at = torch.tensor([[0.3, 1.7], [2.0, 0.1]], dtype=torch.float64)
        return scan_4d(volts, 20.0, optics, (5.0, 4.0), at, (4, 3), average=average, batch=1)

    assert torch.autograd.gradcheck(pattern, (volts, wave))
    assert torch.autograd.gradcheck(scan, (volts, "incoherent"))
    assert torch.autograd.gradcheck(scan, (volts, "coherent"))


BAD = {
    "thicknesses": (
        {"thicknesses_angstrom": [1.0, 2.0]},
        "found .1.0, 2.0., expected 10 thicknesses above 0",
    ),
    "negative": ({"thicknesses_angstrom": -1.0}, "thicknesses_angstrom: found .-1.0"),
    "repeats": ({"repeats": 0}, "repeats: found 0, expected a number of passes of 1 or more"),
    "too many pixels": (
        {"detector_shape": (65, 64)},
        "detector_shape: found .65, 64., expected 1 to 64 pixels",
    ),
    "disc cut": ({"detector_shape": (42, 8)}, "to hold the bright-field disc"),
    "aperture": ({"optics": Optics(energy_ev=ENERGY, semiangle_mrad=80.0)}, "optics.semiangle_mrad"),
    "position": (
        {"positions_angstrom": torch.tensor([[0.0, math.nan]])},
        "positions_angstrom: found 1 values",
    ),
}


@pytest.mark.parametrize("wrong, message", BAD.values(), ids=BAD)
def test_bad_input(slices, wrong, message):
    arguments = dict(
        slices=slices,
        thicknesses_angstrom=LATTICE / 2,
        optics=OPTICS,
        box_angstrom=BOX,
        positions_angstrom=positions(),
        detector_shape=DETECTOR,
    )
    with pytest.raises(InputError, match=message):
        scan_4d(**(arguments | wrong))


def test_nan_is_named(slices):
    broken = slices.clone()
    broken[1, 4, 7, 9] = math.nan
    with pytest.raises(InputError, match=r"slices: found 1 values .*, the first at \(1, 4, 7, 9\)"):
        scan_4d(broken, LATTICE / 2, OPTICS, BOX, positions(), DETECTOR)
