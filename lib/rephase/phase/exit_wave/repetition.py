"""Data repetition: sums of neighbouring patterns at a coarser step (Friedrich et al. (2022), Fig. 5).

Each pattern is used several times: a box of 5 x 5 at twice the step gives every
sum 25 / 4 of the electrons that the coarser scan would have had.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from rephase.errors import InputError
from rephase.measurement import Scan


def repeated(scan: Scan, repeat: int = 2, box: int = 5) -> Scan:
    """A scan at ``repeat`` times the step whose patterns are the sums of ``box`` x ``box`` neighbours.

    In fractions of the beam they are means. At the edges missing neighbours are
    replaced by the nearest patterns.

    Parameters
    ----------
    scan : Scan
    repeat : int
        Every how many positions a sum is taken.
    box : int
        Odd number of positions along each side.

    Returns
    -------
    Scan
        Its lines are read and summed when they are needed; ``load`` reads them all.

    Raises
    ------
    InputError
        If the box is even, a number is below 1, or fewer than 2 x 2 positions are left.
    """
    if repeat < 1 or box < 1 or box % 2 == 0:
        raise InputError("repeat, box", (repeat, box), "numbers of at least 1, the box odd")
    intensities = SummedPatterns(scan.intensities, repeat, box, mean=scan.unit == "fraction")
    slow, fast = scan.step_angstrom
    return scan.with_intensities(intensities, step_angstrom=(slow * repeat, fast * repeat))


class SummedPatterns:
    """Sums of neighbouring patterns, in the place of an array (slow, fast, row, col).

    Parameters
    ----------
    source : array (slow, fast, row, col)
        NumPy array or HDF5 data set.
    repeat, box : int
        As for `repeated`.
    mean : bool
        Whether sums are divided by the number of patterns.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, source: Any, repeat: int, box: int, mean: bool):
        self._source, self._repeat, self._box = source, repeat, box
        self._scale = 1 / box**2 if mean else 1.0
        slow, fast, rows, cols = source.shape
        self.shape = (math.ceil(slow / repeat), math.ceil(fast / repeat), rows, cols)

    def __getitem__(self, index: Any) -> Float[np.ndarray, "*part"]:
        """A line by its number; anything else reads all lines."""
        if isinstance(index, (int, np.integer)):
            return self._line(range(self.shape[0])[index])
        return np.stack([self._line(i) for i in range(self.shape[0])])[index]

    def _line(self, i: int) -> Float[np.ndarray, "fast row col"]:
        slow, fast = self._source.shape[:2]
        offsets = np.arange(self._box) - self._box // 2
        lines, times = np.unique(np.clip(i * self._repeat + offsets, 0, slow - 1), return_counts=True)
        read = (np.asarray(self._source[int(line)], dtype=np.float32) for line in lines)
        tall = sum(n * line for n, line in zip(times, read, strict=True))
        centres = np.arange(self.shape[1]) * self._repeat
        total = sum(tall[np.clip(centres + offset, 0, fast - 1)] for offset in offsets)
        return (total * self._scale).astype(np.float32)
