"""The state z(t): all that the networks differ in.

    none        codes of the observed frames, linearly interpolated
    lstm        a bidirectional LSTM over all times
    cde         dz = f(z) dX, X a path through time, counts of observations and codes
    log_ode     the same from log-signatures over windows of several knots, of few combinations of X
    ode         dz/dt = f(z, t, p) from the first code: Eq. 2 as printed, which has no dX

'cde' and 'log_ode' run forward and in reverse, with one field; z joins both. X reaches from the
first time to the last, with the outermost codes where nothing is observed, and z begins with a
function of X there (and of p and the direction).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from rephase.sequence.networks.known import PARAMETERS
from rephase.sequence.networks.observed import Observed, Wanted
from rephase.sequence.networks.path import Path, hermite_path, joined, linear_path, log_signatures
from rephase.sequence.networks.solver import SolverSettings, VectorField, solve

Codes = Float[torch.Tensor, "sequence knot code"]
State = Float[torch.Tensor, "sequence wanted state"]
Values = Float[torch.Tensor, "sequence tick channel"]
Times = Float[torch.Tensor, " tick"]
Ticks = Float[torch.Tensor, " _window"]


class LatentSettings(BaseModel):
    """Of what z(t) is made.

    Parameters
    ----------
    state, code : int
        Length of z and of the codes.
    hidden, layers : int
        Of the vector field; the paper's are 512 and 4.
    control : {'linear', 'hermite'}
        X of 'cde' between its knots: straight lines, or cubics whose slope at a knot is that of
        the chord before it. These overshoot by the ratio of neighbouring gaps, without bound.
    window : int
        Knots in a window of the log-signature.
    combinations : int
        Of the counts and codes in X, of which log-signatures are taken beside time; areas grow as
        the square of their number.
    ode_steps : int
        Steps of Eq. 2 from the first time to the last.
    solver : SolverSettings
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    state: int = Field(default=96, ge=1)
    code: int = Field(default=72, ge=1)
    hidden: int = Field(default=512, ge=1)
    layers: int = Field(default=4, ge=1)
    control: Literal["linear", "hermite"] = "linear"
    window: int = Field(default=3, ge=1)
    combinations: int = Field(default=16, ge=1)
    ode_steps: int = Field(default=16, ge=1)
    solver: SolverSettings = SolverSettings()


class Interpolated(nn.Module):
    """No temporal model: the codes, linearly interpolated."""

    def __init__(self, settings: LatentSettings, positions: int):
        super().__init__()
        self.read = nn.Linear(settings.code, settings.state)

    def forward(self, codes: Codes, observed: Observed, at: Wanted) -> State:
        return self.read(torch.einsum("wk,skc->swc", observed.carry[at], codes))


class Recurrent(nn.Module):
    """A bidirectional LSTM over all times; codes are 0 where nothing is observed."""

    def __init__(self, settings: LatentSettings, positions: int):
        super().__init__()
        seen = settings.code + 2 * positions + 1
        self.lstm = nn.LSTM(seen, settings.state, batch_first=True, bidirectional=True)
        self.read = nn.Linear(2 * settings.state, settings.state)

    def forward(self, codes: Codes, observed: Observed, at: Wanted) -> State:
        count, length = len(codes), len(observed.times)
        placed = codes.new_zeros(count, length, codes.shape[-1]).index_copy(1, observed.knots, codes)
        seen = codes.new_zeros(length, observed.seen.shape[1])
        seen = seen.index_copy(0, observed.knots, observed.seen.to(codes))
        timing = torch.cat([seen, observed.age, observed.times[:, None]], dim=1)
        states, _ = self.lstm(torch.cat([placed, timing.expand(count, -1, -1)], dim=-1))
        return self.read(states[:, at])


class Controlled(nn.Module):
    """dz = f(z) dX, forward and in reverse."""

    def __init__(self, settings: LatentSettings, positions: int):
        super().__init__()
        self.settings, channels = settings, 1 + positions + settings.code
        self.start = nn.Linear(channels + PARAMETERS + 1, settings.state)
        self.field = VectorField(settings.state, self.driving(channels), settings.hidden, settings.layers)
        self.read = nn.Linear(2 * settings.state, settings.state)
        self.evaluations = 0

    def driving(self, channels: int) -> int:
        """Channels of the path that drives z, for so many of X."""
        return channels

    def path(self, values: Values, times: Times) -> tuple[Path, Ticks]:
        """The path that drives z, and the times of its knots."""
        if self.settings.control == "linear":
            return linear_path(values), times
        return hermite_path(values, times), times

    def forward(self, codes: Codes, observed: Observed, at: Wanted) -> State:
        both = control(codes, observed), control(codes, observed, reverse=True)
        paths, ticks = zip(*(self.path(*one) for one in both), strict=True)
        first = torch.cat([values[:, 0] for values, _ in both])
        direction = torch.ones_like(first[:, :1])
        direction[len(codes) :] = -1
        start = self.start(torch.cat([first, observed.known.repeat(2, 1), direction], dim=1))
        solution = solve(joined(*paths), self.field, start, self.settings.solver)
        self.evaluations = solution.evaluations
        times = observed.times[at]
        forward = solution.at(clock(times, ticks[0]))[: len(codes)]
        reverse = solution.at(clock(1 - times, ticks[1]))[len(codes) :]
        return self.read(torch.cat([forward, reverse], dim=-1))


