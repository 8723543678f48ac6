"""The paper's physical constraints and its temporal term, as losses and as violations.

Each law says that two arrays are equal, a = b. Its loss and its violation are

    loss = |a - b|^2 / (|a| + |b|)^2,    violation = sqrt(loss)

with the norms over all times, positions and pixels of a sequence: 0 where the law holds, 1 at
most. The paper speaks of normalised violations and does not say how; here they depend neither on
the dose nor on the number of pixels, so that the three losses can share one weight, as in Eq. 12.

    law         a                 b                 in the paper
    Friedel     M(k)              M(-k)             Eq. 5
    kinematic   |F|^2 grad M      M grad |F|^2      Eq. 6, grad M = 2 M (grad F) / F, times |F|^2
    energy      sum_k M(k)        I0                Eq. 7

Eq. 6 diverges where F = 0 and holds for real F only; times |F|^2 it is finite and says the same
for complex F, as 2 |F|^2 Re(grad F / F) = grad |F|^2. It then weighs bright reflections more.

None of the laws is exact. A pattern of a probe is centrosymmetric only about a symmetry centre
of the specimen: the loss of Friedel's law is the antisymmetric share of the power, and the
truth has one. Nor is the truth proportional to |F|^2, nor does all of it hit the detector.

The beam is at pixel n // 2. On an even detector the pixels of the first row and the first
column have no partner at -k, and Friedel's law says nothing about them.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float

from rephase.errors import InputError
from rephase.sequence.completed import Frames, Mask

Array = TypeVar("Array", np.ndarray, torch.Tensor)
Sequences = Float[torch.Tensor, "*sequence time position row col"]
PerSequence = Float[torch.Tensor, "*sequence"]
Structures = Float[torch.Tensor, "*sequence row col"]


def friedel(frames: Sequences) -> PerSequence:
    """Loss of Friedel's law, ``M(k) = M(-k)`` (Eq. 5): the antisymmetric share of the power."""
    both = paired(_precise(frames))
    return _loss([(both, both.flip((-2, -1)))])


def kinematic(frames: Sequences, structure: Structures) -> PerSequence:
    """Loss of kinematic scattering, ``|F|^2 grad M = M grad |F|^2`` (Eq. 6 times |F|^2).

    Gradients are central differences of neighbouring pixels, one-sided at the edges.

    Parameters
    ----------
    frames : tensor (..., time, position, row, col)
    structure : tensor (..., row, col)
        |F(k)|^2 of the known crystal on the pixels, in any unit, as
        `rephase.sequence.simulate.structure` gives it.
    """
    frames, structure = _precise(frames), _precise(structure)[..., None, None, :, :]
    structure = structure / _at_least_tiny(structure.mean(dim=(-2, -1), keepdim=True))
    slopes = (torch.gradient(values, dim=(-2, -1)) for values in (frames, structure))
    return _loss([(structure * one, frames * other) for one, other in zip(*slopes, strict=True)])


def energy(frames: Sequences, intensity: PerSequence) -> PerSequence:
    """Loss of energy conservation, ``sum_k M(k) = I0`` (Eq. 7).

    Parameters
    ----------
    frames : tensor (..., time, position, row, col)
    intensity : tensor (...)
        I0 of each sequence; see `mean_intensity`.
    """
    totals = _precise(frames).sum(dim=(-2, -1), keepdim=True)
    return _loss([(totals, intensity.to(totals)[..., None, None, None, None].expand_as(totals))])


def physics(frames: Sequences, structure: Structures, intensity: PerSequence) -> PerSequence:
    """Sum of the three losses (Eq. 12)."""
    return friedel(frames) + kinematic(frames, structure) + energy(frames, intensity)


def temporal(
    frames: Sequences, times: Float[torch.Tensor, "*sequence time"], order: Literal[1, 2] = 2
) -> PerSequence:
    """Loss of smoothness: integral of the squared derivative in time, over the frames' power.

    With times in units of their mean distance, ``sum_t |d^n M|^2 w_t / sum_t |M|^2``, where d^n
    are divided differences and w_t the time that each stands for. At even times they are plain
    differences, and the first order is Eq. 13 over the power. It punishes any change; the second
    order spares what is linear in time.

    Parameters
    ----------
    frames : tensor (..., time, position, row, col)
        More of them than ``order``.
    times : tensor (..., time)
        Increasing.
    order : {1, 2}
        Of the derivative.
    """
    frames = _precise(frames)
    gaps = times.diff(dim=-1)
    weights = (gaps / gaps.mean(dim=-1, keepdim=True)).to(frames)[..., None, None, None]
    changes = frames.diff(dim=-4) / weights
    if order == 2:
        weights = (weights[..., 1:, :, :, :] + weights[..., :-1, :, :, :]) / 2
        changes = changes.diff(dim=-4) / weights
    return _power(changes * weights.sqrt()) / _at_least_tiny(_power(frames))


