"""Settings of a multislice simulation, and the atoms that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from ase import Atoms

from rephase.errors import InputError


@dataclass(frozen=True)
class Simulation:
    """Settings of a multislice simulation.

    Parameters
    ----------
    gpts : (int, int)
        Grid points along the atoms' x and y.
    slice_angstrom : float
        Largest thickness of a slice, in angstrom.
    thermal_rms_angstrom : float or mapping of element to float
        Root mean square displacement along each axis, in angstrom; one number
        for all atoms or one for each element. 0 keeps the atoms at rest.
    configurations : int
        Number of frozen-phonon configurations.
    seed : int
        Seed of the displacements.
    precision : {'float32', 'float64'}
        Of potentials and waves.

    Raises
    ------
    InputError
        If a number is out of its range.
    """

    gpts: tuple[int, int]
    slice_angstrom: float = 2.0
    thermal_rms_angstrom: float | Mapping[str, float] = field(default_factory=dict)
    configurations: int = 1
    seed: int = 0
    precision: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        rms = self.thermal_rms_angstrom
        checks = (
            ("gpts", min(self.gpts) >= 1, "at least one point along each axis"),
            ("slice_angstrom", self.slice_angstrom > 0, "a thickness above 0 angstrom"),
            ("configurations", self.configurations >= 1, "at least one configuration"),
            ("seed", self.seed >= 0, "a seed of at least 0"),
            (
                "thermal_rms_angstrom",
                all(0 <= v < np.inf for v in (rms.values() if isinstance(rms, Mapping) else [rms])),
                "finite displacements of at least 0 angstrom",
            ),
        )
        for name, right, expected in checks:
            if not right:
                raise InputError(f"simulation.{name}", getattr(self, name), expected)


def displacements(atoms: Atoms, simulation: Simulation) -> dict[str, float]:
    """Root mean square displacement of each element present, in angstrom; empty if all are at rest.

    Raises
    ------
    InputError
        If displacements are given by element and one is missing.
    """
    rms, elements = simulation.thermal_rms_angstrom, sorted(set(atoms.get_chemical_symbols()))
    if isinstance(rms, Mapping):
        if rms and (missing := [element for element in elements if element not in rms]):
            raise InputError(
                "simulation.thermal_rms_angstrom", dict(rms), f"also a displacement for {', '.join(missing)}"
            )
    else:
        rms = dict.fromkeys(elements, rms)
    return {element: rms[element] for element in elements} if any(rms.values()) else {}


def check_atoms(atoms: Atoms, simulation: Simulation) -> None:
    """Refuse atoms that a simulation cannot take.

    Raises
    ------
    InputError
        If the cell is not orthogonal, the specimen is thinner than a slice, or
        atoms lie above or below the cell.
    """
    lengths, z = atoms.cell.lengths(), atoms.positions[:, 2]
    height = lengths[2]
    if lengths.min() == 0 or not np.allclose(atoms.cell, np.diag(lengths)):
        raise InputError("atoms.cell", atoms.cell.tolist(), "an orthogonal cell along x, y and z")
    if height < simulation.slice_angstrom * (1 - 1e-6):
        raise InputError(
            "atoms.cell",
            f"a thickness of {height:g} angstrom",
            f"at least a slice, {simulation.slice_angstrom:g}",
        )
    if len(z) and (z.min() < -1e-3 or z.max() > height + 1e-3):
        raise InputError("atoms.positions", f"z from {z.min():g} to {z.max():g}", f"z from 0 to {height:g}")
