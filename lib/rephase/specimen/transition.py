"""A perovskite that turns from cubic to tetragonal.

The order parameter of a place follows the time as

    eta(t) = 1 / (1 + exp(-(t - onset) / width))

from 0 in the cubic to 1 in the fully ordered crystal: the profile ``(1 + tanh)/2`` of a
moving front between the two phases of a Landau theory. In such a theory of a proper
ferroelectric the ions' displacements are the order parameter, and the strain couples to its
square (Lines and Glass, Principles and Applications of Ferroelectrics, 1977; Salje,
Phase Transitions in Ferroelastic and Co-elastic Crystals, 1990):

    displacement of an ion = eta s,      spontaneous strain = eta^2 e

with ``s`` and ``e`` those of the ordered crystal. Its parent is the cubic crystal of the
same volume.

The box stays as it is: the crystal is strained about the middle of the box, as a free
crystal would be, and within a buffer along the edges the displacement goes back linearly,
so that it is periodic. In the buffers the strain has the other sign: scan outside of them.

Where a front sweeps across the field, the onset grows along its way. A coherent front lets
only the strain along its normal differ on its two sides (Hadamard's condition), so that the
gradient of the displacement along the front's way follows the local eta^2, the one across
it the mean of eta^2 over the box.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Literal

import numpy as np
from ase import Atoms
from jaxtyping import Float
from pydantic import Field
from scipy.special import expit

from rephase.errors import InputError
from rephase.specimen.trajectory import SlabSettings, Trajectory, boxed, checked_times, cubic_slab

TRIADS = {
    (0, 0, 1): ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    (1, 1, 0): ((0, 0, 1), (1, -1, 0), (1, 1, 0)),
    (1, 1, 1): ((1, -1, 0), (1, 1, -2), (1, 1, 1)),
}
"""Directions of the cubic parent along x, y and z for each zone axis."""

SITES = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
"""Fractional coordinates of the ideal perovskite: A, B and the three anions."""

_AT_ONCE = 1e-6  # a front that takes less than this many widths is everywhere at once


class TransitionSettings(SlabSettings):
    """Settings of a transition from cubic to tetragonal.

    Parameters
    ----------
    zone_axis : three int
        Axis of the cubic parent along the beam, one of ``TRIADS``.
    domain : {'x', 'y', 'z'}
        Cubic axis that becomes the tetragonal c and the direction of the ions'
        displacements; in the zone [001] the axes of the crystal are those of the box.
    onset_s : float
        Time at which eta is 1/2 in the middle of the box.
    width_s : float
        Width of eta in time; from 10 to 90 % it takes 4.4 widths.
    front_axis : {'x', 'y'}
        Way of the front.
    sweep_s : float
        Time the front takes from one edge of the box to the other; negative for a front
        that comes from the far edge, 0 for a transition that is everywhere at once.
    buffer : float
        Width of the buffer along each edge, as a fraction of the box.
    """

    zone_axis: tuple[int, int, int] = (0, 0, 1)
    domain: Literal["x", "y", "z"] = "z"
    onset_s: float
    width_s: float = Field(gt=0)
    front_axis: Literal["x", "y"] = "x"
    sweep_s: float = 0.0
    buffer: float = Field(default=0.15, ge=0.05, le=0.4)


def evolve(crystal: Atoms, settings: TransitionSettings, times: Float[np.ndarray, " time"]) -> Trajectory:
    """The atoms of a slab during the transition.

    Parameters
    ----------
    crystal : ase.Atoms
        The ordered perovskite: five atoms in a tetragonal cell, its c along z
        (``prototypes.prototype('PbTiO3').atoms``, or what `polarised` returns).
    settings : TransitionSettings
    times : array (time,)
        Increasing, in seconds.

    Raises
    ------
    InputError
        If the crystal is not such a perovskite, the zone axis is not in ``TRIADS``,
        or the times do not increase.
    """
    if settings.zone_axis not in TRIADS:
        raise InputError("zone_axis", settings.zone_axis, f"one of {', '.join(map(str, TRIADS))}")
    triad = np.array(TRIADS[settings.zone_axis])
    parent, strain_a, strain_c = _parent(crystal, "xyz".index(settings.domain))
    slab = cubic_slab(parent, triad, settings.box_angstrom, settings.thickness_angstrom)
    directions = triad / np.linalg.norm(triad, axis=1, keepdims=True)
    polar = directions[:, "xyz".index(settings.domain)]
    strain = strain_a * np.eye(3) + (strain_c - strain_a) * np.outer(polar, polar)
    eta, strained = _fields(slab, settings, checked_times(times))
    ions = eta[..., None] * np.outer(slab.arrays["shift"], polar)
    return boxed(slab, slab.positions + strained @ strain + ions, times)


def polarised(cubic: Atoms, tetragonality: Real, cation_angstrom: Real, anion_angstrom: Real) -> Atoms:
    """A tetragonal crystal of the same volume from a cubic perovskite.

    Parameters
    ----------
    cubic : ase.Atoms
        Five atoms, A at the origin, e.g. ``prototypes.prototype('SrTiO3').atoms``.
    tetragonality : float
        c / a.
    cation_angstrom, anion_angstrom : float
        Displacements of B and of the anions along c, relative to A.

    Raises
    ------
    InputError
        If the crystal is not a perovskite or the tetragonality not above 0.
    """
    if not tetragonality > 0:
        raise InputError("tetragonality", tetragonality, "a ratio c / a above 0")
    order = _sites(cubic)
    a, b, c = cubic.cell.lengths() * tetragonality ** np.array([-1 / 3, -1 / 3, 2 / 3])
    shift = np.array([0.0, cation_angstrom, anion_angstrom, anion_angstrom, anion_angstrom])
    positions = SITES * [a, b, c] + np.outer(shift, [0, 0, 1])
    return Atoms(cubic.numbers[order], positions, cell=[a, b, c], pbc=True)


def order_parameter(
    times: Float[np.ndarray, "*shape"], onset_s: Real, width_s: Real
) -> Float[np.ndarray, "*shape"]:
    """Order parameter ``1 / (1 + exp(-(t - onset) / width))``.

    Parameters
    ----------
    times : array
        In seconds.
    onset_s : float
        Where it is 1/2.
    width_s : float
        Above 0.
    """
    return expit((times - onset_s) / width_s)


def _sites(crystal: Atoms) -> np.ndarray:
    """Which atom stands on each of ``SITES``."""
    expected = "a perovskite of five atoms: A at the origin, B in the middle, anions on the faces"
    if len(crystal) != 5 or not np.allclose(crystal.cell.angles(), 90):
        raise InputError("crystal", f"{crystal.symbols} in {crystal.cell.cellpar()}", expected)
    away = crystal.get_scaled_positions()[None] - SITES[:, None]
    distance = np.linalg.norm(away - np.round(away), axis=-1)
    order = distance.argmin(axis=1)
    species = crystal.numbers[order]
    if distance.min(axis=1).max() > 0.25 or len(set(order)) < 5 or len(set(species[2:])) > 1:
        raise InputError("crystal", f"{crystal.symbols} at other sites", expected)
    return order


def _parent(crystal: Atoms, domain: int) -> tuple[Atoms, float, float]:
    """The cubic parent with the ions' shifts along the cubic axis ``domain``, and the strains of a and c."""
    order = _sites(crystal)
    a, b, c = crystal.cell.lengths()
    if not np.isclose(a, b, rtol=1e-4):
        raise InputError("crystal", f"a = {a:g}, b = {b:g}", "a tetragonal cell, a = b")
    shift = crystal.get_scaled_positions()[order] - SITES
    shift -= np.round(shift)
    shift -= shift[0]
    if np.abs(shift[:, :2]).max() > 1e-3:
        raise InputError("crystal", "ions displaced across c", "displacements along c only")
    cubic = float(a * b * c) ** (1 / 3)
    positions = np.roll(SITES, domain + 1, axis=1) * cubic
    parent = Atoms(crystal.numbers[order], positions, cell=[cubic] * 3, pbc=True)
    parent.set_array("shift", shift[:, 2] * c)
    return parent, a / cubic - 1, c / cubic - 1


