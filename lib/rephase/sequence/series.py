"""Measured sequences: a time series of 4D-STEM scans in a ``.zspy`` file.

The file is HyperSpy's, a folder of zarr arrays or the same zipped, with the axes (time, slow,
fast, row, col). So is that of the crystallisation of PdCuSi (doi:10.5281/zenodo.15490547; entry
``pdcusi_crystallisation`` of `rephase.external`). Opening reads no intensities; of a scan, only
the parts of the file that hold the chosen positions are unpacked, and one scan at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from rephase.errors import InputError
from rephase.measurement import check_line


@dataclass(frozen=True)
class Series:
    """A time series of scans that stays on disk.

    Parameters
    ----------
    data : dask array (time, slow, fast, row, col)
        Counts.
    times : array (time,)
        In seconds from the first scan.
    file : str
        Its path, for messages.
    """

    data: Any
    times: Float[np.ndarray, " time"]
    file: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes (time, slow, fast, row, col)."""
        return tuple(self.data.shape)

    def read(
        self, positions: Sequence[tuple[int, int]], *, binning: int = 1, scans: slice | None = None
    ) -> tuple[Float[np.ndarray, " _time"], Float[np.ndarray, "_time position row col"]]:
        """Times and frames of chosen positions, as methods of this task take them.

        Parameters
        ----------
        positions : sequence of (int, int)
            Indices along (slow, fast).
        binning : int
            Side of the squares of pixels that are summed. What is over at the far edges is
            left out.
        scans : slice, optional
            Which scans; all by default.

        Returns
        -------
        times : array (time,)
            In seconds from the first scan of the file.
        frames : array (time, position, row, col)
            Counts.

        Raises
        ------
        InputError
            If a position is outside the scan, binning leaves no pixel, no scan is chosen, or
            the file is damaged or holds NaN, infinite or negative values.
        """
        which = np.arange(len(self.times))[scans or slice(None)]
        self._check(positions, binning, len(which))
        slow, fast = np.array(positions).T
        frames = [binned(self._patterns(int(scan), slow, fast), binning) for scan in which]
        return self.times[which], np.stack(frames)

    def _check(self, positions: Sequence[tuple[int, int]], binning: int, scans: int) -> None:
        slow, fast, *pixels = self.shape[1:]
        if not scans:
            raise InputError("scans", "none", f"some of the {len(self.times)} of {self.file}")
        if not len(positions):
            raise InputError("positions", "none", "at least one (slow, fast)")
        for position in positions:
            if not (0 <= position[0] < slow and 0 <= position[1] < fast):
                raise InputError("positions", tuple(position), f"indices below ({slow}, {fast})")
        if not 1 <= binning <= min(pixels):
            raise InputError("binning", binning, f"1 to {min(pixels)}, the pixels of a pattern")

    def _patterns(
        self, scan: int, slow: np.ndarray, fast: np.ndarray
    ) -> Shaped[np.ndarray, "position row col"]:
        where = f"{self.file}: scan {scan}"
        try:
            patterns = self.data[scan].vindex[slow, fast].compute(scheduler="synchronous")
        except Exception as error:
            raise InputError(where, _reason(error), "a part that can be unpacked") from None
        check_line(patterns, where)
        return patterns


def open_series(path: Path | str, interval_s: Real | None = None) -> Series:
    """Open a time series of scans; nothing of its intensities is read.

    Parameters
    ----------
    path : path
        A ``.zspy`` file or folder.
    interval_s : float, optional
        Time from one scan to the next. By default the scale of the file's first axis, which
        is taken for seconds whatever its unit is called: that of PdCuSi says nm.

    Raises
    ------
    InputError
        If the file is missing or cannot be read, does not hold one signal of the axes (time,
        slow, fast, row, col), or the interval is not above 0.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}", "no such file", "a .zspy file")
    from rsciio.zspy import file_reader  # takes a second

    try:
        signals = file_reader(str(path), lazy=True, mode="r")
    except Exception as error:
        raise InputError(f"{path}", _reason(error), "a whole .zspy file") from None
    shapes = [tuple(signal["data"].shape) for signal in signals]
    if [len(shape) for shape in shapes] != [5]:
        raise InputError(f"{path}", f"arrays of shapes {shapes}", "one of (time, slow, fast, row, col)")
    axes = signals[0]["axes"]
    if [bool(axis["navigate"]) for axis in axes] != [True, True, True, False, False]:
        names = ", ".join(str(axis["name"]) for axis in axes)
        raise InputError(f"{path}", f"axes ({names})", "three of navigation and two of patterns")
    interval = float(axes[0]["scale"] if interval_s is None else interval_s)
    if not 0 < interval < np.inf:
        raise InputError(f"{path}: time", f"scans {interval:g} s apart", "interval_s above 0")
    return Series(signals[0]["data"], interval * np.arange(shapes[0][0]), f"{path}")


def binned(
    patterns: Shaped[np.ndarray, "position row col"], side: int
) -> Float[np.ndarray, "position binned_row binned_col"]:
    """Sums over squares of pixels; what is over at the far edges is left out."""
    count, rows, cols = len(patterns), *(size // side for size in patterns.shape[1:])
    whole = patterns[:, : rows * side, : cols * side].astype(np.float32)
    return whole.reshape(count, rows, side, cols, side).sum(axis=(2, 4))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
