"""Reconstruction during the scan: patterns in, phase out, three lines and the incoming one in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Complex, Float, Int, Shaped

from rephase.errors import InputError
from rephase.phase.exit_wave.frame import KERNEL, SIZE
from rephase.phase.exit_wave.patches import THRESHOLD, Stitching
from rephase.phase.exit_wave.resample import Resampling
from rephase.phase.image import PhaseImage


@runtime_checkable
class Predicts(Protocol):
    """What turns kernels of patterns into exit waves; see `rephase.phase.exit_wave.predict.Predictor`."""

    probe: Complex[torch.Tensor, "n n"]

    def __call__(
        self, patterns: Float[torch.Tensor, "batch 9 64 64"]
    ) -> Complex[torch.Tensor, "batch n n"]: ...


class LiveReconstruction:
    """Takes the patterns of a scan as they come and shows the phase so far.

    A line of the scan is reconstructed as soon as the next one is complete, because
    its kernels reach there. At the scan's edges the missing neighbours are replaced
    by the nearest patterns. Lines are brought to the frame when they are complete, so
    that the image does not depend on the portions in which patterns come.

    Parameters
    ----------
    scan_shape : (int, int)
        Probe positions along (slow, fast); the memory that patterns take does not
        depend on the first.
    step_angstrom : (float, float)
        Their distances.
    resampling : Resampling
        From the detector to the frame.
    predict : callable
        Exit waves from kernels, on the device of ``resampling``.
    batch : int
        Kernels at a time.
    threshold : float
        As for `Stitching`.
    lines_at_once : int
        Complete lines to wait for before they are reconstructed together: more fill
        the batches of a narrow scan, and take that much more memory.
    details : mapping
        What to put into the ``details`` of every image.
    """

    def __init__(
        self,
        scan_shape: tuple[int, int],
        step_angstrom: tuple[float, float],
        resampling: Resampling,
        predict: Predicts,
        batch: int = 64,
        threshold: float = THRESHOLD,
        lines_at_once: int = 1,
        details: Mapping[str, Any] | None = None,
    ):
        self.scan_shape, self.resampling, self.predict = tuple(scan_shape), resampling, predict
        self.batch, self.lines_at_once, self.details = batch, lines_at_once, dict(details or {})
        pixel = resampling.frame.pixel_angstrom
        self.stitching = Stitching(predict.probe, pixel, scan_shape, step_angstrom, threshold)
        lines = min(lines_at_once + 2, scan_shape[0])
        self.buffer = torch.zeros(lines, scan_shape[1], SIZE, SIZE, device=resampling.device)
        self.incoming = torch.zeros(scan_shape[1], *resampling.detector.shape, device=resampling.device)
        self.received, self._next_line = 0, 0

    @property
    def reconstructed(self) -> int:
        """Positions whose patches are in the phase."""
        return self._next_line * self.scan_shape[1]

    def add(
        self, patterns: Shaped[np.ndarray, "pattern row col"] | Shaped[torch.Tensor, "pattern row col"]
    ) -> None:
        """Take the next patterns: one, a line or any number, in the order of the scan.

        Raises
        ------
        InputError
            If they have not the detector's shape, are more than the scan still
            lacks, or hold NaN, infinite or negative values.
        """
        missing = math.prod(self.scan_shape) - self.received
        if len(patterns) > missing:
            raise InputError("patterns", f"{len(patterns)} more", f"at most {missing}, which the scan lacks")
        while len(patterns):
            line, filled = divmod(self.received, self.scan_shape[1])
            taken = patterns[: self.scan_shape[1] - filled]
            self.incoming[filled : filled + len(taken)] = self._checked(taken)
            self.received += len(taken)
            patterns = patterns[len(taken) :]
            if filled + len(taken) == self.scan_shape[1]:
                self.buffer[line % len(self.buffer)] = self.resampling(self.incoming)
                self._reconstruct_what_is_ready()

    def phase(self) -> PhaseImage:
        """The phase so far, as `Stitching.image`; 0 where nothing has been reconstructed yet."""
        return self.stitching.image(**self.details, reconstructed=self.reconstructed)

    def finish(self) -> PhaseImage:
        """The phase of all lines that are complete, also of a scan that ended early.

        Raises
        ------
        InputError
            If no line is complete.
        """
        complete = self.received // self.scan_shape[1]
        if complete == 0:
            found = f"{self.received} of {self.scan_shape[1]} patterns of the first line"
            raise InputError("patterns", found, "at least one line")
        self._reconstruct(complete, complete - 1)
        return self.phase()

    def _checked(self, patterns: np.ndarray | torch.Tensor) -> Float[torch.Tensor, "pattern row col"]:
        seen = self.resampling.taken(patterns)
        if not (torch.isfinite(seen.sum()) and seen.min() >= 0):
            raise InputError("patterns", "NaN, infinite or negative values", "finite values of 0 or more")
        return seen

    def _reconstruct_what_is_ready(self) -> None:
        complete = self.received // self.scan_shape[1]
        if complete == self.scan_shape[0]:
            self._reconstruct(complete, complete - 1)
        elif complete - 1 - self._next_line >= self.lines_at_once:
            self._reconstruct(complete - 1, complete - 1)

    def _reconstruct(self, end: int, last: int) -> None:
        """Add the patches of the lines up to ``end``; ``last`` is the last line that there is."""
        if end <= self._next_line:
            return
        positions = torch.arange(self.reconstructed, end * self.scan_shape[1], device=self.resampling.device)
        for part in positions.split(self.batch):
            self.stitching.add(self.predict(self._kernels(part, last)), part)
        self._next_line = end

    def _kernels(
        self, positions: Int[torch.Tensor, " batch"], last: int
    ) -> Float[torch.Tensor, "batch 9 64 64"]:
        offsets = torch.tensor(KERNEL, device=positions.device)
        slow = (positions // self.scan_shape[1])[:, None] + offsets[:, 0]
        fast = (positions % self.scan_shape[1])[:, None] + offsets[:, 1]
        return self.buffer[slow.clamp(0, last) % len(self.buffer), fast.clamp(0, self.scan_shape[1] - 1)]