def _fields(
    slab: Atoms, settings: TransitionSettings, times: Float[np.ndarray, " time"]
) -> tuple[Float[np.ndarray, "time atom"], Float[np.ndarray, "time atom 3"]]:
    """Eta at every atom, and the displacement that a unit strain in all components would cause."""
    size = slab.cell.lengths()[:2]
    place = slab.positions[:, :2] / size - 0.5
    way = "xy".index(settings.front_axis)
    sweep = settings.sweep_s if abs(settings.sweep_s) > _AT_ONCE * settings.width_s else 0.0
    late = times[:, None] - settings.onset_s
    eta = order_parameter(late - sweep * place[:, way], 0.0, settings.width_s)

    def local(q):
        return _integral(q, late, sweep, settings.width_s)

    mean = local(np.array([0.5])) - local(np.array([-0.5]))
    strained = np.empty((*eta.shape, 3))
    for axis in (0, 1):
        along = local if axis == way else lambda q: mean * q
        strained[..., axis] = size[axis] * _buffered(along, place[:, axis], settings.buffer)
    z = slab.positions[:, 2]
    strained[..., 2] = mean * (z - (z.min() + z.max()) / 2)
    return eta, strained


def _integral(
    place: Float[np.ndarray, " place"], late: Float[np.ndarray, "time 1"], sweep: float, width: float
) -> Float[np.ndarray, "time place"]:
    """Integral of eta^2 from the middle of the box: that of ``expit^2`` is ``softplus - expit``."""
    if not sweep:
        return order_parameter(late, 0.0, width) ** 2 * place

    def primitive(s):
        return np.logaddexp(0, s) - expit(s)

    return width / sweep * (primitive(late / width) - primitive((late - sweep * place) / width))


def _buffered(
    along: Callable[[np.ndarray], np.ndarray], place: Float[np.ndarray, " atom"], buffer: float
) -> Float[np.ndarray, "time atom"]:
    """What ``along`` gives between the buffers, brought to one value at both edges within them."""
    free = 0.5 - buffer
    inner = along(place.clip(-free, free))
    edge = along(np.array([-free, free])).mean(axis=1, keepdims=True)
    return inner + ((np.abs(place) - free) / buffer).clip(0, 1) * (edge - inner)
