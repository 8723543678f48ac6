"""Images by spatial frequency: rings, Fourier ring correlation, resolution, power spectrum.

A ring collects the modes whose |q| rounds to one multiple of the coarser
frequency step, so fields need not be square. The zero frequency belongs to no
ring: an image's mean never matters here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.signal import windows

from rephase.errors import InputError

HALF_BIT_SNR = np.sqrt(2) - 1  # of the full data: log2(1 + SNR) = 1/2

Image = Float[np.ndarray, "_slow _fast"]  # whether shapes agree, each function says in its own words
Pixel = tuple[float, float]


@dataclass(frozen=True)
class RingCurve:
    """A quantity on rings of equal spatial frequency.

    Parameters
    ----------
    frequency : array (ring)
        Mean |q| of the ring's modes, in 1/angstrom.
    values : array (ring)
    modes : int array (ring)
        Number of Fourier pixels in the ring, conjugate pairs counted as two.
    """

    frequency: Float[np.ndarray, " ring"]
    values: Float[np.ndarray, " ring"]
    modes: Int[np.ndarray, " ring"]


def radial_frequency(shape: tuple[int, int], pixel_angstrom: Pixel) -> Float[np.ndarray, "slow fast"]:
    """|q| of each mode in the order of the FFT, in 1/angstrom."""
    slow, fast = (np.fft.fftfreq(n, p) for n, p in zip(shape, pixel_angstrom, strict=True))
    return np.hypot(slow[:, None], fast[None, :])


def ring_index(shape: tuple[int, int], pixel_angstrom: Pixel) -> Int[np.ndarray, "slow fast"]:
    """The ring of each mode, from 0; -1 for the zero frequency and beyond the lower Nyquist frequency."""
    step = max(1 / (n * p) for n, p in zip(shape, pixel_angstrom, strict=True))
    nyquist = min(0.5 / p for p in pixel_angstrom)
    ring = np.rint(radial_frequency(shape, pixel_angstrom) / step).astype(int) - 1
    return np.where(ring < int(nyquist / step + 1e-9), ring, -1)


def ring_average(values: Image, pixel_angstrom: Pixel) -> RingCurve:
    """Mean over rings of a quantity given for each mode, in the order of the FFT."""
    ring = ring_index(values.shape, pixel_angstrom)
    modes = _ring_sum(np.ones(values.shape), ring)
    radius = radial_frequency(values.shape, pixel_angstrom)
    return RingCurve(_ring_sum(radius, ring) / modes, _ring_sum(values, ring) / modes, modes.astype(int))


def fourier_ring_correlation(a: Image, b: Image, pixel_angstrom: Pixel) -> RingCurve:
    """Fourier ring correlation Re sum(A B*) / sqrt(sum |A|^2 sum |B|^2), 0 where one has no power.

    Saxton and Baumeister (1982); van Heel and Schatz, J. Struct. Biol. 151, 250 (2005).

    Parameters
    ----------
    a, b : array (slow, fast)
        Images on one grid: two halves of the data, or an estimate and the truth.
        Fields that are not periodic want `tapered` first.
    pixel_angstrom : (float, float)
        Pixel size along (slow, fast), in angstrom.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if a.shape != b.shape:
        raise InputError("images", f"shapes {a.shape} and {b.shape}", "one shape")
    fa, fb = np.fft.fft2(_level(a)), np.fft.fft2(_level(b))
    ring = ring_index(a.shape, pixel_angstrom)
    norm = np.sqrt(_ring_sum(np.abs(fa) ** 2, ring) * _ring_sum(np.abs(fb) ** 2, ring))
    together = _ring_sum((fa * fb.conj()).real, ring)
    values = np.divide(together, norm, out=np.zeros_like(norm), where=norm > 0)
    return replace(ring_average(np.zeros(a.shape), pixel_angstrom), values=values)


def half_bit_threshold(modes: Int[np.ndarray, " ring"]) -> Float[np.ndarray, " ring"]:
    """The half-bit threshold for the correlation of two HALVES of the data.

    (0.2071 + 1.9102 / sqrt(n)) / (1.2071 + 0.9102 / sqrt(n)), van Heel and Schatz
    (2005): half a bit a pixel in the full data, SNR 0.4142, of which each half has 0.2071.
    """
    root = np.sqrt(modes)
    return (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)


