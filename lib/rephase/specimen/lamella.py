"""What thinning does to a lamella: a hole, a wedge, a bend. Each takes atoms and gives new ones.

Make the wedge and the hole while the lamella is flat, and bend it last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
from ase import Atoms
from jaxtyping import Float

from rephase.errors import InputError
from rephase.specimen.orient import MARGIN_ANGSTROM

_FACE = 1e-3  # atoms this close to a cut, in angstrom, count as lying on it
_HARMONICS = np.arange(3, 11)  # of the ragged edge: periods of a third to a tenth of the way round


def wedge(atoms: Atoms, first_angstrom: Real, last_angstrom: Real) -> Atoms:
    """Thin a slab linearly along x by taking atoms from its exit side.

    Parameters
    ----------
    atoms : ase.Atoms
        A slab between `MARGIN_ANGSTROM` of vacuum below and above.
    first_angstrom, last_angstrom : float
        Thickness left at ``x = 0`` and at the other end of the cell.

    Raises
    ------
    InputError
        If a thickness is negative or above the slab's, or none is left.
    """
    width, _, height = atoms.cell.lengths()
    full = height - 2 * MARGIN_ANGSTROM
    for name, value in (("first_angstrom", first_angstrom), ("last_angstrom", last_angstrom)):
        if not 0 <= value <= full + _FACE:
            raise InputError(name, value, f"a thickness of 0 to {full:g} angstrom, the slab's own")
    left = first_angstrom + (last_angstrom - first_angstrom) * atoms.positions[:, 0] / width
    return _kept(atoms, atoms.positions[:, 2] - MARGIN_ANGSTROM < left - _FACE, along_x=True)


def hole_edge(
    angle_rad: Float[np.ndarray, "*shape"],
    semiaxes_angstrom: Sequence[Real],
    roughness_angstrom: Real = 0.0,
    seed: int = 0,
) -> Float[np.ndarray, "*shape"]:
    """Distance from the centre of a hole to its edge, in angstrom.

    An ellipse plus the third to tenth harmonics of the angle with random phases
    and amplitudes that fall as one over their order.

    Parameters
    ----------
    angle_rad : array
        Direction in the plane, from +x towards +y.
    semiaxes_angstrom : (float, float)
        Of the ellipse along x and y.
    roughness_angstrom : float
        Root mean square of the edge about the ellipse, below a quarter of the
        shorter semiaxis (the edge then never reaches the centre).
    seed : int
        The same seed gives the same edge.

    Raises
    ------
    InputError
        If a semiaxis is not positive or the roughness out of range.
    """
    if len(semiaxes_angstrom) != 2 or not all(math.isfinite(v) and v > 0 for v in semiaxes_angstrom):
        raise InputError("semiaxes_angstrom", semiaxes_angstrom, "two lengths above 0, along x and y")
    if not 0 <= roughness_angstrom < min(semiaxes_angstrom) / 4:
        expected = f"0 to below {min(semiaxes_angstrom) / 4:g}, a quarter of the shorter semiaxis"
        raise InputError("roughness_angstrom", roughness_angstrom, expected)
    a, b = semiaxes_angstrom
    ellipse = a * b / np.hypot(b * np.cos(angle_rad), a * np.sin(angle_rad))
    amplitude = np.random.default_rng(seed).normal(size=(2, len(_HARMONICS))) / _HARMONICS
    amplitude *= roughness_angstrom / np.sqrt(np.sum(amplitude**2) / 2)
    phase = angle_rad[..., None] * _HARMONICS
    return ellipse + np.cos(phase) @ amplitude[0] + np.sin(phase) @ amplitude[1]


def hole(
    atoms: Atoms,
    centre_angstrom: Sequence[Real],
    semiaxes_angstrom: Sequence[Real],
    *,
    rim_angstrom: Real = 0.0,
    roughness_angstrom: Real = 0.0,
    seed: int = 0,
) -> Atoms:
    """Make a hole with the edge of `hole_edge` through a slab.

    Parameters
    ----------
    atoms : ase.Atoms
        A flat slab.
    centre_angstrom : (float, float)
        Centre of the hole in the plane.
    semiaxes_angstrom, roughness_angstrom, seed
        As in `hole_edge`.
    rim_angstrom : float
        Outside of the edge the thickness rises linearly from both faces within
        this distance (measured from the centre outwards), as ion milling leaves it.

    Raises
    ------
    InputError
        If a number is out of range or no atom is left.
    """
    if len(centre_angstrom) != 2 or not np.isfinite(centre_angstrom).all():
        raise InputError("centre_angstrom", centre_angstrom, "two coordinates, along x and y")
    if not (math.isfinite(rim_angstrom) and rim_angstrom >= 0):
        raise InputError("rim_angstrom", rim_angstrom, "a length of 0 or more")
    x, y = (atoms.positions[:, :2] - centre_angstrom).T
    edge = hole_edge(np.arctan2(y, x), semiaxes_angstrom, roughness_angstrom, seed)
    outside = np.hypot(x, y) - edge
    z = atoms.positions[:, 2]
    left = (outside / rim_angstrom).clip(0, 1) if rim_angstrom else np.ones_like(outside)
    inner = np.abs(z - (z.min() + z.max()) / 2) <= left * np.ptp(z) / 2 + _FACE
    return _kept(atoms, (outside > 0) & inner)


def local_tilt_mrad(
    x_angstrom: Float[np.ndarray, "*shape"], width_angstrom: Real, max_tilt_mrad: Real
) -> Float[np.ndarray, "*shape"]:
    """Tilt of a bent lamella about y where it was at x before: linear, 0 in the middle, in mrad.

    Parameters
    ----------
    x_angstrom : array
        Coordinate before bending.
    width_angstrom : float
        Width of the flat lamella.
    max_tilt_mrad : float
        Tilt at ``x = width``; at ``x = 0`` it is the opposite.
    """
    return max_tilt_mrad * (2 * x_angstrom / width_angstrom - 1)


def bend(atoms: Atoms, max_tilt_mrad: Real) -> Atoms:
    """Bend a flat lamella about y into an arc of a circle.

    The mid-plane keeps its arc lengths and normals stay normals, so that with
    the local tilt ``phi`` and height ``h`` above the mid-plane ``R = width / (2 max_tilt)``,
    ``x = (R - h) sin(phi)`` and ``z = R - (R - h) cos(phi)`` from the middle of
    the cell. To first order ``u_x = -phi h``: columns lean, and lattice planes
    stay together to ``h / R``.

    Parameters
    ----------
    atoms : ase.Atoms
        A flat slab.
    max_tilt_mrad : float
        Tilt at the ends of the cell (`local_tilt_mrad`), between -500 and 500;
        positive where the ends bend towards the exit side.

    Returns
    -------
    ase.Atoms
        Not periodic along x. The middle of the cell's x stays the lamella's;
        the cell is widened by what leans out of it, and its height fits again.

    Raises
    ------
    InputError
        If the tilt is out of range, or the radius below half the thickness.
    """
    if not -500 <= max_tilt_mrad <= 500:
        raise InputError("max_tilt_mrad", max_tilt_mrad, "-500 to 500 mrad")
    bent = atoms.copy()
    if max_tilt_mrad == 0:
        return bent
    width, depth, height = atoms.cell.lengths()
    radius = width / (2e-3 * max_tilt_mrad)
    if abs(radius) <= height / 2:
        expected = f"at most {1e3 * width / height:.3g} mrad, a radius of half the cell's height"
        raise InputError("max_tilt_mrad", max_tilt_mrad, expected)
    phi = 1e-3 * local_tilt_mrad(atoms.positions[:, 0], width, max_tilt_mrad)
    inner = radius - (atoms.positions[:, 2] - height / 2)
    x, z = width / 2 + inner * np.sin(phi), radius - inner * np.cos(phi)
    overhang = max(0.0, -x.min(), x.max() - width)
    bent.positions[:, 0] = x + overhang
    bent.positions[:, 2] = z - z.min() + MARGIN_ANGSTROM
    bent.set_cell([width + 2 * overhang, depth, np.ptp(z) + 2 * MARGIN_ANGSTROM])
    bent.pbc = (False, atoms.pbc[1], False)
    return bent


def _kept(atoms: Atoms, keep: np.ndarray, along_x: bool = False) -> Atoms:
    """The atoms that a cut leaves; a cut that varies along x ends the period there."""
    if not keep.any():
        raise InputError("atoms", "none left after the cut", "a cut that leaves some")
    left = atoms[keep]
    left.pbc = (atoms.pbc[0] and not along_x, atoms.pbc[1], atoms.pbc[2])
    return left
