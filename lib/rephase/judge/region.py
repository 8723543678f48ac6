"""Images that end where the scan ends: on the scan's grid, judged away from the edges."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rephase.errors import InputError
from rephase.judge.ladder import common_band
from rephase.judge.metrics import cross_correlation
from rephase.judge.register import on_grid
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase.image import PhaseImage

Image = Float[np.ndarray, "_slow _fast"]


def as_scanned(image: PhaseImage, scan: Scan, optics: Optics | None = None) -> Float[np.ndarray, "slow fast"]:
    """An image that is not periodic, on the scan's grid and of mean 0.

    Parameters
    ----------
    image : PhaseImage
        Must reach to within a pixel of the scan's outermost positions.
    scan : Scan
    optics : Optics, optional
        If given, frequencies beyond twice the aperture are removed, as
        :func:`rephase.judge.ladder.to_scan_grid` does for periodic images.
    """
    values = on_grid(image, scan.shape[:2], scan.step_angstrom, periodic=False).values
    if optics is not None:
        return common_band(values, scan, optics)
    return (values - values.mean()).astype(np.float32)


def interior(
    shape: tuple[int, int], pixel_angstrom: tuple[float, float], margin_angstrom: float
) -> tuple[slice, slice]:
    """The part of an image that lies at least a margin away from its edges.

    Raises
    ------
    InputError
        If fewer than two pixels would be left along an axis.
    """
    cut = [int(np.ceil(margin_angstrom / pixel)) for pixel in pixel_angstrom]
    left = [n - 2 * c for n, c in zip(shape, cut, strict=True)]
    if min(left) < 2:
        found = f"{margin_angstrom:g} angstrom, which leaves {left[0]} x {left[1]} pixels"
        raise InputError("margin_angstrom", found, "a margin that leaves at least 2 x 2")
    return tuple(slice(c, n - c) for n, c in zip(shape, cut, strict=True))


def inner_correlation(
    estimate: Image, truth: Image, pixel_angstrom: tuple[float, float], margin_angstrom: float
) -> float:
    """Cross-correlation of two images on one grid, away from the edges."""
    inside = interior(truth.shape, pixel_angstrom, margin_angstrom)
    return cross_correlation(estimate[inside], truth[inside])
