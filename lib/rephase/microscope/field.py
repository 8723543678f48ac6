"""How a periodic field of view is sampled: by the wave, by the scan, by the detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy.fft

from rephase.errors import InputError
from rephase.microscope.optics import Optics


@dataclass(frozen=True)
class Field:
    """Sampling of one period of a specimen.

    A detector pixel is one frequency step of the box, so that the scan, the
    wave and the detector fit each other without interpolation.

    Parameters
    ----------
    box_angstrom : (float, float)
        Side lengths of the period, in angstrom.
    gpts : (int, int)
        Grid points of the wave.
    scan_shape : (int, int)
        Probe positions.
    detector_shape : (int, int)
        Detector pixels.
    """

    box_angstrom: tuple[float, float]
    gpts: tuple[int, int]
    scan_shape: tuple[int, int]
    detector_shape: tuple[int, int]

    @property
    def step_angstrom(self) -> tuple[float, float]:
        """Distance of probe positions, in angstrom."""
        return self.box_angstrom[0] / self.scan_shape[0], self.box_angstrom[1] / self.scan_shape[1]

    @property
    def pixel_angstrom(self) -> tuple[float, float]:
        """Pixel of the wave, in angstrom."""
        return self.box_angstrom[0] / self.gpts[0], self.box_angstrom[1] / self.gpts[1]

    def detector_pixel_mrad(self, optics: Optics) -> tuple[float, float]:
        """Size of a detector pixel, in mrad."""
        return tuple(1e3 * optics.wavelength_angstrom / side for side in self.box_angstrom)


def sample(
    box_angstrom: tuple[float, float],
    optics: Optics,
    step_angstrom: float,
    pixel_angstrom: float,
    detector_mrad: float,
) -> Field:
    """Cover a period with the coarsest sampling that keeps the given limits.

    Parameters
    ----------
    box_angstrom : (float, float)
        Side lengths of the period, in angstrom.
    optics : Optics
        Gives the wavelength.
    step_angstrom, pixel_angstrom : float
        Largest scan step and largest pixel of the wave, in angstrom.
    detector_mrad : float
        Least half width of the detector, in mrad.

    Raises
    ------
    InputError
        If the detector would reach beyond the grid, or a length is not above 0.
    """
    for name, value in (("step_angstrom", step_angstrom), ("pixel_angstrom", pixel_angstrom)):
        if not value > 0:
            raise InputError(name, value, "a length above 0 angstrom")
    gpts = tuple(scipy.fft.next_fast_len(2 * math.ceil(side / pixel_angstrom / 2)) for side in box_angstrom)
    positions = tuple(math.ceil(side / step_angstrom - 1e-9) for side in box_angstrom)
    frequency = detector_mrad * 1e-3 / optics.wavelength_angstrom
    pixels = tuple(2 * math.ceil(frequency * side) for side in box_angstrom)
    if any(p > g for p, g in zip(pixels, gpts, strict=True)):
        raise InputError(
            "detector_mrad", detector_mrad, f"a detector within the wave's grid of {gpts} points"
        )
    return Field(tuple(map(float, box_angstrom)), gpts, positions, pixels)
