"""A straight dislocation that glides through a crystal.

Displacements are those of isotropic elasticity (Hirth and Lothe, Theory of Dislocations,
2nd ed. 1982, ch. 3). With x along the glide, y along the normal of the slip
plane, ``theta = arg(x + i y)`` and the line along z,

    screw   u_z = b theta / 2 pi
    edge    u_x =  b / 2 pi [theta + x y / (2 (1 - nu) r^2)]
            u_y = -b / 2 pi [(1 - 2 nu) ln(r^2) + (x^2 - y^2) / r^2] / (4 (1 - nu))

The angle jumps by ``b`` on the slip plane behind the core: there the crystal has slipped, and
no atom is added or lost. A periodic box holds no single dislocation. Here an opposite one
lies on the same slip plane at the box's edge ``x = 0``, where the core comes from; both are
repeated with the box's period ``L``. With ``zeta = x + i y`` the sum over all images is closed,

    w = log[sin(pi (zeta - x_core) / L) / sin(pi zeta / L)],

and takes the place of ``log zeta``: theta = Im w, ln r = Re w, x y / r^2 = y Re w' and
(x^2 - y^2) / 2 r^2 = y Im w' (but for a constant), w' = dw/dzeta. Its cut is the slipped part
of the plane. A core that is spread over the plane as Peierls and Nabarro found it, with the density
``(b / pi) h / (x^2 + h^2)`` of the Burgers vector, has ``zeta = x + i (y +- h)``, the sign that
of y (ibid., ch. 8).

Where the line is along the beam, the box is periodic along the normal too: opposite pairs
glide on planes half a box away (a quadrupole; Cai, Bulatov, Chang, Li and Yip, Phil. Mag. 83, 539
(2003)), so that the box as a whole is not sheared. Where it is at right angles to the beam, the slip
plane lies across the beam in the middle of the slab, and its free faces are not relaxed.

Before the core comes and after it has left the crystal is perfect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
from ase import Atoms
from jaxtyping import Complex, Float
from pydantic import Field

from rephase.errors import InputError
from rephase.specimen.trajectory import SlabSettings, Trajectory, boxed, checked_times, cubic_slab

Character = Literal["edge", "screw"]

_PLANE_ANGSTROM = 0.1  # atoms whose heights differ by less lie in one atomic plane


@dataclass(frozen=True)
class SlipSystem:
    """A slip system of a cubic crystal.

    Parameters
    ----------
    slip : three int
        Direction ``[u v w]`` of the Burgers vector.
    length : float
        Length of the Burgers vector over that of ``slip``.
    normal : three int
        Normal of the slip plane.
    """

    slip: tuple[int, int, int]
    length: float
    normal: tuple[int, int, int]


SLIP_SYSTEMS = {
    "fcc <110>{111}": SlipSystem((1, -1, 0), 0.5, (1, 1, 1)),
    "bcc <111>{110}": SlipSystem((1, 1, 1), 0.5, (1, -1, 0)),
    "bcc <111>{112}": SlipSystem((1, 1, 1), 0.5, (1, 1, -2)),
    "rocksalt <110>{110}": SlipSystem((1, 1, 0), 0.5, (1, -1, 0)),
    "perovskite <100>{010}": SlipSystem((1, 0, 0), 1.0, (0, 1, 0)),
    "perovskite <110>{110}": SlipSystem((1, 1, 0), 1.0, (1, -1, 0)),
}
"""Slip systems by name (Hirth and Lothe; perovskites: Gumbsch et al., PRL 87, 085505 (2001))."""


class GlidingSettings(SlabSettings):
    """Settings of a gliding dislocation.

    Parameters
    ----------
    slip_system : str
        A key of ``SLIP_SYSTEMS``.
    character : {'edge', 'screw'}
        Burgers vector across or along the line.
    line : {'along', 'across'}
        Line along the beam, or at right angles to it (along y).
    arrival_s : float
        Time at which the core enters the box at ``x = 0``.
    speed_angstrom_per_s : float
        Speed of the free core along +x.
    pins : tuple of (float, float)
        Obstacles: place in angstrom from the edge where the core came in, and time in
        seconds that it is held there.
    poisson_ratio : float
        Of the isotropic medium.
    core_halfwidth_angstrom : float
        Half-width of the core; 0 for a line, whose field takes no account of the distances of
        the atoms next to it.
    """

    slip_system: str
    character: Character
    line: Literal["along", "across"] = "along"
    arrival_s: float
    speed_angstrom_per_s: float = Field(gt=0)
    pins: tuple[tuple[float, float], ...] = ()
    poisson_ratio: float = Field(default=0.3, gt=-1, lt=0.5)
    core_halfwidth_angstrom: float = Field(default=1.5, ge=0)


def evolve(crystal: Atoms, settings: GlidingSettings, times: Float[np.ndarray, " time"]) -> Trajectory:
    """The atoms of a slab while a dislocation glides through it along +x.

    Parameters
    ----------
    crystal : ase.Atoms
        The conventional cell of a cubic crystal.
    settings : GlidingSettings
    times : array (time,)
        Increasing, in seconds.

    Returns
    -------
    Trajectory
        The slip plane is the one between two atomic planes that is closest to the middle
        of the box; with the line along the beam it is normal to y, else to z. Atoms next
        to the core are where elasticity puts them: closer than in a relaxed core.

    Raises
    ------
    InputError
        If the slip system is unknown or not one of the crystal's, an obstacle is
        outside of the box, or the times do not increase.
    """
    system = _system(settings.slip_system, crystal)
    slab = _slab(crystal, system, settings)
    width, depth = (float(v) for v in slab.cell.lengths()[:2])
    along = settings.line == "along"
    height = slab.positions[:, 1 if along else 2]
    glide, normal, line = displacement(
        slab.positions[:, 0],
        height - _slip_plane(height),
        core_position(checked_times(times), settings, width),
        width,
        burgers_angstrom=float(system.length * np.linalg.norm(system.slip) * crystal.cell.lengths()[0]),
        character=settings.character,
        poisson_ratio=settings.poisson_ratio,
        core_halfwidth_angstrom=settings.core_halfwidth_angstrom,
        planes_apart_angstrom=depth / 2 if along else None,
    )
    moved = np.stack([glide, normal, line] if along else [glide, -line, normal], axis=-1)
    return boxed(slab, slab.positions + moved, times)


def core_position(
    times: Float[np.ndarray, " time"], settings: GlidingSettings, width_angstrom: Real
) -> Float[np.ndarray, " time"]:
    """Way of the core from ``x = 0``, in angstrom: at its speed from obstacle to obstacle.

    Parameters
    ----------
    times : array (time,)
        In seconds.
    settings : GlidingSettings
    width_angstrom : float
        Where the core leaves the box, and stays.

    Raises
    ------
    InputError
        If an obstacle is outside of the box or holds the core for a negative time.
    """
    when, where = [settings.arrival_s], [0.0]
    for place, wait in (*sorted(settings.pins), (width_angstrom, 0.0)):
        if not (0 <= place <= width_angstrom and wait >= 0):
            expected = f"a place of 0 to {width_angstrom:g} angstrom and a time of 0 or more"
            raise InputError("pins", (place, wait), expected)
        reached = when[-1] + (place - where[-1]) / settings.speed_angstrom_per_s
        when += [reached, reached + wait]
        where += [place, place]
    return np.interp(times, when, where)


def displacement(
    glide_angstrom: Float[np.ndarray, " atom"],
    normal_angstrom: Float[np.ndarray, " atom"],
    core_angstrom: Float[np.ndarray, " time"],
    period_angstrom: Real,
    *,
    burgers_angstrom: Real,
    character: Character,
    poisson_ratio: Real,
    core_halfwidth_angstrom: Real = 0.0,
    planes_apart_angstrom: Real | None = None,
) -> tuple[Float[np.ndarray, "time atom"], ...]:
    """Displacements along the glide, the normal of the slip plane and the line, in angstrom.

    Parameters
    ----------
    glide_angstrom, normal_angstrom : array (atom,)
        Coordinates along the glide and along the normal, the slip plane at 0.
    core_angstrom : array (time,)
        Place of the core along the glide, 0 to a period; the opposite dislocation lies at 0.
    period_angstrom : float
        Distance along the glide after which both are repeated.
    burgers_angstrom : float
        Length of the Burgers vector.
    character : {'edge', 'screw'}
    poisson_ratio : float
    core_halfwidth_angstrom : float
        0 for a core that is a line.
    planes_apart_angstrom : float or None
        Distance of the planes on which pairs of alternating sign glide; None for one plane only.
    """
    scale = math.pi / period_angstrom
    phases = np.clip(scale * core_angstrom, 0, math.pi)
    shape = (len(core_angstrom), len(glide_angstrom))
    angle, logarithm = np.zeros(shape), np.zeros(shape)
    real, imaginary = np.zeros(shape), np.zeros(shape)
    for sign, plane in _planes(period_angstrom, planes_apart_angstrom):
        y = normal_angstrom - plane
        spread = y + np.copysign(core_halfwidth_angstrom, y)
        cotangent = 1 / np.tan(scale * (glide_angstrom + 1j * spread))
        for now, phase in enumerate(phases):
            ratio, slope = _pair(cotangent, phase)
            angle[now] += sign * np.angle(ratio)
            if character == "edge":
                logarithm[now] += sign * np.log(np.abs(ratio))
                real[now] += sign * scale * y * slope.real
                imaginary[now] += sign * scale * y * slope.imag
    unit, stiff = burgers_angstrom / (2 * math.pi), 2 * (1 - poisson_ratio)
    if character == "screw":
        return np.zeros(shape), np.zeros(shape), unit * angle
    normal = -unit * ((1 - 2 * poisson_ratio) * logarithm + imaginary) / stiff
    return unit * (angle + real / stiff), normal, np.zeros(shape)


def _pair(
    cotangent: Complex[np.ndarray, " atom"], phase: float
) -> tuple[Complex[np.ndarray, " atom"], Complex[np.ndarray, " atom"]]:
    """``exp(w)``, and ``w'`` over ``pi / L``, from ``cot(pi zeta / L)`` and ``pi x_core / L``."""
    cosine, sine = math.cos(phase), math.sin(phase)
    ratio = cosine - cotangent * sine
    return ratio, (cotangent * cosine + sine) / ratio - cotangent


