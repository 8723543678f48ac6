"""Simulated sequences as an experiment would record them.

The detector blurs, its pixels differ in gain and some of them are hot, electrons are counted,
and the pattern and the probe drift. Nothing here is a measurement: what comes out is labelled
as simulated, with all that went in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import Field
from scipy.ndimage import generic_filter

from rephase.errors import InputError
from rephase.microscope.camera import (
    blur,
    check_intensities,
    defects,
    distort,
    gain_map,
    poisson_counts,
    with_defects,
)
from rephase.phase.settings import MethodSettings
from rephase.sequence.completed import Frames, Mask, Times
from rephase.sequence.linear import linear_weights

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])


class ExperimentalSettings(MethodSettings):
    """What an experiment does to noise-free frames; each setting has its own random stream.

    Parameters
    ----------
    electrons : float
        Beam electrons in a frame.
    mtf_at_nyquist : float
        Modulation transfer of the detector at 1/2 cycle per pixel; 1 is no blur.
    gain_spread : float
        Standard deviation of the pixels' gains around 1, the same in all frames.
    hot : int
        Hot pixels, at the same places in all frames.
    hot_factor : float
        What a hot pixel reads, in units of the brightest value of the sequence.
    drift_px : float
        Standard deviation of the pattern's position at the end, in pixels along each axis: a
        random walk from 0, as a drifting descan makes it.
    scan_drift : float
        The same of the probe, in steps of the scan. Patterns between positions are taken as
        linear in position, and those beyond the outermost as theirs: a drift of small parts
        of a step.
    scan_shape : (int, int), optional
        Positions along (slow, fast); a square by default. Only the drift of the probe needs it.
    seed : int
        Of everything random.
    """

    electrons: float = Field(default=1e4, gt=0)
    mtf_at_nyquist: float = Field(default=0.4, gt=0, le=1)
    gain_spread: float = Field(default=0.03, ge=0)
    hot: int = Field(default=3, ge=0)
    hot_factor: float = Field(default=1.5, gt=0)
    drift_px: float = Field(default=0.5, ge=0)
    scan_drift: float = Field(default=0.2, ge=0)
    scan_shape: tuple[int, int] | None = None
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Recorded:
    """A simulated sequence as recorded.

    Parameters
    ----------
    frames : array (time, position, row, col)
        Counts divided by the beam electrons of a frame.
    expected : array (time, position, row, col)
        Noise-free frames at the drifted positions, as an ideal detector would record them:
        what methods are judged by.
    lineage : mapping
        Says that this is simulated, and all settings.
    """

    frames: Float[np.ndarray, "time position row col"]
    expected: Float[np.ndarray, "time position row col"]
    lineage: Mapping[str, Any]


def record(times: Times, frames: Frames, settings: ExperimentalSettings | None = None) -> Recorded:
    """Record noise-free frames as an experiment would; the same seed gives the same again.

    In this order: the probe drifts, the pattern drifts, the detector blurs, electrons are
    counted, each pixel multiplies its count by its gain, and hot pixels read what they do.

    Parameters
    ----------
    times : array (time,)
        Increasing, in any unit.
    frames : array (time, position, row, col)
        Fractions of the beam.

    Raises
    ------
    InputError
        If times do not increase, shapes do not belong together, an intensity is negative or
        not finite, positions do not make up the scan, or there are more hot pixels than pixels.
    """
    settings = settings or ExperimentalSettings()
    _check(times, frames)
    scan, pattern, gain, count, hot = np.random.SeedSequence(settings.seed).spawn(5)
    check_intensities(frames, "frames")
    expected = _probed_elsewhere(frames, drift(times, settings.scan_drift, scan), settings.scan_shape)
    shifts = drift(times, settings.drift_px, pattern)
    expected = np.stack(
        [distort(frame, shift_px=tuple(by)) for frame, by in zip(expected, shifts, strict=True)]
    )
    expected = expected.astype(np.float32)
    counts = poisson_counts(blur(expected, settings.mtf_at_nyquist), settings.electrons, _seed(count))
    shape = frames.shape[2:]
    read = counts / settings.electrons * gain_map(shape, settings.gain_spread, _seed(gain))
    is_hot, is_dead = defects(shape, settings.hot, 0, _seed(hot))
    read = with_defects(read, is_hot, is_dead, settings.hot_factor * float(read.max()))
    lineage = {"simulated": True, "experimental": settings.model_dump()}
    return Recorded(read.astype(np.float32), expected, lineage)


def repaired(frames: Frames, mask: Mask) -> Frames:
    """Frames without stuck pixels, as anyone would have them before anything else.

    A pixel that reads the same, and more than its eight neighbours ever do together on average, in
    all observed frames is stuck, and gets the median of the neighbours that are not.

    Parameters
    ----------
    frames : array (time, position, row, col)
    mask : bool array (time, position)
        True where a frame is observed; the others stay as they are.
    """
    seen = frames[mask]
    stuck = np.ptp(seen, axis=0) == 0
    stuck &= seen[0] > generic_filter(seen.mean(axis=0), np.mean, footprint=_RING, mode="nearest")
    result = frames.copy()
    for row, col in np.argwhere(stuck):
        rows, cols = (slice(max(at - 1, 0), at + 2) for at in (row, col))
        near = seen[:, rows, cols][:, ~stuck[rows, cols]]
        result[mask, row, col] = np.median(near, axis=1) if near.size else 0
    return result


def drift(times: Times, deviation: Real, seed: np.random.SeedSequence | int) -> Float[np.ndarray, "time 2"]:
    """A random walk in two dimensions from 0, whose standard deviation at the last time is given.

    Its steps are independent and their variance is proportional to time, so uneven times are
    as good as even ones.
    """
    share = np.sqrt(np.diff(times) / np.ptp(times))
    steps = np.random.default_rng(seed).normal(size=(len(share), 2)) * share[:, None]
    return deviation * np.vstack([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def _check(times: Times, frames: Frames) -> None:
    if len(frames) != len(times) or len(times) < 2:
        raise InputError("frames", f"{len(frames)} at {len(times)} times", "one at each of two times or more")
    if not (np.diff(times) > 0).all():
        raise InputError("times", "times that do not increase", "increasing times")


def _probed_elsewhere(
    frames: Frames, shifts: Float[np.ndarray, "time 2"], shape: tuple[int, int] | None
) -> Frames:
    """Frames of positions moved by (slow, fast) steps."""
    if not shifts.any():
        return frames
    count = frames.shape[1]
    slow, fast = shape or (math.isqrt(count),) * 2
    if slow * fast != count:
        raise InputError("scan_shape", f"{slow} x {fast} positions", f"the {count} of the frames")
    moved = np.empty_like(frames)
    for time, (down, along) in enumerate(shifts):
        weights = np.kron(_moved(slow, down), _moved(fast, along)).astype(frames.dtype)
        moved[time] = np.tensordot(weights, frames[time], axes=1)
    return moved


def _moved(size: int, by: float) -> Float[np.ndarray, "size size"]:
    positions = np.arange(float(size))
    return linear_weights(positions, positions + by)


def _seed(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1)[0])
