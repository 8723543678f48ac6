"""Crystals with known lattice constants, read from ``data/prototypes.yaml``."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml
from ase import Atoms
from ase.spacegroup import crystal
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rephase.errors import InputError
from rephase.specimen.geometry import reduced_formula

LIBRARY = Path(__file__).parents[3] / "data" / "prototypes.yaml"

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Prototype:
    """A crystal structure and where its numbers come from.

    Parameters
    ----------
    name : str
        The key in the library.
    structure_type : str
        Prototype of the structure, e.g. ``'zincblende'``.
    formula : str
        Reduced formula in Hill order, e.g. ``'AsGa'``.
    atoms : ase.Atoms
        The conventional cell; lengths in angstrom.
    source : str
        File or package that cell and positions were read from.
    density_g_cm3 : float or None
        Density from a second source, in g/cm3; None where there is none.
    density_source : str
        The second source, or ``'not cross-checked'``.
    split : {'train', 'validation', 'test'}
        The part of the split by structure that it belongs to.
    note : str
        What a user should know about the structure.
    """

    name: str
    structure_type: str
    formula: str
    atoms: Atoms
    source: str
    density_g_cm3: float | None
    density_source: str
    split: Split
    note: str = ""


class _Entry(BaseModel):
    """One entry of the library file, as written there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    structure_type: str
    space_group: int = Field(ge=1, le=230)
    setting: Literal[1, 2] = 1
    cell: tuple[float, float, float, float, float, float]
    basis: tuple[tuple[str, float, float, float], ...]
    source: str
    density_g_cm3: float | None = None
    density_source: str
    split: Split
    note: str = ""


def names(path: Path = LIBRARY) -> list[str]:
    """Names of all crystals of the library, in the order of the file.

    Parameters
    ----------
    path : Path
        The library file.

    Raises
    ------
    InputError
        If the file is missing or an entry is not what it should be.
    """
    return list(_entries(path))


def catalogue(path: Path = LIBRARY) -> list[Prototype]:
    """All crystals of the library; their atoms are shared, so read them only.

    Parameters
    ----------
    path : Path
        The library file.
    """
    return [_build(name, entry) for name, entry in _entries(path).items()]


def prototype(name: str, path: Path = LIBRARY) -> Prototype:
    """The crystal of this name.

    Parameters
    ----------
    name : str
        One of `names`.
    path : Path
        The library file.

    Raises
    ------
    InputError
        If the library has no such crystal; the message names similar ones.
    """
    entries = _entries(path)
    if name not in entries:
        folded = {key.casefold(): key for key in entries}
        close = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=5, cutoff=0.4)]
        raise InputError("material", repr(name), f"one of {', '.join(close or entries)}")
    built = _build(name, entries[name])
    return replace(built, atoms=built.atoms.copy())


def _entries(path: Path) -> dict[str, _Entry]:
    path = Path(path)
    if not path.is_file():
        raise InputError("prototype library", str(path), "an existing file")
    return _parse(path, path.stat().st_mtime_ns)


@functools.cache
def _parse(path: Path, _modified_ns: int) -> dict[str, _Entry]:
    try:
        return TypeAdapter(dict[str, _Entry]).validate_python(
            yaml.safe_load(path.read_text(encoding="utf-8"))
        )
    except yaml.YAMLError as error:
        raise InputError(str(path), " ".join(str(error).split()), "valid YAML") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}", repr(first["input"]), first["msg"]) from error


@functools.cache
def _build(name: str, entry: _Entry) -> Prototype:
    atoms = crystal(
        [species for species, *_ in entry.basis],
        [position for _, *position in entry.basis],
        spacegroup=entry.space_group,
        setting=entry.setting,
        cellpar=entry.cell,
    )
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    described = entry.model_dump(exclude={"space_group", "setting", "cell", "basis"})
    return Prototype(name=name, formula=reduced_formula(atoms), atoms=atoms, **described)
