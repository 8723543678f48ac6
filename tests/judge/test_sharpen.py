"""Sharpening makes frequencies beyond the band, and no knowledge of them."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.judge.register import band_limit
from rephase.judge.sharpen import ring_agreement, sharpened, sharpening_curve

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
