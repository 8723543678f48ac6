import math

import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe
from rephase.phase.com import ICOMSettings, centre_of_mass, reconstruct


def overlap(x: float) -> float:
    """Common area of two disks of radius 1 at distance x, over the area of one."""
    return 2 / math.pi * (math.acos(x / 2) - x / 2 * math.sqrt(1 - x**2 / 4))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def disks(shifts: np.ndarray, lens: Optics) -> Scan:
    """A disk in vacuum, moved by whole pixels (row, col) at each of 3 x 2 positions."""
    pixel = (1.9, 2.6)
    row, col = np.meshgrid((np.arange(40) - 20) * pixel[0], (np.arange(28) - 14) * pixel[1], indexing="ij")
    disk = (np.hypot(row, col) <= lens.semiangle_mrad).astype(float)
    patterns = [[np.roll(disk, s, (0, 1)) for s in line] for line in shifts]
    return Scan(np.array(patterns) / disk.sum(), (1.0, 1.0), pixel)


def test_com_of_a_shifted_disk_is_its_shift(lens):
    shifts = np.array([[(0, 0), (3, -1)], [(-2, 2), (5, 0)], [(0, -2), (1, 1)]])
    found = centre_of_mass(disks(shifts, lens), lens) * lens.wavelength_angstrom * 1e3
    assert np.allclose(found, np.moveaxis(shifts * np.array([1.9, 2.6]), -1, 0), atol=1e-9)


