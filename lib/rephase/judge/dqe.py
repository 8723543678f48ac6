"""Detective quantum efficiency of phase imaging: closed forms and Monte-Carlo.

For a weak pure phase object and Poisson counts, against the ideal Zernike
microscope. ``x = q / q_probe`` is the spatial frequency in units of the
aperture radius, ``chi`` the aberration phase at q in rad. Closed forms: Dwyer
and Paganin, PRB 110, 024110 (2024); Varnavides et al., arXiv 2309.05250 and
2507.19476; Bouchet et al., Optics Express 29, 16736 (2021).

With F the orthonormal transform (norm='ortho') and N the electrons per pixel,
an ideal Zernike image has the noise variance 1 / (4 N) in every mode, hence
SSNR_in^2(q) = 4 N |F phi(q)|^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import stats

from rephase.errors import InputError
from rephase.judge.frequency import radial_frequency, ring_index
from rephase.microscope.optics import Optics, aberration_phase, aperture

LOWEST_DQE = 0.02  # rings on which a method is tested carry at least this much
TESTED_BAND = (0.1, 1.8)  # and lie between these multiples of the aperture radius

Values = Float[np.ndarray, "*shape"]


def overlap(x: Values) -> Values:
    """Share o(x) of the aperture that two apertures a distance x apart have in common."""
    half = np.clip(np.abs(x) / 2, 0, 1)
    return 2 / np.pi * (np.arccos(half) - half * np.sqrt(1 - half**2))


def ssb_dqe(x: Values) -> Values:
    """SSB in focus: [o(x) - o(2x)] / 2; its peak is 0.205 at x = 0.89."""
    return (overlap(x) - overlap(2 * x)) / 2


def icom_dqe(x: Values) -> Values:
    """iCOM in focus: x^2 o(x)^2; its peak is 0.163 at x = 0.84."""
    return x**2 * overlap(x) ** 2


def defocused_dqe(x: Values, chi: Values) -> Values:
    """Direct ptychography with defocus as the only aberration: [o(x) - o(2x)] / 2 + o(2x) sin^2 chi."""
    return ssb_dqe(x) + overlap(2 * x) * np.sin(chi) ** 2


def tilt_corrected_dqe(x: Values, chi: Values) -> Values:
    """Tilt-corrected bright field (parallax): o(x)^2 sin^2 chi."""
    return overlap(x) ** 2 * np.sin(chi) ** 2


def matched_filter_dqe(
    optics: Optics, frequencies: Float[np.ndarray, "mode 2"], samples: int = 256
) -> Float[np.ndarray, " mode"]:
    """Best DQE of any direct ptychography, for the aperture and aberrations at hand.

    sum_k |Gamma(q, k)|^2 / (4 sum_k |A(k)|^2) with
    Gamma = A*(k) A(k - q) - A(k) A*(k + q) and A = aperture exp(-i chi), hard edge.

    Parameters
    ----------
    optics : Optics
    frequencies : array (mode, 2)
        Spatial frequencies q along (slow, fast), in 1/angstrom.
    samples : int
        Points k across the diameter of the aperture.

    Returns
    -------
    array (mode)
    """
    radius = optics.aperture_radius
    axis = radius * (2 * (torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 1)
    ky, kx = (k.flatten() for k in torch.meshgrid(axis, axis, indexing="ij"))
    inside = torch.hypot(ky, kx) <= radius
    ky, kx = ky[inside], kx[inside]

    def pupil(ky: torch.Tensor, kx: torch.Tensor) -> torch.Tensor:
        return torch.polar(aperture(optics, ky, kx), -aberration_phase(optics, ky, kx))

    beam = pupil(ky, kx)
    powers = []
    for qy, qx in frequencies.tolist():
        gamma = beam.conj() * pupil(ky - qy, kx - qx) - beam * pupil(ky + qy, kx + qx).conj()
        powers.append(torch.sum(gamma.abs() ** 2) / (4 * ky.numel()))
    return torch.stack(powers).numpy()


def ssnr(images: Float[np.ndarray, "draw slow fast"]) -> Float[np.ndarray, "slow fast"]:
    """Squared spectral signal-to-noise ratio of each mode from n independent draws.

    SSNR^2 = (|mean F|^2 - var / n) / var, with var the unbiased variance of the
    complex coefficient F over the draws; the subtraction takes out what noise
    adds to |mean F|^2. Without noise it is infinite, or 0 where there is no signal either.

    Parameters
    ----------
    images : array (draw, slow, fast)
        Images that differ by their noise only.

    Returns
    -------
    array (slow, fast)
        In the order of the FFT. Single modes scatter, and the scatter of var makes the
        ratio too large by (n - 1) / (n - 2) on average: `measured_dqe` sums first.

    Raises
    ------
    InputError
        If there are fewer than two draws.
    """
    signal, noise = _signal_and_noise(images)
    return np.divide(signal, noise, out=np.where(signal > 0, np.inf, 0.0), where=noise > 0)


@dataclass(frozen=True)
class MeasuredDqe:
    """Detective quantum efficiency on rings, from Monte-Carlo.

    Parameters
    ----------
    frequency : array (ring)
        Mean |q| of the ring, in 1/angstrom.
    values, error : array (ring)
        DQE and its standard error.
    low, high : array (ring)
        Interval of each ring by itself; see `bounds` for many rings at once.
    modes : int array (ring)
        Independent modes in the ring.
    replicates : array (replicate, ring)
        Bootstrap over the modes, for what is computed from several rings.
    """

    frequency: Float[np.ndarray, " ring"]
    values: Float[np.ndarray, " ring"]
    error: Float[np.ndarray, " ring"]
    low: Float[np.ndarray, " ring"]
    high: Float[np.ndarray, " ring"]
    modes: Int[np.ndarray, " ring"]
    replicates: Float[np.ndarray, "replicate ring"]

    def bounds(self, level: float, rings: int = 1) -> tuple[Float[np.ndarray, " ring"], ...]:
        """Lower and upper ends of the interval that covers at ``level``, all of ``rings`` together.

        value -+ t x standard error, with Bonferroni's correction for the number of rings compared.
        """
        half = stats.t.ppf(1 - (1 - level) / 2 / rings, self.modes - 1) * self.error
        return self.values - half, self.values + half


def measured_dqe(
    images: Float[np.ndarray, "draw slow fast"],
    truth: Float[np.ndarray, "_slow _fast"],
    electrons_per_pixel: float,
    pixel_angstrom: tuple[float, float],
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> MeasuredDqe:
    """DQE of a phase method by rings: SSNR_out^2 / SSNR_in^2 on a known weak object.

    On a ring, SSNR_out^2 is the summed signal over the summed noise, and
    SSNR_in^2 the mean of 4 N |F phi|^2: ratios of sums, as ratios of single
    modes are biased. The gain of the method cancels. Intervals come from the scatter
    between the modes of a ring, of which conjugate pairs count once: the error of
    the ratio by propagation, with Student's t for rings of few modes.

    Parameters
    ----------
    images : array (draw, slow, fast)
        Phase images from independent Poisson draws of one scan.
    truth : array (slow, fast)
        The phase that was put in, in rad, on the same grid: white noise is best.
    electrons_per_pixel : float
        Dose times the area of an image pixel.
    pixel_angstrom : (float, float)
        Pixel size along (slow, fast), in angstrom.
    replicates : int
        Size of the bootstrap.
    level : float
        Coverage of the interval.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    InputError
        If there are fewer than two draws, the shapes differ, or the electrons
        per pixel are not above 0.
    """
    if images.shape[1:] != truth.shape:
        raise InputError("images", f"shape {images.shape[1:]}", f"the truth's, {truth.shape}")
    if not electrons_per_pixel > 0:
        raise InputError("electrons_per_pixel", electrons_per_pixel, "a number above 0")
    signal, noise = _signal_and_noise(images)
    known = 4 * electrons_per_pixel * np.abs(np.fft.fft2(truth.astype(np.float64), norm="ortho")) ** 2
    ring = np.where(_independent(truth.shape), ring_index(truth.shape, pixel_angstrom), -1)
    radius = radial_frequency(truth.shape, pixel_angstrom)
    rng, rings = np.random.default_rng(seed), []
    for members in (np.flatnonzero(ring == r) for r in range(ring.max() + 1)):
        modes = np.stack([q.flat[members] for q in (signal, noise, known)])
        drawn = modes[:, rng.integers(members.size, size=(replicates, members.size))]
        rings.append((radius.flat[members].mean(), *_ratio_and_error(modes), members.size, _ratio(drawn)))
    frequency, values, error, modes, spread = (np.array(column) for column in zip(*rings, strict=True))
    half = stats.t.ppf((1 + level) / 2, modes - 1) * error
    return MeasuredDqe(frequency, values, error, values - half, values + half, modes, spread.T)


def dqe_ratio(
    measured: MeasuredDqe, expected: Float[np.ndarray, " ring"], probe_radius: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Measured over expected DQE, averaged over the rings on which a method is tested.

    These are the rings with an expected DQE of 0.02 or more and 0.1 < x < 1.8.

    Parameters
    ----------
    measured : MeasuredDqe
    expected : array (ring)
        Closed form at the rings of ``measured``.
    probe_radius : float
        Radius of the aperture, in 1/angstrom.
    level : float
        Coverage of the interval.

    Returns
    -------
    (float, float, float)
        Mean ratio and the ends of its bootstrap interval.

    Raises
    ------
    InputError
        If no ring qualifies.
    """
    x = measured.frequency / probe_radius
    tested = (expected >= LOWEST_DQE) & (x > TESTED_BAND[0]) & (x < TESTED_BAND[1])
    if not tested.any():
        raise InputError("expected", f"at most {expected.max():.3g}", f"some rings of {LOWEST_DQE} or more")
    means = np.mean(measured.replicates[:, tested] / expected[tested], axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(np.mean(measured.values[tested] / expected[tested])), float(low), float(high)


def _signal_and_noise(
    images: Float[np.ndarray, "draw slow fast"],
) -> tuple[Float[np.ndarray, "slow fast"], Float[np.ndarray, "slow fast"]]:
    """Unbiased |E F|^2 and variance of F, per mode."""
    if len(images) < 2:
        raise InputError("images", f"{len(images)} draw", "at least two, or there is no variance")
    spectra = np.fft.fft2(images.astype(np.float64), norm="ortho")
    noise = np.var(spectra, axis=0, ddof=1)
    return np.abs(spectra.mean(axis=0)) ** 2 - noise / len(images), noise


def _independent(shape: tuple[int, int]) -> Bool[np.ndarray, "slow fast"]:
    """One mode of each conjugate pair; the self-conjugate rows and columns at Nyquist are left out."""
    slow, fast = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij")
    below_nyquist = (slow > -shape[0] / 2) & (fast > -shape[1] / 2)
    return below_nyquist & ((fast > 0) | ((fast == 0) & (slow > 0)))


def _ratio(modes: Float[np.ndarray, "quantity *replicates mode"]) -> Float[np.ndarray, "*replicates"] | float:
    signal, noise, known = modes
    return signal.sum(-1) / noise.sum(-1) / known.mean(-1)


def _ratio_and_error(modes: Float[np.ndarray, "quantity mode"]) -> tuple[float, float]:
    """The ratio of a ring and its standard error, from each mode's influence on it."""
    signal, noise, known = modes
    value, n = float(_ratio(modes)), noise.size
    influence = n * (signal - signal.sum() * (noise / noise.sum() + known / known.sum() - 1 / n))
    influence /= noise.sum() * known.sum()
    return value, float(np.sqrt(np.sum(influence**2) * n / (n - 1)))
