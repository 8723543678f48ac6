"""A gliding dislocation: its field is elasticity's, and it leaves a perfect crystal behind."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from rephase.errors import InputError
from rephase.specimen.geometry import closest_pair
from rephase.specimen.gliding import SLIP_SYSTEMS, GlidingSettings, core_position, displacement, evolve
from rephase.specimen.prototypes import prototype

B, NU, PERIOD, CORE = 2.5, 0.28, 60.0, 22.0
CRYSTALS = {"fcc": "Cu", "bcc": "Fe", "rocksalt": "MgO", "perovskite": "SrTiO3"}
CASES = [(name, character) for name in SLIP_SYSTEMS for character in ("edge", "screw")]


def field(x, y, character, *, period=PERIOD, core=CORE, halfwidth=0.0, planes=None):
    """Displacement (point, 3) along glide, normal and line."""
    parts = displacement(
        np.asarray(x, float),
        np.asarray(y, float),
        np.array([core], float),
        period,
        burgers_angstrom=B,
        character=character,
        poisson_ratio=NU,
        core_halfwidth_angstrom=halfwidth,
        planes_apart_angstrom=planes,
    )
    return np.stack([part[0] for part in parts], axis=-1)


def burgers_vector(centre, radius, character, **changes):
    """Integral of the displacement's gradient along a circle, from differences that span no cut."""
    angle = 2 * np.pi * (np.arange(2000) + 0.5) / 2000
    x, y = centre + radius * np.cos(angle), radius * np.sin(angle)
    step, tiny = 2 * np.pi * radius / 2000, 1e-4
    along_x = field(x + tiny, y, character, **changes) - field(x - tiny, y, character, **changes)
    along_y = field(x, y + tiny, character, **changes) - field(x, y - tiny, character, **changes)
    tangent = -np.sin(angle)[:, None] * along_x + np.cos(angle)[:, None] * along_y
    return tangent.sum(axis=0) * step / (2 * tiny)


@pytest.mark.parametrize("planes", [None, 30.0])
@pytest.mark.parametrize(("character", "vector"), [("edge", (B, 0, 0)), ("screw", (0, 0, B))])
def test_a_loop_round_the_core_closes_but_for_the_burgers_vector(character, vector, planes):
    for radius in (2.0, 8.0, 20.0):
        found = burgers_vector(CORE, radius, character, planes=planes)
        assert np.allclose(found, vector, atol=2e-3)
    assert np.allclose(burgers_vector(0.0, 6.0, character, planes=planes), np.negative(vector), atol=2e-3)
    assert np.allclose(burgers_vector(41.0, 10.0, character, planes=planes), 0, atol=2e-3)
    assert np.allclose(burgers_vector(11.0, 16.0, character, planes=planes), 0, atol=2e-3)


@pytest.mark.parametrize("halfwidth", [0.0, 1.5])
@pytest.mark.parametrize("character", ["edge", "screw"])
def test_no_force_acts_in_the_medium(character, halfwidth):
    # Navier's equation, (1 - 2 nu) laplace(u) + grad(div u) = 0, by central differences.
    rng = np.random.default_rng(0)
    x, y = rng.uniform(5, 55, 300), rng.uniform(3, 20, 300) * rng.choice([-1, 1], 300)
    step = 0.02

    def at(i, j):
        return field(x + i * step, y + j * step, character, halfwidth=halfwidth)[:, :3]

    centre = at(0, 0)
    xx = (at(1, 0) + at(-1, 0) - 2 * centre) / step**2
    yy = (at(0, 1) + at(0, -1) - 2 * centre) / step**2
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * step**2)
    force = (1 - 2 * NU) * (xx + yy)
    force[:, 0] += xx[:, 0] + xy[:, 1]
    force[:, 1] += xy[:, 0] + yy[:, 1]
    size = np.abs(np.stack([xx, yy, xy])).max(axis=(0, 2))
    assert np.all(np.abs(force) < 1e-3 * size[:, None] + 1e-7)


