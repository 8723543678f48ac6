"""What a scan promises about its shape, its axes and its values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.measurement import Scan, check_intensities, detector_to_scan


def scan_of(intensities, **changes):
    return Scan(intensities, **({"step_angstrom": (1.0, 1.0), "pixel_mrad": (1.0, 1.0)} | changes))


@given(angle=st.floats(-180, 180), mirrored=st.booleans())
def test_detector_to_scan_keeps_lengths_and_mirrors_when_told(angle, mirrored):
    matrix = detector_to_scan(angle, mirrored)
    assert np.allclose(matrix @ matrix.T, np.eye(2))
    assert np.linalg.det(matrix) == pytest.approx(-1 if mirrored else 1)


def test_the_position_matrix_of_the_rotavirus_scan_is_a_turn_by_149_6_degrees_mirrored():
    """From (slow, fast) to (row, col), as the notebooks print it: the transpose of ours."""
    positions = np.array([[-0.863, -0.506], [-0.506, 0.863]])
    assert np.allclose(detector_to_scan(149.6, mirrored=True).T, positions, atol=1e-3)


def test_the_phase_methods_turn_vectors_as_the_scan_says():
    scan = scan_of(np.ones((2, 2, 4, 4)), rotation_deg=149.6, mirrored=True)
    assert np.allclose(detector_to_scan(149.6, True), scan.detector_to_scan)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0])
def test_the_line_with_a_bad_intensity_is_named(bad):
    intensities = np.ones((3, 2, 4, 4))
    intensities[1, 0, 2, 2] = bad
    with pytest.raises(InputError, match=r"scan.intensities\[1\].*expected finite intensities of 0 or more"):
        check_intensities(intensities)


def test_complex_numbers_are_no_intensities():
    with pytest.raises(InputError, match="real numbers"):
        check_intensities(np.ones((2, 2, 4, 4), complex))


def test_counts_pass():
    check_intensities(np.zeros((2, 2, 4, 4), np.uint16))


@pytest.mark.parametrize("shape", [(4, 4, 4), (1, 4, 4, 4), (4, 1, 4, 4)])
def test_a_scan_of_one_line_is_none(shape):
    with pytest.raises(InputError, match="scan: found"):
        scan_of(np.ones(shape))


@pytest.mark.parametrize("key", ["step_angstrom", "pixel_mrad"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_steps_and_pixels_are_above_zero(key, value):
    with pytest.raises(InputError, match=f"scan.{key}"):
        scan_of(np.ones((2, 2, 4, 4)), **{key: (1.0, value)})


def test_the_centre_is_the_pixel_of_frequency_zero_unless_said():
    assert scan_of(np.ones((2, 2, 5, 6))).centre_px == (2.0, 3.0)
