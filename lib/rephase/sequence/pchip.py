"""Monotone cubic interpolation in time, each pixel by itself (Fritsch, Butland 1984; SciPy's)."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from rephase.phase.settings import MethodSettings
from rephase.sequence.checks import check_sequence
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.sampling import alike


class PchipSettings(MethodSettings):
    """Monotone cubic interpolation has no settings."""


def complete(times: Times, frames: Frames, mask: Mask, settings: PchipSettings | None = None) -> Completed:
    """Interpolate by cubics that never overshoot; constant before the first frame and after the last.

    Observed frames stay as they are.

    Raises
    ------
    InputError
        If the sequence cannot be completed; see `rephase.sequence.checks`.
    """
    check_sequence(times, frames, mask)
    result = np.empty(frames.shape, dtype=np.float32)
    for observed, positions in alike(mask):
        knots = times[observed]
        curve = PchipInterpolator(knots, frames[np.ix_(observed, positions)], axis=0)
        result[:, positions] = curve(np.clip(times, knots[0], knots[-1]))
    return Completed(result)
