"""All methods on one grid and in one band, at every dose."""

import numpy as np
import pytest

from rephase.judge.ladder import INFINITE, climb, label, truth_on_scan
from rephase.microscope.acquire import acquire_phase_object, scan_of, white_noise_phase
from rephase.microscope.field import sample
from rephase.microscope.optics import Optics

LENS = Optics(energy_ev=300e3, semiangle_mrad=20)
FIELD = sample((6.0, 6.0), LENS, 0.246, 0.11, 62.0)


@pytest.fixture(scope="module")
def ladder():
    phase = white_noise_phase(FIELD, 0.02, 1.6 * LENS.aperture_radius, seed=0)
    patterns = acquire_phase_object(phase, {"focus": LENS}, FIELD, "cpu")["focus"]
    scan = scan_of(patterns, FIELD, LENS, {})
    methods = {"icom": {}, "ssb_normalised": {"soft": False}}
    return truth_on_scan(phase, FIELD.pixel_angstrom, scan, LENS), climb(
        scan, LENS, methods, [1e4, 1e6, INFINITE], 3
    )


def test_the_noise_free_image_of_a_weak_object_is_the_truth(ladder):
    truth, images = ladder
    error = np.linalg.norm(images["ssb_normalised/infinite"][0] - truth) / np.linalg.norm(truth)
    assert error < 0.02


def test_noise_falls_as_one_over_the_root_of_the_dose(ladder):
    _, images = ladder
    low, high = (images[f"icom/{label(dose)}"].std(0).mean() for dose in (1e4, 1e6))
    assert low / high == pytest.approx(10, rel=0.2)


def test_seeds_differ_and_infinite_dose_is_done_once(ladder):
    _, images = ladder
    assert not np.array_equal(*images["icom/1e+04"][:2])
    assert images["icom/infinite"].shape[0] == 1


def test_nothing_is_left_outside_the_common_band(ladder):
    for image in (ladder[0], *ladder[1]["icom/1e+04"]):
        power = np.abs(np.fft.fft2(image)) ** 2
        axes = (np.fft.fftfreq(n, s) for n, s in zip(FIELD.scan_shape, FIELD.step_angstrom, strict=True))
        q = np.hypot(*np.meshgrid(*axes, indexing="ij"))
        assert power[q > 2.02 * LENS.aperture_radius].max() < 1e-9 * power.max()
