import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.judge.frequency import radial_frequency
from rephase.judge.register import band_limit, on_grid, registered, shift_between, shifted
from rephase.phase.image import PhaseImage

SIDES = (6.0, 8.0)


def smooth(shape, at_origin=(0.0, 0.0)):
    """A periodic field of known values everywhere, sampled from a given origin."""
    r = [o + np.arange(n) * side / n for n, side, o in zip(shape, SIDES, at_origin, strict=True)]
    y, x = np.meshgrid(*r, indexing="ij")
    return (
        1.5
        + np.cos(2 * np.pi * (2 * y / SIDES[0] + x / SIDES[1]))
        + 0.5 * np.sin(2 * np.pi * (3 * x / SIDES[1] - y / SIDES[0]))
    )


def image_of(shape, origin=(0.0, 0.0)):
    pixel = (SIDES[0] / shape[0], SIDES[1] / shape[1])
    return PhaseImage(smooth(shape, origin), pixel, origin, details={"kept": True})


@given(shift=st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
@settings(max_examples=15, deadline=None)
def test_registration_finds_a_sub_pixel_shift(shift):
    rng = np.random.default_rng(0)
    reference = band_limit(rng.normal(size=(64, 48)), (1.0, 1.0), 0.25) + 7
    moved = shifted(reference, shift) + rng.normal(scale=0.02, size=reference.shape)
    found = shift_between(moved, reference)
    assert np.abs(np.add(found, shift)).max() <= 0.02
    assert np.abs(registered(moved, reference) - reference).std() < 0.05


def test_a_shift_of_whole_pixels_is_a_roll():
    image = np.random.default_rng(1).normal(size=(9, 12))
    np.testing.assert_allclose(shifted(image, (2.0, -3.0)), np.roll(image, (2, -3), (0, 1)), atol=1e-12)


@given(cutoff=st.floats(0.05, 4), pixel=st.tuples(st.floats(0.1, 0.5), st.floats(0.1, 0.5)))
@settings(max_examples=25, deadline=None)
def test_a_band_limit_keeps_exactly_the_power_inside(cutoff, pixel):
    image = np.random.default_rng(2).normal(size=(30, 41))
    cut = band_limit(image, pixel, cutoff)
    power = np.abs(np.fft.fft2(image, norm="ortho")) ** 2
    inside = radial_frequency(image.shape, pixel) <= cutoff
    assert np.sum(cut**2) == pytest.approx(power[inside].sum())
    np.testing.assert_allclose(np.sum((image - cut) ** 2), power[~inside].sum(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(band_limit(cut, pixel, cutoff), cut, atol=1e-12)


@pytest.mark.parametrize("origin", [(0.0, 0.0), (0.4, -0.7)])
@pytest.mark.parametrize("shape", [(24, 40), (17, 23), (12, 9)])
def test_a_periodic_image_is_resampled_exactly(shape, origin):
    resampled = on_grid(image_of((15, 20), origin), shape, (SIDES[0] / shape[0], SIDES[1] / shape[1]))
    np.testing.assert_allclose(resampled.values, smooth(shape), atol=1e-12)
    assert resampled.origin_angstrom == (0.0, 0.0)
    assert resampled.pixel_angstrom == (SIDES[0] / shape[0], SIDES[1] / shape[1])
    assert resampled.details == {"kept": True}


def test_what_the_new_grid_cannot_hold_is_left_out_and_not_aliased():
    image = image_of((30, 40))
    coarse = on_grid(image, (15, 5), (SIDES[0] / 15, SIDES[1] / 5))
    y, x = np.meshgrid(np.arange(15) * SIDES[0] / 15, np.arange(5) * SIDES[1] / 5, indexing="ij")
    expected = 1.5 + np.cos(2 * np.pi * (2 * y / SIDES[0] + x / SIDES[1]))
    np.testing.assert_allclose(coarse.values, expected, atol=1e-12)


def test_a_field_that_is_not_periodic_is_resampled_by_a_spline():
    y, x = np.meshgrid(np.arange(40) * 0.1, np.arange(50) * 0.1, indexing="ij")
    image = PhaseImage(2 + 0.3 * y - 0.2 * x + 0.1 * np.sin(y * x), (0.1, 0.1))
    finer = on_grid(image, (70, 90), (0.05, 0.05), periodic=False)
    y, x = np.meshgrid(np.arange(70) * 0.05, np.arange(90) * 0.05, indexing="ij")
    inner = (slice(6, -6), slice(6, -6))
    expected = 2 + 0.3 * y - 0.2 * x + 0.1 * np.sin(y * x)
    np.testing.assert_allclose(finer.values[inner], expected[inner], atol=1e-3)


def test_wrong_input_is_refused():
    image = image_of((15, 20))
    with pytest.raises(InputError, match="within the image's 0 to 14"):
        on_grid(image, (40, 20), (0.4, 0.4), periodic=False)
    with pytest.raises(InputError, match="pixel_angstrom"):
        on_grid(image, (40, 20), (0.0, 0.4))
    with pytest.raises(InputError, match="cutoff"):
        band_limit(image.values, image.pixel_angstrom, 0.0)
    with pytest.raises(InputError, match="shape"):
        shift_between(image.values, image.values[1:])
