"""The edge of a cylindrical rod: a thickness that rises from nothing, as across a nanorod."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
from ase import Atoms
from jaxtyping import Float

from rephase.errors import InputError
from rephase.specimen.orient import cut_box, zone_rotation

_FACE = 1e-3  # atoms this close to the cylinder, in angstrom, count as lying on it


def rod_radius_angstrom(thickness_angstrom: Real, width_angstrom: Real) -> float:
    """Radius of the cylinder that is so thick at this distance from its edge, in angstrom.

    ``R = (t^2 / 4 + s^2) / (2 s)``, which is `rod_thickness` solved for the radius.

    Parameters
    ----------
    thickness_angstrom : float
        Thickness ``t`` along the beam.
    width_angstrom : float
        Distance ``s`` from the edge, at most half the thickness.

    Raises
    ------
    InputError
        If a length is not positive, or the width is more than half the thickness.
    """
    if not (math.isfinite(thickness_angstrom) and thickness_angstrom > 0):
        raise InputError("thickness_angstrom", thickness_angstrom, "a length above 0 angstrom")
    if not 0 < width_angstrom <= thickness_angstrom / 2:
        expected = f"above 0, up to half the thickness of {thickness_angstrom:g} angstrom"
        raise InputError("width_angstrom", width_angstrom, expected)
    return (thickness_angstrom**2 / 4 + width_angstrom**2) / (2 * width_angstrom)


def rod_thickness(
    distance_angstrom: Float[np.ndarray, "*shape"], radius_angstrom: Real
) -> Float[np.ndarray, "*shape"]:
    """Thickness of a cylinder along the beam, at a distance from its edge, in angstrom.

    ``t(s) = 2 sqrt(R^2 - (R - s)^2)``, and 0 outside of the rod.

    Parameters
    ----------
    distance_angstrom : array
        Distance ``s`` from the edge towards the axis.
    radius_angstrom : float
        Radius ``R`` of the cylinder.
    """
    chord = radius_angstrom**2 - (radius_angstrom - distance_angstrom) ** 2
    return 2 * np.sqrt(chord.clip(min=0))


def rod_edge(
    crystal: Atoms,
    zone_axis: Sequence[int],
    rod_axis: Sequence[int],
    *,
    thickness_angstrom: Real,
    width_angstrom: Real,
    length_angstrom: Real,
    vacuum_angstrom: Real = 10.0,
    beyond_angstrom: Real = 0.0,
) -> Atoms:
    """Edge of a cylindrical rod that lies along y, with vacuum on its side at small x.

    The edge is at ``x = vacuum_angstrom``; the thickness there is 0 and reaches
    ``thickness_angstrom`` at ``width_angstrom`` further in (`rod_thickness` with
    the radius of `rod_radius_angstrom`). The cell cuts the rod at large x: keep
    the scan a probe's width away from there with ``beyond_angstrom``.

    Parameters
    ----------
    crystal : ase.Atoms
        A periodic crystal.
    zone_axis : three int
        Direction ``[u v w]`` that becomes +z.
    rod_axis : three int
        Direction ``[u v w]`` that becomes +y, at right angles to the zone axis.
    thickness_angstrom, width_angstrom : float
        Greatest thickness of the field and the distance from the edge where it is reached.
    length_angstrom : float
        The length along the rod is the smallest multiple of its period that is not shorter.
    vacuum_angstrom : float
        Vacuum before the edge.
    beyond_angstrom : float
        How far the rod goes on behind ``width_angstrom``.

    Returns
    -------
    ase.Atoms
        Periodic along y; the cell has `MARGIN_ANGSTROM` of vacuum below and above.

    Raises
    ------
    InputError
        If a length is out of range or the two axes are not at right angles.
    """
    radius = rod_radius_angstrom(thickness_angstrom, width_angstrom)
    across = width_angstrom + beyond_angstrom
    if not (math.isfinite(vacuum_angstrom) and vacuum_angstrom >= 0):
        raise InputError("vacuum_angstrom", vacuum_angstrom, "a length of 0 or more")
    if not 0 <= beyond_angstrom <= 2 * radius - width_angstrom:
        expected = f"0 to {2 * radius - width_angstrom:.4g} angstrom, where the rod ends"
        raise InputError("beyond_angstrom", beyond_angstrom, expected)
    if not (math.isfinite(length_angstrom) and length_angstrom > 0):
        raise InputError("length_angstrom", length_angstrom, "a length above 0 angstrom")
    period, rotation_deg = _along_y(crystal, zone_axis, rod_axis)
    length = period * math.ceil(length_angstrom / period - 1e-6)
    [thickest] = rod_thickness(np.array([min(across, radius)]), radius).tolist()
    rod = cut_box(crystal, zone_axis, rotation_deg, (across, length), thickest)
    distance, middle = rod.positions[:, 0], rod.cell.lengths()[2] / 2
    rod = rod[np.abs(rod.positions[:, 2] - middle) <= rod_thickness(distance, radius) / 2 + _FACE]
    rod.positions[:, 0] += vacuum_angstrom
    rod.set_cell(rod.cell.lengths() + [vacuum_angstrom, 0, 0])
    rod.pbc = (False, True, False)
    return rod


def _along_y(crystal: Atoms, zone_axis: Sequence[int], rod_axis: Sequence[int]) -> tuple[float, float]:
    """Period along the rod in angstrom, and the rotation about the beam that turns the rod onto y."""
    cell = crystal.cell.array
    index = np.asarray(rod_axis)
    zone_rotation(cell, rod_axis)  # refuses what is not a direction
    x, y, z = zone_rotation(cell, zone_axis) @ (index // np.gcd.reduce(index) @ cell)
    period = math.hypot(x, y, z)
    if abs(z) > 1e-6 * period:
        raise InputError("rod_axis", tuple(rod_axis), f"a direction at right angles to {tuple(zone_axis)}")
    return period, 90 - math.degrees(math.atan2(y, x))
