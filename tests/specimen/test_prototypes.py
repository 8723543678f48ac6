"""The library of crystals: complete, sourced, and with the densities and bonds of the real materials."""

import re

import numpy as np
import pytest
import yaml
from ase.data import covalent_radii
from ase.formula import Formula

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair, mass_density
from rephase.specimen.prototypes import LIBRARY, names, prototype

NAMES = names()

# Shortest bonds in angstrom as a textbook or the material's own geometry gives them, to be met within 2 %.
KNOWN_BONDS = {
    "Cu": 2.556, "Al": 2.863, "Au": 2.884, "W": 2.741, "Si": 2.352, "diamond": 1.545, "GaAs": 2.448,
    "MgO": 2.106, "NaCl": 2.82, "CaF2": 2.366, "SrTiO3": 1.9525, "TiO2_rutile": 1.95, "quartz": 1.61,
    "LiCoO2": 1.92, "graphene": 1.42, "graphite": 1.42, "MoS2": 2.41, "faujasite": 1.60, "AlPO-17": 1.52,
}  # fmt: skip


def test_library_is_broad():
    types = {prototype(name).structure_type for name in NAMES}
    assert len(NAMES) >= 40
    assert len(types) >= 12


OF_THE_PAPERS = [
    "GaAs",
    "SrTiO3",
    "CaTiO3",
    "BaTiO3",
    "PbTiO3",
    "MoS2",
    "graphene",
    "MgO",
    "Au",
    "Si",
    "Cu",
    "Al",
]
OF_THE_PAPERS += ["Li2CoO3", "LiCoO2", "NCM111", "AlPO-17", "faujasite", "Li5La3Nb2O12"]


@pytest.mark.parametrize("name", OF_THE_PAPERS)
def test_crystals_of_the_papers_are_there(name):
    assert name in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name):
    crystal = prototype(name)
    assert crystal.source
    if crystal.density_g_cm3 is None:
        assert crystal.density_source == "not cross-checked"
    else:
        assert crystal.density_source not in ("", "not cross-checked", crystal.source)


@pytest.mark.parametrize("name", [n for n in NAMES if prototype(n).density_g_cm3 is not None])
def test_density_agrees_with_the_second_source(name):
    crystal = prototype(name)
    assert mass_density(crystal.atoms) == pytest.approx(crystal.density_g_cm3, rel=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_shortest_bond_is_that_of_two_touching_atoms(name):
    atoms = prototype(name).atoms
    i, j, distance = closest_pair(atoms)
    contact = covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]]
    assert 0.78 * contact < distance < 1.35 * contact
    if name in KNOWN_BONDS:
        assert distance == pytest.approx(KNOWN_BONDS[name], rel=0.02)


def is_formula(name):
    return re.fullmatch(r"([A-Z][a-z]?\d*)+", name) is not None and name != "NCM111"


@pytest.mark.parametrize("name", [n for n in NAMES if is_formula(n)])
def test_composition_is_that_of_the_name(name):
    assert prototype(name).formula == Formula(name).reduce()[0].format("hill")


def test_octahedra_of_strontium_titanate_have_six_oxygens():
    atoms = prototype("SrTiO3").atoms.repeat(3)
    titanium = next(i for i, s in enumerate(atoms.symbols) if s == "Ti")
    distances = atoms.get_distances(titanium, np.flatnonzero(atoms.numbers == 8), mic=True)
    assert np.sum(np.isclose(distances, 3.905 / 2)) == 6


def test_unknown_material_names_similar_ones():
    with pytest.raises(InputError, match=r"'SrTi03'.*SrTiO3"):
        prototype("SrTi03")


def test_a_wrong_entry_is_named_with_its_key(tmp_path):
    entries = yaml.safe_load(LIBRARY.read_text(encoding="utf-8"))
    entries["Cu"]["space_group"] = 300
    path = tmp_path / "prototypes.yaml"
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    with pytest.raises(InputError, match=r"Cu\.space_group.*300"):
        names(path)


def test_missing_library_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.yaml"):
        names(tmp_path / "nowhere.yaml")


def test_prototypes_are_fresh_copies():
    prototype("Cu").atoms.positions += 1
    assert np.allclose(prototype("Cu").atoms.positions[0], 0)
