"""The square grid on which a network sees patterns and returns exit waves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe

SIZE = 64
KERNEL = tuple((row, col) for row in (-1, 0, 1) for col in (-1, 0, 1))
"""Neighbours of a scan position in the order of a kernel's patterns; the position itself is the fifth."""


@dataclass(frozen=True)
class Frame:
    """A periodic square around one probe, and the diffraction plane that belongs to it.

    Real space has the probe's centre at pixel ``(32, 32)`` of 64 x 64; the
    diffraction plane has the undeflected beam there. One pixel of it is
    ``1 / box``, so the aperture's radius in pixels is ``box * semiangle / wavelength``.

    Parameters
    ----------
    optics : Optics
    box_angstrom : float
        Side of the square.

    Raises
    ------
    InputError
        If the diffraction plane does not hold the aperture.
    """

    optics: Optics
    box_angstrom: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.box_angstrom) and 1 <= self.aperture_px < SIZE / 2):
            found = f"{self.box_angstrom:g} angstrom, an aperture of {self.aperture_px:.3g} px"
            raise InputError("frame.box_angstrom", found, f"a radius of 1 to {SIZE // 2} px")

    @classmethod
    def of_aperture(cls, optics: Optics, aperture_px: float) -> Frame:
        """The frame in which the aperture has this radius in pixels."""
        return cls(optics, aperture_px / optics.aperture_radius)

    @property
    def aperture_px(self) -> float:
        """Radius of the aperture in pixels of the diffraction plane."""
        return self.box_angstrom * self.optics.aperture_radius

    @property
    def pixel_angstrom(self) -> float:
        """Pixel size in real space."""
        return self.box_angstrom / SIZE

    @property
    def pixel_mrad(self) -> float:
        """Pixel size in the diffraction plane."""
        return 1e3 * self.optics.wavelength_angstrom / self.box_angstrom

    def probe(self, device: torch.device | str | None = None) -> Complex[torch.Tensor, "64 64"]:
        """The incident wave in real space, ``sum |psi|^2 = 1``."""
        box = (self.box_angstrom, self.box_angstrom)
        wave = probe(self.optics, (SIZE, SIZE), box, dtype=torch.complex128, device=device)[0]
        return torch.fft.fftshift(wave * SIZE).to(torch.complex64)


def diffracted(wave: Complex[torch.Tensor, "*batch row col"]) -> Complex[torch.Tensor, "*batch row col"]:
    """Fourier transform of waves, both planes with their origin in the middle; keeps ``sum |psi|^2``."""
    shifted = torch.fft.fft2(torch.fft.ifftshift(wave, dim=(-2, -1)), norm="ortho")
    return torch.fft.fftshift(shifted, dim=(-2, -1))


def focused(spectrum: Complex[torch.Tensor, "*batch row col"]) -> Complex[torch.Tensor, "*batch row col"]:
    """The inverse of `diffracted`."""
    shifted = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1)), norm="ortho")
    return torch.fft.fftshift(shifted, dim=(-2, -1))


def intensity(wave: Complex[torch.Tensor, "*batch row col"]) -> Float[torch.Tensor, "*batch row col"]:
    """Diffraction patterns of waves, in fractions of the beam if ``sum |psi|^2 = 1``."""
    return diffracted(wave).abs().square()
