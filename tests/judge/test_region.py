"""What lies at the edges of a scan is not judged."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.judge.region import as_scanned, inner_correlation, interior
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase.image import PhaseImage

OPTICS = Optics(energy_ev=300e3, semiangle_mrad=20.0)


def wave(n, pixel, start=0.0):
    at = np.arange(n) * pixel + start
    return np.cos(2 * np.pi * at / 2.5)[:, None] + np.sin(2 * np.pi * at / 2.0)


def test_an_image_of_any_pixel_and_origin_comes_to_lie_on_the_scan():
    scan = Scan(np.zeros((50, 50, 2, 2)), (0.2, 0.2), (1.0, 1.0))
    image = PhaseImage(wave(80, 0.15, -0.9), (0.15, 0.15), origin_angstrom=(-0.9, -0.9))
    assert np.allclose(as_scanned(image, scan), wave(50, 0.2) - wave(50, 0.2).mean(), atol=0.02)


def test_only_the_band_is_limited_by_the_optics():
    rng = np.random.default_rng(0)
    scan = Scan(np.zeros((64, 64, 2, 2)), (0.1, 0.1), (1.0, 1.0))
    image = PhaseImage(rng.normal(size=(64, 64)), (0.1, 0.1))
    limited = np.abs(np.fft.fft2(as_scanned(image, scan, OPTICS)))
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(64, 0.1)] * 2))
    assert limited[q > 2.05 * OPTICS.aperture_radius].max() < 1e-3 * limited.max()


def test_edges_do_not_count():
    truth = wave(60, 0.2)
    spoilt = truth.copy()
    spoilt[:4] = spoilt[:, -4:] = 100.0
    assert inner_correlation(spoilt, truth, (0.2, 0.2), 0.8) == pytest.approx(1.0)
    assert inner_correlation(spoilt, truth, (0.2, 0.2), 0.6) < 0.5


def test_a_margin_that_leaves_nothing_is_refused():
    with pytest.raises(InputError, match="leaves 0 x 20 pixels"):
        interior((20, 40), (0.2, 0.2), 2.0)
