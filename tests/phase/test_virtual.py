import h5py
import numpy as np
import pytest

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.phase.virtual import VirtualSettings, reconstruct


@pytest.fixture(scope="module")
def flat():
    """One electron spread evenly over a detector that reaches four times the semi-angle."""
    return Scan(np.full((3, 2, 81, 81), 1 / 81**2), (0.2, 0.3), (2.0, 2.0), centre_px=(40.0, 40.0))


def image(scan, lens, **settings):
    return reconstruct(scan, lens, VirtualSettings(**settings)).values


def test_bands_of_an_even_pattern_are_their_areas(flat, lens):
    # pi (outer^2 - inner^2) over the detector's area, radii in units of 20 mrad
    for name, inner, outer in (("BF", 0, 1), ("ABF", 0.5, 1), ("LAADF", 1, 3), ("HAADF", 3, 4.05)):
        area = np.pi * (outer**2 - inner**2) * 20**2 / 162**2
        assert np.allclose(image(flat, lens, detector=name), area, rtol=0.01)


def test_bands_share_no_electron_and_miss_none(lens, weak):
    scan, _ = weak
    parts = [(0, 0.5), (0.5, 1), (1, 1.7), (1.7, 1.95)]
    total = sum(image(scan, lens, inner=inner, outer=outer) for inner, outer in parts)
    assert np.allclose(total, image(scan, lens, outer=1.95), atol=1e-12)
    assert np.allclose(total, 1, atol=1e-4)  # a weak object scatters hardly anything beyond
    ring = image(scan, lens, detector="BF") - image(scan, lens, detector="ABF")
    assert np.allclose(ring, image(scan, lens, outer=0.5), atol=1e-12)


def test_angles_in_mrad_and_in_apertures_agree(lens, weak):
    scan, _ = weak
    assert np.array_equal(
        image(scan, lens, inner=10, outer=30, unit="mrad"), image(scan, lens, inner=0.5, outer=1.5)
    )


def test_counts_give_fractions_of_the_mean_beam(flat, lens):
    counts = np.array(flat.intensities) * 5000
    counts[0] *= 2
    bright = image(flat.with_intensities(counts, unit="electrons"), lens)
    even = image(flat, lens)
    assert np.allclose(bright[0], 1.5 * even[0]) and np.allclose(bright[1:], 0.75 * even[1:])


def test_a_data_set_on_disk_is_read_line_by_line(lens, weak, tmp_path):
    scan, _ = weak
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        stored = scan.with_intensities(file.create_dataset("data", data=scan.intensities))
        assert np.array_equal(image(stored, lens), image(scan, lens))


def test_result_says_what_it_is(flat, lens):
    result = reconstruct(flat, lens, VirtualSettings(detector="HAADF"))
    assert result.unit == "fraction" and result.pixel_angstrom == (0.2, 0.3)
    assert result.details["band_mrad"] == pytest.approx((60.0, 81.0))


def test_bands_that_the_detector_does_not_hold_are_named(flat, lens):
    with pytest.raises(InputError, match="radii between 0 and 81 mrad"):
        image(flat, lens, inner=1, outer=5)
    with pytest.raises(InputError, match="bright-field disk"):
        image(flat.with_intensities(flat.intensities[:, :, 32:50], centre_px=None), lens)
