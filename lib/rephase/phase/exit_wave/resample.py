"""Patterns of any detector, brought onto the diffraction plane of a frame.

Every detector pixel gives its counts to the frame's pixels that it covers, in
proportion to area. This is one sparse matrix ``W`` (frame pixel, detector pixel)
for the whole scan, whose columns add up to 1 wherever the frame holds the pixel:
counts are conserved. Whole numbers are taken for counted electrons, of which each
goes to one pixel of the frame, drawn with the shares of ``W`` (`electrons`): they
stay Poisson counts, as the training set has them. A detector that is turned against the scan has its pixels
cut into squares of at most a quarter of the frame's pixel, each of which is laid
down unturned.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Shaped

from rephase.errors import InputError
from rephase.measurement import Scan, detector_to_scan
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.electrons import Allotment
from rephase.phase.exit_wave.frame import SIZE, Frame

APERTURE_PX = (9.0, 11.5)
TYPICAL_APERTURE_PX = 10.0


@dataclass(frozen=True)
class Detector:
    """Where the pixels of a detector are; fields as those of a `Scan`.

    Parameters
    ----------
    shape : (int, int)
        Pixels along (row, col).
    pixel_mrad : (float, float)
    centre_px : (float, float)
    rotation_deg : float
    mirrored : bool
    """

    shape: tuple[int, int]
    pixel_mrad: tuple[float, float]
    centre_px: tuple[float, float]
    rotation_deg: float = 0.0
    mirrored: bool = False

    @classmethod
    def of(cls, scan: Scan) -> Detector:
        """The detector that took a scan."""
        return cls(scan.shape[2:], scan.pixel_mrad, scan.centre_px, scan.rotation_deg, scan.mirrored)


def choose_frame(detector: Detector, optics: Optics, aperture_px: tuple[float, float] = APERTURE_PX) -> Frame:
    """The frame that a detector is best brought to.

    Parameters
    ----------
    detector : Detector
    optics : Optics
    aperture_px : (float, float)
        Radii of the aperture, in pixels of the frame, that the training set holds.

    Returns
    -------
    Frame
        With pixels that are a whole number of detector pixels wide, if that puts
        the aperture's radius into the range (the number that comes closest to
        10 px); otherwise with a radius of 10 px, or the end of the range next to it.
    """
    low, high = aperture_px
    typical = min(max(TYPICAL_APERTURE_PX, low), high)
    row_mrad, col_mrad = detector.pixel_mrad
    radius = optics.semiangle_mrad / row_mrad
    factors = range(max(1, math.ceil(radius / high - 1e-9)), math.floor(radius / low + 1e-9) + 1)
    if not factors or not math.isclose(row_mrad, col_mrad, rel_tol=1e-6):
        return Frame.of_aperture(optics, typical)
    return Frame.of_aperture(optics, min((radius / n for n in factors), key=lambda px: abs(px - typical)))


class Resampling:
    """The map from a detector's patterns to a frame's: linear, or electron by electron.

    Parameters
    ----------
    detector : Detector
    frame : Frame
    device : str or torch.device
        Where it is applied.

    Attributes
    ----------
    weights : scipy.sparse.csr_array (frame pixel, detector pixel)
    coverage : float
        Part of the frame's inscribed circle, the band of its waves, that the
        detector covers. What it does not cover is 0 in the patterns.
    """

    def __init__(self, detector: Detector, frame: Frame, device: torch.device | str = "cpu"):
        self.detector, self.frame, self.device = detector, frame, torch.device(device)
        self.weights = _weights(detector, frame)
        self.coverage = _coverage(self.weights, detector, frame)
        self._matrix = _on_device(self.weights, self.device)
        self._allotment = Allotment(self.weights, self.device)

    def __call__(
        self, patterns: Shaped[np.ndarray, "batch row col"] | Shaped[torch.Tensor, "batch row col"]
    ) -> Float[torch.Tensor, "batch 64 64"]:
        """Patterns on the frame, in the unit they came in, parallel to the scan's axes.

        If all values are whole numbers, each electron goes to one pixel at random. The
        draw depends on the patterns alone: the same ones together give the same again.

        Raises
        ------
        InputError
            If the patterns have not the detector's shape.
        """
        flat = self.taken(patterns).flatten(1)
        counted = self._allotment.random and _whole(flat)
        on_frame = self._allotment(flat) if counted else (self._matrix @ flat.T).T
        return on_frame.reshape(-1, SIZE, SIZE)

    def taken(
        self, patterns: Shaped[np.ndarray, "batch row col"] | Shaped[torch.Tensor, "batch row col"]
    ) -> Float[torch.Tensor, "batch row col"]:
        """The detector's patterns of any type, in single precision and on the device.

        Raises
        ------
        InputError
            If they have not the detector's shape.
        """
        if tuple(patterns.shape[1:]) != self.detector.shape:
            raise InputError("patterns", tuple(patterns.shape[1:]), f"{self.detector.shape} pixels")
        if isinstance(patterns, np.ndarray):
            native = patterns.dtype.newbyteorder("=")
            patterns = torch.from_numpy(np.ascontiguousarray(patterns, dtype=native))
        return patterns.to(self.device, torch.float32)


def _whole(patterns: Float[torch.Tensor, "batch pixel"]) -> bool:
    return len(patterns) > 0 and bool(patterns.min() >= 0) and bool(patterns.frac().sum() == 0)


def _weights(detector: Detector, frame: Frame) -> scipy.sparse.csr_array:
    """Fraction of each detector pixel's counts that goes to each pixel of the frame."""
    turn = detector_to_scan(detector.rotation_deg, detector.mirrored)
    turn = np.where(np.abs(turn) < 1e-12, 0.0, turn)
    to_frame = turn * (np.array(detector.pixel_mrad) / frame.pixel_mrad)
    cuts = 1 if np.any(turn == 0) else max(1, math.ceil(4 * np.hypot(*to_frame).max()))
    axes = [
        (np.arange(size * cuts) + 0.5) / cuts - 0.5 - centre
        for size, centre in zip(detector.shape, detector.centre_px, strict=True)
    ]
    offset = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(2, -1)
    row, col = np.tensordot(to_frame, offset, axes=1) + SIZE // 2
    height, width = np.hypot(to_frame[:, 0], to_frame[:, 1]) / cuts
    pixel = np.arange(detector.shape[0] * cuts) // cuts * detector.shape[1]
    source = (pixel[:, None] + np.arange(detector.shape[1] * cuts) // cuts).ravel()

    parts = scipy.sparse.csr_array((SIZE * SIZE, math.prod(detector.shape)))
    for to_row, part_row in _overlaps(row, height):
        for to_col, part_col in _overlaps(col, width):
            share = part_row * part_col / cuts**2
            kept = (to_row >= 0) & (to_row < SIZE) & (to_col >= 0) & (to_col < SIZE) & (share > 1e-12)
            target = (to_row * SIZE + to_col)[kept]
            parts += scipy.sparse.csr_array((share[kept], (target, source[kept])), shape=parts.shape)
    return parts


def _overlaps(centre: np.ndarray, width: float):
    """Pixels that intervals of one width reach into, and the part of each interval in them."""
    low, high = centre - width / 2, centre + width / 2
    first = np.floor(low + 0.5 + 1e-9).astype(int)
    for step in range(math.ceil(width - 1e-9) + 1):
        pixel = first + step
        inside = np.minimum(high, pixel + 0.5) - np.maximum(low, pixel - 0.5)
        yield pixel, np.clip(inside, 0, None) / width


def _on_device(weights: scipy.sparse.csr_array, device: torch.device) -> torch.Tensor:
    parts = (
        weights.indptr.astype(np.int64),
        weights.indices.astype(np.int64),
        weights.data.astype(np.float32),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse CSR tensor support is in beta", category=UserWarning
        )
        return torch.sparse_csr_tensor(
            *map(torch.from_numpy, parts), size=weights.shape, check_invariants=True
        ).to(device)


def _coverage(weights: scipy.sparse.csr_array, detector: Detector, frame: Frame) -> float:
    area = math.prod(detector.pixel_mrad) / frame.pixel_mrad**2
    covered = (weights.sum(axis=1) * area).reshape(SIZE, SIZE)
    row, col = np.indices((SIZE, SIZE)) - SIZE // 2
    return float(np.mean(covered[np.hypot(row, col) < SIZE // 2]).clip(0, 1))
