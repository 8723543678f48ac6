"""The settings of sequences: parts share nothing, ranges are kept, rates mean what they say."""

import itertools
from typing import get_args

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.microscope.optics import wavelength
from rephase.sequence.processes import (
    MATERIALS,
    Part,
    Process,
    Recording,
    SequenceSettings,
    crystal,
    draw,
    materials,
    plan,
)
from rephase.sequence.simulate import scan_positions, trajectory
from rephase.specimen.prototypes import names, prototype
from rephase.specimen.transition import order_parameter

PARTS, PROCESSES = get_args(Part), get_args(Process)
MANY = plan(dict.fromkeys(PARTS, 60))


def drawn(process):
    return [one for one in MANY if one.process == process]


@pytest.mark.parametrize("process", PROCESSES)
def test_a_material_belongs_to_one_part_of_a_process(process):
    of_part = [set(MATERIALS[process][part]) for part in ("train", "validation", "test")]
    for one, other in itertools.combinations(of_part, 2):
        assert not one & other
    assert len(of_part[0]) >= 3 and all(len(some) >= 2 for some in of_part)
    assert materials(process, "test_seen") == materials(process, "train")


def test_crystals_of_the_library_stay_in_their_part():
    known = set(names())
    for process, part in itertools.product(PROCESSES, ("train", "validation", "test")):
        for material in known.intersection(MATERIALS[process][part]):
            assert prototype(material).split == part


def test_all_materials_of_a_part_are_used_and_no_others():
    for process, part in itertools.product(PROCESSES, PARTS):
        used = {one.material for one in drawn(process) if one.part == part}
        assert used == set(materials(process, part))


def test_no_sequence_is_in_two_parts():
    """Even where materials and seeds agree, nothing that was drawn does."""
    for name in ("energy_ev", "thickness_angstrom", "phonon_seed", "scan_centre", "change_s"):
        assert len({getattr(one, name) for one in MANY}) == len(MANY)


def test_the_same_arguments_give_the_same_settings_also_in_a_longer_plan():
    assert plan(dict.fromkeys(PARTS, 60)) == MANY
    longer = plan({"train": 3, "test": 9})
    assert all(one in longer for one in plan({"train": 2, "test": 5}))
    again = SequenceSettings.model_validate_json(MANY[0].model_dump_json())
    assert again.energy_ev == MANY[0].energy_ev and again.recording == MANY[0].recording


def test_what_is_drawn_fills_its_range():
    def between(values, low, high):
        values = np.array(values)
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high

    between([one.energy_ev for one in MANY], 80e3, 300e3)
    between([one.thickness_angstrom for one in MANY], 50, 500)
    between([one.semiangle_mrad / wavelength(one.energy_ev) / 1e3 for one in MANY], 0.08, 0.11)
    between([np.hypot(*one.tilt_mrad) for one in MANY], 0, 8)
    assert {len(one.motion.pins) for one in drawn("dislocation")} == {0, 1, 2}
    assert len({(one.motion.character, one.motion.line) for one in drawn("dislocation")}) == 3
    assert len({one.motion.slip_system for one in drawn("dislocation")}) == 6
    assert len({one.motion.zone_axis for one in drawn("transition")}) == 3


def test_rates_are_log_uniform_around_the_mean_gap():
    for gap in (10.0, 4.0):
        sequences = plan({"train": 200}, Recording(gap_s=gap))
        logs = np.log([one.change_s / gap for one in sequences]) / np.log(3)
        assert -1 <= logs.min() < -0.98 and 0.98 < logs.max() <= 1
        assert abs(logs.mean()) < 3 / np.sqrt(3 * len(logs))
        assert logs.std() == pytest.approx(1 / np.sqrt(3), rel=0.05)
        assert sequences[0].parameters()["change_gaps"] == pytest.approx(sequences[0].change_s / gap)


def test_a_place_turns_from_10_to_90_percent_in_the_time_of_change():
    for one in drawn("transition")[:5]:
        half = one.change_s / 2
        assert order_parameter(np.array([-half, half]), 0.0, one.motion.width_s) == pytest.approx([0.1, 0.9])


def test_a_core_passes_the_probe_in_the_time_of_change():
    for one in drawn("dislocation")[:5]:
        width = 0.51 * wavelength(one.energy_ev) / (1e-3 * one.semiangle_mrad)
        assert width / one.motion.speed_angstrom_per_s == pytest.approx(one.change_s)


def test_the_beam_brings_the_critical_dose_in_the_time_of_change():
    for one in drawn("damage")[:5]:
        assert one.motion.critical_dose / one.motion.dose_rate == pytest.approx(one.change_s)
        assert one.motion.energy_ev == one.energy_ev


def test_processes_begin_within_the_sequence():
    for name, process in (("onset_s", "transition"), ("arrival_s", "dislocation"), ("start_s", "damage")):
        assert all(0 <= getattr(one.motion, name) <= 80 for one in drawn(process))


@pytest.mark.parametrize("side", [1, 2, 3])
def test_the_scan_stays_in_the_middle_of_the_box(side):
    box = (20.0, 30.0, 100.0)
    for one in plan({"train": 60}, Recording(side=side)):
        at = scan_positions(one, box) / box[:2]
        assert at.shape == (side**2, 2)
        assert at.min() >= 0.15 and at.max() <= 0.85


@pytest.mark.parametrize("process", PROCESSES)
def test_every_material_moves_in_every_orientation(process):
    recording = Recording(frames=2, frame_s=90.0)
    names_of = [(part, name) for part in ("train", "validation", "test") for name in materials(process, part)]
    for (part, material), seed in itertools.product(names_of, range(3)):
        one = draw(process, material, part, seed, recording)
        thin = one.motion.model_copy(update={"thickness_angstrom": 12.0})
        moved = trajectory(one.model_copy(update={"motion": thin}), recording.times)
        assert len(moved.numbers) > 50 and max(moved.box_angstrom[:2]) < 35


def test_a_film_is_as_tetragonal_as_it_is_said_to_be():
    a, _, c = crystal("transition", "KNbO3").cell.lengths()
    assert (a, c) == pytest.approx((3.997, 4.063))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("transition", "SrTiO3", "train", 0), "SrTiO3"),
        (("melting", "SrTiO3", "test", 0), "melting"),
        (("damage", "Si", "exam", 0), "exam"),
    ],
)
def test_wrong_words_are_named(arguments, found):
    with pytest.raises(InputError, match=found):
        draw(*arguments, Recording())


def test_a_wrong_recording_is_named():
    with pytest.raises(InputError, match="frames"):
        Recording(frames=0)
    with pytest.raises(InputError, match="speed"):
        Recording(speed=1)
