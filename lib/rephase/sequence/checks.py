"""What no method can complete is refused, in one line."""

from __future__ import annotations

from numbers import Real

import numpy as np

from rephase.errors import InputError


def check_sequence(
    times: np.ndarray, frames: np.ndarray, mask: np.ndarray, full_scale: Real | None = None
) -> None:
    """Refuse a sequence that cannot be completed.

    Parameters
    ----------
    times : array (time,)
        Any unit.
    frames : array (time, position, row, col)
        Only those that are observed are looked at.
    mask : bool array (time, position)
        True where a frame is observed.
    full_scale : float, optional
        The largest value that the detector can give, where known: a frame with a pixel
        there is saturated. Without it only frames count as saturated of which more than
        half the pixels share the largest value.

    Raises
    ------
    InputError
        If times are not finite and increasing, shapes do not belong together, a position
        has fewer than two observed frames, or an observed frame has values that are not
        finite, is zero everywhere or saturated.
    """
    _check_times(times)
    if frames.ndim != 4 or len(frames) != len(times):
        raise InputError("frames", f"shape {frames.shape}", f"({len(times)} times, position, row, col)")
    if mask.shape != frames.shape[:2]:
        raise InputError("mask", f"shape {mask.shape}", f"(time, position) = {frames.shape[:2]}")
    if mask.dtype != bool:
        raise InputError("mask", f"values of type {mask.dtype}", "bool, True where a frame is observed")
    observed = mask.sum(axis=0)
    if (observed < 2).any():
        few = int(observed.argmin())
        raise InputError("mask", f"{observed[few]} observed frames at position {few}", "at least 2")
    _check_values(frames[mask], np.argwhere(mask), full_scale)


def _check_times(times: np.ndarray) -> None:
    if times.ndim != 1:
        raise InputError("times", f"shape {times.shape}", "one axis")
    if not np.isfinite(times).all():
        raise InputError("times", "values that are NaN or infinite", "finite times")
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if len(wrong):
        one, two = times[wrong[0]], times[wrong[0] + 1]
        raise InputError("times", f"{two:g} after {one:g} at index {wrong[0] + 1}", "increasing times")


def _check_values(observed: np.ndarray, where: np.ndarray, full_scale: Real | None) -> None:
    """Name the first bad one of the observed frames (frame, row, col); ``where`` has their indices."""
    highest = observed.max(axis=(1, 2), keepdims=True)
    if full_scale is None:
        saturated = ((observed == highest).mean(axis=(1, 2)) > 0.5) & (observed[0].size > 1)
    else:
        saturated = highest.ravel() >= full_scale
    for wrong, found, expected in (
        (~np.isfinite(observed).all(axis=(1, 2)), "NaN or infinite values", "finite values"),
        (~observed.any(axis=(1, 2)), "nothing but zeros", "some intensity"),
        (saturated, "a saturated frame", "intensities below full scale"),
    ):
        if wrong.any():
            time, position = where[wrong.argmax()]
            raise InputError(
                "frames", f"{found} at time {time}, position {position}", f"{expected}, or mask False there"
            )
