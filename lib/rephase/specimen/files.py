"""Read a structure file of a user: CIF, mmCIF, PDB, XYZ, LAMMPS data, POSCAR.

ASE parses the files; what it would silently get wrong is settled here:

- CIF: of a site with mixed or partial occupancy it keeps the main species. Here each such site is
  drawn at random (species, or vacancy) from a seed. Sites listed without coordinates are left out and
  counted in ``info['sites_without_coordinates']``.
- PDB: it overlays alternate conformers, takes the last of several models and believes the dummy cell of
  electron-microscopy entries. Here the first conformer counts; a biological assembly (``.pdb1`` ...)
  is all models together, any other file its first model; the cell is not used.
- mmCIF: it looks for fractional coordinates and fails. Here the Cartesian ones are read.
- LAMMPS data: without a mapping, atom type 1 becomes hydrogen. Here the mapping is required.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO, StringIO
from numbers import Real
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io import read
from ase.io.cif import CIFBlock, parse_cif

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair

_MMCIF_ATOMS = (b"_atom_site.", b"ATOM", b"HETATM")

CLOSEST_ANGSTROM = 0.5
"""Two atoms nearer to each other than this, in angstrom, are an error of the file."""


def read_structure(
    path: str | Path,
    *,
    species: Mapping[int, str] | None = None,
    atom_style: str = "atomic",
    vacuum_angstrom: Real | None = None,
    seed: int = 0,
) -> Atoms:
    """Read a crystal, a glass, a particle or a molecule from a file.

    Parameters
    ----------
    path : path
        ``.cif`` (also mmCIF), ``.pdb``, ``.ent``, ``.pdb1`` ..., ``.xyz``, ``.lammps``, ``.data``,
        ``.lmp``, ``.vasp``, or a name with POSCAR or CONTCAR.
    species : mapping from int to str
        LAMMPS data only: chemical symbol of each atom type.
    atom_style : str
        LAMMPS data only: columns of the section 'Atoms', e.g. ``'atomic'``, ``'charge'``, ``'full'``.
    vacuum_angstrom : float
        Take the atoms as an isolated object, not periodic, in a box with this much room on each side,
        in angstrom. Needed for files without a cell and for PDB and mmCIF, which hold molecules or
        asymmetric units rather than full cells.
    seed : int
        Seed of the draw for partially occupied sites.

    Returns
    -------
    ase.Atoms
        Periodic in all directions, or in none with ``vacuum_angstrom``.

    Raises
    ------
    InputError
        If the file is missing, of unknown format or unreadable, has no atoms, no cell, coordinates
        that are not finite, or two atoms nearer than `CLOSEST_ANGSTROM`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(str(path), "no file", "an existing structure file")
    kind = _kind(path)
    if kind == "lammps-data":
        atoms = _read_lammps(path, species, atom_style)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE on notation that it reads all the same
            atoms = _parsed(path, kind, lambda: _READERS[kind](path, seed))
    return _checked(atoms, path, vacuum_angstrom, molecular=kind in ("pdb", "mmcif"))


def _kind(path: Path) -> str:
    name, suffix = path.name.upper(), path.suffix.lower()
    if suffix == ".cif":
        text = path.read_text(encoding="utf-8", errors="replace").lower()
        return "mmcif" if "_atom_site.cartn_x" in text else "cif"
    if suffix == ".ent" or re.fullmatch(r"\.pdb\d*", suffix):
        return "pdb"
    if suffix in (".lammps", ".data", ".lmp"):
        return "lammps-data"
    if suffix == ".xyz":
        return "extxyz"
    if suffix == ".vasp" or "POSCAR" in name or "CONTCAR" in name:
        return "vasp"
    raise InputError(str(path), f"suffix {suffix!r}", "CIF, mmCIF, PDB, XYZ, LAMMPS data or POSCAR")


def _parsed(path: Path, kind: str, parse: Callable[[], Atoms]) -> Atoms:
    """Turn whatever a parser raises into one line that names the file."""
    try:
        atoms = parse()
    except InputError:
        raise
    except Exception as error:  # parsers raise anything
        found = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(str(path), found, f"a readable file of format {kind}") from error
    if not len(atoms):
        raise InputError(str(path), "no atoms", f"a file of format {kind} with atoms")
    return atoms


def _checked(atoms: Atoms, path: Path, vacuum_angstrom: Real | None, molecular: bool) -> Atoms:
    if not np.isfinite(atoms.positions).all():
        raise InputError(str(path), "coordinates that are not finite", "finite coordinates")
    if vacuum_angstrom is not None:
        if not (np.isfinite(vacuum_angstrom) and vacuum_angstrom > 0):
            raise InputError("vacuum_angstrom", vacuum_angstrom, "a length above 0 angstrom")
        atoms.set_cell(None)
        atoms.center(vacuum=vacuum_angstrom)
        atoms.pbc = False
    elif molecular or atoms.cell.rank < 3:
        found = "a molecule or asymmetric unit" if molecular else "no cell"
        raise InputError(str(path), found, "a full cell, or vacuum_angstrom for an isolated object")
    else:
        atoms.pbc = True
    pair = closest_pair(atoms, CLOSEST_ANGSTROM)
    if pair is not None:
        i, j, distance = pair
        found = f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) {distance:.3f} angstrom apart"
        raise InputError(str(path), found, f"atoms at least {CLOSEST_ANGSTROM} angstrom apart")
    return atoms


