"""Stitching: perfect exit waves of a phase object give its phase back."""

import math

import numpy as np
import pytest
import torch

from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.exit_wave.patches import Stitching

FRAME = Frame.of_aperture(
    Optics(energy_ev=300e3, semiangle_mrad=20.0, cs_angstrom=1e4, defocus_angstrom=17.0), 10.0
)
PIXEL = FRAME.pixel_angstrom
WAVES = [((0.42, 0.13), 0.3), ((-0.21, 0.55), 1.1), ((0.08, -0.3), 2.0), ((0.7, 0.6), 4.0)]


def phase_at(slow, fast):
    """A phase object of a few plane waves, known at every point, in rad."""
    return sum(0.12 * np.cos(2 * math.pi * (k[0] * slow + k[1] * fast) + start) for k, start in WAVES)


def exit_waves(scan_shape, step, phase=phase_at, size=SIZE):
    """Probe times object at each position of a scan, in order."""
    axis = (np.arange(size) - size // 2) * PIXEL
    slow, fast = (i.ravel() * s for i, s in zip(np.indices(scan_shape), step, strict=True))
    phi = phase((slow[:, None] + axis)[:, :, None], (fast[:, None] + axis)[:, None, :])
    return probe(size) * torch.from_numpy(np.exp(1j * phi)).to(torch.complex64)


def probe(size=SIZE):
    first = (SIZE - size) // 2
    return FRAME.probe()[first : first + size, first : first + size]


def stitched(scan_shape, step, threshold=0.1, phase=phase_at, size=SIZE):
    stitching = Stitching(probe(size), PIXEL, scan_shape, step, threshold)
    stitching.add(exit_waves(scan_shape, step, phase, size), torch.arange(math.prod(scan_shape)))
    return stitching.image()


def truth(image, phase=phase_at):
    slow, fast = (np.arange(n) * PIXEL for n in image.values.shape)
    return phase(slow[:, None], fast[None, :])


@pytest.mark.parametrize(
    "step, band_rad",
    [((2 * PIXEL, 3 * PIXEL), 1e-6), ((0.31, 0.27), 1e-3), ((0.5, 0.11), 1e-3)],
    ids=["whole pixels", "between pixels", "fine and coarse"],
)
@pytest.mark.parametrize("size", [64, 32])
def test_perfect_exit_waves_give_the_phase_of_the_object(step, band_rad, size):
    image = stitched((9, 13), step, size=size)
    assert image.values.shape == tuple(
        round((n - 1) * s / PIXEL) + 1 for n, s in zip((9, 13), step, strict=True)
    )
    assert image.details["coverage"].min() > 0
    assert image.values == pytest.approx(truth(image), abs=band_rad * (1 if size == 64 else 5))


def test_a_constant_phase_is_kept():
    image = stitched((6, 6), (0.3, 0.3), phase=lambda slow, fast: 1.1 + 0 * (slow + fast))
    assert image.values == pytest.approx(np.full_like(image.values, 1.1), abs=1e-5)


def test_the_sum_does_not_depend_on_how_it_was_added_up():
    shape, step = (5, 8), (0.33, 0.21)
    waves, order = exit_waves(shape, step), torch.randperm(40, generator=torch.Generator().manual_seed(0))
    stitching = Stitching(probe(), PIXEL, shape, step)
    for part in order.split(7):
        stitching.add(waves[part], part)
    whole = stitched(shape, step)
    assert stitching.image().values == pytest.approx(whole.values, abs=1e-6)
    assert stitching.image().details["coverage"] == pytest.approx(whole.details["coverage"], abs=1e-6)


def test_the_weights_are_the_probes_intensity_above_a_tenth():
    image = stitched((2, 2), (20 * PIXEL, 20 * PIXEL))
    intensity = probe().abs().square().numpy()
    expected = np.where(intensity > 0.1 * intensity.max(), intensity, 0)
    assert image.details["coverage"][:10, :10] == pytest.approx(expected[32:42, 32:42], abs=1e-6)


@pytest.mark.parametrize("threshold, wider", [(0.5, False), (0.01, True)])
def test_a_lower_threshold_uses_more_of_the_probe(threshold, wider):
    used, usual = (
        np.count_nonzero(stitched((2, 2), (30 * PIXEL, 30 * PIXEL), t).details["coverage"])
        for t in (threshold, 0.1)
    )
    assert (used > usual) == wider


def test_a_step_beyond_the_patches_leaves_blanks():
    image = stitched((3, 3), (2.5, 2.5))
    blank = image.details["coverage"] == 0
    assert 0.3 < blank.mean() < 0.9
    assert np.all(image.values[blank] == 0)
    assert image.values[~blank] == pytest.approx(truth(image)[~blank], abs=2e-3)
