"""Images that end where the scan ends: on a grid of their own, judged away from the edges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rephase.errors import InputError
from rephase.judge.metrics import cross_correlation
from rephase.judge.register import on_grid
from rephase.measurement import Scan
from rephase.phase.image import PhaseImage

Image = Float[np.ndarray, "_slow _fast"]


@dataclass(frozen=True)
class Grid:
    """The pixels of images that are judged together, from the scan's first position to its last.

    Pixel ``[i, j]`` lies at ``(i, j) * step`` from the first position.

    Parameters
    ----------
    shape : (int, int)
        Pixels along (slow, fast).
    step_angstrom : (float, float)
        Their distances.
    """

    shape: tuple[int, int]
    step_angstrom: tuple[float, float]

    @classmethod
    def of(cls, scan: Scan, at_most_angstrom: float = 0.15) -> Grid:
        """The grid that divides a scan's step by the smallest whole number that makes it fine enough.

        Parameters
        ----------
        scan : Scan
            Its positions are among the grid's.
        at_most_angstrom : float
            Greatest distance of pixels. Frequencies beyond half its inverse fold back.

        Raises
        ------
        InputError
            If the distance is not above 0.
        """
        if not at_most_angstrom > 0:
            raise InputError("at_most_angstrom", at_most_angstrom, "a distance above 0")
        parts = [math.ceil(step / at_most_angstrom - 1e-9) for step in scan.step_angstrom]
        shape = tuple(n * (size - 1) + 1 for n, size in zip(parts, scan.shape[:2], strict=True))
        return cls(shape, tuple(step / n for n, step in zip(parts, scan.step_angstrom, strict=True)))


def as_scanned(image: PhaseImage, grid: Grid) -> Float[np.ndarray, "slow fast"]:
    """An image that is not periodic, on a grid and of mean 0.

    Parameters
    ----------
    image : PhaseImage
        Must reach to within a pixel of the grid's outermost positions.
    grid : Grid
        Finer than the image's own pixels, or what it cannot hold folds back.
    """
    return _level(on_grid(image, grid.shape, grid.step_angstrom, periodic=False))


def as_periodic(image: PhaseImage, grid: Grid) -> Float[np.ndarray, "slow fast"]:
    """A periodic image on a grid and of mean 0: its Fourier series at the grid's pixels.

    For the truth and for images of methods that take the scan as periodic.

    Parameters
    ----------
    image : PhaseImage
        Repeats with its own side lengths, pixels times their size; the grid may
        cover more or less than one period.
    grid : Grid
        Frequencies that it cannot hold are left out.
    """
    return _level(on_grid(image, grid.shape, grid.step_angstrom))


def interior(
    shape: tuple[int, int], pixel_angstrom: tuple[float, float], margin_angstrom: float
) -> tuple[slice, slice]:
    """The part of an image that lies at least a margin away from its edges.

    Raises
    ------
    InputError
        If fewer than two pixels would be left along an axis.
    """
    cut = [int(np.ceil(margin_angstrom / pixel - 1e-9)) for pixel in pixel_angstrom]
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


def inner_slope(
    estimate: Image, truth: Image, pixel_angstrom: tuple[float, float], margin_angstrom: float
) -> float:
    """Slope of the line that fits an image to the truth in least squares, away from the edges.

    1 where the amplitude is right, below 1 where the image is damped or does not
    follow the truth; noise alone does not change it on average.

    Raises
    ------
    InputError
        If the truth is constant there.
    """
    inside = interior(truth.shape, pixel_angstrom, margin_angstrom)
    known = truth[inside].astype(float) - truth[inside].mean(dtype=float)
    if not known.any():
        raise InputError("truth", "a constant inside the margin", "an image with some structure")
    return float((estimate[inside] * known).sum() / (known**2).sum())


def _level(image: PhaseImage) -> Float[np.ndarray, "slow fast"]:
    return (image.values - image.values.mean()).astype(np.float32)


def extent_of(image: Image, pixel_angstrom: tuple[float, float]) -> tuple[float, float]:
    """Distance from the first pixel to the last along (slow, fast), in angstrom."""
    rows, cols = (float((n - 1) * pixel) for n, pixel in zip(image.shape, pixel_angstrom, strict=True))
    return rows, cols
