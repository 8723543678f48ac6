"""Sharpening makes frequencies beyond the band, and no knowledge of them."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.judge.frequency import tapered
from rephase.judge.region import Grid, as_periodic
from rephase.judge.register import band_limit
from rephase.judge.sharpen import highest_frequency, ring_agreement, sharpened, sharpening_curve
from rephase.phase.image import PhaseImage

PIXEL = (0.1, 0.1)


def peaks(places, width=0.25, side=12.8):
    axis = np.arange(128) * 0.1
    gaps = [(axis[:, None] - p + side / 2) % side - side / 2 for p in places.T]
    profile = [np.exp(-(g**2) / 2 / width**2) for g in gaps]
    return profile[0] @ profile[1].T


def test_on_a_lattice_sharpening_looks_like_super_resolution():
    lattice = np.stack(np.meshgrid(*[np.arange(8) * 1.6] * 2), -1).reshape(-1, 2)
    truth = peaks(lattice)
    noise = 1e-4 * np.random.default_rng(0).normal(size=truth.shape)
    limited = band_limit(truth, PIXEL, 0.7) + noise
    curve = sharpening_curve(limited, truth)
    assert abs(ring_agreement(limited, truth, PIXEL, 0.75, 1.3)) < 0.1
    assert ring_agreement(sharpened(limited, curve), truth, PIXEL, 0.75, 1.3) > 0.3


def test_where_the_band_says_nothing_of_what_lies_beyond_sharpening_knows_nothing():
    truth = band_limit(np.random.default_rng(1).normal(size=(256, 256)), PIXEL, 1.4)
    limited = band_limit(truth, PIXEL, 0.7)
    other = sharpened(limited, sharpening_curve(limited, truth))
    assert abs(ring_agreement(other, truth, PIXEL, 0.75, 1.3)) < 0.1


def atom_pairs(seed):
    """Truth and its band below 2.03 per angstrom, on pixels of 0.05 angstrom."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0, 12.8, (12, 2))
    lean, turns = rng.uniform(0.25, 0.7, (12, 1)), rng.uniform(0, 2 * np.pi, 12)
    arms = lean * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    axis = np.arange(256) * 0.05
    places = np.concatenate([middles + arms, middles - arms])
    gaps = [(axis[:, None] - p + 6.4) % 12.8 - 6.4 for p in places.T]
    profile = [np.exp(-(g**2) / 2 / 0.16**2) for g in gaps]
    truth = profile[0] @ profile[1].T
    return truth, band_limit(truth, (0.05, 0.05), 2.03)


def control_agreement(step):
    """The ring agreement just beyond the band of one field, sharpened by a curve from another."""
    grid = Grid((round(12.8 / step),) * 2, (step, step))
    fitted, judged = (
        [as_periodic(PhaseImage(image, (0.05, 0.05)), grid) for image in atom_pairs(s)] for s in (0, 1)
    )
    control = sharpened(judged[1], sharpening_curve(fitted[1], fitted[0]))
    return ring_agreement(tapered(control), tapered(judged[0]), (step, step), 2.03, 2.5)


def test_on_a_fine_grid_the_control_does_not_depend_on_the_grid():
    fine = control_agreement(0.1)
    assert control_agreement(0.05) == pytest.approx(fine, abs=0.01)
    assert control_agreement(0.2) < fine - 0.02


def test_an_image_agrees_with_the_truth_up_to_where_its_noise_begins():
    rng = np.random.default_rng(2)
    truth, noise = rng.normal(size=(2, 128, 128))
    image = band_limit(truth, PIXEL, 1.2) + noise - band_limit(noise, PIXEL, 1.2)
    assert highest_frequency(image, truth, PIXEL) == pytest.approx(1.2, abs=0.1)
    assert highest_frequency(noise, truth, PIXEL, lowest=0.3) == 0.0
    assert highest_frequency(truth, truth, PIXEL) == pytest.approx(5.0, abs=0.1)


def test_low_frequencies_that_no_method_sees_may_be_left_out():
    rng = np.random.default_rng(3)
    truth, noise = rng.normal(size=(2, 128, 128))
    swap = noise - truth
    image = truth + band_limit(swap, PIXEL, 0.3) + swap - band_limit(swap, PIXEL, 1.5)
    assert highest_frequency(image, truth, PIXEL) == 0.0
    assert highest_frequency(image, truth, PIXEL, lowest=0.4) == pytest.approx(1.5, abs=0.1)
    with pytest.raises(InputError, match="lowest"):
        highest_frequency(image, truth, PIXEL, lowest=9.0)


def test_a_curve_fitted_to_itself_changes_nothing():
    image = np.random.default_rng(0).normal(size=(32, 32))
    assert np.allclose(sharpened(image, sharpening_curve(image, image)), image)


def test_beyond_the_range_of_the_fit_the_curve_is_constant():
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    curve = sharpening_curve(ramp, ramp**3)
    assert np.allclose(sharpened(ramp + 5, curve), 1.0)


def test_rings_outside_the_image_are_refused():
    image = np.random.default_rng(0).normal(size=(32, 32))
    with pytest.raises(InputError, match="rings: found none"):
        ring_agreement(image, image, PIXEL, 6.0, 7.0)
