"""Structure files of users: each format reads as meant, and a bad file is one clear line."""

import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from rephase.errors import InputError
from rephase.specimen.files import CLOSEST_ANGSTROM, read_structure
from rephase.specimen.geometry import closest_pair, mass_density
from rephase.specimen.orient import cut_box, periodic_slab

DEFAULT_DATA = Path(__file__).parents[3] / "shared" / "data"
STRUCTURES = Path(os.environ.get("REPHASE_DATA", DEFAULT_DATA)) / "structures"

REAL = {
    "crystal/AlPO4_POSCAR": 42, "crystal/Cu_mp-30.cif": 4, "crystal/GaAs_mp-2534_zincblende.cif": 8,
    "crystal/GaAs_mp-8883_wurtzite.cif": 4, "crystal/Li8Fe2NiCoO8.cif": 20, "crystal/LiCoO2.cif": 12,
    "crystal/MoS2.cif": 3, "crystal/SrTiO3.cif": 5, "crystal/hexagonal_graphene.cif": 2,
    "crystal/mp-1175469-Li9Co7O16.cif": 32, "crystal/mp-18767-LiMnO2.cif": 8,
    "crystal/orthogonal_graphene.cif": 24,
    "glass/init_config_Cu64.5Zr35.5_1.0e+10.lammps": 5000,
    "glass/init_config_Cu64.5Zr35.5_2.8e+07.lammps": 5000,
    "zeolite/AEL.cif": 216, "zeolite/AFI_SI.cif": 72, "zeolite/AlPO-17.cif": 108, "zeolite/AlPO-5.cif": 72,
    "zeolite/BEA.cif": 192, "zeolite/CHA_SI.cif": 36, "zeolite/FAU_SI.cif": 576, "zeolite/LTA4A.cif": 576,
    "zeolite/LTA_SI.cif": 576, "zeolite/MFI_SI.cif": 288, "zeolite/MFI_SI_Olson.cif": 288,
    "zeolite/MOR_SI.cif": 144, "zeolite/NaX.cif": 576, "zeolite/SAPO-47.cif": 36, "zeolite/VFI.cif": 108,
}  # fmt: skip


def real(name):
    path = STRUCTURES / name
    if not path.is_file():
        pytest.skip(f"{path} is not there; set REPHASE_DATA to the directory of external data")
    return path


@pytest.mark.parametrize("name", REAL)
def test_real_file_reads_and_is_cut_by_the_same_functions(name):
    species = {1: "Cu", 2: "Zr"} if name.startswith("glass") else None
    atoms = read_structure(real(name), species=species)
    assert len(atoms) == REAL[name]
    assert atoms.pbc.all()
    cut = cut_box(atoms, (1, 1, 0), 20, (30, 30), 20)
    # Cells with vacuum or a few layers: the box holds no whole number of them.
    assert len(cut) / (30 * 30 * 20) == pytest.approx(len(atoms) / atoms.get_volume(), rel=0.35)
    assert closest_pair(cut)[2] > 0.9


@pytest.mark.parametrize(
    ("name", "density"),
    [("crystal/SrTiO3.cif", 5.12), ("crystal/Cu_mp-30.cif", 8.96), ("zeolite/FAU_SI.cif", 1.34)],
)
def test_real_crystal_has_its_density_as_slab_too(name, density):
    atoms = read_structure(real(name))
    assert mass_density(atoms) == pytest.approx(density, rel=0.01)
    height = atoms.cell.lengths()[2]
    slab = periodic_slab(atoms, (0, 0, 1), (10, 10), height)
    assert slab.get_masses().sum() / slab.cell.lengths()[:2].prod() / height == pytest.approx(
        atoms.get_masses().sum() / atoms.get_volume()
    )


# Apoferritin: 39,996 records, of which the second conformers (B of A and B) are left out.
@pytest.mark.parametrize(
    ("name", "count"), [("8rqb.pdb1", 36468), ("2n0a.pdb", 20160), pytest.param("3SN6.cif", 10274)]
)
def test_real_protein_reads_as_an_isolated_object(name, count):
    atoms = read_structure(real(f"protein/{name}"), vacuum_angstrom=4)
    assert len(atoms) == count
    assert not atoms.pbc.any()
    assert {"C", "N", "O"} <= set(atoms.symbols)
    assert np.allclose(atoms.positions.min(axis=0), 4)
    inner = cut_box(atoms, (0, 0, 1), 0, (60, 60), float(atoms.cell.lengths()[2]))
    assert 0 < len(inner) < count


def test_unlocated_sites_of_a_real_zeolite_are_counted():
    assert read_structure(real("zeolite/NaX.cif")).info["sites_without_coordinates"] == 4


@pytest.mark.parametrize("name", ["cu.cif", "cu.xyz", "cu.vasp", "POSCAR"])
def test_formats_agree(tmp_path, name):
    crystal = bulk("Cu", cubic=True)
    crystal.symbols[0] = "Au"
    form = {"cu.cif": "cif", "cu.xyz": "extxyz"}.get(name, "vasp")
    write(tmp_path / name, crystal, format=form)
    atoms = read_structure(tmp_path / name)
    assert sorted(atoms.symbols) == ["Au", "Cu", "Cu", "Cu"]
    assert np.allclose(atoms.cell.lengths(), 3.61)
    assert closest_pair(atoms)[2] == pytest.approx(3.61 / np.sqrt(2), rel=1e-5)


def lammps(tmp_path):
    crystal = bulk("CuZr", "cesiumchloride", a=3.26)
    write(tmp_path / "glass.lammps", crystal, format="lammps-data", atom_style="atomic")
    return tmp_path / "glass.lammps"


