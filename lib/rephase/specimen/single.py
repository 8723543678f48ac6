"""One atom in an empty box."""

from __future__ import annotations

import math
from numbers import Real

from ase import Atoms

from rephase.errors import InputError
from rephase.specimen.orient import MARGIN_ANGSTROM

HEAVIEST = 103
"""Atomic number of the last element of Lobato's table of scattering factors."""


def isolated_atom(atomic_number: int, box_angstrom: Real = 12.0) -> Atoms:
    """One atom in the middle of a square box.

    Parameters
    ----------
    atomic_number : int
        1 to `HEAVIEST`.
    box_angstrom : float
        Side of the box; at least 12 angstrom, so that the atom's periodic images stay away
        and a diffraction pattern has pixels enough across the aperture.

    Returns
    -------
    ase.Atoms
        Not periodic, with `MARGIN_ANGSTROM` of vacuum below and above.

    Raises
    ------
    InputError
        If the element or the box is out of range.
    """
    if not 1 <= atomic_number <= HEAVIEST:
        raise InputError("atomic_number", atomic_number, f"1 to {HEAVIEST}")
    if not (math.isfinite(box_angstrom) and box_angstrom >= 12):
        raise InputError("box_angstrom", box_angstrom, "a length of 12 angstrom or more")
    cell = [box_angstrom, box_angstrom, 2 * MARGIN_ANGSTROM]
    return Atoms(numbers=[atomic_number], positions=[[v / 2 for v in cell]], cell=cell)
