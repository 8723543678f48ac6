"""Faujasite: the composition and density of the crystal in the smallest cell; USY without lone neighbours."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from rephase.errors import InputError
from rephase.specimen.geometry import mass_density, reduced_formula
from rephase.specimen.prototypes import prototype
from rephase.specimen.zeolite import T_SITES_APART_ANGSTROM, VIEWS, faujasite_slab, usy_slab

A = 24.2576
PERIODS = {(1, 1, 0): (A / 2**0.5, A, A / 2**0.5), (1, 1, 1): (A / 2**0.5, A * 1.5**0.5, A * 3**0.5)}


@pytest.mark.parametrize("view", VIEWS)
def test_slab_of_one_period_is_the_crystal(view):
    x, y, z = PERIODS[view]
    slab = faujasite_slab(view, (5, 5), z)
    assert slab.cell.lengths()[:2] == pytest.approx((x, y))
    assert slab.info["strain"] < 1e-9
    assert reduced_formula(slab) == "O2Si"
    slab.set_cell([x, y, z])
    slab.pbc = True
    assert mass_density(slab) == pytest.approx(mass_density(prototype("faujasite").atoms), rel=1e-9)
    silicon, oxygen = neighbor_list("ij", slab, 1.9)
    counts = np.bincount(silicon, minlength=len(slab))
    assert set(counts[slab.symbols == "Si"]) == {4} and set(counts[slab.symbols == "O"]) == {2}


def test_the_wide_channels_are_seen_along_110():
    slab = faujasite_slab((1, 1, 0), (30, 20), PERIODS[1, 1, 0][2])
    width, height = slab.cell.lengths()[:2]
    grid = np.stack(np.meshgrid(np.arange(0, width, 0.5), np.arange(0, height, 0.5)), axis=-1)
    vector = grid[..., None, :] - slab.positions[:, :2]
    vector -= np.round(vector / [width, height]) * [width, height]
    free = np.linalg.norm(vector, axis=-1).min(axis=-1)
    assert 2 * free.max() > 7.4  # the free aperture of the 12-ring; an atom's radius makes it wider here


def test_usy_lacks_t_atoms_that_share_no_oxygen():
    x, y, z = PERIODS[1, 1, 0]
    whole, slab = faujasite_slab((1, 1, 0), (30, 20), z), usy_slab((1, 1, 0), (30, 20), z, 0.08, seed=4)
    assert np.sum(slab.symbols == "O") == np.sum(whole.symbols == "O")
    silicon = np.sum(whole.symbols == "Si")
    assert np.sum(slab.symbols == "Si") == silicon - round(0.08 * silicon)
    left = {tuple(row) for row in slab.positions}
    gone = whole[[tuple(row) not in left for row in whole.positions]]
    assert len(neighbor_list("i", gone, T_SITES_APART_ANGSTROM)) == 0
    assert slab == usy_slab((1, 1, 0), (30, 20), z, 0.08, seed=4)
    assert slab != usy_slab((1, 1, 0), (30, 20), z, 0.08, seed=5)


def test_wrong_views_and_fractions_are_named():
    with pytest.raises(InputError, match="zone_axis"):
        faujasite_slab((0, 0, 0), (5, 5), 17)
    with pytest.raises(InputError, match="fraction"):
        usy_slab((1, 1, 0), (5, 5), 17, vacancy_fraction=0.9)
