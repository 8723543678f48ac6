"""Twisted bilayers: the angle of the closed form, both layers whole, and no seam in the periodic cell."""

import math

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.specimen.bilayer import interlayer_distance_angstrom, twist_angle_deg, twisted_bilayer
from rephase.specimen.geometry import closest_pair
from rephase.specimen.orient import MARGIN_ANGSTROM

indices = st.tuples(st.integers(1, 9), st.integers(1, 9))


def layer_of(bilayer, number):
    return bilayer[bilayer.get_array("layer") == number]


def bond_angle_deg(layer, reach):
    """Direction of the in-plane bonds from the first species, modulo 120 degrees."""
    i, vector = neighbor_list("iD", layer, reach)
    first = layer.numbers[i] == layer.numbers.max()
    if len(set(layer.numbers)) == 1:  # graphene: bonds of both sublattices, modulo 60 degrees
        return np.degrees(np.angle(np.mean(np.exp(6j * np.arctan2(vector[:, 1], vector[:, 0]))))) / 6
    return np.degrees(np.angle(np.mean(np.exp(3j * np.arctan2(vector[first, 1], vector[first, 0]))))) / 3


@pytest.mark.parametrize(
    ("m", "n", "angle"), [(1, 2, 21.787), (2, 3, 13.174), (3, 4, 9.430), (31, 32, 1.050)]
)
def test_known_angles(m, n, angle):
    assert twist_angle_deg(m, n) == pytest.approx(angle, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(indices, st.sampled_from([("graphene", 1.6, 60), ("MoS2", 2.6, 120)]))
def test_layers_are_turned_by_the_closed_form(mn, case):
    m, n = mn
    assume(math.gcd(m, n) == 1 and m != n and m * m + m * n + n * n < 130)
    material, reach, period = case
    bilayer = twisted_bilayer(material, m, n)
    turn = bond_angle_deg(layer_of(bilayer, 1), reach) - bond_angle_deg(layer_of(bilayer, 0), reach)
    expected = twist_angle_deg(m, n) * np.sign(n - m)
    assert (turn - expected + period / 2) % period == pytest.approx(period / 2, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(indices, st.sampled_from([("graphene", 1.6, {6: {3}}, 4), ("MoS2", 2.6, {42: {6}, 16: {3}}, 6)]))
def test_every_atom_has_its_neighbours_across_the_cell_edges(mn, case):
    m, n = mn
    assume(math.gcd(m, n) == 1)
    material, reach, coordination, atoms_per_rectangle = case
    bilayer = twisted_bilayer(material, m, n)
    assert len(bilayer) == 2 * atoms_per_rectangle * (m * m + m * n + n * n)
    assert np.allclose(bilayer.cell.array, np.diag(bilayer.cell.lengths()))
    width, height, _ = bilayer.cell.lengths()
    assert height == pytest.approx(math.sqrt(3) * width)
    counts = np.bincount(neighbor_list("i", bilayer, reach), minlength=len(bilayer))
    for number, expected in coordination.items():
        assert set(counts[bilayer.numbers == number]) == expected


@pytest.mark.parametrize(("material", "distance", "bond"), [("graphene", 3.354, 1.42), ("MoS2", 6.147, 2.37)])
def test_distances_are_those_of_the_bulk(material, distance, bond):
    bilayer = twisted_bilayer(material, 1, 2)
    below, above = (layer_of(bilayer, k).positions[:, 2].mean() for k in (0, 1))
    assert above - below == pytest.approx(distance, abs=2e-3)
    assert interlayer_distance_angstrom(material) == pytest.approx(distance, abs=2e-3)
    assert closest_pair(bilayer)[2] == pytest.approx(bond, rel=0.01)
    z = bilayer.positions[:, 2]
    assert z.min() == pytest.approx(MARGIN_ANGSTROM)
    assert bilayer.cell.lengths()[2] - z.max() == pytest.approx(MARGIN_ANGSTROM)


@pytest.mark.parametrize(("m", "n"), [(0, 1), (2, 4), (-1, 2)])
def test_indices_are_coprime_and_positive(m, n):
    with pytest.raises(InputError, match="coprime"):
        twisted_bilayer("graphene", m, n)


def test_unknown_material_is_named():
    with pytest.raises(InputError, match="'WSe2'.*graphene, MoS2"):
        twisted_bilayer("WSe2", 1, 2)
