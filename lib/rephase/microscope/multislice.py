"""Multislice: a wave passes a specimen slice by slice, in torch, batched and differentiable.

Each slice multiplies the wave by its transmission function and lets it propagate
through the slice's thickness (Kirkland 2010, Ch. 6):

    psi_(n+1) = F^-1 [ M(k) exp(-i pi wavelength dz_n k^2) F [ t_n psi_n ] ]
    t_n       = F^-1 [ M(k) F [ exp(i sigma V_n) ] ]

with M the antialiasing aperture. Functions broadcast over leading axes, follow the
precision and device of the slices, and return on that device.

On a CPU that other processes keep busy, set ``OMP_WAIT_POLICY=PASSIVE``: threads
that spin while they wait for each other slow this code down severalfold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Complex, Float

from rephase.errors import InputError
from rephase.microscope.grid import antialias_mask, frequencies, pixel_size
from rephase.microscope.optics import Optics, interaction_parameter, wavelength
from rephase.microscope.probe import probe_spectrum

Thicknesses = float | Sequence[float]
Box = tuple[float, float]

BATCH = {"cpu": 8, "cuda": 128}  # waves at a time: on a CPU few enough to stay in its cache


def transmission(
    slices: Float[torch.Tensor, "*batch row col"], energy_ev: float, box_angstrom: Box
) -> Complex[torch.Tensor, "*batch row col"]:
    """Transmission functions ``exp(i sigma V)``, limited to the antialiased band.

    Parameters
    ----------
    slices : tensor (..., row, col)
        Projected potential of each slice, in V angstrom.
    energy_ev : float
        Energy of the beam; gives the interaction parameter sigma.
    box_angstrom : (float, float)
        Side lengths of the periodic box.
    """
    shape = tuple(slices.shape[-2:])
    mask = antialias_mask(shape, pixel_size(box_angstrom, shape), dtype=slices.dtype, device=slices.device)
    spectrum = torch.fft.fft2(torch.exp(1j * interaction_parameter(energy_ev) * slices))
    spectrum *= mask
    return torch.fft.ifft2(spectrum)


def propagator(
    shape: tuple[int, int],
    distance_angstrom: float,
    energy_ev: float,
    box_angstrom: Box,
    dtype: torch.dtype = torch.complex64,
    device: torch.device | str | None = None,
) -> Complex[torch.Tensor, "row col"]:
    """Fresnel propagator ``M(k) exp(-i pi wavelength dz k^2)`` in FFT order, within the antialiased band."""
    pixel = pixel_size(box_angstrom, shape)
    ky, kx = frequencies(shape, pixel, torch.float64, device)
    phase = -math.pi * wavelength(energy_ev) * distance_angstrom * (ky**2 + kx**2)
    return torch.polar(antialias_mask(shape, pixel, device=device), phase).to(dtype)


def propagate(
    waves: Complex[torch.Tensor, "*batch row col"],
    distance_angstrom: float,
    energy_ev: float,
    box_angstrom: Box,
) -> Complex[torch.Tensor, "*batch row col"]:
    """Let waves propagate through free space; frequencies outside the antialiased band are removed."""
    kernel = propagator(
        tuple(waves.shape[-2:]), distance_angstrom, energy_ev, box_angstrom, waves.dtype, waves.device
    )
    return torch.fft.ifft2(torch.fft.fft2(waves) * kernel)


def multislice(
    waves: Complex[torch.Tensor, "*#batch row col"],
    slices: Float[torch.Tensor, "*#batch slice row col"],
    thicknesses_angstrom: Thicknesses,
    energy_ev: float,
    box_angstrom: Box,
    repeats: int = 1,
) -> Complex[torch.Tensor, "*batch row col"]:
    """Exit waves of a specimen, at the lower face of its last slice.

    Parameters
    ----------
    waves : tensor (..., row, col)
        Incident waves in real space; leading axes broadcast with those of the slices.
    slices : tensor (..., slice, row, col)
        Projected potentials, in V angstrom.
    thicknesses_angstrom : float or sequence of float
        Thickness of all slices, or of each.
    energy_ev : float
        Energy of the beam; gives wavelength and interaction parameter.
    box_angstrom : (float, float)
        Side lengths of the periodic box.
    repeats : int
        How many times the stack of slices is passed: a crystal's repeating cell
        needs to be given only once.

    Raises
    ------
    InputError
        If thicknesses are not above 0, are not one for each slice, or repeats is
        below 1.
    """
    steps = _propagators(slices, thicknesses_angstrom, energy_ev, box_angstrom)
    _check_repeats(repeats)
    spectrum = _pass(torch.fft.fft2(waves), transmission(slices, energy_ev, box_angstrom), steps, repeats)
    return torch.fft.ifft2(spectrum)


def diffraction(
    waves: Complex[torch.Tensor, "*batch row col"], detector_shape: tuple[int, int] | None = None
) -> Float[torch.Tensor, "*batch detector_row detector_col"]:
    """Far-field intensities ``|F psi|^2``, the undeflected beam at ``(rows // 2, cols // 2)``.

    Parameters
    ----------
    waves : tensor (..., row, col)
        Waves in real space; with probes of `probe` the whole pattern sums to 1.
    detector_shape : (int, int), optional
        Central part to keep; everything by default.

    Raises
    ------
    InputError
        If the detector has more pixels than the grid.
    """
    return _intensity(_on_detector(torch.fft.fft2(waves), detector_shape or tuple(waves.shape[-2:])))


def scan_4d(
    slices: Float[torch.Tensor, "configuration slice row col"],
    thicknesses_angstrom: Thicknesses,
    optics: Optics,
    box_angstrom: Box,
    positions_angstrom: Float[torch.Tensor, "*scan 2"],
    detector_shape: tuple[int, int],
    repeats: int = 1,
    average: Literal["incoherent", "coherent"] = "incoherent",
    soft: bool = True,
    batch: int | None = None,
) -> Float[torch.Tensor, "*scan detector_row detector_col"]:
    """Diffraction patterns of a scanned probe, in fractions of the beam.

    Parameters
    ----------
    slices : tensor (configuration, slice, row, col)
        Projected potentials of each frozen-phonon configuration, in V angstrom.
    thicknesses_angstrom, box_angstrom, repeats
        As for `multislice`.
    optics : Optics
        The probe.
    positions_angstrom : tensor (..., 2)
        Probe positions along (axis 0, axis 1).
    detector_shape : (int, int)
        Central part of the diffraction plane to keep, one pixel ``1 / box`` wide.
    average : {"incoherent", "coherent"}
        Whether intensities or waves are averaged over the configurations.
    soft : bool
        Whether the aperture's edge is one frequency step wide, as in abTEM, or hard.
    batch : int, optional
        Waves at a time; by default 8 on a CPU (they stay in its cache), 128 on a GPU.

    Raises
    ------
    InputError
        As `multislice`; if the aperture exceeds the antialiased band; if the
        detector has more pixels than the grid or does not cover the bright-field
        disc; if slices, positions or the resulting patterns are not finite; if
        the average is neither of the two.
    """
    _check_finite("slices", slices)
    _check_finite("positions_angstrom", positions_angstrom)
    _check_repeats(repeats)
    if average not in ("incoherent", "coherent"):
        raise InputError("average", repr(average), "'incoherent' or 'coherent'")
    shape = tuple(slices.shape[-2:])
    steps = _propagators(slices, thicknesses_angstrom, optics.energy_ev, box_angstrom)
    at_origin = probe_spectrum(optics, shape, box_angstrom, soft, steps[0].dtype, slices.device)
    _check_detector(detector_shape, optics, box_angstrom)
    positions = positions_angstrom.reshape(-1, 2).to(slices.device, torch.float64)
    coherent = average == "coherent"
    total = at_origin.new_zeros(len(positions), *detector_shape)
    total = total if coherent else total.real.contiguous()
    size = batch or BATCH[slices.device.type]
    for configuration in slices:
        transmissions = transmission(configuration, optics.energy_ev, box_angstrom)
        for start in range(0, len(positions), size):
            probes = _shifted(at_origin, positions[start : start + size], box_angstrom)
            spectra = _on_detector(_pass(probes, transmissions, steps, repeats), detector_shape)
            total[start : start + size] += spectra if coherent else _intensity(spectra)
    total /= len(slices)
    patterns = _intensity(total) if coherent else total
    _check_finite("patterns", patterns)
    return patterns.reshape(*positions_angstrom.shape[:-1], *detector_shape)


def _pass(
    spectrum: torch.Tensor, transmissions: torch.Tensor, steps: Sequence[torch.Tensor], repeats: int
) -> torch.Tensor:
    """Spectra of the waves behind the stack, from the spectra before it: two transforms a slice."""
    for index in range(repeats * len(steps)):
        layer = index % len(steps)
        spectrum = torch.fft.fft2(torch.fft.ifft2(spectrum) * transmissions[..., layer, :, :])
        spectrum *= steps[layer]
    return spectrum


def _propagators(
    slices: torch.Tensor, thicknesses: Thicknesses, energy_ev: float, box: Box
) -> list[torch.Tensor]:
    """The propagator of each slice; equal thicknesses share one."""
    count, shape = slices.shape[-3], tuple(slices.shape[-2:])
    thicknesses = [thicknesses] * count if isinstance(thicknesses, (int, float)) else list(thicknesses)
    if len(thicknesses) != count or not all(0 < thickness < math.inf for thickness in thicknesses):
        raise InputError("thicknesses_angstrom", thicknesses, f"{count} thicknesses above 0, one a slice")
    dtype = slices.dtype.to_complex()
    distinct = {dz: propagator(shape, dz, energy_ev, box, dtype, slices.device) for dz in set(thicknesses)}
    return [distinct[thickness] for thickness in thicknesses]


def _shifted(spectrum: torch.Tensor, positions: torch.Tensor, box: Box) -> torch.Tensor:
    """Spectra of a probe moved to each position."""
    shape = tuple(spectrum.shape)
    ky, kx = frequencies(shape, pixel_size(box, shape), torch.float64, spectrum.device)
    at = positions[..., None, None]
    ramp_y = torch.exp(-2j * math.pi * ky * at[:, 0]).to(spectrum.dtype)
    ramp_x = torch.exp(-2j * math.pi * kx * at[:, 1]).to(spectrum.dtype)
    return spectrum * ramp_y * ramp_x


def _on_detector(spectra: torch.Tensor, detector_shape: tuple[int, int]) -> torch.Tensor:
    """The central part of spectra in FFT order, the zero frequency at ``size // 2``."""
    for axis, size in zip((-2, -1), detector_shape, strict=True):
        points = spectra.shape[axis]
        if not 0 < size <= points:
            raise InputError("detector_shape", detector_shape, f"1 to {points} pixels along axis {axis}")
        kept = (torch.arange(size, device=spectra.device) - size // 2) % points
        spectra = spectra.index_select(axis, kept)
    return spectra


def _intensity(amplitude: torch.Tensor) -> torch.Tensor:
    return amplitude.real.square() + amplitude.imag.square()


def _check_repeats(repeats: int) -> None:
    if repeats < 1:
        raise InputError("repeats", repeats, "a number of passes of 1 or more")


def _check_detector(detector_shape: tuple[int, int], optics: Optics, box: Box) -> None:
    """The bright-field disc has to fit on the detector."""
    needed = tuple(2 * math.floor(optics.aperture_radius * side) + 1 for side in box)
    if any(size < least for size, least in zip(detector_shape, needed, strict=True)):
        expected = f"at least {needed} pixels, to hold the bright-field disc"
        raise InputError("detector_shape", tuple(detector_shape), expected)


def _check_finite(where: str, values: torch.Tensor) -> None:
    if torch.isfinite(values.detach().sum()):
        return
    bad = (~torch.isfinite(values.detach())).nonzero()
    if len(bad):
        found = f"{len(bad)} values that are not finite, the first at {tuple(bad[0].tolist())}"
        raise InputError(where, found, "finite values")
