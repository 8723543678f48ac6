"""Oriented specimens: the zone axis on the beam, nothing lost at the cuts, no edges in periodic slabs."""

import numpy as np
import pytest
from ase.geometry import cellpar_to_cell
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.specimen.geometry import mass_density
from rephase.specimen.orient import MARGIN_ANGSTROM, ZONE_AXES, cut_box, periodic_slab, zone_rotation
from rephase.specimen.prototypes import prototype

lengths = st.floats(2, 20)
angles = st.floats(65, 115)
cells = st.builds(cellpar_to_cell, st.tuples(lengths, lengths, lengths, angles, angles, angles))
zone_axes = st.tuples(*[st.integers(-3, 3)] * 3).filter(any)


@settings(deadline=None)
@given(cells, zone_axes, st.floats(-360, 360))
def test_zone_axis_points_along_the_beam(cell, zone_axis, rotation_deg):
    rotation = zone_rotation(cell, zone_axis, rotation_deg)
    beam = rotation @ (np.array(zone_axis) @ cell)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.allclose(beam[:2], 0, atol=1e-8) and beam[2] > 0


@settings(deadline=None)
@given(cells, zone_axes, st.floats(0, 360))
def test_in_plane_rotation_is_counterclockwise(cell, zone_axis, rotation_deg):
    turn = zone_rotation(cell, zone_axis, rotation_deg) @ zone_rotation(cell, zone_axis).T
    assert np.allclose(
        turn @ [1, 0, 0], [np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg)), 0]
    )


def test_the_seven_zone_axes_of_the_paper():
    assert len(set(ZONE_AXES)) == 7
    assert {(0, 0, 1), (1, 1, 0), (1, 1, 1)} <= set(ZONE_AXES)


def coordination(atoms, reach):
    """Number of neighbours within reach, sorted; of the atoms at least reach away from both faces."""
    first = neighbor_list("i", atoms, reach)
    counts = np.bincount(first, minlength=len(atoms))
    z = atoms.positions[:, 2]
    return counts[(z > z.min() + reach) & (z < z.max() - reach)] if not atoms.pbc[2] else counts


@pytest.mark.parametrize("zone_axis", ZONE_AXES)
@pytest.mark.parametrize("name", ["SrTiO3", "GaAs", "Au", "BaTiO3"])
def test_periodic_slab_has_the_surroundings_of_the_bulk(name, zone_axis):
    bulk = prototype(name).atoms
    slab = periodic_slab(bulk, zone_axis, (8, 8), 18)
    reach = 2.2 if "O" in bulk.symbols else 3.2  # between the first two shells, also when strained by 1 %
    inner = coordination(slab, reach)
    assert len(inner)
    assert set(inner) == set(coordination(bulk, reach))


@pytest.mark.parametrize("zone_axis", ZONE_AXES)
@pytest.mark.parametrize("name", ["SrTiO3", "MgO", "faujasite"])
def test_slab_of_whole_periods_has_the_density_of_the_bulk(name, zone_axis):
    bulk = prototype(name).atoms
    period = float(np.linalg.norm(np.array(zone_axis) @ bulk.cell.array))
    slab = periodic_slab(bulk, zone_axis, (5, 5), period)
    assert slab.info["strain"] < 1e-9
    slab.set_cell([*slab.cell.lengths()[:2], period])
    assert mass_density(slab) == pytest.approx(mass_density(bulk), rel=1e-9)


def handedness(atoms, element, reach=3.3):
    """A number that a rotation leaves alone and a mirror turns round, of the atoms away from the faces."""
    z = atoms.positions[:, 2]
    sites = np.flatnonzero(atoms.symbols == element)
    if not atoms.pbc[2]:
        sites = [i for i in sites if z.min() + reach < z[i] < z.max() - reach]
    centre, vectors, lengths = neighbor_list("iDd", atoms, reach)
    volumes = []
    for site in sites:
        v, d = vectors[centre == site], lengths[centre == site]
        products = np.einsum("ai,bcj,ij->abc", v, np.cross(v[:, None], v[None]), np.eye(3))
        volumes.append(np.einsum("abc,a,b,c", products, d, d**2, d**3))
    return np.mean(volumes)


