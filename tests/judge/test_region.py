"""Images are judged on a grid that folds nothing back, and not at the edges of the scan."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.judge.region import (
    Grid,
    as_periodic,
    as_scanned,
    extent_of,
    inner_correlation,
    inner_slope,
    interior,
)
from rephase.measurement import Scan
from rephase.phase.image import PhaseImage


def wave(n, pixel, start=0.0):
    at = np.arange(n) * pixel + start
    return np.cos(2 * np.pi * at / 2.5)[:, None] + np.sin(2 * np.pi * at / 2.0)


def scan_of(shape, step):
    return Scan(np.zeros((*shape, 2, 2)), step, (1.0, 1.0))


def test_a_grid_divides_the_step_until_it_is_fine_and_ends_at_the_last_position():
    assert Grid.of(scan_of((10, 6), (0.2, 0.25))) == Grid((19, 11), (0.1, 0.125))
    assert Grid.of(scan_of((10, 6), (0.3, 0.1))) == Grid((19, 6), (0.15, 0.1))
    assert Grid.of(scan_of((3, 3), (0.3, 0.3)), 0.1).shape == (7, 7)
    with pytest.raises(InputError, match="at_most_angstrom"):
        Grid.of(scan_of((3, 3), (0.3, 0.3)), 0.0)


def test_an_image_of_any_pixel_and_origin_comes_to_lie_on_the_grid():
    grid = Grid.of(scan_of((50, 50), (0.2, 0.2)))
    image = PhaseImage(wave(80, 0.15, -0.9), (0.15, 0.15), origin_angstrom=(-0.9, -0.9))
    found = as_scanned(image, grid)
    assert found.dtype == np.float32 and abs(found.mean()) < 1e-6
    assert np.allclose(found, wave(99, 0.1) - wave(99, 0.1).mean(), atol=0.02)


def test_frequencies_beyond_the_positions_do_not_fold_into_the_image():
    """A wave of 3 per angstrom, sampled every 0.2, would pass for one of 2: it must stay where it is."""
    at = np.arange(200) * 0.11
    image = PhaseImage(np.tile(np.cos(2 * np.pi * 3.0 * at), (200, 1)), (0.11, 0.11))
    found = as_scanned(image, Grid.of(scan_of((101, 101), (0.2, 0.2))))[50]
    power = np.abs(np.fft.rfft(found[:200])) ** 2
    q = np.fft.rfftfreq(200, 0.1)
    assert power[np.abs(q - 2) < 0.2].sum() < 1e-3 * power[np.abs(q - 3) < 0.2].sum()


def test_a_periodic_image_is_its_fourier_series_with_the_period_of_its_pixels():
    """The scan's 20 steps of 0.5 are the period, also where the grid ends at the last position."""
    rng = np.random.default_rng(0)
    orders = [(1, 2, 0.3), (4, 0, 1.1), (0, 7, 2.0), (3, 5, 0.7)]
    height = rng.normal(size=4)

    def field(y, x):
        phases = [2 * np.pi * (a * y + b * x) / 10.0 + c for a, b, c in orders]
        return sum(h * np.cos(phase) for h, phase in zip(height, phases, strict=True))

    scan = scan_of((20, 20), (0.5, 0.5))
    coarse, grid = np.arange(20) * 0.5, Grid.of(scan)
    found = as_periodic(PhaseImage(field(coarse[:, None], coarse), (0.5, 0.5)), grid)
    fine = np.arange(77) * 0.125
    expected = field(fine[:, None], fine)
    assert found.dtype == np.float32
    assert np.allclose(found, expected - expected.mean(), atol=1e-5)


def test_the_slope_is_the_amplitude_whatever_the_level_and_the_edges():
    truth = wave(60, 0.2)
    image = 0.4 * truth + 3.0
    image[:4] = 100.0
    assert inner_slope(image, truth, (0.2, 0.2), 0.8) == pytest.approx(0.4)
    with pytest.raises(InputError, match="constant"):
        inner_slope(image, np.ones_like(truth), (0.2, 0.2), 0.8)


def test_edges_do_not_count():
    truth = wave(60, 0.2)
    spoilt = truth.copy()
    spoilt[:4] = spoilt[:, -4:] = 100.0
    assert inner_correlation(spoilt, truth, (0.2, 0.2), 0.8) == pytest.approx(1.0)
    assert inner_correlation(spoilt, truth, (0.2, 0.2), 0.6) < 0.5


def test_a_margin_that_leaves_nothing_is_refused():
    with pytest.raises(InputError, match="leaves 0 x 20 pixels"):
        interior((20, 40), (0.2, 0.2), 2.0)


def test_the_extent_ends_at_the_last_pixel():
    assert extent_of(np.zeros((5, 9)), (0.5, 0.25)) == (2.0, 2.0)
