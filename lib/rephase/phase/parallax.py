"""Parallax (tilt-corrected bright field): every detector pixel's image aligned, summed, corrected.

A pixel of the bright-field disc at angle ``alpha`` sees the specimen moved by
``grad chi``; for a defocus by ``-defocus alpha``. py4DSTEM measures the shifts by
cross-correlation; the images are then aligned and summed. For a weak phase
``phi`` and even aberrations the sum over its mean is, at spatial frequency q,

    1 + phi(q) H(q),   H(q) = 2 o(q) sin chi(q),

with ``o`` the overlap of two apertures a distance q apart (Varnavides et al.,
arXiv 2309.05250). The image returned is the Wiener estimate of ``phi`` in rad.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from scipy.signal.windows import tukey

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.grid import frequencies
from rephase.microscope.optics import Optics, aberration_phase
from rephase.phase.detect import pixel_angles
from rephase.phase.image import PhaseImage
from rephase.phase.py4dstem import (
    calibrated,
    data_cube,
    load_py4dstem,
    quiet,
    unmirrored,
)
from rephase.phase.settings import MethodSettings


class ParallaxSettings(MethodSettings):
    """Settings of parallax; the defaults are the winners of docs/tuning.md.

    Parameters
    ----------
    align : bool
        Whether the shifts are measured, starting from those of the optics; else
        the optics are taken as exact.
    inner_disc : float
        Part of the disc's radius that the shifts are measured on. Nearer its edge one
        of the two beams that make the contrast is cut off, which moves the image further
        and makes the defocus come out too large.
    coarsest_bin : int, optional
        Detector pixels binned for the first alignment; the disc's diameter by
        default. Smaller values trust the optics more.
    finest_iterations : int
        Alignments at single pixels.
    upsampling : int
        Pixels of the image per scan step.
    periodic : bool
        Whether the scan covers one whole period of the specimen; else its edges are
        blended into padding.
    wiener : float
        Noise over signal: the estimate is ``H / (H^2 + wiener^2)`` times the image.
    """

    align: bool = True
    inner_disc: float = Field(default=0.7, gt=0, le=1)
    coarsest_bin: int | None = Field(default=None, ge=2)
    finest_iterations: int = Field(default=2, ge=1)
    upsampling: int = Field(default=1, ge=1)
    periodic: bool = False
    wiener: float = Field(default=0.3, gt=0)


def reconstruct(scan: Scan, optics: Optics, settings: ParallaxSettings | None = None) -> PhaseImage:
    """Phase image of a scan by parallax.

    In a crystal whose reflections lie more than half the aperture's radius out, each
    image holds one side beam only and its shift cannot be measured, even from the right
    start: give the true defocus and ``align = False``.

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
        If an intensity is negative or not finite, fewer than nine detector pixels
        lie in the bright-field disc, or the optics have no aberration and nothing
        is to be aligned.
    """
    settings = settings or ParallaxSettings()
    scan = unmirrored(scan)
    disc = bright_field_disc(scan, optics)
    if not settings.align and not optics.coefficients:
        raise InputError("optics.defocus_angstrom", 0, "a defocus, or align = True")
    shifts, error = image_shifts(scan, optics, disc), ()
    if settings.align:
        matrix, error = _measured_alignment(scan, optics, settings)
        defocus = float(-np.trace(scan.detector_to_scan.T @ matrix) / 2)
        optics = optics.model_copy(update={"defocus_angstrom": defocus})
        shifts = _angles(scan, disc) @ matrix.T
    pad = (0, 0) if settings.periodic else tuple(count // 4 for count in scan.shape[:2])
    images = _padded_images(scan, disc, pad)
    bright_field = sum_of_aligned(images, shifts / scan.step_angstrom, settings.upsampling)
    pixel = tuple(step / settings.upsampling for step in scan.step_angstrom)
    phase = phase_from_bright_field(bright_field, pixel, optics, scan.detector_to_scan.T, settings.wiener)
    over_the_scan = tuple(
        slice(edge * settings.upsampling, (edge + count) * settings.upsampling)
        for edge, count in zip(pad, scan.shape[:2], strict=True)
    )
    details = {
        "defocus_angstrom": optics.defocus_angstrom,
        "error": error,
        "bright_field": bright_field[over_the_scan],
    }
    return PhaseImage(values=phase[over_the_scan], pixel_angstrom=pixel, details=details)


def bright_field_disc(scan: Scan, optics: Optics, part: float = 1.0) -> Bool[np.ndarray, "row col"]:
    """Detector pixels whose centre lies within a part of the bright-field disc's radius.

    Raises
    ------
    InputError
        If there are fewer than nine.
    """
    disc = np.hypot(*pixel_angles(scan)) <= part * optics.semiangle_mrad
    if disc.sum() < 9:
        raise InputError(
            "scan.pixel_mrad", f"{disc.sum()} pixels in the bright-field disc", "9 or more, so smaller pixels"
        )
    return disc


def image_shifts(
    scan: Scan, optics: Optics, disc: Bool[np.ndarray, "row col"]
) -> Float[np.ndarray, "image 2"]:
    """Shifts along (slow, fast), in angstrom, that align the pixels' images: ``grad chi / (2 pi)``."""
    k = torch.as_tensor(_angles(scan, disc) / optics.wavelength_angstrom)
    small = 1e-4 * optics.aperture_radius * torch.eye(2, dtype=k.dtype)
    ahead, behind = (
        torch.stack([aberration_phase(optics, *(k + sign * each).T) for each in small], dim=-1)
        for sign in (1, -1)
    )
    slope = (ahead - behind) / (2 * 1e-4 * optics.aperture_radius)
    return (slope.numpy() / (2 * math.pi)) @ scan.detector_to_scan.T


