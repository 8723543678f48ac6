"""Virtual detectors: which part of each detector pixel belongs to which detector.

A mask holds the covered fraction of each pixel, 0 to 1, found on a grid of
``subpixels x subpixels`` points in it; ``subpixels=1`` gives hard masks, where a
pixel belongs to the detector that contains its centre. Radii include the inner
limit and exclude the outer one, so detectors that adjoin share no electron.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics

SUBPIXELS = 4


def largest_angle(scan: Scan) -> float:
    """Radius in mrad of the largest circle about the undeflected beam that the detector holds."""
    sides = []
    for centre, pixels, pixel in zip(scan.centre_px, scan.shape[2:], scan.pixel_mrad, strict=True):
        sides += [(centre + 0.5) * pixel, (pixels - 0.5 - centre) * pixel]
    return min(sides)


def annulus(
    scan: Scan, inner_mrad: float, outer_mrad: float | None = None, subpixels: int = SUBPIXELS
) -> Float[np.ndarray, "row col"]:
    """Mask of an annular detector.

    Parameters
    ----------
    scan : Scan
        Gives the detector's pixels and its undeflected beam.
    inner_mrad, outer_mrad : float
        Radii in mrad; without an outer one, up to the largest full circle.
    subpixels : int
        Points along each side of a pixel.

    Raises
    ------
    InputError
        If the radii are not ordered, or the detector does not hold the outer circle.
    """
    return segments(scan, inner_mrad, outer_mrad, 1, 0.0, subpixels)[0]


def disk(scan: Scan, outer_mrad: float, subpixels: int = SUBPIXELS) -> Float[np.ndarray, "row col"]:
    """Mask of a disk about the undeflected beam; as `annulus`."""
    return annulus(scan, 0.0, outer_mrad, subpixels)


def bright_field(scan: Scan, optics: Optics, subpixels: int = SUBPIXELS) -> Float[np.ndarray, "row col"]:
    """Mask of the bright-field disk, the image of the aperture.

    Raises
    ------
    InputError
        If the detector is smaller than the bright-field disk.
    """
    if (held := largest_angle(scan)) < optics.semiangle_mrad:
        raise InputError(
            "scan.pixel_mrad",
            f"a detector that reaches {held:.4g} mrad",
            f"one that holds the bright-field disk of {optics.semiangle_mrad:g} mrad",
        )
    return disk(scan, optics.semiangle_mrad, subpixels)


def segments(
    scan: Scan,
    inner_mrad: float,
    outer_mrad: float | None = None,
    count: int = 4,
    rotation_deg: float = 0.0,
    subpixels: int = SUBPIXELS,
) -> Float[np.ndarray, "segment row col"]:
    """Masks of an annulus (or, with an inner radius of 0, a disk) split into equal segments.

    Segment ``i`` covers the azimuths from ``rotation + i 360 / count`` to
    ``rotation + (i + 1) 360 / count`` degrees, counted from the row axis
    towards the column axis: the first of four unrotated segments is that of
    positive row and column angles.

    Parameters
    ----------
    scan, inner_mrad, outer_mrad, subpixels
        As for `annulus`.
    count : int
        Number of segments; four on most instruments.
    rotation_deg : float
        Turn of all segments, in degrees.

    Raises
    ------
    InputError
        As `annulus`.
    """
    held = largest_angle(scan)
    outer = held if outer_mrad is None else outer_mrad
    if not 0 <= inner_mrad < outer <= held * (1 + 1e-9):
        raise InputError(
            "detector", f"{inner_mrad:g} to {outer:g} mrad", f"ordered radii between 0 and {held:.4g} mrad"
        )
    rows, cols = _angles(scan, subpixels)
    radius = np.hypot(rows, cols)
    turn = (np.degrees(np.arctan2(cols, rows)) - rotation_deg) % 360
    which = np.minimum((turn * count / 360).astype(int), count - 1)
    inside = (radius >= inner_mrad) & (radius < outer)
    masks = inside & (which == np.arange(count)[:, None, None])
    height, width = scan.shape[2:]
    return masks.reshape(count, height, subpixels, width, subpixels).mean((2, 4))


def _angles(
    scan: Scan, subpixels: int
) -> tuple[Float[np.ndarray, "subrow 1"], Float[np.ndarray, "1 subcol"]]:
    """Scattering angles along (row, col) of the points in the pixels, in mrad."""
    rows, cols = (
        pixel * ((np.arange(pixels * subpixels) + 0.5) / subpixels - 0.5 - centre)
        for pixels, pixel, centre in zip(scan.shape[2:], scan.pixel_mrad, scan.centre_px, strict=True)
    )
    return rows[:, None], cols[None, :]
