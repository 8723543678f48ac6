"""Aperiodic objects: vacancies that never touch, and close pairs of the separations asked for."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.specimen.bilayer import twisted_bilayer
from rephase.specimen.defects import atom_pairs, vacancies
from rephase.specimen.geometry import closest_pair
from rephase.specimen.orient import MARGIN_ANGSTROM

BILAYER = twisted_bilayer("graphene", 2, 3)
MOS2 = twisted_bilayer("MoS2", 1, 2)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 0.12), st.integers(0, 1000))
def test_vacancies_are_as_many_as_asked_for_and_never_neighbours(fraction, seed):
    holed = vacancies(BILAYER, fraction, seed)
    assert len(holed) == len(BILAYER) - round(fraction * len(BILAYER))
    left = {tuple(row) for row in holed.positions}
    gone = BILAYER[[tuple(row) not in left for row in BILAYER.positions]]
    assert len(gone) + len(holed) == len(BILAYER)
    assert len(neighbor_list("i", gone, 1.6)) == 0
    # Each atom that is left lost at most its bonds to the vacancies: three bonds a vacancy in all.
    assert len(neighbor_list("i", holed, 1.6)) == 3 * len(BILAYER) - 6 * len(gone)
    assert holed.pbc.tolist() == BILAYER.pbc.tolist() and np.all(holed.cell == BILAYER.cell)


def test_seeds_repeat_and_differ():
    one, same, other = (vacancies(BILAYER, 0.05, seed) for seed in (7, 7, 8))
    assert one == same != other
    first, again, second = (atom_pairs((40, 40), 20, "Si", (0.6, 1.4), seed) for seed in (7, 7, 8))
    assert first == again != second


def test_one_element_and_a_wider_distance():
    holed = vacancies(MOS2, 0.125, 3, element="S", apart_angstrom=3.5)
    assert np.sum(holed.symbols == "Mo") == np.sum(MOS2.symbols == "Mo")
    assert np.sum(holed.symbols == "S") == round(0.875 * np.sum(MOS2.symbols == "S"))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.4, 1.0), st.floats(0, 1), st.integers(0, 1000))
def test_pairs_have_their_separations_and_keep_apart(low, spread, seed):
    box = (40.0, 30.0)
    pairs = atom_pairs(box, 20, "C", (low, low + spread), seed, apart_angstrom=3.0)
    assert len(pairs) == 40 and pairs.pbc.tolist() == [True, True, False]
    assert np.all(pairs.positions >= 0) and np.all(pairs.positions <= pairs.cell.lengths())
    vector = pairs.positions[:, None, :2] - pairs.positions[None, :, :2]
    vector -= np.round(vector / box) * box
    distance = np.linalg.norm(vector, axis=-1)
    partner = np.arange(40) ^ 1
    own = distance[np.arange(40), partner]
    assert np.allclose(own, pairs.arrays["separation_angstrom"])
    assert own.min() >= low - 1e-9 and own.max() <= low + spread + 1e-9
    distance[np.arange(40), partner] = distance[np.arange(40), np.arange(40)] = np.inf
    assert distance.min() >= 3.0 - 1e-9


def test_pairs_point_everywhere_and_are_no_lattice():
    pairs = atom_pairs((150, 150), 300, "C", (0.6, 1.4), 1)
    vector = pairs.positions[1::2, :2] - pairs.positions[::2, :2]
    vector -= np.round(vector / 150) * 150
    angle = np.arctan2(vector[:, 1], vector[:, 0])
    assert abs(np.exp(2j * angle).mean()) < 0.15 and abs(np.exp(6j * angle).mean()) < 0.15
    k = np.arange(1, 120) / 150
    for axis in (0, 1):
        structure = np.abs(np.exp(-2j * np.pi * np.outer(k, pairs.positions[:, axis])).sum(axis=1)) ** 2
        assert structure.max() < 25 * len(pairs)  # a lattice would have a peak of len^2


def test_pairs_lie_in_two_planes():
    pairs = atom_pairs((30, 30), 10, "C", (0.6, 1.4), 2)
    assert pairs.positions[::2, 2] == pytest.approx(MARGIN_ANGSTROM)
    assert pairs.positions[1::2, 2] == pytest.approx(MARGIN_ANGSTROM + 3.354)
    assert pairs.cell.lengths()[2] == pytest.approx(3.354 + 2 * MARGIN_ANGSTROM)
    assert closest_pair(pairs)[2] > 3.354


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: vacancies(BILAYER, 1.0, 0), "fraction"),
        (lambda: vacancies(BILAYER, 0.6, 0), "fraction.*neighbours"),
        (lambda: vacancies(BILAYER, 0.1, 0, element="Si"), "element"),
        (lambda: atom_pairs((20, 20), 0, "C", (0.6, 1.4), 0), "count"),
        (lambda: atom_pairs((20, 20), 500, "C", (0.6, 1.4), 0), "count.*at most"),
        (lambda: atom_pairs((20, 20), 5, "Xx", (0.6, 1.4), 0), "element"),
        (lambda: atom_pairs((20, 20), 5, "C", (1.4, 0.6), 0), "separation_angstrom"),
        (lambda: atom_pairs((20, 3), 5, "C", (0.6, 1.4), 0), "box_angstrom"),
        (lambda: atom_pairs((20, 20), 5, "C", (0.6, 1.4), 0, apart_angstrom=-1.0), "apart_angstrom"),
    ],
)
def test_what_cannot_be_is_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()
