"""CS-STEM: compressed sensing in space and time, after the noise has been made the same everywhere.

Frames are divided by the standard deviation of their noise, pixel by pixel: x = M / s,
y = observed / s. Sought is the minimiser of

    F(x) = |x - y|^2 / 2 + temporal sum_pixels TV(x(t)) + spatial sum_frames TV(x_t)
           + wavelet |W x|_1

over curves x(t) through all times. TV(x(t)) is the total variation in time of a pixel, or of
its slope (order 2); TV(x_t) the isotropic total variation of a frame (Rudin, Osher, Fatemi,
Physica D 60, 259 (1992)); W an orthonormal Haar transform.

The terms of space and wavelets count the frames that were observed. Frames in between then
enter through the total variation in time alone, and F has many minimisers: for order 1 every
monotone way from one observed frame to the next is as good as any other. Taken is the straight
one, which is a minimiser of either order. So what is left to be solved is the problem of the
observed frames, whose solution is unique. A spatial term on a frame that was not observed has
nothing to work against but the variation in time: by Jensen's inequality all frames of a gap
would become one, flatter than those on either side.
"""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from rephase.errors import InputError
from rephase.phase.settings import MethodSettings
from rephase.sequence.checks import check_sequence
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.linear import linear_weights
from rephase.sequence.sampling import alike
from rephase.sequence.sparsity import Factors, Penalty, differences, haar
from rephase.sequence.splitting import Minimum, minimise

Observed = Float[np.ndarray, "_observed _position _row _col"]

_ROUNDING = 1e-6  # of the root mean square intensity; less noise than this is none


class CompressedSettings(MethodSettings):
    """Settings of CS-STEM. The strengths have no unit: 1 weighs as much as the noise of one value.

    Parameters
    ----------
    temporal, spatial, wavelet : float
        Strengths of the three terms; 0 leaves one out.
    order : {1, 2}
        Total variation in time of the intensity, or of its slope.
    wavelets : {'frame', 'time', 'both'}
        Transform of each frame, of each pixel's observed values in their order, or both.
        The mean of a frame ('frame') or of all times is not penalised.
    electrons : float, optional
        Beam electrons of a frame, where frames are counts divided by this number: the noise
        is then that of counting. Otherwise it is estimated, the same in all pixels.
    tolerance : float
        Root mean square distance from the minimiser, in standard deviations of the noise.
    iterations : int
        Limit of the iterations.
    unconverged : {'report', 'refuse'}
        What is done where the limit is reached: said in the details, or an error.
    device : str
        Where it is computed.
    """

    temporal: float = Field(default=0.5, ge=0)
    spatial: float = Field(default=0.1, ge=0)
    wavelet: float = Field(default=0.03, ge=0)
    order: Literal[1, 2] = 1
    wavelets: Literal["frame", "time", "both"] = "both"
    electrons: float | None = Field(default=None, gt=0)
    tolerance: float = Field(default=0.02, gt=0)
    iterations: int = Field(default=500, ge=1)
    unconverged: Literal["report", "refuse"] = "report"
    device: str = "cpu"


def complete(
    times: Times, frames: Frames, mask: Mask, settings: CompressedSettings | None = None
) -> Completed:
    """Frames at all times, sparse in space and time; constant before the first frame and after the last.

    Positions observed at the same times are solved together.

    Returns
    -------
    Completed
        ``details`` has ``converged``, ``distance`` (the bound on the distance from the
        minimiser, in standard deviations of the noise), ``iterations``, ``objective`` (F)
        and ``noise`` (its mean standard deviation, in the unit of the frames).

    Raises
    ------
    InputError
        If the sequence cannot be completed (see `rephase.sequence.checks`), the noise can
        not be estimated because frames have fewer than 2 x 2 pixels, or the limit of
        iterations is reached and settings say 'refuse'.
    """
    settings = settings or CompressedSettings()
    check_sequence(times, frames, mask)
    groups = [(*pair, frames[np.ix_(*pair)].astype(np.float64)) for pair in alike(mask)]
    noises = _noises([values for *_, values in groups], settings.electrons)
    result, minima = np.empty(frames.shape, dtype=np.float32), []
    for (seen, positions, values), noise in zip(groups, noises, strict=True):
        minima.append(_solved(times[seen], values / noise, settings))
        sparse = noise * minima[-1].values.cpu().numpy()
        result[:, positions] = np.tensordot(linear_weights(times[seen], times), sparse, axes=1)
    details = _details(minima, settings)
    return Completed(result, details=details | {"noise": float(np.mean([np.mean(part) for part in noises]))})


