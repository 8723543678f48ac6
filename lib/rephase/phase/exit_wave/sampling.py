"""What a training sample is made of: crystal, orientation, optics and step, drawn from given ranges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from ase import Atoms
from pydantic import AfterValidator, Field, model_validator

from rephase.microscope.optics import Optics, aberration_phase
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.settings import MethodSettings
from rephase.specimen.geometry import closest_pair, reduced_formula
from rephase.specimen.orient import ZONE_AXES
from rephase.specimen.prototypes import prototype
from rephase.specimen.split import draw_variant

Part = Literal["train", "validation", "test"]
ABERRATION_LIMIT_RAD = math.pi / 4  # an eighth of a wave at the aperture's edge
REPEAT_BOX = 5  # positions along each side of a sum, as in the paper


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if not 0 < interval[0] <= interval[1]:
        raise ValueError("two numbers above 0, the lower one first")
    return interval


Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Ranges(MethodSettings):
    """The ranges that samples are drawn from; by default those of Friedrich et al., Table 1.

    The paper gives two ranges of the step: 0.0167 to 0.33 angstrom in Table 1, and
    0.145 to 1.416 angstrom among the samples of Table S1. The default spans both.

    Parameters
    ----------
    energies_ev : sequence of float
        Energies of the beam, equally likely.
    semiangle_mrad, step_angstrom, thickness_angstrom, aperture_px : (float, float)
        Lowest and highest value. The step is uniform in its logarithm, the others
        are uniform. The radius of the aperture, in pixels of the network's frame,
        fixes the frame's side: ``radius * wavelength / semiangle``.
    cs_angstrom : float
        Spherical aberration; the defocus is Scherzer's.
    zone_axes : sequence of three int
        Equally likely; the rotation about the beam is uniform.
    thermal_rms_angstrom : float
        Root mean square displacement of all atoms along each axis.
    configurations : int
        Number of frozen-phonon configurations.
    slice_angstrom : float
        Largest thickness of a slice.
    largest_box_angstrom : float, optional
        The semiangle is drawn from those angles alone whose frame is no larger than
        this: low energies at small angles take far more time than others.
    exclude_types : sequence of str
        Structure types that no crystal may have.
    crystals : sequence of str
        If given, only these crystals of the library, as they are: for samples of
        known materials, whatever part of the split they belong to.
    repeated_share : float
        Part of the samples with data repetition: patterns are means over 5 x 5
        positions at half the step, as in Fig. 5.

    Raises
    ------
    pydantic.ValidationError
        If a number is out of its range, or an energy would have no angle within
        the largest frame.
    """

    energies_ev: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = tuple(
        1e3 * kilovolts for kilovolts in (30, 40, 50, 60, 80, 100, 120, 140, 160, 180, 200, 300)
    )
    semiangle_mrad: Interval = (5.0, 30.0)
    cs_angstrom: float = 1e4
    step_angstrom: Interval = (0.0167, 1.416)
    thickness_angstrom: Interval = (2.0, 30.0)
    zone_axes: Annotated[tuple[tuple[int, int, int], ...], Field(min_length=1)] = ZONE_AXES
    thermal_rms_angstrom: float = Field(0.08, ge=0)
    configurations: int = Field(30, ge=1)
    slice_angstrom: float = Field(3.0, gt=0)
    aperture_px: Interval = (9.0, 11.5)
    largest_box_angstrom: float | None = Field(None, gt=0)
    exclude_types: tuple[str, ...] = ()
    crystals: tuple[str, ...] = ()
    repeated_share: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Ranges:
        if not 1 <= self.aperture_px[0] <= self.aperture_px[1] < SIZE / 2:
            raise ValueError(f"aperture_px: a radius of 1 to {SIZE // 2} px")
        widest = self.semiangle_mrad[1]
        needed = self.aperture_px[1] / self.optics(min(self.energies_ev), widest).aperture_radius
        if self.largest_box_angstrom is not None and self.largest_box_angstrom < needed:
            raise ValueError(f"largest_box_angstrom: at least {needed:.3g}, for the lowest energy")
        return self

    def optics(self, energy_ev: float, semiangle_mrad: float) -> Optics:
        """The microscope of a sample: constant spherical aberration with Scherzer defocus."""
        lens = Optics(energy_ev=energy_ev, semiangle_mrad=semiangle_mrad, cs_angstrom=self.cs_angstrom)
        return lens.model_copy(update={"defocus_angstrom": lens.scherzer_defocus_angstrom})

    def outside(self, optics: Optics, step_angstrom: float) -> dict[str, str]:
        """What of a scan lies outside these ranges, and by how much; empty if nothing does.

        Energy, semiangle and step are compared with their lowest and highest value.
        Aberrations lie outside if the phase across the aperture differs by more than
        pi / 4 from that of the samples at the same energy and semiangle.

        Parameters
        ----------
        optics : Optics
        step_angstrom : float
            Distance of neighbouring probe positions.
        """
        energies = min(self.energies_ev), max(self.energies_ev)
        found = {
            "energy_ev": _beyond(optics.energy_ev, energies, "eV"),
            "semiangle_mrad": _beyond(optics.semiangle_mrad, self.semiangle_mrad, "mrad"),
            "step_angstrom": _beyond(step_angstrom, self.step_angstrom, "angstrom"),
            "aberrations": self._aberrated(optics),
        }
        return {name: text for name, text in found.items() if text}

    def _aberrated(self, optics: Optics) -> str:
        k, azimuth = torch.meshgrid(
            torch.linspace(0, optics.aperture_radius, 32, dtype=torch.float64),
            torch.linspace(0, 2 * math.pi, 65, dtype=torch.float64)[:-1],
            indexing="ij",
        )
        ky, kx = k * azimuth.cos(), k * azimuth.sin()
        learnt = self.optics(optics.energy_ev, optics.semiangle_mrad)
        error = aberration_phase(optics, ky, kx) - aberration_phase(learnt, ky, kx)
        worst = float(error.abs().max())
        if worst <= ABERRATION_LIMIT_RAD:
            return ""
        return (
            f"{worst:.2g} rad from Cs {learnt.cs_angstrom:g} angstrom"
            f" with a defocus of {learnt.defocus_angstrom:.3g} angstrom, more than pi / 4"
        )


@dataclass(frozen=True)
class Draw:
    """All that determines one sample.

    Parameters
    ----------
    part : {'train', 'validation', 'test'}
        Part of the split that the crystal was drawn from; without meaning for crystals named.
    seed : int
        Seed of the draw and of the atoms' displacements.
    crystal : str
        Crystal of the library that the variant was made from.
    unit_cell : ase.Atoms
        The variant, or the crystal itself where it was named.
    zone_axis : three int
        Direction of the beam in the vectors of the unit cell.
    rotation_deg : float
        Rotation about the beam.
    atom : int
        Atom of the unit cell that lies on the entrance surface ...
    offset : (float, float)
        ... this far from the central probe along (slow, fast), as a fraction of the frame's side.
    thickness_angstrom, thermal_rms_angstrom, slice_angstrom, configurations
        As in `Ranges`.
    optics : Optics
    aperture_px : float
        Radius of the aperture in the frame.
    step_angstrom : float
        Distance of neighbouring patterns of the kernel.
    repeat_box : int
        Positions along each side of a box over which a pattern is the mean: 1
        without data repetition, 5 with it.
    """

    part: Part
    seed: int
    crystal: str
    unit_cell: Atoms
    zone_axis: tuple[int, int, int]
    rotation_deg: float
    atom: int
    offset: tuple[float, float]
    thickness_angstrom: float
    thermal_rms_angstrom: float
    configurations: int
    slice_angstrom: float
    optics: Optics
    aperture_px: float
    step_angstrom: float
    repeat_box: int

    @property
    def frame(self) -> Frame:
        """The network's grid for this sample."""
        return Frame.of_aperture(self.optics, self.aperture_px)

    def parameters(self) -> dict[str, str | int | float]:
        """The sample's row in a table of samples."""
        return {
            "part": self.part,
            "seed": self.seed,
            "crystal": self.crystal,
            "formula": reduced_formula(self.unit_cell),
            "zone_axis": "".join(map(str, self.zone_axis)),
            "rotation_deg": self.rotation_deg,
            "atom": self.atom,
            "offset_slow": self.offset[0],
            "offset_fast": self.offset[1],
            "thickness_angstrom": self.thickness_angstrom,
            "thermal_rms_angstrom": self.thermal_rms_angstrom,
            "configurations": self.configurations,
            "slice_angstrom": self.slice_angstrom,
            "energy_ev": self.optics.energy_ev,
            "semiangle_mrad": self.optics.semiangle_mrad,
            "cs_angstrom": self.optics.cs_angstrom,
            "defocus_angstrom": self.optics.defocus_angstrom,
            "aperture_px": self.aperture_px,
            "box_angstrom": self.frame.box_angstrom,
            "step_angstrom": self.step_angstrom,
            "repeat_box": self.repeat_box,
        }


