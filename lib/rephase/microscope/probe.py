"""The electron probe as a wave on a periodic grid."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float

from rephase.errors import InputError
from rephase.microscope.grid import antialias_cutoff, frequencies, pixel_size
from rephase.microscope.optics import Optics, aberration_phase, aperture


def check_aperture(optics: Optics, pixel_angstrom: tuple[float, float]) -> None:
    """Refuse a grid whose antialiased band does not hold the aperture.

    Raises
    ------
    InputError
        If the aperture reaches beyond 2/3 of the grid's Nyquist frequency.
    """
    if optics.aperture_radius > antialias_cutoff(pixel_angstrom):
        limit = 1e3 * antialias_cutoff(pixel_angstrom) * optics.wavelength_angstrom
        raise InputError(
            "optics.semiangle_mrad",
            f"{optics.semiangle_mrad:g} mrad on pixels of {max(pixel_angstrom):.3g} angstrom",
            f"at most {limit:.3g} mrad (2/3 of Nyquist), or smaller pixels",
        )


def probe_spectrum(
    optics: Optics,
    shape: tuple[int, int],
    box_angstrom: tuple[float, float],
    soft: bool = True,
    dtype: torch.dtype = torch.complex64,
    device: torch.device | str | None = None,
) -> Complex[torch.Tensor, "row col"]:
    """The probe at the origin in k space, ``A(k) exp(-i chi(k))``, with sum |.|^2 = 1.

    Parameters
    ----------
    optics : Optics
    shape : (int, int)
        Grid points along axes 0 and 1.
    box_angstrom : (float, float)
        Side lengths of the periodic box, in angstrom.
    soft : bool
        Whether the aperture's edge is one frequency step wide, as in abTEM, or hard.
    dtype : torch.dtype
        complex64 or complex128; the phase is computed in double precision either way.
    device : optional
        Where to compute.

    Returns
    -------
    tensor (row, col)
        Frequencies in FFT order.

    Raises
    ------
    InputError
        If the aperture reaches beyond the antialiased band of the grid.
    """
    pixel = pixel_size(box_angstrom, shape)
    check_aperture(optics, pixel)
    ky, kx = frequencies(shape, pixel, torch.float64, device)
    edge = (1 / box_angstrom[0], 1 / box_angstrom[1]) if soft else None
    amplitude = aperture(optics, ky, kx, edge)
    amplitude = amplitude / torch.linalg.vector_norm(amplitude)
    return torch.polar(amplitude, -aberration_phase(optics, ky, kx)).to(dtype)


def probe(
    optics: Optics,
    shape: tuple[int, int],
    box_angstrom: tuple[float, float],
    positions: Float[torch.Tensor, "batch 2"] | None = None,
    soft: bool = True,
    dtype: torch.dtype = torch.complex64,
    device: torch.device | str | None = None,
) -> Complex[torch.Tensor, "batch row col"]:
    """Probes in real space, normalised so that ``sum |fft2(probe)|^2 = 1``.

    Parameters
    ----------
    positions : tensor (batch, 2), optional
        Centres along (axis 0, axis 1), in angstrom; one probe at (0, 0) by default.
    optics, shape, box_angstrom, soft, dtype, device
        As for `probe_spectrum`.

    Raises
    ------
    InputError
        If the aperture reaches beyond the antialiased band of the grid.
    """
    spectrum = probe_spectrum(optics, shape, box_angstrom, soft, torch.complex128, device)
    if positions is None:
        positions = torch.zeros(1, 2)
    at = positions.to(spectrum.device, torch.float64)[..., None, None]
    pixel = pixel_size(box_angstrom, shape)
    ky, kx = frequencies(shape, pixel, torch.float64, spectrum.device)
    ramp = torch.exp(-2j * math.pi * (ky * at[:, 0] + kx * at[:, 1]))
    return torch.fft.ifft2(spectrum * ramp).to(dtype)
