"""Single-sideband ptychography: the phase of a weak object from the interference of its sidebands.

The intensity of a weak phase object, transformed over the scan, is

    G(k, q) = i Phi(q) Gamma(k, q),    Gamma = A*(k) A(k - q) - A(k) A*(k + q)

with the probe ``A(k)`` (aberrations included) of total intensity 1 (Rodenburg,
McCallum, Nellist, Ultramicroscopy 48, 304 (1993)). Detector pixels are added
with weights ``w``, a frequency is passed with the gain ``g``:

    Phi_est(q) = -i g(q) sum_k w(k, q) G(k, q),    transfer T(q) = g sum_k w Gamma

Each weighting has its gain; W = sum_k w Gamma, V = sum_k |w A|^2 (the noise):

    'normalised'   1 / W                        T = 1
    'sqrt'         1 / sqrt(V), to scale        T ~ W / sqrt(V), white noise
    'plain'        constant, to scale           T ~ W

where 'to scale' means that the best-transferred frequency of the scan has
T = 1: there the phase is in rad, elsewhere it is damped. With an aperture in
focus W ~ o(x) - o(2x), o the overlap of two disks at distance x = q / radius.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Inexact
from pydantic import Field

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics, aberration_phase, aperture
from rephase.phase.detect import beam_intensity, pixel_angles, require_disk
from rephase.phase.image import PhaseImage
from rephase.phase.integrate import signless
from rephase.phase.settings import MethodSettings


class SSBSettings(MethodSettings):
    """Settings of single-sideband ptychography.

    Parameters
    ----------
    weighting : {'normalised', 'sqrt', 'plain'}
        Gain of each frequency: divided by the overlap area, by its root, or not.
    pixel_weight : {'matched', 'unit'}
        Weight of each detector pixel: ``Gamma*``, the matched filter, or the
        bare phase ``Gamma* / |Gamma|``. The same in focus; out of focus the
        matched filter also uses the region where three disks overlap, for
        what it is worth.
    soft : bool
        Whether the aperture's edge in ``Gamma`` is one detector pixel wide, as pixels
        see it that integrate over their area, or hard.
    least_transfer : float
        'normalised' leaves out frequencies with W below this fraction of the best.
    chunk_pixels : int
        Detector pixels in memory at a time; changes nothing but time and memory
        (a data set on disk is read once for each chunk).
    device : str
        Where torch computes: 'cpu', 'cuda', ...
    precision : {'float32', 'float64'}
        Of the computation.
    """

    weighting: Literal["normalised", "sqrt", "plain"] = "plain"
    pixel_weight: Literal["matched", "unit"] = "matched"
    soft: bool = True
    least_transfer: float = Field(default=0.01, gt=0, lt=1)
    chunk_pixels: int = Field(default=64, ge=1)
    device: str = "cpu"
    precision: Literal["float32", "float64"] = "float32"


def reconstruct(scan: Scan, optics: Optics, settings: SSBSettings | None = None) -> PhaseImage:
    """Phase image of a weak object by single-sideband ptychography.

    Only pixels in the bright-field disk and frequencies below twice the
    aperture's radius carry signal, only half of those are independent: nothing
    else is computed, and never more than ``chunk_pixels`` pixels at a time. A
    step above ``wavelength / (4 semi-angle)`` cannot represent the whole band:
    what lies beyond the scan's Nyquist frequency is lost and, unless the object
    has nothing there, appears at wrong frequencies. Nyquist itself is left out.

    Parameters
    ----------
    scan : Scan
        A periodic scan.
    optics : Optics
        Aperture and aberrations of the probe, which are compensated.
    settings : SSBSettings, optional

    Returns
    -------
    PhaseImage
        Phase in rad of mean 0, on the scan's grid; ``details['transfer']`` is
        T(q) on the frequencies of ``rfft2``.

    Raises
    ------
    InputError
        If the bright-field disk is not whole on the detector or below 2 pixels
        in radius, no frequency of the scan is transferred, or intensities are
        not finite.
    """
    settings = settings or SSBSettings()
    require_disk(scan, optics)
    shape, dtype = scan.shape[:2], getattr(torch, settings.precision)
    kernel = _Sidebands(scan, optics, settings.soft, dtype, settings.device)
    signal = torch.zeros(len(kernel.bins), dtype=dtype.to_complex(), device=settings.device)
    response, noise = torch.zeros_like(signal), torch.zeros_like(signal.real)
    for chunk in torch.arange(len(kernel.rows)).split(settings.chunk_pixels):
        images = _read(scan, kernel.rows[chunk], kernel.cols[chunk], settings.precision)
        spectra = torch.fft.rfft2(images.to(settings.device)).flatten(1)[:, kernel.bins]
        gamma = kernel.gamma(chunk)
        weight = gamma.conj() if settings.pixel_weight == "matched" else _unit(gamma.conj())
        signal += (weight * spectra).sum(0)
        response += (weight * gamma).sum(0) / kernel.total
        noise += (weight.abs().square() * kernel.intensity[chunk, None]).sum(0)
    gain = _gain(response.real, noise, settings)
    spectrum, transfer = (
        torch.zeros(shape[0] * (shape[1] // 2 + 1), dtype=part.dtype, device=part.device)
        .index_copy(0, kernel.bins, part)
        .reshape(shape[0], -1)
        for part in (-1j * gain * signal / beam_intensity(scan), gain * response.real)
    )
    values = torch.fft.irfft2(spectrum, s=shape)
    if not values.isfinite().all():
        raise InputError("scan.intensities", "NaN or infinite values", "finite numbers")
    return PhaseImage(
        values=values.cpu().numpy(),
        pixel_angstrom=scan.step_angstrom,
        details={"transfer": transfer.cpu().numpy()},
    )


def _read(scan: Scan, rows: torch.Tensor, cols: torch.Tensor, precision: str) -> torch.Tensor:
    """Images of single detector pixels over the scan, (pixel, slow, fast)."""
    top, left = int(rows.min()), int(cols.min())
    block = scan.intensities[:, :, top : int(rows.max()) + 1, left : int(cols.max()) + 1]
    chosen = block[:, :, (rows - top).numpy(), (cols - left).numpy()]
    return torch.from_numpy(np.moveaxis(chosen, -1, 0).astype(precision, order="C"))


def _unit(weight: Inexact[torch.Tensor, "pixel bin"]) -> Inexact[torch.Tensor, "pixel bin"]:
    """Phase factors; 0 where less than a thousandth of a sideband is left."""
    return torch.where(weight.abs() > 1e-3, torch.sgn(weight), 0)


def _gain(
    response: Float[torch.Tensor, " bin"], noise: Float[torch.Tensor, " bin"], settings: SSBSettings
) -> Float[torch.Tensor, " bin"]:
    """Gain of each frequency, as the module describes."""
    if not (response > 0).any():
        raise InputError(
            "scan.step_angstrom", "no frequency that the aperture transfers", "a longer or finer scan"
        )
    if settings.weighting == "normalised":
        return torch.where(response > settings.least_transfer * response.max(), 1 / response, 0)
    gain = (
        torch.where(noise > 0, noise.rsqrt(), 0) if settings.weighting == "sqrt" else torch.ones_like(noise)
    )
    return gain / (gain * response).max()


class _Sidebands:
    """Where a scan's sidebands are, and ``Gamma`` there.

    ``rows, cols`` are the pixels in the bright-field disk; ``bins`` the terms of
    the flattened ``rfft2`` over the scan whose sidebands meet the disk. The probe
    has the amplitude 1 inside its aperture: ``intensity`` at the pixels, ``total``
    of all.
    """

    def __init__(self, scan: Scan, optics: Optics, soft: bool, dtype: torch.dtype, device: str):
        self.optics, self.axes = optics, scan.detector_to_scan
        per_mrad = 1e-3 / optics.wavelength_angstrom
        pixel = tuple(size * per_mrad for size in scan.pixel_mrad)
        self.edge = pixel if soft else None
        k = torch.stack(
            [torch.tensor(angle * per_mrad) for angle in np.broadcast_arrays(*pixel_angles(scan))]
        )
        amplitude = aperture(optics, *k, self.edge)
        self.rows, self.cols = torch.nonzero(amplitude, as_tuple=True)
        self.intensity = amplitude[self.rows, self.cols].square().to(device, dtype)
        self.total = float(self.intensity.sum())
        self.k = k[:, self.rows, self.cols].to(device, dtype)

        slow, fast = scan.shape[:2]
        q_slow = np.fft.fftfreq(slow, scan.step_angstrom[0])[:, None]
        q_fast = np.fft.rfftfreq(fast, scan.step_angstrom[1])[None, :]
        reach = 2 * optics.aperture_radius + max(pixel)
        band = (np.hypot(q_slow, q_fast) < reach) & ~signless((slow, fast))
        q = self.axes.T @ np.stack(np.broadcast_arrays(q_slow, q_fast))[:, band]
        self.bins = torch.tensor(np.flatnonzero(band), device=device)
        self.q = torch.tensor(q).to(device, dtype)

    def gamma(self, pixels: torch.Tensor) -> Inexact[torch.Tensor, "pixel bin"]:
        """``total * Gamma(k, q)``, real if the probe has no aberrations."""
        k, q = self.k[:, pixels, None], self.q[:, None, :]
        probe = self._probe(k)
        return probe.conj() * self._probe(k - q) - probe * self._probe(k + q).conj()

    def _probe(self, k: Float[torch.Tensor, "2 pixel bin"]) -> Inexact[torch.Tensor, "pixel bin"]:
        amplitude = aperture(self.optics, *k, self.edge)
        if not self.optics.coefficients:
            return amplitude
        slow, fast = (axis[0] * k[0] + axis[1] * k[1] for axis in self.axes.tolist())
        return torch.polar(amplitude, -aberration_phase(self.optics, slow, fast))