def draw(part: Part, seed: int, ranges: Ranges) -> Draw:
    """Draw one sample; the same seed gives the same sample.

    Specimens are at least one atomic layer thick, also where the range of
    thicknesses begins below.

    Parameters
    ----------
    part : {'train', 'validation', 'test'}
        Part of the split that the crystal is taken from.
    seed : int
        0 or above.
    ranges : Ranges

    Raises
    ------
    InputError
        If an excluded structure type or a crystal named is unknown, or no type is left.
    """
    sequence = np.random.SeedSequence([seed, get_args(Part).index(part)])
    crystal, unit_cell = _crystal(part, int(sequence.generate_state(1)[0]), ranges)
    rng = np.random.default_rng(sequence.spawn(1)[0])
    thinnest, thickest = ranges.thickness_angstrom
    bond = _shortest_bond(crystal, unit_cell)
    energy_ev = float(rng.choice(ranges.energies_ev))
    aperture_px = rng.uniform(*ranges.aperture_px)
    return Draw(
        part=part,
        seed=seed,
        crystal=crystal,
        unit_cell=unit_cell,
        zone_axis=tuple(rng.choice(ranges.zone_axes).tolist()),
        rotation_deg=rng.uniform(0, 360),
        atom=int(rng.integers(len(unit_cell))),
        offset=tuple(rng.uniform(-0.49, 0.49, 2).tolist()),
        thickness_angstrom=rng.uniform(max(thinnest, 1.001 * bond), max(thickest, 1.002 * bond)),
        thermal_rms_angstrom=ranges.thermal_rms_angstrom,
        configurations=ranges.configurations,
        slice_angstrom=ranges.slice_angstrom,
        optics=ranges.optics(energy_ev, _semiangle(ranges, energy_ev, aperture_px, rng)),
        aperture_px=aperture_px,
        step_angstrom=float(np.exp(rng.uniform(*np.log(ranges.step_angstrom)))),
        repeat_box=REPEAT_BOX if rng.random() < ranges.repeated_share else 1,
    )