class LogControlled(Controlled):
    """The same from log-signatures of depth 2 over windows of knots, of time and combinations of the rest."""

    def __init__(self, settings: LatentSettings, positions: int):
        super().__init__(settings, positions)
        self.combine = nn.Linear(positions + settings.code, settings.combinations, bias=False)

    def driving(self, channels: int) -> int:
        channels = 1 + self.settings.combinations
        return channels + channels * (channels - 1) // 2

    def path(self, values: Values, times: Times) -> tuple[Path, Ticks]:
        time, rest = values[..., :1], values[..., 1:]
        steps = log_signatures(torch.cat([time, self.combine(rest)], dim=-1), self.settings.window)
        steps = torch.cat([torch.zeros_like(steps[:, :1]), steps], dim=1)
        last = len(times) - 1
        ticks = torch.arange(0, last + self.settings.window, self.settings.window).clamp_max(last)
        return linear_path(steps.cumsum(dim=1)), times[ticks.to(times.device)]


class Ordinary(nn.Module):
    """dz/dt = f(z, t, p) from the code of the first observed frame: Eq. 2 as printed."""

    def __init__(self, settings: LatentSettings, positions: int):
        super().__init__()
        self.settings = settings
        self.start = nn.Linear(settings.code, settings.state)
        self.field = VectorField(settings.state, 1, settings.hidden, settings.layers, PARAMETERS + 1)
        self.read = nn.Linear(settings.state, settings.state)
        self.evaluations = 0

    def forward(self, codes: Codes, observed: Observed, at: Wanted) -> State:
        steps = self.settings.ode_steps
        time = torch.linspace(0, 1, steps + 1, dtype=codes.dtype, device=codes.device)
        path = linear_path(time[:, None].expand(len(codes), -1, 1))
        start = self.start(codes[:, 0])
        field = _OfTime(self.field, observed.known, steps)
        solution = solve(path, field, start, self.settings.solver)
        self.evaluations = solution.evaluations
        return self.read(solution.at(observed.times[at] * steps))


class _OfTime(nn.Module):
    """f(z, t, p) of Eq. 2, with t from 0 to 1."""

    def __init__(self, field: VectorField, known: Float[torch.Tensor, "sequence parameter"], steps: int):
        super().__init__()
        self.field, self.known, self.steps = field, known, steps

    def forward(self, u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        known = self.known if u.ndim == 0 else self.known[:, None].expand(-1, len(u), -1)
        time = (u / self.steps)[..., None].expand(*z.shape[:-1], 1)
        return self.field(u, torch.cat([z, time, known], dim=-1))


def control(codes: Codes, observed: Observed, reverse: bool = False) -> tuple[Values, Times]:
    """X(t) = (time, share of each position's observations so far, codes) and the times of its knots.

    From the first time to the last, or from the last to the first with times counted from there.
    """
    times, seen = observed.times[observed.knots], observed.seen.to(codes)
    if reverse:
        times, seen, codes = 1 - times.flip(0), seen.flip(0), codes.flip(1)
    if times[0] > 0:
        times = torch.cat([times.new_zeros(1), times])
        seen = torch.cat([torch.zeros_like(seen[:1]), seen])
        codes = torch.cat([codes[:, :1], codes], dim=1)
    if times[-1] < 1:
        times = torch.cat([times, times.new_ones(1)])
        seen = torch.cat([seen, torch.zeros_like(seen[:1])])
        codes = torch.cat([codes, codes[:, -1:]], dim=1)
    timing = torch.cat([times[:, None], seen.cumsum(0) / seen.sum(0)], dim=1)
    return torch.cat([timing.expand(len(codes), -1, -1), codes], dim=-1), times


def clock(times: Float[torch.Tensor, " wanted"], ticks: Times) -> Float[torch.Tensor, " wanted"]:
    """When the clock that ticks at these times shows others."""
    index = (torch.searchsorted(ticks, times.contiguous(), right=True) - 1).clamp(0, len(ticks) - 2)
    return index + (times - ticks[index]) / (ticks[index + 1] - ticks[index])


Latent = Callable[[LatentSettings, int], nn.Module]
LATENTS: dict[str, Latent] = {
    "none": Interpolated,
    "lstm": Recurrent,
    "cde": Controlled,
    "log_ode": LogControlled,
    "ode": Ordinary,
}
