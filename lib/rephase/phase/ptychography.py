"""Iterative ptychography with py4DSTEM: one slice or many, one probe mode or several.

Gradient descent on the amplitudes (Varnavides et al., arXiv 2309.05250): object
and probe are changed until ``|FFT(probe x transmission)|`` meets the square root
of every pattern. With several slices the wave is propagated between them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from pydantic import Field, model_validator
from scipy.ndimage import map_coordinates

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.grid import frequencies
from rephase.microscope.optics import Optics, aberration_phase, aperture
from rephase.phase.detect import require_disk
from rephase.phase.image import PhaseImage
from rephase.phase.py4dstem import (
    calibrated,
    data_cube,
    load_py4dstem,
    quiet,
    unmirrored,
)
from rephase.phase.settings import MethodSettings


class PtychographySettings(MethodSettings):
    """Settings of iterative ptychography; the defaults are the winners of docs/tuning.md.

    Parameters
    ----------
    iterations : int
        Passes over all patterns.
    step_size : float
        Length of an update, as a fraction of the full projection.
    batch_size : int
        Patterns per update.
    periodic : bool
        Whether the scan covers one whole period of the specimen: the object is then
        one period with its edges joined. Else it is padded by half a probe window.
    positivity : bool
        Whether phase may only be positive.
    fix_probe : bool
        Whether the probe stays as the optics describe it.
    lowpass : float, optional
        Cut-off of a Butterworth filter on the object after each pass, in 1/angstrom.
    lowpass_order : float
        Its order.
    few_counts : float
        Detector pixels with fewer counts than this, in the mean over the scan, enter
        through `unbiased_amplitudes` rather than the square root of each count.
    slices : int
        Slices of the object.
    thickness_angstrom : float
        Thickness of the specimen; each slice acts at the middle of its slab, and the
        optics' defocus counts from the entrance surface.
    slice_smoothing : float, optional
        Strength of the filter that makes neighbouring slices alike.
    probe_modes : int
        Mutually incoherent modes of the probe.
    seed : int
        Of the order of the patterns and the further probe modes.
    """

    iterations: int = Field(default=15, ge=1)
    step_size: float = Field(default=0.3, gt=0, le=2)
    batch_size: int = Field(default=64, ge=1)
    periodic: bool = False
    positivity: bool = True
    fix_probe: bool = True
    lowpass: float | None = Field(default=None, gt=0)
    lowpass_order: float = Field(default=2.0, gt=0)
    few_counts: float = Field(default=10.0, ge=0)
    slices: int = Field(default=1, ge=1)
    thickness_angstrom: float = Field(default=0.0, ge=0)
    slice_smoothing: float | None = Field(default=None, gt=0)
    probe_modes: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _slices_need_a_thickness(self) -> PtychographySettings:
        if self.slices > 1 and self.thickness_angstrom == 0:
            raise InputError(
                "settings.thickness_angstrom", 0, f"a thickness above 0 for {self.slices} slices"
            )
        return self

    @property
    def slice_angstrom(self) -> float:
        """Thickness of one slab, in angstrom."""
        return self.thickness_angstrom / self.slices


class MultislicePtychographySettings(PtychographySettings):
    """Settings of multislice ptychography: as `PtychographySettings`, tuned on a thick crystal.

    ``slices`` and ``thickness_angstrom`` have to be given; take slabs of 25
    angstrom or less.
    """

    iterations: int = Field(default=10, ge=1)
    step_size: float = Field(default=1.0, gt=0, le=2)
    slices: int = Field(ge=2)
    thickness_angstrom: float = Field(gt=0)


def reconstruct(scan: Scan, optics: Optics, settings: PtychographySettings | None = None) -> PhaseImage:
    """Phase image of a scan by iterative ptychography.

    Parameters
    ----------
    scan : Scan
        Fractions or counts, at most one probe diameter between positions.
    optics : Optics
        Describe the probe that the iteration starts from.
    settings : PtychographySettings, optional

    Returns
    -------
    PhaseImage
        Phase in rad, summed over the slices, over the scanned field; its pixel is
        ``wavelength / (pixels x detector pixel)``. ``details`` holds the relative
        ``error`` of each iteration, the ``probe`` (modes, row, col) and, for several
        slices, the phase of each as ``slices``.

    Raises
    ------
    InputError
        If an intensity is negative or not finite, the detector is smaller than the
        bright-field disc, or a scan called periodic is rotated or is not a whole
        number of object pixels wide.
    """
    settings = settings or PtychographySettings()
    scan = unmirrored(scan)
    require_disk(scan, optics)
    pixel = object_pixel_angstrom(scan, optics)
    shape = _object_shape(scan, pixel, settings.periodic)
    with quiet(settings.seed):
        method = _prepare(scan, optics, settings, pixel, shape)
        method.reconstruct(**_reconstruct_options(settings))
    layers = method.object.reshape(settings.slices, *method.object.shape[-2:])
    slices = _over_the_scan(layers, scan, pixel, settings.periodic)
    probe = np.asarray(method.probe).reshape(settings.probe_modes, *scan.shape[2:])
    details = {"error": tuple(method.error_iterations), "probe": probe}
    if settings.slices > 1:
        details["slices"] = slices
    return PhaseImage(values=slices.sum(0), pixel_angstrom=pixel, details=details)


def object_pixel_angstrom(scan: Scan, optics: Optics) -> tuple[float, float]:
    """Pixel of the object, the inverse of the detector's width, in angstrom."""
    return tuple(
        optics.wavelength_angstrom * 1e3 / (count * pixel)
        for count, pixel in zip(scan.shape[2:], scan.pixel_mrad, strict=True)
    )


