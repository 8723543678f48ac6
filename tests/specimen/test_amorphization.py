"""Beam damage: order is lost at long range and kept at short range, light atoms go, seeds repeat."""

import numpy as np
import pytest
from ase.data import atomic_masses, atomic_numbers
from ase.neighborlist import neighbor_list
from scipy import constants
from scipy.integrate import quad

from rephase.errors import InputError
from rephase.specimen.amorphization import (
    AmorphizationSettings,
    evolve,
    keep_apart,
    knock_on_cross_section,
    persistent_walk,
)
from rephase.specimen.prototypes import prototype

SRTIO3, COPPER = prototype("SrTiO3").atoms, prototype("Cu").atoms
TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0])
A = 3.905
SHORTEST = {("Ti", "O"): A / 2, ("O", "O"): A / 2**0.5, ("Sr", "O"): A / 2**0.5, ("Ti", "Ti"): A}


def settings(**changes):
    defaults = {
        "box_angstrom": (14, 14),
        "thickness_angstrom": 14,
        "energy_ev": 300e3,
        "dose_rate": 1e5,
        "start_s": 0.0,
        "critical_dose": 1e5,
        "seed": 3,
    }
    return AmorphizationSettings(**(defaults | changes))


@pytest.fixture(scope="module")
def damaged():
    return evolve(SRTIO3, settings(), TIMES)


def walked(trajectory, index):
    return (trajectory.positions[index] - trajectory.positions[0]).astype(float)


def test_nothing_moves_before_the_beam_is_on():
    later = evolve(SRTIO3, settings(start_s=1.0), TIMES)
    assert np.array_equal(later.positions[0], later.positions[2])
    assert later.present[:3].all()
    assert np.allclose(neighbor_list("d", later.atoms(2), 2.2), A / 2, atol=1e-4)
    assert np.abs(walked(later, 3)).max() > 0.1


@pytest.mark.parametrize("fraction", [0.6, 0.8])
def test_no_pair_of_species_comes_closer_than_the_fraction_kept(fraction):
    moved = evolve(SRTIO3, settings(least_bond_fraction=fraction, saturation_angstrom=1.5), TIMES)
    for index in range(len(TIMES)):
        for pair, shortest in SHORTEST.items():
            distance = neighbor_list("d", moved.atoms(index), {pair: shortest})
            assert distance.min(initial=shortest) > fraction * shortest - 1e-3
    closest = neighbor_list("d", moved.atoms(-1), {("Ti", "O"): 2.0}).min()
    assert closest < (fraction + 0.05) * SHORTEST["Ti", "O"]  # and they do come close


def test_metals_find_room_too():
    moved = evolve(COPPER, settings(least_bond_fraction=0.85, saturation_angstrom=1.5), TIMES)
    assert neighbor_list("d", moved.atoms(-1), 2.5).min() > 0.85 * 3.61496 / 2**0.5 - 1e-3


def test_atoms_pushed_apart_are_moved_no_further_than_needed():
    # Across the periodic edge: 1 angstrom apart, to be kept at 1.5; the third atom is far away.
    numbers, positions = np.array([8, 8, 6]), np.array([[0.2, 5.0, 5.0], [19.2, 5.0, 5.0], [10.0, 5.0, 5.0]])
    apart = keep_apart(positions, numbers, np.full((9, 9), 1.5), np.array([20.0, 20.0]))
    assert np.array_equal(apart[2], positions[2])
    assert np.allclose(apart[:2].mean(axis=0), positions[:2].mean(axis=0))
    assert 1.5 <= 20 - (apart[1, 0] - apart[0, 0]) < 1.53
    assert np.array_equal(keep_apart(apart, numbers, np.full((9, 9), 1.5), np.array([20.0, 20.0])), apart)


def test_long_range_order_is_lost_and_short_range_order_kept(damaged):
    titanium = damaged.numbers == 22
    first, final = (
        abs(np.exp(2j * np.pi * 4 / A * damaged.positions[i, titanium, 0]).mean()) for i in (0, -1)
    )
    assert first == pytest.approx(1, abs=1e-4) and final < 0.3
    for index in (0, -1):
        atoms, z = damaged.atoms(index), damaged.positions[0, damaged.present[index], 2]
        counts = np.bincount(neighbor_list("i", atoms, {("Ti", "O"): 2.8}), minlength=len(atoms))
        inner = (atoms.symbols == "Ti") & (z > z.min() + 3) & (z < z.max() - 3)
        assert 4 < counts[inner].mean() < 7


def test_the_walk_grows_and_then_saturates():
    free = settings(least_bond_fraction=0.0, saturation_angstrom=0.7, energy_ev=8e4)
    alone = evolve(COPPER, free, TIMES * 10)
    length = [np.linalg.norm(walked(alone, index), axis=1) for index in range(len(TIMES))]
    rms = [np.sqrt(np.mean(v**2)) for v in length]
    assert np.all(np.diff(rms) > 0) and max(v.max() for v in length) < 0.7
    assert rms[-1] > 0.9 * 0.7


