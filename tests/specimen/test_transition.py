"""Cubic to tetragonal: the two end states are known crystals, what lies between follows eta and eta^2."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from scipy.integrate import quad

from rephase.errors import InputError
from rephase.specimen.prototypes import prototype
from rephase.specimen.transition import TRIADS, TransitionSettings, evolve, order_parameter, polarised

PBTIO3 = prototype("PbTiO3").atoms
A, _, C = PBTIO3.cell.lengths()
CUBIC = (A * A * C) ** (1 / 3)
TIMES = np.array([-40.0, -1.0, 0.0, 0.5, 40.0])  # in widths from the onset


def settings(**changes):
    return TransitionSettings(
        **({"box_angstrom": (28, 28), "thickness_angstrom": 12, "onset_s": 0.0, "width_s": 1.0} | changes)
    )


def from_middle(trajectory):
    """Lateral places at the first time, as fractions of the box, 0 in its middle."""
    return trajectory.positions[0, :, :2] / trajectory.box_angstrom[:2] - 0.5


def oxygen_around_titanium(trajectory, index):
    """Vectors to the neighbours of titanium well inside of the slab and of the free region."""
    atoms = trajectory.atoms(index)
    z = trajectory.positions[index, :, 2]
    middle = np.abs(from_middle(trajectory)).max(axis=1) < 0.22
    inner = middle & (z > z.min() + 3) & (z < z.max() - 3) & (trajectory.numbers == 22)
    first, second, vectors = neighbor_list("ijD", atoms, 2.5)
    pair = inner[first] & (trajectory.numbers[second] == 8)
    return np.flatnonzero(inner), first[pair], vectors[pair]


def bulk_vectors():
    first, second, vectors = neighbor_list("ijD", PBTIO3, 2.5)
    return vectors[(PBTIO3.numbers[first] == 22) & (PBTIO3.numbers[second] == 8)]


@pytest.mark.parametrize("domain", ["x", "y", "z"])
def test_it_ends_as_the_tetragonal_crystal_with_c_along_the_domain(domain):
    moved = evolve(PBTIO3, settings(domain=domain), TIMES)
    expected = np.roll(bulk_vectors(), "xyz".index(domain) + 1, axis=1)
    titanium, first, vectors = oxygen_around_titanium(moved, -1)
    assert len(titanium) >= 9
    for site in titanium:
        found = vectors[first == site]
        distance = np.linalg.norm(found[:, None] - expected, axis=-1)
        assert len(found) == 6 and distance.min(axis=0).max() < 1e-4


@pytest.mark.parametrize("domain", ["x", "z"])
@pytest.mark.parametrize("zone_axis", list(TRIADS))
def test_both_ends_in_every_zone(zone_axis, domain):
    moved = evolve(PBTIO3, settings(domain=domain, zone_axis=zone_axis, thickness_angstrom=14), TIMES)
    for index, expected in ((0, [CUBIC / 2] * 6), (-1, np.sort(np.linalg.norm(bulk_vectors(), axis=1)))):
        titanium, first, vectors = oxygen_around_titanium(moved, index)
        assert len(titanium)
        for site in titanium:
            found = np.sort(np.linalg.norm(vectors[first == site], axis=1))
            assert np.allclose(found, expected, atol=2e-4)


def strained(moved, index):
    """Lead of the free region: places about the middle of the box, and how far it has moved, in the plane."""
    q = from_middle(moved)
    lead = (moved.numbers == 82) & (np.abs(q).max(axis=1) < 0.34)
    shift = moved.positions[index, lead, :2] - moved.positions[0, lead, :2]
    return q[lead] * moved.box_angstrom[:2], shift


def test_strain_goes_with_the_square_of_the_order_parameter():
    moved = evolve(PBTIO3, settings(domain="x"), TIMES)
    for index, eta in enumerate(1 / (1 + np.exp(-TIMES))):
        place, shift = strained(moved, index)
        assert np.allclose(shift, eta**2 * np.array([C / CUBIC - 1, A / CUBIC - 1]) * place, atol=1e-4)


@pytest.mark.parametrize(("domain", "edge"), [("x", A), ("y", A), ("z", C)])
def test_the_cubic_c_lies_along_x_in_the_zone_110(domain, edge):
    moved = evolve(PBTIO3, settings(zone_axis=(1, 1, 0), domain=domain), TIMES)
    place, shift = strained(moved, -1)
    assert np.allclose(shift[:, 0], (edge / CUBIC - 1) * place[:, 0], atol=1e-4)


def test_ions_move_along_the_domain_in_proportion_to_eta():
    moved = evolve(PBTIO3, settings(domain="z"), TIMES)
    middle = np.abs(from_middle(moved)).max(axis=1) < 0.3
    heights = moved.positions[..., 2].astype(float)
    eta = order_parameter(TIMES, 0.0, 1.0)
    strain = eta**2 * (C / CUBIC - 1)
    plane = heights[0] - heights[0].min()
    lead = heights[:, middle & (moved.numbers == 82) & (plane < 0.1)].mean(axis=1)
    titanium = heights[:, middle & (moved.numbers == 22) & (plane < CUBIC)].mean(axis=1)
    ion = titanium - lead - CUBIC / 2 * (1 + strain)
    assert np.allclose(ion, eta * (PBTIO3.get_scaled_positions()[1, 2] - 0.5) * C, atol=1e-4)


def test_the_order_parameter_is_symmetric_about_its_onset():
    late = np.linspace(0, 30, 50)
    before, after = order_parameter(7 - late, 7.0, 2.5), order_parameter(7 + late, 7.0, 2.5)
    assert np.allclose(before + after, 1) and before[0] == 0.5
    assert np.all(np.diff(after) > 0)
    assert order_parameter(np.array([7 + 2.5 * np.log(9)]), 7.0, 2.5)[0] == pytest.approx(0.9)


def test_the_displacement_is_periodic_and_back_to_zero_at_the_edges():
    moved = evolve(PBTIO3, settings(domain="x"), TIMES)
    q = from_middle(moved)
    shift = moved.positions[-1] - moved.positions[0]
    for axis in (0, 1):
        edge = (np.abs(q[:, axis] + 0.5) < 1e-3) & (moved.numbers == 82)
        assert edge.any() and np.abs(shift[edge, axis]).max() < 1e-4
    # No bond breaks across the edges: titanium keeps six neighbours everywhere but at the faces.
    atoms, z = moved.atoms(-1), moved.positions[-1, :, 2]
    counts = np.bincount(neighbor_list("i", atoms, {("Ti", "O"): 2.7}), minlength=len(atoms))
    inner = (moved.numbers == 22) & (z > z.min() + 3) & (z < z.max() - 3)
    assert set(counts[inner]) == {6}
    assert moved.present.all()


def test_a_front_strains_what_it_has_passed():
    moved = evolve(PBTIO3, settings(domain="x", sweep_s=12.0), TIMES)
    width = moved.box_angstrom[0]
    for index, time in enumerate(TIMES):
        place, shift = strained(moved, index)

        def squared(q, time=time):
            return 1 / (1 + np.exp(12 * q - time)) ** 2

        passed = np.array([quad(squared, 0, q)[0] for q in place[:, 0] / width])
        assert np.allclose(shift[:, 0], (C / CUBIC - 1) * width * passed, atol=2e-4)
        # Across the front's way the strain is everywhere the same: the mean over the box.
        mean = quad(squared, -0.5, 0.5)[0]
        assert np.allclose(shift[:, 1], (A / CUBIC - 1) * mean * place[:, 1], atol=2e-4)


def test_a_front_passes_in_its_direction():
    passed = []
    for sweep in (20.0, -20.0):
        moved = evolve(PBTIO3, settings(domain="z", front_axis="y", sweep_s=sweep), np.array([-60.0, 0.0]))
        q = from_middle(moved)
        z = moved.positions[1, :, 2] - moved.positions[0, :, 2]
        low = moved.positions[0, :, 2] - moved.positions[0, :, 2].min() < 3
        ions = (moved.numbers == 22) & low
        passed.append((z[ions & (q[:, 1] < -0.2)].mean(), z[ions & (q[:, 1] > 0.2)].mean()))
    assert passed[0][0] > passed[0][1] + 0.1 and passed[1][0] < passed[1][1] - 0.1


def test_a_very_fast_front_is_everywhere_at_once():
    once = evolve(PBTIO3, settings(domain="x"), TIMES)
    fast = evolve(PBTIO3, settings(domain="x", sweep_s=1e-5), TIMES)
    assert np.allclose(once.positions, fast.positions, atol=1e-3)


def test_a_cubic_perovskite_can_be_polarised():
    cubic = prototype("SrTiO3").atoms
    ordered = polarised(cubic, 1.02, 0.1, -0.05)
    a, b, c = ordered.cell.lengths()
    assert a == b and c / a == pytest.approx(1.02)
    assert ordered.get_volume() == pytest.approx(cubic.get_volume())
    z = ordered.positions[:, 2]
    assert z[ordered.symbols == "Ti"] == pytest.approx(c / 2 + 0.1)
    assert np.allclose(np.sort(z[ordered.symbols == "O"]), [-0.05, c / 2 - 0.05, c / 2 - 0.05])
    moved = evolve(ordered, settings(), TIMES)
    assert np.isclose(neighbor_list("d", moved.atoms(0), 2.2), 3.905 / 2, atol=1e-4).all()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: settings(width_s=0.0), "width_s"),
        (lambda: settings(domain="c"), "domain"),
        (lambda: settings(onset_s=float("nan")), "onset_s"),
        (lambda: evolve(PBTIO3, settings(zone_axis=(0, 1, 1)), TIMES), "zone_axis"),
        (lambda: evolve(PBTIO3, settings(), TIMES[::-1]), "times"),
        (lambda: evolve(prototype("Cu").atoms, settings(), TIMES), "perovskite"),
        (lambda: evolve(prototype("CaTiO3").atoms, settings(), TIMES), "perovskite"),
        (lambda: polarised(prototype("SrTiO3").atoms, 0.0, 0.1, 0.0), "tetragonality"),
    ],
)
def test_what_cannot_be_is_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()
