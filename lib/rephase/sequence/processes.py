"""What a simulated sequence shows: one process in one material, its settings drawn from a seed.

Three processes: a perovskite turns from cubic to tetragonal (`specimen.transition`), a
dislocation glides through a perfect crystal (`specimen.gliding`), the beam turns a crystal
amorphous (`specimen.amorphization`). Each has a time in which the patterns change,

    transition      the order parameter of a place goes from 10 to 90 %
    dislocation     the core passes the width of the probe, 0.51 / k (k: radius of the aperture)
    damage          the beam brings the critical dose, after which atoms have left their sites

and this time is drawn log-uniformly from a third to three times the mean gap between observed
frames, ``Recording.gap_s``. When it begins, how the core is held up, how a front sweeps and all else
is drawn from ranges that hold for every sequence alike.

``MATERIALS`` fixes which materials belong to which part. A sequence of a material that is trained on
may also be kept for a test of its own, the part ``test_seen``; no two parts ever share a sequence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from ase import Atoms
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rephase.errors import InputError
from rephase.files import invalid
from rephase.microscope.optics import wavelength
from rephase.specimen.amorphization import AmorphizationSettings
from rephase.specimen.gliding import GlidingSettings
from rephase.specimen.prototypes import prototype
from rephase.specimen.transition import TRIADS, TransitionSettings, polarised

Process = Literal["transition", "dislocation", "damage"]
Part = Literal["train", "validation", "test", "test_seen"]
Motion = TransitionSettings | GlidingSettings | AmorphizationSettings

MATERIALS: dict[Process, dict[Part, tuple[str, ...]]] = {
    "transition": {
        "train": ("PbTiO3", "BaTiO3", "KTaO3"),
        "validation": ("KNbO3", "NaTaO3"),
        "test": ("SrTiO3", "CaTiO3"),
    },
    "dislocation": {
        "train": ("Cu", "Al", "Fe", "Nb", "NaCl"),
        "validation": ("Ag", "LiF"),
        "test": ("MgO", "SrTiO3"),
    },
    "damage": {
        "train": ("quartz", "Si", "Mg2SiO4", "ZrSiO4"),
        "validation": ("InP", "Ge"),
        "test": ("GaAs", "AlPO-17"),
    },
}
"""Materials of each process and part; crystals of the library stay in the part that they have there."""

_POLARISED = {
    "KNbO3": (3.997, 4.063, -0.07, 0.10),
    "KTaO3": (3.99, 4.06, 0.07, -0.08),
    "NaTaO3": (3.93, 4.00, 0.07, -0.08),
    "SrTiO3": (3.905, 3.98, 0.07, -0.08),
    "CaTiO3": (3.85, 3.92, 0.07, -0.08),
}
"""Lattice constants a and c, displacements of B and of the anions, in angstrom.

