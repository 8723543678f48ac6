"""Decorated variants: chemically alike, of a plausible size, repeatable."""

import numpy as np
import pytest
from ase.data import covalent_radii
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair
from rephase.specimen.prototypes import names, prototype
from rephase.specimen.variants import ALIKE, decorate


def test_a_species_is_in_one_group_only():
    species = [symbol for group in ALIKE for symbol in group]
    assert len(species) == len(set(species))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(names()), st.integers(0, 2**32 - 1))
def test_variant_keeps_the_structure_and_touching_atoms(name, seed):
    atoms = prototype(name).atoms
    variant = decorate(atoms, seed)
    assert np.allclose(variant.get_scaled_positions(wrap=False), atoms.get_scaled_positions(wrap=False))
    assert np.allclose(variant.cell.angles(), atoms.cell.angles())
    same_before = np.equal.outer(atoms.numbers, atoms.numbers)
    assert np.array_equal(np.equal.outer(variant.numbers, variant.numbers), same_before)
    i, j, distance = closest_pair(variant)
    contact = covalent_radii[variant.numbers[i]] + covalent_radii[variant.numbers[j]]
    assert 0.6 * contact < distance < 1.6 * contact


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000))
def test_replacement_comes_from_the_group(seed):
    variant = decorate(prototype("SrTiO3").atoms, seed, substitution=1.0)
    for before, after in zip(["Sr", "Ti", "O"], list(variant.symbols)[:3], strict=True):
        assert next(set(group) for group in ALIKE if before in group) >= {before, after}
        assert before != after


def test_without_substitution_only_the_size_changes():
    atoms = prototype("SrTiO3").atoms
    variant = decorate(atoms, 3, substitution=0.0, max_strain=0.02)
    assert np.array_equal(variant.numbers, atoms.numbers)
    assert 0 < abs(variant.cell.lengths()[0] / 3.905 - 1) <= 0.02


def test_same_seed_same_variant_and_seeds_differ():
    atoms = prototype("Y3Al5O12").atoms
    assert decorate(atoms, 5) == decorate(atoms, 5)
    assert len({decorate(atoms, seed).get_chemical_formula() for seed in range(20)}) > 5


def test_forbidden_formulas_do_not_come_up():
    atoms = prototype("Cu").atoms
    formulas = {str(decorate(atoms, s, forbidden={"Au", "Cu"}).symbols[0]) for s in range(60)}
    assert not formulas & {"Au", "Cu"} and len(formulas) > 2


def test_a_variant_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="forbidden.*Cu"):
        decorate(prototype("Cu").atoms, 0, substitution=0.0, forbidden={"Cu"})
    with pytest.raises(InputError, match="substitution.*1.5"):
        decorate(prototype("Cu").atoms, 0, substitution=1.5)
    with pytest.raises(InputError, match="max_strain.*-0.1"):
        decorate(prototype("Cu").atoms, 0, max_strain=-0.1)
