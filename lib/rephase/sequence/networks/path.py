"""Control paths X(t) from knots, on a clock that ticks once a knot.

The solution of dz = f(z) dX does not depend on the clock that runs along X. On one that reaches
knot n at u = n, paths with knots at different times can be solved together: a sequence forward
and in reverse, and with them any other. A path is a cubic on each interval, with coefficients as
torchcde has them (a + b s + c s^2 + d s^3, stored as a, b, 2 c, 3 d), where s is the time since the
knot. Its derivative with respect to u is that with respect to time, times the interval's length.
"""

from __future__ import annotations

import torch
import torchcde
from jaxtyping import Float
from torch import nn

Values = Float[torch.Tensor, "path knot channel"]


class Path(nn.Module):
    """A control path, as `torchcde.cdeint` takes it.

    Parameters
    ----------
    coefficients : tensor (path, interval, 4 x channel)
        From torchcde, in time.
    gaps : tensor (path, interval)
        Lengths of the intervals.
    """

    def __init__(
        self,
        coefficients: Float[torch.Tensor, "path interval four_channel"],
        gaps: Float[torch.Tensor, "path interval"],
    ):
        super().__init__()
        self.coefficients, self.gaps = coefficients, gaps
        self._pieces = [one.chunk(4, dim=-1) for one in coefficients.unbind(1)]
        self._lengths = gaps[..., None].unbind(1)

    @property
    def intervals(self) -> int:
        """Number of intervals: the clock runs from 0 to here."""
        return self.gaps.shape[1]

    def evaluate(self, u: torch.Tensor) -> Float[torch.Tensor, "path channel"]:
        """X at a time of the clock."""
        (a, b, two_c, three_d), s, _ = self._piece(u)
        return a + (b + (two_c / 2 + three_d * s / 3) * s) * s

    def derivative(self, u: torch.Tensor) -> Float[torch.Tensor, "path channel"]:
        """dX/du at a time of the clock; at a knot that of the interval that begins there."""
        (_, b, two_c, three_d), s, gap = self._piece(u)
        return gap * (b + (two_c + three_d * s) * s)

    def slopes(self) -> tuple[Float[torch.Tensor, "path interval channel"], ...]:
        """dX/du at the beginning and at the end of every interval."""
        _, b, two_c, three_d = self.coefficients.chunk(4, dim=-1)
        gap = self.gaps[..., None]
        return gap * b, gap * (b + (two_c + three_d * gap) * gap)

    def _piece(
        self, u: torch.Tensor
    ) -> tuple[tuple[torch.Tensor, ...], Float[torch.Tensor, "path 1"], Float[torch.Tensor, "path 1"]]:
        index = min(max(int(u.detach()), 0), self.intervals - 1)
        gap = self._lengths[index]
        return self._pieces[index], (u - index) * gap, gap


def hermite_path(values: Values, times: Float[torch.Tensor, " knot"]) -> Path:
    """Cubic Hermite splines whose slope at a knot is that of the chord before it.

    Up to a knot they depend on this knot and earlier ones only (Morrill, Kidger, Yang, Lyons,
    arXiv:2106.11028).

    Parameters
    ----------
    values : tensor (path, knot, channel)
    times : tensor (knot,)
        Increasing.
    """
    coefficients = torchcde.hermite_cubic_coefficients_with_backward_differences(values, times)
    return Path(coefficients, times.diff().expand(len(values), -1))


def linear_path(values: Values) -> Path:
    """Straight lines between knots that are one unit of time apart."""
    start, chord = values[:, :-1], values.diff(dim=1)
    none = torch.zeros_like(chord)
    return Path(torch.cat([start, chord, none, none], dim=-1), torch.ones_like(chord[..., 0]))


def joined(*paths: Path) -> Path:
    """Paths with as many knots each, to be solved together."""
    coefficients = torch.cat([path.coefficients for path in paths])
    return Path(coefficients, torch.cat([path.gaps for path in paths]))


def log_signatures(values: Values, window: int) -> Float[torch.Tensor, "path window word"]:
    """Log-signatures of depth 2 of piecewise linear paths, window by window.

    The increments of the channels, then the Levy areas of their pairs (i < j)

        A_ij = 1/2 integral (X_i - X_i(0)) dX_j - (X_j - X_j(0)) dX_i,

    in the order of rows. The last window may be a shorter one.

    Parameters
    ----------
    values : tensor (path, knot, channel)
    window : int
        Intervals in a window.
    """
    paths, knots, channels = values.shape
    windows = -(-(knots - 1) // window)
    missing = windows * window - (knots - 1)
    steps = torch.cat([values.diff(dim=1), values.new_zeros(paths, missing, channels)], dim=1)
    steps = steps.unflatten(1, (windows, window))
    before = steps.cumsum(dim=2) - steps
    products = torch.einsum("pwsi,pwsj->pwij", before, steps)
    rows, cols = torch.triu_indices(channels, channels, offset=1, device=values.device)
    areas = (products - products.mT)[..., rows, cols] / 2
    return torch.cat([steps.sum(dim=2), areas], dim=-1)