def _crystal(part: Part, seed: int, ranges: Ranges) -> tuple[str, Atoms]:
    """A variant of a crystal of the part, or one of the crystals named."""
    if not ranges.crystals:
        return draw_variant(part, seed, ranges.exclude_types)
    name = ranges.crystals[int(np.random.default_rng(seed).integers(len(ranges.crystals)))]
    return name, prototype(name).atoms


def _semiangle(ranges: Ranges, energy_ev: float, aperture_px: float, rng: np.random.Generator) -> float:
    """A semiangle whose frame is not too large, in mrad."""
    narrowest, widest = ranges.semiangle_mrad
    if ranges.largest_box_angstrom is not None:
        smallest_radius = aperture_px / ranges.largest_box_angstrom
        wavelength = ranges.optics(energy_ev, widest).wavelength_angstrom
        narrowest = max(narrowest, 1e3 * smallest_radius * wavelength)
    return rng.uniform(narrowest, widest)


def _shortest_bond(crystal: str, variant: Atoms) -> float:
    """Shortest distance of two atoms of a variant: the crystal's shape at another size."""
    edge, bond = _edge_and_bond(crystal)
    return bond * variant.cell.lengths()[0] / edge


@cache
def _edge_and_bond(crystal: str) -> tuple[float, float]:
    atoms = prototype(crystal).atoms
    return float(atoms.cell.lengths()[0]), closest_pair(atoms)[-1]


def _beyond(value: float, interval: tuple[float, float], unit: str) -> str:
    """How far a value lies outside an interval, in words; empty if it does not."""
    low, high = interval
    if low <= value <= high:
        return ""
    limit, name = (low, "lowest") if value < low else (high, "highest")
    return f"{value:g} {unit}, {value / limit:.3g} times the {name}, {limit:g}"
