"""What is sparse in frames: penalties ``sum_g w_g |(K x)_g|`` on frames x.

Every linear map K here is made of small matrices, one along each axis, so that K'K is
diagonal in a basis which is the same for all of them: the eigenvectors of the second
differences along time, rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

# A matrix along (time, row, col); None leaves that axis as it is.
Factors = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
Values = Float[torch.Tensor, "time position row col"]
Mapped = Float[torch.Tensor, "map time position row col"]


@dataclass(frozen=True)
class Penalty:
    """One penalty, ``sum_g w_g |(K x)_g|`` with Euclidean norms over groups g.

    Parameters
    ----------
    maps : tuple of factors
        K stacks these along a first axis.
    weight : tensor (map, time, position, row, col)
        w, or what broadcasts to it; 0 where nothing is penalised.
    together : bool
        Whether values of all maps are one group; otherwise each value is one by itself.
    """

    maps: tuple[Factors, ...]
    weight: torch.Tensor
    together: bool = False

    def forward(self, x: Values) -> Mapped:
        """K x."""
        return torch.stack([along_axes(x, factors) for factors in self.maps])

    def adjoint(self, u: Mapped) -> Values:
        """K' u."""
        return sum(along_axes(part, transposed(factors)) for part, factors in zip(u, self.maps, strict=True))

    def value(self, x: Values) -> torch.Tensor:
        """The penalty of x."""
        return (self.weight * self._size(self.forward(x))).sum()

    def project(self, u: Mapped) -> Mapped:
        """The nearest u with ``|u_g| <= w_g``: where the penalty's conjugate is 0, not infinite."""
        return u * (self.weight / self._size(u).clamp_min(torch.finfo(u.dtype).tiny)).clamp_max(1)

    def spectrum(self, basis: Factors) -> Float[torch.Tensor, "time 1 row col"]:
        """The diagonal of K'K in the basis."""
        total = 0.0
        for factors in self.maps:
            time, row, col = (
                vectors.new_ones(len(vectors)) if matrix is None else (matrix @ vectors).square().sum(dim=0)
                for matrix, vectors in zip(factors, basis, strict=True)
            )
            total = total + time[:, None, None, None] * row[:, None] * col
        return total

    def _size(self, u: Mapped) -> Float[torch.Tensor, "_ time position row col"]:
        return torch.linalg.vector_norm(u, dim=0, keepdim=True) if self.together else u.abs()


def along_axes(x: Values, factors: Factors) -> Values:
    """Apply a matrix along each of (time, row, col)."""
    time, row, col = factors
    if time is not None:
        x = (time @ x.flatten(1)).unflatten(1, x.shape[1:])
    if row is not None:
        x = row @ x
    return x if col is None else x @ col.T


def transposed(factors: Factors) -> Factors:
    """The transposed matrices."""
    return tuple(None if matrix is None else matrix.T for matrix in factors)


def differences(points: Float[np.ndarray, " point"], order: int = 1) -> Float[np.ndarray, "point point"]:
    """Matrix of differences between neighbouring points, with rows of zeros at the end.

    Order 1: of values; their absolute values add up to the total variation of a curve,
    however its points are spaced. Order 2: of slopes, times the mean spacing; their absolute
    values add up to the total variation of the slope (Kim, Koh, Boyd, Gorinevsky, SIAM Rev.
    51, 339 (2009)), so many times.
    """
    steps = np.diff(points)
    matrix = np.diff(np.eye(len(points)), axis=0)
    if order == 2:
        matrix = np.diff(matrix * (steps.mean() / steps)[:, None], axis=0)
    return np.vstack([matrix, np.zeros((len(points) - len(matrix), len(points)))])


def haar(size: int) -> Float[np.ndarray, "size size"]:
    """Orthonormal Haar transform of any length; its first row is the coarsest mean.

    Sums and differences of pairs, over the square root of 2, and the same again of the sums
    (Mallat, A Wavelet Tour of Signal Processing, 2009, section 7.7); a value without a
    partner goes on as it is.
    """
    if size == 1:
        return np.eye(1)
    paired, alone = np.split(np.eye(size), [size // 2 * 2])
    first, second = paired[::2], paired[1::2]
    coarse = np.vstack([(first + second) / np.sqrt(2), alone])
    return np.vstack([haar(len(coarse)) @ coarse, (first - second) / np.sqrt(2)])
