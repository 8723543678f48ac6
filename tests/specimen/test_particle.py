"""Particles: bounded by the facets asked for at the distances asked for, whole inside."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair
from rephase.specimen.orient import MARGIN_ANGSTROM
from rephase.specimen.particle import faceted_particle, plane_family
from rephase.specimen.prototypes import prototype

A = 4.212
MGO = prototype("MgO").atoms
CUBE = {(1, 0, 0): 2.5 * A}


@pytest.mark.parametrize(
    ("name", "hkl", "number"),
    [("MgO", (1, 0, 0), 6), ("MgO", (1, 1, 1), 8), ("MgO", (1, 1, 0), 12), ("MgO", (1, 2, 3), 48)]
    + [("TiO2_rutile", (1, 0, 0), 4), ("TiO2_rutile", (0, 0, 1), 2), ("graphite", (1, 0, 0), 6)],
)
def test_a_family_has_the_multiplicity_of_the_lattice(name, hkl, number):
    family = plane_family(prototype(name).atoms.cell.array, hkl)
    assert len(family) == number
    assert list(hkl) in family.tolist()


def test_cube_holds_the_atoms_of_its_lattice():
    cube = faceted_particle(MGO, CUBE, (0, 0, 1))
    assert len(cube) == 11**3
    assert abs(np.sum(cube.symbols == "Mg") - np.sum(cube.symbols == "O")) == 1
    even = faceted_particle(MGO, {(1, 0, 0): 2.25 * A}, (0, 0, 1), centre=(0.25, 0.25, 0.25))
    assert len(even) == 10**3 and np.sum(even.symbols == "Mg") == 500


def test_facets_lie_at_their_distances_and_nothing_beyond():
    facets = {(1, 0, 0): 2.5 * A, (1, 1, 0): 4 * A / np.sqrt(2), (1, 1, 1): 5 * A / np.sqrt(3)}
    particle = faceted_particle(MGO, facets, (0, 0, 1), vacuum_angstrom=7)
    from_centre = particle.positions - particle.cell.lengths() / 2
    for hkl, distance in facets.items():
        for plane in plane_family(MGO.cell.array, hkl):
            height = from_centre @ plane / np.linalg.norm(plane)
            assert height.max() == pytest.approx(distance, abs=1e-6)
            assert np.sum(height > distance - 1e-6) >= 3


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 1, 0)]), st.floats(0, 90))
def test_every_view_is_of_the_same_particle_in_the_middle_of_its_box(zone_axis, rotation_deg):
    facets = {(1, 0, 0): 2 * A, (1, 1, 0): 2.4 * A}
    reference = faceted_particle(MGO, facets, (0, 0, 1))
    turned = faceted_particle(MGO, facets, zone_axis, rotation_deg, vacuum_angstrom=6)
    for atoms in (reference, turned):
        atoms.radii = np.sort(np.linalg.norm(atoms.positions - atoms.cell.lengths() / 2, axis=1))
    assert np.allclose(reference.radii, turned.radii)
    beyond = turned.cell.lengths() - turned.positions.max(axis=0)
    assert np.allclose(turned.positions.min(axis=0), [6, 6, MARGIN_ANGSTROM])
    assert np.allclose(beyond, [6, 6, MARGIN_ANGSTROM])
    assert not turned.pbc.any()


def test_zone_axis_is_on_the_beam():
    cube = faceted_particle(MGO, CUBE, (1, 1, 0))
    rows = cube.positions[:, 2] - cube.positions[:, 2].min()
    assert np.allclose(rows % (A / np.sqrt(8)), 0, atol=1e-6) or np.allclose(
        np.minimum(rows % (A / np.sqrt(8)), -rows % (A / np.sqrt(8))), 0, atol=1e-6
    )
    assert np.ptp(cube.positions[:, 2]) == pytest.approx(5 * A * np.sqrt(2))


def test_inside_is_the_bulk():
    cube = faceted_particle(MGO, CUBE, (1, 1, 1))
    neighbours = np.bincount(neighbor_list("i", cube, 2.3), minlength=len(cube))
    assert np.sum(neighbours == 6) == 9**3
    assert neighbours.min() == 3
    assert closest_pair(cube)[2] == pytest.approx(A / 2)


@pytest.mark.parametrize(
    ("facets", "message"),
    [
        ({}, "enclose"),
        ({(1, 0, 0): -3.0}, "distance above 0"),
        ({(1, 0, 0): float("nan")}, "distance above 0"),
        ({(0, 0, 0): 3.0}, "Miller"),
    ],
)
def test_facets_that_enclose_nothing_are_refused(facets, message):
    with pytest.raises(InputError, match=message):
        faceted_particle(MGO, facets, (0, 0, 1))


def test_open_bodies_and_empty_ones_are_refused():
    with pytest.raises(InputError, match="enclose a body"):
        faceted_particle(prototype("TiO2_rutile").atoms, {(1, 0, 0): 9.0}, (0, 0, 1))
    with pytest.raises(InputError, match="no atom"):
        faceted_particle(MGO, {(1, 0, 0): 0.3}, (0, 0, 1), centre=(0.25, 0.25, 0.25))
    with pytest.raises(InputError, match="vacuum_angstrom"):
        faceted_particle(MGO, CUBE, (0, 0, 1), vacuum_angstrom=-1)