def test_com_counts_from_the_given_centre(lens):
    scan = disks(np.zeros((3, 2, 2), int), lens)
    moved = scan.with_intensities(np.roll(scan.intensities, (2, -1), (2, 3)), centre_px=(22.0, 13.0))
    assert np.allclose(centre_of_mass(moved, lens), 0, atol=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation_deg", [0.0, 30.0, -126.0])
def test_rotation_and_mirroring_of_the_detector_are_undone(lens, rotation_deg, mirrored):
    # the beam goes along the fast axis (reversed: against it); the detector's row axis is at
    # `rotation_deg` from the slow axis, so it sees sin(rotation) in rows and cos(rotation) in columns
    turn = math.radians(rotation_deg)
    angle = np.array([math.sin(turn), math.cos(turn)]) * (-1 if mirrored else 1)
    row, col = np.meshgrid(np.arange(40) - 20.0, np.arange(40) - 20.0, indexing="ij")
    spot = np.exp(-((row - 4 * angle[0]) ** 2 + (col - 4 * angle[1]) ** 2) / 8)
    pattern = np.broadcast_to(spot / spot.sum(), (2, 2, 40, 40))
    scan = Scan(pattern, (1.0, 1.0), (2.0, 2.0), rotation_deg=rotation_deg, mirrored=mirrored)
    found = centre_of_mass(scan, lens) * lens.wavelength_angstrom * 1e3
    assert np.allclose(found, np.array([0.0, 8.0])[:, None, None], atol=1e-9)


def test_com_of_a_phase_ramp_is_its_slope(lens, scanning):
    step, shape = (0.225, 0.24), (32, 30)
    ramp = 2 * math.pi * (np.arange(32)[:, None] * 2 / 32 - np.arange(30) * 1 / 30)
    found = centre_of_mass(scanning["phase_object"](ramp, lens, step), lens)
    slope = np.array([2 / (32 * step[0]), -1 / (30 * step[1])])
    assert np.allclose(found, slope[:, None, None] * np.ones((2, *shape)), atol=1e-10)


@pytest.mark.parametrize("x", [0.25, 0.84, 1.5])
def test_transfer_of_icom_is_the_overlap_of_two_disks(lens, scanning, x):
    # a fine detector, so that its disk is round
    q = x * lens.aperture_radius
    scan, phase = scanning["three_beam"](
        lens, (q, 0.0), 0.01, (6, 2), (1 / (6 * q), 1.0), (220, 220), (0.2, 0.2)
    )
    assert relative_error(reconstruct(scan, lens).values, overlap(x) * phase) < 5e-3


@pytest.mark.parametrize(
    "aberrations", [{}, {"defocus_angstrom": 60.0, "aberrations": {"C12": 20.0, "phi12": 0.4}}]
)
def test_icom_is_the_phase_blurred_by_the_probe(scanning, aberrations):
    # holds for a phase that is not weak, too
    lens = Optics(energy_ev=300e3, semiangle_mrad=20.0, **aberrations)
    step, shape = (0.2, 0.22), (40, 36)
    phase = scanning["noise"](shape, step, lens.aperture_radius / 2, rms=0.3)
    intensity = np.abs(probe(lens, shape, (8.0, 7.92), dtype=torch.complex128).numpy()[0]) ** 2
    blurred = np.fft.ifft2(np.fft.fft2(phase) * np.conj(np.fft.fft2(intensity / intensity.sum()))).real
    found = reconstruct(scanning["phase_object"](phase, lens, step), lens).values
    assert relative_error(found, blurred) < 1e-6


def test_result_does_not_depend_on_the_dose(lens, weak):
    scan, _ = weak
    counts = scan.with_intensities(scan.intensities * 3e4, unit="electrons")
    for settings in (ICOMSettings(), ICOMSettings(per_pattern=True)):
        assert np.allclose(
            reconstruct(counts, lens, settings).values, reconstruct(scan, lens, settings).values, atol=1e-8
        )


def test_per_pattern_removes_a_drifting_beam_current(lens, weak):
    scan, _ = weak
    drift = np.linspace(0.8, 1.2, scan.shape[0])[:, None, None, None]
    shifted = dict(centre_px=(scan.centre_px[0] + 1, scan.centre_px[1]))
    drifting = scan.with_intensities(scan.intensities * drift, **shifted)
    steady = reconstruct(scan, lens).values
    assert np.allclose(reconstruct(drifting, lens, ICOMSettings(per_pattern=True)).values, steady, atol=1e-6)
    assert relative_error(reconstruct(drifting, lens).values, steady) > 1


def test_patterns_without_electrons_do_not_break_it(lens, weak):
    scan, _ = weak
    counts = np.random.default_rng(0).poisson(scan.intensities * 0.5)
    few = scan.with_intensities(counts, unit="electrons")
    assert (counts.sum((2, 3)) == 0).any()
    for per_pattern in (False, True):
        assert np.isfinite(reconstruct(few, lens, ICOMSettings(per_pattern=per_pattern)).values).all()


def test_agrees_with_py4dstem(lens, weak):
    from rephase.phase.py4dstem import data_cube, load_py4dstem, quiet

    scan, _ = weak
    square = scan.with_intensities(
        scan.intensities[:40, :, 4:-4], pixel_mrad=(1.8, 1.8), centre_px=(20.0, 20.0)
    )
    with quiet(seed=0):
        dpc = load_py4dstem().process.phase.DPC(datacube=data_cube(square), energy=300e3, verbose=False)
        dpc.preprocess(
            force_com_shifts=square.centre_px,
            force_com_rotation=0,
            force_com_transpose=False,
            vectorized_com_calculation=True,
            plot_center_of_mass=False,
            plot_rotation=False,
        )
    found = centre_of_mass(square, lens, per_pattern=True)
    assert relative_error(found, np.stack([dpc._com_x, dpc._com_y])) < 1e-3


def test_wrong_input_is_named(lens, weak):
    scan, _ = weak
    small = scan.with_intensities(scan.intensities[:, :, 16:32], centre_px=None)
    with pytest.raises(InputError, match="bright-field disk of 20 mrad"):
        reconstruct(small, lens)
    broken = scan.intensities.copy()
    broken[1, 2, 3, 4] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        reconstruct(scan.with_intensities(broken), lens)
    with pytest.raises(InputError, match="no electrons"):
        reconstruct(scan.with_intensities(np.zeros(scan.shape)), lens)