def unbiased_amplitudes(
    counts: Float[np.ndarray, "slow fast row col"], few_counts: float
) -> Float[np.ndarray, "slow fast row col"]:
    """Amplitudes of Poisson counts whose mean is right also where counts are few.

    The mean of ``sqrt(n)`` falls from ``sqrt(mu)`` towards ``mu`` as the expected count
    mu falls below 1, so that a fit to it loses contrast, at high frequencies most. Where
    the count of a pixel, averaged over the scan to ``m``, is below ``few_counts``, this is
    the square root expanded about m, ``(1 + n / m) sqrt(m) / 2``, of mean ``sqrt(mu)`` to
    first order in ``mu / m - 1`` and of variance 1/4.
    """
    mean = counts.mean(axis=(0, 1), dtype=np.float64)
    few = (mean > 0) & (mean < few_counts)
    safe = np.where(few, mean, 1)
    return np.where(few, (1 + counts / safe) * np.sqrt(safe) / 2, np.sqrt(counts)).astype(np.float32)


def _object_shape(scan: Scan, pixel: tuple[float, float], periodic: bool) -> tuple[int, int] | None:
    """One period in whole pixels, or None where py4DSTEM is to find the size."""
    if not periodic:
        return None
    if scan.rotation_deg:
        raise InputError("scan.rotation_deg", scan.rotation_deg, "0 for a periodic reconstruction")
    exact = np.divide(scan.extent_angstrom, pixel)
    if np.abs(exact - np.round(exact)).max() > 0.02:
        raise InputError(
            "settings.periodic",
            f"a scan of {exact[0]:.3f} x {exact[1]:.3f} object pixels",
            "a whole number of pixels, or periodic = False",
        )
    return int(round(exact[0])), int(round(exact[1]))


def _padding_px(scan: Scan) -> tuple[int, int]:
    return scan.shape[2] // 2, scan.shape[3] // 2


def _positions_angstrom(scan: Scan) -> Float[np.ndarray, "n 2"]:
    """Probe positions along the detector's axes, all 0 or more, in angstrom."""
    slow, fast = (np.arange(n) * step for n, step in zip(scan.shape[:2], scan.step_angstrom, strict=True))
    positions = np.stack(np.meshgrid(slow, fast, indexing="ij"), axis=-1).reshape(-1, 2)
    positions = positions @ scan.detector_to_scan
    return positions - positions.min(0)