def test_lammps_types_become_the_species_given(tmp_path):
    atoms = read_structure(lammps(tmp_path), species={1: "Zr", 2: "Cu"})
    assert list(atoms.symbols) == ["Zr", "Cu"]


@pytest.mark.parametrize(
    ("species", "message"), [(None, "species.*None"), ({1: "Cu"}, "glass.lammps"), ({1: "Cu", 2: "Xx"}, "Xx")]
)
def test_lammps_needs_a_species_for_each_type(tmp_path, species, message):
    with pytest.raises(InputError, match=message):
        read_structure(lammps(tmp_path), species=species)


CIF = """data_alloy
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_IT_number 1
_space_group_name_H-M_alt 'P 1'
loop_
_space_group_symop_operation_xyz
'x,y,z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""


def disordered(tmp_path):
    """16 sites: 8 of Cu and Au in the ratio 3:1, 8 of O of which a fifth is missing."""
    rows = []
    for i in range(8):
        rows += [f"M{i} Cu {i / 8} 0.0 0.0 0.75", f"G{i} Au {i / 8} 0.0 0.0 0.25"]
        rows += [f"O{i} O {i / 8} 0.5 0.5 0.8"]
    path = tmp_path / "alloy.cif"
    path.write_text(CIF.replace("4.0", "32.0") + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_partial_occupancy_is_drawn_from_the_seed(tmp_path):
    path = disordered(tmp_path)
    drawn = [read_structure(path, seed=seed).numbers for seed in range(30)]
    assert np.array_equal(drawn[3], read_structure(path, seed=3).numbers)
    assert any(not np.array_equal(drawn[0], other) for other in drawn[1:])
    metals = [np.sum(numbers != 8) for numbers in drawn]
    assert set(metals) == {8}
    counts = np.mean([[np.sum(numbers == z) for z in (29, 79, 8)] for numbers in drawn], axis=0)
    assert np.allclose(counts, [6, 2, 6.4], atol=0.9)  # four standard errors of 30 draws


def test_sites_without_coordinates_are_left_out_and_counted(tmp_path):
    path = tmp_path / "open.cif"
    path.write_text(CIF + "Si1 Si 0.0 0.0 0.0 1\nNa1 Na ? ? ? 1\n", encoding="utf-8")
    atoms = read_structure(path)
    assert list(atoms.symbols) == ["Si"]
    assert atoms.info["sites_without_coordinates"] == 1


def pdb_line(serial, name, alternate, x, chain="A", residue=1):
    return (
        f"ATOM  {serial:5d}  {name:<3s}{alternate}GLY {chain}{residue:4d}    {x:8.3f}{0:8.3f}{0:8.3f}"
        f"{0.5:6.2f}{0:6.2f}          {name[0]:>2s}\n"
    )


PDB = (
    "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\nMODEL        1\n"
    + pdb_line(1, "N", " ", 0)
    + pdb_line(2, "CA", "A", 1.5)
    + pdb_line(3, "CA", "B", 1.7)
    + "ENDMDL\nMODEL        2\n"
    + pdb_line(1, "N", " ", 10)
    + pdb_line(2, "CA", "A", 11.5)
    + pdb_line(3, "CA", "B", 11.7)
    + "ENDMDL\nEND\n"
)


@pytest.mark.parametrize(("name", "count"), [("a.pdb", 2), ("a.ent", 2), ("a.pdb1", 4)])
def test_pdb_holds_one_conformer_and_an_assembly_all_models(tmp_path, name, count):
    (tmp_path / name).write_text(PDB, encoding="utf-8")
    atoms = read_structure(tmp_path / name, vacuum_angstrom=3)
    assert len(atoms) == count
    assert closest_pair(atoms)[2] == pytest.approx(1.5)


def test_a_molecule_needs_its_vacuum(tmp_path):
    (tmp_path / "a.pdb").write_text(PDB, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.pdb.*molecule.*vacuum_angstrom"):
        read_structure(tmp_path / "a.pdb")


def test_a_file_without_cell_needs_its_vacuum(tmp_path):
    write(tmp_path / "co.xyz", Atoms("CO", [(0, 0, 0), (1.13, 0, 0)]), format="xyz")
    with pytest.raises(InputError, match=r"co\.xyz: found no cell, expected .*vacuum_angstrom"):
        read_structure(tmp_path / "co.xyz")
    atoms = read_structure(tmp_path / "co.xyz", vacuum_angstrom=5)
    assert np.allclose(atoms.cell.lengths(), [11.13, 10, 10])


@pytest.mark.parametrize("periodic", [True, False])
def test_overlapping_atoms_are_named(tmp_path, periodic):
    # Periodic: the two overlap across the cell's face.
    cell = (4, 4, 4) if periodic else None
    atoms = Atoms("SiO", [(0.1, 0, 0), (3.9 if periodic else 0.3, 0, 0)], cell=cell, pbc=periodic)
    write(tmp_path / "pair.xyz", atoms, format="extxyz")
    with pytest.raises(InputError, match=r"pair\.xyz: found atoms .*(Si|O).*0\.200 angstrom apart.*0\.5"):
        read_structure(tmp_path / "pair.xyz", vacuum_angstrom=None if periodic else 5)
    assert CLOSEST_ANGSTROM == 0.5


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.cif", "data_x\n_cell_length_a 4\n"),
        ("empty.cif", ""),
        ("broken.vasp", "one\ntwo\n"),
        ("broken.xyz", "3\n\nC 0 0 0\n"),
        ("nan.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4"\nC nan 0 0\n'),
        ("broken.pdb", "nothing here\n"),
        ("what.docx", "?"),
    ],
)
def test_an_unreadable_file_is_one_line_with_its_name(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=name) as caught:
        read_structure(tmp_path / name, vacuum_angstrom=5)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"nowhere\.cif.*no file"):
        read_structure("nowhere.cif")
