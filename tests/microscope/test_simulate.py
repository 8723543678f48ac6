"""abTEM simulations: axes, seeds, thermal averages, reciprocity, and what is refused."""

from dataclasses import replace

import abtem
import ase
import numpy as np
import pytest
from ase.spacegroup import crystal

from rephase.errors import InputError
from rephase.microscope.grid import antialias_mask
from rephase.microscope.optics import Optics, interaction_parameter
from rephase.microscope.simulate import (
    configuration,
    configurations,
    defocus_series,
    exit_waves,
    plane_wave_exit_waves,
    potential_slices,
    projected_potential,
    simulate_scan,
    true_phase,
)
from rephase.microscope.simulation import Simulation

A = 3.905
OPTICS = Optics(energy_ev=3e5, semiangle_mrad=20, defocus_angstrom=30.0)
STILL = Simulation(gpts=(64, 60), slice_angstrom=2.0)
WARM = replace(STILL, thermal_rms_angstrom={"Sr": 0.09, "Ti": 0.07, "O": 0.1}, configurations=3, seed=4)


@pytest.fixture(scope="module")
def strontium_titanate() -> ase.Atoms:
    cell = crystal(
        ["Sr", "Ti", "O"],
        [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)],
        spacegroup=221,
        cellpar=[A, A, A, 90, 90, 90],
    )
    return cell * (2, 2, 1)


@pytest.fixture(scope="module")
def lone_atom() -> ase.Atoms:
    return ase.Atoms("Au", positions=[(2.0, 5.0, 1.0)], cell=(8.0, 10.0, 2.0), pbc=True)


def scan(atoms, simulation=STILL, optics=OPTICS, shape=(4, 6), detector=(40, 38), **where):
    return simulate_scan(atoms, optics, simulation, shape, detector, **where)


def test_scan_axes_and_calibration(strontium_titanate):
    result = scan(strontium_titanate)
    assert result.shape == (4, 6, 40, 38) and result.unit == "fraction"
    assert result.step_angstrom == pytest.approx((2 * A / 4, 2 * A / 6))
    assert result.pixel_mrad == pytest.approx((1e3 * OPTICS.wavelength_angstrom / (2 * A),) * 2)
    assert result.lineage["optics"]["energy_ev"] == 3e5
    total = result.load().sum((-2, -1))
    assert total.max() < 1 + 1e-5 and total.min() > 0.97


def test_array_axis_0_is_the_atoms_x(lone_atom):
    potential = projected_potential(lone_atom, replace(STILL, gpts=(80, 100)))
    assert np.unravel_index(potential.argmax(), potential.shape) == (20, 50)


def test_a_scan_repeats_with_the_crystal(strontium_titanate):
    patterns = scan(strontium_titanate).load()
    np.testing.assert_allclose(patterns[:2, :3], patterns[2:, 3:], atol=1e-6)


def test_without_a_specimen_the_pattern_is_the_bright_field_disc():
    vacuum = ase.Atoms(cell=(8.0, 8.0, 2.0), pbc=True)
    patterns = scan(vacuum).load()
    assert patterns.sum((-2, -1)) == pytest.approx(1, abs=1e-5)
    pixel = 1e3 * OPTICS.wavelength_angstrom / 8.0
    rows, cols = np.indices(patterns.shape[2:])
    angle = pixel * np.hypot(rows - 20, cols - 19)
    assert patterns[..., angle > 20 + pixel].max() < 1e-10
    assert np.ptp(patterns[..., angle < 20 - pixel]) < 1e-5


def test_a_part_of_the_cell_can_be_scanned(strontium_titanate):
    whole = scan(strontium_titanate).load()
    part = scan(strontium_titanate, shape=(2, 3), origin_angstrom=(A / 2, 0.0), extent_angstrom=(A, A))
    np.testing.assert_allclose(part.load(), whole[1:3, :3], atol=1e-6)


def test_a_configuration_depends_on_seed_and_index_only(strontium_titanate):
    many = list(configurations(strontium_titanate, replace(WARM, configurations=5)))
    few = list(configurations(strontium_titanate, WARM))
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one.positions, other.positions)
    np.testing.assert_array_equal(configuration(strontium_titanate, WARM, 4).positions, many[4].positions)
    assert np.abs(many[0].positions - many[1].positions).max() > 0.05
    other = configuration(strontium_titanate, replace(WARM, seed=WARM.seed + 1), 0)
    for mine in many:
        assert np.abs(other.positions - mine.positions).max() > 0.05


