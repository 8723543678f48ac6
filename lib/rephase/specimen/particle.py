"""Free-standing crystals bounded by facets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from scipy.spatial import HalfspaceIntersection

from rephase.errors import InputError
from rephase.specimen.orient import MARGIN_ANGSTROM, zone_rotation

_FACE = 1e-3  # atoms this close to a facet, in angstrom, count as lying on it


def faceted_particle(
    crystal: Atoms,
    facets: Mapping[tuple[int, int, int], Real],
    zone_axis: Sequence[int],
    rotation_deg: Real = 0.0,
    *,
    centre: Sequence[Real] = (0, 0, 0),
    vacuum_angstrom: Real = 5.0,
) -> Atoms:
    """Cut a particle out of a crystal and turn a zone axis onto the beam.

    The body is the set of points ``r`` with ``n r <= d`` for every plane (unit
    normal ``n``) of every family; a family that lies outside what the others
    leave cuts nothing. Atoms on a facet belong to the particle.

    Parameters
    ----------
    crystal : ase.Atoms
        A periodic crystal; Miller indices and zone axis refer to its cell.
    facets : mapping of (h, k, l) to float
        Distance of the family ``{hkl}`` from the centre, in angstrom.
    zone_axis : three int
        Direction ``[u v w]`` that becomes +z.
    rotation_deg : float
        Rotation about the beam, in degrees, as in `zone_rotation`.
    centre : three float
        Centre of the body, in fractions of the cell vectors; on a symmetry
        element between the atoms it gives another termination and stoichiometry.
    vacuum_angstrom : float
        Vacuum around the particle in the plane.

    Returns
    -------
    ase.Atoms
        Not periodic, in the middle of its orthogonal cell, with `MARGIN_ANGSTROM`
        of vacuum below and above.

    Raises
    ------
    InputError
        If the facets do not enclose a body with an atom in it, or a number is out of range.
    """
    if not crystal.pbc.all():
        raise InputError("crystal", f"periodic along {crystal.pbc.tolist()}", "a crystal, periodic along all")
    if not (math.isfinite(vacuum_angstrom) and vacuum_angstrom >= 0):
        raise InputError("vacuum_angstrom", vacuum_angstrom, "a length of 0 or more")
    if np.shape(centre) != (3,) or not np.isfinite(centre).all():
        raise InputError("centre", centre, "three fractions of the cell vectors")
    cell = crystal.cell.array
    normals, distances = _planes(cell, facets)
    numbers, positions = _filled(crystal, np.asarray(centre) @ cell, normals, distances)
    if not len(numbers):
        raise InputError("facets", f"no atom inside {dict(facets)}", "facets further from the centre")
    particle = Atoms(numbers, positions @ zone_rotation(cell, zone_axis, rotation_deg).T)
    extent = np.ptp(particle.positions, axis=0)
    particle.set_cell(extent + 2 * np.array([vacuum_angstrom, vacuum_angstrom, MARGIN_ANGSTROM]))
    particle.center()
    return particle


def plane_family(cell: Float[np.ndarray, "3 3"], hkl: Sequence[int]) -> Int[np.ndarray, "planes 3"]:
    """Planes equivalent to ``(hkl)`` by the symmetry of the lattice.

    The lattice's symmetry is at least the crystal's: of a crystal without
    centre of inversion, ``(hkl)`` and its opposite both belong to the family.

    Parameters
    ----------
    cell : array (3, 3)
        Cell vectors as rows, in angstrom; a reduced or conventional cell.
    hkl : three int
        Miller indices.

    Raises
    ------
    InputError
        If they are not three integers, or all zero.
    """
    index = np.asarray(hkl)
    if index.shape != (3,) or not np.issubdtype(index.dtype, np.integer) or not index.any():
        raise InputError("facets", hkl, "Miller indices: three integers, not all zero")
    change = np.array(list(itertools.product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
    metric = cell @ cell.T
    kept = np.isclose(change @ metric @ change.swapaxes(1, 2), metric, atol=1e-4 * metric.max()).all(
        axis=(1, 2)
    )
    return np.unique(change[kept] @ index, axis=0)


def _planes(
    cell: Float[np.ndarray, "3 3"], facets: Mapping[tuple[int, int, int], Real]
) -> tuple[Float[np.ndarray, "planes 3"], Float[np.ndarray, " planes"]]:
    """Unit normals of all planes, and their distances from the centre."""
    for hkl, distance in facets.items():
        if not (math.isfinite(distance) and distance > 0):
            raise InputError(f"facets[{hkl}]", distance, "a distance above 0 angstrom")
    families = [plane_family(cell, hkl) for hkl in facets]
    normals = np.concatenate([np.zeros((0, 3)), *families]) @ np.linalg.inv(cell).T
    if not facets or np.linalg.matrix_rank(normals) < 3:
        raise InputError("facets", dict(facets), "families of planes that enclose a body")
    distances = np.repeat(list(facets.values()), [len(family) for family in families])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True), distances.astype(float)


def _filled(
    crystal: Atoms,
    centre: Float[np.ndarray, " 3"],
    normals: Float[np.ndarray, "planes 3"],
    distances: Float[np.ndarray, " planes"],
) -> tuple[Int[np.ndarray, " atoms"], Float[np.ndarray, "atoms 3"]]:
    """The crystal's atoms inside the body, relative to its centre."""
    corners = HalfspaceIntersection(np.column_stack([normals, -distances]), np.zeros(3)).intersections
    reach = (corners + centre) @ np.linalg.inv(crystal.cell.array)
    first, last = np.floor(reach.min(axis=0)) - 1, np.ceil(reach.max(axis=0)) + 1
    cells = [np.arange(a, b) for a, b in zip(first, last, strict=True)]
    shifts = np.stack(np.meshgrid(*cells, indexing="ij"), axis=-1).reshape(-1, 3) @ crystal.cell.array
    positions = (crystal.get_positions(wrap=True) - centre + shifts[:, None]).reshape(-1, 3)
    inside = np.all(positions @ normals.T <= distances + _FACE, axis=1)
    return np.tile(crystal.numbers, len(shifts))[inside], positions[inside]
