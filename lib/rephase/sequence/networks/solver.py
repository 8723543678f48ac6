"""Solution of dz = f(z) dX from knot to knot, and between them.

torchcde solves from one knot to the next. Between knots z is the cubic that has the solution's
values and slopes at both, so that any number of times costs one evaluation of the field.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torchcde
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from rephase.sequence.networks.path import Path

Method = Literal["rk4", "dopri5"]
States = Float[torch.Tensor, "path knot state"]


class SolverSettings(BaseModel):
    """How differential equations are solved.

    Parameters
    ----------
    method : {'rk4', 'dopri5'}
        Fixed steps from knot to knot, or steps as short as the tolerances ask for.
    steps : int
        Of 'rk4' in each interval between knots.
    absolute_tolerance, relative_tolerance : float
        Of 'dopri5'; the defaults are the paper's.
    most_steps : int
        Of 'dopri5' in each interval.
    adjoint : bool
        Whether gradients come from the adjoint equation: less memory, more time, less accurate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method = "rk4"
    steps: int = Field(default=1, ge=1)
    absolute_tolerance: float = Field(default=1e-6, gt=0)
    relative_tolerance: float = Field(default=1e-4, gt=0)
    most_steps: int = Field(default=1000, ge=1)
    adjoint: bool = False


class SolverError(FloatingPointError):
    """A differential equation could not be solved: one line with the time and the state's norm."""


class VectorField(nn.Module):
    """f(z): a multilayer perceptron with SiLU and a final tanh, from a state to a matrix.

    Parameters
    ----------
    state, channels : int
        Length of z, and of X.
    hidden, layers : int
        Units of each hidden layer, and their number.
    context : int
        Length of what else is appended to z.
    """

    def __init__(self, state: int, channels: int, hidden: int, layers: int, context: int = 0):
        super().__init__()
        widths = [state + context, *[hidden] * layers]
        pairs = zip(widths[:-1], widths[1:], strict=True)
        body = [part for pair in pairs for part in (nn.Linear(*pair), nn.SiLU())]
        matrix = nn.Linear(hidden, state * channels), nn.Tanh(), nn.Unflatten(-1, (state, channels))
        self.body = nn.Sequential(*body, *matrix)

    def forward(
        self, u: Float[torch.Tensor, "*knot"], z: Float[torch.Tensor, "path *knot seen"]
    ) -> Float[torch.Tensor, "path *knot state channel"]:
        """f at states of one time of the clock, or of several."""
        return self.body(z)


@dataclass(frozen=True)
class Solution:
    """States at the knots, and their slopes at both ends of each interval.

    Parameters
    ----------
    states : tensor (path, knot, state)
    first, last : tensor (path, interval, state)
        dz/du at the beginning and at the end of each interval.
    evaluations : int
        Of the field, for all this.
    """

    states: States
    first: Float[torch.Tensor, "path interval state"]
    last: Float[torch.Tensor, "path interval state"]
    evaluations: int

    def at(self, u: Float[torch.Tensor, " wanted"]) -> Float[torch.Tensor, "path wanted state"]:
        """z at times of the clock."""
        index = u.long().clamp(0, self.first.shape[1] - 1)
        s = (u - index)[:, None]
        z0, z1 = self.states[:, index], self.states[:, index + 1]
        rise = (2 * s + 1) * (1 - s) ** 2
        bends = s * (1 - s) ** 2 * self.first[:, index] - s**2 * (1 - s) * self.last[:, index]
        return rise * z0 + (1 - rise) * z1 + bends


def solve(
    path: Path,
    field: nn.Module,
    start: Float[torch.Tensor, "path state"],
    settings: SolverSettings,
) -> Solution:
    """Solve dz = f(z) dX along a path.

    Parameters
    ----------
    path : Path
    field : module
        Called with the clock's time, or one a knot, and with z; see `VectorField`.
    start : tensor (path, state)
        z at the first knot.
    settings : SolverSettings

    Raises
    ------
    SolverError
        If steps become too many or too short, or z is no longer finite.
    """
    clock = torch.arange(path.intervals + 1, dtype=start.dtype, device=start.device)
    watched = _Watched(field)
    with watched.one_line(path.intervals):
        states = torchcde.cdeint(path, watched, start, clock, **_options(path, watched, clock, settings))
        if not torch.isfinite(states).all():
            raise AssertionError("values that are not finite")
    matrices = watched(clock, states)
    begin, end = path.slopes()
    first, last = _product(matrices[:, :-1], begin), _product(matrices[:, 1:], end)
    return Solution(states, first, last, watched.evaluations)


class _Watched(nn.Module):
    """A field that keeps count and remembers where it was last."""

    def __init__(self, field: nn.Module):
        super().__init__()
        self.field, self.evaluations = field, 0
        self.last_time, self.last_state = 0.0, torch.zeros(1)

    def forward(self, u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        self.evaluations += 1
        if u.ndim == 0:
            self.last_time, self.last_state = float(u.detach()), z.detach()
        return self.field(u, z)

    @contextmanager
    def one_line(self, intervals: int) -> Iterator[None]:
        """What torchdiffeq asserts, said with the time and the state's norm."""
        try:
            yield
        except AssertionError as error:
            norm = float(torch.linalg.vector_norm(self.last_state, dim=-1).max())
            reason = str(error).splitlines()[0].split(":")[0].split(" (")[0]
            raise SolverError(
                f"the solver stopped ({reason}) at time {self.last_time:.4g} of {intervals} intervals "
                f"between observations, where the state's norm is {norm:.3g}"
            ) from None


def _product(
    matrices: Float[torch.Tensor, "path interval state channel"],
    slopes: Float[torch.Tensor, "path interval channel"],
) -> Float[torch.Tensor, "path interval state"]:
    return (matrices @ slopes[..., None]).squeeze(-1)


def _options(
    path: Path, field: _Watched, clock: Float[torch.Tensor, " knot"], settings: SolverSettings
) -> dict[str, Any]:
    if settings.method == "rk4":
        options: dict[str, Any] = {"step_size": 1 / settings.steps, "perturb": True}
    else:
        options = {"max_num_steps": settings.most_steps, "jump_t": clock[1:-1]}
    found = {
        "method": settings.method,
        "adjoint": settings.adjoint,
        "atol": settings.absolute_tolerance,
        "rtol": settings.relative_tolerance,
        "options": options,
    }
    if settings.adjoint:
        learned = (*field.parameters(), path.coefficients)
        found["adjoint_params"] = tuple(one for one in learned if one.requires_grad)
    return found