def _noises(groups: list[Observed], electrons: Real | None) -> list[Float[np.ndarray, "_position _row _col"]]:
    """Standard deviation of each pixel's noise: that of counting, or one for all, estimated.

    Counting: of n frames with m electrons in all, the expected number in one is taken for
    (m + 1) / n. Estimated: from the finest diagonal Haar coefficients of what changes, in
    which frames and their smooth changes hardly show.
    """
    if electrons is not None:
        return [
            np.sqrt((values.mean(axis=0).clip(0) + 1 / (electrons * len(values))) / electrons)
            for values in groups
        ]
    changes = [(values - values.mean(axis=0)) * np.sqrt(len(values) / (len(values) - 1)) for values in groups]
    finest = np.concatenate([np.diff(np.diff(part, axis=-1), axis=-2).ravel() / 2 for part in changes])
    if not len(finest):
        shape = groups[0].shape[2:]
        raise InputError("frames", f"{shape[0]} x {shape[1]} pixels", "2 x 2, or electrons in the settings")
    intensity = np.sqrt(np.mean(np.concatenate([np.square(values).ravel() for values in groups])))
    noise = max(np.sqrt(np.mean(finest**2)), _ROUNDING * intensity)
    return [np.full(values.shape[1:], noise) for values in groups]


def _solved(knots: Times, observed: Observed, settings: CompressedSettings) -> Minimum:
    """The minimiser of F at the observed times."""
    rows, cols = observed.shape[2:]
    matrices = {
        "time": differences(knots, settings.order),
        "row": differences(np.arange(rows, dtype=float)),
        "col": differences(np.arange(cols, dtype=float)),
    }
    basis = tuple(_tensor(np.linalg.eigh(m.T @ m)[1], settings) for m in matrices.values())
    time, row, col = (_tensor(matrix, settings) for matrix in matrices.values())
    penalties = []
    if settings.temporal:
        penalties.append(Penalty(((time, None, None),), _tensor(settings.temporal, settings)))
    if settings.spatial:
        maps = ((None, row, None), (None, None, col))
        penalties.append(Penalty(maps, _tensor(settings.spatial, settings), together=True))
    if settings.wavelet:
        penalties.append(_wavelets(observed.shape, settings))
    values = _tensor(observed, settings)
    return minimise(values, penalties, basis, tolerance=settings.tolerance, limit=settings.iterations)


def _wavelets(shape: tuple[int, ...], settings: CompressedSettings) -> Penalty:
    time, _, row, col = (_tensor(haar(size), settings) for size in shape)
    weight = np.full(shape, settings.wavelet)
    if settings.wavelets == "frame":
        weight[..., 0, 0] = 0
        return Penalty(((None, row, col),), _tensor(weight, settings))
    weight[0] = 0
    factors: Factors = (time, None, None) if settings.wavelets == "time" else (time, row, col)
    return Penalty((factors,), _tensor(weight, settings))


def _details(minima: list[Minimum], settings: CompressedSettings) -> dict[str, float | int | bool]:
    sizes = [minimum.values.numel() for minimum in minima]
    distance = float(np.sqrt(np.average([minimum.distance**2 for minimum in minima], weights=sizes)))
    worst = max(minimum.distance for minimum in minima)
    if worst > settings.tolerance and settings.unconverged == "refuse":
        raise InputError(
            "iterations",
            f"the limit of {settings.iterations} reached {worst:.3g} from the minimiser",
            f"at most {settings.tolerance:g}: more iterations or a larger tolerance",
        )
    return {
        "converged": worst <= settings.tolerance,
        "distance": distance,
        "iterations": max(minimum.iterations for minimum in minima),
        "objective": sum(minimum.objective for minimum in minima),
    }


def _tensor(values: np.ndarray | float, settings: CompressedSettings) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64, device=settings.device)
