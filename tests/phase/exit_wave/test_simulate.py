"""Samples: abTEM's numbers, thin and empty specimens, the kernel's order, conservation, repeatability."""

from dataclasses import replace

import ase
import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics, wavelength
from rephase.microscope.simulate import exit_waves, projected_potential
from rephase.microscope.simulation import Simulation
from rephase.phase.exit_wave.frame import KERNEL, Frame, intensity
from rephase.phase.exit_wave.repetition import repeated
from rephase.phase.exit_wave.sampling import Ranges, draw
from rephase.phase.exit_wave.simulate import GRID, displaced, in_turn, kernel, simulate, specimen

LATTICE, CELLS, STEP = 3.905, 3, 0.4
BOX = CELLS * LATTICE
OPTICS = Optics(energy_ev=200e3, semiangle_mrad=21.0, cs_angstrom=1e4, defocus_angstrom=19.0)
FRAME = Frame(OPTICS, BOX)
CENTRE = KERNEL.index((0, 0))


def strontium_titanate(layers: int = 3) -> ase.Atoms:
    """A crystal that is periodic in the frame."""
    basis = [(0.1, 0.2, 0.3), (0.6, 0.7, 0.8), (0.6, 0.7, 0.3), (0.6, 0.2, 0.8), (0.1, 0.7, 0.8)]
    cell = ase.Atoms("SrTiO3", scaled_positions=basis, cell=[LATTICE] * 3, pbc=True)
    return cell * (CELLS, CELLS, layers)


def one_atom(
    symbol: str = "C", at: tuple[float, float] = (BOX / 2, BOX / 2), depth: float = 2.0
) -> ase.Atoms:
    return ase.Atoms(symbol, [(*at, depth / 2)], cell=(BOX, BOX, depth))


def frequency() -> np.ndarray:
    """Distance of each detector pixel from the undeflected beam."""
    return np.hypot(*np.meshgrid(np.arange(64) - 32, np.arange(64) - 32))


def framed(waves: np.ndarray) -> np.ndarray:
    """Waves on a finer grid in the frame: what the detector's circle sees, with sum |psi|^2 = 1 before."""
    first = (waves.shape[-1] - 64) // 2
    spectrum = np.fft.fftshift(np.fft.fft2(waves))[first : first + 64, first : first + 64]
    return np.fft.ifft2(np.fft.ifftshift(spectrum * (frequency() < 31))) * 64


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module")
def sample():
    return kernel(strontium_titanate(), FRAME, STEP, thermal_rms_angstrom=0.08, configurations=2, seed=5)


def test_it_agrees_with_abtem_on_the_same_displaced_atoms(sample):
    """abTEM has twice the points along each side and thinner slices."""
    atoms, fine = strontium_titanate(), Simulation(gpts=(2 * GRID, 2 * GRID), slice_angstrom=1.5)
    positions = np.array([(BOX / 2 + STEP * row, BOX / 2 + STEP * col) for row, col in KERNEL])
    coherent, intensities = 0, 0
    for moved in displaced(atoms.positions, 0.08, 2, 5):
        phonon = atoms.copy()
        phonon.positions = np.column_stack([moved[:, :2], moved[:, 2].clip(0, atoms.cell[2, 2] - 1e-6)])
        reference = exit_waves(phonon, OPTICS, fine, positions)
        coherent = coherent + framed(reference.coherent[CENTRE]) / 2
        intensities = intensities + reference.intensities[:, GRID - 32 : GRID + 32, GRID - 32 : GRID + 32] / 2
    seen = frequency() < 31
    for found, expected in zip(sample.patterns, intensities, strict=True):
        assert np.corrcoef(found[seen], expected[seen])[0, 1] > 0.9995
    assert relative(sample.patterns[:, seen], intensities[:, seen]) < 0.02
    assert relative(sample.exit_wave, coherent) < 0.05 < relative(sample.exit_wave, FRAME.probe().numpy())


def test_vacuum_gives_the_probe():
    empty = kernel(ase.Atoms(cell=(BOX, BOX, 4.0)), FRAME, 0.0)
    expected = intensity(FRAME.probe()).numpy()
    np.testing.assert_allclose(empty.patterns, np.tile(expected, (9, 1, 1)), atol=1e-7)
    in_focus = replace(FRAME, optics=OPTICS.model_copy(update={"defocus_angstrom": 15.0}))
    propagated = kernel(ase.Atoms(cell=(BOX, BOX, 4.0)), in_focus, 0.0).exit_wave
    assert relative(propagated, FRAME.probe().numpy()) > 0.01  # defocus and propagation have opposite signs
    overfocused = replace(FRAME, optics=OPTICS.model_copy(update={"defocus_angstrom": 23.0}))
    propagated = kernel(ase.Atoms(cell=(BOX, BOX, 4.0)), overfocused, 0.0).exit_wave
    assert relative(propagated, FRAME.probe().numpy()) < 1e-4