def _planes(period: Real, apart: Real | None) -> list[tuple[int, float]]:
    """Sign and height of the planes whose pairs matter; fields fall as ``exp(-2 pi y / L)``."""
    if apart is None:
        return [(1, 0.0)]
    most = 2 * math.ceil(2 * period / apart)  # even: as much slip one way as the other
    return [(1 - 2 * (plane % 2), float(plane * apart)) for plane in range(-most, most + 1)]


def _system(name: str, crystal: Atoms) -> SlipSystem:
    """The slip system, if its Burgers vector is a period of the crystal."""
    if name not in SLIP_SYSTEMS:
        raise InputError("slip_system", repr(name), f"one of {', '.join(SLIP_SYSTEMS)}")
    system = SLIP_SYSTEMS[name]
    places = crystal.get_scaled_positions()
    away = places[None] + system.length * np.array(system.slip) - places[:, None]
    same = np.abs(away - np.round(away)).max(axis=-1) < 1e-3
    if not (same & (crystal.numbers[:, None] == crystal.numbers)).any(axis=0).all():
        expected = f"one whose Burgers vector is a period of {crystal.symbols}"
        raise InputError("slip_system", repr(name), expected)
    return system


def _slab(crystal: Atoms, system: SlipSystem, settings: GlidingSettings) -> Atoms:
    """The perfect slab, the glide along x; with the line along the beam, half of it repeats along y."""
    slip, normal = np.array(system.slip), np.array(system.normal)
    third = np.cross(slip, normal) // np.gcd.reduce(np.cross(slip, normal))
    glide, line = (slip, third) if settings.character == "edge" else (-third, slip)
    width, depth = settings.box_angstrom
    if settings.line == "across":
        triad = np.stack([glide, -line, normal])
        return cubic_slab(crystal, triad, (width, depth), settings.thickness_angstrom)
    triad = np.stack([glide, normal, line])
    half = cubic_slab(crystal, triad, (width, depth / 2), settings.thickness_angstrom)
    return half.repeat((1, 2, 1))


def _slip_plane(height: Float[np.ndarray, " atom"]) -> float:
    """Middle of the gap between atomic planes that is closest to the middle of the atoms."""
    ordered = np.sort(height)
    below = np.flatnonzero(np.diff(ordered) > _PLANE_ANGSTROM)
    if not len(below):
        raise InputError("thickness_angstrom", "one atomic plane", "two or more, for a slip plane between")
    gaps = (ordered[below] + ordered[below + 1]) / 2
    return float(gaps[np.abs(gaps - (ordered[0] + ordered[-1]) / 2).argmin()])
