"""Rods: the thickness of the circle, the density of the bulk, no seam along the rod."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.specimen.orient import MARGIN_ANGSTROM
from rephase.specimen.prototypes import prototype
from rephase.specimen.rod import rod_edge, rod_radius_angstrom, rod_thickness

GOLD = prototype("Au").atoms
VOLUME = 4.0782**3 / 4  # of one atom
VIEWS = [((1, 1, 0), (0, 0, 1)), ((0, 0, 1), (1, 0, 0)), ((1, 1, 0), (1, -1, 0))]


def edge(zone_axis=(1, 1, 0), rod_axis=(0, 0, 1), **changed):
    sizes = dict(thickness_angstrom=90.0, width_angstrom=35.0, length_angstrom=12.0, vacuum_angstrom=10.0)
    return rod_edge(GOLD, zone_axis, rod_axis, **(sizes | changed))


@given(st.floats(10, 200), st.floats(0.05, 0.5))
def test_thickness_is_reached_where_it_is_asked_for(thickness, share):
    width = share * thickness
    radius = rod_radius_angstrom(thickness, width)
    assert rod_thickness(np.array([-1.0, 0, width, radius, 2 * radius + 1]), radius) == pytest.approx(
        [0, 0, thickness, 2 * radius, 0], rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize(("zone_axis", "rod_axis"), VIEWS)
def test_atoms_fill_the_segment_of_the_circle(zone_axis, rod_axis):
    rod = edge(zone_axis, rod_axis, beyond_angstrom=6.0)
    radius = rod_radius_angstrom(90, 35)
    length = rod.cell.lengths()[1]
    bounds = np.arange(0, 42, 8.0)
    found, _ = np.histogram(rod.positions[:, 0] - 10, bounds)
    fine = np.linspace(0, 40, 4001)
    area = np.histogram(fine[:-1], bounds, weights=rod_thickness(fine[:-1], radius) * 0.01)[0]
    assert found * VOLUME / length == pytest.approx(area, rel=0.15)
    across = np.linspace(0, 41, 4001)
    total = np.trapezoid if hasattr(np, "trapezoid") else np.trapz
    whole = total(rod_thickness(across, radius), across)
    assert len(rod) * VOLUME / length == pytest.approx(whole, rel=0.04)


def test_no_atom_is_outside_of_the_cylinder_and_none_is_missing_inside():
    rod = edge()
    radius = rod_radius_angstrom(90, 35)
    x, _, z = rod.positions.T
    from_axis = np.hypot(x - 10 - radius, z - rod.cell.lengths()[2] / 2)
    assert from_axis.max() <= radius + 2e-3
    neighbours = np.bincount(neighbor_list("i", rod, 3.2), minlength=len(rod))
    inner = (from_axis < radius - 3.2) & (x < rod.cell.lengths()[0] - 3.2)
    assert inner.sum() > 500
    assert set(neighbours[inner]) == {12}  # also across the cell's ends along y


@pytest.mark.parametrize(("zone_axis", "rod_axis"), VIEWS)
def test_rod_lies_along_y_in_its_cell(zone_axis, rod_axis):
    rod = edge(zone_axis, rod_axis)
    assert rod.pbc.tolist() == [False, True, False]
    period = np.linalg.norm(np.array(rod_axis) @ GOLD.cell.array)
    width, length, height = rod.cell.lengths()
    assert width == pytest.approx(45)
    assert length >= 12 and length / period == pytest.approx(round(length / period))
    assert height == pytest.approx(90 + 2 * MARGIN_ANGSTROM)
    moved = rod.copy()
    moved.positions[:, 1] = (moved.positions[:, 1] + period + 1e-2) % length - 1e-2

    def places(atoms):
        return {tuple(row) for row in atoms.positions.round(2) + 0.0}

    assert places(moved) == places(rod)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"thickness_angstrom": -1.0}, "thickness_angstrom"),
        ({"width_angstrom": 46.0}, "width_angstrom.*half the thickness"),
        ({"width_angstrom": 0.0}, "width_angstrom"),
        ({"length_angstrom": 0.0}, "length_angstrom"),
        ({"vacuum_angstrom": -1.0}, "vacuum_angstrom"),
        ({"beyond_angstrom": 90.0}, "beyond_angstrom.*rod ends"),
        ({"rod_axis": (1, 1, 1)}, "rod_axis.*right angles"),
    ],
)
def test_wrong_sizes_are_named(changed, name):
    with pytest.raises(InputError, match=name):
        edge(**changed)
