"""Atomic columns: where they are, what an image shows there, and whether two kinds are told apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from scipy import ndimage, stats
from scipy.cluster.hierarchy import fcluster, linkage

from rephase.errors import InputError
from rephase.phase.image import PhaseImage


@dataclass(frozen=True)
class Columns:
    """Atoms that lie on top of each other along the beam.

    Parameters
    ----------
    positions : array (column, 2)
        Mean position of the atoms of each, in angstrom.
    counts : array (column)
        Number of atoms.
    heaviest : array (column)
        Atomic number of the heaviest atom.
    """

    positions: Float[np.ndarray, "column 2"]
    counts: Int[np.ndarray, " column"]
    heaviest: Int[np.ndarray, " column"]

    def where(self, chosen: np.ndarray) -> Columns:
        """The columns of a boolean mask."""
        return Columns(self.positions[chosen], self.counts[chosen], self.heaviest[chosen])


def find_columns(atoms: Atoms, within_angstrom: float = 0.5) -> Columns:
    """Group atoms whose projections along z lie closer than a distance (single linkage).

    Parameters
    ----------
    atoms : ase.Atoms
    within_angstrom : float
        Distance below which two atoms share a column.

    Raises
    ------
    InputError
        If there are no atoms, or the distance is not above 0.
    """
    if len(atoms) == 0:
        raise InputError("atoms", "no atoms", "at least one")
    if not within_angstrom > 0:
        raise InputError("within_angstrom", within_angstrom, "a distance above 0")
    plane = atoms.positions[:, :2]
    single = np.ones(1, dtype=int)
    label = fcluster(linkage(plane), within_angstrom, "distance") if len(atoms) > 1 else single
    _, label = np.unique(label, return_inverse=True)
    counts = np.bincount(label)
    mean = np.stack([np.bincount(label, weights=axis) / counts for axis in plane.T], axis=1)
    heaviest = np.zeros(len(counts), dtype=int)
    np.maximum.at(heaviest, label, atoms.numbers)
    order = np.lexsort((mean[:, 1], mean[:, 0]))
    return Columns(mean[order], counts[order], heaviest[order])


def isolated(columns: Columns, distance_angstrom: float) -> Columns:
    """The columns that have no other within a distance."""
    gaps = np.linalg.norm(columns.positions[:, None] - columns.positions, axis=-1)
    np.fill_diagonal(gaps, np.inf)
    return columns.where(gaps.min(axis=1, initial=np.inf) >= distance_angstrom)


def well_inside(columns: Columns, extent_angstrom: tuple[float, float], margin_angstrom: float) -> Columns:
    """The columns at least a margin away from the edges of an image that begins at the origin.

    With a margin above the radius of the discs in which images are read, every image
    of that extent is judged by the same columns.

    Parameters
    ----------
    columns : Columns
    extent_angstrom : (float, float)
        From the centre of the image's first pixel to that of its last, along (slow, fast).
    margin_angstrom : float

    Raises
    ------
    InputError
        If no column lies there.
    """
    high = np.array(extent_angstrom) - margin_angstrom
    inside = ((columns.positions >= margin_angstrom) & (columns.positions <= high)).all(axis=1)
    if not inside.any():
        found = f"{margin_angstrom:g} angstrom, within which lies none of {len(inside)} columns"
        raise InputError("margin_angstrom", found, "a margin that leaves at least one")
    return columns.where(inside)


def column_signal(
    image: PhaseImage, positions: Float[np.ndarray, "column 2"], radius_angstrom: float
) -> Float[np.ndarray, " column"]:
    """Mean of an image over a disc about each position; NaN where the disc leaves the image.

    Parameters
    ----------
    image : PhaseImage
    positions : array (column, 2)
        In angstrom, from the scan's origin.
    radius_angstrom : float
        Radius of the disc, sampled at 32 points of equal area.
    """
    turns = np.arange(32) * np.pi * (3 - np.sqrt(5))
    spiral = np.sqrt((np.arange(32) + 0.5) / 32) * np.stack([np.cos(turns), np.sin(turns)])
    points = positions.T[:, :, None] + radius_angstrom * spiral[:, None, :]
    origin, pixel = (np.array(pair)[:, None, None] for pair in (image.origin_angstrom, image.pixel_angstrom))
    values = image.values.astype(np.float64)
    return ndimage.map_coordinates(values, (points - origin) / pixel, order=3, cval=np.nan).mean(axis=-1)


def separation(a: Float[np.ndarray, " first"], b: Float[np.ndarray, " second"]) -> float:
    """Difference of two means over the pooled standard deviation (d').

    Raises
    ------
    InputError
        If a group has fewer than two finite values.
    """
    groups = [values[np.isfinite(values)] for values in (a, b)]
    if min(map(len, groups)) < 2:
        raise InputError("columns", f"{[len(g) for g in groups]} values", "at least two of each kind")
    pooled = np.sqrt(np.mean([g.var(ddof=1) for g in groups]))
    return float((groups[0].mean() - groups[1].mean()) / max(pooled, 1e-12))


def box_mean(images: Float[np.ndarray, "image slow fast"], reach: int) -> Float[np.ndarray, " image"]:
    """Mean over the central ``2 reach + 1`` pixels a side, above the median of the border.

    For images of a single object in their middle, whose surroundings are empty.
    """
    border = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    slow, fast = (slice(n // 2 - reach, n // 2 + reach + 1) for n in images.shape[1:])
    return images[:, slow, fast].mean(axis=(1, 2)) - np.median(np.concatenate(border, axis=1), axis=1)


def rises_with_thickness(image: PhaseImage, columns: Columns, radius_angstrom: float = 0.5) -> float:
    """Rank correlation of the columns' signal with their number of atoms (Spearman).

    Raises
    ------
    InputError
        If the disc of a column leaves the image; see `well_inside`.
    """
    return float(stats.spearmanr(columns.counts, _signal_of_all(image, columns, radius_angstrom)).statistic)


def told_apart(image: PhaseImage, columns: Columns, first: int, second: int, radius_angstrom: float) -> float:
    """`separation` of the signals of the columns whose heaviest atoms have these atomic numbers.

    Raises
    ------
    InputError
        If the disc of a column leaves the image; see `well_inside`.
    """
    signal = _signal_of_all(image, columns, radius_angstrom)
    return separation(signal[columns.heaviest == first], signal[columns.heaviest == second])


def _signal_of_all(image: PhaseImage, columns: Columns, radius: float) -> Float[np.ndarray, " column"]:
    signal = column_signal(image, columns.positions, radius)
    if outside := int(np.isnan(signal).sum()):
        found = f"{outside} of {len(signal)} discs of {radius:g} angstrom leave the image"
        raise InputError("columns", found, "columns well inside")
    return signal
