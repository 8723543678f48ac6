import math

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.phase.com import reconstruct as icom
from rephase.phase.idpc import IDPCSettings, deflection, reconstruct


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


GEOMETRIES = [
    {},
    {"rotation_deg": 45.0},
    {"rotation_deg": 17.0, "inner": 0.5},
    {"inner": 0.8, "outer": 1.2, "rotation_deg": -60.0},
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_deflection_by_a_phase_ramp_is_its_slope(lens, scanning, geometry):
    step = (0.225, 0.24)
    ramp = 2 * math.pi * (np.arange(48)[:, None] / 48 - np.arange(40) / 40)
    scan = scanning["phase_object"](ramp, lens, step, every=(24, 20))
    slope = np.array([1 / (48 * step[0]), -1 / (40 * step[1])])
    found = deflection(scan, lens, IDPCSettings(**geometry))
    assert np.allclose(found, slope[:, None, None], rtol=0.02)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("aberrations", [{}, {"defocus_angstrom": 50.0, "aberrations": {"C12": 30.0}}])
def test_gain_is_one_at_low_frequency(scanning, geometry, aberrations):
    lens = Optics(energy_ev=300e3, semiangle_mrad=20.0, **aberrations)
    q = np.array([0.6, 0.8]) * 0.02 * lens.aperture_radius
    scan, phase = scanning["three_beam"](
        lens, tuple(q), 0.01, (6, 6), tuple(1 / (6 * q)), (96, 96), (0.7, 0.7)
    )
    assert relative_error(reconstruct(scan, lens, IDPCSettings(**geometry)).values, phase) < 0.03


@pytest.mark.parametrize("x", [0.4, 1.0])
def test_transfer_is_the_documented_one(lens, scanning, x):
    # areas of the sidebands on each quadrant, by brute force on a fine grid
    q = x * lens.aperture_radius
    scan, phase = scanning["three_beam"](
        lens, (q, 0.0), 0.01, (6, 2), (1 / (6 * q), 1.0), (160, 160), (0.4, 0.4)
    )
    k = (np.arange(-1000, 1000) + 0.5) / 500
    row, col = np.meshgrid(k, k, indexing="ij")
    inside = np.hypot(row, col) <= 1
    gamma = inside * (1.0 * (np.hypot(row - x, col) <= 1) - (np.hypot(row + x, col) <= 1))
    quadrants = (
        np.sign(row) / math.sqrt(2) * (np.hypot(row, col) < 1.5)
    )  # row part of the quadrants' directions
    transfer = math.pi / (2 * math.sqrt(2)) * (quadrants * gamma).sum() / inside.sum() / x
    assert relative_error(reconstruct(scan, lens).values, transfer * phase) < 0.01


def test_quadrants_resemble_icom_and_undo_the_scan_rotation(lens, weak):
    scan, _ = weak
    upright = reconstruct(scan, lens, IDPCSettings(outer=1.2)).values
    assert np.corrcoef(upright.ravel(), icom(scan, lens).values.ravel())[0, 1] > 0.97
    row, col = scan.centre_px
    # the columns reversed, then rows and columns exchanged by a quarter turn
    turned = scan.with_intensities(
        scan.intensities[..., ::-1], centre_px=(row, scan.shape[3] - 1 - col), mirrored=True
    )
    turned = turned.with_intensities(
        np.rot90(turned.intensities, axes=(2, 3)),
        centre_px=(turned.shape[3] - 1 - turned.centre_px[1], row),
        pixel_mrad=scan.pixel_mrad[::-1],
        rotation_deg=-90.0,
    )
    assert np.allclose(reconstruct(turned, lens, IDPCSettings(outer=1.2)).values, upright, atol=1e-9)


def test_result_does_not_depend_on_the_dose(lens, weak):
    scan, _ = weak
    counts = scan.with_intensities(scan.intensities * 3e4, unit="electrons")
    settings = IDPCSettings(outer=1.2)
    assert np.allclose(
        reconstruct(counts, lens, settings).values, reconstruct(scan, lens, settings).values, atol=1e-8
    )


def test_segments_beyond_the_detector_are_named(lens, weak):
    with pytest.raises(InputError, match="radii"):
        reconstruct(weak[0], lens, IDPCSettings(outer=4.0))
