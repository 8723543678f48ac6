"""The ceiling: exact exit waves are the specimen's, and stitch to its phase."""

import math

import numpy as np
import pytest
import torch

from rephase.microscope.multislice import scan_4d
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.ceiling import ceiling, ceiling_of_phase_object, exit_waves
from rephase.phase.exit_wave.frame import Frame, intensity

LENS = Optics(energy_ev=300e3, semiangle_mrad=20.0, cs_angstrom=1e4, defocus_angstrom=17.0)
FRAME = Frame.of_aperture(LENS, 10.0)
BOX, GRID = (13.0, 15.0), (144, 160)
WAVES = [((3, 5), 0.3), ((8, -2), 1.0), ((-6, 9), 2.2)]


def phase_at(slow, fast):
    """A periodic phase object, known at every point, in rad."""
    return sum(
        0.1 * torch.cos(2 * math.pi * (n[0] * slow / BOX[0] + n[1] * fast / BOX[1]) + start)
        for n, start in WAVES
    )


def on_grid():
    slow, fast = (torch.arange(n) * side / n for n, side in zip(GRID, BOX, strict=True))
    return phase_at(slow[:, None], fast[None, :])


def test_the_ceiling_of_a_phase_object_is_its_phase():
    image = ceiling_of_phase_object(on_grid(), BOX, FRAME, (12, 15), (0.45, 0.37))
    slow, fast = (torch.arange(n) * FRAME.pixel_angstrom for n in image.values.shape)
    assert image.values == pytest.approx(phase_at(slow[:, None], fast[None, :]).numpy(), abs=3e-3)
    assert image.details["coverage"].min() > 0


def test_without_a_specimen_the_exit_wave_is_the_probe():
    side, at = FRAME.box_angstrom, torch.tensor([[0.0, 0.0], [3.1, 7.7]])
    waves = exit_waves(torch.zeros(1, 1, *GRID), 1e-6, (side, side), at, FRAME)
    assert (waves - FRAME.probe()).abs().max() < 1e-5


def test_exit_waves_diffract_into_the_patterns_of_the_same_specimen():
    side = FRAME.box_angstrom
    slices = torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(0)) * 20
    slices = torch.nn.functional.interpolate(slices, (96, 96), mode="bicubic")
    at = torch.tensor([[2.0, 3.3]])
    wave = exit_waves(slices, 2.0, (side, side), at, FRAME)
    pattern = scan_4d(slices, 2.0, LENS, (side, side), at, (64, 64))
    assert intensity(wave)[0].numpy() == pytest.approx(pattern[0].numpy(), abs=2e-5)


def test_waves_are_averaged_over_the_configurations():
    phase = on_grid() / LENS.sigma
    pair = torch.stack([phase, torch.zeros_like(phase)])[:, None]
    at = torch.tensor([[1.0, 2.0]])
    both, *single = (exit_waves(stack, 1e-6, BOX, at, FRAME) for stack in (pair, pair[:1], pair[1:]))
    assert (both - (single[0] + single[1]) / 2).abs().max() < 1e-6
    image = ceiling(pair, 1e-6, BOX, FRAME, (3, 3), (0.4, 0.4))
    slow, fast = (torch.arange(n) * FRAME.pixel_angstrom for n in image.values.shape)
    expected = np.angle(1 + np.exp(1j * phase_at(slow[:, None], fast[None, :]).numpy()))
    assert image.values == pytest.approx(expected, abs=3e-3)