def test_the_free_walk_reaches_the_saturation_at_the_critical_dose():
    alone = evolve(COPPER, settings(least_bond_fraction=0.0, energy_ev=8e4, critical_dose=2e5), TIMES)
    square = np.sum(walked(alone, 3) ** 2, axis=1)
    free = square / (1 - square / 1.0**2)  # u = w / sqrt(1 + w^2 / s^2), turned round
    assert np.sqrt(free.mean()) == pytest.approx(1.0, rel=0.08)


@pytest.mark.parametrize("dose", [[0.02, 0.3, 2.0, 7.0], [2.0, 2.5, 7.0]])
def test_the_persistent_walk_has_its_mean_square_whatever_the_frames(dose):
    dose = np.array(dose)
    walks = np.stack(list(persistent_walk(np.random.default_rng(1), dose, 0.8, 20_000)))
    expected = 2 * 0.8 * (dose - 0.8 * (1 - np.exp(-dose / 0.8)))
    assert np.allclose(np.mean(walks**2, axis=(1, 2)), expected, rtol=0.03)
    assert np.abs(walks.mean(axis=1)).max() < 0.12


def test_steps_of_the_walk_are_correlated_over_the_persistence():
    dose = np.arange(1, 60) * 0.1
    walks = np.stack(list(persistent_walk(np.random.default_rng(2), dose, 1.0, 5000)))
    steps = np.diff(walks, axis=0)
    for apart in (1, 10, 30):
        found = np.mean(steps[0] * steps[apart]) / np.mean(steps[0] ** 2)
        assert found == pytest.approx(np.exp(-0.1 * apart), abs=0.06)


@pytest.mark.parametrize(("atomic_number", "energy_ev"), [(6, 100e3), (8, 300e3), (13, 200e3), (22, 1e6)])
def test_the_cross_section_is_the_integral_of_mckinley_and_feshbach(atomic_number, energy_ev):
    threshold, rest = 15.0, 510998.95
    mass = atomic_masses[atomic_number] * 931.49410242e6
    largest = 2 * energy_ev * (energy_ev + 2 * rest) / mass
    beta = np.sqrt(1 - 1 / (1 + energy_ev / rest) ** 2)
    radius = constants.value("classical electron radius") * 1e10

    def differential(energy):
        """Per eV, of transferring this energy."""
        part = energy / largest
        rutherford = np.pi * (atomic_number * radius) ** 2 * (1 - beta**2) / beta**4 * largest / energy**2
        coupling = np.pi * constants.fine_structure * atomic_number * beta
        return rutherford * (1 - beta**2 * part + coupling * (np.sqrt(part) - part))

    expected = quad(differential, threshold, largest, epsabs=0)[0]
    assert knock_on_cross_section(atomic_number, energy_ev, threshold) == pytest.approx(expected, rel=1e-6)


def test_carbon_is_displaced_above_86_kev():
    # A threshold of 17 eV, as in graphite.
    assert knock_on_cross_section(6, 85e3, 17.0) == 0 < knock_on_cross_section(6, 87e3, 17.0)
    heavier = [knock_on_cross_section(atomic_numbers[s], 120e3, 15.0) for s in ("C", "O", "Si", "Ti")]
    assert heavier[0] > 0 and heavier[2] == heavier[3] == 0


def test_light_atoms_go_as_the_cross_section_says():
    moved = evolve(SRTIO3, settings(dose_rate=1e6, critical_dose=1e9, box_angstrom=(23, 23)), TIMES)
    oxygen = moved.numbers == 8
    assert moved.present[:, ~oxygen].all()
    assert np.all(np.diff(moved.present.astype(int), axis=0) <= 0)
    for index, time in enumerate(TIMES):
        alive = np.exp(-knock_on_cross_section(8, 300e3, 20.0) * 1e6 * time)
        error = np.sqrt(alive * (1 - alive) / oxygen.sum())
        assert abs(moved.present[index, oxygen].mean() - alive) <= 4 * error
    assert moved.present[-1, oxygen].mean() < 0.7
    assert len(moved.atoms(-1)) == moved.present[-1].sum()
    assert evolve(SRTIO3, settings(energy_ev=8e4), TIMES).present.all()


def test_seeds_repeat_and_differ_and_more_frames_change_nothing(damaged):
    again, other = evolve(SRTIO3, settings(), TIMES), evolve(SRTIO3, settings(seed=4), TIMES)
    assert np.array_equal(again.positions, damaged.positions)
    assert np.array_equal(again.present, damaged.present)
    assert not np.allclose(other.positions[-1], damaged.positions[-1], atol=0.1)
    shorter = evolve(SRTIO3, settings(), TIMES[:3])
    assert np.allclose(shorter.positions[..., :2], damaged.positions[:3, :, :2], atol=1e-5)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: settings(dose_rate=0.0), "dose_rate"),
        (lambda: settings(least_bond_fraction=0.9), "least_bond_fraction"),
        (lambda: settings(seed=-1), "seed"),
        (lambda: evolve(SRTIO3, settings(box_angstrom=(3, 3)), TIMES), "box_angstrom.*periods above"),
        (lambda: evolve(SRTIO3, settings(), np.array([0.0, 0.0])), "times"),
        (
            lambda: keep_apart(np.eye(3)[:2], np.array([1, 1]), np.full((2, 2), 6.0), np.full(2, 9.0)),
            "periods above",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()