KNbO3 at 540 K after Hewat, J. Phys. C 6, 2559 (1973). The others are not tetragonal and polar when
free: here as films under compression might be (Haeni et al., Nature 430, 758 (2004)), strained by 2 % and
with displacements as in BaTiO3.
"""

_SLIP = {
    "fcc": ("fcc <110>{111}",),
    "bcc": ("bcc <111>{110}", "bcc <111>{112}"),
    "rocksalt": ("rocksalt <110>{110}",),
    "cubic perovskite": ("perovskite <100>{010}", "perovskite <110>{110}"),
}
_DISLOCATIONS = (("edge", "along"), ("edge", "across"), ("screw", "across"))
"""Characters and lines; a screw along the beam moves atoms along the beam only and is hardly seen."""

_ZONES = {"Si": 3, "Ge": 3, "GaAs": 3, "InP": 3, "AlPO-17": 1}
"""How many of the zone axes [001], [100], [110] are drawn, if not the first two."""

CHANGE_GAPS = (1 / 3, 3.0)
ENERGY_EV = (80e3, 300e3)
THICKNESS_ANGSTROM = (50.0, 500.0)
APERTURE_PER_ANGSTROM = (0.08, 0.11)
LARGEST_TILT_MRAD = 8.0
THERMAL_RMS_ANGSTROM = (0.05, 0.10)
CRITICAL_DOSE = (1e3, 1e4)
SCANNED = 0.7  # of the box along each axis: the dislocations' images and the buffers lie at its edges
_TEN_TO_NINETY = 2 * math.log(9)  # widths of the order parameter


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **settings):
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise invalid(type(self).__name__, error) from None


class Recording(_Settings):
    """How sequences are recorded and computed; the same for all of a set.

    Parameters
    ----------
    frames : int
    frame_s : float
        Time from one frame to the next.
    gap_s : float
        Mean time between observed frames that the processes are as fast as; by default that of
        90 % sparsity.
    detector_px : int
        Pixels along each side of the detector. A pixel is ``1 / box_angstrom`` wide.
    side : int
        Scan positions along each axis.
    box_angstrom : float
        Least lateral period of the specimen.
    configurations : int
        Frozen-phonon configurations.
    fineness : float
        How many times finer the wave's pixels and slices are than usual.
    """

    frames: int = Field(default=100, ge=1)
    frame_s: float = Field(default=1.0, gt=0)
    gap_s: float = Field(default=10.0, gt=0)
    detector_px: int = Field(default=32, ge=8)
    side: int = Field(default=2, ge=1)
    box_angstrom: float = Field(default=18.8, ge=10)
    configurations: int = Field(default=1, ge=1)
    fineness: float = Field(default=1.0, gt=0)

    @property
    def times(self) -> Float[np.ndarray, " time"]:
        """Times of the frames, in seconds."""
        return self.frame_s * np.arange(self.frames)

    @property
    def duration_s(self) -> float:
        """Length of a sequence."""
        return self.frame_s * self.frames


class SequenceSettings(_Settings):
    """All that a sequence is computed from.

    Parameters
    ----------
    process : {'transition', 'dislocation', 'damage'}
    material : str
    part : {'train', 'validation', 'test', 'test_seen'}
    seed : int
    energy_ev, semiangle_mrad, pixel_mrad, thickness_angstrom : float
    tilt_mrad : (float, float)
        Tilt of the crystal from the zone axis, towards (slow, fast).
    thermal_rms_angstrom : float
        Root mean square thermal displacement of every atom along each axis.
    phonon_seed : int
        Of the thermal displacements.
    scan_centre : (float, float)
        Centre of the scan, as a fraction of the box.
    change_s : float
        Time in which the patterns change: see the top of the module.
    motion : TransitionSettings, GlidingSettings or AmorphizationSettings
    recording : Recording
    """

    process: Process
    material: str
    part: Part
    seed: int = Field(ge=0)
    energy_ev: float = Field(gt=0)
    semiangle_mrad: float = Field(gt=0)
    pixel_mrad: float = Field(gt=0)
    thickness_angstrom: float = Field(gt=0)
    tilt_mrad: tuple[float, float]
    thermal_rms_angstrom: float = Field(ge=0)
    phonon_seed: int = Field(ge=0)
    scan_centre: tuple[float, float]
    change_s: float = Field(gt=0)
    motion: Motion
    recording: Recording

    def parameters(self) -> dict[str, Any]:
        """One row of a table: numbers and words, the motion as JSON; all but the recording."""
        row = self.model_dump(exclude={"tilt_mrad", "scan_centre", "motion", "recording"})
        for name, pair in (("tilt_{}_mrad", self.tilt_mrad), ("scan_centre_{}", self.scan_centre)):
            row |= {name.format(axis): value for axis, value in zip(("slow", "fast"), pair, strict=True)}
        row["change_gaps"] = self.change_s / self.recording.gap_s
        return row | {"motion": self.motion.model_dump_json()}


def materials(process: str, part: str) -> tuple[str, ...]:
    """Materials of a process that belong to a part; ``test_seen`` has those of ``train``.

    Raises
    ------
    InputError
        If there is no such process or part.
    """
    for name, value, known in (("process", process, Process), ("part", part, Part)):
        if value not in get_args(known):
            raise InputError(name, repr(value), f"one of {', '.join(get_args(known))}")
    return MATERIALS[process]["train" if part == "test_seen" else part]


def plan(counts: Mapping[str, int], recording: Recording | None = None) -> list[SequenceSettings]:
    """Settings of a set: as many sequences of each process in each part, materials in turn.

    Parameters
    ----------
    counts : mapping
        Sequences of each process, by part.
    recording : Recording, optional

    Returns
    -------
    list of SequenceSettings
        Part by part. Those of a smaller count are among those of a larger one.

    Raises
    ------
    InputError
        If there is no such part.
    """
    chosen = recording or Recording()
    return [
        draw(process, names[seed % len(names)], part, seed, chosen)
        for part, count in counts.items()
        for process in get_args(Process)
        for names in [materials(process, part)]
        for seed in range(count)
    ]


def draw(process: str, material: str, part: str, seed: int, recording: Recording) -> SequenceSettings:
    """Draw one sequence; the same arguments give the same settings.

    Parameters
    ----------
    process, material, part : str
    seed : int
        0 or above. Parts and processes draw differently from the same seed.
    recording : Recording

    Raises
    ------
    InputError
        If the material does not belong to this part of the process.
    """
    known = materials(process, part)
    if material not in known:
        raise InputError("material", repr(material), f"one of {', '.join(known)}, as {process} in {part}")
    entropy = [seed, get_args(Part).index(part), get_args(Process).index(process), *material.encode()]
    rng = np.random.default_rng(entropy)
    energy_ev = rng.uniform(*ENERGY_EV)
    mrad = 1e3 * wavelength(energy_ev)
    aperture = rng.uniform(*APERTURE_PER_ANGSTROM)
    change_s = recording.gap_s * _log_uniform(rng, CHANGE_GAPS)
    thickness = rng.uniform(*THICKNESS_ANGSTROM)
    tilt, direction = LARGEST_TILT_MRAD * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
    slack = SCANNED / 2 / recording.side
    slab = {"box_angstrom": (recording.box_angstrom,) * 2, "thickness_angstrom": thickness}
    thermal, phonon_seed = rng.uniform(*THERMAL_RMS_ANGSTROM), int(rng.integers(2**31))
    centre = tuple((0.5 + rng.uniform(-slack, slack, 2)).tolist())
    drawn: dict[str, Callable[[], Motion]] = {
        "transition": partial(_transition, rng, slab, recording, change_s),
        "dislocation": partial(_gliding, rng, slab, recording, 0.51 / aperture / change_s, material),
        "damage": partial(_damage, rng, slab, recording, change_s, material, energy_ev),
    }
    return SequenceSettings(
        process=process,
        material=material,
        part=part,
        seed=seed,
        energy_ev=energy_ev,
        semiangle_mrad=mrad * aperture,
        pixel_mrad=mrad / recording.box_angstrom,
        thickness_angstrom=thickness,
        tilt_mrad=(tilt * math.cos(direction), tilt * math.sin(direction)),
        thermal_rms_angstrom=thermal,
        phonon_seed=phonon_seed,
        scan_centre=centre,
        change_s=change_s,
        motion=drawn[process](),
        recording=recording,
    )


def crystal(process: str, material: str) -> Atoms:
    """The undisturbed crystal; of a transition the tetragonal one."""
    if process == "transition" and material in _POLARISED:
        a, c, cation, anion = _POLARISED[material]
        edge = (a * a * c) ** (1 / 3)
        basis = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
        cubic = Atoms(material, scaled_positions=basis, cell=[edge] * 3, pbc=True)
        return polarised(cubic, c / a, cation, anion)
    return prototype(material).atoms


def _transition(
    rng: np.random.Generator, slab: dict, recording: Recording, change_s: float
) -> TransitionSettings:
    zones = list(TRIADS)
    return TransitionSettings(
        **slab,
        zone_axis=zones[rng.integers(len(zones))],
        domain=str(rng.choice(["x", "y", "z"])),
        onset_s=recording.duration_s * rng.uniform(0.2, 0.8),
        width_s=change_s / _TEN_TO_NINETY,
        front_axis=str(rng.choice(["x", "y"])),
        sweep_s=change_s * rng.uniform(-2, 2),
    )


def _gliding(
    rng: np.random.Generator, slab: dict, recording: Recording, speed: float, material: str
) -> GlidingSettings:
    systems = _SLIP[prototype(material).structure_type]
    character, line = _DISLOCATIONS[rng.integers(len(_DISLOCATIONS))]
    held = range(rng.integers(3))
    return GlidingSettings(
        **slab,
        slip_system=systems[rng.integers(len(systems))],
        character=character,
        line=line,
        arrival_s=recording.duration_s * rng.uniform(0, 0.5),
        speed_angstrom_per_s=speed,
        pins=tuple(
            (recording.box_angstrom * rng.uniform(), recording.gap_s * rng.exponential()) for _ in held
        ),
    )


def _damage(
    rng: np.random.Generator,
    slab: dict,
    recording: Recording,
    change_s: float,
    material: str,
    energy_ev: float,
) -> AmorphizationSettings:
    zones = [(0, 0, 1), (1, 0, 0), (1, 1, 0)][: _ZONES.get(material, 2)]
    critical = _log_uniform(rng, CRITICAL_DOSE)
    return AmorphizationSettings(
        **slab,
        zone_axis=zones[rng.integers(len(zones))],
        energy_ev=energy_ev,
        dose_rate=critical / change_s,
        start_s=recording.duration_s * rng.uniform(0, 0.3),
        critical_dose=critical,
        seed=int(rng.integers(2**31)),
    )


def _log_uniform(rng: np.random.Generator, interval: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(interval))))
