"""How well an unbiased estimate of a phase can correlate with the truth, at a dose.

Counted electrons leave a variance to every estimate without bias and without prior
knowledge. It is inverse to the dose; variances are given here at 1 electron per
square angstrom, summed over a band of frequencies: the mean square of the noise of
an image's pixels. Some methods may pass the limit. A network has learnt what atoms
look like; positivity and a known support are knowledge, too; and a method that
damps or leaves out what it sees badly, as SSB does, is biased.

Sources: docs/limits.md; Dwyer and Paganin, PRB 110, 024110 (2024); Bouchet et
al., Optics Express 29, 16736 (2021).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float

from rephase.errors import InputError
from rephase.judge.frequency import radial_frequency
from rephase.judge.limits import diffraction_variance
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe

Phase = Float[np.ndarray, "slow fast"]


def correlation_limit(signal_variance: float, unit_variance: float, dose: float) -> float:
    """Correlation with the truth to be expected of an unbiased estimate, sqrt(S / (S + v)).

    Assumes an estimate without bias and without prior knowledge, whose error has the
    variance v that the electrons leave and nothing to do with the truth. Learned,
    regularised and band-limited methods hold prior knowledge or are biased, and may
    pass it. At few electrons no unbiased estimate of a strong phase may exist; the
    curve then says only what such an estimate would reach.

    Parameters
    ----------
    signal_variance : float
        Variance S of the truth in the band, in rad^2.
    unit_variance : float
        Variance at 1 e/A^2, by `weak_variance` or `strong_variance`.
    dose : float
        In e/A^2; ``inf`` gives 1.

    Raises
    ------
    InputError
        If a variance or the dose is not above 0.
    """
    if not min(signal_variance, unit_variance, dose) > 0:
        found = f"{signal_variance:g}, {unit_variance:g}, {dose:g}"
        raise InputError("signal variance, unit variance, dose", found, "numbers above 0")
    return math.sqrt(signal_variance / (signal_variance + unit_variance / dose))


def weak_variance(cutoff: float) -> float:
    """Least variance of an unbiased estimate in the band below a cut-off: pi cutoff^2 / 2 over the dose.

    The mean variance of a mode is 1 / (2N) with N electrons per pixel, and the band holds
    pi cutoff^2 times a pixel's area of all modes, so that the size of the pixels does not
    matter. :func:`rephase.judge.limits.weak_phase_line_applies` tells whether a figure
    may show it.

    Parameters
    ----------
    cutoff : float
        Highest frequency of the band, in 1/angstrom.

    Returns
    -------
    float
        In rad^2 at 1 e/A^2.
    """
    return math.pi * cutoff**2 * diffraction_variance(1.0)


def strong_variance(
    phase: Phase, pixel_angstrom: tuple[float, float], optics: Optics, every: int = 1
) -> float:
    """The same for a phase of any strength, up to twice the aperture, from its Fisher matrix.

    For a thin specimen, which multiplies the wave by exp(i phase) and does not spread it.
    All pixels are unknown, also in what they hold beyond the band; only their mean, which
    no pattern shows, is left out. 10 to 20 % above `weak_variance` for random phases, weak
    and strong: some modes are seen worse than others, and the mean of an inverse lies above the inverse
    of a mean.

    Parameters
    ----------
    phase : array (slow, fast)
        One period of the projected phase, in rad; up to some 2000 pixels, for time grows
        as their square times the probe positions.
    pixel_angstrom : (float, float)
        Small enough to hold the band: below 1 / (4 aperture radius).
    optics : Optics
    every : int
        A probe position is taken at every so-manyth pixel along both axes.

    Returns
    -------
    float
        In rad^2 at 1 e/A^2.

    Raises
    ------
    InputError
        If the pixels are too large, or some mode of the band cannot be seen.
    """
    cutoff = 2 * optics.aperture_radius
    if cutoff * max(pixel_angstrom) >= 0.5:
        raise InputError(
            "pixel_angstrom", pixel_angstrom, f"below {0.5 / cutoff:.3g} to hold twice the aperture"
        )
    fisher = phase_information(phase, pixel_angstrom, optics, every)
    variance = mode_variance(fisher, phase.shape)
    q = radial_frequency(phase.shape, pixel_angstrom)
    band = variance[(q > 0) & (q <= cutoff)].sum()
    return float(band / phase.size / math.prod(pixel_angstrom))


def limit(
    phase: Phase, pixel_angstrom: tuple[float, float], optics: Optics, every: int = 1
) -> dict[str, np.ndarray]:
    """`strong_variance` as the array ``limit``: a part of a long stage."""
    return {"limit": np.array(strong_variance(phase, pixel_angstrom, optics, every))}


def phase_information(
    phase: Phase, pixel_angstrom: tuple[float, float], optics: Optics, every: int = 1
) -> Float[np.ndarray, "pixel pixel"]:
    """Fisher matrix of the phases of all pixels, for one electron per pixel.

    With exit wave psi and W = fft2(psi), orthonormal, the intensity |W|^2 gives

        F_jl = 2 |psi_j|^2 [j = l] - 2 Re[psi_j psi_l G(j + l)],

    where G is the transform of (W* / |W|)^2: the mean over probe positions, times
    the number of pixels. A detector pixel that is exactly dark counts as the mean over
    its phases, as it does for any object but an empty one.

    Parameters
    ----------
    phase, pixel_angstrom, optics, every
        As for `strong_variance`.

    Returns
    -------
    array (pixel, pixel)
        Pixels in the order of ``phase.ravel()``.
    """
    rows, cols = phase.shape
    box = tuple(n * pixel for n, pixel in zip(phase.shape, pixel_angstrom, strict=True))
    beam = probe(optics, phase.shape, box, soft=False, dtype=torch.complex128)[0].numpy()
    beam, object_wave = beam / np.linalg.norm(beam), np.exp(1j * phase)
    positions = [(i, j) for i in range(0, rows, every) for j in range(0, cols, every)]
    seen, hidden = np.zeros(phase.shape), np.zeros((rows, cols, rows, cols), np.float32)
    for position in positions:
        exit_wave = np.roll(beam, position, (0, 1)) * object_wave
        seen += np.abs(exit_wave) ** 2
        hidden += _conjugate_part(exit_wave)
    diagonal = np.diag(seen.ravel())
    return 2 * (diagonal - hidden.reshape(phase.size, phase.size)) * phase.size / len(positions)


def mode_variance(
    fisher: Float[np.ndarray, "pixel pixel"], shape: tuple[int, int]
) -> Float[np.ndarray, "slow fast"]:
    """Variances of the orthonormal Fourier coefficients of an image that has the covariance F^-1.

    Parameters
    ----------
    fisher : array (pixel, pixel)
        Blind to the image's mean, whose variance is given as 0.
    shape : (int, int)
        Of the image.

    Raises
    ------
    InputError
        If another mode cannot be seen either.
    """
    scale = np.trace(fisher) / len(fisher)
    known_mean = np.full_like(fisher, scale / len(fisher))  # a mode of information that is taken back below
    values = np.linalg.eigvalsh(fisher + known_mean)
    if not values[0] > 1e-5 * scale:
        raise InputError("fisher", f"least information {values[0]:.3g}", f"well above 0 (mean {scale:.3g})")
    covariance = np.linalg.inv(fisher + known_mean) - 1 / (scale * len(fisher))
    halfway = np.fft.fft2(covariance.reshape(*shape, *shape), axes=(2, 3))
    both = np.fft.ifft2(halfway, axes=(0, 1)).reshape(fisher.shape)
    return np.diagonal(both).real.reshape(shape)


def _conjugate_part(exit_wave: np.ndarray) -> Float[np.ndarray, "slow fast slow fast"]:
    """Re[psi_j psi_l G(j + l)] for all pairs of pixels."""
    wave = exit_wave.astype(np.complex64)
    far = np.fft.fft2(exit_wave, norm="ortho")
    turned = np.divide(far.conj() ** 2, np.abs(far) ** 2, out=np.zeros_like(far), where=np.abs(far) > 1e-12)
    kernel = np.tile((np.fft.fft2(turned) / turned.size).astype(np.complex64), (2, 2))
    sums = np.lib.stride_tricks.sliding_window_view(kernel, wave.shape)[: wave.shape[0], : wave.shape[1]]
    product = wave[:, :, None, None] * sums
    product *= wave
    return product.real
