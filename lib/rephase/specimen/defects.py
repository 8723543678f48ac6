"""Objects without a lattice, to judge resolution on: vacancies, and random close pairs of atoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list
from jaxtyping import Float

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair
from rephase.specimen.orient import MARGIN_ANGSTROM

_TRIES = 20_000  # positions drawn for the pairs before the box counts as full


def vacancies(
    atoms: Atoms,
    fraction: Real,
    seed: int,
    *,
    apart_angstrom: Real | None = None,
    element: str | None = None,
) -> Atoms:
    """Remove a fraction of the atoms at random, never two neighbours.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic images count as neighbours where the atoms are periodic.
    fraction : float
        Fraction of the atoms (of the element) to remove, rounded to a whole number of them.
    seed : int
        The same seed removes the same atoms.
    apart_angstrom : float or None
        Removed atoms are at least this far apart; by default 1.2 times the shortest bond.
    element : str or None
        Remove this element only.

    Raises
    ------
    InputError
        If the fraction is out of range, the element is not there, or so many
        atoms cannot be removed without removing neighbours.
    """
    if not 0 <= fraction < 1:
        raise InputError("fraction", fraction, "0 to below 1")
    sites = np.flatnonzero(atoms.symbols == element) if element else np.arange(len(atoms))
    if not len(sites):
        raise InputError("element", repr(element), f"an element of {atoms.symbols}")
    if apart_angstrom is None:
        pair = closest_pair(atoms)
        apart_angstrom = 1.2 * pair[2] if pair else 0.0
    wanted = round(fraction * len(sites))
    first, second = neighbor_list("ij", atoms, float(apart_angstrom))
    neighbours = np.split(second, np.searchsorted(first, np.arange(1, len(atoms))))
    removed = np.zeros(len(atoms), dtype=bool)
    for site in np.random.default_rng(seed).permutation(sites):
        if removed.sum() == wanted:
            break
        removed[site] = not removed[neighbours[site]].any()
    if removed.sum() < wanted:
        expected = f"at most about {removed.sum() / len(sites):.3f}, or neighbours would go"
        raise InputError("fraction", fraction, expected)
    return atoms[~removed]


def atom_pairs(
    box_angstrom: Sequence[Real],
    count: int,
    element: str,
    separation_angstrom: tuple[Real, Real],
    seed: int,
    *,
    apart_angstrom: Real = 4.0,
    height_angstrom: Real = 3.354,
) -> Atoms:
    """Pairs of atoms that look close along the beam, at random places and in random directions.

    The two atoms of a pair lie in two planes, as in a bilayer: atoms as close
    as their projections do not exist.

    Parameters
    ----------
    box_angstrom : (float, float)
        Lateral size of the periodic box.
    count : int
        Number of pairs.
    element : str
        Chemical symbol.
    separation_angstrom : (float, float)
        Limits between which projected separations are drawn uniformly.
    seed : int
        The same seed gives the same pairs.
    apart_angstrom : float
        Atoms of different pairs are at least this far apart in projection.
    height_angstrom : float
        Distance between the planes; by default that of the layers of graphite.

    Returns
    -------
    ase.Atoms
        Periodic in x and y, `MARGIN_ANGSTROM` of vacuum below and above. The
        atoms of a pair follow each other; the array ``separation_angstrom``
        holds the projected separation of the atom's pair.

    Raises
    ------
    InputError
        If a number is out of range, or the box does not hold so many pairs.
    """
    low, high = _checked(box_angstrom, count, element, separation_angstrom, apart_angstrom, height_angstrom)
    rng = np.random.default_rng(seed)
    box = np.array(box_angstrom, dtype=float)
    centres = _scattered(rng, box, count, apart_angstrom + high)
    separation, angle = rng.uniform(low, high, count), rng.uniform(0, 2 * np.pi, count)
    half = separation[:, None] / 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    positions = np.empty((count, 2, 3))
    positions[:, 0, :2], positions[:, 1, :2] = centres - half, centres + half
    positions[:, :, 2] = MARGIN_ANGSTROM, MARGIN_ANGSTROM + height_angstrom
    pairs = Atoms(
        [element] * (2 * count),
        positions.reshape(-1, 3),
        cell=[*box, height_angstrom + 2 * MARGIN_ANGSTROM],
        pbc=(True, True, False),
    )
    pairs.wrap()
    pairs.set_array("separation_angstrom", separation.repeat(2))
    return pairs


def _checked(
    box: Sequence[Real],
    count: int,
    element: str,
    separation: tuple[Real, Real],
    apart: Real,
    height: Real,
) -> tuple[float, float]:
    """The limits of the separation, when all is in range."""
    if len(box) != 2 or not all(math.isfinite(v) and v > 0 for v in box):
        raise InputError("box_angstrom", box, "two lengths above 0, along x and y")
    if count < 1:
        raise InputError("count", count, "at least one pair")
    if element not in atomic_numbers:
        raise InputError("element", repr(element), "a chemical symbol")
    low, high = separation
    if not 0 < low <= high < math.inf:
        raise InputError("separation_angstrom", separation, "two lengths above 0, the shorter first")
    for name, value in (("apart_angstrom", apart), ("height_angstrom", height)):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(name, value, "a length of 0 or more")
    if min(box) < apart + 2 * high:
        raise InputError(
            "box_angstrom", box, f"at least {apart + 2 * high:g} a side, or a pair meets its image"
        )
    return float(low), float(high)


def _scattered(
    rng: np.random.Generator, box: Float[np.ndarray, " 2"], count: int, apart: float
) -> Float[np.ndarray, "count 2"]:
    """Uniformly drawn points of a periodic box, each at least so far from those before it."""
    points = np.empty((0, 2))
    for point in rng.uniform(0, box, (_TRIES, 2)):
        vector = points - point
        vector -= box * np.round(vector / box)
        if np.all(np.hypot(*vector.T) >= apart):
            points = np.vstack([points, point])
        if len(points) == count:
            return points
    raise InputError("count", count, f"at most about {len(points)} pairs in {box.tolist()} angstrom")
