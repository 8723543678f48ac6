"""How far a completed sequence is from the true one, which is free of noise.

Sums run over the frames that are judged (all, or those that were not observed), and over the
pixels of the detector. The static central disc dominates most of them: beside the paper's
measures stand those that it does not reach.

    nmse                   100 sum (E - M)^2 / sum M^2, in percent (Eq. 14)
    nmse_outside_disc      the same over pixels of which no part lies within the semi-angle
    nmse_dynamic           100 sum (E - M)^2 / sum (M - <M>)^2, <M> the true temporal mean over all
                           frames: the NMSE of E - <M> against M - <M>, and the NMSE relative to the
                           temporal variance; the temporal mean itself has 100
    nmse_of_temporal_mean  100 sum (<M> - M)^2 / sum M^2, what a method must beat
    psnr                   10 log10(max^2 / mean (E - M)^2) in dB, max the largest true intensity of
                           the sequence (Eq. 15)
    ssim                   scikit-image's, mean over frames, 7 x 7 uniform window, data range = max
                           (Eq. 16); of at most ``SSIM_FRAMES`` frames, drawn by a fixed seed
    com_error_px, _mrad    root mean square distance of the centres of mass, over pixels k of which
                           -k is on the detector, too
    com_true_mrad          that of the true centres of mass from the beam: the error of a
                           sequence for which Friedel's law is exact

and of the whole sequence only

    tcs, tcs_of_truth      temporal consistency score (Eq. 17): mean of exp(-|E(t+1) - E(t)|^2 / sigma^2),
                           sigma^2 the mean of |M(t+1) - M(t)|^2; 1 for a frozen sequence, so that it
                           tells flicker only where it is below that of the truth
    violation_*            of Friedel's law, kinematic scattering, energy conservation, and their
                           mean (total): `rephase.sequence.constraints`
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from jaxtyping import Bool, Float, Int
from skimage.metrics import structural_similarity

from rephase.errors import InputError
from rephase.sequence.completed import Frames, Mask
from rephase.sequence.constraints import paired, violations

SSIM_FRAMES, SSIM_WINDOW = 64, 7
_UNOBSERVED = "_unobserved"


@dataclass(frozen=True)
class Context:
    """What is known of a sequence besides its frames.

    Parameters
    ----------
    pixel_mrad : float
        Width of a pixel.
    semiangle_mrad : float
        Radius of the central disc.
    structure : array (row, col)
        |F(k)|^2 of the known cell on the pixels, in any unit.
    intensity : float
        I0, the mean total intensity of the observed frames.
    """

    pixel_mrad: Real
    semiangle_mrad: Real
    structure: Float[np.ndarray, "_row _col"]
    intensity: Real


def measure(estimate: Frames, truth: Frames, mask: Mask, context: Context) -> dict[str, float]:
    """All measures of a completed sequence.

    Parameters
    ----------
    estimate, truth : array (time, position, row, col)
        In one unit; the truth free of noise.
    mask : bool array (time, position)
        True where a frame was observed.
    context : Context

    Returns
    -------
    dict
        The names above for all frames, and with ``_unobserved`` appended for those that were not
        observed; NaN for these where all were.

    Raises
    ------
    InputError
        If shapes differ, frames are smaller than the window of SSIM, a value is not finite, the
        truth never changes, or a frame has no intensity.
    """
    _check(estimate, truth, mask)
    broken = violations(estimate, context.structure, context.intensity)
    estimate, truth = estimate.astype(np.float64), truth.astype(np.float64)
    sums = _sums(estimate, truth, context)
    found = {}
    for suffix, judged in (("", np.ones_like(mask)), (_UNOBSERVED, ~mask)):
        parts = {name: values[judged] for name, values in sums.items()}
        at = np.argwhere(judged)
        values = _averages(parts, truth[0, 0].size, float(truth.max()), context.pixel_mrad)
        values["ssim"] = mean_ssim(estimate, truth, at)
        found |= {name + suffix: value for name, value in values.items()}
    for name, frames in (("tcs", estimate), ("tcs_of_truth", truth)):
        found[name] = temporal_consistency(frames, truth)
    return found | {f"violation_{name}": value for name, value in broken.items()}


def relative_error(estimate: Float[np.ndarray, "*_same"], truth: Frames) -> float:
    """NMSE in percent (Eq. 14), over all frames; the estimate may be one for all times."""
    return 100 * float(_power(truth - estimate).sum() / _power(truth).sum())


def temporal_consistency(frames: Frames, truth: Frames) -> float:
    """Temporal consistency score (Eq. 17), sigma^2 the mean squared step of the true sequence.

    Raises
    ------
    InputError
        If the truth never changes.
    """
    scale = _steps(truth).mean()
    if not scale > 0:
        raise InputError("truth", "frames that never change", "a sequence that does")
    return float(np.exp(-_steps(frames) / scale).mean())


def mean_ssim(estimate: Frames, truth: Frames, at: Int[np.ndarray, "frame 2"]) -> float:
    """Mean structural similarity of frames, NaN for none.

    Parameters
    ----------
    estimate, truth : array (time, position, row, col)
    at : array (frame, 2)
        Indices (time, position); of more than ``SSIM_FRAMES`` so many are drawn.
    """
    if not len(at):
        return math.nan
    some = np.random.default_rng(0).permutation(len(at))[:SSIM_FRAMES]
    options = {"data_range": float(truth.max()), "win_size": SSIM_WINDOW}
    return float(
        np.mean([structural_similarity(truth[t, r], estimate[t, r], **options) for t, r in at[some]])
    )


def centre_of_mass(frames: Frames) -> Float[np.ndarray, "2 time position"]:
    """Centre of mass of each frame about the beam, in pixels along (row, col).

    Over the pixels k of which -k is on the detector, too: others would move it
    where nothing is deflected.

    Raises
    ------
    InputError
        If a frame has no intensity there.
    """
    both = paired(frames)
    rows, cols = both.sum(axis=3, dtype=np.float64), both.sum(axis=2, dtype=np.float64)
    total = rows.sum(axis=2)
    if not (total > 0).all():
        raise InputError("frames", f"a frame of total intensity {total.min():g}", "totals above 0")
    return np.stack([side @ (np.arange(side.shape[2]) - side.shape[2] // 2) for side in (rows, cols)]) / total


def outside_disc(context: Context, pixels: tuple[int, ...]) -> Bool[np.ndarray, "row col"]:
    """Pixels of which no part lies within the semi-angle."""
    row, col = ((np.arange(size) - size // 2) * context.pixel_mrad for size in pixels)
    return np.hypot(row[:, None], col) > context.semiangle_mrad + context.pixel_mrad / math.sqrt(2)


def _sums(estimate: Frames, truth: Frames, context: Context) -> dict[str, Float[np.ndarray, "time position"]]:
    """Of each frame: sums of squares over its pixels, and squared distances of centres of mass."""
    error, outer = estimate - truth, outside_disc(context, truth.shape[2:])
    centres = centre_of_mass(truth)
    return {
        "error": _power(error),
        "power": _power(truth),
        "change": _power(truth - truth.mean(axis=0)),
        "outer_error": _power(error * outer),
        "outer_power": _power(truth * outer),
        "com_error": np.square(centre_of_mass(estimate) - centres).sum(axis=0),
        "com_true": np.square(centres).sum(axis=0),
    }


def _averages(
    parts: dict[str, Float[np.ndarray, " frame"]], pixels: int, highest: float, pixel_mrad: Real
) -> dict[str, float]:
    """The measures that are made of sums over frames."""
    total = {name: float(values.sum()) for name, values in parts.items()}
    frames = len(parts["error"])
    com_error, com_true = (math.sqrt(_ratio(total[name], frames)) for name in ("com_error", "com_true"))
    error = _ratio(total["error"], frames * pixels)
    return {
        "nmse": 100 * _ratio(total["error"], total["power"]),
        "nmse_outside_disc": 100 * _ratio(total["outer_error"], total["outer_power"]),
        "nmse_dynamic": 100 * _ratio(total["error"], total["change"]),
        "nmse_of_temporal_mean": 100 * _ratio(total["change"], total["power"]),
        "psnr": math.inf if error == 0 else 10 * math.log10(highest**2 / error),
        "com_error_px": com_error,
        "com_error_mrad": com_error * pixel_mrad,
        "com_true_mrad": com_true * pixel_mrad,
    }


def _ratio(value: float, unit: Real) -> float:
    return value / unit if unit > 0 else math.nan


def _steps(frames: Frames) -> Float[np.ndarray, " step"]:
    """|M(t+1) - M(t)|^2 over all positions and pixels."""
    return _power(np.diff(frames, axis=0)).sum(axis=1)


def _power(frames: Frames) -> Float[np.ndarray, "time position"]:
    return np.einsum("trij,trij->tr", frames, frames, dtype=np.float64)


def _check(estimate: Frames, truth: Frames, mask: Mask) -> None:
    if estimate.shape != truth.shape:
        raise InputError("estimate", f"shape {estimate.shape}", f"the truth's, {truth.shape}")
    if mask.shape != truth.shape[:2]:
        raise InputError("mask", f"shape {mask.shape}", f"(time, position) = {truth.shape[:2]}")
    if min(truth.shape[2:]) < SSIM_WINDOW:
        found = f"{truth.shape[2:]} pixels"
        raise InputError("truth", found, f"at least {SSIM_WINDOW} x {SSIM_WINDOW}, the window of SSIM")
    for name, frames in (("estimate", estimate), ("truth", truth)):
        if not np.isfinite(frames).all():
            raise InputError(name, "values that are NaN or infinite", "finite values")