def sum_of_aligned(
    images: Float[np.ndarray, "image slow fast"], shifts_px: Float[np.ndarray, "image 2"], upsampling: int
) -> Float[np.ndarray, "fine_slow fine_fast"]:
    """Mean of shifted images over its own mean, on an ``upsampling`` times finer grid.

    Each image, sampled at the scan step, repeats its spectrum beyond the Nyquist
    frequency; moved by their different shifts the images agree on the true copy
    alone. (py4DSTEM's gridding in real space damps high frequencies and leaves
    more of the false copies.)
    """
    fine = tuple(count * upsampling for count in images.shape[1:])
    row, col = (np.fft.fftfreq(count, 1 / count) for count in fine)
    total = np.zeros(fine, dtype=np.complex128)
    for image, (down, right) in zip(images - images.mean(), shifts_px, strict=True):
        down, right = (
            np.exp(-2j * np.pi * frequency * shift / count)
            for frequency, shift, count in zip((row, col), (down, right), image.shape, strict=True)
        )
        total += np.tile(np.fft.fft2(image), (upsampling, upsampling)) * np.outer(down, right)
    return 1 + np.fft.ifft2(total).real * upsampling**2 / (len(images) * images.mean())


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


def _angles(scan: Scan, disc: Bool[np.ndarray, "row col"]) -> Float[np.ndarray, "image 2"]:
    """Angles of the disc's pixels along the detector's (row, col), in rad."""
    return 1e-3 * np.stack([angle[disc] for angle in np.broadcast_arrays(*pixel_angles(scan))], axis=-1)


def _padded_images(
    scan: Scan, disc: Bool[np.ndarray, "row col"], pad: tuple[int, int]
) -> Float[np.ndarray, "image slow fast"]:
    """The images of all pixels in the disc, with edges blended into padding of their mean."""
    images = np.moveaxis(scan.intensities[..., disc].astype(np.float64), -1, 0)
    if pad == (0, 0):
        return images
    window = np.outer(*(tukey(count + 2, 0.25)[1:-1] for count in scan.shape[:2]))
    mean = images.mean(axis=(1, 2), keepdims=True)
    widths = (0, 0), (pad[0], pad[0]), (pad[1], pad[1])
    return mean + np.pad((images - mean) * window, widths)


def _measured_alignment(
    scan: Scan, optics: Optics, settings: ParallaxSettings
) -> tuple[Float[np.ndarray, "2 2"], tuple[float, ...]]:
    """Matrix from angles along (row, col), in rad, to shifts along (slow, fast), in angstrom, by py4DSTEM.

    The images are not normalised one by one, since at low dose some hold few
    counts. Returned with the misfit after each round.
    """
    disc = bright_field_disc(scan, optics, settings.inner_disc)
    padding = 0 if settings.periodic else 2 * (max(scan.shape[:2]) // 4)
    with quiet(seed=0):
        parallax = calibrated(load_py4dstem().process.phase.Parallax, scan, optics)(
            energy=optics.energy_ev,
            datacube=data_cube(scan, 1 / scan.intensities[..., disc].mean(dtype=np.float64)),
            object_padding_px=(padding, padding),
            polar_parameters=dict(optics.coefficients),
            verbose=False,
        )
        parallax.preprocess(
            dp_mask=disc,
            edge_blend=1e-6 if settings.periodic else max(2.0, padding / 4),
            normalize_images=False,
            force_rotation_angle_deg=scan.rotation_deg,
            plot_average_bf=False,
        )
        parallax.reconstruct(
            max_alignment_bin=settings.coarsest_bin,
            num_iter_at_min_bin=settings.finest_iterations,
            progress_bar=False,
            plot_aligned_bf=False,
            plot_convergence=False,
        )
    shifts = np.asarray(parallax._xy_shifts) * scan.step_angstrom
    matrix = np.linalg.lstsq(np.asarray(parallax._probe_angles), shifts, rcond=None)[0].T
    return matrix.astype(np.float64), tuple(parallax.error_iterations)
