"""What can be measured on a set of atoms."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.neighborlist import neighbor_list
from scipy.spatial import KDTree

_GRAM_PER_CM3 = units._amu * 1e3 * 1e24  # of one atomic mass unit per cubic angstrom


def mass_density(atoms: Atoms) -> float:
    """Mass of the atoms over the volume of their cell, in g/cm3."""
    return float(atoms.get_masses().sum() / atoms.get_volume() * _GRAM_PER_CM3)


def reduced_formula(atoms: Atoms) -> str:
    """Formula of the atoms without its common factor, in Hill order, e.g. ``'AsGa'``."""
    formula, _ = atoms.symbols.formula.reduce()
    return formula.format("hill")


def closest_pair(atoms: Atoms, within_angstrom: float = 16.0) -> tuple[int, int, float] | None:
    """The two atoms closest to each other, periodic images included.

    Parameters
    ----------
    atoms : ase.Atoms
        At least one atom.
    within_angstrom : float
        Pairs further apart are not looked for.

    Returns
    -------
    (int, int, float) or None
        Indices of the two atoms and their distance in angstrom; None where no pair is close enough.
    """
    if not atoms.pbc.any():  # no images; ASE's bins would fill the empty space of a large box
        distance, neighbour = KDTree(atoms.positions).query(atoms.positions, k=2)
        nearest = int(np.argmin(distance[:, 1]))
        if not distance[nearest, 1] <= within_angstrom:
            return None
        return nearest, int(neighbour[nearest, 1]), float(distance[nearest, 1])
    reach = min(1.0, within_angstrom)
    while True:
        first, second, distance = neighbor_list("ijd", atoms, reach)
        if len(distance):
            nearest = int(np.argmin(distance))
            return int(first[nearest]), int(second[nearest]), float(distance[nearest])
        if reach >= within_angstrom:
            return None
        reach = min(1.5 * reach, within_angstrom)
