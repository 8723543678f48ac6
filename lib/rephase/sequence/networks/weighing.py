"""Weights with which observed frames make up those of other times: the linear ones, and what z(t) adds.

    w(t, k) = l(t, k) + sum_h g_h(t) [a_h(t, k) - l(t, k)]
    a_h(t, k) = softmax_k [ q_h(z(t)) . k_h(z(t_k)) - r_h(t) |t - t_k| ]

l are the weights of linear interpolation, and each head h looks for those of a position's own
observations that lie near in time or at which the state was alike (attention: Vaswani et al.,
NeurIPS 30 (2017)). Weights of a frame sum to one: what does not change stays as it is. Gates g are
zero at first. A Gaussian process gives such weights, too, with a kernel for a state.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from rephase.sequence.networks.observed import Observed, Wanted

REACHES = (0.5, 1.0, 3.0)  # of the heads at first, in mean gaps


class Weighing(nn.Module):
    """Weights of the observed frames at other times.

    Parameters
    ----------
    condition, key : int
        Lengths of what is known of a wanted time, and of a knot.
    positions : int
    width : int
        Of queries and keys of each head.
    """

    def __init__(self, condition: int, key: int, positions: int, width: int = 8):
        super().__init__()
        heads = len(REACHES)
        self.query = nn.Linear(condition, heads * width)
        self.key = nn.Linear(key, heads * width, bias=False)
        self.rate = nn.Linear(condition, heads)
        self.gate = nn.Linear(condition, heads * positions)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)
        with torch.no_grad():
            self.rate.bias.copy_(torch.tensor(REACHES).reciprocal().expm1().log())

    def forward(
        self,
        condition: Float[torch.Tensor, "sequence wanted condition"],
        keys: Float[torch.Tensor, "sequence knot key"],
        observed: Observed,
        at: Wanted,
    ) -> Float[torch.Tensor, "sequence position wanted knot"]:
        """Weights that sum to one over the knots, and are zero where a position is not observed.

        Parameters
        ----------
        condition : tensor (sequence, wanted, condition)
            The state at the wanted times, and what else is known there.
        keys : tensor (sequence, knot, key)
            The state at the knots.
        observed : Observed
        at : int tensor (wanted,)
        """
        heads, linear = len(REACHES), observed.weights[:, at]
        query, key = (
            layer(values).unflatten(-1, (heads, -1))
            for layer, values in ((self.query, condition), (self.key, keys))
        )
        alike = torch.einsum("swhd,skhd->shwk", query, key) / key.shape[-1] ** 0.5
        times, gaps = observed.times, observed.seen.sum(0)
        distance = (times[at, None] - times[observed.knots]).abs() * gaps[:, None, None]
        rate = functional.softplus(self.rate(condition)).movedim(-1, 1)[:, :, None, :, None]
        scores = alike[:, :, None] - rate * distance
        scores = scores.masked_fill(~observed.seen.T[:, None], -torch.inf)
        gates = self.gate(condition).unflatten(-1, (heads, -1))
        return linear + torch.einsum("swhp,shpwk->spwk", gates, scores.softmax(-1) - linear)