def test_displacements_have_the_rms_of_their_element(strontium_titanate):
    atoms = strontium_titanate * (4, 4, 20)
    moved = configuration(atoms, WARM, 0)
    for element, rms in WARM.thermal_rms_angstrom.items():
        of = atoms.symbols == element
        assert (moved.positions - atoms.positions)[of, :2].std() == pytest.approx(rms, rel=0.1)


def test_no_atom_jumps_from_the_entrance_to_the_exit_surface(strontium_titanate):
    for moved in configurations(strontium_titanate, replace(WARM, configurations=10)):
        assert np.abs(moved.positions - strontium_titanate.positions).max() < 1
        assert moved.positions[:, 2].min() >= 0 and moved.positions[:, 2].max() < A


@pytest.mark.parametrize("height", [2.0, 5.03, 7.1])
def test_an_atom_on_the_exit_surface_stays_in_the_last_slice(lone_atom, height):
    atoms = lone_atom.copy()
    atoms.cell[2, 2] = atoms.positions[0, 2] = height
    slices, _ = potential_slices(atoms, replace(STILL, slice_angstrom=1.0))
    np.testing.assert_array_equal(slices.any((1, 2)), [False] * (len(slices) - 1) + [True])


def test_thermal_scans_repeat_and_average_over_configurations(strontium_titanate):
    mean = scan(strontium_titanate, WARM).load()
    np.testing.assert_array_equal(mean, scan(strontium_titanate, WARM).load())
    single = [
        scan(moved, replace(STILL, seed=0)).load() for moved in configurations(strontium_titanate, WARM)
    ]
    np.testing.assert_allclose(mean, np.mean(single, axis=0), atol=1e-7)
    assert np.abs(single[0] - single[1]).max() > 1e-4


def test_thermal_averages_converge_as_one_over_root_n(strontium_titanate):
    at = np.array([[0.0, 0.0]])

    def average(n: int, seed: int) -> np.ndarray:
        warm = replace(WARM, gpts=(32, 32), slice_angstrom=A, configurations=n, seed=seed)
        return exit_waves(strontium_titanate, OPTICS, warm, at).intensities

    spread = [
        np.mean([np.linalg.norm(average(n, seed) - average(n, 100 + seed)) for seed in range(3)])
        for n in (2, 16)
    ]
    assert spread[0] / spread[1] == pytest.approx(np.sqrt(8), rel=0.4)


def test_intensity_is_coherent_plus_diffuse(strontium_titanate):
    at = np.array([[0.0, 0.0], [A / 2, A / 2]])

    def diffuse(simulation: Simulation) -> np.ndarray:
        waves = exit_waves(strontium_titanate, OPTICS, simulation, at)
        coherent = np.abs(np.fft.fftshift(np.fft.fft2(waves.coherent), axes=(-2, -1))) ** 2
        return waves.intensities - coherent

    np.testing.assert_allclose(diffuse(STILL), 0, atol=1e-7)
    assert diffuse(WARM).min() > -1e-7 and diffuse(WARM).sum((-2, -1)).min() > 1e-3


def test_exit_waves_and_scans_are_the_same_simulation(strontium_titanate):
    waves = exit_waves(strontium_titanate, OPTICS, WARM, np.array([[0.0, 0.0], [0.0, A / 3]]))
    patterns = scan(strontium_titanate, WARM).load()[0, :2]
    np.testing.assert_allclose(waves.intensities[:, 12:52, 11:49], patterns, atol=1e-7)


@pytest.mark.parametrize(("height", "slices"), [(20 * A, 20), (20 * A + 0.01, 21), (0.6 * A, 1)])
def test_slices_are_as_few_as_their_thickness_allows(lone_atom, height, slices):
    atoms = lone_atom.copy()
    atoms.cell[2, 2] = height
    _, thickness = potential_slices(atoms, replace(STILL, gpts=(4, 4), slice_angstrom=min(A, height)))
    assert len(thickness) == slices and thickness.sum() == pytest.approx(height)


def test_potential_slices_add_up_to_the_projected_potential(strontium_titanate):
    slices, thickness = potential_slices(strontium_titanate, STILL)
    assert slices.shape == (2, 64, 60) and thickness.sum() == pytest.approx(A)
    projected = projected_potential(strontium_titanate, STILL)
    np.testing.assert_allclose(slices.sum(0), projected, atol=1e-3)
    ours = true_phase(strontium_titanate, 3e5, STILL)
    np.testing.assert_allclose(ours, interaction_parameter(3e5) * projected, rtol=1e-6)


