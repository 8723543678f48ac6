"""The split by structure: nothing of the test set, nor made from it, is ever trained on."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.specimen.geometry import reduced_formula
from rephase.specimen.prototypes import names, prototype
from rephase.specimen.split import draw_variant, held_out_formulas, members

PARTS = ["train", "validation", "test"]


def test_parts_are_disjoint_and_complete():
    parts = [set(members(part)) for part in PARTS]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) == set(names())


def test_the_materials_that_the_papers_test_on_are_in_the_test_set():
    assert {"graphene", "MoS2", "SrTiO3", "Au", "MgO", "faujasite", "GaAs"} <= set(members("test"))


def test_a_material_is_in_one_part_under_all_its_names():
    # Graphite is stacked graphene, and the MoS2 layer a layer of the crystal.
    assert {"graphene", "graphite", "MoS2", "MoS2_monolayer"} <= set(members("test"))


def test_structure_types_can_be_left_out():
    perovskites = {"cubic perovskite", "tetragonal perovskite", "GdFeO3 perovskite"}
    left = members("train", exclude_types=perovskites)
    assert "BaTiO3" in members("train") and "BaTiO3" not in left
    assert not perovskites & {prototype(name).structure_type for name in left}


def test_no_crystal_is_in_two_parts_under_two_names():
    kinds = [{(prototype(n).structure_type, prototype(n).formula) for n in members(part)} for part in PARTS]
    assert sum(map(len, kinds)) == len(set.union(*kinds))


def test_substitution_in_the_training_set_never_leads_to_a_held_out_material():
    held_out = held_out_formulas("train")
    assert {prototype(name).formula for name in members("test")} <= held_out
    drawn = [draw_variant("train", seed) for seed in range(250)]
    assert {name for name, _ in drawn} <= set(members("train"))
    for name, variant in drawn:
        assert reduced_formula(variant) not in held_out - {prototype(name).formula}, name
    assert len({name for name, _ in drawn}) > 40


def test_drawing_repeats_with_its_seed():
    (name, one), (same, again) = draw_variant("train", 7), draw_variant("train", 7)
    assert name == same
    assert np.array_equal(one.numbers, again.numbers) and np.array_equal(one.positions, again.positions)


def test_unknown_part_or_type_is_named():
    with pytest.raises(InputError, match="part.*'dev'.*validation"):
        members("dev")
    with pytest.raises(InputError, match="part.*'dev'"):
        held_out_formulas("dev")
    with pytest.raises(InputError, match="exclude_types.*'perovskit'.*cubic perovskite"):
        members("train", exclude_types=["perovskit"])
