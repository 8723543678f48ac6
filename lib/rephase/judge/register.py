"""All images on one grid and in one band: shifts, resampling, band limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from rephase.errors import InputError
from rephase.judge.frequency import radial_frequency
from rephase.phase.image import PhaseImage

Image = Float[np.ndarray, "_slow _fast"]  # whether shapes agree, each function says in its own words


def shift_between(image: Image, reference: Image, upsampling: int = 100) -> tuple[float, float]:
    """The shift (slow, fast) in pixels that brings a periodic image onto its reference.

    Peak of the upsampled cross-correlation (Guizar-Sicairos et al. 2008), scikit-image's.

    Parameters
    ----------
    image, reference : array (slow, fast)
        Images on one grid.
    upsampling : int
        The shift is found to 1 / upsampling of a pixel.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if image.shape != reference.shape:
        raise InputError("image", f"shape {image.shape}", f"the reference's, {reference.shape}")
    level = [values - values.mean(dtype=np.float64) for values in (reference, image)]
    shift, _, _ = phase_cross_correlation(*level, upsample_factor=upsampling, normalization=None)
    return float(shift[0]), float(shift[1])


def shifted(image: Image, shift_px: tuple[float, float]) -> Float[np.ndarray, "slow fast"]:
    """A periodic image moved by (slow, fast) pixels: a ramp in Fourier space."""
    return np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(image.astype(np.float64)), shift_px)).real


def registered(image: Image, reference: Image, upsampling: int = 100) -> Float[np.ndarray, "slow fast"]:
    """A periodic image, moved by the sub-pixel shift that brings it onto its reference.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    return shifted(image, shift_between(image, reference, upsampling))


def band_limit(
    values: Image, pixel_angstrom: tuple[float, float], cutoff: float
) -> Float[np.ndarray, "slow fast"]:
    """A sharp circular cut in Fourier space: frequencies up to ``cutoff`` stay, all others go.

    Parameters
    ----------
    values : array (slow, fast)
        A periodic image.
    pixel_angstrom : (float, float)
        Pixel size along (slow, fast), in angstrom.
    cutoff : float
        Highest frequency that stays, in 1/angstrom.

    Raises
    ------
    InputError
        If the cut-off is not above 0.
    """
    if not cutoff > 0:
        raise InputError("cutoff", cutoff, "a frequency above 0, in 1/angstrom")
    kept = radial_frequency(values.shape, pixel_angstrom) <= cutoff * (1 + 1e-9)
    return np.fft.ifft2(np.fft.fft2(values.astype(np.float64)) * kept).real


def on_grid(
    image: PhaseImage, shape: tuple[int, int], pixel_angstrom: tuple[float, float], periodic: bool = True
) -> PhaseImage:
    """An image resampled to the grid whose pixel [i, j] lies at (i, j) * pixel from scan position [0, 0].

    Parameters
    ----------
    image : PhaseImage
    shape : (int, int)
        Pixels of the new grid along (slow, fast).
    pixel_angstrom : (float, float)
        Its pixel size, in angstrom.
    periodic : bool
        Whether the image repeats with its own side lengths: its Fourier series is
        evaluated then, without what the new grid cannot hold. Otherwise a cubic
        spline, after a Gaussian against aliasing where the new pixels are larger.

    Raises
    ------
    InputError
        If a pixel size is not above 0, or the new grid reaches more than one pixel
        beyond an image that is not periodic.
    """
    if not min(pixel_angstrom) > 0:
        raise InputError("pixel_angstrom", pixel_angstrom, "two numbers above 0")
    grid = list(zip(shape, pixel_angstrom, image.pixel_angstrom, image.origin_angstrom, strict=True))
    at = [(np.arange(n) * new - origin) / old for n, new, old, origin in grid]  # in pixels of the image
    coarser = [new / old for _, new, old, _ in grid]
    if periodic:
        sizes = image.values.shape
        slow, fast = (_fourier_weights(*axis) for axis in zip(sizes, at, coarser, strict=True))
        values = slow @ image.values @ fast.T
    else:
        _require_inside(at, image.values.shape)
        smooth = ndimage.gaussian_filter(image.values, [max(0.0, (c - 1) / 2) for c in coarser])
        values = ndimage.map_coordinates(smooth, np.meshgrid(*at, indexing="ij"), order=3, mode="nearest")
    return replace(image, values=values, pixel_angstrom=pixel_angstrom, origin_angstrom=(0.0, 0.0))


def _fourier_weights(
    n: int, at: Float[np.ndarray, " point"], coarser: float
) -> Float[np.ndarray, "point {n}"]:
    """Values of the Fourier series of n samples at any points, as a matrix on the samples."""
    order = np.fft.fftfreq(n, 1 / n)
    order = order[np.abs(order) / n <= 0.5 / coarser + 1e-9]
    waves = np.exp(2j * np.pi / n * np.outer(at, order))
    return (waves @ np.exp(-2j * np.pi / n * np.outer(order, np.arange(n)))).real / n


def _require_inside(at: list[np.ndarray], shape: tuple[int, ...]) -> None:
    for axis, points, size in zip(("slow", "fast"), at, shape, strict=True):
        if points[0] < -1 or points[-1] > size:
            found = f"pixels {points[0]:.2f} to {points[-1]:.2f} along the {axis} axis"
            raise InputError("shape", found, f"a grid within the image's 0 to {size - 1}")
