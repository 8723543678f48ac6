"""Interpolation of principal components: few modes of the observed frames, each followed through time."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field
from scipy.interpolate import PchipInterpolator

from rephase.phase.settings import MethodSettings
from rephase.sequence.checks import check_sequence
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.linear import linear_weights
from rephase.sequence.sampling import alike

_ROUNDING = 1e-12  # power, relative to that of the frames, that float32 leaves undecided


class ModesSettings(MethodSettings):
    """Settings of interpolated principal components.

    Parameters
    ----------
    modes : int
        Largest number of modes kept; as many as frames keep everything.
    between : {'linear', 'pchip'}
        How their scores are interpolated.
    """

    modes: int = Field(default=4, ge=1)
    between: Literal["linear", "pchip"] = "linear"


def complete(times: Times, frames: Frames, mask: Mask, settings: ModesSettings | None = None) -> Completed:
    """Interpolate the scores of the leading modes; constant before the first frame and after the last.

    Positions observed at the same times share their modes; others have modes of their own.
    What lies outside the modes is replaced by its mean, so observed frames change too.

    Raises
    ------
    InputError
        If the sequence cannot be completed; see `rephase.sequence.checks`.
    """
    settings = settings or ModesSettings()
    check_sequence(times, frames, mask)
    result = np.empty(frames.shape, dtype=np.float32)
    for observed, positions in alike(mask):
        values, knots = frames[np.ix_(observed, positions)], times[observed]
        mean, scores, patterns = principal_modes(values.reshape(len(knots), -1), settings.modes)
        if settings.between == "linear":
            curves = linear_weights(knots, times) @ scores
        else:
            curves = PchipInterpolator(knots, scores)(np.clip(times, knots[0], knots[-1]))
        result[:, positions] = (mean + curves @ patterns).reshape(-1, *values.shape[1:])
    return Completed(result)


def principal_modes(
    values: Float[np.ndarray, "observed pixel"], most: int | None = None
) -> tuple[Float[np.ndarray, " pixel"], Float[np.ndarray, "observed mode"], Float[np.ndarray, "mode pixel"]]:
    """Mean, scores and orthonormal patterns with ``values = mean + scores @ patterns``.

    From the eigenvectors of the observed frames' Gram matrix, strongest mode first;
    none for what is rounding only, so there may be none at all.

    Parameters
    ----------
    values : array (observed, pixel)
        Observed frames, flattened.
    most : int, optional
        Largest number of modes; all by default.
    """
    values = values.astype(np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    power, vectors = np.linalg.eigh(centred @ centred.T)
    kept = np.flatnonzero(power > _ROUNDING * np.sum(values**2))[::-1][:most]
    amplitude = np.sqrt(power[kept])
    return mean, vectors[:, kept] * amplitude, (vectors[:, kept] / amplitude).T @ centred
