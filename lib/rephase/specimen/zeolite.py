"""Zeolite Y as a thin slab: siliceous faujasite, and dealuminated ('ultrastable', USY)."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
from ase import Atoms
from ase.build import cut

from rephase.specimen.defects import vacancies
from rephase.specimen.orient import periodic_slab, zone_rotation
from rephase.specimen.prototypes import prototype

VIEWS = ((1, 1, 0), (1, 1, 1))
"""Zone axes along which faujasite is usually looked at; the wide channels run along [110]."""

T_SITES_APART_ANGSTROM = 3.6
"""Tetrahedral (T) sites closer than this share an oxygen; they are 3.0 to 3.2 angstrom apart."""

_PRIMITIVE = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2  # cell of the face-centred lattice


def faujasite_slab(zone_axis: Sequence[int], box_angstrom: Sequence[Real], thickness_angstrom: Real) -> Atoms:
    """Slab of siliceous faujasite, in the smallest orthogonal cell of its face-centred lattice.

    The library's faujasite is SiO2: silicon on all T sites, no cations and no
    water. Aluminium has one electron fewer than silicon, so the framework of a
    zeolite Y looks the same; its cations are left out.

    Parameters
    ----------
    zone_axis : three int
        Direction in the cubic cell that becomes +z; see `VIEWS`.
    box_angstrom, thickness_angstrom
        As in `periodic_slab`. The periods along (x, y, z) are 17.15, 24.26 and
        17.15 angstrom for [110], and 17.15, 29.71 and 42.02 for [111].

    Raises
    ------
    InputError
        As in `periodic_slab`.
    """
    cubic = prototype("faujasite").atoms
    zone_rotation(cubic.cell.array, zone_axis)  # refuses what is not a direction
    index = np.rint(zone_axis @ np.linalg.inv(_PRIMITIVE)).astype(int).tolist()
    return periodic_slab(cut(cubic, *_PRIMITIVE), index, box_angstrom, thickness_angstrom)


def usy_slab(
    zone_axis: Sequence[int],
    box_angstrom: Sequence[Real],
    thickness_angstrom: Real,
    vacancy_fraction: Real = 0.05,
    seed: int = 0,
) -> Atoms:
    """Slab of dealuminated faujasite: a fraction of the T atoms is missing at random.

    A model of USY's framework and not of its texture: the oxygens around a
    vacancy stay where they are (a silanol nest without its hydrogens), no two
    vacancies share an oxygen (the aluminium that left them obeyed Loewenstein's
    rule), and there are no mesopores and no debris. The default fraction is ours.

    Parameters
    ----------
    zone_axis, box_angstrom, thickness_angstrom
        As in `faujasite_slab`.
    vacancy_fraction : float
        Fraction of the T atoms removed.
    seed : int
        The same seed gives the same vacancies.

    Raises
    ------
    InputError
        As in `periodic_slab` and `vacancies`.
    """
    slab = faujasite_slab(zone_axis, box_angstrom, thickness_angstrom)
    return vacancies(slab, vacancy_fraction, seed, apart_angstrom=T_SITES_APART_ANGSTROM, element="Si")
