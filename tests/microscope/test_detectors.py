"""Virtual detectors partition the detector, have the right area, and sit where they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.detectors import annulus, bright_field, disk, largest_angle, segments
from rephase.microscope.optics import Optics


def scan(pixels=(40, 44), pixel_mrad=(1.0, 1.25), centre_px=None) -> Scan:
    return Scan(np.zeros((2, 2, *pixels), np.float32), (0.5, 0.5), pixel_mrad, centre_px)


radii = st.floats(0.5, 19).flatmap(lambda inner: st.tuples(st.just(inner), st.floats(inner + 0.1, 19.5)))


@given(limits=radii, count=st.integers(1, 8), rotation=st.floats(-720, 720), subpixels=st.integers(1, 4))
def test_segments_add_up_to_their_annulus(limits, count, rotation, subpixels):
    parts = segments(scan(), *limits, count, rotation, subpixels)
    np.testing.assert_allclose(parts.sum(0), annulus(scan(), *limits, subpixels), atol=1e-12)
    assert parts.min() >= 0 and parts.max() <= 1


@given(limits=radii, subpixels=st.integers(1, 4))
def test_a_disk_and_its_surround_partition_the_larger_disk(limits, subpixels):
    inner, outer = limits
    both = disk(scan(), inner, subpixels) + annulus(scan(), inner, outer, subpixels)
    np.testing.assert_allclose(both, disk(scan(), outer, subpixels), atol=1e-12)


@given(limits=radii.filter(lambda r: r[1] - r[0] > 1), dy=st.floats(-0.5, 0.5), dx=st.floats(-0.5, 0.5))
def test_area_and_centre_of_an_annulus(limits, dy, dx):
    inner, outer = limits
    mask = annulus(scan(centre_px=(19.5 + dy, 22 + dx)), *limits, subpixels=8)
    area = mask.sum() * 1.0 * 1.25
    edge = 2 * np.pi * (inner + outer)
    assert area == pytest.approx(np.pi * (outer**2 - inner**2), abs=0.02 * edge)
    rows, cols = np.indices(mask.shape)
    assert (mask * rows).sum() / mask.sum() == pytest.approx(19.5 + dy, abs=0.2)
    assert (mask * cols).sum() / mask.sum() == pytest.approx(22 + dx, abs=0.2)


@given(rotation=st.floats(-180, 180), count=st.integers(2, 6))
def test_segments_point_where_they_are_turned(rotation, count):
    parts = segments(scan(pixel_mrad=(1.0, 1.0)), 5.0, 19.0, count, rotation, subpixels=8)
    rows, cols = np.indices(parts.shape[1:]) - np.array([20, 22])[:, None, None]
    azimuth = np.degrees(np.arctan2((parts * cols).sum((1, 2)), (parts * rows).sum((1, 2))))
    middle = rotation + (np.arange(count) + 0.5) * 360 / count
    assert np.abs((azimuth - middle + 180) % 360 - 180).max() < 1
    assert parts.sum((1, 2)) == pytest.approx(parts.sum() / count, rel=0.03)


def test_the_first_quadrant_has_positive_row_and_column_angles():
    rows, cols = np.nonzero(segments(scan(), 0.0, 10.0, subpixels=1)[0])
    assert rows.min() == 20 and cols.min() >= 22


def test_bright_field_is_the_disk_of_the_aperture():
    optics = Optics(energy_ev=3e5, semiangle_mrad=15)
    np.testing.assert_array_equal(bright_field(scan(), optics), disk(scan(), 15.0))


def test_without_an_outer_radius_the_annulus_reaches_the_edge():
    assert largest_angle(scan()) == pytest.approx(19.5)
    np.testing.assert_array_equal(annulus(scan(), 3.0), annulus(scan(), 3.0, 19.5))


def test_a_detector_smaller_than_the_bright_field_disk_is_refused():
    optics = Optics(energy_ev=3e5, semiangle_mrad=20)
    with pytest.raises(InputError, match="reaches 19.5 mrad, expected one that holds .* of 20 mrad"):
        bright_field(scan(), optics)


@pytest.mark.parametrize("limits", [(5.0, 5.0), (7.0, 6.0), (-1.0, 5.0), (0.0, 25.0)])
def test_radii_that_make_no_detector_are_refused(limits):
    with pytest.raises(InputError, match="ordered radii between 0 and 19.5 mrad"):
        annulus(scan(), *limits)
