"""A crystal that the beam turns amorphous.

Every atom walks away from its site. The walk has correlated steps: over a dose ``l`` the atom
keeps its direction (a persistent random walk, the integral of an Ornstein-Uhlenbeck velocity), so that the
mean square displacement of the free walk along each axis after the dose ``D`` is

    <x^2> = 2 d [D - l (1 - exp(-D / l))]

(Uhlenbeck and Ornstein, Phys. Rev. 36, 823 (1930)); it is drawn exactly at any doses by the recursion of
Gillespie, Phys. Rev. E 54, 2084 (1996). The walk ``w`` saturates at the length ``s``,

    u = w / sqrt(1 + |w|^2 / s^2),

so that the atoms first leave their sites as if free and later only turn about them, ever more
slowly. Then atoms that have come too close push each other apart: no pair of species is ever
closer than a fraction of its shortest distance in the crystal, and short-range order stays.

Meanwhile fast electrons knock atoms out. The cross-section is McKinley and Feshbach's (Phys. Rev.
74, 1759 (1948)) above the threshold ``E_d``, integrated (Seitz and Koehler, Solid State Phys. 2, 305 (1956)):
with ``t = T_max / E_d``,

    sigma = pi Z^2 r_e^2 (1 - beta^2) / beta^4
            [t - 1 - beta^2 ln t + pi alpha Z beta (2 sqrt(t) - 2 - ln t)]

The energy ``T_max = 2 E (E + 2 m c^2) / (M c^2)`` that an atom can take falls with its mass ``M``: light
atoms go and heavy ones stay. An atom survives a dose ``D`` with probability ``exp(-sigma D)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real

import numpy as np
from ase import Atoms
from ase.data import atomic_masses
from ase.neighborlist import neighbor_list
from jaxtyping import Float, Int
from pydantic import Field
from scipy import constants
from scipy.spatial import KDTree

from rephase.errors import InputError
from rephase.specimen.orient import periodic_slab
from rephase.specimen.trajectory import SlabSettings, Trajectory, boxed, checked_times

ELECTRON_REST_EV = constants.value("electron mass energy equivalent in MeV") * 1e6
ATOMIC_MASS_REST_EV = constants.value("atomic mass constant energy equivalent in MeV") * 1e6
ELECTRON_RADIUS_ANGSTROM = constants.value("classical electron radius") * 1e10

_SHELL_ANGSTROM = 4.0  # species that are no closer in the crystal count as this far apart
_SKIN_ANGSTROM = 0.6  # pairs are listed this much beyond the distances that are kept
_ROUNDS, _SWEEPS = 200, 50  # lists of pairs, and pushes with each of them, before giving up
_SLACK = 1.01  # of a push: pairs end a little further apart than they must


class AmorphizationSettings(SlabSettings):
    """Settings of a crystal that the beam turns amorphous.

    Parameters
    ----------
    zone_axis : three int
        Direction ``[u v w]`` of the crystal along the beam.
    energy_ev : float
        Of the electrons.
    dose_rate : float
        Electrons per square angstrom and second.
    start_s : float
        Time at which the beam comes on.
    critical_dose : float
        Electrons per square angstrom after which the free walk's root mean square
        displacement is the saturation.
    persistence : float
        Dose over which an atom keeps its direction, as a fraction of the critical dose.
    saturation_angstrom : float
        Displacement that an atom's own walk does not exceed.
    least_bond_fraction : float
        Least distance of two atoms, as a fraction of the shortest distance of their
        species in the crystal; at most 0.85.
    displacement_energy_ev : float
        Threshold of knock-on displacement.
    seed : int
        The same seed and times give the same trajectory.
    """

    zone_axis: tuple[int, int, int] = (0, 0, 1)
    energy_ev: float = Field(gt=0)
    dose_rate: float = Field(gt=0)
    start_s: float
    critical_dose: float = Field(gt=0)
    persistence: float = Field(default=0.2, gt=0)
    saturation_angstrom: float = Field(default=1.0, gt=0, le=3)
    least_bond_fraction: float = Field(default=0.8, ge=0, le=0.85)
    displacement_energy_ev: float = Field(default=20.0, gt=0)
    seed: int = Field(ge=0)


def evolve(crystal: Atoms, settings: AmorphizationSettings, times: Float[np.ndarray, " time"]) -> Trajectory:
    """The atoms of a slab while the beam turns it amorphous.

    The first frames of a longer trajectory are those of a shorter one, but for their
    common height above the lower face of the box.

    Parameters
    ----------
    crystal : ase.Atoms
        A periodic crystal.
    settings : AmorphizationSettings
    times : array (time,)
        Increasing, in seconds.

    Raises
    ------
    InputError
        If the crystal has no orthogonal cell in this zone, the box is too small for
        pairs to be told from their images, the times do not increase, or there is no
        room for the distances that must be kept.
    """
    slab = periodic_slab(crystal, settings.zone_axis, settings.box_angstrom, settings.thickness_angstrom)
    dose = settings.dose_rate * (checked_times(times) - settings.start_s).clip(0)
    rng = np.random.default_rng(settings.seed)
    last = rng.exponential(size=len(slab)) / np.maximum(_cross_sections(slab, settings), 1e-300)
    present = dose[:, None] < last
    least = settings.least_bond_fraction * _shortest(crystal)
    period = slab.cell.lengths()[:2]
    length = settings.persistence * settings.critical_dose
    free = _mean_square(settings.critical_dose, length)
    scale = settings.saturation_angstrom / math.sqrt(3 * free)
    positions = np.empty((len(times), len(slab), 3))
    pushed = np.zeros((len(slab), 3))
    for now, walk in enumerate(persistent_walk(rng, dose, length, len(slab))):
        here = present[now]
        positions[now] = slab.positions + _saturated(scale * walk, settings.saturation_angstrom) + pushed
        apart = keep_apart(positions[now, here], slab.numbers[here], least, period)
        pushed[here] += apart - positions[now, here]
        positions[now, here] = apart
    return boxed(slab, positions, times, present)


def knock_on_cross_section(atomic_number: int, energy_ev: Real, displacement_energy_ev: Real) -> float:
    """Cross-section of knock-on displacement in square angstrom (formula at the top of the module).

    Parameters
    ----------
    atomic_number : int
    energy_ev : float
        Of the electrons.
    displacement_energy_ev : float
        Least energy that displaces the atom.

    Returns
    -------
    float
        0 where the electrons are too slow.
    """
    rest = ELECTRON_REST_EV
    largest = 2 * energy_ev * (energy_ev + 2 * rest) / (atomic_masses[atomic_number] * ATOMIC_MASS_REST_EV)
    over = largest / displacement_energy_ev
    if over <= 1:
        return 0.0
    beta2 = 1 - (rest / (rest + energy_ev)) ** 2
    coupling = math.pi * constants.fine_structure * atomic_number * math.sqrt(beta2)
    rutherford = math.pi * (atomic_number * ELECTRON_RADIUS_ANGSTROM) ** 2 * (1 - beta2) / beta2**2
    bracket = over - 1 - beta2 * math.log(over) + coupling * (2 * math.sqrt(over) - 2 - math.log(over))
    return rutherford * bracket


def persistent_walk(
    rng: np.random.Generator, dose: Float[np.ndarray, " time"], persistence: Real, count: int
) -> Iterator[Float[np.ndarray, "count 3"]]:
    """Walks whose velocity, of unit variance along each axis, is correlated over a dose.

    Parameters
    ----------
    rng : numpy.random.Generator
    dose : array (time,)
        Not decreasing; the walks start at dose 0.
    persistence : float
        Dose over which the correlation of the velocity falls to 1/e.
    count : int
        Number of walks.

    Yields
    ------
    array (count, 3)
        Displacements at each dose.
    """
    place, velocity = np.zeros((count, 3)), rng.standard_normal((count, 3))
    for step in np.diff(dose, prepend=0.0) / persistence:
        if step:
            kept = math.exp(-step)
            shaken = math.sqrt(1 - kept**2)
            common = (1 - kept) ** 2 / shaken
            own = math.sqrt(max(2 * step - 3 + 4 * kept - kept**2 - common**2, 0.0))
            first, second = rng.standard_normal((2, count, 3))
            place = place + persistence * ((1 - kept) * velocity + common * first + own * second)
            velocity = kept * velocity + shaken * first
        yield place


def keep_apart(
    positions: Float[np.ndarray, "atom 3"],
    numbers: Int[np.ndarray, " atom"],
    least_angstrom: Float[np.ndarray, "species species"],
    period_angstrom: Float[np.ndarray, " 2"],
) -> Float[np.ndarray, "atom 3"]:
    """Push pairs of atoms that are too close apart, each as far as the other, until none is left.

    Parameters
    ----------
    positions : array (atom, 3)
        In angstrom, periodic in x and y.
    numbers : array (atom,)
        Atomic numbers.
    least_angstrom : array (species, species)
        Least distance of two atomic numbers.
    period_angstrom : array (2,)
        Along x and y.

    Raises
    ------
    InputError
        If a period is too short, or the atoms find no room.
    """
    if len(numbers) < 2:
        return positions
    species = np.unique(numbers)
    reach = float(least_angstrom[species][:, species].max()) + _SKIN_ANGSTROM
    if not period_angstrom.min() > 2 * reach:
        raise InputError("box_angstrom", period_angstrom.tolist(), f"periods above {2 * reach:.1f} angstrom")
    for _ in range(_ROUNDS):
        pairs = _pairs(positions, reach, period_angstrom)
        least = least_angstrom[numbers[pairs[:, 0]], numbers[pairs[:, 1]]]
        moved = _pushed(positions, pairs, least, period_angstrom)
        if moved is positions:
            return positions
        positions = moved
    raise InputError("least_bond_fraction", "atoms without room", "a smaller fraction or saturation")


def _pushed(
    positions: Float[np.ndarray, "atom 3"],
    pairs: Int[np.ndarray, "pair 2"],
    least: Float[np.ndarray, " pair"],
    period: Float[np.ndarray, " 2"],
) -> Float[np.ndarray, "atom 3"]:
    """The same positions where all listed pairs are apart; else new ones, as long as the list holds."""
    moved = positions
    for _ in range(_SWEEPS):
        vector = moved[pairs[:, 1]] - moved[pairs[:, 0]]
        vector[:, :2] -= period * np.round(vector[:, :2] / period)
        distance = np.linalg.norm(vector, axis=1)
        close = distance < least
        if not close.any() or np.abs(moved - positions).max() > _SKIN_ANGSTROM / 4:
            break
        factor = (_SLACK * least[close] / distance[close].clip(1e-6) - 1) / 2
        push = vector[close] * factor[:, None]
        moved = moved.copy()
        np.add.at(moved, pairs[close, 1], push)
        np.subtract.at(moved, pairs[close, 0], push)
    return moved


def _pairs(
    positions: Float[np.ndarray, "atom 3"], reach: float, period: Float[np.ndarray, " 2"]
) -> Int[np.ndarray, "pair 2"]:
    """Pairs of atoms within reach."""
    wrapped = positions.copy()
    wrapped[:, :2] %= period
    wrapped[:, :2][wrapped[:, :2] >= period] = 0  # a remainder may be rounded up to the period
    return KDTree(wrapped, boxsize=[*period, 0]).query_pairs(reach, output_type="ndarray")


def _shortest(crystal: Atoms) -> Float[np.ndarray, "species species"]:
    """Shortest distance in the crystal of each pair of atomic numbers, at most ``_SHELL_ANGSTROM``."""
    first, second, distance = neighbor_list("ijd", crystal, _SHELL_ANGSTROM)
    shortest = np.full((crystal.numbers.max() + 1,) * 2, _SHELL_ANGSTROM)
    np.minimum.at(shortest, (crystal.numbers[first], crystal.numbers[second]), distance)
    return shortest


def _cross_sections(slab: Atoms, settings: AmorphizationSettings) -> Float[np.ndarray, " atom"]:
    species, which = np.unique(slab.numbers, return_inverse=True)
    energies = settings.energy_ev, settings.displacement_energy_ev
    return np.array([knock_on_cross_section(int(z), *energies) for z in species])[which]


def _mean_square(dose: float, persistence: float) -> float:
    """Mean square along an axis of a walk with a velocity of unit variance."""
    return 2 * persistence * (dose - persistence * -math.expm1(-dose / persistence))


def _saturated(walk: Float[np.ndarray, "atom 3"], length: float) -> Float[np.ndarray, "atom 3"]:
    return walk / np.sqrt(1 + np.sum(walk**2, axis=1, keepdims=True) / length**2)
