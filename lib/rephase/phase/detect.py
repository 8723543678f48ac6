"""What detectors of any response read at each position of a scan, and where their pixels are."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Shaped

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.detectors import largest_angle
from rephase.microscope.optics import Optics


def pixel_angles(scan: Scan) -> tuple[Float[np.ndarray, "row 1"], Float[np.ndarray, "1 col"]]:
    """Scattering angles of the pixels' centres along the detector's (row, col), in mrad."""
    row, col = (
        (np.arange(size) - centre) * pixel
        for size, centre, pixel in zip(scan.shape[2:], scan.centre_px, scan.pixel_mrad, strict=True)
    )
    return row[:, None], col[None, :]


def require_disk(scan: Scan, optics: Optics) -> None:
    """Raise an InputError unless the detector holds the whole bright-field disk, and resolves it."""
    if (held := largest_angle(scan)) < optics.semiangle_mrad:
        raise InputError(
            "scan.pixel_mrad",
            f"a detector that reaches {held:.4g} mrad",
            f"one that holds the bright-field disk of {optics.semiangle_mrad:g} mrad",
        )
    if max(scan.pixel_mrad) > optics.semiangle_mrad / 2:
        raise InputError(
            "scan.pixel_mrad",
            scan.pixel_mrad,
            f"at most half the semi-angle of {optics.semiangle_mrad:g} mrad",
        )


def detect(
    scan: Scan, responses: Shaped[np.ndarray, "detector row col"], per_pattern: bool = False
) -> Float[np.ndarray, "detector slow fast"]:
    """Signals ``sum_k D(k) I(r, k)`` of detectors with the responses ``D``.

    The scan is read one slow line at a time, so that a data set on disk never
    lies in memory as a whole.

    Parameters
    ----------
    scan : Scan
    responses : array (detector, row, col)
        Response of each pixel of each detector.
    per_pattern : bool
        Divide by the electrons in each pattern rather than in the beam: rids
        of a drifting beam current, adds noise at a few electrons per pattern.
        A pattern without electrons gives 0.

    Returns
    -------
    array (detector, slow, fast)
        In fractions of the beam times the unit of ``D``. The beam is 1 for a scan
        in fractions, and the mean over all patterns for a scan in electrons.

    Raises
    ------
    InputError
        If intensities are not finite, or all are 0.
    """
    slow, fast, rows, cols = scan.shape
    matrix = np.concatenate([responses, np.ones((1, rows, cols))]).reshape(-1, rows * cols).T
    read = np.empty((slow, fast, matrix.shape[1]))
    for i in range(slow):
        read[i] = np.asarray(scan.intensities[i], dtype=np.float64).reshape(fast, -1) @ matrix
    *signals, total = np.moveaxis(read, -1, 0)
    beam = total if per_pattern else _beam(scan, total)
    return np.divide(signals, beam, out=np.zeros((len(signals), slow, fast)), where=total > 0)


def beam_intensity(scan: Scan) -> float:
    """Intensity of the whole beam, in the scan's unit: 1, or electrons per pattern."""
    if scan.unit == "fraction":
        return 1.0
    total = np.array(
        [np.sum(scan.intensities[i], axis=(1, 2), dtype=np.float64) for i in range(scan.shape[0])]
    )
    return _beam(scan, total)


def _beam(scan: Scan, total: Float[np.ndarray, "slow fast"]) -> float:
    mean = float(total.mean())
    if not math.isfinite(mean):
        raise InputError("scan.intensities", "NaN or infinite values", "finite numbers")
    if mean <= 0:
        raise InputError("scan.intensities", "no electrons", "a sum above 0")
    return 1.0 if scan.unit == "fraction" else mean