def _read_ase(kind: str) -> Callable[[Path, int], Atoms]:
    return lambda path, _seed: _bare(read(path, format=kind))


def _bare(atoms: Atoms) -> Atoms:
    """Species, positions and cell alone."""
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell)


def _read_cif(path: Path, seed: int) -> Atoms:
    block = next(
        block for block in parse_cif(str(path)) if any(key.startswith("_atom_site_") for key in block)
    )
    block, missing = _located(block)
    atoms = block.get_atoms()
    occupancy = atoms.info.get("occupancy")
    if occupancy:
        shares = [occupancy[str(kind)] for kind in atoms.arrays["spacegroup_kinds"]]
        atoms = _draw_occupancy(atoms, shares, seed)
    atoms = _bare(atoms)
    if missing:
        atoms.info["sites_without_coordinates"] = missing
    return atoms


def _located(block: CIFBlock) -> tuple[CIFBlock, int]:
    """The block without the sites whose coordinates the file leaves open, and their number."""
    columns = [block.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
    located = [not any(value in ("?", ".") for value in site) for site in zip(*columns, strict=True)]
    if all(located):
        return block, 0
    tags = dict(block)
    for key, values in tags.items():
        if key.startswith("_atom_site_") and isinstance(values, list) and len(values) == len(located):
            tags[key] = [value for value, kept in zip(values, located, strict=True) if kept]
            if "_fract_" in key:
                tags[key] = [float(value) for value in tags[key]]
    return CIFBlock(block.name, tags), located.count(False)


def _draw_occupancy(atoms: Atoms, occupancy: list[Mapping[str, Real]], seed: int) -> Atoms:
    """Give each site one of its species, or a vacancy, with the probabilities of the file."""
    draw = np.random.default_rng(seed).random(len(atoms))
    numbers = atoms.numbers.copy()
    for site, shares in enumerate(occupancy):
        edges = np.cumsum(list(shares.values()))
        chosen = int(np.searchsorted(np.round(edges, 6), draw[site], side="right"))
        numbers[site] = atomic_numbers[list(shares)[chosen]] if chosen < len(shares) else 0
    atoms.numbers = numbers
    return atoms[numbers > 0]


def _read_pdb(path: Path, _seed: int) -> Atoms:
    whole_assembly = path.suffix.lower() not in (".pdb", ".ent")
    lines, conformer, model = [], {}, 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        if line.startswith("ENDMDL"):
            model += 1
            if not whole_assembly:
                break
        elif line.startswith(("ATOM  ", "HETATM")):
            residue, alternate = (model, line[21:27]), line[16]
            if alternate == " " or conformer.setdefault(residue, alternate) == alternate:
                lines.append(line)
    return _bare(read(StringIO("".join(lines)), format="proteindatabank"))


def _read_mmcif(path: Path, _seed: int) -> Atoms:
    # The table of atoms alone: its rows begin with the record's name, and ASE takes long for the rest.
    table = [row for row in path.read_bytes().splitlines(True) if row.startswith(_MMCIF_ATOMS)]
    block = next(iter(parse_cif(BytesIO(b"data_atoms\nloop_\n" + b"".join(table)))))
    column = {key.removeprefix("_atom_site."): block[key] for key in block if key.startswith("_atom_site.")}
    count = len(column["cartn_x"])
    model = column.get("pdbx_pdb_model_num", [1] * count)
    residue = list(zip(column["label_asym_id"], column["auth_seq_id"], column["label_comp_id"], strict=True))
    conformer: dict[tuple, str] = {}
    kept = [
        i
        for i, alternate in enumerate(column["label_alt_id"])
        if model[i] == model[0]
        and (alternate == "." or conformer.setdefault(residue[i], alternate) == alternate)
    ]
    positions = np.array([column[f"cartn_{axis}"] for axis in "xyz"], dtype=float).T[kept]
    return Atoms([str(column["type_symbol"][i]).capitalize() for i in kept], positions)


def _read_lammps(path: Path, species: Mapping[int, str] | None, atom_style: str) -> Atoms:
    if not species:
        raise InputError(
            "species", species, f"a chemical symbol for each atom type of {path}, e.g. {{1: 'Cu'}}"
        )
    unknown = [symbol for symbol in species.values() if symbol not in atomic_numbers]
    if unknown:
        raise InputError("species", unknown[0], "a chemical symbol")
    atoms = _parsed(path, "lammps-data", lambda: read(path, format="lammps-data", atom_style=atom_style))
    types = atoms.get_array("type")
    unmapped = sorted(set(types.tolist()) - set(species))
    if unmapped:
        raise InputError("species", f"no symbol for type {unmapped[0]} of {path}", "one for each atom type")
    atoms.symbols = [species[kind] for kind in types.tolist()]
    return _bare(atoms)


_READERS = {
    "cif": _read_cif,
    "mmcif": _read_mmcif,
    "pdb": _read_pdb,
    "extxyz": _read_ase("extxyz"),
    "vasp": _read_ase("vasp"),
}
