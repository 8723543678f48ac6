"""How far an image is from the truth: one plain function a measure."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from rephase.errors import InputError

SSIM_WINDOW = 7  # side of scikit-image's uniform window, in pixels
MS_SSIM_WINDOW = 11  # side of the Gaussian window of Wang et al. (2003), in pixels
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. (2003), fine to coarse

Image = Float[np.ndarray, "_slow _fast"]  # whether shapes agree, each function says in its own words
Mask = Bool[np.ndarray, "_slow _fast"]


def nmse(estimate: Image, truth: Image) -> float:
    """Normalised mean squared error, sum (estimate - truth)^2 / sum truth^2.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, or the truth is zero everywhere.
    """
    _require_comparable(estimate, truth)
    power = np.sum(np.square(truth, dtype=np.float64))
    if power == 0:
        raise InputError("truth", "zero everywhere", "an image with some value other than 0")
    return float(np.sum(_difference(estimate, truth) ** 2) / power)


def psnr(estimate: Image, truth: Image, data_range: float | None = None) -> float:
    """Peak signal-to-noise ratio 10 log10(R^2 / MSE), in dB; infinite for equal images.

    Parameters
    ----------
    estimate, truth : array (slow, fast)
        Images on one grid and in one unit.
    data_range : float, optional
        The range R; that of the truth, max - min, by default.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, or the range is not above 0.
    """
    _require_comparable(estimate, truth)
    span = _span(truth, data_range)
    if np.array_equal(estimate, truth):
        return math.inf
    return float(peak_signal_noise_ratio(_double(truth), _double(estimate), data_range=span))


def ssim(estimate: Image, truth: Image, data_range: float | None = None) -> float:
    """Structural similarity (Wang et al. 2004), scikit-image's with its 7 x 7 uniform window.

    Parameters
    ----------
    estimate, truth : array (slow, fast)
        Images on one grid and in one unit, at least 7 x 7.
    data_range : float, optional
        The range that sets the constants; that of the truth by default.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, the range is not above 0,
        or the images are smaller than the window.
    """
    _require_comparable(estimate, truth)
    if min(truth.shape) < SSIM_WINDOW:
        raise InputError("truth", f"{truth.shape} pixels", f"at least {SSIM_WINDOW} x {SSIM_WINDOW}")
    span = _span(truth, data_range)
    return float(structural_similarity(_double(truth), _double(estimate), data_range=span))


def ms_ssim(estimate: Image, truth: Image, data_range: float | None = None, scales: int = 5) -> float:
    """Multi-scale structural similarity (Wang et al. 2003), torchmetrics'.

    Fewer scales than five use the weights of the finest ones, rescaled to the same sum:
    such values compare only with others of the same number of scales. Negative
    similarities count as 0.

    Parameters
    ----------
    estimate, truth : array (slow, fast)
        Images on one grid and in one unit.
    data_range : float, optional
        The range that sets the constants; that of the truth by default.
    scales : int
        Number of scales, 1 to 5. The shorter side must have at least
        11, 22, 44, 99, 176 pixels for 1, 2, 3, 4, 5 scales.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, the range is not above 0, or
        the images are too small for the number of scales.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    _require_comparable(estimate, truth)
    if not 1 <= scales <= len(MS_SSIM_WEIGHTS):
        raise InputError("scales", scales, f"1 to {len(MS_SSIM_WEIGHTS)}")
    smallest = MS_SSIM_WINDOW * max(2 ** (scales - 1), (scales - 1) ** 2)
    if min(truth.shape) < smallest:
        expected = f"at least {smallest} x {smallest} for {scales} scales, or fewer scales"
        raise InputError("truth", f"{truth.shape} pixels", expected)
    rescaled = sum(MS_SSIM_WEIGHTS) / sum(MS_SSIM_WEIGHTS[:scales])
    value = multiscale_structural_similarity_index_measure(
        torch.from_numpy(_double(estimate))[None, None],
        torch.from_numpy(_double(truth))[None, None],
        kernel_size=MS_SSIM_WINDOW,
        data_range=_span(truth, data_range),
        betas=tuple(rescaled * weight for weight in MS_SSIM_WEIGHTS[:scales]),
        normalize="relu",
    )
    return float(value)


