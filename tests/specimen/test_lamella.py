"""Lamellae: the hole is empty and elliptic, the wedge linear, and bending keeps lengths."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair
from rephase.specimen.lamella import bend, hole, hole_edge, local_tilt_mrad, wedge
from rephase.specimen.orient import MARGIN_ANGSTROM, periodic_slab
from rephase.specimen.prototypes import prototype

A = 3.905
SLAB = periodic_slab(prototype("SrTiO3").atoms, (0, 0, 1), (12 * A, 10 * A), 8 * A)
MIDDLE = (6 * A, 5 * A)


@given(st.floats(5, 30), st.floats(5, 30), st.floats(0, 1.2), st.integers(0, 99))
def test_edge_is_the_ellipse_and_a_roughness_of_the_size_asked_for(a, b, roughness, seed):
    angle = np.arange(720) * np.pi / 360
    smooth, rough = hole_edge(angle, (a, b)), hole_edge(angle, (a, b), roughness, seed)
    assert (smooth * np.cos(angle) / a) ** 2 + (smooth * np.sin(angle) / b) ** 2 == pytest.approx(1)
    assert np.std(rough - smooth) == pytest.approx(roughness, abs=1e-9)
    assert np.mean(rough - smooth) == pytest.approx(0, abs=1e-9)
    assert rough.min() > 0


def test_the_hole_is_empty_and_the_rest_is_untouched():
    holed = hole(SLAB, MIDDLE, (11, 8))
    x, y = (SLAB.positions[:, :2] - MIDDLE).T
    outside = (x / 11) ** 2 + (y / 8) ** 2 > 1
    assert 0 < outside.sum() < len(SLAB)
    assert np.array_equal(holed.positions, SLAB.positions[outside])
    assert np.array_equal(holed.numbers, SLAB.numbers[outside])
    assert holed.pbc.tolist() == [True, True, False]


def test_the_rim_rises_from_nothing_to_the_full_thickness():
    holed = hole(SLAB, MIDDLE, (8, 8), rim_angstrom=10)
    away = np.hypot(*(holed.positions[:, :2] - MIDDLE).T) - 8
    middle = (SLAB.positions[:, 2].min() + SLAB.positions[:, 2].max()) / 2
    full = np.ptp(SLAB.positions[:, 2])
    assert np.all(2 * np.abs(holed.positions[:, 2] - middle) <= full * away / 10 + 3e-3)
    far = np.hypot(*(SLAB.positions[:, :2] - MIDDLE).T) > 18 + 1e-6
    assert np.sum(away > 10) == far.sum()
    near = (away > 4) & (away < 6)
    assert 0.35 * full < np.ptp(holed.positions[near, 2]) < 0.65 * full


def test_seeds_of_the_ragged_edge_repeat():
    ragged = [hole(SLAB, MIDDLE, (11, 8), roughness_angstrom=1.5, seed=s) for s in (1, 1, 2)]
    assert ragged[0] == ragged[1] != ragged[2]


def test_wedge_is_linear():
    thin = wedge(SLAB, 2 * A, 8 * A)
    width = SLAB.cell.lengths()[0]
    for x in np.unique(SLAB.positions[:, 0].round(6)):
        here = np.abs(thin.positions[:, 0] - x) < 1e-4
        depth = thin.positions[here, 2].max() - MARGIN_ANGSTROM
        left = 2 * A + 6 * A * x / width
        assert left - A / 2 - 1e-2 <= depth < left
    assert thin.pbc.tolist() == [False, True, False]
    assert len(wedge(SLAB, 8 * A, 8 * A)) == len(SLAB)


@pytest.mark.parametrize("tilt", [-60.0, 5.0, 20.0, 200.0])
def test_bending_keeps_the_arc_lengths_of_the_mid_plane(tilt):
    flat = SLAB.copy()
    width, _, height = flat.cell.lengths()
    row = np.flatnonzero(np.isclose(flat.positions[:, 1], 0, atol=1e-3))
    flat.positions[row, 2] = height / 2  # a row of atoms moved onto the mid-plane
    bent = bend(flat, tilt)
    radius = width / (2e-3 * tilt)
    line = bent.positions[row][np.argsort(flat.positions[row, 0])][:, [0, 2]]
    start, end = flat.positions[row, 0].min(), flat.positions[row, 0].max()
    chord = 2 * abs(radius) * np.sin((end - start) / 2 / abs(radius))
    assert np.linalg.norm(line[-1] - line[0]) == pytest.approx(chord, rel=1e-9)
    # Fitted circle: x^2 + z^2 = 2 x0 x + 2 z0 z + c
    fit, *_ = np.linalg.lstsq(np.c_[2 * line, np.ones(len(line))], (line**2).sum(axis=1), rcond=None)
    assert np.sqrt(fit[2] + fit[:2] @ fit[:2]) == pytest.approx(abs(radius), rel=1e-5)
    assert np.sign(fit[1] - line[:, 1].mean()) == np.sign(tilt)
    assert fit[0] == pytest.approx(bent.cell.lengths()[0] / 2, abs=1e-3)


def test_columns_lean_by_the_local_tilt():
    bent = bend(SLAB, 30)
    width, _, height = SLAB.cell.lengths()
    shift = bent.positions[:, 0] - bent.cell.lengths()[0] / 2 - (SLAB.positions[:, 0] - width / 2)
    tilt = 1e-3 * local_tilt_mrad(SLAB.positions[:, 0], width, 30)
    assert tilt.min() == pytest.approx(-0.03, abs=1e-4)
    assert shift == pytest.approx(-tilt * (SLAB.positions[:, 2] - height / 2), abs=4e-3)
    assert np.abs(shift).max() > 0.3
    assert np.array_equal(bent.positions[:, 1], SLAB.positions[:, 1])


def test_bonds_stretch_by_no_more_than_height_over_radius():
    flat = SLAB.copy()
    flat.pbc = (False, True, False)
    bent = bend(SLAB, 30)
    width, _, height = SLAB.cell.lengths()
    before, after = (neighbor_list("ijd", atoms, 2.2) for atoms in (flat, bent))
    before, after = (np.array(pairs)[:, np.lexsort(pairs[:2])] for pairs in (before, after))
    assert np.array_equal(before[:2], after[:2])
    strain = after[2] / before[2] - 1
    assert np.abs(strain).max() < height / 2 * 0.06 / width
    assert np.abs(strain).max() > 0.5 * height / 2 * 0.06 / width


def test_bent_lamella_is_whole_inside_its_cell():
    bent = bend(hole(wedge(SLAB, 5 * A, 8 * A), MIDDLE, (8, 6)), 40)
    assert np.all(bent.positions[:, [0, 2]] >= -2e-3)
    assert np.all(bent.positions <= bent.cell.lengths() + 1e-9)
    z = bent.positions[:, 2]
    assert z.min() == pytest.approx(MARGIN_ANGSTROM)
    assert bent.cell.lengths()[2] - z.max() == pytest.approx(MARGIN_ANGSTROM)
    assert bent.pbc.tolist() == [False, True, False]
    assert closest_pair(bent)[2] == pytest.approx(A / 2, rel=0.03)
    assert bend(SLAB, 0.0) == SLAB


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: wedge(SLAB, -1, A), "first_angstrom"),
        (lambda: wedge(SLAB, A, 99), "last_angstrom"),
        (lambda: wedge(SLAB, 0, 0), "none left"),
        (lambda: hole(SLAB, MIDDLE, (0, 3)), "semiaxes_angstrom"),
        (lambda: hole(SLAB, MIDDLE, (8, 8), roughness_angstrom=2.0), "roughness_angstrom"),
        (lambda: hole(SLAB, MIDDLE, (8, 8), rim_angstrom=-1), "rim_angstrom"),
        (lambda: hole(SLAB, (1.0,), (8, 8)), "centre_angstrom"),
        (lambda: hole(SLAB, MIDDLE, (99, 99)), "none left"),
        (lambda: bend(SLAB, 501), "max_tilt_mrad"),
        (lambda: bend(SLAB, float("nan")), "max_tilt_mrad"),
    ],
)
def test_wrong_numbers_are_named(call, name):
    with pytest.raises(InputError, match=name):
        call()