def test_a_thin_specimen_multiplies_the_probe_by_a_phase():
    atoms = one_atom("Ti", at=(BOX / 2 + 0.3, BOX / 2 - 0.5), depth=0.01)
    wave = kernel(atoms, FRAME, STEP).exit_wave
    phase = OPTICS.sigma * projected_potential(atoms, Simulation(gpts=(256, 256), slice_angstrom=0.01))
    index = np.fft.fftfreq(64, 1 / 64).astype(int)
    spectrum = np.zeros((256, 256), complex)
    spectrum[np.ix_(index, index)] = np.fft.fft2(FRAME.probe().numpy(), norm="ortho")
    probe = np.fft.ifft2(spectrum)
    assert relative(wave, framed(probe * np.exp(1j * phase))) < 0.005
    assert relative(wave, framed(probe)) > 0.05
    assert relative(wave, framed(probe * np.exp(-1j * phase))) > 0.1


def test_patterns_hold_nearly_the_whole_beam(sample):
    totals = sample.patterns.sum((1, 2))
    assert sample.patterns.shape == (9, 64, 64) and sample.patterns.min() >= 0
    assert np.all(totals > 0.9) and np.all(totals <= 1 + 1e-5)


def test_one_configuration_scatters_coherently_and_several_leave_a_difference(sample):
    one = kernel(strontium_titanate(), FRAME, STEP, thermal_rms_angstrom=0.08, seed=5)
    wave = torch.from_numpy(one.exit_wave)
    np.testing.assert_allclose(one.patterns[CENTRE], intensity(wave).numpy(), atol=1e-8)
    lost = 1 - float(np.linalg.norm(sample.exit_wave) ** 2) - (1 - sample.patterns[CENTRE].sum())
    assert 1e-4 < lost < 0.3  # thermal diffuse scattering: <|psi|^2> = |<psi>|^2 + <|delta|^2>


def test_a_neighbour_sees_the_specimen_moved_the_other_way():
    atoms = strontium_titanate(2)
    patterns = kernel(atoms, FRAME, STEP).patterns
    for n, (row, col) in enumerate(KERNEL):
        moved = atoms.copy()
        moved.translate((-STEP * row, -STEP * col, 0))
        np.testing.assert_allclose(patterns[n], kernel(moved, FRAME, STEP).patterns[CENTRE], atol=2e-5)
    assert relative(patterns[CENTRE + 1], patterns[CENTRE]) > 0.05


def test_an_atom_beside_the_probe_draws_the_beam_towards_itself():
    at = np.arange(64) - 32
    patterns = kernel(one_atom("Au", at=(BOX / 2 + 0.5, BOX / 2)), FRAME, STEP).patterns
    mean_row, mean_col = (patterns[CENTRE].sum(axis) @ at for axis in (1, 0))
    assert mean_row > 0.05 and abs(mean_col) < 1e-3


def test_scaling_wavelength_and_angle_together_scales_the_pattern_alone():
    """Without specimen all frames of one aperture look the same, whatever energy and angle."""
    shapes = []
    for energy_ev, semiangle_mrad in ((300e3, 30.0), (30e3, 5.0)):
        frame = Frame.of_aperture(Optics(energy_ev=energy_ev, semiangle_mrad=semiangle_mrad), 10.0)
        empty = ase.Atoms(cell=(frame.box_angstrom, frame.box_angstrom, 0.01))
        shapes.append(kernel(empty, frame, 0.0).patterns[CENTRE])
    np.testing.assert_allclose(*shapes, atol=1e-7)


def test_a_weak_specimen_scatters_in_proportion_to_sigma():
    """Between energies at which the frame and the aperture in it are the same."""
    atoms, turned, sigmas = one_atom("H", depth=0.01), [], []
    for energy_ev in (80e3, 300e3):
        optics = Optics(energy_ev=energy_ev, semiangle_mrad=1e4 * wavelength(energy_ev) / BOX)
        frame = Frame(optics, BOX)
        turned.append(np.linalg.norm(kernel(atoms, frame, STEP).exit_wave - frame.probe().numpy()))
        sigmas.append(optics.sigma)
    assert turned[0] / turned[1] == pytest.approx(sigmas[0] / sigmas[1], rel=0.01)


def test_a_longer_average_contains_a_shorter_one():
    few, many = (displaced(np.zeros((50, 3)), 0.08, n, seed=3) for n in (4, 40))
    np.testing.assert_array_equal(many[:4], few)
    assert many.std(axis=(0, 1)) == pytest.approx([0.08] * 3, rel=0.05)


