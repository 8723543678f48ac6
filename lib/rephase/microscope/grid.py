"""Periodic grids: frequencies, the antialiasing aperture, Fourier shifts and resampling.

Frequencies are in 1/angstrom, without a factor 2 pi, and in the order of the FFT:
the zero frequency comes first. Nothing here calls ``fftshift``.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float, Inexact

ANTIALIAS_CUTOFF = 2 / 3  # fraction of the Nyquist frequency that multislice keeps
ANTIALIAS_TAPER = 0.01  # width of the soft edge, in units of 1 / pixel

PixelSize = float | tuple[float, float]


def pair(pixel_angstrom: PixelSize) -> tuple[float, float]:
    """Pixel size along both axes, from one number or two."""
    return pixel_angstrom if isinstance(pixel_angstrom, tuple) else (pixel_angstrom, pixel_angstrom)


def pixel_size(box_angstrom: tuple[float, float], shape: tuple[int, int]) -> tuple[float, float]:
    """Pixel size along both axes of a periodic box sampled at ``shape`` points, in angstrom."""
    return box_angstrom[0] / shape[0], box_angstrom[1] / shape[1]


def frequencies(
    shape: tuple[int, int],
    pixel_angstrom: PixelSize,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> tuple[Float[torch.Tensor, "row 1"], Float[torch.Tensor, "1 col"]]:
    """Spatial frequencies ``(ky, kx)`` of a grid, in 1/angstrom, in FFT order.

    ``ky`` belongs to array axis 0 and ``kx`` to axis 1; the two broadcast.
    """
    py, px = pair(pixel_angstrom)
    ky = torch.fft.fftfreq(shape[0], py, dtype=dtype, device=device)
    kx = torch.fft.fftfreq(shape[1], px, dtype=dtype, device=device)
    return ky[:, None], kx[None, :]


def antialias_cutoff(pixel_angstrom: PixelSize) -> float:
    """Highest frequency that multislice keeps: 2/3 of the coarser axis' Nyquist, in 1/angstrom."""
    return ANTIALIAS_CUTOFF / (2 * max(pair(pixel_angstrom)))


def antialias_mask(
    shape: tuple[int, int],
    pixel_angstrom: PixelSize,
    tapered: bool = True,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Float[torch.Tensor, "row col"]:
    """Antialiasing aperture of multislice: 1 inside, 0 beyond 2/3 of Nyquist.

    A product of two functions that are limited to 2/3 of Nyquist aliases only
    beyond 2/3 of Nyquist (Kirkland 2010, Sec. 6.8). With ``tapered`` the last
    ``0.01 / pixel`` falls off as a raised cosine, as abTEM's does.
    """
    ky, kx = frequencies(shape, pixel_angstrom, dtype, device)
    k, cutoff = torch.hypot(ky, kx), antialias_cutoff(pixel_angstrom)
    if not tapered:
        return (k < cutoff).to(dtype)
    width = ANTIALIAS_TAPER / max(pair(pixel_angstrom))
    depth = ((cutoff - k) / width).clamp(0, 1)
    return 0.5 * (1 - torch.cos(math.pi * depth))


def resize_spectrum(
    spectrum: Complex[torch.Tensor, "*batch row col"], shape: tuple[int, int]
) -> Complex[torch.Tensor, "*batch new_row new_col"]:
    """Crop or zero-pad a spectrum in FFT order to ``shape``, about the zero frequency.

    At an even size the highest frequency stands for both signs: it is summed
    when cropped and halved when padded, so that real images stay real.
    """
    for axis, size in zip((-2, -1), shape, strict=True):
        spectrum = _resize_axis(spectrum.movedim(axis, -1), size).movedim(-1, axis)
    return spectrum


def _resize_axis(spectrum: torch.Tensor, size: int) -> torch.Tensor:
    old = spectrum.shape[-1]
    if size == old:
        return spectrum
    kept = min(size, old)
    half = kept // 2
    resized = spectrum.new_zeros((*spectrum.shape[:-1], size))
    resized[..., : kept - half] = spectrum[..., : kept - half]
    if half:
        resized[..., -half:] = spectrum[..., -half:]
    if kept % 2 == 0 and size < old:
        resized[..., half] += spectrum[..., half]
    elif kept % 2 == 0:
        resized[..., -half] /= 2
        resized[..., half] = resized[..., -half]
    return resized


def fourier_resample(
    image: Inexact[torch.Tensor, "*batch row col"], shape: tuple[int, int]
) -> Inexact[torch.Tensor, "*batch new_row new_col"]:
    """Resample periodic images to ``shape`` pixels by trigonometric interpolation.

    Values are kept (not sums): a constant image stays the same constant.
    """
    scale = math.prod(shape) / math.prod(image.shape[-2:])
    resampled = torch.fft.ifft2(resize_spectrum(torch.fft.fft2(image), shape)) * scale
    return resampled if image.is_complex() else resampled.real


def fourier_shift(
    image: Inexact[torch.Tensor, "*batch row col"],
    shift_px: tuple[float, float] | Float[torch.Tensor, "*#batch 2"],
) -> Inexact[torch.Tensor, "*batch row col"]:
    """Move periodic images by a sub-pixel distance: ``out(r) = image(r - shift)``.

    One shift for all images, or one for each.
    """
    real = image.real if image.is_complex() else image
    shift = torch.as_tensor(shift_px, dtype=real.dtype, device=image.device)[..., None, None]
    ky, kx = frequencies(tuple(image.shape[-2:]), 1.0, real.dtype, image.device)
    ramp = torch.exp(-2j * math.pi * (ky * shift[..., 0, :, :] + kx * shift[..., 1, :, :]))
    shifted = torch.fft.ifft2(torch.fft.fft2(image) * ramp)
    return shifted if image.is_complex() else shifted.real