def violations(
    frames: Frames, structure: Float[np.ndarray, "_row _col"], intensity: Real
) -> dict[str, float]:
    """Violation of each law by one sequence, and their mean, the paper's one number.

    Parameters
    ----------
    frames : array (time, position, row, col)
        All finite.
    structure : array (row, col)
        |F(k)|^2 on the pixels, in any unit.
    intensity : float
        I0, above 0.

    Returns
    -------
    dict
        ``friedel``, ``kinematic``, ``energy`` and ``total``, each from 0 to 1.

    Raises
    ------
    InputError
        If the structure has another shape, is negative or zero everywhere, or the intensity not above 0.
    """
    if structure.shape != frames.shape[2:]:
        raise InputError("structure", f"shape {structure.shape}", f"the frames' {frames.shape[2:]} pixels")
    if not (np.isfinite(structure).all() and structure.min() >= 0 and structure.any()):
        raise InputError("structure", "negative, infinite or nothing but zeros", "values of |F|^2")
    _check_intensity(intensity)
    values, known = (torch.from_numpy(np.array(a, frames.dtype, order="C")) for a in (frames, structure))
    losses = {
        "friedel": friedel(values),
        "kinematic": kinematic(values, known),
        "energy": energy(values, torch.tensor(float(intensity), dtype=torch.float64)),
    }
    found = {name: math.sqrt(loss) for name, loss in losses.items()}
    return found | {"total": sum(found.values()) / len(found)}


def mean_intensity(frames: Frames, mask: Mask) -> float:
    """I0: total intensity of a frame, averaged over those observed."""
    return float(frames[mask].sum(axis=(1, 2), dtype=np.float64).mean())


def paired(frames: Array) -> Array:
    """The pixels k of which -k is on the detector, too: without the first row and column if even."""
    rows, cols = frames.shape[-2:]
    return frames[..., 1 - rows % 2 :, 1 - cols % 2 :]


def symmetrised(frames: Frames, share: Real = 1.0) -> Frames:
    """Frames without a share of their antisymmetric part; with all of it, Friedel's law is exact.

    Over the `paired` pixels a pattern is a symmetric part, of centre of mass 0, plus the
    antisymmetric part (M(k) - M(-k)) / 2, of sum 0. So the centre of mass goes to (1 - share)
    of what it was: to 0 with the law, and the signal of differential phase contrast with it.
    Least squares with the penalty ``weight sum_k |M(k) - M(-k)|^2`` removes the share
    4 weight / (1 + 4 weight). Pixels without a partner stay as they are.

    Raises
    ------
    InputError
        If the share is not from 0 to 1.
    """
    _check_share(share)
    result = frames.copy()
    both = paired(result)
    both -= (share / 2) * (both - both[..., ::-1, ::-1])
    return result


def rescaled(frames: Frames, intensity: Real) -> Frames:
    """Frames each brought to the total intensity I0, so that energy is conserved exactly.

    Raises
    ------
    InputError
        If I0 or the total of a frame is not above 0.
    """
    _check_intensity(intensity)
    totals = frames.sum(axis=(2, 3), dtype=np.float64)
    if not (totals > 0).all():
        raise InputError("frames", f"a frame of total intensity {totals.min():g}", "totals above 0")
    return frames * (intensity / totals)[..., None, None].astype(frames.dtype)


def projected(frames: Frames, intensity: Real) -> Frames:
    """The control to any method with constraints: its frames symmetrised and rescaled to I0."""
    return rescaled(symmetrised(frames), intensity)


def shrunk(frames: Frames, share: Real) -> Frames:
    """The control to any penalty: frames moved towards their temporal mean by a share of the way.

    Raises
    ------
    InputError
        If the share is not from 0 to 1.
    """
    _check_share(share)
    mean = frames.mean(axis=0, dtype=np.float64).astype(frames.dtype)
    return frames + frames.dtype.type(share) * (mean - frames)


def _loss(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> PerSequence:
    """|a - b|^2 / (|a| + |b|)^2 of the vectors whose components are the pairs."""
    apart = sum(_power(a - b) for a, b in pairs)
    norms = (_at_least_tiny(sum(map(_power, side))).sqrt() for side in zip(*pairs, strict=True))
    return apart / sum(norms).square()


def _power(values: torch.Tensor) -> PerSequence:
    flat = values.flatten(-4)
    return torch.linalg.vecdot(flat, flat)


def _at_least_tiny(values: torch.Tensor) -> torch.Tensor:
    return values.clamp_min(torch.finfo(values.dtype).tiny)


def _precise(values: torch.Tensor) -> torch.Tensor:
    """In single precision at least: squares of fractions of the beam are lost in half precision."""
    return values if values.dtype == torch.float64 else values.float()


def _check_share(share: Real) -> None:
    if not 0 <= share <= 1:
        raise InputError("share", share, "a share from 0 to 1")


def _check_intensity(intensity: Real) -> None:
    if not (math.isfinite(intensity) and intensity > 0):
        raise InputError("intensity", intensity, "a total intensity above 0")