def cross_correlation(estimate: Image, truth: Image) -> float:
    """Normalised cross-correlation: Eq. 14 of the exit-wave paper (Friedrich et al. 2023).

    sum (x - <x>)(y - <y>) / sqrt(sum (x - <x>)^2 sum (y - <y>)^2); 0 where one
    of the images is constant, as it then tells nothing about the other.

    Raises
    ------
    InputError
        If the shapes differ or a value is not finite.
    """
    _require_comparable(estimate, truth)
    x, y = (_double(image) - np.mean(image, dtype=np.float64) for image in (estimate, truth))
    norm = np.sqrt(np.sum(x**2) * np.sum(y**2))
    return float(np.sum(x * y) / norm) if norm > 0 else 0.0


def phase_mse(estimate: Image, truth: Image, ramp_free: bool = False, mask: Mask | None = None) -> float:
    """Mean squared error of a phase, in rad^2, after removing what cannot be known.

    Parameters
    ----------
    estimate, truth : array (slow, fast)
        Phases in rad, not wrapped.
    ramp_free : bool
        Whether the method leaves a phase ramp undetermined: the least-squares
        plane of the difference is removed then, its mean alone otherwise.
    mask : bool array (slow, fast), optional
        Pixels that count; all by default.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, or the mask is empty.
    """
    _require_comparable(estimate, truth)
    difference, counted = _difference(estimate, truth), _counted(mask, truth)
    axes = [axis[counted] for axis in np.indices(truth.shape)] if ramp_free else []
    basis = np.stack([np.ones(counted.sum()), *axes], axis=1)
    unknown, *_ = np.linalg.lstsq(basis, difference[counted], rcond=None)
    return float(np.mean((difference[counted] - basis @ unknown) ** 2))


def wrapped_phase_mse(estimate: Image, truth: Image, mask: Mask | None = None) -> float:
    """Mean squared error of a phase modulo 2 pi, in rad^2, after removing the global phase.

    The global phase is the argument of the mean of exp(i difference).

    Parameters
    ----------
    estimate, truth : array (slow, fast)
        Phases in rad, each known up to multiples of 2 pi.
    mask : bool array (slow, fast), optional
        Pixels that count; all by default.

    Raises
    ------
    InputError
        If the shapes differ, a value is not finite, or the mask is empty.
    """
    _require_comparable(estimate, truth)
    turn = np.exp(1j * _difference(estimate, truth)[_counted(mask, truth)])
    return float(np.mean(np.angle(turn * np.conj(np.mean(turn))) ** 2))


def contrast_to_noise(image: Image, feature: Mask, background: Mask) -> float:
    """Contrast-to-noise ratio |mean(feature) - mean(background)| / std(background).

    Parameters
    ----------
    image : array (slow, fast)
    feature, background : bool array (slow, fast)
        Pixels of the specimen and of its featureless surroundings.

    Raises
    ------
    InputError
        If the feature has no pixel, the background fewer than two, or the
        background does not vary.
    """
    if not feature.any():
        raise InputError("feature", "no pixel", "at least one")
    noise = np.std(image[background], ddof=1, dtype=np.float64) if background.sum() > 1 else 0.0
    if not noise > 0:
        raise InputError("background", "no variation", "two pixels at least, of different values")
    contrast = np.mean(image[feature], dtype=np.float64) - np.mean(image[background], dtype=np.float64)
    return float(abs(contrast) / noise)


def _double(image: Image) -> Float[np.ndarray, "slow fast"]:
    return np.ascontiguousarray(image, dtype=np.float64)


def _difference(estimate: Image, truth: Image) -> Float[np.ndarray, "slow fast"]:
    return _double(estimate) - _double(truth)


def _require_comparable(estimate: np.ndarray, truth: np.ndarray) -> None:
    if estimate.shape != truth.shape:
        raise InputError("estimate", f"shape {estimate.shape}", f"the truth's, {truth.shape}")
    for name, image in (("estimate", estimate), ("truth", truth)):
        if not np.isfinite(image).all():
            raise InputError(name, "values that are NaN or infinite", "finite values")


def _span(truth: Image, data_range: float | None) -> float:
    span = float(np.ptp(truth)) if data_range is None else data_range
    if not span > 0:
        raise InputError("data_range", span, "a range above 0")
    return span


def _counted(mask: Mask | None, truth: Image) -> Mask:
    counted = np.ones(truth.shape, dtype=bool) if mask is None else mask
    if counted.shape != truth.shape or not counted.any():
        raise InputError("mask", f"shape {counted.shape}, {counted.sum()} pixels", f"some of {truth.shape}")
    return counted