@pytest.mark.parametrize("character", ["edge", "screw"])
def test_near_the_core_it_is_the_textbook_field_of_one_dislocation(character):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-20, 20, 200), rng.uniform(-20, 20, 200)
    found = field(5e4 + x, y, character, period=1e5, core=5e4)
    theta, square = np.arctan2(y, x), x**2 + y**2
    if character == "screw":
        expected = np.stack([0 * x, 0 * x, theta], axis=-1)
    else:
        glide = theta + x * y / (2 * (1 - NU) * square)
        normal = -((1 - 2 * NU) / (4 * (1 - NU)) * np.log(square) + (x**2 - y**2) / (4 * (1 - NU) * square))
        expected = np.stack([glide, normal, 0 * x], axis=-1)
    difference = found - B / (2 * np.pi) * expected
    assert np.ptp(difference, axis=0).max() < 2e-3  # the same but for a shift of the whole


def test_the_slip_across_a_spread_core_is_that_of_peierls_and_nabarro():
    x = np.linspace(-15, 15, 61)
    above = field(5e4 + x, np.full(61, 1e-6), "edge", period=1e5, core=5e4, halfwidth=1.5)
    below = field(5e4 + x, np.full(61, -1e-6), "edge", period=1e5, core=5e4, halfwidth=1.5)
    expected = B / np.pi * np.arctan2(1.5, x)
    assert np.allclose((above - below)[:, 0], expected, atol=1e-3)


@pytest.mark.parametrize("character", ["edge", "screw"])
def test_the_field_has_the_periods_of_the_box(character):
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-30, 30, 200), rng.uniform(1, 29, 200)
    one = field(x, y, character, planes=30.0)
    assert np.allclose(field(x + PERIOD, y, character, planes=30.0), one, atol=1e-9)
    assert np.allclose(field(x, y - 60, character, planes=30.0), one, atol=1e-4)


@pytest.mark.parametrize("character", ["edge", "screw"])
def test_far_from_the_plane_both_halves_are_rigid(character):
    x = np.linspace(0, PERIOD, 40)
    slipped = B / 2 * CORE / PERIOD
    for side in (1, -1):
        far = field(x, np.full(40, side * 1.5 * PERIOD), character)
        assert np.allclose(far[:, 0 if character == "edge" else 2], side * slipped, atol=5e-3)
        assert np.allclose(far[:, 1], 0, atol=5e-3)


def settings(name, character, **changes):
    defaults = {"box_angstrom": (24, 24), "thickness_angstrom": 24}
    motion = {"arrival_s": 1.0, "speed_angstrom_per_s": 10}
    return GlidingSettings(slip_system=name, character=character, **(defaults | motion | changes))


def nearest(moved, index, bond):
    """Distances of all neighbours, and numbers of neighbours of the atoms away from the faces."""
    atoms, z = moved.atoms(index), moved.positions[0, :, 2]
    first, distance = neighbor_list("id", atoms, 1.1 * bond)
    margin = 1.5 * bond + np.ptp(moved.positions[index, :, 2] - z)  # slip makes a step on the faces
    inner = (z > z.min() + margin) & (z < z.max() - margin)
    return distance, np.bincount(first, minlength=len(atoms))[inner]


@pytest.mark.parametrize("line", ["along", "across"])
@pytest.mark.parametrize(("name", "character"), CASES)
def test_the_crystal_is_perfect_before_and_after(name, character, line):
    crystal = prototype(CRYSTALS[name.split()[0]]).atoms
    moved = evolve(crystal, settings(name, character, line=line), np.array([0.0, 2.5, 99.0]))
    *_, bond = closest_pair(crystal)
    coordination = set(np.bincount(neighbor_list("i", crystal, 1.1 * bond), minlength=len(crystal)))
    for index in (0, 2):
        distance, counts = nearest(moved, index, bond)
        assert np.allclose(distance, bond, atol=1e-3)
        assert len(counts) and set(counts) == coordination
    assert np.abs(nearest(moved, 1, bond)[0] - bond).max() > 0.05  # and is not while the core is in it
    assert moved.present.all()


