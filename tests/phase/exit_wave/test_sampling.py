"""Drawing samples: within the ranges, repeatable, split by crystal, and knowing what lies outside."""

import json
import math

import numpy as np
import pytest
from pydantic import ValidationError

from rephase.errors import InputError
from rephase.microscope.optics import wavelength
from rephase.phase.exit_wave.sampling import Ranges, draw
from rephase.specimen.prototypes import catalogue, prototype
from rephase.specimen.split import members

RANGES = Ranges()


@pytest.fixture(scope="module")
def draws():
    return [draw("train", seed, RANGES) for seed in range(300)]


def test_every_parameter_lies_in_its_range_and_fills_it(draws):
    table = {key: np.array([d.parameters()[key] for d in draws]) for key in draws[0].parameters()}
    for name in ("semiangle_mrad", "aperture_px", "step_angstrom", "thickness_angstrom"):
        low, high = getattr(RANGES, name)
        width = high - low
        assert low <= table[name].min() < low + 0.05 * width
        assert high - 0.05 * width < table[name].max() <= high
    assert set(table["energy_ev"]) == set(RANGES.energies_ev)
    assert len(set(table["zone_axis"])) == 7
    assert np.ptp(table["rotation_deg"]) > 350


def test_the_step_is_uniform_in_its_logarithm(draws):
    low, high = RANGES.step_angstrom
    below = np.mean([d.step_angstrom < math.sqrt(low * high) for d in draws])
    assert abs(below - 0.5) < 0.1


def test_crystals_come_from_their_part_alone(draws):
    assert {d.crystal for d in draws} <= set(members("train"))
    assert len({d.crystal for d in draws}) > 50
    assert all(draw("test", seed, RANGES).crystal in members("test") for seed in range(5))


def test_excluded_structure_types_are_not_drawn():
    types = {crystal.name: crystal.structure_type for crystal in catalogue()}
    without = Ranges(exclude_types=("tetragonal perovskite", "bcc"))
    drawn = {types[draw("train", seed, without).crystal] for seed in range(150)}
    assert len(drawn) > 20 and not drawn & {"tetragonal perovskite", "bcc"}
    with pytest.raises(InputError, match="exclude_types: found 'perovskit'"):
        draw("train", 0, Ranges(exclude_types=("perovskit",)))


def test_a_seed_gives_the_same_sample_and_another_seed_or_part_another():
    first, again = draw("train", 7, RANGES), draw("train", 7, RANGES)
    assert first.parameters() == again.parameters()
    np.testing.assert_array_equal(first.unit_cell.positions, again.unit_cell.positions)
    others = draw("train", 8, RANGES), draw("validation", 7, RANGES)
    assert all(other.rotation_deg != first.rotation_deg for other in others)


def test_the_defocus_is_scherzers_and_the_box_holds_the_aperture(draws):
    for d in draws[:20]:
        length = wavelength(d.optics.energy_ev)
        assert d.optics.cs_angstrom == 1e4
        assert math.isclose(d.optics.defocus_angstrom, math.sqrt(1.5 * 1e4 * length))
        side = d.parameters()["box_angstrom"]
        assert math.isclose(side, d.aperture_px * length / (1e-3 * d.optics.semiangle_mrad))


def test_the_largest_box_bounds_all_boxes_and_leaves_the_energies():
    ranges = Ranges(largest_box_angstrom=30.0)
    draws = [draw("train", seed, ranges) for seed in range(150)]
    assert max(d.frame.box_angstrom for d in draws) <= 30
    assert {d.optics.energy_ev for d in draws} == set(RANGES.energies_ev)
    with pytest.raises(ValidationError, match="largest_box_angstrom: at least 26.8"):
        Ranges(largest_box_angstrom=20.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"semiangle_mrad": (30, 5)},
        {"configurations": 0},
        {"aperture_px": (9, 40)},
        {"dose": 3},
        {"repeated_share": 1.1},
    ],
)
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Ranges(**wrong)


def test_ranges_survive_being_saved_as_json():
    ranges = Ranges(largest_box_angstrom=60.0, exclude_types=("bcc",))
    assert Ranges(**json.loads(ranges.model_dump_json())) == ranges
    assert Ranges(**json.loads(RANGES.model_dump_json())) == RANGES


def test_a_scan_within_the_ranges_has_nothing_outside():
    assert RANGES.outside(RANGES.optics(250e3, 22.0), 0.2) == {}


def test_what_lies_outside_is_named_with_how_much():
    found = RANGES.outside(RANGES.optics(20e3, 33.0), 2.832)
    assert found == {
        "energy_ev": "20000 eV, 0.667 times the lowest, 30000",
        "semiangle_mrad": "33 mrad, 1.1 times the highest, 30",
        "step_angstrom": "2.832 angstrom, 2 times the highest, 1.416",
    }


def test_a_defocus_is_outside_once_it_bends_the_wave_by_more_than_an_eighth():
    known = RANGES.optics(300e3, 20.0)
    an_eighth = math.pi / 4 / (math.pi / wavelength(300e3) * (20e-3) ** 2)  # chi = pi df alpha^2 / wavelength
    nearly, beyond = (
        known.model_copy(update={"defocus_angstrom": known.defocus_angstrom + factor * an_eighth})
        for factor in (0.98, 1.02)
    )
    assert RANGES.outside(nearly, 0.2) == {}
    assert "0.8 rad from Cs 10000 angstrom" in RANGES.outside(beyond, 0.2)["aberrations"]


def test_named_crystals_are_drawn_as_they_are():
    ranges = Ranges(crystals=("Au", "SrTiO3"))
    drawn = [draw("test", seed, ranges) for seed in range(20)]
    rows = [one.parameters() for one in drawn]
    assert {(row["crystal"], row["formula"]) for row in rows} == {("Au", "Au"), ("SrTiO3", "O3SrTi")}
    for one in drawn:
        assert one.unit_cell == prototype(one.crystal).atoms
    assert [draw("test", seed, ranges).parameters() for seed in range(20)] == rows
    assert Ranges(**json.loads(ranges.model_dump_json())) == ranges
    with pytest.raises(InputError, match="SrTiO"):
        draw("test", 0, Ranges(crystals=("SrTiO",)))


def test_a_share_of_the_samples_repeats_data_and_is_otherwise_the_same(draws):
    rows = [d.parameters() for d in draws]
    assert {row["repeat_box"] for row in rows} == {1, 5}
    assert abs(np.mean([row["repeat_box"] == 5 for row in rows]) - RANGES.repeated_share) < 0.06
    for share, box in ((0.0, 1), (1.0, 5)):
        ranges = Ranges(repeated_share=share)
        for seed in range(30):
            assert draw("train", seed, ranges).parameters() == rows[seed] | {"repeat_box": box}
