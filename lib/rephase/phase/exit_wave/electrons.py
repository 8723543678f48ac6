"""Counted electrons brought from one grid of pixels to another, each of them whole.

Shared out in proportion to area, one electron would light several pixels, and counts
would be smoother than Poisson's. Instead each goes to one pixel, drawn with the same
shares: that makes Poisson counts of Poisson counts, independent of each other, with
the means that sharing out would give.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float

ALL = 1 - 1e-9  # a share that leaves nothing but rounding
NORMAL_VARIANCE = 25  # of a binomial draw; above, the approximation is within 0.2 % of all probability
PORTION = 2**18  # pixels at a time


class Allotment:
    """Sends each electron of a pixel to one of the pixels that have a share in it.

    Parameters
    ----------
    weights : scipy.sparse array (target, source)
        The shares; what a column lacks to 1 is the share of electrons that get lost.
    device : str or torch.device

    Attributes
    ----------
    random : bool
        Whether anything is left to chance: False if all shares are 0 or 1.
    """

    def __init__(self, weights: scipy.sparse.sparray, device: torch.device | str = "cpu"):
        self.targets, self.sources = weights.shape
        self.random = bool(np.any(weights.data < ALL))
        target, share = _largest_first(weights)
        until = np.cumsum(share, axis=0)
        chance = np.divide(share, 1 - until + share, out=np.zeros_like(share), where=share > 0)
        self._target = torch.from_numpy(target).to(device)
        self._chance = torch.from_numpy(np.where(chance > ALL, 1, chance).astype(np.float32)).to(device)

    def __call__(self, counts: Float[torch.Tensor, "batch source"]) -> Float[torch.Tensor, "batch target"]:
        """Where the electrons went.

        Parameters
        ----------
        counts : tensor (batch, source)
            Whole numbers of 0 or more. They seed the draw: the same batch goes the same
            way again (on the same kind of device), any other one its own.
        """
        portions = counts.split(max(1, PORTION // self.sources))
        return torch.cat([self._drawn(portion) for portion in portions])

    def _drawn(self, counts: Float[torch.Tensor, "batch source"]) -> Float[torch.Tensor, "batch target"]:
        """All electrons of a pixel for one target at once, by a binomial draw; then for the next."""
        lit = (counts.flatten() != 0).nonzero().squeeze(1)
        left = counts.flatten()[lit]
        generator = torch.Generator(counts.device).manual_seed(int((left.long() * (lit + 1)).sum()))
        first, source = lit // self.sources * self.targets, lit % self.sources
        found = counts.new_zeros(len(counts) * self.targets)
        for target, chance in zip(self._target, self._chance, strict=True):
            taken = _binomial(left, chance[source], generator)
            found.index_add_(0, first + target[source], taken)
            undecided = (left > taken).nonzero().squeeze(1)
            left = (left - taken)[undecided]
            first, source = first[undecided], source[undecided]
        return found.reshape(len(counts), self.targets)


def _largest_first(weights: scipy.sparse.sparray) -> tuple[np.ndarray, np.ndarray]:
    """Targets and shares (rank, source), the largest share first, filled up with shares of 0."""
    entries = weights.tocoo()
    order = np.lexsort((entries.row, -entries.data, entries.col))
    source = entries.col[order]
    rank = np.arange(len(source)) - np.searchsorted(source, source)
    target = np.zeros((rank.max(initial=0) + 1, weights.shape[1]), dtype=np.int64)
    share = np.zeros(target.shape)
    target[rank, source], share[rank, source] = entries.row[order], entries.data[order]
    return target, share


def _binomial(
    counts: Float[torch.Tensor, " pixel"], chance: Float[torch.Tensor, " pixel"], generator: torch.Generator
) -> Float[torch.Tensor, " pixel"]:
    """Binomial numbers; of a large variance from normal ones, with the right mean, variance and skewness."""
    variance = counts * chance * (1 - chance)
    many = variance > NORMAL_VARIANCE
    exact = torch.binomial(counts.masked_fill(many, 0), chance, generator=generator)
    if not many.any():
        return exact
    normal = torch.randn(counts.shape, generator=generator, dtype=counts.dtype, device=counts.device)
    skew = (1 - 2 * chance) / 6  # Cornish and Fisher (1938)
    width = (variance - 1 / 12 - 2 * skew**2).clamp(min=0).sqrt()  # rounding adds 1 / 12
    drawn = (counts * chance + width * normal + skew * (normal**2 - 1)).round()
    return torch.where(many, drawn.clamp(min=0).minimum(counts), exact)