@pytest.mark.parametrize("line", ["along", "across"])
@pytest.mark.parametrize(("name", "character"), CASES)
def test_it_leaves_the_crystal_slipped_by_its_burgers_vector(name, character, line):
    crystal = prototype(CRYSTALS[name.split()[0]]).atoms
    moved = evolve(crystal, settings(name, character, line=line), np.array([0.0, 99.0]))
    shift = (moved.positions[1] - moved.positions[0]).astype(float)
    system = SLIP_SYSTEMS[name]
    length = system.length * np.linalg.norm(system.slip) * crystal.cell.lengths()[0]
    assert np.allclose(np.linalg.norm(shift, axis=1), length / 2, atol=1e-4)
    axis = {"edge": 0, "screw": 2 if line == "along" else 1}[character]
    assert np.allclose(np.abs(shift[:, axis]), length / 2, atol=1e-4)
    height = moved.positions[0, :, 1 if line == "along" else 2]
    upper = (height > np.median(height) + 2) & (height < height.max() - 2)
    forward = -1 if (character, line) == ("screw", "across") else 1  # the line then runs along -y
    assert np.all(shift[upper, axis] * forward > 0)
    assert {-1.0, 1.0} == set(np.sign(shift[:, axis]))


def test_bonds_away_from_the_core_are_strained_as_elasticity_has_it():
    crystal = prototype("Cu").atoms
    large = {"box_angstrom": (60, 60), "thickness_angstrom": 5, "core_halfwidth_angstrom": 0}
    moved = evolve(crystal, settings("fcc <110>{111}", "edge", **large), np.array([0.0, 4.0]))
    atoms, (_, _, bond) = moved.atoms(1), closest_pair(crystal)
    first, second, distance = neighbor_list("ijd", atoms, 1.25 * bond)
    width, depth, _ = moved.box_angstrom
    place = moved.positions[0, first, :2] - [30, depth / 2]
    away = np.linalg.norm(place, axis=1)
    for low, high in ((6, 8), (10, 14)):
        strain = np.abs(distance / bond - 1)[(away > low) & (away < high)]
        assert 0.002 < strain.max() < 2 * bond / (2 * np.pi * low)


def test_the_core_moves_at_its_speed_and_stops_at_obstacles():
    pinned = settings("fcc <110>{111}", "edge", pins=((12.0, 3.0), (5.0, 1.0)))
    times = np.array([0.0, 1.0, 1.2, 1.5, 2.4, 2.5, 3.2, 4.0, 6.1, 6.3, 7.3, 50.0])
    expected = [0, 0, 2, 5, 5, 5, 12, 12, 12, 13, 23, 24]
    assert np.allclose(core_position(times, pinned, 24.0), expected)
    moved = evolve(prototype("Cu").atoms, pinned, np.array([3.3, 6.1, 6.6]))
    assert np.array_equal(moved.positions[0], moved.positions[1])
    assert np.abs(moved.positions[2] - moved.positions[1]).max() > 0.3


@pytest.mark.parametrize("name", list(SLIP_SYSTEMS))
def test_slip_directions_lie_in_their_planes(name):
    assert np.dot(SLIP_SYSTEMS[name].slip, SLIP_SYSTEMS[name].normal) == 0


FCC = "fcc <110>{111}"


def glide(material, name=FCC, **changes):
    return evolve(prototype(material).atoms, settings(name, "edge", **changes), np.zeros(1))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: settings(FCC, "mixed"), "character"),
        (lambda: settings(FCC, "edge", speed_angstrom_per_s=0), "speed_angstrom_per_s"),
        (lambda: glide("Cu", "hcp"), "slip_system.*one of fcc"),
        (lambda: glide("Fe"), "period of Fe"),
        (lambda: glide("Cu", pins=((99.0, 1.0),)), "pins"),
        (lambda: glide("Cu", line="across", thickness_angstrom=1), "one atomic plane"),
    ],
)
def test_what_cannot_be_is_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()
