"""Sparse frames near observed ones: a proximal method that knows how far it is from the end.

Sought is the x that minimises

    F(x) = |x - y|^2 / 2 + sum_i sum_g w_ig |(K_i x)_g|,

observed values y and penalties of `rephase.sequence.sparsity`. The method is the alternating
direction method of multipliers with every penalty split off (Boyd, Parikh, Chu, Peleato,
Eckstein, Found. Trends Mach. Learn. 3, 1 (2011), sections 3.4 and 6.4), which is that of
Chambolle and Pock (J. Math. Imaging Vis. 40, 120 (2011), section 4.3) with a step that is
solved exactly. Each u_i that it holds is feasible, ``|u_ig| <= w_ig``. So x = y - sum_i K_i' u_i
comes with the duality gap

    sum_i sum_g (w_ig |(K_i x)_g| - <u_ig, (K_i x)_g>),

and as F is strongly convex, the minimiser is not farther away than ``|x - x*|^2 <= 2 gap``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rephase.sequence.sparsity import Factors, Penalty, Values, along_axes, transposed

RELAXATION = 1.7
CHECKED = 10  # iterations from one look at the gap to the next


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation stopped.

    Parameters
    ----------
    values : tensor (time, position, row, col)
        x.
    objective : float
        F(x).
    distance : float
        What the root mean square of ``x - x*`` does not exceed.
    iterations : int
    """

    values: Values
    objective: float
    distance: float
    iterations: int


def minimise(
    observed: Values,
    penalties: Sequence[Penalty],
    basis: Factors,
    *,
    tolerance: float,
    limit: int,
    step: float = 1.0,
) -> Minimum:
    """Minimise F until the distance is at most the tolerance, or the limit of iterations is reached.

    It starts at x = y, with the u that belong to it; nothing is random.

    Parameters
    ----------
    observed : tensor (time, position, row, col)
        y.
    penalties : sequence of Penalty
    basis : factors
        Orthonormal columns in which all K'K are diagonal.
    tolerance : float
        Largest distance, in the unit of y.
    limit : int
        Of iterations; at least 1.
    step : float
        Of the dual variables.
    """
    spectrum = 1 + step * sum(penalty.spectrum(basis) for penalty in penalties)
    splits = [penalty.forward(observed) for penalty in penalties]
    steep = 1 / torch.finfo(observed.dtype).eps
    duals = [penalty.project(steep * split) for penalty, split in zip(penalties, splits, strict=True)]
    for iteration in range(1, limit + 1):
        pulled = observed
        for penalty, split, dual in zip(penalties, splits, duals, strict=True):
            pulled = pulled + penalty.adjoint(step * split - dual)
        x = along_axes(along_axes(pulled, transposed(basis)) / spectrum, basis)
        for i, penalty in enumerate(penalties):
            relaxed = RELAXATION * penalty.forward(x) + (1 - RELAXATION) * splits[i]
            raised = duals[i] + step * relaxed
            duals[i] = penalty.project(raised)
            splits[i] = (raised - duals[i]) / step
        if iteration % CHECKED == 0 or iteration == limit:
            found = _certified(observed, penalties, duals, iteration)
            if found.distance <= tolerance:
                break
    return found


def _certified(
    observed: Values, penalties: Sequence[Penalty], duals: Sequence[torch.Tensor], iteration: int
) -> Minimum:
    """The x that belongs to the dual variables, and what their gap says of it."""
    pull = sum(
        (penalty.adjoint(dual) for penalty, dual in zip(penalties, duals, strict=True)),
        torch.zeros_like(observed),
    )
    x = observed - pull
    penalty = float(sum(penalty.value(x) for penalty in penalties))
    gap = max(0.0, penalty - float((pull * x).sum()))
    objective = float(pull.square().sum()) / 2 + penalty
    return Minimum(x, objective, math.sqrt(2 * gap / x.numel()), iteration)