@pytest.mark.parametrize("zone_axis", [(0, 0, 1), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
def test_a_slab_is_turned_and_not_mirrored(zone_axis):
    quartz = prototype("quartz").atoms  # a crystal with a hand
    slab = periodic_slab(quartz, zone_axis, (12, 12), 20)
    expected = handedness(quartz, "O")
    assert abs(expected) > 1e-3
    assert handedness(slab, "O") == pytest.approx(expected, rel=1e-6)


def test_slab_scatters_as_the_bulk_does():
    # In the zone [110] of a cubic crystal, all reflections have |g| a = sqrt(2 h^2 + l^2).
    slab = periodic_slab(prototype("SrTiO3").atoms, (1, 1, 0), (20, 20), 22)
    width, height = slab.cell.lengths()[:2]
    order = np.arange(-16, 17)
    k = np.array([(i / width, j / height, 0) for i in order for j in order])
    scattered = np.abs(np.exp(-2j * np.pi * k @ slab.positions.T) @ slab.numbers)
    lattice = [np.hypot(np.sqrt(2) * h, m) for h in range(20) for m in range(20)]
    of_bulk = np.isclose(np.linalg.norm(k, axis=1)[:, None] * 3.905, lattice).any(axis=1)
    bright = scattered > 1e-6 * scattered.max()
    assert bright.sum() > 20
    assert not np.any(bright & ~of_bulk)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["Cu", "SrTiO3", "Ti", "TiO2_rutile", "CaTiO3"]),
    st.sampled_from(ZONE_AXES),
    st.floats(3, 30),
    st.floats(3, 30),
    st.floats(3, 30),
)
def test_slab_is_at_least_the_box_and_inside_its_cell(name, zone_axis, width, height, thickness):
    try:
        slab = periodic_slab(prototype(name).atoms, zone_axis, (width, height), thickness)
    except InputError as error:
        assert name != "Cu" and "cut_box" in str(error)
        return
    cell = slab.cell.array
    assert np.allclose(cell, np.diag(np.diag(cell)))
    assert cell[0, 0] >= width - 1e-4 and cell[1, 1] >= height - 1e-4
    assert cell[2, 2] == pytest.approx(thickness + 2 * MARGIN_ANGSTROM)
    z = slab.positions[:, 2]
    assert z.min() >= MARGIN_ANGSTROM - 2e-3 and z.max() <= MARGIN_ANGSTROM + thickness
    assert slab.info["strain"] <= 0.01
    assert slab.pbc.tolist() == [True, True, False]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["Cu", "SrTiO3", "LiCoO2", "ZrO2"]), st.sampled_from(ZONE_AXES), st.floats(0, 360))
def test_cut_has_the_density_of_the_bulk(name, zone_axis, rotation_deg):
    bulk = prototype(name).atoms
    box, thickness = (41.0, 37.0), 33.0
    cut = cut_box(bulk, zone_axis, rotation_deg, box, thickness)
    assert np.allclose(cut.cell.lengths(), [*box, thickness + 2 * MARGIN_ANGSTROM])
    cut.set_cell([*box, thickness])
    # The faces hold a fraction of about one layer of atoms more or fewer.
    assert mass_density(cut) == pytest.approx(mass_density(bulk), rel=0.09)


def test_cut_fills_the_box_to_its_corners():
    cut = cut_box(prototype("Cu").atoms, (1, 1, 1), 17.0, (30, 20), 10)
    for corner in [(0, 0), (30, 0), (0, 20), (30, 20)]:
        assert np.linalg.norm(cut.positions[:, :2] - corner, axis=1).min() < 2.6


def test_cut_and_slab_hold_the_same_crystal():
    bulk, width, height = prototype("MgO").atoms, 4 * 4.212, 2 * 4.212
    cut = cut_box(bulk, (0, 0, 1), 0, (width, width), height)
    slab = periodic_slab(bulk, (0, 0, 1), (width, width), height)
    assert len(cut) == len(slab) == 16 * 2 * 8
    assert sorted(cut.numbers) == sorted(slab.numbers)


def test_a_particle_is_turned_about_its_centre_and_not_repeated():
    particle = prototype("Au").atoms.repeat(4)
    particle.center(vacuum=5)
    particle.pbc = False
    cut = cut_box(particle, (0, 0, 1), 30, (60, 60), 60)
    assert len(cut) == len(particle)
    assert np.allclose(cut.positions[:, :2].mean(axis=0), 30)
    assert len(cut_box(particle, (0, 0, 1), 30, (10, 10), 60)) < len(particle)


@pytest.mark.parametrize("thickness", [1.0, 0.0, -3.0, float("nan")])
def test_less_than_an_atomic_layer_is_refused(thickness):
    atoms = prototype("SrTiO3").atoms
    with pytest.raises(InputError, match="thickness_angstrom.*atomic layer.*1.95"):
        cut_box(atoms, (0, 0, 1), 0, (9, 9), thickness)
    with pytest.raises(InputError, match="thickness_angstrom.*atomic layer.*1.95"):
        periodic_slab(atoms, (0, 0, 1), (9, 9), thickness)


@pytest.mark.parametrize("zone_axis", [(0, 0, 0), (1, 0)])
def test_a_zone_axis_is_three_integers(zone_axis):
    with pytest.raises(InputError, match="zone_axis"):
        periodic_slab(prototype("Cu").atoms, zone_axis, (9, 9), 9)


def test_a_lattice_without_orthogonal_cell_is_named():
    with pytest.raises(InputError, match=r"\(0, 1, 1\).*cut_box"):
        periodic_slab(prototype("LiCoO2").atoms, (0, 1, 1), (9, 9), 9)


def test_a_slab_needs_a_crystal():
    atoms = prototype("Cu").atoms
    atoms.pbc = False
    with pytest.raises(InputError, match="periodic"):
        periodic_slab(atoms, (0, 0, 1), (9, 9), 9)
