"""Parallax (tilt-corrected bright field): every detector pixel's image aligned, summed, corrected.

A pixel of the bright-field disc at angle ``alpha`` sees the specimen moved by
``grad chi``; for a defocus by ``-defocus alpha``. py4DSTEM finds the shifts by
cross-correlation and sums the aligned images on a finer grid. For a weak phase
``phi`` and even aberrations the sum over its mean is, at spatial frequency q,

    1 + phi(q) H(q),   H(q) = 2 o(q) sin chi(q),

with ``o`` the overlap of two apertures a distance q apart (Varnavides et al.,
arXiv 2309.05250). The image returned is the Wiener estimate of ``phi`` in rad.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.grid import frequencies
from rephase.microscope.optics import Optics, aberration_phase
from rephase.phase.detect import detector_to_scan, pixel_angles
from rephase.phase.image import PhaseImage
from rephase.phase.py4dstem import (
    MethodSettings,
    calibrated,
    data_cube,
    load_py4dstem,
    quiet,
    unmirrored,
)


class ParallaxSettings(MethodSettings):
    """Settings of parallax.

    Parameters
    ----------
    align : bool
        Whether the shifts are measured, starting from those of the optics; else
        the optics are taken as exact.
    coarsest_bin : int, optional
        Detector pixels binned for the first alignment; the disc's diameter by
        default. Smaller values trust the optics more.
    finest_iterations : int
        Alignments at single pixels.
    upsampling : float
        Pixels of the image per scan step.
    periodic : bool
        Whether the scan covers one whole period of the specimen; else its edges are
        blended into padding.
    wiener : float
        Noise over signal: the estimate is ``H / (H^2 + wiener^2)`` times the image.
    """

    align: bool = True
    coarsest_bin: int | None = Field(default=None, ge=2)
    finest_iterations: int = Field(default=2, ge=1)
    upsampling: float = Field(default=1.0, ge=1)
    periodic: bool = False
    wiener: float = Field(default=0.1, gt=0)


def reconstruct(scan: Scan, optics: Optics, settings: ParallaxSettings | None = None) -> PhaseImage:
    """Phase image of a scan by parallax.

    On a small crystal the alignment repeats with the lattice: it then finds the
    defocus only if it starts near, so give the optics their best-known defocus.

    Parameters
    ----------
    scan : Scan
        Fractions or counts, of a clearly defocused probe.
    optics : Optics
        Give the shifts to start from.
    settings : ParallaxSettings, optional

    Returns
    -------
    PhaseImage
        Phase in rad, of mean 0, pixel = step / upsampling. ``details`` holds
        ``defocus_angstrom`` as found, ``error`` of each
        alignment, and the aligned ``bright_field`` over its mean.

    Raises
    ------
    InputError
        If an intensity is negative or not finite, fewer than four detector pixels
        lie in the bright-field disc, or the optics have no aberration and nothing
        is to be aligned.
    """
    settings = settings or ParallaxSettings()
    scan = unmirrored(scan)
    disc = bright_field_disc(scan, optics)
    if not settings.align and not optics.coefficients:
        raise InputError("optics.defocus_angstrom", 0, "a defocus, or align = True")
    with quiet(seed=0):
        parallax = _prepare(scan, optics, settings, disc)
        if settings.align:
            _align(parallax, settings)
        bright_field = _sum_of_aligned(parallax, settings)
    defocus = _found_defocus(parallax, scan) if settings.align else optics.defocus_angstrom
    seen = optics.model_copy(update={"defocus_angstrom": defocus})
    pixel = tuple(step / settings.upsampling for step in scan.step_angstrom)
    phase = phase_from_bright_field(bright_field, pixel, seen, detector_to_scan(scan).T, settings.wiener)
    pad = 0 if settings.periodic else round(_padding_px(scan) // 2 * settings.upsampling)
    size = [round(count * settings.upsampling) for count in scan.shape[:2]]
    over_the_scan = slice(pad, pad + size[0]), slice(pad, pad + size[1])
    details = {
        "defocus_angstrom": defocus,
        "error": tuple(getattr(parallax, "error_iterations", ())),
        "bright_field": bright_field[over_the_scan],
    }
    return PhaseImage(values=phase[over_the_scan], pixel_angstrom=pixel, details=details)


def bright_field_disc(scan: Scan, optics: Optics) -> Bool[np.ndarray, "row col"]:
    """Detector pixels whose centre lies within the bright-field disc.

    Raises
    ------
    InputError
        If there are fewer than four.
    """
    disc = np.hypot(*pixel_angles(scan)) <= optics.semiangle_mrad
    if disc.sum() < 4:
        raise InputError(
            "scan.pixel_mrad", f"{disc.sum()} pixels in the bright-field disc", "4 or more, so smaller pixels"
        )
    return disc


def phase_from_bright_field(
    bright_field: Float[np.ndarray, "slow fast"],
    pixel_angstrom: tuple[float, float],
    optics: Optics,
    to_detector: Float[np.ndarray, "2 2"],
    wiener: float,
) -> Float[np.ndarray, "slow fast"]:
    """Wiener estimate of a weak phase, in rad, from the aligned bright field over its mean."""
    ky, kx = (k.numpy() for k in frequencies(bright_field.shape, pixel_angstrom))
    (rr, rs), (cr, cs) = to_detector
    row, col = torch.as_tensor(rr * ky + rs * kx), torch.as_tensor(cr * ky + cs * kx)
    even = (aberration_phase(optics, row, col) + aberration_phase(optics, -row, -col)).numpy() / 2
    transfer = 2 * aperture_overlap(np.hypot(ky, kx) / optics.aperture_radius) * np.sin(even)
    estimate = np.fft.fft2(bright_field - bright_field.mean()) * transfer / (transfer**2 + wiener**2)
    return np.fft.ifft2(estimate).real.astype(np.float32)


def aperture_overlap(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Common area of two unit discs a distance ``x`` apart, as a fraction of one disc."""
    half = np.clip(x / 2, 0, 1)
    return 2 / math.pi * (np.arccos(half) - half * np.sqrt(1 - half**2))