def truth_threshold(modes: Int[np.ndarray, " ring"], snr: float = HALF_BIT_SNR) -> Float[np.ndarray, " ring"]:
    """The same half bit for the correlation of ALL data with the noise-free TRUTH.

    (sqrt(snr) + 1 / sqrt(n)) / sqrt(1 + snr + 2 sqrt(snr) / sqrt(n)): the expected
    correlation sqrt(snr / (1 + snr)), with the chance correlation of truth and
    noise, 1 / sqrt(n), added as van Heel and Schatz (2005) do for split data.
    0.541 for many modes, where the half-bit threshold for split data is 0.172.
    """
    root = np.sqrt(modes)
    return (np.sqrt(snr) + 1 / root) / np.sqrt(1 + snr + 2 * np.sqrt(snr) / root)


def crossing(curve: RingCurve, threshold: Float[np.ndarray, " ring"]) -> float:
    """Frequency at which a curve first falls below a threshold, in 1/angstrom.

    Linear between rings; 0 where the first ring is below already, the last ring's
    frequency where none is.
    """
    above = curve.values - threshold
    below = np.flatnonzero(above < 0)
    if below.size == 0:
        return float(curve.frequency[-1])
    first = below[0]
    if first == 0:
        return 0.0
    share = above[first - 1] / (above[first - 1] - above[first])
    step = curve.frequency[first] - curve.frequency[first - 1]
    return float(curve.frequency[first - 1] + share * step)


def half_bit_resolution(half_a: Image, half_b: Image, pixel_angstrom: Pixel) -> float:
    """Half-bit resolution of two independent halves of the data, in angstrom.

    Infinite where not even the lowest ring reaches the threshold.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    curve = fourier_ring_correlation(half_a, half_b, pixel_angstrom)
    return _length(crossing(curve, half_bit_threshold(curve.modes)))


def resolution_against_truth(estimate: Image, truth: Image, pixel_angstrom: Pixel) -> float:
    """Resolution by the correlation with the truth and `truth_threshold`, in angstrom.

    Infinite where not even the lowest ring reaches the threshold.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    curve = fourier_ring_correlation(estimate, truth, pixel_angstrom)
    return _length(crossing(curve, truth_threshold(curve.modes)))


def power_spectrum(values: Image, pixel_angstrom: Pixel) -> RingCurve:
    """Isotropic power spectrum: ring means of |F|^2 / pixels; white noise of variance v gives v."""
    return ring_average(np.abs(np.fft.fft2(_level(values))) ** 2 / values.size, pixel_angstrom)


def highest_resolved_frequency(
    values: Image, pixel_angstrom: Pixel, noise_from: float, sigmas: float = 5.0
) -> float:
    """Highest frequency whose ring stands out of the noise in the power spectrum, in 1/angstrom.

    The noise floor is the mean power of the rings from ``noise_from`` on, taken as
    white; a ring of n modes stands out by ``sigmas`` of its own scatter, floor sqrt(2 / n).
    0 where no ring does. The image must not have been limited to a band before, or
    there is no noise to compare with. Power alone cannot tell signal from an artefact: with the
    truth at hand use `resolution_against_truth`.

    Parameters
    ----------
    values : array (slow, fast)
    pixel_angstrom : (float, float)
    noise_from : float
        Frequency beyond which there is no signal, for example 2 alpha / wavelength, in 1/angstrom.
    sigmas : float
        How far a ring must stand out.

    Raises
    ------
    InputError
        If no ring lies beyond ``noise_from``.
    """
    curve = power_spectrum(values, pixel_angstrom)
    noise = curve.frequency >= noise_from
    if not noise.any():
        raise InputError("noise_from", noise_from, f"a frequency up to {curve.frequency[-1]:.4g} 1/angstrom")
    floor = np.average(curve.values[noise], weights=curve.modes[noise])
    clear = ~noise & (curve.values > floor * (1 + sigmas * np.sqrt(2 / curve.modes)))
    return float(curve.frequency[clear].max(initial=0.0))


def tapered(values: Image, fraction: float = 0.25) -> Float[np.ndarray, "slow fast"]:
    """An image without its mean, brought to 0 at its borders by a Tukey window.

    Parameters
    ----------
    values : array (slow, fast)
    fraction : float
        Share of each side that the two edges of the window take together, 0 to 1.
    """
    slow, fast = (windows.tukey(n, fraction) for n in values.shape)
    return _level(values) * np.outer(slow, fast)


def _level(values: Image) -> Float[np.ndarray, "slow fast"]:
    return values.astype(np.float64) - np.mean(values, dtype=np.float64)


def _ring_sum(
    values: Float[np.ndarray, "slow fast"], ring: Int[np.ndarray, "slow fast"]
) -> Float[np.ndarray, " ring"]:
    return np.bincount(ring[ring >= 0], weights=values[ring >= 0])


def _length(frequency: float) -> float:
    return 1 / frequency if frequency > 0 else np.inf