def _initial_probe(
    scan: Scan, optics: Optics, settings: PtychographySettings, pixel: tuple[float, float]
) -> Complex[np.ndarray, "mode row col"]:
    """Probe at the middle of the first slab with ``sum |FFT|^2`` = detector pixels.

    Further modes start as copies of half the amplitude, moved by up to two pixels.
    """
    shape = scan.shape[2:]
    ky, kx = frequencies(shape, pixel)
    edge = tuple(1 / (count * p) for count, p in zip(shape, pixel, strict=True))
    there = optics.model_copy(
        update={"defocus_angstrom": optics.defocus_angstrom - settings.slice_angstrom / 2}
    )
    spectrum = torch.polar(aperture(optics, ky, kx, edge), -aberration_phase(there, ky, kx)).numpy()
    shifts = np.random.default_rng(settings.seed).uniform(-2, 2, (settings.probe_modes, 2)) * pixel
    shifts[0] = 0
    ramps = np.exp(-2j * np.pi * (shifts[:, :1, None] * ky.numpy() + shifts[:, 1:, None] * kx.numpy()))
    weights = np.array([1.0] + [0.5] * (settings.probe_modes - 1))[:, None, None]
    modes = np.fft.ifft2(weights * ramps * spectrum)
    total = (np.abs(np.fft.fft2(modes)) ** 2).sum()
    return (modes * np.sqrt(math.prod(shape) / total)).astype(np.complex64)


def _prepare(
    scan: Scan,
    optics: Optics,
    settings: PtychographySettings,
    pixel: tuple[float, float],
    shape: tuple[int, int] | None,
) -> Any:
    """py4DSTEM's method with its data, ready to iterate.

    The mean pattern is scaled to one electron a pixel, which keeps py4DSTEM's
    small constants small beside the data.
    """
    phase = load_py4dstem().process.phase
    several = {"num_slices": settings.slices, "slice_thicknesses": settings.slice_angstrom}
    modes = {"num_probes": settings.probe_modes}
    base, extra = {
        (False, False): (phase.SingleslicePtychography, {}),
        (True, False): (phase.MultislicePtychography, several),
        (False, True): (phase.MixedstatePtychography, modes),
        (True, True): (phase.MixedstateMultislicePtychography, several | modes),
    }[settings.slices > 1, settings.probe_modes > 1]
    probe = _initial_probe(scan, optics, settings, pixel)
    mean = scan.intensities.sum(dtype=np.float64) / math.prod(scan.shape)
    if scan.unit == "electrons":
        amplitudes = unbiased_amplitudes(scan.intensities, settings.few_counts)
        scan = scan.with_intensities(amplitudes**2)
    method = calibrated(base, scan, optics)(
        datacube=data_cube(scan, 1 / mean),
        energy=optics.energy_ev,
        initial_probe_guess=probe if settings.probe_modes > 1 else probe[0],
        initial_scan_positions=_positions_angstrom(scan),
        object_fov_ang=tuple((n - 0.5) * p for n, p in zip(shape, pixel, strict=True)) if shape else None,
        object_padding_px=(0, 0) if shape else _padding_px(scan),
        object_type="potential",
        verbose=False,
        **extra,
    )
    return method.preprocess(
        force_com_shifts=scan.centre_px,
        force_com_measured=scan.centre_px,
        force_com_rotation=0,
        force_com_transpose=False,
        object_fov_mask=True if shape else None,
        center_positions_in_fov=False,
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_probe_overlaps=False,
    )


def _reconstruct_options(settings: PtychographySettings) -> dict[str, Any]:
    options = {
        "num_iter": settings.iterations,
        "step_size": settings.step_size,
        "max_batch_size": settings.batch_size,
        "seed_random": settings.seed,
        "object_positivity": settings.positivity,
        "fix_probe": settings.fix_probe,
        "q_lowpass": settings.lowpass,
        "butterworth_order": settings.lowpass_order,
        "progress_bar": False,
    }
    if settings.slices > 1:
        options["kz_regularization_gamma"] = settings.slice_smoothing
    return options


def _over_the_scan(
    slices: Float[np.ndarray, "slice row col"], scan: Scan, pixel: tuple[float, float], periodic: bool
) -> Float[np.ndarray, "slice slow fast"]:
    """The object over the scanned field, with scan position [0, 0] at pixel [0, 0]."""
    if periodic:
        return np.asarray(slices, dtype=np.float32)
    start = _positions_angstrom(scan)[0] / pixel + _padding_px(scan)
    counts = [math.ceil(side / p - 1e-6) for side, p in zip(scan.extent_angstrom, pixel, strict=True)]
    grid = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"))
    to_detector = scan.detector_to_scan.T * np.outer(np.reciprocal(pixel), pixel)
    at = start[:, None, None] + np.einsum("dc,cij->dij", to_detector, grid)
    return np.stack([map_coordinates(layer, at, order=3, mode="nearest") for layer in slices]).astype(
        np.float32
    )
