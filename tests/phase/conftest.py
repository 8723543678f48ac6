"""Scans of known phase objects, straight from the definition of the experiment."""

import math

import numpy as np
import pytest
import torch

from rephase.measurement import Scan
from rephase.microscope.optics import Optics, aberration_phase, aperture
from rephase.microscope.probe import probe_spectrum

IDENTITY = np.eye(2)


def phase_object_scan(
    phase: np.ndarray,
    optics: Optics,
    step: tuple[float, float],
    every: tuple[int, int] = (1, 1),
    soft: bool = True,
) -> Scan:
    """Scan a periodic phase object, position by position; the detector pixel is 1 / box."""
    shape, box = phase.shape, tuple(n * s for n, s in zip(phase.shape, step, strict=True))
    probe = np.fft.ifft2(probe_spectrum(optics, shape, box, soft, torch.complex128).numpy())
    transmission = np.exp(1j * phase)
    positions = [range(0, n, e) for n, e in zip(shape, every, strict=True)]
    patterns = np.empty((*map(len, positions), *shape))
    for i, row in enumerate(positions[0]):
        for j, col in enumerate(positions[1]):
            wave = np.fft.fft2(np.roll(probe, (row, col), (0, 1)) * transmission)
            patterns[i, j] = np.fft.fftshift(np.abs(wave) ** 2)
    pixel = tuple(1e3 * optics.wavelength_angstrom / side for side in box)
    return Scan(patterns, tuple(s * e for s, e in zip(step, every, strict=True)), pixel)


def noise_phase(
    shape: tuple[int, int], step: tuple[float, float], cutoff: float, rms: float, seed: int = 0
) -> np.ndarray:
    """White noise up to a cut-off frequency, in rad."""
    q = np.hypot(np.fft.fftfreq(shape[0], step[0])[:, None], np.fft.fftfreq(shape[1], step[1]))
    spectrum = np.fft.fft2(np.random.default_rng(seed).normal(size=shape)) * ((q > 0) & (q < cutoff))
    phase = np.fft.ifft2(spectrum).real
    return phase * rms / phase.std()


def three_beam_scan(
    optics: Optics,
    q: tuple[float, float],
    amplitude: float,
    scan_shape: tuple[int, int],
    step: tuple[float, float],
    detector_shape: tuple[int, int],
    pixel_mrad: tuple[float, float],
    to_scan: np.ndarray = IDENTITY,
    **calibration,
) -> tuple[Scan, np.ndarray]:
    """Linear image of ``amplitude cos(2 pi q.r)`` on a detector whose (row, col) ``to_scan`` turns.

    Returns the scan and the phase at its positions.
    """
    per_mrad = 1e-3 / optics.wavelength_angstrom
    axes = [(np.arange(n) - n // 2) * p * per_mrad for n, p in zip(detector_shape, pixel_mrad, strict=True)]
    k = np.stack(np.meshgrid(*axes, indexing="ij"))
    edge = (pixel_mrad[0] * per_mrad, pixel_mrad[1] * per_mrad)

    def wave(k: np.ndarray) -> np.ndarray:
        chi = aberration_phase(optics, *torch.tensor(np.tensordot(to_scan, k, axes=1)))
        return (aperture(optics, *torch.tensor(k), edge) * torch.exp(-1j * chi)).numpy()

    shift = (to_scan.T @ q)[:, None, None]
    here, minus, plus = wave(k), wave(k - shift), wave(k + shift)
    positions = np.meshgrid(*(np.arange(n) * s for n, s in zip(scan_shape, step, strict=True)), indexing="ij")
    turn = 2 * math.pi * (q[0] * positions[0] + q[1] * positions[1])
    gamma = here.conj() * minus - here * plus.conj()
    beam = (np.abs(here) ** 2).sum()
    modulation = (1j * amplitude * gamma * np.exp(1j * turn)[..., None, None]).real
    patterns = (np.abs(here) ** 2 + modulation) / beam
    return Scan(patterns, step, pixel_mrad, **calibration), amplitude * np.cos(turn)


@pytest.fixture(scope="session")
def scanning():
    """The makers of scans, by name."""
    return {"phase_object": phase_object_scan, "noise": noise_phase, "three_beam": three_beam_scan}


@pytest.fixture(scope="session")
def lens() -> Optics:
    """A probe whose bright-field disk is 11 pixels in radius for a box of 10.8 angstrom."""
    return Optics(energy_ev=300e3, semiangle_mrad=20.0)


@pytest.fixture(scope="session")
def weak(lens):
    """A weak phase object of 48 x 40 positions on rectangular pixels, in focus: (scan, phase)."""
    step = (0.225, 0.24)
    phase = noise_phase((48, 40), step, 1.8 * lens.aperture_radius, rms=2e-3)
    return phase_object_scan(phase, lens, step), phase
