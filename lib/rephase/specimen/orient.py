"""Turn a crystal so that the beam runs along a zone axis, and cut a specimen out of it.

The beam travels along +z, so the zone axis ``[u v w]`` (in the cell vectors of
the atoms given) ends up on +z. Specimens are orthogonal cells whose atoms lie
between ``MARGIN_ANGSTROM`` and the cell's height less ``MARGIN_ANGSTROM``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from jaxtyping import Float, Int, Shaped
from numpy.linalg import norm
from scipy.spatial.transform import Rotation

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair

ZONE_AXES = ((1, 1, 0), (0, 1, 1), (1, 0, 1), (0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 1))
"""The seven zone axes of the training set of Friedrich et al. (exit-wave network), Table 1."""

MARGIN_ANGSTROM = 1.0
"""Vacuum above and below the atoms of a specimen, in angstrom."""

_FACE = 1e-3  # atoms this close to a face of the cut, in angstrom, count as lying on it


def zone_rotation(
    cell: Float[np.ndarray, "3 3"], zone_axis: Sequence[int], rotation_deg: Real = 0.0
) -> Float[np.ndarray, "3 3"]:
    """Matrix that turns column vectors so that the zone axis points along +z.

    Parameters
    ----------
    cell : array (3, 3)
        Cell vectors as rows, in angstrom.
    zone_axis : three int
        Direction ``[u v w]`` in the cell vectors.
    rotation_deg : float
        Rotation about the beam, counterclockwise in (x, y), in degrees. At 0 the
        projection of the first cell vector that is not parallel to the zone axis lies along +x.

    Returns
    -------
    array (3, 3)

    Raises
    ------
    InputError
        If the zone axis is not three integers, or is zero.
    """
    beam = _primitive(zone_axis) @ cell
    beam /= norm(beam)
    in_plane = cell - np.outer(cell @ beam, beam)
    first = next(v for v, edge in zip(in_plane, cell, strict=True) if norm(v) > 1e-6 * norm(edge))
    first = first / norm(first)
    upright = np.stack([first, np.cross(beam, first), beam])
    return Rotation.from_euler("z", rotation_deg, degrees=True).as_matrix() @ upright


def cut_box(
    atoms: Atoms,
    zone_axis: Sequence[int],
    rotation_deg: Real,
    box_angstrom: Sequence[Real],
    thickness_angstrom: Real,
) -> Atoms:
    """Cut a box out of a crystal in any in-plane rotation.

    The cut is not periodic: its edges show wherever the field of view reaches
    them, so make the box larger than what is looked at. Atoms without periodic
    boundaries (a particle, a molecule) are turned about the centre of their
    cell and cropped instead of repeated.

    Parameters
    ----------
    atoms : ase.Atoms
        A crystal, or a particle in a cell.
    zone_axis : three int
        Direction ``[u v w]`` in the cell vectors that becomes +z.
    rotation_deg : float
        Rotation about the beam, in degrees, as in `zone_rotation`.
    box_angstrom : (float, float)
        Lateral size of the box, in angstrom; a crystal's lattice point lies at its centre.
    thickness_angstrom : float
        Height of the box along the beam, in angstrom; a crystal's lattice point
        lies on its lower face, a particle's centre in the middle.

    Returns
    -------
    ase.Atoms
        Not periodic; the cell is the box with `MARGIN_ANGSTROM` of vacuum below and above.

    Raises
    ------
    InputError
        If a size is not positive, the thickness is below one atomic layer, or
        no atom lies in the box.
    """
    crystal = bool(atoms.pbc.all())
    if crystal:
        _at_least_a_layer(thickness_angstrom, atoms)
    box = np.array([*_sizes(box_angstrom), _positive("thickness_angstrom", thickness_angstrom)])
    rotation = zone_rotation(atoms.cell.array, zone_axis, rotation_deg)
    if crystal:
        positions = atoms.positions @ rotation.T + [box[0] / 2, box[1] / 2, 0]
        shifts = _translations(atoms.cell.array @ rotation.T, positions, box)
    else:
        positions = (atoms.positions - atoms.cell.array.sum(axis=0) / 2) @ rotation.T + box / 2
        shifts = np.zeros((1, 3))
    everywhere = (positions + shifts[:, None]).reshape(-1, 3)
    inside = np.all((everywhere >= -_FACE) & (everywhere < box - _FACE), axis=1)
    if not inside.any():
        raise InputError("box_angstrom", f"no atom within {box.tolist()}", "a box that meets the atoms")
    numbers = np.tile(atoms.numbers, len(shifts))
    return _with_margin(Atoms(numbers[inside], everywhere[inside], cell=box))


def periodic_slab(
    atoms: Atoms,
    zone_axis: Sequence[int],
    box_angstrom: Sequence[Real],
    thickness_angstrom: Real,
    max_strain: Real = 0.01,
) -> Atoms:
    """A slab that is periodic in an orthogonal cell, so that it has no edges in the plane.

    Two lattice vectors across the beam and at right angles span the cell. Where
    the lattice has none (most zone axes of crystals that are not cubic), the
    smallest nearly orthogonal pair is taken and the crystal is strained to fit;
    the strain is written into ``info['strain']``.

    Parameters
    ----------
    atoms : ase.Atoms
        A periodic crystal.
    zone_axis : three int
        Direction ``[u v w]`` in the cell vectors that becomes +z.
    box_angstrom : (float, float)
        The periods along x and y are multiples of the smallest ones, at least this long, in angstrom.
    thickness_angstrom : float
        Thickness in angstrom: from a lattice point on the lower face up to, not including, this height.
    max_strain : float
        The largest strain allowed (spectral norm of the deformation less one).

    Returns
    -------
    ase.Atoms
        Periodic in x and y; `MARGIN_ANGSTROM` of vacuum below and above.

    Raises
    ------
    InputError
        If a size is not positive, the thickness is below one atomic layer, or no
        orthogonal cell exists within the strain.
    """
    box = _sizes(box_angstrom)
    if not atoms.pbc.all():
        raise InputError("atoms", f"periodic along {atoms.pbc.tolist()}", "a crystal, periodic along all")
    _at_least_a_layer(thickness_angstrom, atoms)
    across, strain = _orthogonal_pair(atoms.cell.array, zone_axis, max_strain)
    slab = make_supercell(atoms, np.vstack([across, _primitive(zone_axis)]))
    periods = slab.cell.lengths()
    slab.set_cell(periods, scale_atoms=True)
    slab = slab.repeat(np.ceil([*box, thickness_angstrom] / periods - 1e-6).astype(int))
    slab.positions += _FACE
    slab.wrap(eps=0)
    slab.positions -= _FACE
    slab = slab[slab.positions[:, 2] < thickness_angstrom - _FACE]
    slab.set_cell([*slab.cell.lengths()[:2], thickness_angstrom])
    slab.pbc = (True, True, False)
    slab.info = {"strain": strain}
    return _with_margin(slab)


def _orthogonal_pair(
    cell: Float[np.ndarray, "3 3"], zone_axis: Sequence[int], max_strain: Real
) -> tuple[Int[np.ndarray, "2 3"], float]:
    """Smallest orthogonal pair of lattice vectors across the beam, as indices, and the strain it takes."""
    upright = cell @ zone_rotation(cell, zone_axis).T
    index = _across_the_beam(upright, max_strain)
    lateral = (index @ upright)[:, :2]
    length = norm(lateral, axis=1)
    cosine = np.abs(lateral @ lateral.T) / np.outer(length, length)
    first, second = np.nonzero(np.triu(cosine <= max_strain, 1))
    if not len(first):
        raise InputError("zone_axis", f"{tuple(zone_axis)} without orthogonal cell", "cut_box for this axis")
    beam = np.broadcast_to(_primitive(zone_axis), (len(first), 3))
    triple = np.stack([index[first], index[second], beam], axis=1)
    strain = _strain(triple @ upright)
    allowed = np.flatnonzero(strain < 1e-6 if strain.min() < 1e-6 else strain <= max_strain)
    if not len(allowed):
        raise InputError("max_strain", max_strain, f"at least {strain.min():.2g}, or cut_box instead")
    best = allowed[np.argmin((length[first] * length[second])[allowed])]
    pair = triple[best, :2].copy()
    if np.linalg.det(triple[best] @ upright) < 0:
        pair[1] *= -1
    return pair, float(strain[best])


def _across_the_beam(
    upright: Float[np.ndarray, "3 3"], max_strain: Real, longest_angstrom: float = 60.0, most: int = 400
) -> Int[np.ndarray, "number 3"]:
    """Indices of the shortest lattice vectors that are nearly perpendicular to z."""
    reach = np.ceil(longest_angstrom * norm(np.linalg.inv(upright), axis=0)).astype(int)
    index = _grid([np.arange(-n, n + 1) for n in reach])
    vectors = index @ upright
    length = norm(vectors[:, :2], axis=1)
    flat = (length > 0) & (length <= longest_angstrom) & (np.abs(vectors[:, 2]) <= max_strain * length)
    order = np.argsort(np.round(length[flat], 6), kind="stable")[:most]
    return index[flat][order]


def _strain(edges: Float[np.ndarray, "number 3 3"]) -> Float[np.ndarray, " number"]:
    """Largest principal strain that turns each parallelepiped into the cuboid of the same edge lengths."""
    cuboid = norm(edges, axis=-1)[:, None, :] * np.eye(3)
    stretch = np.linalg.svd(np.linalg.solve(edges, cuboid), compute_uv=False)
    return np.abs(stretch - 1).max(axis=-1)


def _translations(
    lattice: Float[np.ndarray, "3 3"], positions: Float[np.ndarray, "atoms 3"], box: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "number 3"]:
    """Lattice vectors that bring at least one of the atoms near the box."""
    low, high = -positions.max(axis=0) - _FACE, box - positions.min(axis=0)
    corners = _grid(np.stack([low, high], axis=1)) @ np.linalg.inv(lattice)
    first, last = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    shifts = _grid([np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]) @ lattice
    return shifts[np.all((shifts >= low) & (shifts <= high), axis=1)]


def _grid(axes: Iterable[np.ndarray]) -> Shaped[np.ndarray, "number 3"]:
    """All combinations of the three axes' values, one a row."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _with_margin(atoms: Atoms) -> Atoms:
    """Raise the cell by the margin on both sides of the atoms."""
    atoms.positions[:, 2] += MARGIN_ANGSTROM
    a, b, c = atoms.cell.lengths()
    atoms.set_cell([a, b, c + 2 * MARGIN_ANGSTROM])
    return atoms