def test_thickness_to_zero_gives_a_phase_object(lone_atom):
    thin = lone_atom.copy()
    thin.cell[2, 2], thin.positions[:, 2] = 1e-4, 0.0
    settings = Simulation(gpts=(96, 120), slice_angstrom=1e-4, precision="float64")
    mask = antialias_mask((96, 120), (8 / 96, 10 / 120)).numpy()
    transmission = np.exp(1j * true_phase(thin, 3e5, settings))
    expected = np.fft.ifft2(mask**2 * np.fft.fft2(transmission))
    np.testing.assert_allclose(plane_wave_exit_waves(thin, 3e5, settings)[0], expected, atol=3e-4)
    assert np.ptp(np.angle(transmission)) > 1


def test_reciprocity_of_probe_and_plane_wave(lone_atom):
    """The detector pixel on the axis, scanned, is the plane-wave image of the specimen upside down."""
    thick = lone_atom + ase.Atoms("Si", positions=[(3.0, 6.0, 5.0)])
    thick.cell[2, 2] = 6.0
    turned = thick.copy()
    turned.positions[:, 2] = 6.0 - thick.positions[:, 2]
    settings = Simulation(gpts=(64, 80), slice_angstrom=2.0, precision="float64")
    lens = Optics(energy_ev=3e5, semiangle_mrad=24.2, defocus_angstrom=30.0, cs_angstrom=1e4)
    with abtem.config.set({"precision": "float64"}):
        probe = abtem.Probe(
            energy=3e5,
            semiangle_cutoff=24.2,
            soft=False,
            aberrations=lens.coefficients,
            gpts=(64, 80),
            extent=(8, 10),
        )
        grid = abtem.GridScan(start=(0, 0), end=(8, 10), gpts=(16, 20), endpoint=False)
        potential = abtem.Potential(thick, gpts=(64, 80), slice_thickness=2.0)
        stem = probe.scan(potential, grid, abtem.PixelatedDetector("full"), lazy=False).array[..., 32, 40]
    below_the_last_slice = 30.0 + 2.0
    tem = defocus_series(turned, lens, settings, np.array([below_the_last_slice]))[0, ::4, ::4]
    np.testing.assert_allclose(stem / stem.mean(), tem / tem.mean(), rtol=1e-6)
    assert np.ptp(tem) > 0.3


def test_defocus_series_is_abtem_s(strontium_titanate):
    defocus = np.array([-50.0, 0.0, 80.0])
    ours = defocus_series(strontium_titanate, OPTICS, replace(STILL, precision="float64"), defocus)
    with abtem.config.set({"precision": "float64", "diagnostics.progress_bar": False}):
        potential = abtem.Potential(strontium_titanate, gpts=(64, 60), slice_thickness=2.0)
        wave = abtem.PlaneWave(energy=3e5).multislice(potential, lazy=False)
        lenses = [abtem.CTF(energy=3e5, defocus=f, semiangle_cutoff=20, soft=False) for f in defocus]
        theirs = [wave.apply_ctf(lens).intensity().array for lens in lenses]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"simulation": replace(STILL, slice_angstrom=5.0)},
            "a thickness of 3.905 angstrom, expected at least",
        ),
        ({"detector": (64, 60)}, "detector_shape: found (64, 60), expected at most 40 x 40 pixels"),
        ({"optics": Optics(energy_ev=3e5, semiangle_mrad=60)}, "expected at most 50.4 mrad"),
        ({"simulation": replace(STILL, thermal_rms_angstrom={"Sr": 0.1})}, "also a displacement for O, Ti"),
    ],
)
def test_what_cannot_be_simulated_is_refused(strontium_titanate, change, said):
    with pytest.raises(InputError) as error:
        scan(strontium_titanate, **change)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gpts": (0, 4)},
        {"slice_angstrom": 0.0},
        {"configurations": 0},
        {"seed": -1},
        {"thermal_rms_angstrom": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=f"simulation.{next(iter(wrong))}"):
        replace(STILL, **wrong)


def test_atoms_outside_an_orthogonal_cell_are_refused(lone_atom):
    for cell in ([(8, 1, 0), (0, 10, 0), (0, 0, 2)], (0, 0, 0)):
        wrong = lone_atom.copy()
        wrong.cell = cell
        with pytest.raises(InputError, match="orthogonal"):
            projected_potential(wrong, STILL)
    high = lone_atom.copy()
    high.positions[:, 2] = 3.0
    with pytest.raises(InputError, match="z from 3 to 3, expected z from 0 to 2"):
        projected_potential(high, STILL)
