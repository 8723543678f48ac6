"""A scan whose geometry is known is calibrated to it; a real one to what another way finds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from rephase.calibrate import (
    calibrate,
    centre_of_mass,
    disc_intensity,
    find_disc,
    find_rotation,
    level,
    mean_pattern,
)
from rephase.errors import InputError
from rephase.external import absence, open_external
from rephase.measurement import Scan, detector_to_scan
from rephase.microscope.optics import Optics

STEP = (0.8, 0.8)


def disc(shape, centre, radius, softness=0.5):
    row, col = np.indices(shape)
    distance = np.hypot(row - centre[0], col - centre[1])
    return 1 / (1 + np.exp((distance - radius) / (softness / 2)))


def potential(seed=0, size=64):
    """Atoms of different weight, some at the field's edge."""
    sites = np.random.default_rng(seed).random((size, size))
    return gaussian_filter(np.where(sites > 0.99, sites, 0), 2.0, mode="wrap")


def scan_of_potential(rotation_deg, mirrored, centre=(15.5, 16.75), radius=7.0, counts=None):
    """Rigid discs moved by the phase's slope, dimmer where the potential scatters more."""
    phase = potential(size=24)
    slopes = np.stack(np.gradient(phase, *STEP))
    move = np.tensordot(detector_to_scan(rotation_deg, mirrored).T, slopes, axes=1)
    move *= 1.5 / np.abs(move).max()
    patterns = np.array(
        [
            [
                disc((32, 32), (centre[0] + move[0, i, j], centre[1] + move[1, i, j]), radius)
                for j in range(24)
            ]
            for i in range(24)
        ]
    )
    patterns *= 1 - 0.2 * (phase / phase.max())[:, :, None, None]
    if counts:
        patterns = np.random.default_rng(1).poisson(patterns * counts / patterns[0, 0].sum())
    return Scan(patterns, STEP, (1.0, 1.0))


@settings(max_examples=40, deadline=None)
@given(rotation=st.floats(-179, 179), mirrored=st.booleans(), seed=st.integers(0, 5))
def test_rotation_and_mirroring_are_recovered_whatever_they_are(rotation, mirrored, seed):
    phase = potential(seed)
    slopes = np.stack(np.gradient(phase, *STEP))
    com = np.tensordot(detector_to_scan(rotation, mirrored).T, slopes, axes=1)
    found = find_rotation(com, in_disc=-phase, step_angstrom=STEP)
    assert found.mirrored == mirrored
    assert abs((found.rotation_deg - rotation + 180) % 360 - 180) < 0.5
    assert found.curl < 0.01 < found.curl_if_other


@pytest.mark.parametrize(("rotation", "mirrored", "counts"), [(37.0, False, None), (-126.0, True, 300)])
def test_a_whole_scan_is_calibrated(rotation, mirrored, counts):
    optics = Optics(energy_ev=200e3, semiangle_mrad=14.0)
    found = calibrate(scan_of_potential(rotation, mirrored, counts=counts), optics)
    assert found.mirrored == mirrored
    assert found.rotation_deg == pytest.approx(rotation, abs=3 if counts else 1)
    assert found.centre_px == pytest.approx((15.5, 16.75), abs=0.1)
    assert found.pixel_mrad == pytest.approx((2.0, 2.0), rel=0.02)


@settings(max_examples=30, deadline=None)
@given(
    row=st.floats(20, 28),
    col=st.floats(18, 30),
    radius=st.floats(4, 14),
    hot=st.tuples(*[st.integers(0, 47)] * 2),
)
def test_the_disc_is_found_to_a_fraction_of_a_pixel(row, col, radius, hot):
    pattern = disc((48, 48), (row, col), radius)
    found = find_disc(pattern)
    assert found.centre_px == pytest.approx((row, col), abs=0.05)
    assert found.radius_px == pytest.approx(radius, abs=0.1)
    pattern[hot] = 3.0
    assert find_disc(pattern).centre_px == pytest.approx((row, col), abs=0.5)


@pytest.mark.parametrize("pattern", [np.zeros((16, 16)), np.eye(16) * 0 + 0.0])
def test_no_disc_is_said_plainly(pattern):
    with pytest.raises(InputError, match="found no disc"):
        find_disc(pattern)


def test_a_scan_that_shows_nothing_has_no_rotation():
    with pytest.raises(InputError, match="the same value everywhere"):
        find_rotation(np.zeros((2, 8, 8)), np.ones((8, 8)), STEP)


def test_the_centre_of_mass_of_a_shifted_disc_is_its_shift():
    patterns = np.stack([disc((32, 32), (16 + 1.5, 15), 6)] * 4).reshape(2, 2, 32, 32)
    com = centre_of_mass(Scan(patterns, STEP, (2.0, 3.0)))
    assert np.allclose(com[0], 3.0, atol=1e-3)
    assert np.allclose(com[1], -3.0, atol=1e-3)


def test_a_levelled_scan_has_no_net_deflection():
    scan = level(Scan(np.random.default_rng(0).random((3, 4, 8, 9)), STEP, (2.0, 3.0)))
    assert np.allclose(centre_of_mass(scan).mean(axis=(1, 2)), 0, atol=1e-9)


def test_an_empty_pattern_has_its_centre_of_mass_at_the_beam():
    assert not centre_of_mass(Scan(np.zeros((2, 2, 8, 8)), STEP, (1.0, 1.0))).any()


ROTAVIRUS = ("rotavirus_full127_bin8_32x32", "rotavirus_crop32_bin2_128x128")


@pytest.mark.parametrize("name", ROTAVIRUS)
def test_rotavirus_is_turned_by_what_its_bright_field_shifts_say(name):
    """149.5 degrees, mirrored: the polar angle of the shifts of bright-field images against each other."""
    found = open_external(name)
    if found is None:
        pytest.skip(absence(name))
    scan, optics = found
    calibrated = calibrate(scan, optics)
    assert calibrated.mirrored
    assert calibrated.rotation_deg == pytest.approx(149.5, abs=2)
    assert calibrated.pixel_mrad == pytest.approx(scan.pixel_mrad, rel=0.02)


def test_rotavirus_shows_more_phase_where_more_is_scattered():
    found = open_external(ROTAVIRUS[1])
    if found is None:
        pytest.skip(absence(ROTAVIRUS[1]))
    scan, _ = found
    where = find_disc(mean_pattern(scan))
    rotation = find_rotation(centre_of_mass(scan), disc_intensity(scan, where), scan.step_angstrom)
    assert rotation.sign_correlation > 5 / math.sqrt(32 * 32)
    assert rotation.curl < 0.3 < 0.4 < rotation.curl_if_other