def test_the_drawn_atom_lies_where_it_was_drawn_and_the_specimen_fills_the_frame():
    for seed in range(12):
        drawn = draw("train", seed, Ranges(largest_box_angstrom=30.0))
        atoms, box = specimen(drawn), drawn.frame.box_angstrom
        expected = np.array(drawn.offset) * box + box / 2
        distance = np.linalg.norm(atoms.positions - [*expected, 1.0], axis=1)
        nearest = int(np.argmin(distance))
        assert distance[nearest] < 1e-6
        assert atoms.numbers[nearest] == drawn.unit_cell.numbers[drawn.atom]
        assert atoms.cell.lengths() == pytest.approx([box, box, drawn.thickness_angstrom + 2])
        density = len(drawn.unit_cell) / drawn.unit_cell.get_volume()
        assert len(atoms) == pytest.approx(density * box**2 * drawn.thickness_angstrom, rel=0.75)


def test_samples_are_repeatable_whatever_was_simulated_before():
    ranges = Ranges(configurations=3, largest_box_angstrom=30.0)
    alone = simulate(draw("train", 4, ranges))
    simulate(draw("train", 5, ranges))
    again = simulate(draw("train", 4, ranges))
    np.testing.assert_array_equal(again.patterns, alone.patterns)
    np.testing.assert_array_equal(again.exit_wave, alone.exit_wave)


def test_data_repetition_makes_the_patterns_that_a_scan_of_half_the_step_is_summed_to():
    """A scan of 9 x 9 positions, from nine kernels side by side."""
    atoms, fine = strontium_titanate(1), np.empty((9, 9, 64, 64), np.float32)
    for row, col in np.ndindex(3, 3):
        moved = atoms.copy()
        moved.translate(((1 - row) * 1.5 * STEP, (1 - col) * 1.5 * STEP, 0))
        part = kernel(moved, FRAME, STEP / 2).patterns.reshape(3, 3, 64, 64)
        fine[3 * row : 3 * row + 3, 3 * col : 3 * col + 3] = part
    summed = repeated(Scan(fine, (STEP / 2, STEP / 2), (1.0, 1.0), unit="fraction"))
    assert summed.step_angstrom == pytest.approx((STEP, STEP))
    sample = kernel(atoms, FRAME, STEP, repeat_box=5)
    expected = summed.load()[1:4, 1:4].reshape(9, 64, 64)
    assert (
        relative(sample.patterns, expected) < 2e-3 < relative(kernel(atoms, FRAME, STEP).patterns, expected)
    )
    assert relative(sample.patterns[2], fine[:5, 4:].mean((0, 1))) < 2e-3


def test_data_repetition_leaves_the_exit_wave_and_spreads_positions_over_configurations(sample):
    atoms, thermal = strontium_titanate(), {"thermal_rms_angstrom": 0.08, "configurations": 2, "seed": 5}
    summed = kernel(atoms, FRAME, STEP, **thermal, repeat_box=5)
    np.testing.assert_allclose(summed.exit_wave, sample.exit_wave, atol=1e-7)
    everything = []
    for moved in displaced(atoms.positions, 0.08, 2, 5):
        still = atoms.copy()
        still.positions = moved
        everything.append(kernel(still, FRAME, STEP, repeat_box=5).patterns)
    error = relative(summed.patterns, np.mean(everything, axis=0))
    assert 0 < error < 0.5 * relative(everything[0], everything[1])


@pytest.mark.parametrize(
    "positions, configurations", [(9, 3), (81, 1), (81, 2), (81, 6), (81, 30), (81, 100)]
)
def test_all_positions_take_their_turn_and_the_central_one_always(positions, configurations):
    turns = in_turn(positions, configurations, seed=3)
    times = np.bincount(turns.ravel(), minlength=positions)
    assert times[positions // 2] == configurations == len(turns) == np.sum(turns[:, 0] == positions // 2)
    others = np.delete(times, positions // 2)
    assert others.min() >= 1 and others.max() - others.min() <= 1
    assert turns.shape[1] == max(9, 1 + -(-(positions - 1) // configurations))
    assert all(len(set(turn)) == len(turn) for turn in turns.tolist())


def test_repeated_samples_come_from_their_seed():
    ranges = Ranges(configurations=2, largest_box_angstrom=30.0, repeated_share=1, thickness_angstrom=(3, 5))
    drawn = draw("train", 4, ranges)
    summed = simulate(drawn)
    np.testing.assert_array_equal(simulate(draw("train", 4, ranges)).patterns, summed.patterns)
    assert relative(simulate(replace(drawn, repeat_box=1)).patterns, summed.patterns) > 1e-3
    assert not np.array_equal(in_turn(81, 2, seed=5), in_turn(81, 2, seed=4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_sample():
    drawn = draw("train", 4, Ranges(configurations=3, largest_box_angstrom=30.0))
    np.testing.assert_allclose(simulate(drawn, "cuda").patterns, simulate(drawn).patterns, atol=1e-6)


def test_a_specimen_without_depth_is_refused():
    with pytest.raises(InputError, match="slice_angstrom"):
        kernel(ase.Atoms(cell=(BOX, BOX, 0.0)), FRAME, STEP)


def test_an_even_box_is_refused():
    with pytest.raises(InputError, match="repeat_box: found 4"):
        kernel(one_atom(), FRAME, STEP, repeat_box=4)
