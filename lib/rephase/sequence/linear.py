"""Linear interpolation in time, each pixel by itself."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rephase.phase.settings import MethodSettings
from rephase.sequence.checks import check_sequence
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.sampling import alike


class LinearSettings(MethodSettings):
    """Linear interpolation has no settings."""


def complete(times: Times, frames: Frames, mask: Mask, settings: LinearSettings | None = None) -> Completed:
    """Interpolate linearly between observed frames; constant before the first and after the last.

    Observed frames stay as they are.

    Raises
    ------
    InputError
        If the sequence cannot be completed; see `rephase.sequence.checks`.
    """
    check_sequence(times, frames, mask)
    result = np.empty(frames.shape, dtype=np.float32)
    for observed, positions in alike(mask):
        weights = linear_weights(times[observed], times).astype(frames.dtype)
        result[:, positions] = np.tensordot(weights, frames[np.ix_(observed, positions)], axes=1)
    return Completed(result)


def linear_weights(
    knots: Float[np.ndarray, " knot"], times: Float[np.ndarray, " time"]
) -> Float[np.ndarray, "time knot"]:
    """Matrix that takes values at the knots to linearly interpolated values at the times."""
    return np.stack([np.interp(times, knots, one) for one in np.eye(len(knots))], axis=1)