def _padding_px(scan: Scan) -> int:
    """Padding of both sides together: an even number, half the scan's width."""
    return 2 * (max(scan.shape[:2]) // 4)


def _prepare(
    scan: Scan, optics: Optics, settings: ParallaxSettings, disc: Bool[np.ndarray, "row col"]
) -> Any:
    """py4DSTEM's method with its stack of images, shifted as the optics say.

    Intensities are scaled to a mean of 1 in the disc. The images are not
    normalised one by one, since at low dose some hold few counts.
    """
    method = calibrated(load_py4dstem().process.phase.Parallax, scan, optics)
    padding = 0 if settings.periodic else _padding_px(scan)
    parallax = method(
        energy=optics.energy_ev,
        datacube=data_cube(scan, 1 / scan.intensities[..., disc].mean(dtype=np.float64)),
        object_padding_px=(padding, padding),
        polar_parameters=dict(optics.coefficients),
        verbose=False,
    )
    return parallax.preprocess(
        dp_mask=disc,
        edge_blend=1e-6 if settings.periodic else max(2.0, padding / 4),
        normalize_images=False,
        force_rotation_angle_deg=scan.rotation_deg,
        plot_average_bf=False,
    )


def _align(parallax: Any, settings: ParallaxSettings) -> None:
    parallax.reconstruct(
        max_alignment_bin=settings.coarsest_bin,
        num_iter_at_min_bin=settings.finest_iterations,
        progress_bar=False,
        plot_aligned_bf=False,
        plot_convergence=False,
    )


def _sum_of_aligned(parallax: Any, settings: ParallaxSettings) -> Float[np.ndarray, "slow fast"]:
    """The aligned bright field over its mean, padding included, on the finer grid.

    Each image, sampled at the scan step, repeats its spectrum beyond the Nyquist
    frequency; moved by their different shifts the images agree on the true copy
    alone. (py4DSTEM's gridding in real space damps high frequencies and leaves
    more of the false copies.)
    """
    stack, shifts = parallax._stack_BF_unshifted, parallax._xy_shifts
    fine = tuple(round(count * settings.upsampling) for count in stack.shape[1:])
    rows, cols = (np.fft.fftfreq(count, 1 / count).astype(int) for count in fine)
    total = np.zeros(fine, dtype=np.complex128)
    for image, (down, right) in zip(stack - stack.mean(), shifts, strict=True):
        spectrum = np.fft.fft2(image)[np.ix_(rows % image.shape[0], cols % image.shape[1])]
        ramps = (
            np.exp(-2j * np.pi * rows * down / image.shape[0]),
            np.exp(-2j * np.pi * cols * right / image.shape[1]),
        )
        total += spectrum * ramps[0][:, None] * ramps[1]
    scale = math.prod(fine) / stack.size
    return 1 + np.fft.ifft2(total).real * scale / stack.mean()


def _found_defocus(parallax: Any, scan: Scan) -> float:
    """Defocus that fits the measured shifts best, in angstrom."""
    shifts = np.asarray(parallax._xy_shifts) * scan.step_angstrom
    matrix = np.linalg.lstsq(np.asarray(parallax._probe_angles), shifts, rcond=None)[0]
    return float(-np.trace(detector_to_scan(scan).T @ matrix.T) / 2)