def _primitive(zone_axis: Sequence[int]) -> Int[np.ndarray, " 3"]:
    """The zone axis without common factor."""
    axis = np.asarray(zone_axis)
    if axis.shape != (3,) or not np.issubdtype(axis.dtype, np.integer) or not axis.any():
        raise InputError("zone_axis", zone_axis, "three integers, not all zero")
    return axis // np.gcd.reduce(axis)


def _positive(name: str, value: Real) -> float:
    if not (math.isfinite(value) and value > 0):
        raise InputError(name, value, "a length above 0 angstrom")
    return float(value)


def _sizes(box_angstrom: Sequence[Real]) -> list[float]:
    if len(box_angstrom) != 2:
        raise InputError("box_angstrom", box_angstrom, "two lengths, along x and y")
    return [_positive("box_angstrom", value) for value in box_angstrom]


def _at_least_a_layer(thickness_angstrom: Real, atoms: Atoms) -> float:
    """Refuse a crystal thinner than its shortest bond."""
    *_, bond = closest_pair(atoms)
    if not thickness_angstrom >= bond:
        expected = f"at least one atomic layer, taken as the shortest bond of {bond:.2f} angstrom"
        raise InputError("thickness_angstrom", thickness_angstrom, expected)
    return _positive("thickness_angstrom", thickness_angstrom)
